"""Fixtures for all rooms: real local channels, made once per run from what this machine has."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings

# Property tests give the same examples in every run, so that a red run can be repeated and a green one means the same
# everywhere; `SMELT_TEST_RANDOM=1` looks for new examples.
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("random", derandomize=False, deadline=None, print_blob=True)
settings.load_profile("random" if os.environ.get("SMELT_TEST_RANDOM") else "fixed")

# A job in the background ignores Ctrl-C, one under `nohup` SIGHUP; so would the processes that tests send them to.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if os.name == "posix" and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def shared_folder(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once for all workers of a run: the first one makes it, the others wait.

    A failure is not kept, so each worker reports it where it needs the folder.
    """
    base = factory.getbasetemp()
    root = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    folder, done = root / name, root / f"{name}.done"
    with FileLock(root / f"{name}.lock"):
        if not done.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def bare_channel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A channel with the running Python, its ``python_abi``, and the system's compilers. Needs no network."""

    def make(folder: Path) -> None:
        from smelt.channel.folder import create
        from smelt.channel.python import add_python
        from smelt.channel.toolchain import add_toolchain

        create(folder)
        add_python(folder)
        if sys.platform != "win32":
            add_toolchain(folder)

    return shared_folder(tmp_path_factory, "bare-channel", make)


@pytest.fixture(scope="session")
def local_channel(tmp_path_factory: pytest.TempPathFactory, bare_channel: Path) -> Path:
    """``bare_channel`` and the wheels pip, setuptools and wheel; mark tests that use it with ``network``.

    Shared by all tests: copy it before changing it.
    """

    def make(folder: Path) -> None:
        from smelt.channel.wheels import add_wheels

        shutil.copytree(bare_channel, folder)
        add_wheels(folder, ["pip", "setuptools", "wheel"])

    return shared_folder(tmp_path_factory, "local-channel", make)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave at once where rattler ran: its runtime may crash when the interpreter is torn down.

    The exit code would then be that of the crash. Workers of xdist have reported everything by now.
    """
    status = getattr(config, "smelt_exit_status", None)
    if status is not None and "rattler" in sys.modules:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Keep the exit status for ``pytest_unconfigure``."""
    if not hasattr(session.config, "workerinput"):
        session.config.smelt_exit_status = int(exitstatus)  # type: ignore[attr-defined]
