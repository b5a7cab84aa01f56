"""The doctor's numbers against hand-made cases and brute force, and its words."""

from __future__ import annotations

import json

import numpy as np

from blemish.dataset.boxes import Boxed
from blemish.defect import Defect, Rectangle
from blemish.methods.tlsdd.training.diagnosis import proposal_recall, rare_class_outcomes


def found(label: str, box: tuple[float, float, float, float], confidence: float = 0.9) -> Defect:
    return Defect(label, confidence, box, (), Rectangle((0, 0), 1, 1, 0), 1.0)


def true(label: str, box: tuple[float, float, float, float]) -> Boxed:
    return Boxed(label, box, "x")


def test_proposal_recall_by_hand() -> None:
    proposals = [np.array([(0, 0, 10, 10), (50, 50, 60, 60)], np.float32), np.zeros((0, 4), np.float32)]
    truth = [
        np.array([(0, 0, 10, 6), (50, 50, 60, 54), (50, 50, 61, 60), (0, 0, 9, 9)], np.float32),
        np.array([(0, 0, 10, 10)], np.float32),
    ]
    labels = [np.array([0, 0, 1, -2]), np.array([1])]
    result = proposal_recall(proposals, truth, labels, ("dent", "fray", "burr"))
    assert result["recall"] == {"dent": 0.5, "fray": 0.5, "burr": None}
    assert result["boxes"] == {"dent": 2, "fray": 2, "burr": 0}
    assert len(result["sentences"]) == 2 and "only 50% of 'fray'" in result["sentences"][1]
    assert proposal_recall(proposals, truth, labels, ("dent", "fray"), iou=0.3)["recall"]["dent"] == 1


def test_full_recall_is_one_sentence() -> None:
    box = np.array([(0, 0, 10, 10)], np.float32)
    assert len(proposal_recall([box], [box], [np.array([0])], ("dent",))["sentences"]) == 1


def test_rare_class_outcomes_by_hand() -> None:
    a, b, c, d = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)
    truth = [[true("fray", a), true("fray", b), true("fray", c), true("dent", d)], [true("burr", a)], []]
    detections = [
        [found("fray", (0, 0, 10, 9)), found("dent", b, 0.6), found("spot", b, 0.7), found("fray", d)],
        [],
        [found("fray", a)],
    ]
    result = rare_class_outcomes(truth, detections, ("fray", "burr", "gone"))
    assert result["classes"]["fray"] == {"found": 1, "background": 1, "other": {"spot": 1}}
    assert result["classes"]["burr"] == {"found": 0, "background": 1, "other": {}}
    assert result["sentences"] == [
        "'fray': 1 of 3 found; 1 taken for background, 1 taken for 'spot'.",
        "'burr': 0 of 1 found; 1 taken for background.",
        "'gone': no true box among these images.",
    ]


def test_one_detection_finds_one_box() -> None:
    truth = [[true("fray", (0, 0, 10, 10)), true("fray", (0, 0, 10, 9))]]
    once = rare_class_outcomes(truth, [[found("fray", (0, 0, 10, 10))]], ("fray",))
    assert once["classes"]["fray"] == {"found": 1, "background": 1, "other": {}}
    twice = rare_class_outcomes(
        truth, [[found("fray", (0, 0, 10, 10)), found("fray", (0, 0, 10, 9))]], ("fray",)
    )
    assert twice["classes"]["fray"]["found"] == 2


def test_a_detection_that_found_its_own_box_is_no_confusion() -> None:
    truth = [[true("fray", (0, 0, 10, 10)), true("dent", (0, 0, 10, 9))]]
    result = rare_class_outcomes(truth, [[found("dent", (0, 0, 10, 10))]], ("fray",))
    assert result["classes"]["fray"] == {"found": 0, "background": 1, "other": {}}


def test_results_are_plain_data() -> None:
    truth = [[true("fray", (0, 0, 10, 10))]]
    result = rare_class_outcomes(truth, [[found("fray", (0, 0, 10, 10))]], ("fray",))
    assert json.loads(json.dumps(result)) == result
    assert result["sentences"] == ["'fray': 1 of 1 found."]
