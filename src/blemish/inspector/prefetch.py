"""Prefetching: a step of work that runs ahead in a thread of its own, bounded, in order, ended from outside.

Steps are set one behind the other: each takes what the one before it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, Generic, TypeVar

Input = TypeVar("Input")
Output = TypeVar("Output")


class Ended:
    """Marker behind the last result. error: that ended the work, or None"""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Prefetcher(Generic[Input, Output], Iterator[Output]):
    """Results of `work` on each of the items, in their order, made in a thread that the first `next` starts.

    max_ahead: results made, or being made, that nobody has taken; at so many the thread waits
    prepare: run first in that thread
    An error of `work` or of the items is raised once, in its place; then there are no more results.
    """

    def __init__(
        self,
        work: Callable[[Input], Output],
        items: Iterable[Input],
        *,
        max_ahead: int = 1,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self.work, self.items, self.prepare = work, items, prepare
        self.made: SimpleQueue[Output | Ended] = SimpleQueue()
        self.free = Semaphore(max_ahead)
        self.stopped = Event()
        self.thread: Thread | None = None

    def __next__(self) -> Output:
        if self.thread is None and not self.stopped.is_set():
            self.thread = Thread(target=self.run, daemon=True)
            self.thread.start()
        return self.taken(self.made.get())

    def taken(self, result: Output | Ended) -> Output:
        if not isinstance(result, Ended):
            self.free.release()
            return result
        self.made.put(Ended())
        if result.error is not None:
            raise result.error
        raise StopIteration

    def drain(self) -> Iterator[Output]:
        """Results that are made already, without waiting for more, nor for those made meanwhile."""
        try:
            for _ in range(self.made.qsize()):
                yield self.taken(self.made.get_nowait())
        except (Empty, StopIteration):
            return

    def run(self) -> None:
        """Make results until the items end or `stop` is called: the thread's work."""
        end = Ended()
        try:
            self.prepare()
            items = iter(self.items)
            while self.free.acquire() and not self.stopped.is_set():
                for item in items:
                    self.made.put(self.work(item))
                    break
                else:
                    break
            if isinstance(items, Generator):  # one that is left in the middle may hold a file
                items.close()
        except BaseException as error:
            end = Ended(error)
        self.made.put(end)

    def stop(self) -> None:
        """Begin no item from now on, and let nobody wait for a result any longer."""
        self.stopped.set()
        self.free.release()
        self.made.put(Ended())

    def wait(self, seconds: float | None = None) -> None:
        """Wait until the thread has ended, so many seconds at most."""
        if self.thread is not None:
            self.thread.join(seconds)


@contextmanager
def running(first: Prefetcher[Any, Any], *later: Prefetcher[Any, Any]) -> Iterator[None]:
    """Steps in the order of the work, all of which have ended when the block is left.

    The first, which reads, is not waited for long: it may be at an input on which nothing comes.
    """
    try:
        yield
    finally:
        for step in (first, *later):
            step.stop()
        for step in later:
            step.wait()
        first.wait(1.0)
