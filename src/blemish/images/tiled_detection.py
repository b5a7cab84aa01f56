"""Detection in large images: overlapping tiles through a detector, and one box for each object.

A tile's core is the part of the image nearest to its centre; cores partition the image, and a detection that
one tile alone made counts where its centre lies in that tile's core. Detections of two tiles are one object
when they are of one class and agree on the area that both tiles cover; of these the one whose tile saw it
whole is kept, and where none did (an object longer than the overlap), the parts are joined.
Letters: R rows of a detector, K classes, T tiles; a row is a box xyxy and K probabilities, [R, 4 + K].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.tiling import Span
from blemish.regions.boxes import box_area, box_coverage, box_iou, class_wise_nms, shared_boxes

DetectionRows = NDArray[np.float32]  # [R, 4 + K]
Detect = Callable[[Pixels], DetectionRows]

EDGE_PX = 2.0  # a box that ends this near to an inner tile edge was cut by it …
EDGE_SHARE = 0.03  # … or within this share of its own side, because large boxes are placed less exactly
AGREEMENT = 0.5  # IoU, on the area that both tiles cover, from which two detections are one object
# Intersection over the smaller box, there, of two parts, each cut at an edge towards the other's tile. Lower,
# because the boxes of the parts of a slanted scratch overlap at one end of each only.
JOINING = 0.2


@dataclass(frozen=True)
class Tile:
    """A tile of the image: its extent and core along both axes."""

    x: Span
    y: Span

    @property
    def box(self) -> NDArray[np.float32]:
        """Extent xyxy, [4]."""
        return np.array([self.x.start, self.y.start, self.x.stop, self.y.stop], np.float32)

    @property
    def core(self) -> NDArray[np.float32]:
        """Core xyxy, [4]."""
        return np.array(
            [self.x.keep_start, self.y.keep_start, self.x.keep_stop, self.y.keep_stop], np.float32
        )


@dataclass(frozen=True)
class TileDetections:
    """Detections of all tiles, in pixels of the image.

    rows: [R, 4 + K]; tile: number of the tile that made each, [R]
    cut: sides (left, top, right, bottom) that end at an inner edge of that tile, [R, 4]
    owned: rows whose centre lies in that tile's core, [R]
    """

    rows: DetectionRows
    tile: NDArray[np.intp]
    cut: NDArray[np.bool_]
    owned: NDArray[np.bool_]

    @property
    def boxes(self) -> NDArray[np.float32]:
        return self.rows[:, :4]

    @property
    def labels(self) -> NDArray[np.intp]:
        return self.rows[:, 4:].argmax(axis=1)

    @property
    def scores(self) -> NDArray[np.float32]:
        return self.rows[:, 4:].max(axis=1)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> TileDetections:
        return TileDetections(self.rows[chosen], self.tile[chosen], self.cut[chosen], self.owned[chosen])


def detect_tiled(
    image: Pixels, detect: Detect, *, tile: int, overlap: int, nms: float = 0.5
) -> DetectionRows:
    """The detector's rows for the whole image, each object once. returns: [R, 4 + K]

    image: [H, W] or [H, W, 3]; one that fits in a tile goes to the detector as it is
    detect: pixels to rows [R, 4 + K], boxes in pixels of its argument
    tile, overlap: side of the square tiles, and smallest overlap of neighbours; an object no longer than the
        overlap is whole in at least one tile
    nms: IoU above which the worse of two detections of a class is dropped where several tiles cover; rows
        elsewhere are returned untouched
    """
    tile_rows, tile_columns = (tile_spans(length, tile, overlap) for length in image.shape[:2])
    tiles = [Tile(x, y) for y, x in product(tile_rows, tile_columns)]
    if len(tiles) == 1:
        return detect(image)
    found = [detect(image[each.y.start : each.y.stop, each.x.start : each.x.stop]) for each in tiles]
    whole = enclosing_box(np.stack([each.box for each in tiles]))
    return merged_rows(tile_detections(found, tiles, whole), tiles, nms=nms)


def merged_rows(detections: TileDetections, tiles: list[Tile], *, nms: float) -> DetectionRows:
    """Rows with each object once, [R, 4 + K], however many tiles detected it. nms: see `detect_tiled`"""
    at_seams = reaches_others(detections, tiles)
    doubtful = detections[at_seams]
    # Within each tile first, so that an object is one box of each tile when tiles are compared.
    groups = [np.flatnonzero(doubtful.tile == number) for number in range(len(tiles))]
    singled = np.concatenate([group[suppressed_rows(doubtful.rows[group], nms)] for group in groups])
    merged = merge(doubtful[singled], tiles)
    return np.concatenate([detections.rows[~at_seams], merged[suppressed_rows(merged, nms)]])


def tile_spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles along one axis, evenly spread, all of one size where the axis is longer than a tile.

    Neighbours overlap by at least `overlap`, which is less than a tile; their cores meet in the middle of the
    overlap.
    """
    if length <= tile:
        return [Span(0, length, 0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = [index * (length - tile) // (count - 1) for index in range(count)]
    middles = [(first + tile + second) // 2 for first, second in pairwise(starts)]
    cores = zip(starts, [0, *middles], [*middles, length], strict=True)
    return [Span(start, start + tile, keep_start, keep_stop) for start, keep_start, keep_stop in cores]


def tile_detections(found: list[DetectionRows], tiles: list[Tile], outer: DetectionRows) -> TileDetections:
    """Each tile's rows, in its own pixels, as detections in pixels of the image.

    found: per tile [R, 4 + K]; outer: box of the image [4]; a tile's other edges are inner ones
    """
    edges, cores = np.stack([each.box for each in tiles]), np.stack([each.core for each in tiles])
    tile = np.repeat(np.arange(len(tiles)), [len(rows) for rows in found])
    rows = np.concatenate(found)
    rows[:, :4] += edges[tile][:, [0, 1, 0, 1]]
    boxes, core = rows[:, :4], cores[tile]
    lengths = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    at_edge = np.abs(boxes - edges[tile]) <= np.maximum(EDGE_PX, EDGE_SHARE * lengths)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    owned = np.all((centres >= core[:, :2]) & (centres < core[:, 2:]), axis=1)
    return TileDetections(rows, tile, at_edge & (edges != outer)[tile], owned)


def enclosing_box(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The box [4] around all boxes [N, 4]."""
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def reaches_others(detections: TileDetections, tiles: list[Tile]) -> NDArray[np.bool_]:
    """Mask [R] of the boxes that reach into an area that a tile other than their own covers too."""
    tiles_reached = np.zeros(len(detections.tile), np.intp)
    for tile in tiles:
        tiles_reached += box_area(shared_boxes(detections.boxes, tile.box)) > 0
    reached: NDArray[np.bool_] = tiles_reached > 1
    return reached


def suppressed_rows(rows: DetectionRows, nms: float) -> NDArray[np.intp]:
    """Indices of the rows left by suppression among rows of the same likeliest class."""
    return class_wise_nms(rows[:, :4], rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1), iou=nms)


def merge(detections: TileDetections, tiles: list[Tile]) -> DetectionRows:
    """Rows [R, 4 + K]: a single one for each object that several tiles saw, and those of the other objects.

    Of several whole views that of the tile whose core holds it is taken, then the most confident one; where
    no view is whole, the box around all parts with the probabilities of the most confident.
    """
    rows = [detections.rows[:0]]
    for members in same_objects(detections, tiles):
        views = detections[members]
        whole = views[~np.any(views.cut, axis=1)]
        if len(members) == 1:
            rows.append(views.rows[views.owned])
        elif len(whole.rows):
            rows.append(whole.rows[np.lexsort((-whole.scores, ~whole.owned))[:1]])
        else:
            row = views.rows[[views.scores.argmax()]]
            row[0, :4] = enclosing_box(views.boxes)
            rows.append(row)
    return np.concatenate(rows)


def same_objects(detections: TileDetections, tiles: list[Tile]) -> list[NDArray[np.intp]]:
    """Groups of detections that are one object, as indices into the rows; most are groups of one."""
    group = np.arange(len(detections.tile))
    for first, second in combinations(range(len(tiles)), 2):
        common = shared_boxes(tiles[first].box, tiles[second].box)
        if (common[2:] > common[:2]).all():
            for row, twin in same_in_both(detections, tiles, first, second):
                group[group == group[twin]] = group[row]
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if order.size else []


def same_in_both(
    detections: TileDetections, tiles: list[Tile], first: int, second: int
) -> list[tuple[int, int]]:
    """Pairs of detections of two tiles that are one object: one to one, the best agreement first."""
    common = shared_boxes(tiles[first].box, tiles[second].box)
    of_first, of_second = np.flatnonzero(detections.tile == first), np.flatnonzero(detections.tile == second)
    in_common = (
        shared_boxes(detections.boxes[of_first], common),
        shared_boxes(detections.boxes[of_second], common),
    )
    agreement = box_iou(*in_common)
    leaving = cut_towards(detections.cut[of_first], tiles[first], tiles[second])
    entering = cut_towards(detections.cut[of_second], tiles[second], tiles[first])
    continued = leaving[:, None] & entering[None] & (box_coverage(*in_common) >= JOINING)
    same = (agreement >= AGREEMENT) | continued
    same &= detections.labels[of_first][:, None] == detections.labels[of_second][None]
    rows, columns = np.nonzero(same)
    pairs: dict[int, int] = {}
    for index in np.argsort(-agreement[rows, columns], kind="stable"):
        if rows[index] not in pairs and columns[index] not in pairs.values():
            pairs[int(rows[index])] = int(columns[index])
    return [(int(of_first[row]), int(of_second[column])) for row, column in pairs.items()]


def cut_towards(cut: NDArray[np.bool_], own: Tile, other: Tile) -> NDArray[np.bool_]:
    """Mask [R] of the boxes that leave their own tile at an edge on the other tile's side. cut: [R, 4]"""
    x, y = other.x.start - own.x.start, other.y.start - own.y.start
    leaves: NDArray[np.bool_] = np.any(cut & np.array([x < 0, y < 0, x > 0, y > 0]), axis=1)
    return leaves
