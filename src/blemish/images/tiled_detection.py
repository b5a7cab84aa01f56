"""Boxes of large images: overlapping tiles through a detector, and one box for what several tiles saw.

A tile's core is the part of the image nearest to its centre; cores share the image out, and a detection that
one tile alone made counts where its centre lies in that tile's core. Detections of two tiles are one object
when they are of one class and agree on the ground that both tiles cover; of these the one whose tile saw it
whole is kept, and where none did (an object longer than the overlap), the parts are joined.
Letters: R rows of a detector, K classes; a row is a box xyxy and K probabilities, [R, 4 + K].
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

DetectionRows = NDArray[np.float32]
Detect = Callable[[Pixels], DetectionRows]

EDGE_PX = 2.0  # a box that ends this near to an inner tile edge was cut by it …
EDGE_SHARE = 0.03  # … or within this share of its own side, because large boxes are placed less exactly
AGREEMENT = 0.5  # IoU, on the ground that both tiles cover, from which two detections are one object
# Intersection over the smaller, there, of two parts, each cut at an edge towards the other's tile. Lower,
# because where a slanted scratch goes from tile to tile the boxes of its parts share one end of each only.
JOINING = 0.2


@dataclass(frozen=True)
class Tile:
    """A tile of the image: its extent and core along both axes."""

    x: Span
    y: Span

    @property
    def box(self) -> DetectionRows:
        return np.array([self.x.start, self.y.start, self.x.stop, self.y.stop], np.float32)

    @property
    def core(self) -> DetectionRows:
        return np.array(
            [self.x.keep_start, self.y.keep_start, self.x.keep_stop, self.y.keep_stop], np.float32
        )


@dataclass(frozen=True)
class TileDetections:
    """What the tiles detected, in pixels of the image.

    rows: [R, 4 + K]; tile: number of the tile that made each, [R]
    cut: sides (left, top, right, bottom) that end at an inner edge of that tile, [R, 4]
    owned: whether the centre lies in that tile's core, [R]
    """

    rows: DetectionRows
    tile: NDArray[np.intp]
    cut: NDArray[np.bool_]
    owned: NDArray[np.bool_]

    @property
    def boxes(self) -> DetectionRows:
        return self.rows[:, :4]

    @property
    def labels(self) -> NDArray[np.intp]:
        return self.rows[:, 4:].argmax(axis=1)

    @property
    def scores(self) -> DetectionRows:
        return self.rows[:, 4:].max(axis=1)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> TileDetections:
        return TileDetections(self.rows[chosen], self.tile[chosen], self.cut[chosen], self.owned[chosen])


def detect_tiled(
    image: Pixels, detect: Detect, *, tile: int, overlap: int, nms: float = 0.5
) -> DetectionRows:
    """The detector's rows for the whole image, each object once.

    image: [H, W] or [H, W, 3]; one that fits in a tile goes to the detector as it is
    detect: pixels to rows [R, 4 + K], boxes in pixels of what it was given
    tile, overlap: side of the square tiles, and least overlap of neighbours; an object no longer than the
        overlap is whole in at least one tile
    nms: IoU above which the worse of two detections of a class goes, on ground that several tiles cover; the
        rows elsewhere are returned untouched
    """
    tiles = tiles_of((image.shape[0], image.shape[1]), tile, overlap)
    if len(tiles) == 1:
        return detect(image)
    return merged_rows(gather(image, detect, tiles), tiles, nms=nms)


def merged_rows(seen: TileDetections, tiles: list[Tile], *, nms: float) -> DetectionRows:
    """One row for each object that the tiles saw. nms: see `detect_tiled`"""
    at_seams = reaches_others(seen, tiles)
    doubtful = seen[at_seams]
    # Within each tile first, so that an object is one box of each tile when tiles are compared.
    groups = [np.flatnonzero(doubtful.tile == number) for number in range(len(tiles))]
    singled = np.concatenate([group[kept_rows(doubtful.rows[group], nms)] for group in groups])
    merged = merge(doubtful[singled], tiles)
    return np.concatenate([seen.rows[~at_seams], merged[kept_rows(merged, nms)]])


def tile_spans(length: int, tile: int, overlap: int) -> list[Span]:
    """Tiles along one axis, evenly spread, all of one size where the axis is longer than a tile.

    Neighbours overlap by at least `overlap`, less than a tile; their cores meet in the middle of what they
    share.
    """
    if length <= tile:
        return [Span(0, length, 0, length)]
    count = -(-(length - overlap) // (tile - overlap))
    starts = [index * (length - tile) // (count - 1) for index in range(count)]
    middles = [(first + tile + second) // 2 for first, second in pairwise(starts)]
    cores = zip(starts, [0, *middles], [*middles, length], strict=True)
    return [Span(start, start + tile, keep_start, keep_stop) for start, keep_start, keep_stop in cores]


def tiles_of(size: tuple[int, int], tile: int, overlap: int) -> list[Tile]:
    """Tiles of an image of size (height, width), in reading order."""
    rows, columns = (tile_spans(length, tile, overlap) for length in size)
    return [Tile(x, y) for y, x in product(rows, columns)]


def gather(image: Pixels, detect: Detect, tiles: list[Tile]) -> TileDetections:
    """Every tile's rows, moved to their place in the image."""
    found = [detect(image[one.y.start : one.y.stop, one.x.start : one.x.stop]) for one in tiles]
    return tile_detections(found, tiles, image_edges(np.stack([one.box for one in tiles])))


def tile_detections(found: list[DetectionRows], tiles: list[Tile], outer: DetectionRows) -> TileDetections:
    """Each tile's rows, in its own pixels, as sightings in those of the image.

    outer: box of the image [4]; a tile's other edges are inner ones
    """
    edges, cores = np.stack([one.box for one in tiles]), np.stack([one.core for one in tiles])
    found = [rows.copy() for rows in found]
    for one, rows in zip(tiles, found, strict=True):
        rows[:, :4] += one.box[[0, 1, 0, 1]]
    tile = np.repeat(np.arange(len(tiles)), [len(rows) for rows in found])
    rows = np.concatenate(found)
    cut = ends_at(rows[:, :4], edges[tile]) & (edges != outer)[tile]
    return TileDetections(rows, tile, cut, centre_within(rows[:, :4], cores[tile]))


def image_edges(edges: DetectionRows) -> DetectionRows:
    """The box around all tiles [T, 4]."""
    return np.concatenate([edges[:, :2].min(axis=0), edges[:, 2:].max(axis=0)])


def ends_at(boxes: DetectionRows, edges: DetectionRows) -> NDArray[np.bool_]:
    """Which sides of each box end at those of its tile. boxes, edges: [R, 4]; returns: [R, 4]"""
    lengths = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    near: NDArray[np.bool_] = np.abs(boxes - edges) <= np.maximum(EDGE_PX, EDGE_SHARE * lengths)
    return near


def centre_within(boxes: DetectionRows, cores: DetectionRows) -> NDArray[np.bool_]:
    """Whether each box's centre lies in its core. boxes, cores: [R, 4]; returns: [R]"""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    within: NDArray[np.bool_] = np.all((centres >= cores[:, :2]) & (centres < cores[:, 2:]), axis=1)
    return within


def reaches_others(seen: TileDetections, tiles: list[Tile]) -> NDArray[np.bool_]:
    """Which boxes reach into ground that a tile other than their own covers too, [R]."""
    tiles_reached = np.zeros(len(seen.tile), np.intp)
    for one in tiles:
        tiles_reached += box_area(shared_boxes(seen.boxes, one.box)) > 0
    reached: NDArray[np.bool_] = tiles_reached > 1
    return reached


def kept_rows(rows: DetectionRows, nms: float) -> NDArray[np.intp]:
    """Indices of the rows left by suppression among rows of the same likeliest class."""
    return class_wise_nms(rows[:, :4], rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1), iou=nms)


def merge(seen: TileDetections, tiles: list[Tile]) -> DetectionRows:
    """One row for each object that several tiles saw, and the rows that their own tile alone saw."""
    rows = [seen.rows[:0]]
    for members in same_objects(seen, tiles):
        views = seen[members]
        whole = views[~np.any(views.cut, axis=1)]
        if len(members) == 1:
            rows.append(views.rows[views.owned])
        else:
            rows.append(best_view(whole) if len(whole.rows) else joined(views))
    return np.concatenate(rows)


def best_view(whole: TileDetections) -> DetectionRows:
    """Of several whole views that of the tile whose core holds it, then the surest, [1, 4 + K]."""
    return whole.rows[np.lexsort((-whole.scores, ~whole.owned))[:1]]


def joined(parts: TileDetections) -> DetectionRows:
    """The box around all parts, with the probabilities of the surest, [1, 4 + K]."""
    row = parts.rows[[parts.scores.argmax()]]
    row[0, :4] = image_edges(parts.boxes)
    return row


def same_objects(seen: TileDetections, tiles: list[Tile]) -> list[NDArray[np.intp]]:
    """Groups of sightings that are one object, as indices; most are groups of one."""
    group = np.arange(len(seen.tile))
    for first, second in combinations(range(len(tiles)), 2):
        ground = shared_boxes(tiles[first].box, tiles[second].box)
        if (ground[2:] > ground[:2]).all():
            for one, other in same_in_both(seen, tiles, first, second):
                group[group == group[other]] = group[one]
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1) if order.size else []


def same_in_both(seen: TileDetections, tiles: list[Tile], first: int, second: int) -> list[tuple[int, int]]:
    """Pairs of sightings, one of each tile, that are one object: one to one, the best agreement first."""
    ground = shared_boxes(tiles[first].box, tiles[second].box)
    one, other = np.flatnonzero(seen.tile == first), np.flatnonzero(seen.tile == second)
    on_ground = shared_boxes(seen.boxes[one], ground), shared_boxes(seen.boxes[other], ground)
    agreement = box_iou(*on_ground)
    leaving = cut_towards(seen.cut[one], tiles[first], tiles[second])
    entering = cut_towards(seen.cut[other], tiles[second], tiles[first])
    continued = leaving[:, None] & entering[None] & (box_coverage(*on_ground) >= JOINING)
    same = (agreement >= AGREEMENT) | continued
    same &= seen.labels[one][:, None] == seen.labels[other][None]
    rows, columns = np.nonzero(same)
    pairs: dict[int, int] = {}
    for index in np.argsort(-agreement[rows, columns], kind="stable"):
        if rows[index] not in pairs and columns[index] not in pairs.values():
            pairs[int(rows[index])] = int(columns[index])
    return [(int(one[row]), int(other[column])) for row, column in pairs.items()]


def cut_towards(cut: NDArray[np.bool_], own: Tile, other: Tile) -> NDArray[np.bool_]:
    """Which boxes leave their own tile at an edge on the other tile's side. cut: [R, 4]; returns: [R]"""
    x, y = other.x.start - own.x.start, other.y.start - own.y.start
    leaves: NDArray[np.bool_] = np.any(cut & np.array([x < 0, y < 0, x > 0, y > 0]), axis=1)
    return leaves
