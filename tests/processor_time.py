"""Processor time held against that of something else, in turns: a slow or a busy machine slows down both."""

from __future__ import annotations

import resource
from collections.abc import Callable

Work = Callable[[], object]


def processor_seconds(work: Work) -> float:
    """Processor time of the work and of the processes that end in it."""

    def used() -> float:
        both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(each.ru_utime + each.ru_stime for each in both)

    start = used()
    work()
    return used() - start


def assert_takes_less(work: Work, than: Work, *, times: float, tries: int = 6) -> None:
    """The work takes less than so many times the processor time of the other, the best try of each.

    There are as many tries as it needs, at most `tries`: what others do to a machine only makes them longer.
    """
    own, other = [], []
    for _ in range(tries):
        own.append(processor_seconds(work))
        other.append(processor_seconds(than))
        if min(own) < times * min(other):
            return
    raise AssertionError(f"{min(own) / min(other):.2f} times as long, at most {times} are allowed")
