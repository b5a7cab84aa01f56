"""Ridge rows against a least-squares solver on all regions, and the boxes that they are computed from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection._utils import BoxCoder

from blemish.methods.tlsdd.class_bank.closed_form import (
    BOXES,
    GAIN,
    RIDGE,
    Moments,
    boxes_about,
    gram,
    logit_row,
)
from blemish.methods.tlsdd.runtime.anchors import box_deltas, moved_boxes
from blemish.regions.boxes import box_area, box_iou

GENERATOR = np.random.default_rng(4)
FEATURES = 6
BACKGROUND = GENERATOR.normal(0, 1, (50, FEATURES)).astype(np.float32)
OURS = GENERATOR.normal(1, 1, (30, FEATURES)).astype(np.float32)
OTHERS = GENERATOR.normal(-1, 1, (20, FEATURES)).astype(np.float32)
IOU = GENERATOR.random(30).astype(np.float32)
DELTAS = GENERATOR.normal(0, 1, (30, 4)).astype(np.float32)


def with_one(features):
    return np.concatenate([features, np.ones((len(features), 1))], axis=1)


def least_squares(groups, targets, penalty):
    """Each group's squared errors count by their mean; the penalty is rows of its own."""
    rows = [with_one(group) / np.sqrt(len(group)) for group in groups]
    values = [target / np.sqrt(len(target)) for target in targets]
    rows.append(np.sqrt(penalty) * np.eye(FEATURES + 1))
    values.append(np.zeros((FEATURES + 1, values[0].shape[1])))
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(values), rcond=None)[0]


def test_a_row_is_the_least_squares_solution_over_all_regions():
    moments = Moments.of_examples(OURS, IOU, DELTAS) + Moments.of_negatives(OTHERS)
    background = gram(BACKGROUND)
    penalty = RIDGE * np.square(BACKGROUND).mean()
    zeros = [np.zeros((len(group), 1)) for group in (BACKGROUND, OTHERS)]
    score = least_squares((BACKGROUND, OTHERS, OURS), (*zeros, IOU[:, None]), penalty)
    deltas = least_squares((OURS,), (DELTAS,), penalty)
    np.testing.assert_allclose(moments.row(background), np.hstack([score, deltas]), atol=1e-4)


def test_examples_that_come_later_count_as_those_at_once():
    first = Moments.of_examples(OURS[:12], IOU[:12], DELTAS[:12]) + Moments.of_negatives(OTHERS[:5])
    later = Moments.of_examples(OURS[12:], IOU[12:], DELTAS[12:]) + Moments.of_negatives(OTHERS[5:])
    whole = Moments.of_examples(OURS, IOU, DELTAS) + Moments.of_negatives(OTHERS)
    for name, value in vars(first + later).items():
        np.testing.assert_allclose(value, getattr(whole, name), rtol=1e-4, atol=1e-5, err_msg=name)


def test_nothing_added_changes_nothing():
    moments = Moments.of_examples(OURS, IOU, DELTAS)
    for name, value in vars(moments + Moments.none(FEATURES)).items():
        np.testing.assert_array_equal(value, getattr(moments, name))


@pytest.mark.parametrize("threshold", [0.8, 0.9912])
def test_the_cut_has_the_confidence_of_the_threshold(threshold):
    row = Moments.of_examples(OURS, IOU, DELTAS).row(gram(BACKGROUND))
    region = with_one(OURS[:1])
    iou = float((region @ row[:, 0])[0])
    logits = {cut: (region @ logit_row(row, 0.5, cut, threshold)[:, 0])[0] for cut in (iou, iou - 0.2)}
    assert 1 / (1 + np.exp(-logits[iou])) == pytest.approx(threshold, abs=1e-4)
    assert logits[iou - 0.2] - logits[iou] == pytest.approx(GAIN * 0.2 / 0.5, abs=1e-2)
    np.testing.assert_array_equal(logit_row(row, iou, iou, threshold)[:, 1:], row[:, 1:])


def test_boxes_about_an_example_are_parts_and_larger_ones():
    box, size = np.array([40.0, 30, 80, 150], np.float32), (200, 160)
    found = boxes_about(box, size, np.random.default_rng(0))
    assert found.shape == (BOXES, 4)
    np.testing.assert_array_equal(found[0], box)
    assert (found >= 0).all() and (found <= np.array([160, 200, 160, 200])).all()
    iou = box_iou(found, box[None])[:, 0]
    inside = ((found[:, :2] >= box[:2]) & (found[:, 2:] <= box[2:])).all(axis=1)
    assert (inside & (iou < 0.5)).sum() >= 10, "parts"
    assert (box_area(found) > 1.5 * box_area(box[None])).sum() >= 10, "over-large"
    assert (iou > 0.7).sum() >= 10, "near ones"


def test_a_box_at_the_edge_has_no_empty_box_about_it():
    found = boxes_about(np.array([0.0, 0, 5, 5], np.float32), (64, 64), np.random.default_rng(1))
    assert (found[:, 2:] - found[:, :2]).min() >= 4


def test_deltas_are_torchvisions_and_undone_by_moving():
    boxes = np.array([[10, 20, 50, 40], [0, 0, 9, 90]], np.float32)
    targets = np.array([[12, 10, 70, 44], [5, 1, 30, 60]], np.float32)
    weights = (10.0, 10.0, 5.0, 5.0)
    found = box_deltas(boxes, targets, weights)
    expected = BoxCoder(weights).encode_single(torch.from_numpy(targets), torch.from_numpy(boxes))
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5)
    np.testing.assert_allclose(moved_boxes(boxes, found, weights), targets, atol=1e-3)
