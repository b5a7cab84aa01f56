"""Rows of a web that are unlike the images of the training."""

from __future__ import annotations

from dataclasses import dataclass, field

from blemish.arrays import Pixels
from blemish.inspector.input_check import InputCheck
from blemish.inspector.line_scan.rows import RowWindow

WINDOW = 256  # rows that are checked together, where there are so many: fewer say little of a surface


@dataclass
class WebCheck:
    """Check of the rows of a web as they come. check: None takes any rows

    checked: row up to which there are findings; found: first row, the one behind the last, and the reasons
    """

    check: InputCheck | None
    held: RowWindow = field(default_factory=RowWindow)
    checked: int = 0
    found: list[tuple[int, int, tuple[str, ...]]] = field(default_factory=list)

    def add(self, rows: Pixels) -> None:
        """Take the next rows as they were stored, [h, W] or [h, W, 3]."""
        if self.check is None:
            return
        if self.held.parts and self.held.parts[-1].shape[1:] != rows.shape[1:]:  # gray and colour do not join
            self.check_new()
            self.held.drop(self.held.stop)
        self.held.add(rows)

    def check_new(self) -> None:
        """Check the rows that have come since the last time, with rows above them where they are few."""
        stop = self.held.stop
        if self.check is not None and self.checked < stop:
            start = max(self.held.first, min(self.checked, stop - WINDOW))
            self.found.append((start, stop, self.check.reasons(self.held.view(start, stop), whole=False)))
            self.checked = stop
            self.held.drop(stop - WINDOW)

    def unlike(self, start: int, stop: int, *, first_row: int) -> tuple[str, ...]:
        """Reasons why rows [start, stop) of the web are unlike the training images, none before `start`.

        first_row: of the web, among the rows of all webs, which the reasons count
        """
        if self.checked < stop:
            self.check_new()
        touching = [each for each in self.found if each[0] < stop and each[1] > start]
        self.found = [each for each in self.found if each[1] > stop]
        return tuple(
            f"rows {first + first_row} to {last + first_row}: {reason}"
            for first, last, reasons in touching
            for reason in reasons
        )
