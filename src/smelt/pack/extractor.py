"""A process that extracts packages for the one that started it, one after the other.

rattler's `extract` takes the least work of all ways to do it, but holds the interpreter's lock from beginning to end:
several packages at a time take several processes. A file of this name is run; nothing imports it.

A request is a line of JSON on standard input: ``archive`` (a path whose end tells the form), ``folder`` (new), and
``how``. For ``piped`` the standard input is a socket, and the descriptor of a pipe comes with the request; ``archive``
is then made a link to that. ``whole``: a file that only what reads it twice can extract. The answer is a line on
standard output: ``sha256`` and ``md5`` of all bytes, or ``error``; ``broke`` where rattler broke off. The process ends
with its standard input; whoever waits for the bytes of a pipe that nobody holds any more finds its end.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

_ROOM = 1 << 16


def main() -> None:
    """Answer all requests. Never returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started us decides
    answers, words = os.dup(1), os.dup(2)
    try:
        import_module("rattler")  # what takes longest, while there is nothing to do yet
        null = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):  # nobody reads what rattler says when it breaks off: the answer says it too
            os.dup2(null, descriptor)
        links: dict[str, str] = {}
        for request, descriptor in _requests():
            answer = (json.dumps(_answer(request, descriptor, links)) + "\n").encode()
            while answer:
                answer = answer[os.write(answers, answer) :]
    except (BrokenPipeError, ConnectionError):
        os._exit(1)  # nobody is there any more
    except BaseException as error:  # noqa: BLE001 - told to whoever started us
        import traceback

        os.write(words, "".join(traceback.format_exception(error)).encode("utf-8", errors="replace")[: _ROOM // 2])
        os._exit(1)
    os._exit(0)


def _requests() -> Iterator[tuple[dict[str, str], int | None]]:
    """The requests, and the descriptors that came with them."""
    if sys.platform == "win32" or not _is_socket(0):
        for line in sys.stdin.buffer:
            yield json.loads(line), None
        return
    channel = socket.socket(fileno=0)
    while True:
        line, descriptors = b"", list[int]()
        while not line.endswith(b"\n"):
            data, more, _, _ = socket.recv_fds(channel, _ROOM, 1)
            if not data:
                return
            line += data
            descriptors += more
        yield json.loads(line), descriptors[0] if descriptors else None


def _is_socket(descriptor: int) -> bool:
    return stat.S_ISSOCK(os.fstat(descriptor).st_mode)


def _answer(request: dict[str, str], descriptor: int | None, links: dict[str, str]) -> dict[str, Any]:
    archive, folder = Path(request["archive"]), Path(request["folder"])
    try:
        if descriptor is not None:
            target = f"/dev/fd/{descriptor}"
            if links.get(str(archive)) != target:
                archive.unlink(missing_ok=True)
                archive.symlink_to(target)
                links[str(archive)] = target
        extract = _extract_whole if request["how"] == "whole" else _extract
        sha256, md5 = extract(archive, folder)
        return {"sha256": sha256.hex(), "md5": md5.hex()}
    except OSError as error:
        return {"error": str(error), "number": error.errno}
    except BaseException as error:
        if type(error).__name__ not in ("RustPanic", "PanicException"):  # rattler exports no such class
            raise
        return {"error": str(error), "broke": True}
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _extract(archive: Path, folder: Path) -> tuple[bytes, bytes]:
    from rattler.package_streaming import extract

    hashes = extract(archive, folder)
    if sys.platform != "win32":
        _set_modes(folder)
    return hashes


def _set_modes(folder: Path) -> None:
    """Nothing of an archive's modes counts but what can be run: the rest is for the user's umask to say.

    So it is where packages are installed from a channel (rattler's other way to extract).
    """
    umask = os.umask(0)
    os.umask(umask)
    plain, whole = 0o666 & ~umask, 0o777 & ~umask
    waiting = [str(folder)]
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
                    os.chmod(entry.path, wanted)  # noqa: PTH101 - pathlib would double the time


def _extract_whole(archive: Path, folder: Path) -> tuple[bytes, bytes]:
    import asyncio

    from rattler.networking.client import Client
    from rattler.package_streaming import download_and_extract

    async def run() -> tuple[bytes, bytes]:
        return await download_and_extract(Client.default_client(), archive.as_uri(), folder)

    return asyncio.run(run())


if __name__ == "__main__":
    main()
