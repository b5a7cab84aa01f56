from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from blemish.defect import Rectangle
from blemish.regions.measure import outlines, smallest_rectangle
from blemish.regions.region import Region, defect_of, defects_of, numbered, regions_above
from blemish.regions.runs import runs_of

Map = NDArray[np.float32]


@settings(max_examples=60, deadline=None)
@given(values=arrays(np.float32, (6, 9), elements=st.floats(0, 1, width=32)), threshold=st.floats(0.1, 0.99))
def test_regions_are_the_components_from_the_threshold_on(values: Map, threshold: float) -> None:
    labels, count = ndimage.label(values >= threshold, np.ones((3, 3)))
    found = list(regions_above(values, threshold, join_distance=0.0))
    assert len(found) == count
    numbers = numbered(found, values.shape)
    np.testing.assert_array_equal(numbers > 0, labels > 0)
    for number, region in enumerate(found, start=1):
        assert len(np.unique(labels[numbers == number])) == 1
        np.testing.assert_array_equal(region.values, values[numbers == number])
        assert region.strongest == values[numbers == number].max() >= threshold


def test_regions_come_in_reading_order() -> None:
    values = np.zeros((5, 9), np.float32)
    values[3, 0], values[0, 8], values[0, 3] = 1, 1, 1
    assert [region.offset_xy for region in regions_above(values, 0.5, join_distance=0)] == [
        (3, 0),
        (8, 0),
        (0, 3),
    ]


def test_near_regions_are_one_and_small_ones_are_left_out() -> None:
    values = np.zeros((3, 20), np.float32)
    values[1, [2, 5, 15]] = 0.9
    assert len(list(regions_above(values, 0.5, join_distance=0.0))) == 3
    (pair, single) = regions_above(values, 0.5, join_distance=4.0)
    assert (pair.runs.area, single.runs.area) == (2, 1)
    (remaining,) = regions_above(values, 0.5, join_distance=4.0, min_area=2.0)
    assert (remaining.offset_xy, remaining.mask.tolist()) == ((2, 1), [[True, False, False, True]])


def test_a_region_is_measured_where_it_lies() -> None:
    """Three pixels in a row and one below the last, from (10, 20) of the image on."""
    mask = np.array([[1, 1, 1], [0, 0, 1]], bool)
    region = Region(mask, (10, 20), np.array([0.5, 0.6, 0.9, 0.7], np.float32))
    defect = defect_of(region, "scratch", 0.8, mm_per_px=0.5)
    assert (defect.label, defect.confidence) == ("scratch", 0.8)
    assert defect.box_xyxy == (10, 20, 13, 22)
    assert defect.contour == outlines(mask, offset_xy=(10, 20))
    assert (defect.area, defect.area_mm2) == (4, 1)
    assert (defect.severity_mean, defect.severity_max) == (None, None)


@pytest.mark.parametrize("as_runs", [False, True])
def test_one_pixel_is_a_square_of_side_one(as_runs: bool) -> None:
    mask = np.ones((1, 1), bool)
    region = Region(runs_of(mask) if as_runs else mask, (4, 7), np.ones(1, np.float32))
    defect = defect_of(region, "spot", 1.0)
    assert defect.rectangle == Rectangle((4.5, 7.5), 1.0, 1.0, defect.rectangle.angle_deg)
    assert (defect.area, defect.box_xyxy) == (1, (4, 7, 5, 8))
    np.testing.assert_array_equal(np.argwhere(numbered([region], (9, 6)) == 1), [[7, 4]])


def test_without_a_region_no_pixel_has_a_number() -> None:
    assert not numbered([], (2, 3)).any()
    assert not list(regions_above(np.zeros((2, 3), np.float32), 0.5, join_distance=4.0))


def test_regions_measured_together_are_those_measured_alone() -> None:
    """Also a ring with a dot in its hole, which is the ring's neighbour and not a part of it."""
    values = (np.random.default_rng(5).random((90, 70)) < 0.3).astype(np.float32)
    values[10:40, 10:40] = 0
    values[12:38, 12:38], values[16:34, 16:34], values[24:26, 24:26] = 1, 0, 1
    found = list(regions_above(values, 0.5, join_distance=0.0))
    together = defects_of(found, [(f"{number}", 0.5) for number in range(len(found))], mm_per_px=0.1)
    assert len(together) > 50
    for number, (region, defect) in enumerate(zip(found, together, strict=True)):
        assert defect == defect_of(region, f"{number}", 0.5, mm_per_px=0.1)
        assert defect.contour == outlines(region.mask, offset_xy=region.offset_xy)
        assert defect.rectangle == smallest_rectangle(defect.contour)
    assert {(24.0, 24.0), (26.0, 26.0)} in [{min(d.contour[0]), max(d.contour[0])} for d in together]
