"""Progress for people at a terminal: bars with time left, and single lines; silent on request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


class Reporter:
    """Writes to standard error, so that standard output carries results alone."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, quiet=quiet)

    def line(self, message: str) -> None:
        self.console.print(message, highlight=False, markup=False, soft_wrap=True)

    def track(
        self, items: Iterable[Item], title: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[Item]:
        """The items, with a bar that counts them from `done` on."""
        if self.quiet or not self.console.is_terminal:
            yield from items
            return
        total = len(items) + done if total is None and isinstance(items, Sequence) else total
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
