"""Candidates on validation images that have crowd or difficult regions."""

from __future__ import annotations

from blemish.arrays import Box
from blemish.dataset.boxes import Boxed, ImageBoxes
from blemish.methods.tlsdd.training.validation import ValidationDetections, score_threshold, without_ignored
from blemish.regions.filled_boxes import defect_of_box

HERE: Box = (0, 0, 10, 10)
MARKED = ImageBoxes((Boxed("dent", HERE, "1"),), ignored=(Boxed("dent", (20, 0, 60, 40), "2"),))
IN_CROWD, BESIDE, HALF_IN = (30, 5, 40, 15), (70, 5, 80, 15), (10, 0, 30, 10)


def test_candidates_in_a_crowd_of_their_class_choose_no_threshold() -> None:
    places = {"dent": (HERE, IN_CROWD, BESIDE, HALF_IN), "spot": (IN_CROWD,)}
    candidates = [defect_of_box(box, label, 0.5) for label, boxes in places.items() for box in boxes]
    left = without_ignored(candidates, MARKED)
    assert [(each.label, each.box_xyxy) for each in left] == [
        ("dent", HERE),
        ("dent", BESIDE),
        ("spot", IN_CROWD),
    ]


def test_a_candidate_that_finds_a_box_in_a_crowd_is_right() -> None:
    inside = ImageBoxes((Boxed("dent", HERE, "1"),), ignored=(Boxed("dent", (0, 0, 40, 40), "2"),))
    sure, right = defect_of_box((20, 20, 30, 30), "dent", 0.9), defect_of_box(HERE, "dent", 0.6)
    assert without_ignored([sure, right], inside) == (right,)
    detected = ValidationDetections((inside.boxes,), (without_ignored([sure, right], inside),), (False,))
    assert score_threshold(detected, clean_weight=1) == 0.3, "half-way from the only candidate to 0"
