"""A window of rows that slides along a web: strips come in below, and rows are evicted above."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray


class RowWindow:
    """Rows [first, stop) of a web, in the web's numbers, of pixels or of a map."""

    def __init__(self) -> None:
        self.first = 0
        self.stop = 0
        self.parts: deque[NDArray[Any]] = deque()

    def add(self, rows: NDArray[Any]) -> None:
        """Take the next rows, any number. They are not copied, and must not change."""
        if len(rows):
            self.parts.append(rows)
            self.stop += len(rows)

    def view(self, start: int, stop: int) -> NDArray[Any]:
        """Rows [start, stop), at least one, of those that are held."""
        assert self.first <= start < stop <= self.stop, (self.first, start, stop, self.stop)
        chosen, top = [], self.first
        for part in self.parts:
            if top < stop and top + len(part) > start:
                chosen.append(part[max(0, start - top) : stop - top])
            top += len(part)
        return chosen[0] if len(chosen) == 1 else np.concatenate(chosen)

    def drop(self, before: int) -> None:
        """Evict the rows before row `before`."""
        before = min(before, self.stop)
        while self.first < before:
            part = self.parts.popleft()
            if self.first + len(part) > before:
                # Copied, as a part of an array keeps the whole of it.
                self.parts.appendleft(part[before - self.first :].copy())
                self.first = before
            else:
                self.first += len(part)
