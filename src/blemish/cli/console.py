"""Standard output and error of a command: printable text in whatever encoding the console has."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from blemish.printable import printable, printable_text


def say(*lines: object, error: bool = False) -> None:
    """Print lines to standard output, or standard error, each one line whatever its names hold."""
    for line in lines:
        print(printable(str(line)), file=sys.stderr if error else sys.stdout)


class PrintableStream:
    """A text stream on which no text steers the terminal. unfiltered: the stream itself, for progress bars"""

    def __init__(self, stream: TextIO) -> None:
        self.unfiltered = stream

    def write(self, text: str) -> int:
        self.unfiltered.write(printable_text(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unfiltered, name)


@contextmanager
def printable_streams() -> Iterator[None]:
    """Inside, what is printed is printable: also what the console's encoding, as cp1252, does not have."""
    streams = sys.stdout, sys.stderr
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A program without a console, as pythonw on Windows, has None for them.
    sys.stdout, sys.stderr = (cast(TextIO, s and PrintableStream(s)) for s in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
