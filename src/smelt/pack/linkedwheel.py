"""The files that a wheel puts into an environment.

Source: PEP 427, and "Recording installed projects" of the packaging specifications.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from smelt.archive import DAMAGE
from smelt.channel.wheelfile import Wheel, read_wheel
from smelt.errors import PackError
from smelt.pack.entry import Entry
from smelt.pack.linked import TOKEN, PythonLayout, command_text
from smelt.pack.packagefile import unreadable

_INTERPRETER = re.compile(rb"#!pythonw?(?![\w.])")
_LARGE = 8 << 20
_DROPPED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def wheel_entries(path: Path, python: PythonLayout) -> Iterator[Entry]:
    """The files of a wheel, with its commands, ``INSTALLER`` and a ``RECORD`` of what is there.

    Raises ChannelError for a wheel that is not sound, PackError (``pack-package``) for a file that belongs nowhere.
    """
    wheel = read_wheel(path)
    rows: list[tuple[str, str, str]] = []
    for entry in _entries(wheel, python):
        yield entry
        where = posixpath.relpath(entry.path, python.site_packages)
        if entry.placeholder is not None:  # it has another hash in each prefix
            rows.append((where, "", ""))
        elif isinstance(entry.stream, _Checked):
            rows.append((where, entry.stream.finish(), str(entry.size)))
        else:
            digest = hashlib.sha256(entry.data or b"").hexdigest()
            rows.append((where, f"sha256={_base64(digest)}", str(entry.size)))
    record = f"{python.site_packages}/{wheel.dist_info}/RECORD"
    rows.append((f"{wheel.dist_info}/RECORD", "", ""))
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted(rows))
    yield Entry.of(record, text.getvalue().encode())


def wheel_paths(path: Path, python: PythonLayout) -> tuple[tuple[str, ...], int]:
    """Where the files that ``wheel_entries`` gives are, and about how many bytes they have. Raises as it does."""
    wheel = read_wheel(path)
    dropped = {f"{wheel.dist_info}/{name}" for name in _DROPPED}
    places = [_place(name, wheel, python)[0] for name in wheel.members if name not in dropped]
    places += [f"bin/{name}" for name in wheel.commands]
    places += [f"{python.site_packages}/{wheel.dist_info}/{name}" for name in ("INSTALLER", "RECORD")]
    return tuple(dict.fromkeys(places)), sum(info.file_size for info in wheel.members.values())


def _entries(wheel: Wheel, python: PythonLayout) -> Iterator[Entry]:
    dropped = {f"{wheel.dist_info}/{name}" for name in _DROPPED}
    with zipfile.ZipFile(wheel.path) as archive:
        for name, info in wheel.members.items():
            if name in dropped:
                continue
            place, script = _place(name, wheel, python)
            executable = script or bool((info.external_attr >> 16) & 0o111)
            stream = _Checked(archive.open(info), wheel, name)
            if info.file_size > _LARGE and not script:
                yield Entry(path=place, stream=cast("IO[bytes]", stream), size=info.file_size, executable=executable)
                continue
            data = stream.read()
            stream.finish()
            found = _INTERPRETER.match(data) if script else None
            if found is not None:
                data = b"#!" + TOKEN + b"/" + python.executable.encode() + data[found.end() :]
            entry = Entry.of(place, data)
            entry.executable = executable
            entry.placeholder = TOKEN if found is not None else None
            yield entry
    for name, value in sorted(wheel.commands.items()):
        module, _, attribute = value.partition(":")
        entry = Entry.of(f"bin/{name}", command_text(module, attribute, python))
        entry.executable = True
        entry.placeholder = TOKEN
        yield entry
    yield Entry.of(f"{python.site_packages}/{wheel.dist_info}/INSTALLER", b"smelt\n")


class _Checked:
    """A file of a wheel that is compared with ``RECORD`` while it is read."""

    def __init__(self, stream: IO[bytes], wheel: Wheel, name: str) -> None:
        self._stream, self._wheel, self._name = stream, wheel, name
        self._algorithm, self._expected = wheel.hashes[name]
        self._digest = hashlib.new(self._algorithm)
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """Read on."""
        try:
            data = self._stream.read(size)
        except DAMAGE as error:
            raise unreadable(self._wheel.path, f"`{self._name}` is damaged ({error})") from error
        self._digest.update(data)
        self._sha256.update(data)
        return data

    def finish(self) -> str:
        """Compare, after the rest was read; its hash as ``RECORD`` has it. Raises PackError (``pack-package``)."""
        while self.read(1 << 20):
            pass
        self._stream.close()
        if _base64(self._digest.hexdigest()) != self._expected.rstrip("="):
            raise unreadable(self._wheel.path, f"`{self._name}` is not what RECORD says")
        return f"sha256={_base64(self._sha256.hexdigest())}"


def _base64(digest: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(digest)).rstrip(b"=").decode()


def _place(name: str, wheel: Wheel, python: PythonLayout) -> tuple[str, bool]:
    """Where a file goes, and whether it is a script."""
    folder, _, rest = name.partition("/")
    if folder != wheel.data:
        return f"{python.site_packages}/{name}", False
    scheme, _, inner = rest.partition("/")
    if inner:
        if scheme in ("purelib", "platlib"):
            return f"{python.site_packages}/{inner}", False
        if scheme == "scripts":
            return f"bin/{inner}", True
        if scheme == "headers":
            return f"include/python{python.version}/{wheel.metadata.name}/{inner}", False
        if scheme == "data":
            return inner, False
    raise PackError(f"{wheel.path.name} holds `{name}`, which belongs nowhere", code="pack-package")
