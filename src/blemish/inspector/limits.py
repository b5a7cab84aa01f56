"""Limits of an inspection: the seconds that the networks may take for an image, and the memory of a graph.

A bundle may come from anywhere, and a graph can be written to take hours or all of a PC's memory. The image
is then an ERROR, and the next one is inspected. Time is looked at before and after every call of a network,
and graphs are stopped between two operators; memory is that of an exported bundle's graphs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.methods.contract import Network

# For an image of any size, and for each megapixel: some five to ten times what a slow PC takes.
SECONDS, SECONDS_PER_MEGAPIXEL = 60.0, 10.0
MEMORY = 4 << 30
TOO_LARGE = "its graph takes more memory than it may. Give a larger --memory-limit, or another bundle."

_limit = threading.local()


class TooSlowError(BlemishError):
    """The networks take longer for an image than they may."""


@dataclass(frozen=True)
class Limits:
    """Limits of an image. seconds: None gives `SECONDS`, more for a large image; memory: bytes of a graph

    Raises BlemishError for a limit that is no number above 0.
    """

    seconds: float | None = None
    memory: int = MEMORY

    def __post_init__(self) -> None:
        if self.seconds is not None and not (math.isfinite(self.seconds) and self.seconds > 0):
            raise BlemishError(
                f"The time limit must be a number of seconds above 0. Received: {self.seconds}. Correct it."
            )

    def seconds_for(self, pixels: int) -> float:
        """Seconds for an image of so many pixels."""
        return self.seconds or SECONDS + SECONDS_PER_MEGAPIXEL * pixels / 1e6


DEFAULT_LIMITS = Limits()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Inside, in this thread, networks have so many seconds in all, or what is left of a limit around it."""
    before = getattr(_limit, "value", None)
    end = monotonic() + seconds
    _limit.value = (end, seconds) if before is None or end < before[0] else before
    try:
        yield
    finally:
        _limit.value = before


def seconds_left() -> float | None:
    """Seconds that networks still have; None without a limit. Raises TooSlowError where none are left."""
    value = getattr(_limit, "value", None)
    if value is None:
        return None
    end, _ = value
    left = float(end - monotonic())
    if left <= 0:
        raise too_slow()
    return left


@contextmanager
def uncounted() -> Iterator[None]:
    """Inside, time does not count: for work that is done once, such as compiling for a size of image."""
    start = monotonic()
    try:
        yield
    finally:
        value = getattr(_limit, "value", None)
        if value is not None:
            _limit.value = (value[0] + monotonic() - start, value[1])


def timed(network: Network) -> Network:
    """Network that looks at the limit before and after each call."""

    def run(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        seconds_left()
        output = network(inputs)
        seconds_left()
        return output

    return run


def limits_of(seconds: float | None, gibibytes: float | None) -> Limits:
    """Limits as a user gives them; None: the default. Raises BlemishError as `Limits` does."""
    if gibibytes is None:
        return Limits(seconds)
    if not 0 < gibibytes < 2**20:
        raise BlemishError(
            f"The memory limit must be a number of GiB above 0. Received: {gibibytes}. Correct it."
        )
    return Limits(seconds, int(gibibytes * 2**30))


def too_slow() -> TooSlowError:
    """Error for an image that takes too long."""
    _, seconds = _limit.value
    return TooSlowError(
        f"its networks take longer than {seconds:g} s. Give a longer --time-limit, or another bundle."
    )
