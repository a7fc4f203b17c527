"""A local channel: a folder with one folder per subdir, an index in each, and a lock."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from smelt.channel.archive import write_archive
from smelt.channel.index import IndexedSubdir, write_index
from smelt.channel.model import Addition, Package, PackageHead
from smelt.errors import ChannelError
from smelt.fs import hold, remove_tree
from smelt.types import KNOWN_PLATFORMS, NOARCH, current_platform, digest_json, sha256_file

_LOCK = ".channel.lock"

Say = Callable[[str], None]


def create(folder: Path, *, waiting: Say | None = None) -> bool:
    """Make an empty channel; False if it is one already, which is left as it is.

    Raises ChannelError where ``folder`` holds other things, or cannot be made.
    """
    if is_channel(folder):
        return False
    try:
        if folder.exists() and any(entry.name not in (_LOCK, f"{_LOCK}.holder") for entry in folder.iterdir()):
            foreign = [e.name for e in folder.iterdir() if e.name not in KNOWN_PLATFORMS and not e.name.startswith(".")]
            if foreign:
                raise ChannelError(
                    f"{folder} is no channel, and not empty (it holds `{sorted(foreign)[0]}`)",
                    help="name a folder that is new or empty",
                )
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / _LOCK, "making the channel", waiting):
            (folder / current_platform()).mkdir(exist_ok=True)
            write_index(folder)
    except OSError as error:
        raise ChannelError(f"the channel {folder} cannot be made ({error})") from error
    return True


def is_channel(folder: Path) -> bool:
    """Whether ``folder`` is an indexed channel (``noarch/repodata.json`` is there)."""
    return (folder / NOARCH / "repodata.json").is_file()


def index(folder: Path, *, waiting: Say | None = None) -> tuple[IndexedSubdir, ...]:
    """Index what is in ``folder`` (also a folder of packages that was no channel so far).

    Raises ChannelError for packages that cannot be read.
    """
    if not folder.is_dir():
        raise ChannelError(f"there is no folder {folder}", help=f"`smelt channel create {folder}` makes a channel")
    try:
        with hold(folder / _LOCK, "indexing the channel", waiting):
            _sweep(folder)
            return write_index(folder)
    except OSError as error:
        raise ChannelError(f"the channel {folder} cannot be indexed ({error})") from error


@dataclass(slots=True, kw_only=True)
class Edit:
    """Additions to a channel whose lock is held; the index is written when the edit ends."""

    folder: Path
    additions: list[Addition]

    def records(self, subdir: str) -> list[dict[str, object]]:
        """The records of a subdir as its index has them now, with the archive's name as ``fn``."""
        try:
            data = json.loads((self.folder / subdir / "repodata.json").read_bytes())
            found: list[dict[str, object]] = []
            for section in ("packages", "packages.conda"):
                found += [{**record, "fn": name} for name, record in data.get(section, {}).items()]
        except FileNotFoundError:
            return []
        except (ValueError, AttributeError, TypeError) as error:
            raise ChannelError(
                f"{self.folder / subdir / 'repodata.json'} cannot be read ({error})",
                help=f"`smelt channel index {self.folder}` writes it anew",
            ) from error
        return found

    def build_string(self, head: PackageHead, prefix: str, suffix: str = "") -> PackageHead:
        """``head`` with its final build string and number: ``<prefix><digest of identity>_<number><suffix>``.

        A package of the same name and version but of another identity is superseded: the number is one higher
        than the highest there, so solvers take the new one. ``prefix`` and ``suffix`` tell builds apart that
        exist beside each other.
        """
        from dataclasses import replace

        digest = identity_digest(head)
        numbers: list[int] = []
        for record in self.records(head.subdir):
            build, number = str(record["build"]), int(cast("int", record["build_number"]))
            if (record["name"], record["version"]) != (head.name, head.version):
                continue
            if build == f"{prefix}{digest}_{number}{suffix}":
                return replace(head, build=build, build_number=number)
            if build.startswith(prefix) and build.endswith(f"_{number}{suffix}"):
                numbers.append(number)
        number = max(numbers, default=-1) + 1
        return replace(head, build=f"{prefix}{digest}_{number}{suffix}", build_number=number)

    def add(self, head: PackageHead, make: Callable[[Path], Package], notes: tuple[str, ...] = ()) -> Addition:
        """Put a package into the channel, unless it is there and sound (or was asked for in this edit before).

        ``make`` is called with an empty folder to work in, which is removed afterwards.
        """
        target = self.folder / head.subdir / head.file_name
        known = next((addition for addition in self.additions if addition.path == target), None)
        if known is not None:
            return known
        added = not self._is_sound(head, target)
        if added:
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".add-", suffix=".part", dir=self.folder) as name:
                work = Path(name) / "work"
                work.mkdir()
                part = Path(name) / head.file_name
                write_archive(make(work), part)
                part.replace(target)
        addition = Addition(
            name=head.name,
            version=head.version,
            build=head.build,
            subdir=head.subdir,
            path=target,
            added=added,
            notes=notes,
        )
        self.additions.append(addition)
        return addition

    def _is_sound(self, head: PackageHead, target: Path) -> bool:
        if not target.is_file():
            return False
        known = next((r for r in self.records(head.subdir) if r["fn"] == head.file_name), None)
        return known is not None and known.get("sha256") == sha256_file(target)


@contextmanager
def editing(folder: Path, purpose: str, waiting: Say | None = None) -> Generator[Edit]:
    """Hold the lock of a channel, give an ``Edit`` of it, and index it if anything was added.

    What was added before a failure stays, and is indexed. ``purpose`` is told to whoever waits for the lock.
    Raises ChannelError where ``folder`` is no channel or cannot be written.
    """
    if not is_channel(folder):
        raise ChannelError(
            f"{folder} is no channel" if folder.exists() else f"there is no channel {folder}",
            help=f"`smelt channel create {folder}` makes one",
        )
    edit = Edit(folder=folder, additions=[])
    try:
        with hold(folder / _LOCK, purpose, waiting):
            _sweep(folder)
            try:
                yield edit
            finally:
                if any(addition.added for addition in edit.additions):
                    write_index(folder)
    except PermissionError as error:
        raise ChannelError(f"the channel {folder} cannot be written ({error})") from error


def identity_digest(head: PackageHead) -> str:
    """Seven hexadecimal digits for what the package was made from and what it says of itself."""
    said: Mapping[str, object] = {
        "identity": dict(head.identity),
        "depends": sorted(head.depends),
        "constrains": sorted(head.constrains),
        "run_exports": head.run_exports.to_dict(),
        "entry_points": sorted(head.entry_points),
        "noarch": head.noarch,
        "subdir": head.subdir,
    }
    return hashlib.sha256(digest_json(said).encode()).hexdigest()[:7]


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind."""
    for left in folder.glob(".add-*.part"):
        remove_tree(left)
