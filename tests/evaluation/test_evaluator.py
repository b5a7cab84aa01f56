"""Images added up to metrics.json: by hand on small maps, and against the whole arrays on random ones."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from blemish.dataset.masks import Instance
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator, metrics_json
from blemish.evaluation.operating_point import choose
from blemish.inspection import Verdict, failed

ABOUT: dict[str, Any] = {"method": "severity", "split": "test", "seed": 1}


@pytest.fixture
def truth_map() -> Any:
    """Two defects: 4×4 of class 1, 2×2 of class 2."""
    truth = np.zeros((12, 12), np.uint8)
    truth[1:5, 1:5], truth[8:10, 8:10] = 1, 2
    return truth


@pytest.fixture
def evaluated(
    truth_map: Any, found_defect: Any, inspected: Any, sample_with: Any, instance_of: Any
) -> Evaluator:
    """Half of the first defect found and the second missed; a false alarm on a clean image."""
    evaluator = Evaluator(["scratch", "spot"])
    found_map = np.zeros((12, 12), np.int32)
    found_map[1:5, 1:3] = 1
    instances = [
        instance_of("scratch", truth_map == 1, contrast=-20.0),
        instance_of("spot", truth_map == 2, contrast=9.0),
    ]
    half = found_defect("scratch", (1, 1, 3, 5), severity=7.0)
    answer = inspected(
        [half], verdict=Verdict.NG, score=0.8, found_map=found_map, timings_ms={"total": 40, "net": 30}
    )
    evaluator.add(sample_with(["scratch", "spot"]), answer, class_map=truth_map, truth=instances)
    alarm_map = np.zeros((12, 12), np.int32)
    alarm_map[0, 0:3] = 1
    alarm = found_defect("spot", (0, 0, 3, 1), severity=4.0)
    answer = inspected(
        [alarm], verdict=Verdict.REVIEW, score=0.4, found_map=alarm_map, timings_ms={"net": 20}
    )
    evaluator.add(sample_with(), answer, class_map=np.zeros((12, 12), np.uint8))
    return evaluator


def test_metrics_by_hand(evaluated: Evaluator) -> None:
    point = choose([0.3, 0.7], [False, True], "f1")
    metrics = evaluated.result(**ABOUT, operating_point=point, pixel_threshold=4.1).metrics
    assert {name: metrics[name] for name in ("schema", "method", "split", "images", "errors", "seed")} == {
        "schema": 1,
        "method": "severity",
        "split": "test",
        "images": 2,
        "errors": 0,
        "seed": 1,
    }
    pixel = metrics["pixel"]
    assert (pixel["precision"], pixel["recall"]) == pytest.approx((8 / 11, 8 / 20))
    assert (pixel["f1"], pixel["iou"], pixel["mean_iou"]) == pytest.approx((16 / 31, 8 / 23, 8 / 20))
    assert pixel["threshold"] == 4.1
    assert pixel["recall_at_2px"] == pytest.approx(16 / 20)  # the other half of the scratch lies within 2 px
    assert pixel["precision_at_2px"] == pytest.approx(8 / 11)
    assert metrics["defect"]["mean_iou"] == pytest.approx(0.25)
    assert (metrics["defect"]["precision_at_30"], metrics["defect"]["recall_at_30"]) == (0.5, 0.5)
    assert metrics["type"]["confusion"]["spot"]["missed"] == 1
    assert metrics["image"]["auroc"] == 1.0
    assert metrics["operating_point"]["escapes"] == {"n": 0, "of": 1, "lower95": 0.0, "upper95": 0.95}
    assert metrics["operating_point"]["rejected_elsewhere"]["of"] == 1
    assert metrics["operating_point"]["chosen_on"]["overkill"]["of"] == 1
    assert metrics["severity"] == {"spearman": None, "defects": 1}
    assert metrics["seconds_per_image"] == pytest.approx(0.03)
    assert "detection" not in metrics


def test_maps_are_dropped_and_truth_becomes_outlines(evaluated: Evaluator) -> None:
    evaluation = evaluated.result(**ABOUT)
    assert all(not record.inspection.maps for record in evaluation.records)
    scratch = evaluation.records[0].truth[0]
    assert (scratch.area, scratch.box_xyxy) == (16.0, (1, 1, 5, 5))
    assert sorted(scratch.contour[0]) == [(1, 1), (1, 5), (5, 1), (5, 5)]
    assert evaluation.records[0].iou.tolist() == [[0.5], [0.0]]
    assert set(evaluation.curves) == {"iou", "roc"}


def test_severity_maps_give_the_curves_and_their_area(
    inspected: Any, sample_with: Any, instance_of: Any
) -> None:
    generator = np.random.default_rng(11)
    evaluator = Evaluator(["crack"])
    truths, severities = [], []
    for _ in range(3):
        truth = generator.random((20, 30)) < 0.1
        severity = (generator.uniform(0, 8, truth.shape) + 4 * truth).round(2).astype(np.float32)
        answer = inspected(found_map=np.zeros(truth.shape, np.int32), severity=severity)
        evaluator.add(
            sample_with(["crack"]),
            answer,
            class_map=truth.astype(np.uint8),
            truth=[instance_of("crack", truth)],
        )
        truths.append(truth.ravel())
        severities.append(severity.ravel())
    evaluation = evaluator.result(**ABOUT, pixel_threshold=5.0)
    expected = average_precision_score(np.concatenate(truths), np.concatenate(severities))
    assert evaluation.metrics["pixel"]["auprc"] == pytest.approx(expected, abs=2e-3)
    assert evaluation.metrics["pixel"]["precision"] is None
    assert evaluation.metrics["pixel"]["f1"] == 0.0
    assert {"threshold", "precision-recall"} <= set(evaluation.curves)
    assert evaluation.curves["threshold"].marked_x == 5.0


def test_probabilities_are_swept_as_finely_as_severities(inspected: Any, sample_with: Any) -> None:
    generator = np.random.default_rng(12)
    truth = generator.random((40, 50)) < 0.2
    probability = np.clip(generator.normal(0.4 + 0.1 * truth, 0.1), 0, 1).astype(np.float32)
    answer = inspected(found_map=np.zeros(truth.shape, np.int32), severity=probability)
    evaluator = Evaluator(["crack"], score_map_max=1.0)
    evaluator.add(sample_with(["crack"]), answer, class_map=truth.astype(np.uint8))
    evaluation = evaluator.result(**ABOUT, pixel_threshold=0.5)
    expected = average_precision_score(truth.ravel(), probability.ravel())
    assert evaluation.metrics["pixel"]["auprc"] == pytest.approx(expected, abs=2e-3)
    assert max(evaluation.curves["threshold"].x) <= 1


def test_an_image_that_failed_finds_nothing_and_is_counted(
    truth_map: Any, sample_with: Any, instance_of: Any
) -> None:
    evaluator = Evaluator(["scratch", "spot"])
    truth = [instance_of("scratch", truth_map == 1)]
    broken = failed("a.png", "truncated", bundle="bundle")
    evaluator.add(sample_with(["scratch"]), broken, class_map=truth_map, truth=truth)
    metrics = evaluator.result(**ABOUT).metrics
    assert metrics["errors"] == 1
    assert (metrics["pixel"]["recall"], metrics["defect"]["recall_at_50"]) == (0.0, 0.0)
    assert "image" not in metrics


def test_boxes_are_detection_and_no_pixels(found_defect: Any, inspected: Any, sample_with: Any) -> None:
    evaluator = Evaluator(["open", "short"])
    found_map = np.zeros((12, 12), np.int32)
    found_map[0:4, 0:4] = 1
    answer = inspected([found_defect("open", (0, 0, 4, 4))], found_map=found_map)
    sample = sample_with(["open"], placed_by="box")
    evaluator.add(
        sample, answer, class_map=np.zeros((12, 12), np.uint8), truth=[Instance("open", (0, 0, 4, 4))]
    )
    evaluation = evaluator.result(**ABOUT)
    assert evaluation.metrics["detection"]["ap50"] == {"open": 1.0, "short": None}
    assert evaluation.metrics["defect"]["recall_at_50"] == 1.0
    assert "pixel" not in evaluation.metrics
    assert evaluation.records[0].truth[0].contour == ()
    assert evaluation.records[0].pixels is None


def test_image_labels_have_image_metrics_only(inspected: Any, sample_with: Any) -> None:
    evaluator = Evaluator(["defective"])
    evaluator.add(sample_with(["defective"], placed_by="label"), inspected(verdict=Verdict.NG, score=0.9))
    evaluator.add(sample_with(), inspected(score=0.2))
    metrics = evaluator.result(**ABOUT).metrics
    assert metrics["image"]["accuracy"] == 1.0
    assert not {"pixel", "defect", "detection", "type", "severity", "seconds_per_image"} & set(metrics)


def test_severity_rises_with_contrast(
    found_defect: Any, inspected: Any, sample_with: Any, instance_of: Any
) -> None:
    evaluator = Evaluator(["spot"])
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:3] = True
    for contrast, severity in [(-40.0, 9.0), (25.0, 6.0), (-10.0, 2.0), (15.0, 3.0)]:
        defect = found_defect("spot", (1, 1, 3, 3), severity=severity)
        answer = inspected([defect], found_map=mask.astype(np.int32))
        truth = [instance_of("spot", mask, contrast=contrast)]
        evaluator.add(sample_with(["spot"]), answer, class_map=mask.astype(np.uint8), truth=truth)
    assert evaluator.result(**ABOUT).metrics["severity"] == {"spearman": pytest.approx(1.0), "defects": 4}


def test_metrics_json_is_strict(evaluated: Evaluator) -> None:
    evaluation = evaluated.result(**ABOUT, seconds_per_image=0.5)
    assert json.loads(metrics_json(evaluation)) == evaluation.metrics
    broken = type(evaluation)({**evaluation.metrics, "seed": float("nan")}, {}, ())
    with pytest.raises(ValueError, match="not JSON compliant"):
        metrics_json(broken)


def test_errors_say_what_to_do(truth_map: Any, inspected: Any, sample_with: Any) -> None:
    with pytest.raises(BlemishError, match="Received: none in split 'test'"):
        Evaluator(["spot"]).result(**ABOUT)
    with pytest.raises(BlemishError, match=r"a\.png: .*Received: \(12, 12\) for \(6, 6\)"):
        answer = inspected(found_map=np.zeros((6, 6), np.int32))
        Evaluator(["spot"]).add(sample_with(["spot"]), answer, class_map=truth_map)


def test_a_method_without_a_map_of_defects_has_no_pixel_metrics(
    truth_map: Any, found_defect: Any, inspected: Any, sample_with: Any, instance_of: Any
) -> None:
    evaluator = Evaluator(["scratch"])
    answer = inspected([found_defect("scratch", (1, 1, 5, 5))])
    truth = [instance_of("scratch", truth_map == 1)]
    record = evaluator.add(sample_with(["scratch"]), answer, class_map=truth_map, truth=truth)
    assert record.pixels is None
    assert record.iou.tolist() == [[1.0]]  # by boxes


def test_where_types_are_not_named_no_figure_of_types_is_given(
    found_defect: Any, inspected: Any, sample_with: Any
) -> None:
    parts = {}
    for classifies in (True, False):
        evaluator = Evaluator(("a", "b"), classifies=classifies)
        inspection = inspected([found_defect("defect", (0, 0, 4, 4))])
        truth = [Instance("a", (0, 0, 4, 4))]
        evaluator.add(sample_with(["a"], placed_by="box"), inspection, truth=truth)
        parts[classifies] = evaluator.result(method="m", split="test", seed=0).metrics
    assert "type" in parts[True]
    assert "type" not in parts[False]
    typed = {name for name in parts[True]["defect"] if name.endswith("_with_type")}
    assert typed
    assert set(parts[True]["defect"]) - set(parts[False]["defect"]) == typed
