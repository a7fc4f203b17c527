"""Jobs of a graph: order, slots, failures, cancellation."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smelt.errors import SmeltError
from smelt.scheduler.cancellation import Cancellation, Cancelled
from smelt.scheduler.graph import Job, run_graph


@st.composite
def graphs(draw: st.DrawFn) -> dict[int, list[int]]:
    """Needs of jobs without cycles: each needs only earlier ones (and some that do not exist)."""
    count = draw(st.integers(0, 12))
    return {key: draw(st.lists(st.integers(-2, key - 1), max_size=3)) if key else [] for key in range(count)}


@given(graphs(), st.integers(1, 4), st.sets(st.integers(0, 11)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_order_slots_and_failures(
    needs: Mapping[int, Iterable[int]], slots: int, failing: set[int], keep_going: bool
) -> None:
    lock = threading.Lock()
    running, most, done = 0, 0, list[int]()

    def job(key: int) -> Job[int]:
        def run(cancellation: Cancellation) -> int:
            nonlocal running, most
            with lock:
                assert {need for need in needs[key] if need in needs} <= set(done)
                running += 1
                most = max(most, running)
            time.sleep(0)
            with lock:
                running -= 1
                if key in failing:
                    raise ValueError(str(key))
                done.append(key)
            return key * 2

        return run

    result = run_graph({key: job(key) for key in needs}, needs, slots=slots, keep_going=keep_going)
    assert most <= slots
    assert running == 0
    assert dict(result.values) == {key: key * 2 for key in done}
    assert set(result.failures) <= failing
    assert {*result.values, *result.failures, *result.skipped} == set(needs)
    blocked = set(failing & set(needs))
    for key in needs:  # in order of need
        if blocked & set(needs[key]):
            blocked.add(key)
    if keep_going:
        assert set(result.values) == set(needs) - blocked
    else:
        assert set(result.values) <= set(needs) - blocked
    if not failing & set(needs):
        assert result.skipped == ()


def test_the_longest_chain_goes_first() -> None:
    order: list[str] = []

    def job(key: str) -> Job[None]:
        return lambda cancellation: order.append(key)

    needs = {"alone": [], "a": [], "b": ["a"], "c": ["b"], "also": []}
    run_graph({key: job(key) for key in needs}, needs, slots=1)
    assert order == ["a", "b", "alone", "c", "also"]


def test_a_cycle_is_an_error_before_anything_runs() -> None:
    ran: list[str] = []
    needs = {"free": [], "a": ["b"], "b": ["a"]}
    with pytest.raises(SmeltError, match="need each other: a, b") as caught:
        run_graph({key: lambda cancellation: ran.append("x") for key in needs}, needs, slots=2)
    assert caught.value.kind == "cycle"
    assert ran == []


def test_a_failure_cancels_what_runs() -> None:
    begun = threading.Event()

    def waits(cancellation: Cancellation) -> str:
        stop = threading.Event()
        with cancellation.calls(stop.set):
            begun.set()
            assert stop.wait(10)
        cancellation.check()
        return "never"

    def fails(cancellation: Cancellation) -> str:
        assert begun.wait(10)
        raise ValueError("no")

    started = time.monotonic()
    result = run_graph({"w": waits, "f": fails, "later": fails}, {"later": ["w"]}, slots=2)
    assert time.monotonic() - started < 5
    assert list(result.failures) == ["f"]
    assert result.skipped == ("w", "later")


def test_actions_registered_after_cancelling_run_at_once() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    called: list[int] = []
    with cancellation.calls(lambda: called.append(1)):
        assert called == [1]
    with pytest.raises(Cancelled):
        cancellation.check()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_an_interrupt_waits_for_the_jobs() -> None:
    ended: list[str] = []

    def waits(cancellation: Cancellation) -> None:
        stop = threading.Event()
        with cancellation.calls(stop.set):
            os.kill(os.getpid(), signal.SIGINT)
            stop.wait(10)
            time.sleep(0.1)
            ended.append("waits")

    with pytest.raises(KeyboardInterrupt):
        run_graph({"w": waits}, {}, slots=1)
    assert ended == ["waits"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("job-")]


def test_many_small_jobs_cost_little() -> None:
    needs = {key: [key - 1] if key % 10 else [] for key in range(200)}
    result = run_graph({key: lambda cancellation: None for key in needs}, needs, slots=4)
    assert len(result.values) == 200
