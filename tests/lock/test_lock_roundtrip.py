"""Reading and writing again gives what rattler writes, and nothing is lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rattler import LockFile

import smelt.lock
from smelt.errors import LockError
from smelt.lock.codec import to_text
from smelt.lock.entry import short_entry
from smelt.lock.identity import canonical, identity_hash, reference_of, referenced
from smelt.lock.model import Lock, LockedPackage, PypiPackage, Reference, SourcePackage
from smelt.lock.reader import parse, read
from smelt.types import CondaRecord


def rewritten(path: Path, folder: Path) -> str:
    """What rattler makes of a lock file."""
    out = folder / "rewritten.lock"
    LockFile.from_path(path).to_path(out)
    return out.read_text(encoding="utf-8")


def test_v7_is_written_as_it_was(v7: str) -> None:
    assert to_text(parse(v7, "pixi.lock")) == v7


def test_own_section_comes_after_what_rattler_writes(v7: str, own_section: str, tmp_path: Path) -> None:
    text = v7 + own_section
    lock = parse(text, "pixi.lock")
    assert lock.sources["own[1a2b3c4d] @ ."].version == "1.10"
    assert lock.sources["own[1a2b3c4d] @ ."].profile == "ubsan"
    assert to_text(lock) == text
    path = tmp_path / "pixi.lock"
    path.write_text(text, encoding="utf-8")
    assert rewritten(path, tmp_path) == v7


def test_fields_are_read(v7: str) -> None:
    lock = parse(v7, "pixi.lock")
    packages = {package.name: package for package in lock.packages.values()}
    zlib, six, own, part = (packages[name] for name in ("zlib", "six", "own", "part"))
    assert isinstance(zlib, CondaRecord)
    assert (zlib.version, zlib.build, zlib.build_number, zlib.subdir) == ("1.3", "h0_2", 2, "linux-64")
    assert zlib.channel == "https://channel.example/forge/"
    assert zlib.file_name == "zlib-1.3-h0_2.conda"
    assert zlib.purls == ()
    assert zlib.run_exports is not None
    assert not zlib.run_exports.to_dict()
    assert isinstance(six, CondaRecord)
    assert (six.noarch, six.run_exports) == ("generic", None)
    assert isinstance(own, SourcePackage)
    assert (own.version, own.hash, own.location) == (None, "1a2b3c4d", ".")
    assert dict(own.variants) == {"python": "3.12.*", "release": True, "target_platform": "linux-64"}
    assert own.source_depends["inner"].path == "../inner"
    assert [lock.packages[reference].name for reference in own.build_packages] == ["gcc"]
    assert isinstance(part, SourcePackage)
    assert part.source is not None
    assert (part.source.git, part.source.branch, part.source.subdir) == ("https://git.example/part", "main", "sub")
    default = lock.environments["default"]
    assert default.channels == ("https://channel.example/forge/", "https://private.example/t/x/")
    assert default.channel_env_vars["https://private.example/t/x/"] == ("TOKEN",)
    assert lock.packages_of("default", "osx-64") is None
    assert [package.name for package in lock.packages_of("default", "gpu") or ()] == ["odd"]
    assert lock.platforms[0].virtual_packages == ("__cuda=12.0",)


def test_unused_packages_are_left_out(v7: str) -> None:
    lock = parse(v7, "pixi.lock")
    extra = Reference(kind="conda", value="https://channel.example/forge/linux-64/unused-1-0.conda")
    six = next(package for package in lock.packages.values() if package.name == "six")
    assert isinstance(six, CondaRecord)
    more = replace(lock, packages={extra: replace(six, name="unused", url=extra.value), **lock.packages})
    assert to_text(more) == v7
    assert canonical(more) == lock
    assert extra not in referenced(more)


def test_files_are_named_by_path(v7: str) -> None:
    """A package from a local channel, also among what a source package is built with."""
    lock = parse(v7, "pixi.lock")
    url = "file:///some%20where/linux-64/gcc-13-0.tar.bz2"
    old = Reference(kind="conda", value="https://channel.example/forge/linux-64/gcc-13-0.tar.bz2")
    gcc = lock.packages[old]
    assert isinstance(gcc, CondaRecord)
    local = replace(gcc, url=url, channel="file:///some%20where/")
    moved: dict[Reference, LockedPackage] = {}
    for reference, package in lock.packages.items():
        if reference == old:
            moved[Reference(kind="conda", value=url)] = local
        elif isinstance(package, SourcePackage):
            build = tuple(Reference(kind="conda", value=url) if r == old else r for r in package.build_packages)
            moved[reference] = replace(package, build_packages=build)
        else:
            moved[reference] = package
    text = to_text(replace(lock, packages=moved))
    again = parse(text, "pixi.lock")
    here = Reference(kind="conda", value="/some where/linux-64/gcc-13-0.tar.bz2")
    assert again.packages[here] == local
    assert reference_of(local) == here
    assert again == canonical(replace(lock, packages=moved))
    assert to_text(again) == text


def test_windows_paths() -> None:
    record = CondaRecord(
        name="a", version="1", build="0", build_number=0, subdir="noarch", channel=None, file_name="a-1-0.conda",
        url="file:///C:/my%20channel/noarch/a-1-0.conda",
    )  # fmt: skip
    assert reference_of(record).value == r"C:\my channel\noarch\a-1-0.conda"


def test_write_leaves_an_unchanged_file_alone(v7: str, tmp_path: Path) -> None:
    path = tmp_path / "pixi.lock"
    lock = parse(v7, "pixi.lock")
    assert smelt.lock.write(lock, path) is True
    before = path.stat()
    assert smelt.lock.write(lock, path) is False
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert smelt.lock.read(path) == lock
    assert [entry.name for entry in tmp_path.iterdir()] == ["pixi.lock"]


def test_what_no_lock_can_hold_is_an_error(v7: str, tmp_path: Path) -> None:
    lock = parse(v7, "pixi.lock")
    environment = replace(lock.environments["default"], options={"strategy": "sideways"})
    path = tmp_path / "pixi.lock"
    with pytest.raises(LockError, match="sideways"):
        smelt.lock.write(replace(lock, environments={"default": environment}), path)
    assert not path.exists()


def test_identity_hash_tells_variants_apart() -> None:
    one = Reference(kind="conda", value="a")
    two = Reference(kind="conda", value="b")
    base = identity_hash({"python": "3.12"}, [one, two], [])
    assert re.fullmatch(r"[0-9a-f]{8}", base)
    assert identity_hash({"python": "3.12"}, [two, one], []) == base
    others = {
        identity_hash({"python": "3.13"}, [one, two], []),
        identity_hash({"python": "3.12"}, [one], []),
        identity_hash({"python": "3.12"}, [], [one, two]),
    }
    assert base not in others
    assert len(others) == 3


# The corpus: lock files of other projects.


def locks(corpus: Path) -> Iterator[Path]:
    for path in sorted([*corpus.rglob("pixi.lock"), *corpus.rglob("*-lock.yml")]):
        if "forward-compatible" not in path.name:
            yield path


def without_default_index(text: str) -> str:
    # rattler fills in the index of PyPI packages from the environment, and leaves it out again only for
    # the public index, whose name the corpus does not have.
    return re.sub(r"^  index: https://[a-z.]*\.example/simple\n", "", text, flags=re.MULTILINE)


def test_corpus_is_written_as_rattler_writes_it(corpus: Path, tmp_path: Path) -> None:
    versions: set[int] = set()
    identical = 0
    for number, path in enumerate(locks(corpus)):
        lock = read(path)
        versions.add(lock.version)
        if lock.version < 7 and number % 8:
            continue  # reading it already goes through rattler
        text = to_text(lock)
        theirs = rewritten(path, tmp_path)
        if lock.version == 7:
            assert text == theirs, path
            identical += text == path.read_text(encoding="utf-8")
        else:
            assert without_default_index(text) == without_default_index(theirs), path
    assert versions == {1, 2, 3, 4, 5, 6, 7}
    assert identical >= 18


def test_older_locks_keep_their_packages(corpus: Path) -> None:
    """Read and written as version 7: every environment holds what it held, on every platform."""
    checked = 0
    for path in locks(corpus):
        old = read(path)
        if old.version == 7:
            continue
        new = parse(to_text(old), "pixi.lock")
        assert new.version == 7
        assert new.environments.keys() == old.environments.keys()
        for name, environment in old.environments.items():
            assert new.environments[name].packages.keys() == environment.packages.keys()
            for platform in environment.packages:
                assert held(new, name, platform) == held(old, name, platform), (path, name, platform)
                checked += 1
    assert checked > 300


def held(lock: Lock, environment: str, platform: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for package in lock.packages_of(environment, platform) or ():
        if isinstance(package, CondaRecord):
            found.append((package.url, package.sha256 or package.md5 or ""))
        elif isinstance(package, PypiPackage):
            found.append((package.location, str(package.data.get("sha256"))))
        else:
            found.append((package.identifier, ""))
    return sorted(found)


def test_corpus_says_what_rattler_says(corpus: Path) -> None:
    """Every record with all its fields, environments and platforms, against rattler's own reader."""
    for path in list(locks(corpus))[::5]:
        ours, theirs = read(path), LockFile.from_path(path)
        assert sorted(ours.environments) == sorted(name for name, _ in theirs.environments())
        for name, environment in theirs.environments():
            mine = ours.environments[name]
            assert [channel.rstrip("/") for channel in mine.channels] == [
                str(channel).rstrip("/") for channel in environment.channels()
            ]
            for platform in environment.platforms():
                packages = ours.packages_of(name, platform.name) or ()
                their_names = sorted(package.name for package in environment.packages(platform) or ())
                assert sorted(package.name.replace("_", "-").lower() for package in packages) == sorted(
                    their_name.replace("_", "-").lower() for their_name in their_names
                ), path
            compare_records(ours, name, environment)


def compare_records(ours: Lock, name: str, environment: object) -> None:
    for platform in environment.platforms():  # type: ignore[attr-defined]
        packages = ours.packages_of(name, platform.name) or ()
        if any(isinstance(package, SourcePackage) or "://" not in url_of(package) for package in packages):
            continue
        records = environment.conda_repodata_records_for_platform(platform) or ()  # type: ignore[attr-defined]
        mine = {package.url: package for package in packages if isinstance(package, CondaRecord)}
        for record in records:
            own = mine[record.url]
            assert own.name == record.name.source
            assert own.version == str(record.version)
            assert own.build == str(record.build)
            assert own.build_number == record.build_number
            # Before version 6 a noarch package was there once per platform, with the platform as its subdir.
            assert own.subdir == record.subdir or (ours.version < 6 and "/noarch/" in own.url)
            assert own.channel == record.channel
            assert own.file_name == record.file_name
            assert own.depends == tuple(record.depends)
            assert own.constrains == tuple(record.constrains)
            assert (own.sha256 or "") == (record.sha256.hex() if record.sha256 else "")
            assert own.size == record.size
            assert own.license == record.license
            assert (own.noarch == "python", own.noarch == "generic") == (
                record.noarch.python,
                record.noarch.generic,
            )
            stamp = record.timestamp
            assert own.timestamp == (round(stamp.timestamp() * 1000) if stamp is not None else None)


def url_of(package: LockedPackage) -> str:
    return package.url if isinstance(package, CondaRecord) else "pypi://"


def test_corpus_entries_are_short(corpus: Path) -> None:
    """``short_entry`` leaves out exactly what rattler leaves out."""
    import ryaml

    checked = 0
    for path in list(locks(corpus))[::4]:
        lock = read(path)
        if lock.version != 7:
            continue
        for entry in ryaml.loads(path.read_text(encoding="utf-8"))["packages"]:
            kind, value = next(iter(entry.items()))
            package = lock.packages[Reference(kind=kind, value=value)]
            if not isinstance(package, PypiPackage) and "depends" not in (k for k, v in entry.items() if v == []):
                assert short_entry(Reference(kind=kind, value=value), package) == entry
                checked += 1
    assert checked > 1000
