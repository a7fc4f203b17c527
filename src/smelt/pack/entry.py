"""One file of an environment, on its way into an archive of a pack that is ready to run."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from typing import IO, cast

from smelt.errors import PackError
from smelt.pack.placeholder import in_binary, in_text
from smelt.pack.tarball import MTIME


@dataclass(slots=True, kw_only=True)
class Entry:
    """A file (``data``, or ``stream`` with ``size`` bytes that must be read at once), a link, or an empty folder.

    ``placeholder``: what stands for the prefix in ``data``.
    """

    path: str
    data: bytes | None = None
    stream: IO[bytes] | None = None
    size: int = 0
    link: str | None = None
    folder: bool = False
    executable: bool = False
    mtime: int = MTIME
    placeholder: bytes | None = None
    binary: bool = False

    @classmethod
    def of(cls, path: str, data: bytes) -> Entry:
        """A file that is made here."""
        return cls(path=path, data=data, size=len(data))

    def rendered(self, prefix: bytes) -> bytes:
        """Its content in an environment at ``prefix``; only where there is ``data``."""
        assert self.data is not None
        if self.placeholder is None:
            return self.data
        return (in_binary if self.binary else in_text)(self.data, self.placeholder, prefix)


class EntryWriter:
    """Writes entries into a tar: owned by 0:0, modes 0755 and 0644, each after the folders above it."""

    def __init__(self, out: object, *, form: int = tarfile.PAX_FORMAT) -> None:
        stream = cast("IO[bytes]", out)
        self._tar = tarfile.open(fileobj=stream, mode="w|", format=form, bufsize=1 << 18)  # noqa: SIM115 - see close
        self._folders: set[str] = set()
        self._names: set[str] = set()

    def add(self, name: str, entry: Entry, prefix: bytes | None = None) -> None:
        """Add ``entry`` as ``name``. ``prefix``: put in the place of the placeholder; None leaves that as it is.

        Raises PackError (``pack-package``) for a second file of a name, and for a file behind a link or another file.
        """
        for folder in _above(name):
            self._folder(folder)
        if entry.folder:
            self._folder(name)
            return
        if name in self._names or name in self._folders:
            raise _clash(name)
        self._names.add(name)
        info = tarfile.TarInfo(name)
        info.mtime = max(entry.mtime, 0)
        info.mode = 0o755 if entry.executable else 0o644
        if entry.link is not None:
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            self._tar.addfile(info)
        elif entry.stream is not None:
            info.size = entry.size
            self._tar.addfile(info, entry.stream)
        else:
            data = entry.rendered(prefix) if prefix is not None else entry.data or b""
            info.size = len(data)
            self._tar.addfile(info, io.BytesIO(data))

    def _folder(self, name: str) -> None:
        if name in self._folders:
            return
        if name in self._names:
            raise _clash(name)
        self._folders.add(name)
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, MTIME
        self._tar.addfile(info)

    def close(self) -> None:
        """Write the end."""
        self._tar.close()


def _above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


def _clash(name: str) -> PackError:
    return PackError(
        f"{name} is a file or link of one package and something else of another",
        code="pack-package",
        help="the packages do not belong into one environment: leave one of them out, or pack as a tar",
    )
