"""Contract of a live source, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Event
from time import monotonic
from typing import Any, Protocol

from blemish.inspector.found_files import LeftOut
from blemish.inspector.sources import Item


@dataclass(frozen=True)
class Losses:
    """Account of what a live source had and what became of it.

    sentence: for the user; fields: plain values for the summary; left_out: files that were not judged
    """

    sentence: str
    fields: dict[str, Any]
    left_out: tuple[LeftOut, ...] = ()


class LiveSource(Protocol):
    """A source whose images come while they are inspected."""

    def open(self) -> None:
        """Begin. Raises BlemishError where it cannot be reached."""

    def items(self) -> Iterator[Item]:
        """Items as they come, until the source is stopped or ends by itself; taken in a thread of its own."""

    def stop(self) -> None:
        """End, from any thread: nothing more comes, and whoever waits for an item is told."""

    def losses(self, judged: int) -> Losses:
        """Account at the end. judged: how many of the items have an answer"""


@dataclass
class Ending:
    """When a live source ends: after a time, after a number of images, or when it is stopped.

    duration: in seconds from `begin` on; max_images: that are inspected; None: no limit
    """

    duration: float | None = None
    max_images: int | None = None
    began: float = 0.0
    stopped: Event = field(default_factory=Event)

    def begin(self) -> None:
        self.began = monotonic()

    @property
    def seconds_left(self) -> float | None:
        """Time that is left, 0 at least; None: no limit."""
        return None if self.duration is None else max(0.0, self.began + self.duration - monotonic())

    def reached(self, images: int) -> bool:
        """True where the source ends, after so many images."""
        if self.stopped.is_set() or self.seconds_left == 0:
            return True
        return self.max_images is not None and images >= self.max_images

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the source ends."""
        left = self.seconds_left
        self.stopped.wait(seconds if left is None else min(seconds, left))
