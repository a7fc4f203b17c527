"""Traces in binary formats, bytecode, and the archive format under them."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smelt.archive import ArchiveError, CondaArchive, Member, read_conda, write_conda
from smelt.build.binary import without_traces
from smelt.build.bytecode import compile_modules, is_bytecode
from smelt.build.environment import PREFIX_LENGTH, build_prefix, canonical_paths, host_prefix, output_folder
from smelt.types import sha256_file

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no gcc")


# --- binary formats --------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_anything_is_given_back_in_its_length(data: bytes) -> None:
    for head in (b"", b"\x1f\x8b\x08", b"!<arch>\n", b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01"):
        cleaned = without_traces(head + data)
        assert len(cleaned) == len(head + data)
        assert without_traces(cleaned) == cleaned


@given(st.binary(max_size=100), st.integers(0, 2**32 - 1))
def test_gzip_without_its_time(data: bytes, mtime: int) -> None:
    packed = gzip.compress(data, mtime=mtime)
    assert without_traces(packed) == packed[:4] + bytes(4) + packed[8:]
    assert gzip.decompress(without_traces(packed)) == data


@needs_gcc
def test_static_libraries(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text("int a(void) { return 42; }\n")
    (tmp_path / "main.c").write_text("int a(void); int main(void) { return a() == 42 ? 0 : 1; }\n")
    long_name = "an_object_with_a_rather_long_name.o"
    subprocess.run(["gcc", "-c", "a.c", "-o", long_name], cwd=tmp_path, check=True)
    libraries = []
    for index, times in enumerate(((1, 1), (2_000_000_000, 2_000_000_000))):
        import os

        os.utime(tmp_path / long_name, times)
        (tmp_path / long_name).chmod(0o600 if index else 0o644)
        subprocess.run(["ar", "rcsU", f"lib{index}.a", long_name], cwd=tmp_path, check=True)
        libraries.append((tmp_path / f"lib{index}.a").read_bytes())
    assert libraries[0] != libraries[1]
    cleaned = without_traces(libraries[0])
    assert cleaned == without_traces(libraries[1])
    (tmp_path / "libclean.a").write_bytes(cleaned)
    subprocess.run(["gcc", "main.c", "libclean.a", "-o", "main"], cwd=tmp_path, check=True)
    subprocess.run([tmp_path / "main"], check=True)


@needs_gcc
def test_the_build_id_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text('#include <stdio.h>\nint main(void) { puts("fine"); return 0; }\n')
    ids = []
    for identity in ("0x" + "11" * 20, "0x" + "22" * 20):
        subprocess.run(["gcc", "main.c", f"-Wl,--build-id={identity}", "-o", "main"], cwd=tmp_path, check=True)
        ids.append((tmp_path / "main").read_bytes())
    assert ids[0] != ids[1]
    cleaned = without_traces(ids[0])
    assert cleaned == without_traces(ids[1])
    assert b"\x11" * 20 not in cleaned
    (tmp_path / "main").write_bytes(cleaned)
    assert subprocess.run([tmp_path / "main"], capture_output=True, check=True).stdout == b"fine\n"


# --- bytecode --------------------------------------------------------------------------------------------------------


def test_bytecode_is_the_same_anywhere(tmp_path: Path) -> None:
    members = [
        Member(name="lib/site/pkg/__init__.py", data=b"X = {'a', 'b', 'c'}\n\ndef f():\n    return X\n"),
        Member(name="lib/site/pkg/prefixed.py", data=b"P = '/smelt/host_env'\n"),
        Member(name="lib/site/pkg/template.py", data=b"{% not python %}\n"),
        Member(name="lib/site/pkg/skipped.py", data=b"x = 1\n"),
        Member(name="bin/script.py", data=b"x = 1\n"),
        Member(name="lib/site/pkg/data.txt", data=b"x = 1\n"),
    ]
    found = []
    for place in ("one", "two"):
        compiled, complaints = compile_modules(
            members,
            interpreter=Path(sys.executable),
            scratch=tmp_path / place,
            environment={"PYTHONHASHSEED": "0"},
            excluded=["**/skipped.py"],
            unsuited=frozenset({"lib/site/pkg/prefixed.py"}),
        )
        found.append(compiled)
        assert len(complaints) == 1
        assert complaints[0].startswith("lib/site/pkg/template.py: ")
    assert found[0] == found[1]
    assert [member.name for member in found[0]] == [
        f"lib/site/pkg/__pycache__/__init__.{sys.implementation.cache_tag}.pyc"
    ]
    data = found[0][0].data
    assert int.from_bytes(data[4:8], "little") == 1  # PEP 552: by hash, unchecked
    assert b"lib/site/pkg/__init__.py" in data
    assert str(tmp_path).encode() not in data


def test_what_bytecode_is() -> None:
    names = frozenset({"a/m.py", "a/__pycache__/m.cpython-312.pyc", "a/__pycache__/gone.cpython-312.pyc", "a/old.pyc"})
    assert [name for name in sorted(names) if is_bytecode(name, names)] == ["a/__pycache__/m.cpython-312.pyc"]


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="paths are not padded on Windows")
@given(st.integers(1, 180), st.integers(1, 60))
def test_paths_have_one_length(depth: int, length: int) -> None:
    work, name = Path("/" + "w" * depth), "n" * length
    try:
        output = output_folder(work, name)
    except ValueError:
        assert depth + length > 200
        return
    assert len(str(output / "bld" / f"rattler-build_{name}")) == (192 if depth + length <= 169 else 224)
    prefix = host_prefix(output, name)
    assert len(str(prefix)) == PREFIX_LENGTH
    assert build_prefix(output, name).is_relative_to(output)
    for each in canonical_paths(output, prefix):
        assert each.in_binary is not None
        assert len(each.in_binary) == len(each.path)


# --- archives --------------------------------------------------------------------------------------------------------

_names = st.lists(st.text("abcé_-.x", min_size=1, max_size=130), min_size=1, max_size=4).map("/".join)
_members = st.builds(
    lambda name, data, link, executable: Member(
        name=name, data=b"" if link else data, link=link, executable=executable and link is None
    ),
    _names.filter(lambda name: not set(name.split("/")) & {".", ".."}),
    st.binary(max_size=2000),
    st.none() | st.text("abc/.", min_size=1, max_size=120),
    st.booleans(),
)


@given(st.lists(_members, max_size=6, unique_by=lambda member: member.name), st.integers(0, 2_000_000_000))
def test_archives_round_trip_with_equal_bytes(members: list[Member], mtime: int) -> None:
    import tempfile

    info = (Member(name="info/index.json", data=b"{}"),)
    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "a-1-0.conda", Path(folder) / "b" / "a-1-0.conda"
        again.parent.mkdir()
        write_conda(path, CondaArchive(files=tuple(members), info=info), mtime=mtime)
        found = read_conda(path)
        assert sorted(found.files, key=lambda m: m.name) == sorted(members, key=lambda m: m.name)
        write_conda(again, CondaArchive(files=found.files[::-1], info=found.info), mtime=mtime)
        assert sha256_file(path) == sha256_file(again)


def test_rattler_reads_what_is_written(tmp_path: Path) -> None:
    from rattler.package_streaming import extract

    path = tmp_path / "a-1-0.conda"
    files = (
        Member(name="bin/run", data=b"#!/bin/sh\n", executable=True),
        Member(name="bin/link", link="run"),
        Member(name="share/" + "long" * 40, data=b"x"),
        Member(name="share/ünï", data=b"y"),
    )
    write_conda(path, CondaArchive(files=files, info=(Member(name="info/index.json", data=b"{}"),)), mtime=1)
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/bin/link").read_text() == "#!/bin/sh\n"
    assert (tmp_path / "out/bin/run").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "out/share/ünï").read_text() == "y"


@pytest.mark.parametrize("size", [0, 1, 50, 200])
def test_damaged_archives(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a-1-0.conda"
    write_conda(path, CondaArchive(files=(), info=(Member(name="info/index.json", data=b"{}"),)), mtime=1)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ArchiveError, match="not a conda package"):
        read_conda(path)


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../outside"])
def test_members_outside_the_prefix(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a-1-0.conda"
    write_conda(path, CondaArchive(files=(Member(name=name),), info=(Member(name="info/x"),)), mtime=1)
    with pytest.raises(ArchiveError, match="outside the prefix"):
        read_conda(path)


def test_other_damage(tmp_path: Path) -> None:
    path = tmp_path / "a-1-0.conda"
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("info-a-1-0.tar.zst", b"not zstandard")
    with pytest.raises(ArchiveError, match="damaged"):
        read_conda(path)
    with zipfile.ZipFile(path, "w") as container:
        container.writestr("metadata.json", b"{}")
    with pytest.raises(ArchiveError, match="describes nothing"):
        read_conda(path)
    write_conda(path, CondaArchive(files=(Member(name="a"), Member(name="a")), info=(Member(name="i"),)), mtime=1)
    with pytest.raises(ArchiveError, match="twice"):
        read_conda(path)
