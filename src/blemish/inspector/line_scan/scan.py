"""Contract of a scan of a web: rows go in, finished pieces of the web come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from blemish.arrays import Pixels
from blemish.methods.contract import ImageFindings


@dataclass(frozen=True)
class Piece:
    """A finished piece of a web.

    rows: of the web, the first and the one behind the last
    findings: of the defects that end in these rows, in pixels of the web; None where the network's output
        was not finite
    cuts: rows at which defects were cut for being longer than is held
    pixels: from row `top` on, so far up as these defects reach, to the last row of the piece; None where they
        were not asked for
    """

    rows: tuple[int, int]
    findings: ImageFindings | None
    cuts: tuple[int, ...] = ()
    pixels: Pixels | None = None
    top: int = 0


class Scan(Protocol):
    """A scan of one web, from its first row to its last."""

    def push(self, rows: Pixels) -> list[Piece]:
        """Take the next rows, [h, W] or [h, W, 3]; returns the pieces that are finished with them."""

    def finish(self) -> list[Piece]:
        """End the web; returns the pieces that are left."""
