"""Commands that are programs of their own: ``smelt-<name>`` or ``pixi-<name>`` on the search path.

Source: the reference's page "Pixi extensions".
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn


def find_external(name: str) -> str | None:
    """The program that is the command ``name``: on ``PATH``, or installed by ``global``; None if there is none."""
    if not name.replace("-", "").replace("_", "").isalnum():
        return None
    home = Path(os.environ.get("PIXI_HOME") or Path.home() / ".pixi") / "bin"
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(home)])
    return shutil.which(f"smelt-{name}", path=path) or shutil.which(f"pixi-{name}", path=path)


def run_external(program: str, arguments: Sequence[str]) -> int:
    """Become ``program`` (where the system can), or run it and give its exit code. Raises OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name == "posix":
        become(program, [program, *arguments], os.environ)
    return subprocess.run([program, *arguments], check=False).returncode


def become(program: str, arguments: Sequence[str], variables: Mapping[str, str]) -> NoReturn:
    """Become ``program`` on POSIX; signals that Python ignores for itself have their default meaning there.

    Raises OSError, with everything as it was.
    """
    ignored = [each for each in (signal.SIGPIPE, signal.SIGXFSZ) if signal.getsignal(each) is signal.SIG_IGN]
    try:
        for each in ignored:
            signal.signal(each, signal.SIG_DFL)
        os.execve(program, list(arguments), dict(variables))
    except OSError:
        for each in ignored:
            signal.signal(each, signal.SIG_IGN)
        raise


def wait_for(command: Sequence[str], variables: Mapping[str, str], *, empty_stdin: bool = False) -> int:
    """Run a child with ``variables``, leave Ctrl-C to it, and give its exit code (128 + number for a signal)."""
    with subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL if empty_stdin else None) as process:
        while True:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                continue
            return code if code >= 0 else 128 - code
