"""A build that reaches no network and does not see the user's files: user, network and mount namespaces of Linux.

Needs no other program and no rights, where the kernel lets ordinary users make namespaces. The worker enters the
sandbox itself, between bringing the sources into its folder and calling rattler-build, while it has one thread; all
that it starts is inside. The guard that kills the worker's group stays outside.
Source: the manual pages user_namespaces(7), network_namespaces(7), mount_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from smelt.errors import BuildError, NotSupportedError

_NEW_USER, _NEW_NET, _NEW_MOUNTS = 0x10000000, 0x40000000, 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 0x1000, 0x4000, 0x40000
_DROP_CAPABILITY = 24
_NET_ADMIN, _SYS_ADMIN = 12, 21
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1


def require_sandbox() -> None:
    """Raise NotSupportedError (``not-supported``) on other systems than Linux, BuildError (``sandbox``) where the
    kernel refuses. Tries it in a process of its own.
    """
    if not sys.platform.startswith("linux"):
        raise NotSupportedError(
            f"builds cannot be cut off from the network on this system ({sys.platform}): that needs Linux",
            help="leave out --sandbox",
        )
    code = "from smelt.build.sandbox import enter; enter((), ())"
    path = str(Path(__file__).resolve().parent.parent.parent)
    done = subprocess.run(
        [sys.executable, "-P", "-s", "-c", code],
        env={"PYTHONPATH": path, "PATH": os.defpath},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        raise refused(done.stderr.strip().rpartition("\n")[2].partition(": ")[2] or "unknown reason")


def refused(reason: str) -> BuildError:
    """The error for a kernel that makes no sandbox."""
    return BuildError(
        f"the kernel does not let this user make a sandbox: {reason}",
        code="sandbox",
        help="in a container, allow user namespaces (`--security-opt seccomp=unconfined`, or a profile with `unshare` "
        "and `mount`); on Ubuntu see kernel.apparmor_restrict_unprivileged_userns; or leave out --sandbox",
    )


def enter(hidden: Sequence[Path], visible: Sequence[Path]) -> None:
    """Put this process, which must have one thread, into a sandbox; there is no way back.

    The network is a loopback device of its own. The folders ``hidden`` look empty, but for what of them is in or
    below one of ``visible``. Raises OSError where the kernel refuses.
    """
    system = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    _call(system.unshare(_NEW_USER | _NEW_NET | _NEW_MOUNTS), "user, network and mount namespaces")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1", encoding="ascii")
    _loopback_up()
    here = Path.cwd()
    _hide(system, [each for each in hidden if each.is_dir()], visible)
    os.chdir(here)
    # only root's children would inherit what this process may do to its namespaces
    for capability in (_NET_ADMIN, _SYS_ADMIN):
        _call(system.prctl(_DROP_CAPABILITY, capability, 0, 0, 0), "giving up rights")


def _hide(system: ctypes.CDLL, hidden: Sequence[Path], visible: Sequence[Path]) -> None:
    # also where nothing is hidden: it tells whether the kernel allows what comes later
    _mount(system, "none", "/", None, _RECURSIVE | _PRIVATE, None)
    kept = sorted({path.resolve() for path in visible if path.exists()})
    # held open, so that they can still be reached when something covers them
    handles = [(path, os.open(path, os.O_PATH)) for path in kept]
    for folder in sorted({path.resolve() for path in hidden}):
        inside = [(path, handle) for path, handle in handles if path.is_relative_to(folder)]
        if any(path == folder for path, _ in inside):
            continue
        _mount(system, "smelt", str(folder), "tmpfs", 0, "mode=755,size=16m")
        for path, handle in inside:
            if path.exists():  # below another one
                continue
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                path.mkdir(parents=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            _mount(system, f"/proc/self/fd/{handle}", str(path), None, _BIND | _RECURSIVE, None)
    for _, handle in handles:
        os.close(handle)


def _mount(system: ctypes.CDLL, source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    def encoded(text: str | None) -> bytes | None:
        return None if text is None else os.fsencode(text)

    result = system.mount(encoded(source), encoded(target), encoded(kind), ctypes.c_ulong(flags), encoded(data))
    _call(result, f"mounting over {target}")


def _call(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _loopback_up() -> None:
    """Programs that talk to themselves over the network may go on doing so."""
    if sys.platform != "linux":
        return
    import fcntl
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = fcntl.ioctl(handle, _GET_FLAGS, struct.pack("16sH14x", b"lo", 0))
        flags = struct.unpack("16sH14x", request)[1]
        fcntl.ioctl(handle, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))
