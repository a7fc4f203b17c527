"""Files and folders written beside their place and renamed into it."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_bytes(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Replace the content of ``path`` in one step; parents are made. Raises OSError.

    A reader sees the old content or the new, never a part. An existing file keeps its mode. What a killed process left
    beside the same file is removed. ``durable``: off for what can be made again, and whose readers take anything in
    it for nothing: where the machine itself goes down, it may be empty afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(data)  # a device or a pipe, which must never be replaced
        return
    # what only writing needs is imported by it: most commands only read
    import platform

    host = "".join(c if c.isalnum() else "-" for c in platform.node())
    _sweep(path, host)
    part = path.with_name(f".{path.name}.{host}.{os.getpid()}.{os.urandom(4).hex()}.part")
    try:
        with part.open("xb") as file:
            with suppress(FileNotFoundError):  # before the content: it may be secret
                part.chmod(path.stat().st_mode & 0o7777)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        part.replace(path)
    except BaseException as error:
        with suppress(FileNotFoundError):
            part.unlink()
        if isinstance(error, OSError):
            error.filename = str(path)  # a full disk names none, others the part
        raise


def _sweep(path: Path, host: str) -> None:
    """Remove the parts of ``path`` that processes of this machine have left which are no more."""
    prefix = f".{path.name}.{host}."
    with os.scandir(path.parent) as entries:
        left = [entry.name for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(".part")]
    for name in left:
        pid = name[len(prefix) :].partition(".")[0]
        if pid.isdigit() and not _alive(int(pid)):
            with suppress(OSError):
                (path.parent / name).unlink()


def _alive(pid: int) -> bool:
    if os.name == "nt":  # `os.kill` would end the process there
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def write_text(path: Path, text: str, *, durable: bool = True) -> None:
    """``write_bytes`` of ``text`` in UTF-8, line endings as given."""
    write_bytes(path, text.encode("utf-8"), durable=durable)


def remove_tree(path: Path) -> None:
    """Remove a folder or file, also where read-only folders are inside; nothing if it is not there."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)
        return
    if not path.exists():
        return
    import shutil

    unlocked: set[Path] = set()

    def unlock(function: object, name: str, error: BaseException) -> None:
        if isinstance(error, FileNotFoundError):
            return
        target = Path(name)
        if not isinstance(error, PermissionError) or target in unlocked:
            raise error
        unlocked.add(target)
        # what holds `path` itself is not ours to open
        for entry in (target,) if target == path else (target.parent, target):
            if not entry.is_symlink():
                entry.chmod(0o700)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target, onerror=unlock_info)
        else:
            target.unlink(missing_ok=True)

    def unlock_info(function: object, name: str, info: tuple[type, BaseException, object]) -> None:
        unlock(function, name, info[1])

    shutil.rmtree(path, onerror=unlock_info)


@contextmanager
def staging_folder(target: Path) -> Generator[Path]:
    """A fresh folder beside ``target``, on the same file system; removed at the end if it is still there.

    Fill it, then ``replace_folder(staging, target)``. Left-overs of killed processes are named
    ``.<target>.*.part`` and may be removed by anyone who holds the lock of ``target``.
    """
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    staging.chmod(0o755)
    try:
        yield staging
    finally:
        remove_tree(staging)


def replace_folder(staging: Path, target: Path) -> None:
    """Put ``staging`` in the place of ``target`` (which may exist). Raises OSError.

    Not atomic where ``target`` exists (it is moved away first, and back where the new one cannot take its place): hold
    the lock of ``target``.
    """
    if target.exists():
        import tempfile

        old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
        target.replace(old / "old")
        try:
            staging.replace(target)
        except OSError:
            (old / "old").replace(target)
            old.rmdir()
            raise
        remove_tree(old)
    else:
        staging.replace(target)
