"""Our side of a process that extracts packages (``smelt.pack.extractor``)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, cast

import smelt
from smelt.errors import InstallError, PackError
from smelt.install.failure import extraction_error
from smelt.pack.feeding import Send, widen

Hashes = tuple[str, str]
How = Literal["piped", "file", "whole"]
"""The bytes come through a pipe; from a file; from a file that is read twice."""


class ExtractorProcess:
    """A running process. ``errors``: a file for what it says when it breaks down. ``pipes``: as ``pipes_have_names``.

    One thread at a time may use it; ``kill`` may be called by any. Call ``close`` at the end. Raises OSError.
    """

    def __init__(self, errors: Path, *, pipes: bool) -> None:
        self._errors = errors
        self._channel: socket.socket | None = None
        # where smelt itself is found
        environment = {**os.environ, "PYTHONPATH": str(Path(smelt.__file__).resolve().parent.parent)}
        argv = [sys.executable, "-P", "-s", "-m", "smelt.pack.extractor"]
        theirs: socket.socket | None = None
        if pipes:
            self._channel, theirs = socket.socketpair()
        try:
            with errors.open("wb") as file:
                self._process = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE if theirs is None else theirs.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=file,
                    env=environment,
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                )
        except BaseException:
            if self._channel is not None:
                self._channel.close()
            raise
        finally:
            if theirs is not None:
                theirs.close()

    def extract(self, name: str, archive: Path, folder: Path, how: How, send: Send | None = None) -> Hashes:
        """Extract ``archive`` into the new ``folder``; sha256 and md5 of all its bytes.

        ``how`` is ``piped``: ``archive`` is a path where nothing is, and ``send`` gives the bytes. ``name`` is what
        errors call it. Raises InstallError (``bad-archive``, ``hostile-package``), CacheError (``disk-full``,
        ``cache``), PackError (``pack-process``), and what ``send`` raises, after which it can be used no more.
        """
        request = {"archive": str(archive), "folder": str(folder), "how": how}
        line = (json.dumps(request) + "\n").encode()
        with suppress(BrokenPipeError, ConnectionError):  # it is gone, and there will be no answer
            if how == "piped":
                assert send is not None
                self._send_piped(line, send)
            elif self._channel is not None:
                self._channel.sendall(line)
            else:
                assert self._process.stdin is not None
                self._process.stdin.write(line)
                self._process.stdin.flush()
        answer = self._answer(name)
        if "sha256" in answer:
            return answer["sha256"], answer["md5"]
        if answer.get("broke"):
            raise InstallError(f"{name} cannot be unpacked", code="bad-archive", notes=[answer["error"]])
        number, text = answer["number"], answer["error"]
        error = OSError(text) if number is None else OSError(number, text)
        raise extraction_error(error, name.rpartition("/")[2], name, folder) from error

    def _send_piped(self, line: bytes, send: Send) -> None:
        assert self._channel is not None
        out, into = os.pipe()
        try:
            try:
                socket.send_fds(self._channel, [line], [out])
            finally:
                os.close(out)
            widen(into)
            send(into)
        except (BrokenPipeError, ConnectionError):
            raise  # it has seen enough, and says why
        except BaseException:
            self.kill()
            raise
        finally:
            os.close(into)

    def _answer(self, name: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            return cast("dict[str, Any]", json.loads(line))
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        said = self._errors.read_text(encoding="utf-8", errors="replace").strip()
        raise PackError(
            f"the process that extracted {name} {how}",
            code="pack-process",
            notes=[said] if said else [],
            help="see whether the system killed it because memory ran out, and unpack again",
        )

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def close(self) -> None:
        """End it, and wait until it is gone."""
        self._process.kill()
        self._process.wait()
        if self._channel is not None:
            self._channel.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
