"""Our side of a process that extracts packages (``smelt.pack.extractor``).

Loads little: the first process is started before what else is needed is loaded, and gets ready meanwhile.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import smelt
from smelt.errors import InstallError, PackError

if TYPE_CHECKING:
    from smelt.pack.feeding import Send

Hashes = tuple[str, str]
How = Literal["piped", "file", "whole"]
"""The bytes come through a pipe; from a file; from a file that is read twice."""

_PIPE_SIZE = 1 << 20
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


class ExtractorProcess:
    """A running process. One thread at a time may use it; ``kill`` may be called by any. Call ``close`` at the end.

    Raises PackError (``pack-process``) where none can be started.
    """

    def __init__(self) -> None:
        # where smelt itself is found, and what we may have been told of
        places = [str(Path(smelt.__file__).resolve().parent.parent), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))}
        argv = [sys.executable, "-P", "-s", "-m", "smelt.pack.extractor"]
        self._channel: socket.socket | None = None
        theirs: socket.socket | None = None
        try:
            if sys.platform != "win32":
                self._channel, theirs = socket.socketpair()
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE if theirs is None else theirs.fileno(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                # Ctrl-C is for us to hear
                start_new_session=True,
                creationflags=_WINDOWS_FLAGS,
            )
        except OSError as error:
            if self._channel is not None:
                self._channel.close()
            raise PackError(
                "cannot start a process that extracts packages",
                code="pack-process",
                notes=[str(error)],
                help="see that Python can be started, and that there are not too many processes or open files",
            ) from error
        finally:
            if theirs is not None:
                theirs.close()

    def extract(self, name: str, archive: Path, folder: Path, how: How, send: Send | None = None) -> Hashes:
        """Extract ``archive`` into the new ``folder``; sha256 and md5 of all its bytes.

        ``how`` is ``piped``: ``archive`` is a path where nothing is, and ``send`` gives the bytes. ``name`` is what
        errors call it. Raises InstallError (``bad-archive``, ``hostile-package``), CacheError (``disk-full``,
        ``cache``), PackError (``pack-process``), and what ``send`` raises, after which it can be used no more.
        """
        paths = [os.fsencode(path.absolute()) for path in (archive, folder)]
        request = b"\0".join((how.encode(), *paths, b"\n"))
        with suppress(BrokenPipeError, ConnectionError):  # it is gone, and there will be no answer
            if how == "piped":
                assert send is not None
                self._send_piped(request, send)
            elif self._channel is not None:
                self._channel.sendall(request)
            else:
                assert self._process.stdin is not None
                self._process.stdin.write(request)
                self._process.stdin.flush()
        result, first, rest = self._answer(name)
        if result == "done":
            return first, rest
        text = rest.encode("ascii").decode("unicode_escape")
        if result == "broke":
            raise InstallError(f"{name} cannot be unpacked", code="bad-archive", notes=[text])
        error = OSError(int(first), text) if first != "0" else OSError(text)
        from smelt.install.failure import extraction_error

        raise extraction_error(error, name.rpartition("/")[2], name, folder) from error

    def _send_piped(self, request: bytes, send: Send) -> None:
        assert self._channel is not None
        out, into = os.pipe()
        try:
            try:
                socket.send_fds(self._channel, [request], [out])
            finally:
                os.close(out)
            _widen(into)
            send(into)
        except (BrokenPipeError, ConnectionError):
            raise  # it has seen enough, and says why
        except BaseException:
            self.kill()
            raise
        finally:
            os.close(into)

    def _answer(self, name: str) -> tuple[str, str, str]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if line.endswith(b"\n"):
            result, first, rest = line.decode("ascii").removesuffix("\n").split(" ", 2)
            return result, first, rest
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        assert self._process.stderr is not None
        said = self._process.stderr.read().decode("utf-8", errors="replace").strip()
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
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with suppress(OSError):
                    stream.close()


def _widen(pipe: int) -> None:
    """Let a pipe hold more."""
    if sys.platform == "linux":
        import fcntl

        with suppress(OSError):  # the administrator may have set a lower limit
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
