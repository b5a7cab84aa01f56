"""The doctor's numbers against hand-made cases and brute force, and its words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou as reference_iou

from blemish.dataset.boxes import Boxed
from blemish.defect import Defect, Rectangle
from blemish.methods.tlsdd.doctor import anchor_shapes, best_anchor, gaps, proposal_recall, where_rare_went

ANCHORS = {"anchor_sizes": (16, 32, 64), "aspect_ratios": (0.5, 1.0, 2.0)}


def boxes(*sides: tuple[float, float]) -> np.ndarray:
    """Boxes (width, height) at odd places."""
    return np.array([(3 * i, 2 * i, 3 * i + w, 2 * i + h) for i, (w, h) in enumerate(sides)], np.float32)


def found(label: str, box: tuple[float, float, float, float], confidence: float = 0.9) -> Defect:
    return Defect(label, confidence, box, (), Rectangle((0, 0), 1, 1, 0), 1.0)


def true(label: str, box: tuple[float, float, float, float]) -> Boxed:
    return Boxed(label, box, "x")


def test_size_and_aspect_quantiles_by_hand() -> None:
    shape = gaps({"dent": boxes((4, 16), (10, 10), (36, 16))}, {}, **ANCHORS)["classes"]["dent"]
    assert shape["boxes"] == 3
    assert shape["size"]["0.5"] == 10 and shape["aspect"]["0.5"] == 1
    assert shape["size"]["0.05"] == pytest.approx(8.2) and shape["size"]["0.95"] == pytest.approx(22.6)


@pytest.mark.parametrize(
    ("side", "words"),
    [
        ((5, 5), "100% of 'fray' are smaller than usual: median 5 px, common ones lie between 30 and 34 px"),
        ((60, 60), "100% of 'fray' are larger than usual"),
        ((90, 10), "100% of 'fray' are flatter than usual"),
        ((10, 90), "100% of 'fray' are taller than usual: median height / width 9"),
    ],
)
def test_rare_boxes_outside_the_common_range_are_named(side: tuple[float, float], words: str) -> None:
    common = {"dent": boxes(*((30 + i % 5, 30 + i % 5) for i in range(50)))}
    sentences = gaps(common, {"fray": boxes(side, side)}, **ANCHORS)["sentences"]
    assert sum(words in sentence for sentence in sentences) == 1


def test_alike_boxes_give_one_calm_sentence() -> None:
    alike = boxes(*((30 + i % 5, 30) for i in range(50)))
    assert gaps({"dent": alike}, {"fray": alike}, **ANCHORS)["sentences"] == [
        "The rare boxes are of the common ones' sizes and shapes, and the anchors fit them."
    ]


def test_boxes_that_fit_no_anchor_are_named_whichever_class_they_are_of() -> None:
    result = gaps({"dent": boxes((32, 32))}, {"fray": boxes((6, 6), (31, 33))}, **ANCHORS)
    assert result["classes"]["fray"]["off_anchors"] == 0.5 and result["classes"]["dent"]["off_anchors"] == 0
    assert any("50% of 'fray' fit no anchor" in sentence for sentence in result["sentences"])


def test_best_anchor_agrees_with_torchvision_on_centred_boxes() -> None:
    sides = np.random.default_rng(0).uniform(3, 120, (40, 2)).astype(np.float32)
    shapes = anchor_shapes(*ANCHORS.values())
    centred = [torch.tensor(np.concatenate([-one / 2, one / 2], 1)) for one in (sides, shapes)]
    expected = reference_iou(centred[0].double(), centred[1]).max(dim=1).values.numpy()
    np.testing.assert_allclose(best_anchor(boxes(*sides), shapes), expected, atol=1e-5)
    np.testing.assert_allclose(shapes.prod(axis=1) ** 0.5, np.repeat((16, 32, 64), 3))
    np.testing.assert_allclose(shapes[:, 1] / shapes[:, 0], np.tile((0.5, 1, 2), 3))


def test_a_rare_class_without_boxes_and_no_common_ones_pass() -> None:
    result = gaps({}, {"fray": boxes()}, **ANCHORS)
    assert result["classes"]["fray"] == {"boxes": 0, "size": None, "aspect": None, "off_anchors": None}
    json.dumps(gaps({}, {"fray": boxes((5, 5))}, **ANCHORS), allow_nan=False)


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


def test_where_rare_went_by_hand() -> None:
    a, b, c, d = (0, 0, 10, 10), (20, 0, 30, 10), (40, 0, 50, 10), (60, 0, 70, 10)
    truth = [[true("fray", a), true("fray", b), true("fray", c), true("dent", d)], [true("burr", a)], []]
    detections = [
        [found("fray", (0, 0, 10, 9)), found("dent", b, 0.6), found("spot", b, 0.7), found("fray", d)],
        [],
        [found("fray", a)],
    ]
    result = where_rare_went(truth, detections, ("fray", "burr", "gone"))
    assert result["classes"]["fray"] == {"found": 1, "background": 1, "other": {"spot": 1}}
    assert result["classes"]["burr"] == {"found": 0, "background": 1, "other": {}}
    assert result["sentences"] == [
        "'fray': 1 of 3 found; taken 1 for background, 1 for 'spot'.",
        "'burr': 0 of 1 found; taken 1 for background.",
        "'gone': no true box among these images.",
    ]


def test_one_detection_finds_one_box() -> None:
    truth = [[true("fray", (0, 0, 10, 10)), true("fray", (0, 0, 10, 9))]]
    once = where_rare_went(truth, [[found("fray", (0, 0, 10, 10))]], ("fray",))
    assert once["classes"]["fray"] == {"found": 1, "background": 1, "other": {}}
    twice = where_rare_went(truth, [[found("fray", (0, 0, 10, 10)), found("fray", (0, 0, 10, 9))]], ("fray",))
    assert twice["classes"]["fray"]["found"] == 2


def test_a_detection_that_found_its_own_box_is_no_confusion() -> None:
    truth = [[true("fray", (0, 0, 10, 10)), true("dent", (0, 0, 10, 9))]]
    result = where_rare_went(truth, [[found("dent", (0, 0, 10, 10))]], ("fray",))
    assert result["classes"]["fray"] == {"found": 0, "background": 1, "other": {}}


def test_results_are_plain_data() -> None:
    truth = [[true("fray", (0, 0, 10, 10))]]
    result = where_rare_went(truth, [[found("fray", (0, 0, 10, 10))]], ("fray",))
    assert json.loads(json.dumps(result)) == result
    assert result["sentences"] == ["'fray': 1 of 1 found."]
