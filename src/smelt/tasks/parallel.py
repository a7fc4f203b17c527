"""Running the independent commands of a plan at the same time.

A command starts when all that it needs has ended with success. One that runs while nothing else can run has the
terminal to itself, exactly as without ``--jobs``; those that run at the same time read nothing, and each line that they
write carries the name of its task (``smelt.tasks.labels``). After a failure nothing new is started, and what runs is
waited for, as other tools with ``--jobs`` do; after a signal that asks to stop, everything has been told so.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Protocol

from smelt.tasks.labels import LabelledOutput
from smelt.tasks.model import PlannedTask
from smelt.tasks.shell.execute import run_script
from smelt.tasks.shell.jobs import Jobs, Stopped
from smelt.tasks.shell.state import State
from smelt.tasks.shell.syntax import Script

_TICK = 0.2  # seconds after which Windows looks whether there was a Ctrl-C


class Runner(Protocol):
    """What a plan's commands have in common, whether they run one after the other or at the same time."""

    def begin(self, index: int) -> State | None:
        """Announce a command and give what it starts with; None if it need not run. Raises TaskError."""
        ...

    def run(self, index: int, state: State) -> int:
        """Run a command that has the terminal to itself."""
        ...

    def finish(self, index: int) -> None:
        """Remember that a command has ended with success."""
        ...


class ParallelRun:
    """One run of the commands ``tasks``, of which at most ``limit`` run at a time. Use ``run`` once."""

    def __init__(
        self,
        tasks: Sequence[PlannedTask],
        scripts: Sequence[Script],
        runner: Runner,
        jobs: Jobs,
        *,
        limit: int,
        output: LabelledOutput,
        say: Callable[[str], None],
    ) -> None:
        self._tasks = tasks
        self._scripts = scripts
        self._runner = runner
        self._jobs = jobs
        self._limit = limit
        self._output = output
        self._say = say
        self._needs = {index: set(task.needs) for index, task in enumerate(tasks)}
        self._running: set[int] = set()
        self._ended: SimpleQueue[tuple[int, int, BaseException | None]] = SimpleQueue()
        self._code = 0
        self._error: BaseException | None = None

    def run(self) -> int:
        """Run everything until something fails; the exit code of what failed first. Raises TaskError, OSError."""
        try:
            while True:
                ready = self._ready()
                if ready:
                    self._start(ready[0], alone=not self._running and len(ready) == 1)
                elif self._running:
                    self._await_one()
                else:
                    break
        except BaseException as error:  # noqa: BLE001 - raised again below
            # nothing may outlive this: what runs is waited for, whatever happened here
            self._error = self._error or error
            while self._running:
                self._await_one()
        if self._error is not None and not isinstance(self._error, Stopped):
            raise self._error
        return self._code or self._stopped() or 0

    def _stopped(self) -> int | None:
        return self._jobs.stopped or self._jobs.interrupted

    def _ready(self) -> list[int]:
        if self._code or self._error is not None or self._stopped() is not None or len(self._running) >= self._limit:
            return []
        return [index for index, needs in self._needs.items() if not needs]

    def _start(self, index: int, *, alone: bool) -> None:
        del self._needs[index]
        with self._jobs.interruptible():
            state = self._runner.begin(index)
        if state is None:
            self._done(index)
        elif alone:
            self._end(index, self._runner.run(index, state))
        else:
            self._running.add(index)
            threading.Thread(target=self._work, args=(index, state), daemon=True).start()

    def _work(self, index: int, state: State) -> None:
        code, error = 1, None
        try:
            with self._output.streams(index) as streams:
                code = run_script(self._scripts[index], state, streams, jobs=self._jobs)
        except BaseException as caught:  # noqa: BLE001 - raised again in the thread that waits
            error = caught
        self._ended.put((index, code, error))

    def _await_one(self) -> None:
        while True:
            try:
                # elsewhere waiting is interrupted by signals, and goes on after them
                index, code, error = self._ended.get(timeout=_TICK if sys.platform == "win32" else None)
                break
            except Empty:
                continue
        self._running.remove(index)
        self._error = self._error or error
        self._end(index, code)

    def _end(self, index: int, code: int) -> None:
        if code == 0:
            self._runner.finish(index)
            self._done(index)
            return
        name = self._tasks[index].name or "the command"
        others = ", ".join(self._tasks[each].name or "the command" for each in sorted(self._running))
        waiting = f"; waiting for {others}" if others else ""
        if self._stopped() is None:
            self._say(f"{name} failed with exit code {code}{waiting}")
        self._code = self._code or code

    def _done(self, index: int) -> None:
        for needs in self._needs.values():
            needs.discard(index)
