"""Talking to a backend: one JSON-RPC message a line, requests on its standard input, answers on its standard output.

What it writes to its standard error is its log. Source: the reference's ``pixi_build_frontend``, JSON-RPC 2.0.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from smelt.errors import SourceError
from smelt.source.protocol.tool import BackendTool
from smelt.source.protocol.trace import Trace

NEGOTIATE = "negotiateCapabilities"
INITIALIZE = "initialize"
OUTPUTS = "conda/outputs"
BUILD = "conda/build_v1"

_NOT_FOUND = -32601
_LONGEST = 1 << 28
_KEPT = 400
_SHOWN = 30
_PATIENCE = 5.0


class BackendProcess:
    """A running backend; use it as a context manager, which ends it.

    ``line`` is given each line of its log, from another thread; ``trace`` what is said both ways. Raises SourceError
    (``backend-missing``) where it cannot be started.
    """

    def __init__(
        self,
        tool: BackendTool,
        *,
        folder: Path,
        environment: Mapping[str, str],
        line: Callable[[str], None] | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._tool = tool
        self._trace = trace
        self._number = 0
        self._lines: deque[str] = deque(maxlen=_KEPT)
        try:
            self._process = subprocess.Popen(
                [tool.command],
                cwd=folder,
                env=dict(environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise SourceError(
                f"the backend `{tool.name}` cannot be started: {error.strerror or error}",
                code="backend-missing",
                notes=[tool.command],
                help="its package must bring an executable of its own name",
            ) from error
        self._reader = threading.Thread(
            target=self._read_log, args=(self._process.stderr, line), name="backend log", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(kill=kind is not None)

    def close(self, *, kill: bool = False) -> None:
        """End the backend: its input ends, and if it does not go by itself it is killed."""
        process = self._process
        if kill:
            process.kill()
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # a grandchild may hold the other end open
        self._reader.join(_PATIENCE)
        for stream in (process.stdout, process.stderr):
            if stream is not None and not (stream is process.stderr and self._reader.is_alive()):
                stream.close()

    def negotiate(self) -> None:
        """Ask what the backend can do. Raises SourceError (``backend-protocol``) if that is not enough."""
        answer = self.call(NEGOTIATE, {"capabilities": {}})
        known = _table(answer.get("capabilities"))
        missing = [
            method
            for method, key in ((OUTPUTS, "providesCondaOutputs"), (BUILD, "providesCondaBuildV1"))
            if known.get(key) is not True
        ]
        if missing:
            raise self._error(
                f"does not offer {' and '.join(missing)}",
                help="take a version of it that speaks the protocol's version 7",
            )

    def call(self, method: str, params: Mapping[str, object]) -> Mapping[str, object]:
        """The result of one request.

        Raises SourceError: ``backend-failed`` (the backend's own complaint), ``backend-crashed`` (it ended), and
        ``backend-protocol`` (it answered something else than the protocol says).
        """
        self._number += 1
        if self._trace is not None:
            self._trace.params(method, params)
        request = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        data = json.dumps(request, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(data)
            stdin.flush()
        except OSError as error:
            raise self._crashed(method) from error
        while True:
            raw = stdout.readline(_LONGEST)
            if not raw.endswith(b"\n"):
                if len(raw) >= _LONGEST:
                    raise self._error(f"answered {method} with a line of more than {_LONGEST} bytes")
                if not raw.strip():
                    raise self._crashed(method)
            if not raw.strip():
                continue
            answer = self._parsed(raw, method)
            if "method" in answer:
                continue  # a notification
            if answer.get("id") != self._number:
                raise self._error(f"answered another request than {method}", notes=[_quoted(raw)])
            if answer.get("error") is not None:
                if self._trace is not None:
                    self._trace.error(method, answer["error"])
                raise self._failed(method, answer["error"])
            result = answer.get("result")
            if not isinstance(result, Mapping):
                raise self._error(f"answered {method} with something that is no object", notes=[_quoted(raw)])
            found = cast("Mapping[str, object]", result)
            if self._trace is not None:
                self._trace.response(method, found)
            return found

    def _parsed(self, raw: bytes, method: str) -> Mapping[str, object]:
        try:
            answer: object = json.loads(raw)
        except ValueError as error:
            raise self._error(
                f"wrote something else than JSON to its standard output, as its answer to {method}",
                notes=[_quoted(raw)],
                help="what a backend tells people belongs onto its standard error",
            ) from error
        if not isinstance(answer, Mapping):
            raise self._error(f"answered {method} with something that is no object", notes=[_quoted(raw)])
        return cast("Mapping[str, object]", answer)

    def _failed(self, method: str, error: object) -> SourceError:
        """The backend's own complaint; ``data`` is a report as miette writes it, where there is one."""
        table = _table(error) or {"message": str(error)}
        if table.get("code") == _NOT_FOUND:
            return self._error(f"does not know the method {method}")
        message = str(table.get("message") or "no reason given")
        data = table.get("data")
        report = _table(data)
        causes = report.get("causes")
        notes = [str(each) for each in cast("list[object]", causes)] if isinstance(causes, list) else []
        if isinstance(data, str) and data:
            notes.append(data)
        advice = report.get("help")
        return SourceError(
            f"the backend `{self._tool.name}` failed: {message}",
            code="backend-failed",
            notes=[each for each in notes if each != message] + self._log_note(),
            help=str(advice) if advice else None,
        )

    def _crashed(self, method: str) -> SourceError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_PATIENCE)
        self._reader.join(_PATIENCE)
        code = self._process.poll()
        if code is None:
            how = "closed its standard output"
        elif code < 0:
            how = f"was killed by signal {-code}"
        else:
            how = f"ended with exit code {code}"
        return SourceError(
            f"the backend `{self._tool.name}` {how} before it answered {method}",
            code="backend-crashed",
            notes=self._log_note() or ["it said nothing"],
            help="try another version of the backend, or tell whoever keeps it",
        )

    def _error(self, problem: str, *, notes: list[str] | None = None, help: str | None = None) -> SourceError:
        return SourceError(
            f"the backend `{self._tool.name}` {problem}",
            code="backend-protocol",
            notes=[*(notes or []), *self._log_note()],
            help=help or "try another version of the backend, or tell whoever keeps it",
        )

    def _log_note(self) -> list[str]:
        shown = list(self._lines)[-_SHOWN:]
        return ["\n".join([f"the last {len(shown)} lines of its log:", *shown])] if shown else []

    def _read_log(self, stream: IO[bytes], line: Callable[[str], None] | None) -> None:
        for raw in iter(lambda: stream.readline(1 << 16), b""):
            text = raw.decode("utf-8", "replace").rstrip("\r\n")
            self._lines.append(text)
            if line is not None:
                line(text)


def _table(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, Mapping) else {}


def _quoted(raw: bytes) -> str:
    text = raw[:200].decode("utf-8", "replace").rstrip()
    return f"it wrote: {text}{'…' if len(raw) > 200 else ''}"


_SYSTEM = ("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "PROGRAMDATA", "PROGRAMFILES")


def plain_environment(tool: BackendTool, outer: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The variables of a backend that is asked for metadata: nothing of the user's, but what the system needs.

    A program that was put in the place of a backend keeps all of ``outer``. ``folder`` is its home and its place for
    temporary files.
    """
    if tool.override:
        return {**outer, **tool.environment}
    kept = {name: outer[name] for name in _SYSTEM if sys.platform == "win32" and name in outer}
    return {
        **kept,
        **dict.fromkeys(("HOME", "USERPROFILE", "TMPDIR", "TEMP", "TMP"), str(folder)),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **tool.environment,
    }
