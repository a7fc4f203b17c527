"""smelt's own part of the cache: what is in it, what of it can go, what of it is damaged.

Conda packages are in the cache of rattler, which Pixi shares; they are counted and left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from smelt.build.roots import Used, roots_folder, used
from smelt.build.store import Store, folder_size
from smelt.fs import cache_root, hold, remove_tree, smelt_cache
from smelt.types import sha256_file

_KINDS: dict[str, tuple[str, str]] = {
    "logs": ("logs", "*.log"),
    "sources": ("sources", "??/*"),
    "checkouts": ("checkouts", "??/*"),
    "archives": ("archives", "??/*"),
    "git": ("git", "??/*"),
    "wheels": ("wheels", "??/*"),
    "trees": ("trees", "??/*"),
    "build-trees": ("build-trees", "*"),
    "staged": ("staged", "??/*"),
    "render": ("render", "??/*"),
    "outputs": ("outputs", "??/*"),
    "backends": ("backends", "*"),
    "exec": ("exec", "*"),
    "scripts": ("scripts", "*"),
}
"""Kind → folder below smelt's cache, and the pattern of its entries; each is made again when it is needed."""

_SHOWN = ("artifacts", *_KINDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One thing that can be removed. ``used``: when it was made or used, seconds since the epoch; ``size`` in bytes.

    ``rooted``: a workspace needs it. ``key``: the build key of an artifact.
    """

    kind: str
    label: str
    path: Path
    size: int
    used: float
    rooted: bool = False
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePart:
    """One kind of things in the cache: how many there are, and their size in bytes.

    ``rooted``: how many of them workspaces need.
    """

    kind: str
    path: Path
    count: int
    size: int
    rooted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What was (or would be) removed, what a running build holds, and the size of what is left, in bytes."""

    removed: tuple[CacheEntry, ...]
    busy: tuple[CacheEntry, ...]
    left: int


class _BusyError(Exception):
    """Somebody holds the lock."""


def cache_info() -> tuple[CachePart, ...]:
    """What is in the cache, by kind."""
    entries = _entries(used())
    root, packages = smelt_cache(), cache_root() / "pkgs"
    parts = [
        CachePart(
            kind=kind,
            path=root / _KINDS.get(kind, (kind, ""))[0],
            count=sum(1 for entry in entries if entry.kind == kind),
            size=sum(entry.size for entry in entries if entry.kind == kind),
            rooted=sum(1 for entry in entries if entry.kind == kind and entry.rooted),
        )
        for kind in _SHOWN
    ]
    folders = [path for path in packages.glob("*") if path.is_dir()]
    parts.append(CachePart(kind="packages", path=packages, count=len(folders), size=folder_size(packages)))
    return tuple(parts)


def collect(*, older_than: float | None = None, max_size: int | None = None, dry_run: bool = False) -> Collection:
    """Remove what no workspace uses.

    Without a limit: the artifacts that no workspace of this machine used last. ``older_than`` (seconds): whatever was
    not used for so long. ``max_size`` (bytes): what was not used for the longest time, until no more is left than that.
    Never what a workspace uses or a running build holds. ``dry_run``: only say it. What killed processes left goes
    always. Raises OSError.
    """
    entries = _entries(used())
    free = sorted((entry for entry in entries if not entry.rooted), key=lambda entry: entry.used)
    total = sum(entry.size for entry in entries)
    now = time.time()
    chosen: list[CacheEntry] = []
    for entry in free:
        old = older_than is not None and entry.used <= now - older_than
        much = max_size is not None and total > max_size
        unlimited = older_than is None and max_size is None and entry.kind == "artifacts"
        if old or much or unlimited:
            chosen.append(entry)
            total -= entry.size
    if dry_run:
        return Collection(removed=tuple(chosen), busy=(), left=total)
    removed, busy = _remove_all(chosen)
    _remove_leftovers()
    Store(smelt_cache()).forget_lost()
    return Collection(removed=removed, busy=busy, left=total + sum(entry.size for entry in busy))


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheCheck:
    """How many artifacts were read, and what became of the damaged ones (label, whether it is removed)."""

    checked: int
    damaged: tuple[tuple[str, bool], ...]


def verify_cache(progress: Callable[[str], None] | None = None) -> CacheCheck:
    """Read every artifact and compare it with its sha256; those that are damaged are removed, to be built again.

    ``progress`` is called with each damage. Raises CacheError, OSError.
    """
    checked, damaged = 0, list[tuple[str, bool]]()
    store = Store(smelt_cache())
    for key in sorted(store.stored_keys()):
        checked += 1
        artifact = store.lookup(key, tell=False)
        if artifact is not None and sha256_file(artifact.path) == artifact.record.sha256:
            continue
        label = _label(store.folder(key))
        removed = _forget(store, key, label)
        damaged.append((label, removed))
        if progress is not None:
            progress(f"{label} is damaged" + ("" if removed else ", and is being built"))
    store.forget_lost()
    return CacheCheck(checked=checked, damaged=tuple(damaged))


def _entries(in_use: Used) -> list[CacheEntry]:
    root = smelt_cache()
    store = Store(root)
    found: list[CacheEntry] = []
    for key in store.stored_keys():
        folder = store.folder(key)
        found.append(
            CacheEntry(
                kind="artifacts",
                label=_label(folder),
                path=folder,
                size=folder_size(folder),
                used=store.used(key),
                rooted=key in in_use.keys,
                key=key,
            )
        )
    for kind, (name, pattern) in _KINDS.items():
        for path in (root / name).glob(pattern):
            if path.name.startswith(".") or path.name.endswith((".lock", ".holder", ".part")):
                continue
            relative = path.relative_to(root).as_posix()
            try:
                stat = path.lstat()
            except FileNotFoundError:  # somebody else cleans up, too
                continue
            found.append(
                CacheEntry(
                    kind=kind,
                    label=relative,
                    path=path,
                    size=folder_size(path) if path.is_dir() else stat.st_size,
                    used=stat.st_mtime,
                    rooted=_holds_source(relative, in_use),
                )
            )
    return found


def _holds_source(entry: str, in_use: Used) -> bool:
    return any(each == entry or each.startswith(f"{entry}/") for each in in_use.sources)


def _label(folder: Path) -> str:
    """The package file of an artifact, and the first digits of its build key."""
    archive = next((path.name for path in folder.glob("*.conda")), "an artifact without a package")
    return f"{archive.removesuffix('.conda')} ({folder.name[:12]})"


def _remove_all(chosen: list[CacheEntry]) -> tuple[tuple[CacheEntry, ...], tuple[CacheEntry, ...]]:
    removed, busy = list[CacheEntry](), list[CacheEntry]()
    store = Store(smelt_cache())
    in_use, stamp = used(), _stamp(roots_folder())
    for entry in chosen:
        # a build that began meanwhile said first what it is going to use
        if _stamp(roots_folder()) != stamp:
            in_use, stamp = used(), _stamp(roots_folder())
        needed = entry.key in in_use.keys if entry.key is not None else _holds_source(entry.label, in_use)
        if needed:
            busy.append(entry)
        elif entry.key is not None:
            (removed if _forget(store, entry.key, entry.label) else busy).append(entry)
        else:
            (removed if _remove(entry.path) else busy).append(entry)
    return tuple(removed), tuple(busy)


def _stamp(folder: Path) -> int | None:
    return folder.stat().st_mtime_ns if folder.exists() else None


def _busy(message: str) -> None:
    raise _BusyError(message)


def _forget(store: Store, key: str, label: str) -> bool:
    try:
        store.forget(key, f"cleaning up {label}", _busy)
    except _BusyError:
        return False
    return True


@contextmanager
def _only(lock: Path) -> Generator[None]:
    """Hold ``lock``. Raises _BusyError at once where somebody else does."""
    with hold(lock, "cleaning up the cache", _busy):
        yield


def _remove(path: Path) -> bool:
    """Remove an entry that is guarded by the lock beside it, as all of them are; False if that is held."""
    if path.is_file():
        path.unlink(missing_ok=True)
        return True
    try:
        with _only(path.with_name(f"{path.name}.lock")):
            gone = path.with_name(f".{path.name}.gone")
            remove_tree(gone)
            path.rename(gone)
            remove_tree(gone)
    except _BusyError:
        return False
    return True


def _remove_leftovers() -> None:
    """What killed processes left: folders of builds whose lock is free."""
    root = smelt_cache()
    for folder in (root / "work").glob("[!.]*"):
        if folder.is_dir():
            try:
                with _only(folder.with_name(f"{folder.name}.lock")):
                    remove_tree(folder)
            except _BusyError:
                continue
    for folder in (root / "v").glob("*"):
        try:
            with _only(folder / "lock"):
                pass
            # the lock is one of its files, which some systems do not remove while it is held
            remove_tree(folder)
        except _BusyError:
            continue
    for left in (root / "artifacts").glob("??/.*.part"):
        try:
            with _only(root / "locks" / f"{left.name[1:65]}.lock"):
                remove_tree(left)
        except _BusyError:
            continue
