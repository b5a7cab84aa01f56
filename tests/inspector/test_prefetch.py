from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count, islice

import pytest

from blemish.inspector.prefetch import Prefetcher, running


def no_thread_is_left(before: set[threading.Thread]) -> bool:
    return not (set(threading.enumerate()) - before)


def test_everything_once_in_order_through_several_steps() -> None:
    before = set(threading.enumerate())
    first = Prefetcher(lambda one: one + 1, range(200))
    second = Prefetcher(lambda one: one * 2, first, max_ahead=3)
    with running(first, second):
        assert list(second) == [2 * (one + 1) for one in range(200)]
        assert list(second) == []
    assert no_thread_is_left(before)


def test_steps_run_side_by_side() -> None:
    """Two steps meet at a barrier: one after the other they would wait for ever."""
    meeting = threading.Barrier(2, timeout=20)

    def meet(one: int) -> int:
        if one:
            meeting.wait()
        return one

    def met(one: int) -> int:
        if one < 3:
            meeting.wait()
        return one

    first = Prefetcher(meet, range(4))
    second = Prefetcher(met, first)
    with running(first, second):
        assert list(second) == [0, 1, 2, 3]


def test_no_more_is_begun_than_may_wait() -> None:
    begun: list[int] = []
    step = Prefetcher(begun.append, count(), max_ahead=3)
    with running(step):
        for taken in range(1, 5):
            next(step)
            deadline = time.monotonic() + 10
            while len(begun) < taken + 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.02)
            assert len(begun) == taken + 3


@pytest.mark.parametrize("place", ["items", "first", "second", "prepare"])
def test_an_error_anywhere_comes_out_once_in_its_place_and_ends_all(place: str) -> None:
    before = set(threading.enumerate())

    def items() -> Iterator[int]:
        yield from range(5)
        if place == "items":
            raise ValueError(place)
        yield from range(5, 10)

    def failing(here: str, one: int) -> int:
        if place == here and one == 5:
            raise ValueError(place)
        return one

    def prepare() -> None:
        if place == "prepare":
            raise ValueError(place)

    first = Prefetcher(lambda one: failing("first", one), items())
    second = Prefetcher(lambda one: failing("second", one), first, prepare=prepare)
    seen = []
    with pytest.raises(ValueError, match=place), running(first, second):
        for one in second:
            seen.append(one)
    assert seen == ([] if place == "prepare" else [0, 1, 2, 3, 4])
    assert list(second) == []
    assert no_thread_is_left(before)


def test_leaving_in_the_middle_ends_the_threads_and_closes_the_items() -> None:
    before = set(threading.enumerate())
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from count()
        finally:
            closed.set()

    first = Prefetcher(lambda one: one, endless())
    second = Prefetcher(lambda one: one, first)
    with running(first, second):
        assert [next(second) for _ in range(3)] == [0, 1, 2]
    assert closed.is_set()
    assert no_thread_is_left(before)


def test_what_is_ready_is_given_without_waiting() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        gate.wait(20)

    step = Prefetcher(lambda one: one, items(), max_ahead=5)
    with running(step):
        assert next(step) == 0
        deadline = time.monotonic() + 10
        while step.made.qsize() < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert list(step.drain()) == [1, 2]
        gate.set()


def test_an_input_on_which_nothing_comes_does_not_hold_up_the_end() -> None:
    gate = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        gate.wait(60)

    first = Prefetcher(lambda one: one, items())
    second = Prefetcher(lambda one: one, first)
    start = time.monotonic()
    with running(first, second):
        assert next(second) == 1
    assert time.monotonic() - start < 20
    gate.set()


def test_draining_ends_although_each_result_taken_lets_the_next_be_made() -> None:
    step = Prefetcher(lambda one: one, count(), max_ahead=2)
    with running(step):
        assert next(step) == 0
        deadline = time.monotonic() + 10
        while step.made.qsize() < 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        drained = []
        for result in islice(step.drain(), 50):
            time.sleep(0.02)  # as drawing a picture takes, while the thread goes on
            drained.append(result)
        assert drained == [1, 2]
