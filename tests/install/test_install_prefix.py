"""Installing, changing, repairing prefixes with real packages."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from install_kit import SUBDIR, Link, assert_exact, make_package, present_files, request_for, run

from smelt.errors import InstallError
from smelt.install.cache_entry import entry_problem
from smelt.install.prefix import install
from smelt.install.request import InstallResult, SilentReporter
from smelt.install.state import is_current, marker_path, read_fingerprint, watched_paths
from smelt.install.verify import verify
from smelt.types import CondaRecord


def _found(root: Path) -> dict[Path, tuple[int, ...]]:
    """What a write changes of all that is below ``root``: not the access times, which a look at a folder moves."""
    states = {path: path.lstat() for path in root.rglob("*")}
    return {
        path: (each.st_mode, each.st_ino, each.st_nlink, each.st_size, each.st_mtime_ns, each.st_ctime_ns)
        for path, each in states.items()
    }


def test_installs_and_then_touches_nothing(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    result = run(request)
    assert result.changed and result.linked == ("data", "other", "tool") and result.repaired is None
    assert_exact(request)
    assert f"echo {request.prefix}/share" in (request.prefix / "bin/tool").read_text()
    assert is_current(request.prefix, request.digest)
    before = _found(request.prefix)
    assert run(request) == InstallResult(prefix=request.prefix, digest=request.digest, changed=False)
    assert _found(request.prefix) == before


def test_a_prefix_that_is_right_is_known_without_rattler(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from smelt.install.state import is_current\n"
        f"assert is_current(Path({str(request.prefix)!r}), {request.digest!r})\n"
        "assert 'rattler' not in sys.modules and 'asyncio' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_writes_what_the_reference_expects(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    meta = request.prefix / "conda-meta"
    assert (tmp_path / ".pixi/.gitignore").read_text() == "*\n!config.toml\n"
    assert (tmp_path / ".pixi/.condapackageignore").read_text() == ".pixi\n!.pixi/config.toml\n"
    assert (meta / "pixi_env_prefix").read_text() == str(meta)
    assert (meta / "history").is_file()
    described = json.loads((meta / "pixi").read_text())
    assert described["environment_name"] == "default"
    assert described["manifest_path"] == str(tmp_path / "pixi.toml")
    assert described["resolved_platform"]["subdir"] == SUBDIR
    fingerprint = (meta / ".pixi-environment-fingerprint").read_text()
    assert len(fingerprint) == 16 and int(fingerprint, 16) >= 0


def test_changes_to_other_packages(tmp_path: Path, channel: Path, tools: tuple[CondaRecord, ...]) -> None:
    run(request_for(tmp_path, *tools))
    newer = make_package(channel, "other", "3.0", files={"share/new.txt": b"new"})
    request = request_for(tmp_path, tools[0], newer)
    stamps = [path.stat().st_mtime_ns for path in watched_paths(request.prefix)]
    result = run(request)
    assert result.linked == ("other",) and result.removed == ("data",)
    assert_exact(request)
    assert [path.stat().st_mtime_ns for path in watched_paths(request.prefix)] != stamps
    empty = request_for(tmp_path)
    assert run(empty).removed == ("other", "tool")
    assert_exact(empty)


def test_the_same_file_name_with_other_content_is_installed(tmp_path: Path, channel: Path) -> None:
    first = make_package(channel, "mine", files={"share/x": b"first"})
    request = request_for(tmp_path, first)
    run(request)
    second = make_package(channel, "mine", files={"share/x": b"second"})
    assert second.url == first.url and second.sha256 != first.sha256
    request = request_for(tmp_path, second)
    assert run(request).linked == ("mine",)
    assert (request.prefix / "share/x").read_bytes() == b"second"
    other = request_for(tmp_path, second, environment="fresh")
    run(other)
    assert (other.prefix / "share/x").read_bytes() == b"second"


def test_a_cache_entry_without_a_hash_is_not_believed(tmp_path: Path, channel: Path) -> None:
    first = make_package(channel, "mine", files={"share/x": b"first"})
    run(request_for(tmp_path, first))
    (tmp_path / "cache/pkgs/mine-1.0-0.lock").write_bytes((1).to_bytes(8, "big"))
    second = make_package(channel, "mine", files={"share/x": b"second"})
    request = request_for(tmp_path, second, environment="fresh")
    run(request)
    assert (request.prefix / "share/x").read_bytes() == b"second"


def test_an_entry_whose_replacement_was_cut_off_is_not_believed(tmp_path: Path, channel: Path) -> None:
    """rattler records the new hash first and replaces the folder later: a kill in between leaves this."""
    run(request_for(tmp_path, make_package(channel, "mine", files={"share/x": b"first"})))
    second = make_package(channel, "mine", files={"share/x": b"second"})
    time.sleep(0.02)
    lock = tmp_path / "cache/pkgs/mine-1.0-0.lock"
    lock.write_bytes((2).to_bytes(8, "big") + bytes.fromhex(second.sha256 or ""))
    request = request_for(tmp_path, second, environment="fresh")
    run(request)
    assert (request.prefix / "share/x").read_bytes() == b"second"


@pytest.mark.parametrize("damage", ["truncated", "edited", "removed", "no index", "no paths", "no folder"])
def test_a_damaged_cache_entry_is_healed(tmp_path: Path, channel: Path, damage: str) -> None:
    record = make_package(channel, "mine", files={"share/x": b"x" * 100, "bin/y": b"y"})
    run(request_for(tmp_path, record))
    shutil.rmtree(tmp_path / ".pixi")
    entry = tmp_path / "cache/pkgs/mine-1.0-0"
    match damage:
        case "truncated":
            os.truncate(entry / "share/x", 50)
        case "edited":
            time.sleep(0.02)
            (entry / "share/x").write_bytes(b"z" * 100)
        case "removed":
            (entry / "bin/y").unlink()
        case "no index":
            (entry / "info/index.json").write_text("{")
        case "no paths":
            (entry / "info/paths.json").unlink()
        case _:
            shutil.rmtree(entry)
    assert entry_problem(tmp_path / "cache", record) is not None
    request = request_for(tmp_path, record)
    run(request)
    assert_exact(request)
    assert entry_problem(tmp_path / "cache", record, thorough=True) is None


def test_an_edited_environment_does_not_spoil_the_next_one(tmp_path: Path, channel: Path) -> None:
    """Files are hard links into the cache: what a user edits in one environment must not reach another."""
    record = make_package(channel, "mine", files={"share/x": b"x" * 100})
    run(request_for(tmp_path, record))
    time.sleep(0.02)
    (tmp_path / ".pixi/envs/default/share/x").write_bytes(b"e" * 100)
    second = request_for(tmp_path, record, environment="second")
    run(second)
    assert (second.prefix / "share/x").read_bytes() == b"x" * 100
    assert (tmp_path / ".pixi/envs/default/share/x").read_bytes() == b"e" * 100


DAMAGES = {
    "file missing": lambda p: (p / "share/x").unlink(),
    "file truncated": lambda p: _replace(p / "share/x", b"short"),
    "file edited": lambda p: _replace(p / "share/x", b"e" * 100),
    "file became folder": lambda p: ((p / "share/x").unlink(), (p / "share/x/sub").mkdir(parents=True)),
    "folder became file": lambda p: (shutil.rmtree(p / "share/deep"), (p / "share/deep").write_text("?")),
    "link became file": lambda p: ((p / "lib/l").unlink(), (p / "lib/l").write_text("?")),
    "link points elsewhere": lambda p: ((p / "lib/l").unlink(), (p / "lib/l").symlink_to("/nowhere")),
    "record missing": lambda p: next((p / "conda-meta").glob("mine*.json")).unlink(),
    "record truncated": lambda p: os.truncate(next((p / "conda-meta").glob("mine*.json")), 30),
    "record twice": lambda p: shutil.copy(
        next((p / "conda-meta").glob("mine*.json")), p / "conda-meta" / "mine-0.9-0.json"
    ),
    "foreign record": lambda p: (p / "conda-meta" / "foreign-1-0.json").write_text("{}"),
    "marker missing": lambda p: marker_path(p).unlink(),
    "marker truncated": lambda p: os.truncate(marker_path(p), 10),
    "everything but conda-meta gone": lambda p: [shutil.rmtree(p / d) for d in ("share", "lib")],
    "conda-meta gone": lambda p: shutil.rmtree(p / "conda-meta"),
}


def _replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


@pytest.mark.parametrize("asked", ["verify", "look", "look twice"])
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_is_repaired(tmp_path: Path, channel: Path, kind: str, asked: str) -> None:
    files = {"share/x": b"x" * 100, "share/deep/er/y": b"y", "lib/l.1": b"l", "lib/l": Link("l.1")}
    records = (make_package(channel, "mine", files=files), make_package(channel, "other"))
    request = request_for(tmp_path, *records, **{asked.partition(" ")[0]: True})
    for _ in asked.split():  # the second time, the files are compared with what was seen the first time
        run(request)
    DAMAGES[kind](request.prefix)
    run(request)
    assert_exact(request)
    assert is_current(request.prefix, request.digest)
    assert run(request).changed is False


def test_a_look_tells_what_was_repaired_and_passes_bytecode(tmp_path: Path, channel: Path) -> None:
    files = {"lib/m.py": b"a = 1", "lib/__pycache__/m.pyc": b"compiled"}
    request = request_for(tmp_path, make_package(channel, "mine", files=files), look=True)
    run(request)
    for _ in range(2):
        _replace(request.prefix / "lib/__pycache__/m.pyc", b"compiled again")
        assert run(request).changed is False
        _replace(request.prefix / "lib/m.py", b"a = 2")
        assert run(request).repaired == "lib/m.py was changed (mine)"
        assert run(request).changed is False


def test_a_link_out_of_the_prefix_is_cut_and_what_it_points_to_stays(tmp_path: Path, channel: Path) -> None:
    record = make_package(channel, "mine", files={"share/deep/x": b"x"})
    request = request_for(tmp_path, record, verify=True)
    run(request)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_bytes(b"precious")
    shutil.rmtree(request.prefix / "share/deep")
    (request.prefix / "share/deep").symlink_to(outside)
    run(request)
    assert (outside / "x").read_bytes() == b"precious"
    assert_exact(request)


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("linked", [".pixi", ".pixi/envs", ".pixi/envs/default"])
def test_a_link_to_something_else_is_not_taken_for_an_environment(
    tmp_path: Path, tools: tuple[CondaRecord, ...], linked: str
) -> None:
    """A workspace that somebody else made may hold a link to any folder of the user."""
    request = request_for(tmp_path, *tools)
    inner = request.prefix.relative_to(tmp_path / linked)
    precious = tmp_path / "precious"
    (precious / inner / "conda-meta").mkdir(parents=True)
    (precious / inner / "conda-meta/numpy-1.0-0.json").write_text("{}")
    (precious / inner / "thesis.txt").write_text("years of work")
    before = _found(precious / inner)
    (tmp_path / linked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / linked).symlink_to(precious)
    with pytest.raises(InstallError) as caught:
        run(request)
    assert caught.value.kind == "environment-link" and str(precious) in caught.value.message
    assert _found(precious / inner) == before
    shutil.rmtree(precious / inner)
    (precious / inner).mkdir()
    assert run(request).changed  # an empty folder is what the user put there for it
    assert run(request_for(tmp_path, *tools[:2])).changed
    assert_exact(request_for(tmp_path, *tools[:2]))


def test_an_unfinished_prefix_is_made_anew(tmp_path: Path, channel: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    marker = json.loads(marker_path(request.prefix).read_text())
    marker_path(request.prefix).write_text(json.dumps({**marker, "status": "installing"}))
    (request.prefix / "lib/orphan.so").write_bytes(b"of a package that has no record")
    result = run(request)
    assert result.repaired is not None and "cut off" in result.repaired
    assert_exact(request)


def test_what_the_reference_left_unfinished_is_made_anew(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    (request.prefix / "conda-meta/.pixi-environment-fingerprint").write_text("pixi:installing!")
    (request.prefix / "lib/orphan.so").write_bytes(b"")
    assert run(request).repaired is not None
    assert_exact(request)


def test_taking_turns_with_the_reference(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    """The reference looks, finds nothing to do and writes its own fingerprint; we look once and keep it."""
    request = request_for(tmp_path, *tools)
    run(request)
    fingerprint = request.prefix / "conda-meta/.pixi-environment-fingerprint"
    fingerprint.write_text("00000000deadbeef")
    assert not is_current(request.prefix, request.digest)
    result = run(request)
    assert result.linked == () and result.removed == ()
    assert read_fingerprint(request.prefix) == "00000000deadbeef"
    assert run(request).changed is False


def test_a_moved_prefix_is_made_anew(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    run(request_for(tmp_path, *tools))
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / ".pixi", tmp_path / "moved/.pixi")
    request = request_for(tmp_path / "moved", *tools, cache=tmp_path / "cache")
    result = run(request)
    assert result.repaired is not None and "moved" in result.repaired
    assert f"echo {request.prefix}/share" in (request.prefix / "bin/tool").read_text()
    assert_exact(request)


def test_reinstall_links_anew(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    _replace(request.prefix / "share/other.txt", b"edited")
    result = run(request_for(tmp_path, *tools, reinstall=frozenset({"other"})))
    assert result.linked == ("other",)
    assert_exact(request)


def test_two_packages_with_one_file(tmp_path: Path, channel: Path) -> None:
    records = [make_package(channel, name, files={"share/same": name.encode()}) for name in ("one", "two", "three")]
    request = request_for(tmp_path, *records, verify=True)
    run(request)
    assert_exact(request)
    assert run(request).changed is False
    fewer = request_for(tmp_path, records[1])
    run(fewer)
    assert (fewer.prefix / "share/same").read_bytes() == b"two"
    assert_exact(fewer)


@pytest.mark.skipif(os.name == "nt", reason="other paths")
def test_pure_python_follows_its_python(tmp_path: Path, channel: Path) -> None:
    pure = make_package(
        channel,
        "pure",
        noarch="python",
        files={"site-packages/pure/__init__.py": b"def main(): ...\n", "python-scripts/pure-script": b"#!/bin/sh\n"},
        entry_points=("pure = pure:main",),
    )
    for version in ("3.12.1", "3.13.0"):
        minor = version.rpartition(".")[0]
        python = make_package(channel, "python", version, files={f"bin/python{minor}": b"#!/bin/sh\n"})
        request = request_for(tmp_path, python, pure)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        result = run(request)
        assert result.linked == ("pure", "python")
        assert_exact(request)
        assert (request.prefix / f"lib/python{minor}/site-packages/pure/__init__.py").is_file()
        assert f"{request.prefix}/bin/python{minor}" in (request.prefix / "bin/pure").read_text()
        assert (request.prefix / "bin/pure-script").is_file()
        assert entry_problem(tmp_path / "cache", pure) is None
    (request.prefix / "bin/pure").unlink()
    assert [str(damage) for damage in verify(request.prefix)] == ["bin/pure is missing (pure)"]


def test_several_environments_at_once_in_one_process(tmp_path: Path, channel: Path) -> None:
    fetched: list[str] = []

    class Counting(SilentReporter):
        def fetching(self, package: str, size: int | None) -> None:
            fetched.append(package)

    records = [make_package(channel, f"p{n}") for n in range(12)]
    requests = [request_for(tmp_path, *records[n:], environment=f"e{n % 3}") for n in range(4)]

    async def all_of_them() -> None:
        await asyncio.gather(*(install(request, Counting()) for request in requests))

    asyncio.run(all_of_them())
    assert len(fetched) == len(set(fetched)) == 12
    for request in requests[1:3]:
        assert_exact(request)
    assert verify(requests[0].prefix) == []


def test_cancelling_leaves_a_whole_environment_or_the_old_one(tmp_path: Path, channel: Path) -> None:
    records = [make_package(channel, f"p{n}") for n in range(30)]
    first = request_for(tmp_path, records[0])
    second = request_for(tmp_path, *records)
    run(first)

    async def cancelled(after: float) -> None:
        task = asyncio.create_task(install(second))
        await asyncio.sleep(after)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for after in (0.001, 0.01, 0.03, 0.06):
        asyncio.run(cancelled(after))
        current = [request for request in (first, second) if is_current(request.prefix, request.digest)]
        assert len(current) == 1
        assert_exact(current[0])
        run(first)


def test_removes_nothing_of_the_user(tmp_path: Path, tools: tuple[CondaRecord, ...]) -> None:
    request = request_for(tmp_path, *tools)
    run(request)
    (request.prefix / "share/mine.txt").write_text("notes")
    run(request_for(tmp_path, tools[0]))
    assert "share/mine.txt" in present_files(request.prefix)
