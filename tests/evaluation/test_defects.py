"""Defect metrics against pair-by-pair masks, a plain greedy matching, and the paper's integral."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from blemish.dataset.masks import Instance
from blemish.evaluation.defects import (
    average_recall,
    best_ious,
    defect_metrics,
    finding_counts,
    match_counts_at,
    pairings,
    rejected_elsewhere,
)
from blemish.evaluation.matching import box_ious, iou_matrix, match
from blemish.evaluation.pixel import MatchCounts
from blemish.inspection import Verdict

label_maps = arrays(np.int32, (6, 7), elements=st.integers(0, 3))
true_masks = st.lists(arrays(bool, (6, 7)).filter(np.any), min_size=1, max_size=3)  # these may overlap
ious = st.tuples(st.integers(0, 4), st.integers(0, 5)).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.integers(0, 10).map(lambda n: n / 10))
)


def plain_match(
    iou: NDArray[np.float32], confidences: list[float], threshold: float
) -> list[tuple[int, int]]:
    order = sorted(range(len(confidences)), key=lambda j: (-confidences[j], -max(iou[:, j], default=0), j))
    free, pairs = list(range(len(iou))), []
    for column in order:
        near = [row for row in free if iou[row, column] >= np.float32(threshold) and iou[row, column] > 0]
        if near:
            row = max(near, key=lambda i: (iou[i, column], -i))
            free.remove(row)
            pairs.append((row, column))
    return pairs


@given(masks=true_masks, found_map=label_maps)
@settings(deadline=None)
def test_iou_of_masks_equals_a_loop_over_pairs(
    instance_of: Any, masks: list[NDArray[np.bool_]], found_map: NDArray[np.int32]
) -> None:
    truth = [instance_of("a", mask) for mask in masks]
    table = iou_matrix(truth, [(0, 0, 1, 1)] * 3, found_map)
    for row, mask in enumerate(masks):
        for column in range(3):
            found = found_map == column + 1
            assert table[row, column] == pytest.approx((mask & found).sum() / (mask | found).sum(), abs=1e-6)


def test_a_defect_known_by_box_is_compared_by_box(instance_of: Any) -> None:
    found_map = np.zeros((6, 6), np.int32)
    found_map[0:2, 0:4] = 1
    masked = instance_of("a", found_map == 1)
    table = iou_matrix([masked, Instance("a", (0, 0, 4, 4))], [(0, 0, 4, 2)], found_map)
    assert table[:, 0] == pytest.approx([1.0, 0.5])
    assert iou_matrix([masked], [(0, 0, 4, 1)], None)[0, 0] == pytest.approx(0.5)
    assert iou_matrix([masked], [], found_map).shape == (1, 0)
    assert iou_matrix([], [(0, 0, 4, 1)], found_map).shape == (0, 1)


@given(st.lists(st.tuples(*[st.integers(0, 6)] * 4), min_size=2, max_size=2))
@settings(deadline=None)
def test_iou_of_boxes_equals_counting_pixels(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = [(min(a, c), min(b, d), max(a, c), max(b, d)) for a, b, c, d in corners]
    drawn = np.zeros((2, 6, 6), bool)
    for canvas, (left, top, right, bottom) in zip(drawn, boxes, strict=True):
        canvas[top:bottom, left:right] = True
    either = (drawn[0] | drawn[1]).sum()
    expected = (drawn[0] & drawn[1]).sum() / either if either else 0.0
    assert box_ious(boxes[:1], boxes[1:])[0, 0] == pytest.approx(expected, abs=1e-6)


@given(ious, st.data())
@settings(deadline=None)
def test_matching_equals_a_plain_loop(iou: NDArray[np.float32], data: st.DataObject) -> None:
    columns = iou.shape[1]
    confidences = data.draw(st.lists(st.sampled_from([0.5, 0.9]), min_size=columns, max_size=columns))
    threshold = data.draw(st.sampled_from([0.1, 0.3, 0.5, 0.7]))
    pairs = match(iou, confidences, threshold=threshold)
    assert pairs == plain_match(iou, confidences, threshold)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)


def test_confidence_goes_before_overlap_and_overlap_breaks_ties() -> None:
    iou = np.array([[0.6, 0.9]], np.float32)
    assert match(iou, [0.9, 0.8], threshold=0.5) == [(0, 0)]
    assert match(iou, [0.8, 0.8], threshold=0.5) == [(0, 1)]
    allowed = np.array([[True, False]])
    assert match(iou, [0.8, 0.9], threshold=0.5, allowed=allowed) == [(0, 0)]


def test_an_overlap_of_exactly_the_threshold_counts() -> None:
    for tenths in range(1, 10):
        assert match(np.array([[tenths / 10]], np.float32), [1.0], threshold=tenths / 10)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(deadline=None)
def test_average_recall_is_the_integral_of_recall_over_iou(best: list[float]) -> None:
    steps = np.linspace(0.5, 1, 20001)
    recall = (np.array(best)[:, None] > steps).mean(axis=0)
    integral = ((recall[1:] + recall[:-1]) / 2 * np.diff(steps)).sum()
    assert average_recall(best) == pytest.approx(2 * integral, abs=2e-4)


def test_average_recall_by_hand() -> None:
    assert average_recall([1.0, 0.75, 0.4, 0.0]) == pytest.approx(2 / 4 * (0.5 + 0.25))
    assert average_recall([]) is None
    assert best_ious(np.zeros((2, 0), np.float32)).tolist() == [0, 0]


def test_metrics_by_hand(record_of: Any) -> None:
    box, half, elsewhere = (0, 0, 4, 4), (0, 0, 4, 2), (20, 20, 24, 24)
    records = [
        record_of([("scratch", box)], [("scratch", box)]),
        record_of([("spot", box)], [("scratch", half), ("spot", elsewhere)]),
        record_of([], [("spot", box)]),  # a false alarm on a clean image
        record_of([("spot", box)], []),
    ]
    metrics = defect_metrics(records, ["scratch", "spot"])
    assert metrics is not None
    assert (metrics["images"], metrics["truth"], metrics["found"]) == (4, 3, 4)
    assert metrics["mean_iou"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert metrics["ar"] == pytest.approx(2 / 3 * 0.5)
    assert (metrics["precision_at_50"], metrics["recall_at_50"]) == pytest.approx((2 / 4, 2 / 3))
    assert (metrics["precision_at_50_with_type"], metrics["recall_at_50_with_type"]) == pytest.approx(
        (1 / 4, 1 / 3)
    )
    assert metrics["f1_at_50"] == pytest.approx(4 / 7)
    spot, scratch = metrics["classes"]["spot"], metrics["classes"]["scratch"]
    assert (spot["recall_at_30"]["n"], spot["recall_at_30"]["of"], spot["precision_at_30"]["of"]) == (1, 2, 2)
    assert spot["precision_at_30"]["n"] == 0  # one lies elsewhere, one on a clean image
    assert (scratch["precision_at_30"]["n"], scratch["precision_at_30"]["of"]) == (1, 2)
    assert spot["recall_at_30"]["upper95"] == pytest.approx(0.9747, abs=1e-4)


def test_a_wrong_name_does_not_take_the_place_of_the_right_one(record_of: Any) -> None:
    box = (0, 0, 4, 4)
    record = record_of([("spot", box)], [("scratch", box, 0.9), ("spot", box, 0.5)])
    assert match_counts_at([record], 0.5, with_type=True) == MatchCounts(1, 2, 1, 1)


def test_images_whose_defects_have_no_place_are_left_out(record_of: Any) -> None:
    box = (0, 0, 4, 4)
    unplaced = record_of([("spot", box)], [("spot", box)], placed_by="label")
    assert defect_metrics([unplaced], ["spot"]) is None
    metrics = defect_metrics([unplaced, record_of([("spot", box)], [])], ["spot"])
    assert metrics is not None
    assert (metrics["images"], metrics["found"], metrics["precision_at_50"]) == (1, 0, None)
    assert metrics["recall_at_50"] == 0.0
    assert defect_metrics([record_of([], [("spot", box)])], ["spot"]) is None


HERE, FAR = (0, 0, 4, 4), (20, 20, 24, 24)


def test_every_true_and_every_found_defect_is_in_one_pairing(record_of: Any) -> None:
    record = record_of(
        [("a", FAR), ("a", HERE), ("b", (50, 50, 54, 54))],
        [("b", HERE, 0.5), ("a", (80, 80, 84, 84), 0.9), ("a", HERE, 0.4)],
    )
    assert pairings(record) == [(1, 0), (0, None), (2, None), (None, 1), (None, 2)]
    assert pairings(record_of()) == []


def test_parts_rejected_for_the_wrong_reason_are_counted_by_hand(record_of: Any) -> None:
    def part(true: list[Any], found: list[Any], verdict: Verdict = Verdict.NG, **options: Any) -> Any:
        return record_of(true, found, verdict=verdict, **options)

    parts = [
        part([("a", HERE)], [("a", FAR)]),  # the one: found elsewhere alone
        part([("a", HERE)], [("b", HERE), ("a", FAR)]),  # found, under another name
        part([("a", HERE)], []),  # rejected by its score, with nothing shown
        part([("a", HERE)], [("a", FAR)], Verdict.REVIEW),  # a person looks at it
        part([], [("a", FAR)]),  # overkill
        part([("a", HERE)], [("a", FAR)], placed_by="label"),  # nobody knows where its defect is
    ]
    share = rejected_elsewhere(parts)
    assert (share.n, share.of) == (1, 3)
    assert rejected_elsewhere([]).of == 0


def test_findings_are_counted_as_shipped(record_of: Any, found_defect: Any) -> None:
    """Of four findings one is right and one only touches a defect; those under the limit are counted apart,
    and find nothing.
    """
    here, there, far = (0, 0, 4, 4), (4, 4, 8, 8), (2, 0, 8, 2)
    rejected = record_of([("crack", here)], [("crack", here), ("crack", far)], verdict=Verdict.NG)
    clean = record_of([], [("crack", here), ("crack", far)], verdict=Verdict.REVIEW)
    passed = record_of([("crack", there)], [])
    under = (found_defect("crack", there), found_defect("crack", far))
    passed = replace(passed, inspection=replace(passed.inspection, under_limit=under))
    labelled = record_of([("crack", here)], [("crack", here)], verdict=Verdict.NG, placed_by="label")
    records = [rejected, clean, passed, labelled, record_of([], [])]
    assert finding_counts(records) == {
        "images": 4,
        "listed": 4,
        "nothing": 2,
        "partly": 1,
        "on_clean": 2,
        "clean_images": 1,
        "under_limit": 2,
        "images_under_limit": 1,
    }
    metrics = defect_metrics(records, ["crack"])
    assert metrics is not None and (metrics["found"], metrics["truth"]) == (4, 2)
    assert (metrics["recall_at_30"], metrics["precision_at_30"]) == (0.5, 0.25)
    assert finding_counts([record_of([], [])]) is None
