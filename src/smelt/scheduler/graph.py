"""Running jobs as what they need becomes ready."""

from __future__ import annotations

import heapq
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from smelt.errors import SmeltError
from smelt.scheduler.cancellation import Cancellation, Cancelled

K = TypeVar("K")
T = TypeVar("T")

Job = Callable[[Cancellation], T]
"""What a job is: called in a thread of its own; it watches the cancellation, and raises to fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphResult(Generic[K, T]):
    """What became of each job: its value, its failure, or nothing (``skipped``, in the order given)."""

    values: Mapping[K, T]
    failures: Mapping[K, BaseException] = field(hash=False)
    skipped: tuple[K, ...] = ()


def run_graph(
    jobs: Mapping[K, Job[T]],
    needs: Mapping[K, Iterable[K]],
    *,
    slots: int,
    keep_going: bool = False,
) -> GraphResult[K, T]:
    """Run every job after those that it needs, at most ``slots`` at once; the longest chain goes first.

    A job that fails stops the others (they are cancelled and waited for), or with ``keep_going`` only those that
    need it. Failures are returned, not raised. Called from the main thread, an interrupt (Ctrl-C) cancels
    all jobs, waits for them, and is raised then: no thread is left behind. Needs outside ``jobs`` count as met.

    Raises SmeltError (``cycle``) before anything runs if jobs need each other.
    """
    waiting = {key: {need for need in needs.get(key, ()) if need in jobs} for key in jobs}
    dependents: dict[K, list[K]] = {key: [] for key in jobs}
    for key, unmet in waiting.items():
        for need in unmet:
            dependents[need].append(key)
    height = _heights(waiting, dependents)
    order = {key: index for index, key in enumerate(jobs)}
    ready = [(-height[key], order[key], key) for key, unmet in waiting.items() if not unmet]
    heapq.heapify(ready)

    values: dict[K, T] = {}
    failures: dict[K, BaseException] = {}
    cancellation = Cancellation()
    outcomes: queue.SimpleQueue[tuple[K, T | None, BaseException | None]] = queue.SimpleQueue()
    running: dict[K, threading.Thread] = {}

    def run(key: K) -> None:
        try:
            outcome = (key, jobs[key](cancellation), None)
        except BaseException as error:  # noqa: BLE001 - given to the caller
            outcome = (key, None, error)
        outcomes.put(outcome)

    try:
        while ready or running:
            while ready and len(running) < slots and not cancellation.is_set:
                key = heapq.heappop(ready)[2]
                thread = threading.Thread(target=run, args=(key,), name=f"job-{order[key]}")
                running[key] = thread
                thread.start()
            if not running:
                break
            key, value, error = _next(outcomes)
            running.pop(key).join()
            if error is None:
                values[key] = value  # pyright: ignore[reportArgumentType]
                for dependent in dependents[key]:
                    waiting[dependent].discard(key)
                    if not waiting[dependent]:
                        heapq.heappush(ready, (-height[dependent], order[dependent], dependent))
            elif not isinstance(error, Cancelled):
                failures[key] = error
                if not keep_going:
                    cancellation.cancel()
    except BaseException:
        cancellation.cancel()
        _join(running.values())
        raise
    skipped = tuple(key for key in jobs if key not in values and key not in failures)
    return GraphResult(values=values, failures=failures, skipped=skipped)


def _heights(waiting: Mapping[K, Iterable[K]], dependents: Mapping[K, Iterable[K]]) -> dict[K, int]:
    """For each job the number of jobs in the longest chain of jobs that need it. Raises SmeltError (``cycle``)."""
    left = {key: sum(1 for _ in found) for key, found in dependents.items()}
    height = dict.fromkeys(waiting, 0)
    done = [key for key, count in left.items() if count == 0]
    for key in done:
        for need in waiting[key]:
            height[need] = max(height[need], height[key] + 1)
            left[need] -= 1
            if left[need] == 0:
                done.append(need)
    if len(done) != len(height):
        stuck = ", ".join(str(key) for key, count in left.items() if count)
        raise SmeltError(f"jobs need each other: {stuck}", code="cycle")
    return height


def _next(outcomes: queue.SimpleQueue[tuple[K, T | None, BaseException | None]]):
    """The next outcome; Ctrl-C interrupts the wait."""
    if sys.platform != "win32":
        return outcomes.get()
    while True:  # on Windows a wait without end cannot be interrupted
        try:
            return outcomes.get(timeout=0.2)
        except queue.Empty:
            continue


def _join(threads: Iterable[threading.Thread]) -> None:
    """Wait for threads whose work is cancelled; further interrupts do not leave one behind."""
    for thread in threads:
        while thread.is_alive():
            try:
                thread.join()
            except KeyboardInterrupt:
                continue
