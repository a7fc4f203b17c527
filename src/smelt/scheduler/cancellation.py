"""Telling running jobs to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager


class Cancelled(Exception):
    """Raised inside a job that was told to stop; not a failure of the job."""


class Cancellation:
    """Set once, from any thread; then every registered action is called, later ones at once.

    Actions must be quick, must not fail, and may be called from another thread than the one that registered them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set = False
        self._actions: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def is_set(self) -> bool:
        """Whether jobs are to stop."""
        return self._set

    def check(self) -> None:
        """Raise ``Cancelled`` if jobs are to stop."""
        if self._set:
            raise Cancelled

    def cancel(self) -> None:
        """Tell every job to stop."""
        with self._lock:
            self._set = True
            actions = list(self._actions.values())
        for action in actions:
            action()

    @contextmanager
    def calls(self, action: Callable[[], None]) -> Generator[None]:
        """While the block runs, ``action`` is what cancelling does."""
        with self._lock:
            number = self._next
            self._next += 1
            self._actions[number] = action
            now = self._set
        try:
            if now:
                action()
            yield
        finally:
            with self._lock:
                del self._actions[number]


def interruptible(work: Callable[[], object], cancellation: Cancellation) -> None:
    """Call ``work``; if cancelled, leave it behind in its thread (a download may hang) and raise Cancelled."""
    ended = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised below
            failure.append(error)
        ended.set()

    threading.Thread(target=run, name="smelt-wait", daemon=True).start()
    with cancellation.calls(ended.set):
        ended.wait()
    cancellation.check()
    if failure:
        raise failure[0]
