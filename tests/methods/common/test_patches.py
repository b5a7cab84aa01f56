"""Marked defects, what is drawn of them, and where a patch lies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from blemish.methods.common.patches import draw_balanced, grouped, marked_defects, patch_center


def classes() -> np.ndarray:
    """Two defects of one class, one of another."""
    found = np.zeros((40, 60), np.uint8)
    found[4:12, 8:20] = found[30:32, 2:4] = 1
    found[20:32, 40:52] = 2
    return found


def test_defects_have_the_number_of_their_image_and_class_and_lie_where_they_are() -> None:
    found = marked_defects([np.zeros((10, 10), np.uint8), classes()], join_distance=4, first=5)
    assert [(defect.sample, defect.label, defect.box_xyxy) for defect in found] == [
        (6, 0, (8, 4, 20, 12)),
        (6, 0, (2, 30, 4, 32)),
        (6, 1, (40, 20, 52, 32)),
    ]
    assert (found[0].rectangle.center_xy, found[0].rectangle.length) == ((14, 8), 12)
    assert marked_defects([np.zeros((5, 5), np.uint8)], join_distance=4) == ()


def test_parts_nearer_than_the_join_distance_are_one_defect() -> None:
    near = np.zeros((20, 20), np.uint8)
    near[5, 5] = near[5, 8] = 1
    assert len(marked_defects([near], join_distance=4)) == 1
    assert len(marked_defects([near], join_distance=2)) == 2


def test_every_group_is_drawn_equally_often() -> None:
    found = marked_defects([classes()], join_distance=4)
    groups = grouped(found, lambda defect: defect.label)
    assert [[defect.label for defect in group] for group in groups] == [[0, 0], [1]]
    generator = np.random.default_rng(0)
    drawn = Counter(draw_balanced(groups, generator) for _ in range(400))
    assert drawn[found[2]] == pytest.approx(200, abs=40)
    assert min(drawn[found[0]], drawn[found[1]]) > 60


@pytest.mark.parametrize(("value", "expected"), [(3, 32), (50, 50), (99, 68)])
def test_the_centre_keeps_the_patch_in_the_image(value: float, expected: float) -> None:
    assert patch_center(value, 100, 64) == expected


def test_a_small_image_is_centred() -> None:
    assert patch_center(3, 40, 64) == 20
