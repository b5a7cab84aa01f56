"""Boxes that know no class, and the detections of added classes, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.methods.common.outputs import OutputError
from blemish.methods.tlsdd.runtime.enrolled_rows import enrolled_rows, grid_boxes, with_grid
from blemish.regions.boxes import box_iou
from tests.methods.tlsdd.conftest import tiny

SIZE = (100, 200)
TRAINED = 2


def weights(*biases: float) -> np.ndarray:
    """Rows of classes whose logit is the region's only feature, plus a bias; boxes stay."""
    rows = np.zeros((len(biases), 2, 5), np.float32)
    rows[:, 0, 0], rows[:, 1, 0] = 1, biases
    return rows


def rows_of(boxes, logits, *biases, **changes):
    features = np.array(logits, np.float32)[:, None]
    settings = tiny(**{"score_floor": 0.0, **changes})
    return enrolled_rows(
        np.array(boxes, np.float32), features, weights(*biases), size=SIZE, trained=TRAINED, settings=settings
    )


def test_the_grid_lies_in_the_image_and_meets_every_larger_box():
    grid = grid_boxes(SIZE)
    assert (grid >= 0).all() and (grid <= np.array([200, 100, 200, 100]) + 1e-3).all()
    assert len(grid) < 200
    generator = np.random.default_rng(0)
    sides = generator.uniform(0.3, 1, (300, 2)) * SIZE[::-1]
    corners = generator.uniform(0, 1, (300, 2)) * (np.array(SIZE[::-1]) - sides)
    boxes = np.concatenate([corners, corners + sides], axis=1)
    best = box_iou(boxes, grid).max(axis=1)
    assert best.min() > 0.3 and np.median(best) > 0.55


def test_the_grid_comes_behind_the_proposals():
    proposals = np.array([[1, 2, 3, 4]], np.float32)
    united = with_grid(proposals, SIZE)
    np.testing.assert_array_equal(united[0], proposals[0])
    np.testing.assert_array_equal(united[1:], grid_boxes(SIZE))


def test_a_row_has_one_class_and_nothing_of_the_trained_ones():
    found = rows_of([[0, 0, 50, 50], [100, 0, 150, 50]], [1.0, -1.0], 0.0, 2.0)
    assert found.shape == (4, 4 + TRAINED + 2)
    assert (found[:, 4 : 4 + TRAINED] == 0).all()
    assert ((found[:, 4:] > 0).sum(axis=1) == 1).all()
    np.testing.assert_allclose(found[0, 6], 1 / (1 + np.exp(-1)), rtol=1e-5)
    np.testing.assert_allclose(sorted(found[:, 7])[-1], 1 / (1 + np.exp(-3)), rtol=1e-5)


def test_of_boxes_over_each_other_the_surest_stays():
    found = rows_of([[0, 0, 50, 50], [2, 0, 52, 50], [100, 0, 150, 50]], [1.0, 2.0, 0.0], 0.0)
    np.testing.assert_array_equal(found[:, 0], [2, 100])


def test_a_part_of_a_surer_box_goes_and_a_whole_about_a_surer_part_stays():
    whole, part = [0, 0, 100, 80], [10, 10, 40, 40]
    for boxes, logits in (([whole, part], [2.0, 1.0]), ([part, whole], [1.0, 2.0])):
        np.testing.assert_array_equal(rows_of(boxes, logits, 0.0)[:, :4], [whole])
    found = rows_of([whole, part], [1.0, 2.0], 0.0)
    np.testing.assert_array_equal(found[:, :4], [part, whole])


def test_at_most_as_many_as_an_image_may_have_and_none_under_the_floor():
    apart = [[20 * number, 0, 20 * number + 15, 20] for number in range(9)]
    assert len(rows_of(apart, np.arange(9.0), 0.0, detections=3)) == 3
    assert len(rows_of(apart, np.arange(9.0) - 4, 0.0, score_floor=0.5)) == 5


def test_boxes_are_moved_and_stay_in_the_image():
    rows = weights(0.0)
    rows[0, 1, 1] = 10.0  # the centre moves by a width
    settings = tiny(score_floor=0.0)
    found = enrolled_rows(
        np.array([[0, 0, 80, 50], [140, 0, 200, 50]], np.float32),
        np.ones((2, 1), np.float32),
        rows,
        size=SIZE,
        trained=0,
        settings=settings,
    )
    np.testing.assert_allclose(found[:, :4], [[80, 0, 160, 50]], atol=1e-3)


def test_features_that_are_no_numbers_are_refused():
    with pytest.raises(OutputError, match="not finite"):
        rows_of([[0, 0, 50, 50]], [np.nan], 0.0)


def test_extreme_logits_are_probabilities():
    found = rows_of([[0, 0, 50, 50], [100, 0, 150, 50]], [1e6, -1e6], 0.0)
    assert np.isfinite(found).all() and found[:, 6].max() <= 1
