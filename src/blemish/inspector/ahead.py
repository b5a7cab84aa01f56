"""A step of work that runs ahead in a thread of its own: bounded, in order, and ended from outside.

Steps are set one behind the other: each takes what the one before it has made.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Event, Semaphore, Thread
from typing import Any, Generic, TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


class Ended:
    """Stands behind the last thing made. error: that ended the work, or None"""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class Ahead(Generic[Given, Made], Iterator[Made]):
    """`work` on each of the items, in their order, in a thread that starts with the first `next`.

    most: things made, or being made, that nobody has taken; then the thread waits
    prepare: run first in that thread
    An error of `work` or of the items is raised once, in its place; then there are no more.
    """

    def __init__(
        self,
        work: Callable[[Given], Made],
        items: Iterable[Given],
        *,
        most: int = 1,
        prepare: Callable[[], object] = lambda: None,
    ) -> None:
        self.work, self.items, self.prepare = work, items, prepare
        self.made: SimpleQueue[Made | Ended] = SimpleQueue()
        self.free = Semaphore(most)
        self.stopped = Event()
        self.thread: Thread | None = None

    def __next__(self) -> Made:
        if self.thread is None and not self.stopped.is_set():
            self.thread = Thread(target=self.run, daemon=True)
            self.thread.start()
        return self.taken(self.made.get())

    def taken(self, one: Made | Ended) -> Made:
        if not isinstance(one, Ended):
            self.free.release()
            return one
        self.made.put(Ended())
        if one.error is not None:
            raise one.error
        raise StopIteration

    def ready(self) -> Iterator[Made]:
        """What is made already, without waiting for more."""
        try:
            while True:
                yield self.taken(self.made.get_nowait())
        except (Empty, StopIteration):
            return

    def run(self) -> None:
        """The thread's work."""
        end = Ended()
        try:
            self.prepare()
            self.through(iter(self.items))
        except BaseException as error:
            end = Ended(error)
        self.made.put(end)

    def through(self, items: Iterator[Given]) -> None:
        while self.free.acquire() and not self.stopped.is_set():
            for item in items:
                self.made.put(self.work(item))
                break
            else:
                return
        if isinstance(items, Generator):  # one that is left in the middle may hold a file
            items.close()

    def stop(self) -> None:
        """No item is begun from now on, and nobody who takes waits any longer."""
        self.stopped.set()
        self.free.release()
        self.made.put(Ended())

    def wait(self, seconds: float | None = None) -> None:
        """Until the thread has ended, so many seconds at most."""
        if self.thread is not None:
            self.thread.join(seconds)


@contextmanager
def running(first: Ahead[Any, Any], *later: Ahead[Any, Any]) -> Iterator[None]:
    """Steps in the order of the work, all of which have ended behind it.

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
