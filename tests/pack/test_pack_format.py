"""The format, line by line, as pixi-pack 0.7 has it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import stat
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest
from pack_kit import foreign, members, metadata, packed, small_workspace, unpacked, write_tar

from smelt.api.packing import PackOptions, pack
from smelt.api.workspace import Workspace
from smelt.errors import InstallError, PackError, UsageError
from smelt.pack.formats import FORMATS
from spine_kit import OTHER, SUBDIR, posix, tree


def test_entries_are_sorted_owned_by_nobody_and_dated_alike(small_pack: Path) -> None:
    with tarfile.open(small_pack) as tar:
        entries = tar.getmembers()
    names = [entry.name for entry in entries]
    assert names == sorted(names, key=lambda name: name.split("/"))
    assert "." not in names
    assert "" not in names
    assert len({entry.mtime for entry in entries}) == 1
    assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
    assert {oct(entry.mode) for entry in entries if entry.isdir()} == {"0o755"}
    assert {oct(entry.mode) for entry in entries if entry.isfile()} == {"0o644"}
    assert small_pack.read_bytes()[:9] == b"channel/\0"


def test_what_is_in_it(small_pack: Path) -> None:
    names = {name.rsplit("-", 1)[0] if name.endswith(".conda") else name for name in members(small_pack)}
    assert names == {
        f"channel/{SUBDIR}/beta-2.0",
        f"channel/{SUBDIR}/mine-1.0",
        f"channel/{SUBDIR}/outer-1.0",
        f"channel/{SUBDIR}/repodata.json",
        "channel/noarch/alpha-1.0",
        "channel/noarch/repodata.json",
        "environment.yml",
        "pixi-pack.json",
    }  # no `inner`, which is only built with; no `pypi`, as there are no wheels


def test_metadata(small_pack: Path) -> None:
    text = members(small_pack)["pixi-pack.json"].decode()
    data = json.loads(text)
    assert data["version"] == "1"
    assert data["platform"] == SUBDIR
    assert text == json.dumps(data, indent=2)
    assert [key for key in data if key != "smelt"] == ["version", "platform"]


def test_repodata_says_what_the_lock_says(small_pack: Path, small: Workspace) -> None:
    files = members(small_pack)
    for subdir in (SUBDIR, "noarch"):
        data = json.loads(files[f"channel/{subdir}/repodata.json"])
        assert data["info"] == {"subdir": subdir}
        assert data["repodata_version"] == 2
        assert data["packages"] == {}
        for name, record in data["packages.conda"].items():
            assert record["subdir"] == subdir
            assert f"channel/{subdir}/{name}" in files
    lock = small.read_lock()
    assert lock is not None
    locked = next(p for p in lock.packages_of("default", SUBDIR) or () if p.name == "beta")
    data = json.loads(files[f"channel/{SUBDIR}/repodata.json"])["packages.conda"]["beta-2.0-0.conda"]
    assert (data["sha256"], data["depends"]) == (locked.sha256, ["alpha >=1"])  # type: ignore[union-attr]


def test_patches_in_the_lock_win(tmp_path: Path, small: Workspace, shared: Path) -> None:
    shutil.copytree(small.model.root, tmp_path / "ws", ignore=shutil.ignore_patterns(".pixi"))
    lock = tmp_path / "ws" / "pixi.lock"
    text = lock.read_text(encoding="utf-8")
    assert "- alpha >=1\n" in text
    lock.write_text(text.replace("- alpha >=1\n", "- alpha >=1,<9\n"), encoding="utf-8")
    out = tmp_path / "p.tar"
    packed(Workspace.load(tmp_path / "ws"), out)
    data = json.loads(members(out)[f"channel/{SUBDIR}/repodata.json"])
    assert data["packages.conda"]["beta-2.0-0.conda"]["depends"] == ["alpha >=1,<9"]


def test_environment_file(small_pack: Path, small: Workspace) -> None:
    lines = members(small_pack)["environment.yml"].decode().splitlines()
    assert lines[:4] == ["channels:", "  - ./channel", "  - nodefaults", "dependencies:"]
    names = [line.split()[1].split("=")[0] for line in lines[4:]]
    lock = small.read_lock()
    assert lock is not None
    assert names == [package.name for package in lock.packages_of("default", SUBDIR) or ()]
    assert "  - beta=2.0=0" in lines


def test_environment_file_solves_against_the_channel_of_the_pack(small_pack: Path, tmp_path: Path) -> None:
    import rattler

    with tarfile.open(small_pack) as tar:
        tar.extractall(tmp_path, filter="data")
    text = (tmp_path / "environment.yml").read_text(encoding="utf-8")
    parts = [line.removeprefix("  - ").split("=") for line in text.splitlines()[4:]]
    specs = [f"{name} =={version} {build}" for name, version, build in parts]
    channels = [line.removeprefix("  - ") for line in text.splitlines()[1:3]]
    assert channels[1:] == ["nodefaults"]

    def solved() -> list[str]:
        records = asyncio.run(
            rattler.solve(
                sources=[rattler.Channel((tmp_path / channels[0]).resolve().as_uri())],
                specs=specs,
                gateway=rattler.Gateway(),  # remembers nothing of the channel as it was
                platforms=[SUBDIR, "noarch"],  # type: ignore[list-item]
            )
        )
        return sorted(record.name.normalized for record in records)

    assert solved() == ["alpha", "beta", "mine", "outer"]
    index = tmp_path / "channel" / "noarch" / "repodata.json"
    data = json.loads(index.read_bytes())
    assert data["packages.conda"].pop("alpha-1.0-0.conda")
    index.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(rattler.exceptions.SolverError, match="alpha"):  # and not from elsewhere
        solved()


def test_equal_bytes_later_and_from_elsewhere(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every form, from another folder and with another clock; source packages are built again there."""
    forms = [form for form in FORMATS if os.name == "posix" or form in ("tar", "tar.zst", "directory")]
    for form in forms:
        packed(small, tmp_path / "a" / form, format=form)
    root = tmp_path / "elsewhere" / "deep"
    shutil.copytree(small.model.root.parent, root, ignore=shutil.ignore_patterns(".pixi"))
    monkeypatch.setenv("PIXI_CACHE_DIR", str(tmp_path / "cache"))
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 3600)
    for path in root.rglob("*"):
        os.utime(path, (now() + 3600, now() + 3600))
    for form in forms:
        packed(Workspace.load(root / "ws"), tmp_path / "b" / form, format=form)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_equal_bytes_for_any_number_of_threads(
    small: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs: list[bytes] = []
    for number in (1, 2, 7):
        monkeypatch.setattr(os, "cpu_count", lambda number=number: number)
        packed(small, tmp_path / f"{number}.tar.zst")
        outputs.append((tmp_path / f"{number}.tar.zst").read_bytes())
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize("form", list(FORMATS))
def test_every_form_unpacks(
    form: str, small: Workspace, untouched: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if FORMATS[form].default.endswith((".sh", ".ps1")) or form.startswith("oci"):
        pytest.skip("has tests of its own")
    source = packed(small, tmp_path_factory.mktemp("form") / FORMATS[form].default, format=form).output
    assert source is not None
    result = unpacked(source, untouched)
    assert result.prefix == untouched / "env"
    assert (result.prefix / "share" / "mine.txt").read_text(encoding="utf-8") == "mine 1.0\n"
    assert (result.prefix / "share" / "outer.txt").is_file()
    assert (result.prefix / "conda-meta" / "history").is_file()
    assert {path.name for path in untouched.iterdir()} == {"env", *(script.name for script in result.scripts)}


def test_zst_is_a_tar(small: Workspace, small_pack: Path, tmp_path: Path) -> None:
    import zstandard

    packed(small, tmp_path / "p.tar.zst")
    with (tmp_path / "p.tar.zst").open("rb") as file:
        plain = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert plain == small_pack.read_bytes()


def test_a_pack_of_pixi_pack_is_taken(small_pack: Path, tmp_path: Path, untouched: Path) -> None:
    result = unpacked(foreign(small_pack, tmp_path / "theirs.tar"), untouched)
    assert (result.prefix / "share" / "mine.txt").is_file()
    assert result.warnings == ()
    (tmp_path / "theirs.tar").unlink()


def changed_metadata(small_pack: Path, target: Path, **values: object) -> Path:
    data = {"version": "1", "pixi-pack-version": "0.7.10", "platform": SUBDIR, **values}
    text = json.dumps({key: value for key, value in data.items() if value is not None}).encode()
    return foreign(small_pack, target, **{"pixi-pack.json": text})


@pytest.mark.parametrize(
    ("values", "code", "words"),
    [
        ({"version": "v0"}, "pack-version", "unsupported pixi-pack version: v0"),
        ({"version": 1}, "pack-metadata", "no text"),
        ({"version": None}, "pack-metadata", "missing"),
        ({"platform": OTHER}, "pack-platform", "created for a different platform"),
        ({"platform": "linux64"}, "pack-metadata", "no platform"),
        ({"more": 1}, "pack-metadata", "more"),
    ],
)
def test_metadata_that_is_refused(
    values: dict[str, object], code: str, words: str, small_pack: Path, tmp_path_factory: pytest.TempPathFactory,
    untouched: Path,
) -> None:  # fmt: skip
    source = changed_metadata(small_pack, tmp_path_factory.mktemp("m") / "p.tar", **values)
    with pytest.raises(PackError, match=words) as caught:
        unpacked(source, untouched)
    assert caught.value.kind == code
    assert not untouched.exists()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]"])
def test_metadata_missing_or_empty(
    content: bytes | None, small_pack: Path, tmp_path_factory: pytest.TempPathFactory, untouched: Path
) -> None:
    source = foreign(small_pack, tmp_path_factory.mktemp("m") / "p.tar", **{"pixi-pack.json": content})
    with pytest.raises(PackError) as caught:
        unpacked(source, untouched)
    assert caught.value.kind == "pack-metadata"
    assert not untouched.exists()


def test_another_pixi_pack_warns(small_pack: Path, tmp_path: Path) -> None:
    source = changed_metadata(small_pack, tmp_path / "p.tar", **{"pixi-pack-version": "0.1.2"})
    assert "different version of pixi-pack: 0.1.2" in unpacked(source, tmp_path / "out").warnings[0]
    source = changed_metadata(small_pack, tmp_path / "p.tar", **{"pixi-pack-version": None})
    assert unpacked(source, tmp_path / "out").warnings == ()


def test_foreign_platform_has_exactly_the_locked_files(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path, (SUBDIR, OTHER), '\n[dependencies]\nbeta = "*"\n')
    out = tmp_path / "p.tar"
    packed(workspace, out, platform=OTHER)
    assert set(members(out)) == {
        f"channel/{OTHER}/beta-2.0-0.conda",
        f"channel/{OTHER}/repodata.json",
        "channel/noarch/alpha-1.0-0.conda",
        "channel/noarch/repodata.json",
        "environment.yml",
        "pixi-pack.json",
    }
    assert metadata(out)["platform"] == OTHER
    with pytest.raises(PackError, match="different platform"):
        unpacked(out, tmp_path / "out")


def test_source_packages_of_a_foreign_platform(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path, (SUBDIR, OTHER))
    with pytest.raises(PackError, match=f"cannot be built for {OTHER} on this machine") as caught:
        packed(workspace, tmp_path / "p.tar", platform=OTHER)
    assert caught.value.kind == "pack-foreign-build"
    assert not (tmp_path / "p.tar").exists()


def test_a_folder_is_brought_up_to_date(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    out = tmp_path / "folder"
    packed(workspace, out, format="directory")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.conda")}
    assert packed(workspace, out, format="directory").size > 0
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path in before} == before
    (tmp_path / "ws" / "mine" / "recipe.yaml").write_text(
        (tmp_path / "ws" / "mine" / "recipe.yaml").read_text(encoding="utf-8").replace("1.0", "1.1"), encoding="utf-8"
    )
    changed = Workspace.load(tmp_path / "ws")
    changed.lock()
    packed(changed, out, format="directory")
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.conda")}
    kept = {path for path in after if before.get(path) == after[path]}
    assert sorted(path.name[:5] for path in after.keys() - kept) == ["mine-"]
    assert not list(out.rglob("mine-1.0*"))
    packed(changed, tmp_path / "new", format="directory")
    assert tree(out) == tree(tmp_path / "new")
    assert unpacked(out, tmp_path / "out").packages == 4


def test_a_folder_with_something_else_is_left_alone(small: Workspace, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    before = tree(tmp_path)
    with pytest.raises(PackError, match="something else"):
        packed(small, tmp_path, format="directory")
    packed(small, tmp_path / "p", format="directory")
    (tmp_path / "p" / "notes.txt").write_text("also mine", encoding="utf-8")
    with pytest.raises(PackError, match="something else"):
        packed(small, tmp_path / "p", format="directory")
    shutil.rmtree(tmp_path / "p")
    assert tree(tmp_path) == before


def test_a_folder_that_was_left_half_way_is_no_pack(small: Workspace, tmp_path: Path) -> None:
    packed(small, tmp_path / "p", format="directory")
    (tmp_path / "p" / "pixi-pack.json").unlink()
    with pytest.raises(PackError, match="missing"):
        unpacked(tmp_path / "p", tmp_path / "out")
    packed(small, tmp_path / "p", format="directory")
    assert unpacked(tmp_path / "p", tmp_path / "out").packages == 4


@pytest.mark.skipif(os.name != "posix", reason="pipes of Unix")
def test_a_folder_with_a_pipe_is_not_waited_for(small: Workspace, tmp_path: Path) -> None:
    packed(small, tmp_path / "p", format="directory")
    os.mkfifo(tmp_path / "p" / "channel" / "noarch" / "pipe")
    with pytest.raises(PackError, match="no file"):
        unpacked(tmp_path / "p", tmp_path / "out")


def test_streams(small: Workspace, small_pack: Path, tmp_path: Path) -> None:
    with (tmp_path / "p").open("wb") as file:
        pack(small, PackOptions(output=file, format="tar"))
    assert (tmp_path / "p").read_bytes() == small_pack.read_bytes()
    with pytest.raises(PackError, match="stream"), (tmp_path / "q").open("wb") as file:
        pack(small, PackOptions(output=file, format="directory"))
    with small_pack.open("rb") as file:
        assert unpacked(file, tmp_path / "out").packages == 4  # type: ignore[arg-type]


def test_three_wrong_ways_to_ask(small: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no form `zip`"):
        packed(small, tmp_path / "p", format="zip")
    with pytest.raises(PackError, match="is a folder"):
        packed(small, tmp_path, format="tar")
    with pytest.raises(PackError, match="cannot read the pack"):
        unpacked(tmp_path / "nothing.tar", tmp_path / "out")
    with pytest.raises(PackError, match="cannot be the name of an environment"):
        unpacked(tmp_path / "nothing.tar", tmp_path / "out", name="../env")
    with pytest.raises(UsageError, match="no shell called `tcsh`"):
        unpacked(tmp_path / "nothing.tar", tmp_path / "out", shells=["tcsh"])
    assert not (tmp_path / "out").exists()


def test_a_package_that_was_replaced_is_not_packed(tmp_path: Path) -> None:
    workspace = small_workspace(tmp_path)
    path = tmp_path / "chan" / "noarch" / "alpha-1.0-0.conda"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    for form in ("tar", "tar.zst", "directory"):
        with pytest.raises(InstallError, match="not the") as caught:
            packed(workspace, tmp_path / "p", format=form)
        assert caught.value.kind == "hash-mismatch"
    path.unlink()
    with pytest.raises(InstallError, match="no longer there"):
        packed(workspace, tmp_path / "p")
    assert not list(tmp_path.glob("*p*.part"))
    assert not (tmp_path / "p").exists()


def test_activation_scripts(small_pack: Path, tmp_path: Path) -> None:
    result = unpacked(small_pack, tmp_path / "a b")
    assert {script.name for script in result.scripts} >= {"activate.sh", "activate.ps1"}
    if os.name == "posix":
        done = subprocess.run(
            ["/bin/sh", "-c", '. "$1" && echo "$CONDA_PREFIX|$PATH"', "sh", tmp_path / "a b" / "activate.sh"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": "/usr/bin:/bin"},
        )
        assert done.stdout.strip() == f"{result.prefix}|{result.prefix / 'bin'}:/usr/bin:/bin"
        strange = tmp_path / """it's $(touch pwned) `touch pwned` "$HOME" \\ é😀"""
        result = unpacked(small_pack, strange, shells=["bash", "fish"])
        for shell, script in (("sh", ". ./activate.sh"), ("bash", ". ./activate.sh"), ("fish", "source activate.fish")):
            if shutil.which(shell) is not None:
                done = subprocess.run(
                    [shell, "-c", f'{script}; printf \'%s|%s\' "$CONDA_PREFIX" "$PATH"'],
                    cwd=strange,
                    capture_output=True,
                    text=True,
                    check=True,
                    env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
                )
                assert done.stdout == f"{result.prefix}|{result.prefix / 'bin'}:/usr/bin:/bin", shell
        assert not (strange / "pwned").exists()
    one = unpacked(small_pack, tmp_path / "one", shells=["fish"])
    assert [script.name for script in one.scripts] == ["activate.fish"]


def test_tar_of_another_program_with_long_names(small_pack: Path, tmp_path: Path) -> None:
    files = members(foreign(small_pack, tmp_path / "f.tar"))
    files["readme-" + "x" * 150] = b"passed over"
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        write_tar(tmp_path / "long.tar", files, form=form)
        assert unpacked(tmp_path / "long.tar", tmp_path / f"out{form}").packages == 4


@posix
def test_a_pipe_as_output_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """Also `-o /dev/null`: the device must stay what it is."""
    workspace = small_workspace(tmp_path)
    pipe = tmp_path / "pipe.tar"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    packed(workspace, pipe)
    reader.join()
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    packed(workspace, tmp_path / "pack.tar")
    assert got == [(tmp_path / "pack.tar").read_bytes()]
    link = tmp_path / "link.tar"
    link.symlink_to(tmp_path / "behind.tar")
    packed(workspace, link)
    assert link.is_symlink()
    assert (tmp_path / "behind.tar").read_bytes() == got[0]
