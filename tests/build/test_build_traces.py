"""What would tell one build from another: names of temporary files, paths in digits, scripts made at installation.

Real releases, each built twice under conditions that have nothing in common: ``examples/reproducibility/check.py``.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from build_kit import build, node, render, write_source

from smelt.archive import CondaArchive, Member, read_conda, write_conda
from smelt.build.environment import PathSubstitute, provide_customization
from smelt.build.normalise import NormalRequest, normalise
from spine_kit import posix

REPOSITORY = Path(__file__).resolve().parents[2]


def written(folder: Path, index: int, files: dict[str, bytes], **more: object) -> dict[str, bytes]:
    """The files of a normalised package whose build was in ``/build/<index>``."""
    described = {"name": "p", "version": "1", "build": "0", "build_number": 0, "subdir": "noarch", **more}
    info = {
        "info/index.json": described,
        "info/about.json": {},
        "info/paths.json": {"paths": [{"_path": name} for name in files]},
    }
    archive, target = folder / f"{index}.conda", folder / f"p-1-{index}.conda"
    members = tuple(Member(name=name, data=data) for name, data in files.items())
    about = tuple(Member(name=name, data=json.dumps(data).encode()) for name, data in info.items())
    write_conda(archive, CondaArchive(files=members, info=about), mtime=0)
    path = PathSubstitute(path=b"/build/%d" % index, in_text=b"/fixed", in_binary=b"/fixed_0")
    normalise(
        NormalRequest(archive=archive, target=target, paths=(path, path.in_hexadecimal()), timestamp=1_577_836_800)
    )
    return {member.name: member.data for member in read_conda(target).files}


def test_paths_in_hexadecimal_digits(tmp_path: Path) -> None:
    """As in uWSGI, which keeps the flags of its compiler that way."""
    text, binary = (
        [written(tmp_path, index, {"flags": (b"-I/build/%d/include" % index).hex().encode() + end}) for index in (1, 2)]
        for end in (b"\n", b"\0")
    )
    assert text[0] == text[1] == {"flags": b"-I/fixed/include".hex().encode() + b"\n"}
    assert binary[0] == binary[1] == {"flags": b"-I/fixed_0/include".hex().encode() + b"\0"}


def test_scripts_that_the_installation_makes_have_no_hash(tmp_path: Path) -> None:
    """pip wrote them for the prefix of the build; the package has their entry points."""
    record = "site-packages/p-1.dist-info/RECORD"
    rows = []
    for index in (1, 2):
        text = f"../../../bin/p,sha256={index},{index}\np.py,sha256=x,9\np-1.dist-info/RECORD,,\n"
        files = {"site-packages/p.py": b"one = 1\n", record: text.encode()}
        found = written(tmp_path, index, files, noarch="python")
        rows.append(list(csv.reader(found[record].decode().splitlines())))
    assert rows[0] == rows[1]
    assert rows[0][0] == ["../../../bin/p", "", ""]
    assert rows[0][2][0] == "p.py"
    assert rows[0][2][2] == "8"


NAMES = "import tempfile as t; print(t.mkdtemp(prefix='a-'), t.mkstemp()[1], t.mkdtemp(prefix='a-'), sep='\\n')"


def test_names_of_temporary_files_are_no_surprise(tmp_path: Path) -> None:
    provide_customization(tmp_path / "python")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "sitecustomize.py").write_text("import os\nos.environ['SEEN'] = 'yes'\n")
    (tmp_path / "t" / "a-00000001").mkdir(parents=True)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COV")},
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "python"), str(tmp_path / "more")]),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(tmp_path / "t")),
    }
    command = [sys.executable, "-c", f"{NAMES}; import os; print(os.environ['SEEN'])"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    names = [Path(line).name for line in done.stdout.split()]
    # one that is taken is skipped, and what else customizes this Python still does
    assert names == ["a-00000002", "tmp00000003", "a-00000004", "yes"]


@posix
def test_builds_see_them(tmp_path: Path) -> None:
    command = f'"{sys.executable}" -c "{NAMES}"'.replace("\\n", "\\\\n")
    lines = ["mkdir -p $PREFIX/share", f"{command} > $PREFIX/share/names.txt"]
    text = json.dumps({"package": {"name": "names", "version": "1"}, "build": {"script": lines}})
    source = write_source(tmp_path / "source", {"empty.txt": ""})
    one = node(render(text, source)[0], source)
    artifact = build([one], tmp_path)[one.key]
    names = next(member for member in read_conda(artifact.path).files if member.name == "share/names.txt")
    assert [Path(line).name for line in names.data.decode().split()] == ["a-00000001", "tmp00000002", "a-00000003"]
    assert names.data.startswith(b"/smelt/build/t/a-")


@posix
@pytest.mark.network
@pytest.mark.build
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")
def test_real_releases_built_twice(tmp_path: Path) -> None:
    """Three of them; all are built by hand, see docs/explanation/reproducibility.md."""
    script = REPOSITORY / "examples" / "reproducibility" / "check.py"
    # a short folder: the path of the second place is long on purpose
    command = [sys.executable, str(script), str(tmp_path), "--only", "idna", "markupsafe", "frozenlist"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same bytes, all of them" in done.stdout
    assert done.stdout.count("   (the same)") <= 4, done.stdout
