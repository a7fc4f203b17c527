"""A process that extracts packages for the one that started it, one after the other.

rattler's `extract` takes the least work of all ways to do it, but holds the interpreter's lock from beginning to end:
several packages at a time take several processes. So this is run; nothing imports it, and it loads as little as it can.

A request comes on standard input: ``how``, a path ``archive`` whose end tells the form, and ``folder``, a new one. Each
ends with NUL, and all with a line feed. For ``piped`` the standard input is a socket, and the descriptor of a pipe
comes with the request; ``archive`` is then made a link to that. ``whole`` is for a file that only what reads it twice
can extract. The answer is a line on standard output: ``done``, and sha256 and md5 of all bytes; or ``failed``, and the
number and the words of the system's error; or ``broke``, 0, and the words of rattler. The process ends with its
standard input; whoever waits for the bytes of a pipe that nobody holds any more finds its end.
"""

from __future__ import annotations

import os
import stat
import sys

TYPE_CHECKING = False  # ``typing`` and what it needs would take as long as starting Python
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

_ROOM = 1 << 16
_END = b"\0\n"
_MOST_WORDS = 1 << 15


def main() -> None:
    """Answer all requests. Never returns."""
    answers, words = os.dup(1), os.dup(2)
    try:
        extract = _load()
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):  # nobody reads what rattler says when it breaks off: the answer says it too
            os.dup2(null, descriptor)
        links: dict[str, str] = {}
        for request, descriptor in _requests():
            how, archive, folder = (os.fsdecode(field) for field in request.removesuffix(_END).split(b"\0"))
            answer = _answer(extract, how, archive, folder, descriptor, links) + b"\n"
            while answer:
                answer = answer[os.write(answers, answer) :]
    except (BrokenPipeError, ConnectionError):
        os._exit(1)  # nobody is there any more
    except BaseException as error:  # noqa: BLE001 - told to whoever started us
        import traceback

        text = "".join(traceback.format_exception(error))
        os.write(words, text.encode("utf-8", errors="replace")[:_MOST_WORDS])
        os._exit(1)
    os._exit(0)


def _load() -> Callable[[str, str], tuple[bytes, bytes]]:
    """rattler's compiled module alone, as long as its package lets us: that takes four times as long to load."""
    from importlib.machinery import PathFinder

    found = PathFinder.find_spec("rattler")
    if found is not None and found.submodule_search_locations is not None:
        package = type(sys)("rattler")
        package.__path__ = list(found.submodule_search_locations)
        sys.modules["rattler"] = package
        try:
            from rattler.rattler import extract  # pyright: ignore[reportUnknownVariableType]

            return extract  # pyright: ignore[reportUnknownVariableType]
        except ImportError:
            pass  # it is arranged in another way
        finally:
            del sys.modules["rattler"]
    from rattler.package_streaming import extract

    return extract  # pyright: ignore[reportReturnType]


def _requests() -> Iterator[tuple[bytes, int | None]]:
    """The requests, and the descriptors that came with them."""
    if sys.platform == "win32" or not stat.S_ISSOCK(os.fstat(0).st_mode):
        text = b""
        while data := os.read(0, _ROOM):
            text += data
            while _END in text:
                request, _, text = text.partition(_END)
                yield request + _END, None
        return
    import socket

    channel = socket.socket(fileno=0)
    while True:
        text, descriptors = b"", list[int]()
        while not text.endswith(_END):
            data, more, _, _ = socket.recv_fds(channel, _ROOM, 1)
            if not data:
                return
            text += data
            descriptors += more
        yield text, descriptors[0] if descriptors else None


def _answer(
    extract: Callable[[str, str], tuple[bytes, bytes]],
    how: str,
    archive: str,
    folder: str,
    descriptor: int | None,
    links: dict[str, str],
) -> bytes:
    try:
        if descriptor is not None:
            target = f"/dev/fd/{descriptor}"
            if links.get(archive) != target:
                if os.path.lexists(archive):
                    os.unlink(archive)  # noqa: PTH108 - pathlib need not be loaded
                os.symlink(target, archive)  # noqa: PTH211
                links[archive] = target
        if how == "whole":
            sha256, md5 = _extract_whole(archive, folder)
        else:
            sha256, md5 = extract(archive, folder)
            if sys.platform != "win32":
                _set_modes(folder)
        return f"done {sha256.hex()} {md5.hex()}".encode()
    except OSError as error:
        return f"failed {error.errno or 0} ".encode() + _one_line(error)
    except BaseException as error:
        if type(error).__name__ not in ("RustPanic", "PanicException"):  # rattler exports no such class
            raise
        return b"broke 0 " + _one_line(error)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _one_line(error: BaseException) -> bytes:
    return str(error).encode("unicode_escape")


def _set_modes(folder: str) -> None:
    """Nothing of an archive's modes counts but what can be run: the rest is for the user's umask to say.

    So it is where packages are installed from a channel (rattler's other way to extract).
    """
    umask = os.umask(0)
    os.umask(umask)
    plain, whole = 0o666 & ~umask, 0o777 & ~umask
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                mode = entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    wanted = whole
                    waiting.append(entry.path)
                elif stat.S_ISREG(mode):
                    wanted = plain | 0o111 if mode & 0o111 else plain
                else:
                    continue
                if stat.S_IMODE(mode) != wanted:
                    os.chmod(entry.path, wanted)  # noqa: PTH101


def _extract_whole(archive: str, folder: str) -> tuple[bytes, bytes]:
    import asyncio
    from pathlib import Path

    from rattler.networking.client import Client
    from rattler.package_streaming import download_and_extract

    async def run() -> Any:
        return await download_and_extract(Client.default_client(), Path(archive).as_uri(), Path(folder))

    return asyncio.run(run())


if __name__ == "__main__":
    main()
