"""Tiled detection against an oracle that knows every drawn box and sees of it what lies in its tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.images.tiled_detection import detect_tiled, tile_spans
from blemish.regions.boxes import box_area, box_iou, shared_boxes

Rows = NDArray[np.float32]
Detect = Callable[[NDArray[np.uint16]], Rows]
TILE, OVERLAP, CLASSES = 64, 24, 3
SEEN_FROM = 0.3  # share of a defect that the oracle must see


def coordinates(height: int, width: int) -> NDArray[np.uint16]:
    """An image whose pixels say where they are, so that a detector knows which tile it was given."""
    y, x = np.mgrid[:height, :width].astype(np.uint16)
    return np.stack([x, y, x], axis=2)


def extent(pixels: NDArray[np.uint16]) -> Rows:
    (left, top), (right, bottom) = pixels[0, 0, :2], pixels[-1, -1, :2]
    return np.array([left, top, int(right) + 1, int(bottom) + 1], np.float32)


def row(box: Sequence[float] | Rows, label: int = 0, score: float = 0.9) -> Rows:
    probabilities = np.zeros(CLASSES)
    probabilities[label] = score
    return np.array([*box, *probabilities], np.float32)


def stacked(rows: Sequence[Rows]) -> Rows:
    return np.array(rows, np.float32).reshape(-1, 4 + CLASSES)


def oracle(drawn: Rows, *, jitter: float = 0, copies: int = 0) -> Detect:
    """Every drawn row of which enough lies in the tile, cut to it; worse copies of it beside, as before any
    suppression.
    """
    generator = np.random.default_rng(0)

    def detect(pixels: NDArray[np.uint16]) -> Rows:
        tile, found = extent(pixels), []
        for each in drawn:
            visible = shared_boxes(each[:4], tile)
            if (visible[2:] > visible[:2]).all() and box_area(visible[None]) >= SEEN_FROM * box_area(
                each[None, :4]
            ):
                found.append(moved(each, visible, tile, generator.uniform(-jitter, jitter, 4)))
                found += [worse(found[-1], tile, generator.uniform(-2, 2, 4)) for _ in range(copies)]
        return stacked(found)

    return detect


def moved(one: Rows, visible: Rows, tile: Rows, by: NDArray[np.float64]) -> Rows:
    box = shared_boxes((visible + by).astype(np.float32), tile) - tile[[0, 1, 0, 1]]
    return np.concatenate([box, one[4:]])


def worse(one: Rows, tile: Rows, by: NDArray[np.float64]) -> Rows:
    copy = moved(one, one[:4] + tile[[0, 1, 0, 1]], tile, by)
    copy[4:] *= 0.8
    return copy


def tiled(drawn: Rows, size: tuple[int, int], detect: Detect | None = None) -> Rows:
    return detect_tiled(coordinates(*size), detect or oracle(drawn), tile=TILE, overlap=OVERLAP)


def in_order(rows: Rows) -> Rows:
    return rows[np.lexsort(rows.T)]


def assert_each_once(found: Rows, drawn: Rows) -> None:
    assert len(found) == len(drawn)
    np.testing.assert_array_equal(in_order(found), in_order(drawn))


# Where tiles lie


@settings(max_examples=300)
@given(st.integers(1, 400), st.integers(8, 90), st.data())
def test_cores_share_the_axis_out_and_tiles_overlap(length: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    spans = tile_spans(length, tile, overlap)
    assert spans[0].start == spans[0].keep_start == 0
    assert spans[-1].stop == spans[-1].keep_stop == length
    assert {each.stop - each.start for each in spans} == {min(tile, length)}
    for each, following in pairwise(spans):
        assert each.stop - following.start >= overlap
        assert each.keep_stop == following.keep_start
    centres = np.array([(each.start + each.stop) / 2 for each in spans])
    for each, centre in zip(spans, centres, strict=True):
        pixels = np.arange(each.keep_start, each.keep_stop) + 0.5
        assert (np.abs(pixels - centre) <= np.abs(pixels[:, None] - centres).min(axis=1) + 1).all()


@settings(max_examples=200)
@given(st.integers(60, 400), st.integers(0, 400), st.integers(1, OVERLAP))
def test_what_is_no_longer_than_the_overlap_is_whole_in_a_tile(length: int, start: int, side: int) -> None:
    stop = min(start + side, length)
    start = min(start, stop - 1)
    assert any(each.start <= start and stop <= each.stop for each in tile_spans(length, TILE, OVERLAP))


def test_an_image_that_fits_goes_to_the_detector_as_it_is() -> None:
    given_to, image = [], coordinates(TILE, 40)

    def detect(pixels: NDArray[np.uint16]) -> Rows:
        given_to.append(pixels)
        return stacked([row((1, 2, 3, 4)), row((1, 2, 3, 4))])

    assert len(detect_tiled(image, detect, tile=TILE, overlap=OVERLAP)) == 2
    assert len(given_to) == 1
    assert given_to[0] is image


# None lost, none doubled


@pytest.mark.parametrize("side", [1, 5, OVERLAP - 1, OVERLAP, OVERLAP + 7, 40, TILE, 3 * OVERLAP, 79])
@pytest.mark.parametrize("across", [False, True])
def test_a_box_at_every_offset_is_found_once_and_whole(side: int, across: bool) -> None:
    length = 230
    for offset in range(length - side + 1):
        box = (offset, 20, offset + side, 31)
        drawn = stacked([row(box if across else [box[index] for index in (1, 0, 3, 2)])])
        found = tiled(drawn, (50, length) if across else (length, 50))
        assert_each_once(found, drawn)


@pytest.mark.parametrize("sides", [(3, 3), (OVERLAP, OVERLAP), (10, 43), (OVERLAP + 12, OVERLAP + 15)])
def test_a_box_where_four_tiles_meet_is_found_once_and_whole(sides: tuple[int, int]) -> None:
    width, height = sides
    for left in range(20, 75, 3):
        for top in range(20, 75, 3):
            drawn = stacked([row((left, top, left + width, top + height), 2)])
            assert_each_once(tiled(drawn, (128, 140)), drawn)


def scattered(seed: int, size: tuple[int, int], *, most: int) -> Rows:
    """Random boxes of whole pixels and random classes, apart from each other."""
    generator = np.random.default_rng(seed)
    remaining = stacked([])
    for _ in range(60):
        width, height = generator.integers(2, most, 2)
        left, top = generator.integers(0, size[1] - width), generator.integers(0, size[0] - height)
        each = row(
            (left, top, left + width, top + height),
            int(generator.integers(CLASSES)),
            generator.uniform(0.2, 1),
        )
        if not box_iou(each[None, :4], remaining[:, :4]).any():
            remaining = np.concatenate([remaining, each[None]])
    return remaining


@pytest.mark.parametrize("seed", range(12))
def test_many_boxes_are_each_found_once(seed: int) -> None:
    size = (150 + 13 * seed, 290 - 11 * seed)
    drawn = scattered(seed, size, most=int(1.7 * OVERLAP))
    assert len(drawn) > 15
    assert_each_once(tiled(drawn, size), drawn)


@pytest.mark.parametrize("seed", range(12))
def test_many_boxes_with_inexact_edges_and_worse_copies_are_each_found_once(seed: int) -> None:
    size = (210, 250)
    drawn = scattered(seed, size, most=int(1.7 * OVERLAP))
    drawn = drawn[(drawn[:, 2:4] - drawn[:, :2]).min(axis=1) > 12]
    found = tiled(drawn, size, oracle(drawn, jitter=1.0, copies=3))
    surest = found[found[:, 4:].max(axis=1) > 0.99 * drawn[:, 4:].max(axis=1).min()]
    matches = box_iou(drawn[:, :4], surest[:, :4]) > 0.6
    same = drawn[:, None, 4:].argmax(axis=2) == surest[None, :, 4:].argmax(axis=2)
    real = np.isin(surest[:, 4:].max(axis=1), drawn[:, 4:].max(axis=1))
    assert (matches & same & real[None]).sum(axis=1).tolist() == [1] * len(drawn)


def tracing(points: NDArray[np.float64]) -> Detect:
    """An oracle for a thin line: it boxes the points in its tile, so tiles differ on ground they share."""

    def detect(pixels: NDArray[np.uint16]) -> Rows:
        tile = extent(pixels)
        inside = points[((points >= tile[:2]) & (points < tile[2:])).all(axis=1)]
        if len(inside) < SEEN_FROM * len(points):
            return stacked([])
        return stacked([row(np.concatenate([inside.min(axis=0), inside.max(axis=0)]) - tile[[0, 1, 0, 1]])])

    return detect


def line(start: tuple[float, float], stop: tuple[float, float]) -> NDArray[np.float64]:
    return np.linspace(start, stop, 1000)


def assert_traced(found: Rows, points: NDArray[np.float64]) -> None:
    assert len(found) == 1
    np.testing.assert_allclose(found[0, :4], [*points.min(axis=0), *points.max(axis=0)], atol=0.01)


@pytest.mark.parametrize("rise", [25, 50, 70, -25, -60])
def test_parts_of_a_slanted_scratch_are_joined(rise: int) -> None:
    for left in range(2, 70, 3):
        points = line((left, 15 if rise > 0 else 85), (left + 70, (15 if rise > 0 else 85) + rise))
        assert_traced(tiled(stacked([]), (104, 144), tracing(points)), points)


@pytest.mark.parametrize("falling", [False, True])
def test_a_scratch_that_crosses_where_four_tiles_meet_is_joined(falling: bool) -> None:
    """Two tiles at opposite corners see it, cut at edges towards each other; the other two see too little."""
    points = line((8, 110), (110, 8))
    points[:, 1] = 112 - points[:, 1] if falling else points[:, 1]
    found = detect_tiled(coordinates(112, 112), tracing(points), tile=TILE, overlap=16)
    assert_traced(found, points)


# What one tile alone says


def by_tile(*answers: Sequence[Rows]) -> Detect:
    """The rows of each tile in reading order, in pixels of the image."""
    waiting = iter(answers)

    def detect(pixels: NDArray[np.uint16]) -> Rows:
        rows = stacked(next(waiting))
        rows[:, :4] -= extent(pixels)[[0, 1, 0, 1]]
        return rows

    return detect


def two_tiles(first: Sequence[Rows], second: Sequence[Rows]) -> Rows:
    """Tiles [0, 64) and [40, 104); their cores meet at 52."""
    return tiled(stacked([]), (30, 104), by_tile(first, second))


def test_the_tile_whose_core_holds_the_centre_has_the_say() -> None:
    left, right = row((44, 5, 50, 9)), row((53, 5, 59, 9))
    assert two_tiles([left, right], []).tolist() == [left.tolist()]
    assert two_tiles([], [left, right]).tolist() == [right.tolist()]


def test_a_disagreement_about_the_core_loses_nothing() -> None:
    """Each tile places the centre in the other's core."""
    assert len(two_tiles([row((48, 5, 57, 9))], [row((47, 5, 56, 9))])) == 1


def test_of_two_whole_views_that_of_the_core_counts_though_less_sure() -> None:
    own, other = row((42, 5, 50, 9), score=0.6), row((43, 5, 50, 9), score=0.9)
    np.testing.assert_array_equal(two_tiles([own], [other]), own[None])


def test_a_part_gives_way_to_the_whole_though_surer() -> None:
    part, whole = row((45, 5, 64, 20), score=0.95), row((45, 5, 75, 20), score=0.5)
    np.testing.assert_array_equal(two_tiles([part], [whole]), whole[None])


def test_what_is_left_at_the_seam_is_suppressed_as_in_one_image() -> None:
    """The second tile's own suppression keeps its worse box, which the first tile's view then replaces."""
    view, same, worse_one = row((41, 5, 61, 9)), row((43, 5, 59, 9)), row((48, 5, 66, 9), score=0.3)
    np.testing.assert_array_equal(two_tiles([view], [same, worse_one]), view[None])


def test_joined_parts_bear_the_surest_name_and_may_end_a_little_before_the_edge() -> None:
    found = two_tiles([row((20, 5, 62.1, 9), score=0.5)], [row((41.9, 5, 96, 9), score=0.8)])
    np.testing.assert_array_equal(found, row((20, 5, 96, 9), score=0.8)[None])


def test_an_end_at_the_image_border_is_no_cut() -> None:
    own, other = row((44, 0, 58, 9)), row((43, 0, 62, 9))
    np.testing.assert_array_equal(two_tiles([own], [other]), own[None])


def test_neighbours_that_overlap_a_little_are_two() -> None:
    left, right = row((42, 5, 54, 9)), row((50, 5, 66, 9))
    assert_each_once(two_tiles([left], [right]), stacked([left, right]))


def test_cuts_at_edges_that_do_not_face_join_nothing() -> None:
    """Both leave their tiles downwards, side by side; the tiles below see neither."""
    left, right = row((42, 30, 54, 64)), row((50, 30, 66, 64))
    found = tiled(stacked([]), (104, 104), by_tile([left], [right], [], []))
    assert_each_once(found, stacked([left, right]))


def test_of_two_that_agree_with_one_the_better_is_it() -> None:
    first, second, each = row((42, 5, 52, 9)), row((47, 5, 58, 9)), row((43, 5, 57, 9), score=0.5)
    assert_each_once(two_tiles([first, second], [each]), stacked([first, second]))


def test_classes_are_not_merged_with_each_other() -> None:
    first, second = row((44, 5, 50, 9), 0), row((53, 5, 59, 9), 1)
    over = row((44, 5, 60, 9), 2)
    found = two_tiles([first, over], [second, over])
    assert sorted(found[:, 4:].argmax(axis=1).tolist()) == [0, 1, 2]


def test_neighbours_that_meet_different_edges_are_not_joined() -> None:
    above, below = row((20, 2, 64, 9)), row((40, 15, 90, 22))
    assert_each_once(two_tiles([above], [below]), stacked([above, below]))


def test_where_one_tile_alone_looks_nothing_is_touched() -> None:
    twice = [row((3, 3, 20, 20), score=0.5), row((3, 3, 20, 20), score=0.7)]
    found = two_tiles(twice, [row((70, 3, 90, 20))])
    assert in_order(found).tolist() == in_order(stacked([*twice, row((70, 3, 90, 20))])).tolist()


def test_nothing_found_has_the_shape_of_nothing() -> None:
    assert two_tiles([], []).shape == (0, 4 + CLASSES)
