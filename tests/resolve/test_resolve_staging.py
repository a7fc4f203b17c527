"""Staging outputs: built before the outputs that inherit them, in environments of their own."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from spine_kit import Channel, manifest, posix, smelt

pytestmark = [pytest.mark.build, posix]

RECIPE = """\
recipe:
  name: calc
  version: "1.0"
source:
  path: .
outputs:
  - staging:
      name: calc-build
    requirements:
      build: [tool]
      host: [lib, quiet]
      ignore_run_exports:
        from_package: [quiet]
    build:
      script:
        - test ! -e $PREFIX/share/python.txt
        - mkdir -p $PREFIX/lib $PREFIX/include
        - cat $BUILD_PREFIX/share/tool.txt $PREFIX/share/lib.txt code.txt > $PREFIX/lib/calc.txt
        - echo $PREFIX > $PREFIX/include/calc.txt
        - echo half done > work.txt
  - package:
      name: libcalc
    inherit: calc-build
    build:
      files: [lib/**]
    requirements:
      run_exports:
        - ${{ pin_subpackage('libcalc', upper_bound='x.x') }}
  - package:
      name: calc-headers
    inherit:
      from: calc-build
      run_exports: false
    build:
      files: [include/**]
  - package:
      name: py-calc
    inherit: calc-build
    requirements:
      host: [python, libcalc]
      run: [python]
      ignore_run_exports:
        by_name: [lib]
    build:
      script:
        - test ! -e $BUILD_PREFIX/share/tool.txt
        - mkdir -p $PREFIX/py
        - cat work.txt $PREFIX/share/python.txt > $PREFIX/py/calc.txt
      files: [py/**]
"""

MANIFEST = """
[dependencies]
libcalc = { path = "calc" }
calc-headers = { path = "calc" }
py-calc = { path = "calc" }
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="c") as cache:  # a short path: of a long one nothing is left to fill up
        monkeypatch.setenv("PIXI_CACHE_DIR", cache)
        yield made_root(tmp_path, monkeypatch)


def made_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PIXI_IN_SHELL", raising=False)
    channel = Channel(tmp_path / "channel")
    channel.add("tool", run_exports={"strong": ["runtime >=1"]})
    channel.add("runtime", "1.4")
    channel.add("lib", "2.1", depends=["deep"], run_exports={"weak": ["lib >=2.1,<3"]})
    channel.add("deep")
    channel.add("quiet", run_exports={"weak": ["noise"]})
    channel.add("python", "3.11")
    channel.add("python", "3.12")
    channel.index()
    root = tmp_path / "ws"
    (root / "calc").mkdir(parents=True)
    (root / "calc" / "recipe.yaml").write_text(RECIPE)
    (root / "calc" / "code.txt").write_text("code\n")
    manifest(root, [channel.url], MANIFEST)
    return root


def test_outputs_that_inherit(root: Path) -> None:
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    prefix = root / ".pixi" / "envs" / "default"
    assert (prefix / "lib" / "calc.txt").read_text() == "tool 1.0\nlib 2.1\ncode\n"
    assert (prefix / "include" / "calc.txt").read_text() == f"{prefix}\n"
    assert (prefix / "py" / "calc.txt").read_text() == "half done\npython 3.12\n"
    records = {
        data["name"]: data
        for path in (prefix / "conda-meta").glob("*calc*.json")
        for data in [json.loads(path.read_text())]
    }
    assert sorted(records["libcalc"]["depends"]) == ["lib >=2.1,<3", "runtime >=1"]
    assert records["calc-headers"]["depends"] == []
    assert sorted(records["py-calc"]["depends"]) == ["libcalc >=1.0,<1.1.0a0", "python", "runtime >=1"]
    assert smelt(root, "lock", "--check").returncode == 0
    # nothing to do, and a new description needs no build
    assert "building" not in smelt(root, "install").stderr
    text = (root / "calc" / "recipe.yaml").read_text()
    (root / "calc" / "recipe.yaml").write_text(text.replace("run: [python]", "run: [python, deep]"))
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert "repacked py-calc" in done.stderr
    assert (prefix / "py" / "calc.txt").read_text() == "half done\npython 3.12\n"


def test_equal_bytes(root: Path) -> None:
    done = smelt(root, "build", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr


def test_variants_of_a_staging_output(root: Path) -> None:
    manifest(
        root,
        [(root.parent / "channel").as_uri()],
        """
[workspace.build-variants]
python = ["3.11.*", "3.12.*"]
[feature.old.dependencies]
python = "3.11.*"
[feature.new.dependencies]
python = "3.12.*"
[environments]
old = ["old"]
new = ["new"]
[dependencies]
py-calc = { path = "calc" }
""",
    )
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    for name, version in (("old", "3.11"), ("new", "3.12")):
        assert f"python {version}" in (root / ".pixi" / "envs" / name / "py" / "calc.txt").read_text()


def test_a_staging_output_that_fails(root: Path) -> None:
    text = (root / "calc" / "recipe.yaml").read_text()
    (root / "calc" / "recipe.yaml").write_text(text.replace("- echo half done > work.txt", "- echo sorry; exit 4"))
    done = smelt(root, "build", "--package", "libcalc")
    assert done.returncode == 1
    assert "failed to build 'libcalc'" in done.stderr
    assert "sorry" in done.stderr


def counted(root: Path, text: str = RECIPE) -> Path:
    """Let the staging output and one that inherits it tell, in a file outside of all builds, that they were built."""
    told = root.parent / "told.txt"
    text = text.replace("- echo half done > work.txt", f"- echo half done > work.txt; echo staged >> {told}")
    text = text.replace("- mkdir -p $PREFIX/py", f"- mkdir -p $PREFIX/py; echo py-calc >> {told}")
    (root / "calc" / "recipe.yaml").write_text(text)
    return told


def test_built_once(root: Path) -> None:
    told = counted(root)
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split() == ["staged", "py-calc"]
    # another script of one output is no change for the others, nor for what they inherit
    text = (root / "calc" / "recipe.yaml").read_text()
    (root / "calc" / "recipe.yaml").write_text(text.replace("cat work.txt $PREFIX/share/python.txt", "cat work.txt"))
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split() == ["staged", "py-calc", "py-calc"]
    assert (root / ".pixi/envs/default/py/calc.txt").read_text() == "half done\n"
    # the staging output itself is one for all of them
    (root / "calc" / "code.txt").write_text("other code\n")
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split()[3:] == ["staged", "py-calc"]
    assert "other code" in (root / ".pixi/envs/default/lib/calc.txt").read_text()


def test_built_once_for_all_variants(root: Path) -> None:
    told = counted(root)
    manifest(
        root,
        [(root.parent / "channel").as_uri()],
        """
[workspace.build-variants]
python = ["3.11.*", "3.12.*"]
[feature.old.dependencies]
python = "3.11.*"
[feature.new.dependencies]
python = "3.12.*"
[environments]
old = ["old"]
new = ["new"]
[dependencies]
py-calc = { path = "calc" }
""",
    )
    done = smelt(root, "install", "--all")
    assert done.returncode == 0, done.stderr
    assert sorted(told.read_text().split()) == ["py-calc", "py-calc", "staged"]


def test_a_lost_or_damaged_staging_output_is_built_again(root: Path) -> None:
    told = counted(root)
    assert smelt(root, "build", "--package", "libcalc").returncode == 0
    (staged,) = (Path(os.environ["PIXI_CACHE_DIR"]) / "smelt" / "staged").glob("??/*/staged.tar.zst")
    data = staged.read_bytes()
    staged.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    done = smelt(root, "build", "--package", "calc-headers")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split() == ["staged", "staged"]
    # only what is built from nothing does not take it
    done = smelt(root, "build", "--package", "calc-headers", "--rebuild", "calc-headers")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split() == ["staged"] * 3
    assert "not reproducible" not in done.stderr


def test_a_failing_staging_output_is_tried_once(root: Path) -> None:
    told = counted(root)
    text = (root / "calc" / "recipe.yaml").read_text()
    text = text.replace(f"echo staged >> {told}", f"echo staged >> {told}; exit 3")
    (root / "calc" / "recipe.yaml").write_text(text)
    done = smelt(root, "build", "--keep-going")
    assert done.returncode == 1
    assert told.read_text().split() == ["staged"]
    assert "failed to build 'libcalc'" in done.stderr
    assert "failed to build 'calc-headers'" in done.stderr


COMPILED = """\
recipe:
  name: tool
  version: "1.0"
source:
  path: .
outputs:
  - staging:
      name: tool-build
    build:
      script:
        - make
  - package:
      name: a-tool
    inherit: tool-build
    build:
      script: [make, "make install"]
  - package:
      name: another-and-much-longer-tool
    inherit: tool-build
    build:
      script: [make, "make install"]
"""

MAKEFILE = """\
.RECIPEPREFIX = >
where: where.c where.txt
> echo compiled >> TOLD
> cc -g -o $@ where.c -DPREFIX='"$(PREFIX)"' -DWORK='"$(CURDIR)/where.txt"'
where.txt:
> echo $(CURDIR) > $@
install: where
> mkdir -p $(PREFIX)/bin $(PREFIX)/share
> cp where $(PREFIX)/bin/$(PKG_NAME)
> ./where > $(PREFIX)/share/$(PKG_NAME).txt
> cat where.txt >> $(PREFIX)/share/$(PKG_NAME).txt
"""


@pytest.mark.skipif(shutil.which("cc") is None or shutil.which("make") is None, reason="no C compiler, or no make")
def test_what_was_compiled_elsewhere_is_at_home(root: Path) -> None:
    """Make finds nothing to do, and the paths in text and in binaries are those of the inheriting build."""
    told = root.parent / "told.txt"
    (root / "calc" / "recipe.yaml").write_text(COMPILED)
    (root / "calc" / "Makefile").write_text(MAKEFILE.replace("TOLD", str(told)))
    (root / "calc" / "where.c").write_text(
        '#include <stdio.h>\nint main(void) { puts(PREFIX); puts(WORK); return fopen(WORK, "r") == 0; }\n'
    )
    names = ("a-tool", "another-and-much-longer-tool")
    manifest(
        root,
        [(root.parent / "channel").as_uri()],
        "[dependencies]\n" + "".join(f'{name} = {{ path = "calc" }}\n' for name in names),
    )
    done = smelt(root, "install")
    assert done.returncode == 0, done.stderr
    assert told.read_text().split() == ["compiled"]
    prefix = root / ".pixi" / "envs" / "default"
    for name in names:
        lines = (prefix / "share" / f"{name}.txt").read_text().splitlines()
        assert lines[0] == str(prefix)
        assert lines[2] == f"/smelt/build/bld/rattler-build_{name}/work"
    done = smelt(root, "build", "--verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(told.read_text().split()) == 2
