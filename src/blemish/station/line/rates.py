"""Figures of a line that runs: parts a second, and the time to an answer."""

from __future__ import annotations

from collections import deque
from threading import Lock
from time import monotonic

WINDOW_SECONDS = 60.0
MAX_TIMES = 2000


class Rates:
    """Times of the last answers. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self.ends: deque[float] = deque(maxlen=MAX_TIMES)
        self.times_ms: deque[float] = deque(maxlen=MAX_TIMES)
        self.lock = Lock()

    def add(self, ms: float) -> None:
        """Count an answer that took so long."""
        with self.lock:
            self.ends.append(monotonic())
            self.times_ms.append(ms)

    @property
    def parts_per_s(self) -> float:
        """Answers a second, over the last minute at most; 0 where there were none."""
        with self.lock:
            now = monotonic()
            ends = [end for end in self.ends if now - end <= WINDOW_SECONDS]
        return round(len(ends) / max(now - ends[0], 1.0), 2) if ends else 0.0

    def percentile_ms(self, share: float) -> float | None:
        """Time that this share of the last answers did not exceed; None without one. share: in [0, 1]"""
        with self.lock:
            times = sorted(self.times_ms)
        return round(times[min(len(times) - 1, int(share * len(times)))], 3) if times else None
