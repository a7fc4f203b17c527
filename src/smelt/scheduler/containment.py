"""A child process together with everything that it starts: killed as one, and dead when we are.

This is the only module of the room that differs between systems. POSIX: a session (process group) of its own, and a
pipe whose end a guard in the child watches (``smelt.scheduler.guard``). Windows: a job object that the system
closes with our process. The Windows part has not been tried on a machine.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any


class Containment:
    """A running child. Its standard input is the lifeline, its standard output is ours to read.

    Make one with ``start``; end with ``wait`` (always), which kills what the child left behind.
    """

    def __init__(self, process: subprocess.Popen[bytes], job: Any) -> None:
        self._process = process
        self._job = job
        self._lock = threading.Lock()
        self._reaped = False

    @classmethod
    def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        errors: IO[bytes] | int,
        keep: Sequence[int] = (),
    ) -> Containment:
        """Start ``argv``; standard error goes to ``errors``. ``keep``: descriptors that it gets (POSIX).

        Raises OSError.
        """
        if sys.platform == "win32":
            process = subprocess.Popen(
                argv,
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW,
            )
            return cls(process, _job_object(process))
        process = subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=keep,
        )
        return cls(process, None)

    @property
    def pid(self) -> int:
        """The process id of the child."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What the child writes to its standard output."""
        assert self._process.stdout is not None
        return self._process.stdout

    def kill(self) -> None:
        """Kill the child and all that it started; nothing if it has been waited for."""
        with self._lock:
            if not self._reaped:
                self._kill()

    def wait(self) -> int:
        """Wait for the child, kill what it left behind, and give its exit code (negative: the signal)."""
        if sys.platform != "win32" and hasattr(os, "waitid"):
            # not reaped yet: the group's number cannot be another's when it is killed
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._process.wait()
        with self._lock:
            self._kill()
            code = self._process.wait()
            self._reaped = True
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        return code

    def _kill(self) -> None:
        if sys.platform == "win32":
            _terminate_job(self._job)
        else:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


if sys.platform == "win32":
    import ctypes
    from ctypes import wintypes

    _KILL_ON_JOB_CLOSE = 0x2000
    _EXTENDED_LIMIT_INFORMATION = 9

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    def _kernel() -> Any:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.SetInformationJobObject.argtypes = (
            wintypes.HANDLE,
            ctypes.c_int,
            ctypes.c_void_p,
            wintypes.DWORD,
        )
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
        return kernel

    def _job_object(process: subprocess.Popen[bytes]) -> Any:
        """A job that holds the process and is closed, with all in it, when our last handle goes."""
        kernel = _kernel()
        job = kernel.CreateJobObjectW(None, None)
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        done = kernel.SetInformationJobObject(
            job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        handle = wintypes.HANDLE(int(process._handle))  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]
        if not done or not kernel.AssignProcessToJobObject(job, handle):
            process.kill()
            raise ctypes.WinError(ctypes.get_last_error())
        return job

    def _terminate_job(job: Any) -> None:
        _kernel().TerminateJobObject(job, 1)

else:

    def _job_object(process: subprocess.Popen[bytes]) -> Any:
        raise NotImplementedError("job objects exist on Windows only")

    def _terminate_job(job: Any) -> None:
        raise NotImplementedError("job objects exist on Windows only")
