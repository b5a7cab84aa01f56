"""Boxes as defects: what they measure, and which pixels they fill."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.arrays import Box
from blemish.regions.filled_boxes import defect_of_box, filled_boxes
from blemish.regions.measure import smallest_rectangle


@pytest.mark.parametrize("box", [(1.0, 2.0, 11.0, 5.0), (3.5, 1.0, 4.5, 9.25), (0.0, 0.0, 4.0, 4.0)])
def test_the_rectangle_is_the_one_measured_from_the_outline(box: Box) -> None:
    defect = defect_of_box(box, "pit", 0.5, mm_per_px=0.1)
    measured = smallest_rectangle(defect.contour)
    assert defect.rectangle.center_xy == pytest.approx(measured.center_xy)
    assert (defect.rectangle.length, defect.rectangle.width) == pytest.approx(
        (measured.length, measured.width)
    )
    if defect.rectangle.length > defect.rectangle.width:
        assert defect.rectangle.angle_deg == pytest.approx(measured.angle_deg, abs=1e-4)
    assert defect.area == pytest.approx((box[2] - box[0]) * (box[3] - box[1]))
    assert (defect.label, defect.confidence, defect.mm_per_px) == ("pit", 0.5, 0.1)


edges = st.floats(0, 12, width=16)


@given(st.lists(st.tuples(edges, edges, edges, edges), max_size=4))
def test_a_box_fills_the_pixels_whose_centres_it_holds(corners: list[Box]) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    numbers = filled_boxes([defect_of_box(box, "pit", 1.0) for box in boxes], (12, 12))
    expected = np.zeros((12, 12), np.int32)
    for number, (left, top, right, bottom) in reversed(list(enumerate(boxes, 1))):
        centres = np.arange(12) + 0.5
        columns, rows = (centres >= left) & (centres < right), (centres >= top) & (centres < bottom)
        # Without any centre: the pixel that holds the middle.
        if not columns.any():
            columns = np.arange(12) == min(int((left + right) / 2), 11)
        if not rows.any():
            rows = np.arange(12) == min(int((top + bottom) / 2), 11)
        expected[np.ix_(rows, columns)] = number
    np.testing.assert_array_equal(numbers, expected)


def test_the_first_of_two_boxes_lies_on_top() -> None:
    boxes = [defect_of_box((2.0, 2.0, 6.0, 6.0), "pit", 0.9), defect_of_box((0.0, 0.0, 8.0, 8.0), "pit", 0.2)]
    numbers = filled_boxes(boxes, (8, 8))
    assert numbers[3, 3] == 1
    assert numbers[0, 0] == 2
