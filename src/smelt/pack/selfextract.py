"""A pack as one script that unpacks itself on a Unix machine which has nothing but ``sh`` and the usual small tools.

It carries the environment as its files will be, in a tar compressed by gzip, with a list of the places where the prefix
has to be put in: no package has to be taken apart, and nothing compiled has to run to do it. See the decision record
"Packs that unpack themselves".
"""

from __future__ import annotations

import hashlib
import re
import shlex
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import IO

from smelt.errors import NotSupportedError
from smelt.pack.activation import Activation, activation
from smelt.pack.condameta import history
from smelt.pack.entry import Entry, EntryWriter
from smelt.pack.gzipped import GzipWriter
from smelt.pack.linked import TOKEN, Part, link
from smelt.pack.model import PackContent, PackReporter
from smelt.pack.output import output_stream
from smelt.pack.placeholder import strings

_SYSTEMS: Mapping[str, tuple[str, str]] = {
    "linux-64": ("Linux", "x86_64 amd64"),
    "linux-32": ("Linux", "i386 i486 i586 i686 x86_64"),
    "linux-aarch64": ("Linux", "aarch64 arm64"),
    "linux-armv6l": ("Linux", "armv6l armv7l armv8l aarch64"),
    "linux-armv7l": ("Linux", "armv7l armv8l aarch64"),
    "linux-ppc64le": ("Linux", "ppc64le"),
    "linux-s390x": ("Linux", "s390x"),
    "linux-riscv64": ("Linux", "riscv64"),
    "osx-64": ("Darwin", "x86_64"),
    "osx-arm64": ("Darwin", "arm64"),
}
_GLIBC = re.compile(r"__glibc\s*>=\s*(\d+)\.(\d+)")
_FIELD = re.compile(rb"@([A-Z0-9]+)@")
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def write_script(content: PackContent, target: Path | IO[bytes], reporter: PackReporter) -> int:
    """Write the script, executable; its size in bytes.

    Raises NotSupportedError for systems that are not Unix, PackError (``pack-package``, ``pack-no-python``,
    ``pack-output``), InstallError (``hash-mismatch``), ChannelError (``bad-wheel``), OSError.
    """
    if content.platform not in _SYSTEMS:
        raise NotSupportedError(
            f"a script that unpacks itself cannot be made for {content.platform}",
            help="for Windows use `--create-executable` with `--pixi-unpack-source pixi-unpack.exe`, or pack as a tar",
        )
    parts = link(content)
    reporter.writing(sum(part.size for part in parts))
    with output_stream(target, mode=0o777) as out, tempfile.TemporaryFile() as packed:
        digest = hashlib.sha256()
        sum_ = PosixSum()

        def store(data: bytes) -> None:
            digest.update(data)
            sum_.update(data)
            packed.write(data)

        with GzipWriter(store) as compressed:
            _write_payload(content, parts, compressed, reporter)
        size = packed.tell()
        head = _head(content, parts, size, digest.hexdigest(), sum_.value())
        packed.seek(0)
        out.write(head)
        shutil.copyfileobj(packed, out, 1 << 20)
    return len(head) + size


def _head(content: PackContent, parts: Sequence[Part], size: int, sha256: str, crc: str) -> bytes:
    template = files("smelt.pack").joinpath("unpack.sh").read_bytes()
    system, machines = _SYSTEMS[content.platform]
    shortest = [part.shortest for part in parts if part.shortest is not None]
    values = {
        "TITLE": re.sub(r"[^A-Za-z0-9_ .:+-]", "-", f"{content.workspace}:{content.environment}"),
        "PLATFORM": content.platform,
        "SYSTEM": system,
        "MACHINES": machines,
        "GLIBC": _glibc(content),
        "LINE": str(template.count(b"\n") + 1),
        "SIZE": str(size),
        "SHA256": sha256,
        "CKSUM": crc,
        "LONGEST": str(min(shortest, default=0)),
        "TOKEN": TOKEN.decode(),
    }
    return _FIELD.sub(lambda found: values[found[1].decode()].encode(), template)


def _glibc(content: PackContent) -> str:
    """The least version of glibc that the packages ask for; nothing where none asks."""
    found = [
        (int(match[1]), int(match[2]))
        for item in content.packages
        for spec in item.record.depends
        if (match := _GLIBC.match(spec)) is not None
    ]
    return ".".join(str(each) for each in max(found)) if found else ""


def _write_payload(content: PackContent, parts: Sequence[Part], out: GzipWriter, reporter: PackReporter) -> None:
    patches: list[str] = []
    done = 0
    tar = EntryWriter(out, form=tarfile.GNU_FORMAT)  # every tar reads that one
    for part in parts:
        for entry in part.entries():
            tar.add(f"env/{entry.path}", _marked(entry, patches))
        done += part.size
        reporter.written(done)
    tar.add("env/conda-meta/history", history(content))
    for file in content.extra:
        if file.data is not None:
            tar.add(f"env/share/smelt/{file.name}", Entry.of(file.name, file.data))
    wanted = activation(parts)
    texts = {"activate.sh": _posix(content, wanted), "activate.fish": _fish(content, wanted)}
    texts["patches"] = "".join(f"{line}\n" for line in patches)  # the last one: it tells that all is there
    for name, text in texts.items():
        tar.add(name, Entry.of(name, text.encode()))
    tar.close()


def _marked(entry: Entry, patches: list[str]) -> Entry:
    """The entry with ``TOKEN`` for the prefix (in a text) or as it is (in a binary); what is to be done is noted."""
    if entry.placeholder is None or entry.data is None:
        return entry
    placeholder = entry.placeholder
    if entry.binary:
        found = strings(entry.data, placeholder)
        for string in found:
            tails = ",".join(str(tail) for tail in string.tails)
            patches.append(f"binary {len(placeholder)} {string.offset} {tails} {entry.path}")
        if found:
            patches.append(f"sign - - - {entry.path}")
        return entry
    data = entry.data.replace(placeholder, TOKEN)
    if TOKEN not in data:
        return entry
    first = data.partition(b"\n")[0]
    if first.startswith(b"#!") and TOKEN in first:
        patches.append(f"script {len(first) - len(TOKEN)} - - {entry.path}")
    else:
        patches.append(f"text - - - {entry.path}")
    return replace(entry, data=data, size=len(data))


def _posix(content: PackContent, wanted: Activation) -> str:
    lines = [
        "# to be sourced by a POSIX shell",
        f"export CONDA_PREFIX='{TOKEN.decode()}'",
        'export PATH="$CONDA_PREFIX/bin:$PATH"',
        f"export CONDA_DEFAULT_ENV={shlex.quote(content.environment)}",
        "export CONDA_SHLVL=1",
    ]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in wanted.variables.items()]
    lines += [f'. "$CONDA_PREFIX/{name}"' for name in wanted.scripts]
    return "\n".join([*lines, ""])


def _fish(content: PackContent, wanted: Activation) -> str:
    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    lines = [
        "# to be sourced by fish",
        f"set -gx CONDA_PREFIX '{TOKEN.decode()}'",
        'set -gx PATH "$CONDA_PREFIX/bin" $PATH',
        f"set -gx CONDA_DEFAULT_ENV {quoted(content.environment)}",
        "set -gx CONDA_SHLVL 1",
    ]
    lines += [f"set -gx {key} {quoted(value)}" for key, value in wanted.variables.items()]
    lines += [f'source "$CONDA_PREFIX/{name}"' for name in wanted.fish]
    return "\n".join([*lines, ""])


class PosixSum:
    """The sum of POSIX ``cksum``, for machines without any tool for sha256.

    It is the CRC of zlib with bits in the other order and nothing inverted at the start.
    """

    def __init__(self) -> None:
        self._crc = 0xFFFFFFFF
        self._length = 0

    def update(self, data: bytes) -> None:
        """Take more."""
        self._crc = zlib.crc32(data.translate(_REVERSED), self._crc)
        self._length += len(data)

    def value(self) -> str:
        """As the program prints it."""
        tail = self._length.to_bytes((self._length.bit_length() + 7) // 8, "little")
        register = zlib.crc32(tail.translate(_REVERSED), self._crc) ^ 0xFFFFFFFF
        return str(int(f"{register:032b}"[::-1], 2) ^ 0xFFFFFFFF)
