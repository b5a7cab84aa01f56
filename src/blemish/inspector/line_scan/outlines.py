"""Outlines on a web, as one inspection of the whole would draw them, while few of its rows are held.

The map is made by rows of tiles that lie where the tiles of the whole image would lie, so its values are
equal. A component is complete when nothing that comes can join it, and judged when all rows that its
judgement looks at are there. Rows are evicted when no component that is open, or may still begin, can need
them.
Letters: P rows of pixels, R rows of the map; a cell is one row of the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from blemish.arrays import Pixels
from blemish.defect import Defect
from blemish.inspector.line_scan.rows import RowWindow
from blemish.inspector.line_scan.scan import Piece
from blemish.methods.capabilities import StreamsMasks
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.components import components, rows_to_join
from blemish.regions.measure import bounding_box
from blemish.regions.region import Region
from blemish.regions.runs import runs_above

SMOOTHED = 2  # cells beyond a component that its pixels are interpolated from, and one to spare


@dataclass(frozen=True)
class CompletedRegion:
    """A region that nothing can join any more.

    top, bottom: its rows; around: rows above and below that its judgement needs
    """

    region: Region
    top: int
    bottom: int
    around: int


class OutlineScan:
    """A `Scan` by a method that outlines.

    max_rows: of a component that is open, a tile's at least; at a longer one all that are open are cut
    """

    def __init__(
        self, inference: StreamsMasks, networks: Networks, *, max_rows: int, with_pixels: bool
    ) -> None:
        assert inference.tiling is not None
        self.inference, self.networks, self.tiling = inference, networks, inference.tiling
        self.max_rows, self.with_pixels = max(max_rows, inference.tiling.tile), with_pixels
        self.cell = self.tiling.stride
        self.step = self.tiling.tile - 2 * self.tiling.halo  # rows of a piece, too
        self.pixels, self.raw, self.scored = RowWindow(), RowWindow(), RowWindow()
        self.tiles = 0  # rows of tiles that are done
        self.completed_to = 0  # cells: components that end above are complete
        self.completed: list[CompletedRegion] = []
        self.found: list[tuple[Region, Defect]] = []
        self.cuts: list[int] = []
        self.pieces = 0

    def push(self, rows: Pixels) -> list[Piece]:
        self.pixels.add(rows)
        finished: list[Piece] = []
        # One row more than the tile: else it may be the last, which is kept to its end.
        while self.pixels.stop > self.tiles * self.step + self.tiling.tile:
            start, halo = self.tiles * self.step, self.tiling.halo
            self.add_map(start, start + self.tiling.tile, start + self.tiling.tile - halo)
            self.tiles += 1
            finished += self.advanced(end=None)
        return finished

    def finish(self) -> list[Piece]:
        end = self.pixels.stop
        if not end:
            return []
        whole = -(-end // self.inference.multiple) * self.inference.multiple
        self.add_map(max(0, whole - self.tiling.tile), end, end)
        return self.advanced(end=end)

    def add_map(self, start: int, stop: int, keep_stop: int) -> None:
        """Add rows of the map, up to pixel row keep_stop. start, stop: pixel rows of the tiles"""
        rows: Pixels = self.pixels.view(start, stop)
        raw = self.inference.forward(rows, self.networks)
        first = start // self.cell
        new = raw[self.raw.stop - first : -(-keep_stop // self.cell) - first]
        self.raw.add(new)
        self.scored.add(new)

    def advanced(self, *, end: int | None) -> list[Piece]:
        """Pieces that are finished with new rows of the map. end: rows of the whole web where it has ended"""
        limit = self.raw.stop
        if end is None:
            limit = max(self.completed_to, limit - rows_to_join(self.inference.join_distance, self.cell))
        open_from = self.complete(limit, end)
        if end is None and (self.raw.stop - open_from) * self.cell > self.max_rows:
            self.cuts.append(self.raw.stop * self.cell)
            open_from = self.complete(self.raw.stop, end)
            self.raw.drop(open_from)
        self.raw.drop(open_from - SMOOTHED)
        self.judge(end)
        finished = list(self.flushed(end))
        self.evict_rows(open_from)
        return finished

    def complete(self, limit: int, end: int | None) -> int:
        """Complete the components that end at cell row `limit` at the latest; returns where open ones begin.

        Of a component that was completed before, rows may have been evicted: its rest ends where it ended.
        """
        if self.raw.first == self.raw.stop:
            return limit
        first, open_from = self.raw.first, limit
        raw = self.raw.view(first, self.raw.stop)
        bottom_px = self.raw.stop * self.cell if end is None else end
        size = bottom_px - first * self.cell, self.pixels.parts[0].shape[1]
        threshold = self.inference.pixel_threshold or 0.0
        cells = runs_above(raw, threshold)
        for part in components(cells, join_distance=self.inference.join_distance, cell=self.cell):
            top, bottom = first + int(part.rows[0]), first + int(part.rows[-1]) + 1
            if bottom > limit:
                open_from = min(open_from, top)
            elif bottom > self.completed_to:
                region = self.inference.region(raw, part, size)
                if region is not None:
                    whole = region.moved(first * self.cell)
                    box = bounding_box(whole.runs, offset_xy=whole.offset_xy)
                    x1, y1, x2, y2 = (int(edge) for edge in box)
                    around = self.inference.rows_around(y2 - y1, x2 - x1)
                    self.completed.append(CompletedRegion(whole, y1, y2, around))
        self.completed_to = limit
        return open_from

    def judge(self, end: int | None) -> None:
        """Judge the completed regions around which all rows are there."""
        there = self.pixels.stop
        seen_to = there if end is None else there + max((each.around for each in self.completed), default=0)
        ready = [each for each in self.completed if each.bottom + each.around <= seen_to]
        if not ready:
            return
        self.completed = [each for each in self.completed if each.bottom + each.around > seen_to]
        top = max(0, min(each.top - each.around for each in ready))
        pixels = self.pixels.view(top, min(there, max(each.bottom + each.around for each in ready)))
        regions = [each.region.moved(-top) for each in ready]
        for region, defect in self.inference.found(regions, pixels, self.networks):
            self.found.append((region, defect.moved(top)))

    def flushed(self, end: int | None) -> Iterator[Piece]:
        """Pieces in which no defect can end any more."""
        known = self.completed_to * self.cell if end is None else end
        waiting = min((each.bottom for each in self.completed), default=known + 1)
        while (start := self.pieces * self.step) < known:
            stop = start + self.step if end is None else min(start + self.step, end)
            if stop > known or waiting <= stop:
                return
            self.pieces += 1
            yield self.piece(start, stop)

    def piece(self, start: int, stop: int) -> Piece:
        inside = [(region, defect) for region, defect in self.found if defect.box_xyxy[3] <= stop]
        self.found = [(region, defect) for region, defect in self.found if defect.box_xyxy[3] > stop]
        inside.sort(key=lambda found: (found[1].box_xyxy[1], found[1].box_xyxy[0]))
        cuts = tuple(cut for cut in self.cuts if cut <= stop)
        self.cuts = self.cuts[len(cuts) :]
        top = int(min([start, *(defect.box_xyxy[1] for _, defect in inside)]))
        return Piece(
            (start, stop),
            self.findings(inside, start, stop),
            cuts,
            pixels=self.pixels.view(top, stop) if self.with_pixels else None,
            top=top,
        )

    def findings(self, inside: list[tuple[Region, Defect]], start: int, stop: int) -> ImageFindings | None:
        values = self.scored.view(start // self.cell, -(-stop // self.cell))
        self.scored.drop(stop // self.cell)
        if not np.isfinite(values).all():
            return None
        score = self.inference.image_score([region for region, _ in inside], values)
        return ImageFindings(score, tuple(defect for _, defect in inside))

    def evict_rows(self, open_from: int) -> None:
        """Drop the pixels that nothing looks at any more. open_from: cell row"""
        width = self.pixels.parts[0].shape[1]
        largest = self.inference.rows_around(self.max_rows + self.tiling.tile, width)
        needed = [
            min(self.tiles * self.step, self.pixels.stop - self.tiling.tile),
            (open_from - SMOOTHED) * self.cell - largest,
            *(each.top - each.around for each in self.completed),
        ]
        if self.with_pixels:
            tops = (each.top for each in self.completed)
            found = (int(defect.box_xyxy[1]) for _, defect in self.found)
            needed += [self.pieces * self.step, (open_from - SMOOTHED) * self.cell, *tops, *found]
        self.pixels.drop(max(0, min(needed)))
