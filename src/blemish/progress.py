"""Progress for people at a terminal: bars with time left, and single lines; silent on request."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from blemish.printable import printable

Item = TypeVar("Item")
SECONDS_BETWEEN_LINES = 30


class Reporter:
    """Progress on standard error, so that standard output carries results alone. quiet: show nothing"""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        stream = getattr(sys.stderr, "unfiltered", sys.stderr)  # bars need what no text may hold
        self.console = Console(file=stream, quiet=quiet)

    def line(self, message: str) -> None:
        """Write a line to standard error."""
        self.console.print(printable(message), highlight=False, markup=False, soft_wrap=True)

    def track(
        self, items: Iterable[Item], title: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[Item]:
        """Iterate over the items, with a bar that counts them from `done` on; lines where no terminal is."""
        title = printable(title)
        total = len(items) + done if total is None and isinstance(items, Sequence) else total
        if self.quiet:
            yield from items
            return
        if not self.console.is_terminal:
            yield from self.with_lines(items, title, total=total, done=done)
            return
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
        ) as progress:
            task = progress.add_task(title, total=total, completed=done)
            for item in items:
                yield item
                progress.advance(task)

    def with_lines(
        self, items: Iterable[Item], title: str, *, total: int | None, done: int
    ) -> Iterator[Item]:
        """Iterate over the items, with a line every half a minute: how many, and the time left if known."""
        started = last_line = perf_counter()
        for count, item in enumerate(items, start=1):
            yield item
            now = perf_counter()
            if now - last_line >= SECONDS_BETWEEN_LINES:
                last_line = now
                of = left = ""
                if total is not None:
                    seconds = (total - done - count) * (now - started) / count
                    of, left = f" of {total}", f", about {seconds:.0f} s left"
                self.line(f"{title}: {done + count}{of}{left}")
