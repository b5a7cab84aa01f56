"""Boxes on a web: bands of tiles on a grid that needs no end, merged as the tiles of an image are.

An image's tiles are spread evenly over its length; a web has none, so its bands lie `tile − overlap` apart,
and the last is moved up to end with the web. Detections that can become one object, or suppress each other,
are a group, which is merged when it ends above all bands that are still to come.
"Fitted" are pixels of the web brought to the detector's width; detections and tiles count fitted rows from
`origin` on, so that 32 bits suffice however long the web is. Letters: R detections.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.resize import resized
from blemish.images.tiled_detection import Tile, TileDetections, merged_rows, tile_detections, tile_spans
from blemish.images.tiling import Span
from blemish.inspector.line_scan.rows import RowWindow
from blemish.inspector.line_scan.scan import Piece
from blemish.methods.capabilities import StreamsBoxes
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.boxes import box_iou, shared_area
from blemish.regions.components import roots


@dataclass(frozen=True)
class MergedGroup:
    """Merged rows of a finished group, [R, 4 + K], boxes in pixels of the web. bottom: of the lowest box"""

    rows: NDArray[np.float64]
    bottom: float


class BoxScan:
    """A `Scan` by a method that finds boxes.

    max_rows: from the top of a group to the bands to come, a tile's at least; a longer group is cut there
    """

    def __init__(
        self, inference: StreamsBoxes, networks: Networks, *, width: int, max_rows: int, with_pixels: bool
    ) -> None:
        self.inference, self.networks, self.with_pixels = inference, networks, with_pixels
        self.width = width
        self.across = inference.size or width  # fitted; whole numbers, as rows must not drift down the web
        self.scale = self.across / width
        self.hop = inference.tile - inference.overlap
        self.max_fitted = max(max_rows * self.scale, inference.tile)
        self.step = self.in_web(self.hop)  # rows of a piece
        self.pixels = RowWindow()
        self.start = 0  # fitted row at which the next band starts
        self.origin = 0
        self.tiles: list[Tile] = []
        self.open: list[TileDetections] = []
        self.merged: list[MergedGroup] = []
        self.cuts: list[int] = []
        self.pieces = 0

    def push(self, rows: Pixels) -> list[Piece]:
        self.pixels.add(rows)
        finished: list[Piece] = []
        # One row more than the band: else it may be the last.
        while self.fitted_rows > self.start + self.inference.tile:
            # Not before: if the web had ended, its last band would have begun further up.
            self.merge(self.start - self.origin)
            finished += self.flushed(self.in_web(self.start), end=False)
            self.evict_rows()
            stop = self.start + self.inference.tile
            core_stop = (stop + self.start + self.hop) // 2
            self.add_band(Span(self.start, stop, self.core_start, core_stop), end=False)
            self.start += self.hop
        return finished

    def finish(self) -> list[Piece]:
        if not self.pixels.stop:
            return []
        stop = max(1, round(self.pixels.stop * self.scale))
        self.add_band(Span(max(0, stop - self.inference.tile), stop, self.core_start, stop), end=True)
        self.merge(np.inf)
        return self.flushed(self.pixels.stop, end=True)

    def in_web(self, fitted: float) -> int:
        return int(fitted * self.width // self.across)

    @property
    def fitted_rows(self) -> int:
        """Number of fitted rows that are there."""
        return self.pixels.stop * self.across // self.width

    @property
    def core_start(self) -> int:
        """Fitted row at which the core of the last band ended."""
        return self.tiles[-1].y.keep_stop + self.origin if self.tiles else 0

    def add_band(self, rows: Span, *, end: bool) -> None:
        """Detect on the tiles of one band, in fitted rows of the web. end: whether the web ends with it"""
        stop = self.pixels.stop if end else -self.in_web(-rows.stop)
        height = rows.stop - rows.start
        band = resized(self.pixels.view(self.in_web(rows.start), stop), (height, self.across))
        columns = tile_spans(self.across, self.inference.tile, self.inference.overlap)
        tiles = [Tile(x, moved_span(rows, -self.origin)) for x in columns]
        found = [self.inference.detect(band[:, x.start : x.stop], self.networks) for x in columns]
        bottom = rows.stop - self.origin if end else np.inf
        outer = np.array([0, -self.origin, self.across, bottom], np.float32)
        detections = tile_detections(found, tiles, outer)
        self.open.append(replace(detections, tile=detections.tile + len(self.tiles)))
        self.tiles += tiles

    def merge(self, limit: float) -> None:
        """Merge the groups that end above `limit`, where bands to come begin, and those too long to hold."""
        if not self.open:
            return
        detections = joined_detections(self.open)
        left = np.ones(len(detections.rows), np.bool_)
        cut = False
        for group in groups_of(detections, nms=self.inference.nms):
            boxes = detections.boxes[group]
            longer = min(limit, self.start) - float(boxes[:, 1].min()) > self.max_fitted
            if not boxes[:, 3].max() > limit or longer:  # NaN is not waited for
                self.merged.append(
                    self.of_web(merged_rows(detections[group], self.tiles, nms=self.inference.nms))
                )
                left[group] = False
                cut |= longer and bool(boxes[:, 3].max() > limit)
        if cut:
            self.cuts.append(self.in_web(limit + self.origin))
        self.open = [detections[left]]

    def of_web(self, rows: NDArray[np.float32]) -> MergedGroup:
        moved = rows.astype(np.float64)
        moved[:, [1, 3]] += self.origin
        moved[:, :4] /= self.scale
        moved[:, [0, 2]] = np.clip(moved[:, [0, 2]], 0, self.width)
        moved[:, [1, 3]] = np.clip(moved[:, [1, 3]], 0, self.pixels.stop)
        return MergedGroup(moved, float(moved[:, 3].max(initial=0.0)))

    def flushed(self, known: int, *, end: bool) -> list[Piece]:
        """Pieces above web row `known`, in which no group can end any more."""
        finished = []
        while (start := self.pieces * self.step) < known and (end or start + self.step <= known):
            self.pieces += 1
            finished.append(self.piece(start, min(start + self.step, known)))
        return finished

    def piece(self, start: int, stop: int) -> Piece:
        inside = [group.rows for group in self.merged if not group.bottom > stop]
        self.merged = [group for group in self.merged if group.bottom > stop]
        cuts = tuple(cut for cut in self.cuts if cut <= stop)
        self.cuts = self.cuts[len(cuts) :]
        findings = self.findings(inside, start)
        defects = findings.defects if findings else ()
        top = int(min([start, *(defect.box_xyxy[1] for defect in defects)]))
        pixels = self.pixels.view(top, stop) if self.with_pixels else None
        return Piece((start, stop), findings, cuts, pixels=pixels, top=top)

    def findings(self, inside: list[NDArray[np.float64]], start: int) -> ImageFindings | None:
        """Decide on the rows of finished groups. returns: in pixels of the web; None where not finite"""
        rows = np.concatenate(inside) if inside else np.zeros((0, 5))
        if not np.isfinite(rows).all():
            return None
        rows[:, [1, 3]] -= start
        findings = self.inference.decide_boxes(rows.astype(np.float32))
        return replace(findings, defects=tuple(defect.moved(start) for defect in findings.defects))

    def evict_rows(self) -> None:
        """Drop the bands that no group and no band to come reaches, and the pixels above."""
        if not self.open:
            return
        (detections,) = self.open
        top = float(detections.boxes[:, 1].min(initial=self.start - self.origin))
        first = next(index for index, tile in enumerate(self.tiles) if tile.y.stop > top)
        down = self.tiles[first].y.start
        self.tiles = [Tile(tile.x, moved_span(tile.y, -down)) for tile in self.tiles[first:]]
        rows = detections.rows.copy()
        rows[:, [1, 3]] -= down
        self.open = [replace(detections, rows=rows, tile=detections.tile - first)]
        self.origin += down
        needed = [self.in_web(self.start), self.in_web(self.fitted_rows - self.inference.tile)]
        if self.with_pixels:
            tops = (int(group.rows[:, 1].min()) for group in self.merged)
            needed += [self.pieces * self.step, max(0, self.in_web(top + self.origin - down)), *tops]
        self.pixels.drop(max(0, min(needed)))


def moved_span(span: Span, by: int) -> Span:
    return Span(span.start + by, span.stop + by, span.keep_start + by, span.keep_stop + by)


def joined_detections(parts: list[TileDetections]) -> TileDetections:
    """Detections of several bands, whose tiles are numbered through, as one set."""
    widest = [part for part in parts if len(part.rows)] or parts[:1]
    rows, tile, cut, owned = (
        np.concatenate([getattr(part, name) for part in widest]) for name in ("rows", "tile", "cut", "owned")
    )
    return TileDetections(rows, tile, cut, owned)


def groups_of(detections: TileDetections, *, nms: float) -> list[NDArray[np.intp]]:
    """Indices of detections that can decide about each other, by group.

    Those are overlapping ones of one class that two tiles made, and ones that overlap by more than `nms`.
    """
    if not len(detections.rows):
        return []
    same = (detections.tile[:, None] != detections.tile[None]) & (
        detections.labels[:, None] == detections.labels[None]
    )
    linked = (box_iou(detections.boxes, detections.boxes) > nms) | (
        same & (shared_area(detections.boxes, detections.boxes) > 0)
    )
    first = roots(len(linked), *np.nonzero(linked))
    return [np.flatnonzero(first == root) for root in np.unique(first)]
