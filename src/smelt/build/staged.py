"""A built staging output as a file: what it put into its prefix and its work folder, for the outputs that inherit it.

rattler-build keeps a staging output in a folder of its own (``build_cache/staging_<its key>``), where the next output
of the same build finds it. That folder is packed when a staging output is built alone, and unpacked into the build of
each output that inherits it. Paths of the one build become those of the other: all that lies below the build folder has
one length (see ``smelt.build.environment``), so binary files can be changed in place. All files have one time, like
sources.
Source: rattler-build 0.73, its page "Staging outputs".
"""

from __future__ import annotations

import io
import os
import stat
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from smelt.build.environment import PREFIX_LENGTH, PathSubstitute, build_folder, host_prefix
from smelt.errors import BuildError

_ANNOUNCED = "Staging cache key: "
_FOLDER = "build_cache"


def pack_staged(output: Path, folder: Path, name: str, target: Path, timestamp: int) -> None:
    """Write what rattler-build kept of the staging output that it built in ``output`` (as ``name``) to ``target``.

    ``folder``: the work folder. Raises BuildError (``staging-lost``) where there is nothing, OSError.
    """
    import zstandard

    found = list((output / _FOLDER).glob("staging_*"))
    if len(found) != 1:
        raise BuildError("rattler-build kept nothing of the staging output that it built", code="staging-lost")
    paths = _paths(output, folder, name)
    with (
        target.open("wb") as file,
        zstandard.ZstdCompressor(level=1).stream_writer(file) as compressed,
        tarfile.open(fileobj=cast("Any", compressed), mode="w|") as archive,
    ):
        for path, info in _entries(found[0], timestamp):
            if info.issym():
                info.linkname = _replaced(str(path.readlink()), paths)
                archive.addfile(info)
            elif info.isdir():
                archive.addfile(info)
            else:
                data = _in_file(path.read_bytes(), paths)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def _entries(root: Path, timestamp: int) -> list[tuple[Path, tarfile.TarInfo]]:
    found: list[tuple[Path, tarfile.TarInfo]] = []
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder) / name
            info = tarfile.TarInfo(path.relative_to(root).as_posix())
            mode = path.lstat().st_mode
            info.mtime, info.mode = timestamp, stat.S_IMODE(mode) | stat.S_IWUSR
            if stat.S_ISLNK(mode):
                info.type = tarfile.SYMTYPE
            elif stat.S_ISDIR(mode):
                info.type = tarfile.DIRTYPE
            elif not stat.S_ISREG(mode):
                continue
            found.append((path, info))
    return found


class Seeding:
    """rattler-build's progress callback that gives it a staging output when it asks for one.

    It names the key that it is going to look for, and calls us before it looks. ``failure``: what went wrong in it
    (rattler-build swallows what callbacks raise).
    """

    def __init__(self, staged: Path, output: Path, folder: Path, name: str, events: Any) -> None:
        self.failure: Exception | None = None
        self.used = False
        self._staged = staged
        self._output = output
        self._paths = [each for each in map(_back, _paths(output, folder, name)) if each is not None]
        self._events = events

    def on_log(self, event: Any) -> None:
        """A line from rattler-build or from the build script."""
        message: str = event.message
        if not self.used and self.failure is None and message.startswith(_ANNOUNCED):
            try:
                self._restore(self._output / _FOLDER / f"staging_{message.removeprefix(_ANNOUNCED).strip()}")
                self.used = True
            except Exception as error:  # noqa: BLE001 - raised once rattler-build has returned
                self.failure = error
        self._events.on_log(event)

    def _restore(self, target: Path) -> None:
        import zstandard

        target.mkdir(parents=True)
        with (
            self._staged.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file) as plain,
            tarfile.open(fileobj=cast("Any", plain), mode="r|") as archive,
        ):
            for info in archive:
                path = target / info.name
                if info.isdir():
                    path.mkdir()
                elif info.issym():
                    path.symlink_to(_replaced(info.linkname, self._paths))
                else:
                    data = archive.extractfile(info)
                    assert data is not None
                    path.write_bytes(_in_file(data.read(), self._paths))
                    path.chmod(info.mode)
                    os.utime(path, (info.mtime, info.mtime))


def _paths(output: Path, folder: Path, name: str) -> Sequence[PathSubstitute]:
    """What stands in the file for the paths of a build, in the order in which they are to be replaced."""
    prefix, build = host_prefix(output, name), build_folder(output, name)
    if sys.platform == "win32":
        # their lengths differ: binary files keep what they have
        pairs = [(prefix, "C:/smelt/h_env"), (build, "C:/smelt/staged"), (output, "C:/smelt/build")]
        slashes = [PathSubstitute(path=each.as_posix().encode(), in_text=text.encode()) for each, text in pairs]
        return (
            *slashes,
            *(
                PathSubstitute(path=str(each).encode(), in_text=text.replace("/", "\\").encode())
                for each, text in pairs
            ),
        )
    placeholder = ("/smelt/host_env" + "_placehold" * PREFIX_LENGTH)[:PREFIX_LENGTH].encode()
    place = os.fsencode(build)
    staged = b"/smelt/staged".ljust(len(place), b"_")
    within = (
        PathSubstitute(path=os.fsencode(prefix), in_text=placeholder, in_binary=placeholder),
        PathSubstitute(path=place, in_text=staged, in_binary=staged),
    )
    return (
        *within,
        *(each.in_hexadecimal() for each in within),
        # these have other lengths elsewhere
        PathSubstitute(path=os.fsencode(output), in_text=b"/smelt/output"),
        PathSubstitute(path=os.fsencode(folder), in_text=b"/smelt/folder"),
    )


def _back(each: PathSubstitute) -> PathSubstitute | None:
    return PathSubstitute(path=each.in_text, in_text=each.path, in_binary=each.path if each.in_binary else None)


def _in_file(data: bytes, paths: Sequence[PathSubstitute]) -> bytes:
    binary = b"\0" in data
    for each in paths:
        stands = each.in_binary if binary else each.in_text
        if stands is not None and each.path in data:
            data = data.replace(each.path, stands)
    return data


def _replaced(text: str, paths: Sequence[PathSubstitute]) -> str:
    data = text.encode("utf-8", "surrogateescape")
    for each in paths:
        data = data.replace(each.path, each.in_text)
    return data.decode("utf-8", "surrogateescape")
