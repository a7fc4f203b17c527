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
from collections.abc import Iterator
from pathlib import Path

from smelt.channel.wheelfile import Wheel, read_files, read_wheel
from smelt.errors import PackError
from smelt.pack.entry import Entry
from smelt.pack.linked import TOKEN, PythonLayout, command_text

_INTERPRETER = re.compile(rb"#!pythonw?(?![\w.])")
_DROPPED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")


def wheel_entries(path: Path, python: PythonLayout) -> Iterator[Entry]:
    """The files of a wheel, with its commands, ``INSTALLER`` and a ``RECORD`` of what is there.

    Raises ChannelError for a wheel that is not sound, PackError (``pack-package``) for a file that belongs nowhere.
    """
    wheel = read_wheel(path)
    rows: list[tuple[str, str, str]] = []
    for entry in _entries(wheel, python):
        assert entry.data is not None
        digest = base64.urlsafe_b64encode(hashlib.sha256(entry.data).digest()).rstrip(b"=").decode()
        # what depends on the prefix has another hash there
        known = (f"sha256={digest}", str(entry.size)) if entry.placeholder is None else ("", "")
        rows.append((posixpath.relpath(entry.path, python.site_packages), known[0], known[1]))
        yield entry
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
    for name, data, executable in read_files(wheel):
        if name in dropped:
            continue
        place, script = _place(name, wheel, python)
        found = _INTERPRETER.match(data) if script else None
        if found is not None:
            data = b"#!" + TOKEN + b"/" + python.executable.encode() + data[found.end() :]
        entry = Entry.of(place, data)
        entry.executable = script or executable
        entry.placeholder = TOKEN if found is not None else None
        yield entry
    for name, value in sorted(wheel.commands.items()):
        module, _, attribute = value.partition(":")
        entry = Entry.of(f"bin/{name}", command_text(module, attribute, python))
        entry.executable = True
        entry.placeholder = TOKEN
        yield entry
    yield Entry.of(f"{python.site_packages}/{wheel.dist_info}/INSTALLER", b"smelt\n")


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
