"""Progress: bars with time left for people at a terminal, single lines for logs, JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from blemish.durations import spoken
from blemish.printable import printable

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30
SECONDS_BETWEEN_RECORDS = 0.25


class WholeTime(Protocol):
    """Time of the whole work that the bars are parts of."""

    def enter(self, title: str) -> None:
        """Note that the part with that title begins."""

    def left(self, title: str, share: float) -> float | None:
        """Seconds left of the whole, a share of the part with that title being done; None if unknown."""


class ProgressRecords:
    """Progress as lines of JSON on a file descriptor: {"title", "done", "total", "left_s"} or {"line"}.

    total, left_s: None where unknown; left_s: seconds of the whole work
    Whoever reads may go away: the work goes on.
    """

    descriptor: int | None = None  # of `--progress-fd`, for every reporter of the process

    @classmethod
    def write(cls, **fields: object) -> None:
        """Write a record, where a descriptor was given and somebody still reads."""
        if cls.descriptor is None:
            return
        try:
            os.write(cls.descriptor, json.dumps(fields).encode() + b"\n")
        except OSError:
            cls.descriptor = None


class Reporter:
    """Progress on standard error, so that standard output carries results alone. quiet: show nothing

    whole: knows the time left of the whole work, where its parts were planned
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.whole: WholeTime | None = None
        stream = getattr(sys.stderr, "unfiltered", sys.stderr)  # bars need what no text may hold
        self.console = Console(file=stream, quiet=quiet)

    def line(self, message: str) -> None:
        """Write a line to standard error."""
        ProgressRecords.write(line=printable(message))
        self.console.print(printable(message), highlight=False, markup=False, soft_wrap=True)

    def track(
        self,
        items: Iterable[Item],
        title: str,
        *,
        total: int | Callable[[], int] | None = None,
        done: int = 0,
    ) -> Iterator[Item]:
        """Iterate over the items, with a bar that counts them from `done` on; lines where no terminal is.

        total: of the items and `done`; a function where it may change on the way
        """
        if self.whole is not None:
            self.whole.enter(title)
        if total is None and isinstance(items, Sequence):
            total = len(items) + done
        total_now = total if callable(total) else lambda: total
        if ProgressRecords.descriptor is not None:
            items = self.with_records(items, title, total=total_now, done=done)
        if self.quiet:
            yield from items
        elif self.console.is_terminal:
            yield from self.with_bar(items, title, total=total_now, done=done)
        else:
            yield from self.with_lines(items, title, total=total_now, done=done)

    def whole_left(self, title: str, done: int, total: int | None) -> str:
        """Words on the time left of the whole, empty where it is not known."""
        if self.whole is None or not total:
            return ""
        seconds = self.whole.left(title, done / total)
        return f"{spoken(seconds)} left in all" if seconds is not None else ""

    def with_records(
        self, items: Iterable[Item], title: str, *, total: Callable[[], int | None], done: int
    ) -> Iterator[Item]:
        """Iterate over the items, with a record some times a second, at the beginning and at the end."""
        count, written = done, 0.0
        for item in items:
            if perf_counter() - written >= SECONDS_BETWEEN_RECORDS:
                written = perf_counter()
                self.write_record(title, count, total())
            yield item
            count += 1
        self.write_record(title, count, total())

    def write_record(self, title: str, done: int, total: int | None) -> None:
        """Write a record of so many items that are done."""
        left = self.whole.left(title, done / total) if self.whole is not None and total else None
        left_s = None if left is None else round(left, 1)
        ProgressRecords.write(title=printable(title), done=done, total=total, left_s=left_s)

    def with_bar(
        self, items: Iterable[Item], title: str, *, total: Callable[[], int | None], done: int
    ) -> Iterator[Item]:
        """Iterate over the items with a bar, and the time left of the whole, or else of the items."""
        whole = self.whole_left(title, done, total())
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            *([TextColumn("{task.fields[left]}")] if whole else [TimeRemainingColumn()]),
            console=self.console,
            transient=True,
        ) as progress:
            task = progress.add_task(printable(title), total=total(), completed=done, left=whole)
            for count, item in enumerate(items, start=done + 1):
                yield item
                progress.update(
                    task, total=total(), completed=count, left=self.whole_left(title, count, total())
                )

    def with_lines(
        self, items: Iterable[Item], title: str, *, total: Callable[[], int | None], done: int
    ) -> Iterator[Item]:
        """Iterate over the items, with a line every half a minute: how many, and the time left if known."""
        started = last_line = perf_counter()
        for count, item in enumerate(items, start=1):
            yield item
            now = perf_counter()
            if now - last_line >= SECONDS_BETWEEN_LINES:
                last_line = now
                of = left = ""
                if (all_items := total()) is not None:
                    seconds = (all_items - done - count) * (now - started) / count
                    whole = self.whole_left(title, done + count, all_items)
                    of, left = f" of {all_items}", f", about {whole or f'{spoken(seconds)} left'}"
                self.line(f"{printable(title)}: {done + count}{of}{left}")
