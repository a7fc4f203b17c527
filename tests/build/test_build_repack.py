"""What differs only in what a package says of itself: it is repacked, bit for bit what a whole build gives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from build_kit import Recorder, build, node, render, write_source

from smelt.archive import read_conda
from smelt.build.store import Store

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(os.name != "posix", reason="the build scripts are for a POSIX shell"),
]

RECIPE = """
package: {name: hello, version: 1.2.3}
source: {path: .}
build:
  number: 3
  script:
    - mkdir -p $PREFIX/share $PREFIX/bin
    - cp a.txt $PREFIX/share/
    - ln -s a.txt $PREFIX/share/b.txt
    - 'printf "#!/bin/sh\\necho $PREFIX\\n" > $PREFIX/bin/hello'
    - chmod +x $PREFIX/bin/hello
    - echo $PKG_BUILD_STRING $PKG_HASH > $PREFIX/share/which
requirements: {run: [one]}
about: {license: MIT, license_file: LICENSE, summary: before}
"""

CHANGES = {
    "another requirement": ("run: [one]", "run: [one, two >=2]"),
    "no requirement": ("run: [one]", "run: []"),
    "a constraint": ("run: [one]", "run: [one], run_constraints: [three <3]"),
    "run-exports": ("run: [one]", "run: [one], run_exports: [hello >=1]"),
    "all kinds of run-exports": (
        "run: [one]",
        "run: [one], run_exports: {strong: [a], weak: [b], noarch: [d], weak_constraints: [f]}",
    ),
    "a summary": ("summary: before", "summary: after, homepage: 'https://hello.example', description: long"),
    "a licence": ("license: MIT", "license: Apache-2.0"),
    "extra": ("about:", "extra: {maintainers: [me]}\nabout:"),
    "nothing to say": ("license: MIT, license_file: LICENSE, summary: before", "license_file: LICENSE"),
}

OTHERWISE = {
    "a licence file": ("license_file: LICENSE", "license_file: [LICENSE, a.txt]"),
    "the build number": ("number: 3", "number: 4"),
    "the script": ("cp a.txt", "cp -p a.txt"),
    "another file name": ("name: hello", "name: hallo"),
    "a check of links": ("run: [one]", "run: [two]"),
}


def source(folder: Path) -> Path:
    return write_source(folder, {"a.txt": "hello", "LICENSE": "do what you want"})


KINDS = [
    *(("", name) for name in CHANGES),
    *(
        (f"noarch: {kind}", name)
        for kind in ("generic", "python")
        for name in ("a licence", "all kinds of run-exports")
    ),
]


@pytest.mark.parametrize(("kind", "name"), KINDS)
def test_repacked_is_built(name: str, kind: str, tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    text = RECIPE
    if kind:
        # symbolic links are nothing for every system
        text = text.replace("    - ln -s a.txt $PREFIX/share/b.txt\n", "")
        text = text.replace("  number: 3", f"  number: 3\n  {kind}")
    before = node(render(text, folder)[0], folder)
    after = node(render(text.replace(*CHANGES[name]), folder)[0], folder)
    assert before.key != after.key
    assert before.content == after.content
    build([before], tmp_path)
    recorder = Recorder()
    repacked = build([after], tmp_path, recorder)[after.key]
    assert repacked.built
    assert repacked.repacked
    assert repacked.log.read_text().startswith(f"repacked: the files are those of build {before.key}")
    whole = build([after], tmp_path, rebuild=frozenset({"hello"}))[after.key]
    assert not whole.repacked
    assert repacked.record == whole.record
    elsewhere = build([after], tmp_path / "elsewhere")[after.key]
    assert elsewhere.record.sha256 == whole.record.sha256


@pytest.mark.parametrize("name", list(OTHERWISE))
def test_what_changes_files_is_built(name: str, tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    text = RECIPE
    if name == "a check of links":
        text = text.replace("  number: 3", "  number: 3\n  dynamic_linking: {overlinking_behavior: error}")
    before = node(render(text, folder)[0], folder)
    after = node(render(text.replace(*OTHERWISE[name]), folder)[0], folder)
    assert before.content != after.content


def test_of_builds_with_the_same_files_at_once_one_compiles(tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    texts = [RECIPE.replace("cp a.txt", "sleep 0.5; cp a.txt").replace("[one]", each) for each in ("[a]", "[b]", "[c]")]
    nodes = [node(render(text, folder)[0], folder) for text in texts]
    assert len({each.key for each in nodes}) == 3
    assert len({each.content for each in nodes}) == 1
    recorder = Recorder()
    found = build(nodes, tmp_path, recorder, jobs=3)
    assert sorted(artifact.repacked for artifact in found.values()) == [False, True, True]
    assert ("waiting", "hello") in recorder.events
    whole = build(nodes, tmp_path / "elsewhere", repacks=False, jobs=3)
    assert {key: each.record.sha256 for key, each in found.items()} == {
        key: each.record.sha256 for key, each in whole.items()
    }


def test_a_damaged_build_is_not_repacked(tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    before = node(render(RECIPE, folder)[0], folder)
    after = node(render(RECIPE.replace("run: [one]", "run: [two]"), folder)[0], folder)
    built = build([before], tmp_path)[before.key]
    stat = built.path.stat()
    data = bytearray(built.path.read_bytes())
    data[len(data) // 2] ^= 1
    built.path.write_bytes(bytes(data))
    os.utime(built.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert Store(tmp_path / "store").same_files(after) is None
    made = build([after], tmp_path)[after.key]
    assert not made.repacked
    assert {member.name for member in read_conda(made.path).files} >= {"share/a.txt", "bin/hello"}


def test_repacked_from_repacked(tmp_path: Path) -> None:
    folder = source(tmp_path / "source")
    nodes = [node(render(RECIPE.replace("[one]", f"[{name}]"), folder)[0], folder) for name in ("one", "two", "six")]
    for each in nodes:
        (artifact,) = build([each], tmp_path).values()
        assert artifact.repacked == (each is not nodes[0])
    assert artifact.record.depends == ("six",)
    assert artifact.log.read_text().count("repacked: ") == 1
