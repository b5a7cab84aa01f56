"""Inspections made by hand: what each measure is, and where the edge is between right and wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from blemish.bundle.manifest import StoredRuntime
from blemish.defect import Defect
from blemish.exporting.certificate import TOLERANCES, Certificate, CertificateRow
from blemish.exporting.compare import compare
from blemish.exporting.comparison_images import ComparisonImage
from blemish.exporting.metric import MetricDrop
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.inspector import BundleInspector
from blemish.regions.filled_boxes import defect_of_box

FP32 = TOLERANCES["fp32"]
SIZE = (100, 200)


def inspector(threshold: float | None = 0.5, start: float | None = None) -> BundleInspector:
    top = None if threshold is None else 1.0
    inference: Any = SimpleNamespace(
        pixel_threshold=threshold, region_threshold=start or threshold, score_map_max=top, mm_per_px=None
    )
    return BundleInspector(inference, {}, review=0.4, ng=0.6, bundle="test")


def box(
    left: float, top: float, right: float, bottom: float, confidence: float = 0.9, label: str = "spot"
) -> Defect:
    return defect_of_box((left, top, right, bottom), label, confidence)


def inspection(
    score: float = 0.8,
    verdict: Verdict = Verdict.NG,
    defects: tuple[Defect, ...] = (),
    severity: np.ndarray | None = None,
) -> Inspection:
    maps = {"score_map": np.zeros(SIZE, np.float32) if severity is None else severity}
    return Inspection("image", SIZE, verdict, score, defects, "test", maps=maps)


def out_of_tolerance(first: Inspection, second: Inspection, judge: BundleInspector | None = None) -> set[str]:
    found = compare(first, second, judge or inspector(), FP32).measures
    return {name for name, value in found.items() if value > FP32.limits[name]}


def test_the_limits_are_those_of_the_promise() -> None:
    limits = FP32.limits
    assert (limits["score"], limits["box"], limits["area"]) == (1e-3, 0.01, 0.01)
    assert limits["verdict"] == limits["defects"] == limits["label"] == limits["errors"] == 0


def test_equal_answers_are_nothing_apart() -> None:
    answer = inspection(defects=(box(10, 10, 60, 40), box(100, 10, 140, 40)))
    found = compare(answer, answer, inspector(), FP32)
    assert set(found.measures) == set(FP32.limits)
    assert not any(found.measures.values())
    assert (found.defects, found.on_threshold, found.in_band) == (2, 0, False)


@pytest.mark.parametrize(("shift", "wrong"), [(0.0009, set()), (0.0011, {"score"})])
def test_scores_may_differ_by_a_thousandth(shift: float, wrong: set[str]) -> None:
    assert out_of_tolerance(inspection(0.8), inspection(0.8 + shift)) == wrong


@pytest.mark.parametrize(
    ("score", "wrong", "in_band"), [(0.6004, set(), True), (0.5995, set(), True), (0.62, {"verdict"}, False)]
)
def test_verdicts_may_differ_where_the_score_is_on_a_threshold(
    score: float, wrong: set[str], in_band: bool
) -> None:
    first, second = inspection(score, Verdict.NG), inspection(score, Verdict.REVIEW)
    assert out_of_tolerance(first, second) == wrong
    assert compare(first, second, inspector(), FP32).in_band is in_band


@pytest.mark.parametrize(("right", "wrong"), [(200.0, set()), (199.5, set()), (195.0, {"box", "area"})])
def test_boxes_overlap_by_99_in_100_and_areas_differ_by_1(right: float, wrong: set[str]) -> None:
    first, second = inspection(defects=(box(100, 0, 200, 50),)), inspection(defects=(box(100, 0, right, 50),))
    assert out_of_tolerance(first, second) == wrong


def test_areas_are_compared_apart_from_boxes() -> None:
    each = box(100, 0, 200, 50)
    assert out_of_tolerance(
        inspection(defects=(each,)), inspection(defects=(replace(each, area=each.area * 0.98),))
    ) == {"area"}


def test_each_defect_meets_the_one_that_it_is_whatever_the_order() -> None:
    defects = (box(0, 0, 50, 50), box(10, 0, 60, 50), box(100, 0, 150, 50))
    found = compare(inspection(defects=defects), inspection(defects=defects[::-1]), inspector(), FP32)
    assert found.measures["box"] == 0
    assert found.defects == 3


def test_a_defect_of_one_side_alone_counts() -> None:
    both, each = (box(0, 0, 50, 50), box(100, 0, 150, 50)), (box(0, 0, 50, 50),)
    assert (
        compare(inspection(defects=both), inspection(defects=each), inspector(), FP32).measures["defects"]
        == 1
    )
    assert out_of_tolerance(inspection(defects=()), inspection(defects=each)) == {"defects"}


def test_another_name_counts_unless_both_are_as_sure() -> None:
    first = inspection(defects=(box(0, 0, 50, 50, 0.9),))
    surer = inspection(defects=(box(0, 0, 50, 50, 0.8, "scratch"),))
    tied = inspection(defects=(box(0, 0, 50, 50, 0.9001, "scratch"),))
    assert out_of_tolerance(first, surer) == {"label", "confidence"}
    assert out_of_tolerance(first, tied) == set()


def test_a_defect_whose_strongest_pixel_lies_on_the_threshold_of_regions_is_counted_apart() -> None:
    below, above = (np.full(SIZE, 0.2, np.float32) for _ in range(2))
    below[18:22, 45:48] = above[18:22, 45:48] = 0.6
    below[20, 46], above[20, 46] = 0.89999, 0.90001
    first, second = inspection(severity=below), inspection(defects=(box(45, 18, 48, 22),), severity=above)
    assert compare(first, second, inspector(start=0.9), FP32).on_threshold == 1
    assert compare(first, second, inspector(), FP32).measures["defects"] == 1


def test_a_defect_that_gains_a_pixel_on_the_threshold_is_counted_apart() -> None:
    below, above = (np.full(SIZE, 0.2, np.float32) for _ in range(2))
    below[20, 50], above[20, 50] = 0.49999, 0.50001
    first = inspection(defects=(box(40, 15, 50, 25),), severity=below)
    second = inspection(defects=(box(40, 15, 51, 25),), severity=above)
    found = compare(first, second, inspector(), FP32)
    assert (found.on_threshold, found.defects) == (1, 0)
    assert out_of_tolerance(first, second) == set()
    far = inspection(defects=(box(140, 15, 151, 25),), severity=above)
    assert "defects" in out_of_tolerance(first, far), "elsewhere it excuses nothing"
    above[20, 50] = 0.502
    assert "box" in out_of_tolerance(first, second), "nor where the severity itself is off"


def test_a_severity_that_is_off_counts_though_nothing_is_found() -> None:
    off = np.zeros(SIZE, np.float32)
    off[3, 4] = 0.01
    assert out_of_tolerance(inspection(0.1, Verdict.OK), inspection(0.1, Verdict.OK, severity=off)) == {
        "severity"
    }


def test_an_error_on_either_side_counts() -> None:
    error = failed("image", "broken", bundle="test")
    for pair in [(error, inspection()), (inspection(), error), (error, error)]:
        assert out_of_tolerance(*pair) == {"errors"}


def test_a_score_that_is_no_number_is_out_of_tolerance() -> None:
    assert certificate([row(inspection(0.8), inspection(float("nan")))]).failures


# The certificate


def row(first: Inspection, second: Inspection, name: str = "one.png") -> CertificateRow:
    image = ComparisonImage(name, Path(name), "synthetic", "0" * 64, SIZE)
    return CertificateRow(image, first, second, compare(first, second, inspector(), FP32))


def certificate(
    rows: list[CertificateRow], precision: str = "fp32", metric: MetricDrop | None = None
) -> Certificate:
    runtime = StoredRuntime(kind="onnx", precision=precision, opset=18, source="test-1", graphs={})
    return Certificate("severity", runtime, rows, TOLERANCES[precision], metric)


def test_what_fails_is_named_with_its_image_and_by_how_much() -> None:
    rows = [row(inspection(0.8), inspection(0.81), "a.png"), row(inspection(0.8), inspection(0.7), "b.png")]
    (failure,) = certificate(rows).failures
    assert failure.startswith("'score' is off by 0.1 on b.png; at most 0.001 ") and "\n" not in failure


def test_a_certificate_says_when_it_says_little() -> None:
    text = " ".join(certificate([row(inspection(0.8), inspection(0.8))] * 3).warnings)
    assert "No defect was compared" in text
    assert "All scores are equal" in text
    defects = (box(0, 0, 50, 50),)
    rows = [
        row(inspection(score, defects=defects), inspection(score, defects=defects)) for score in (0.7, 0.8)
    ]
    assert certificate(rows).warnings == ()
    assert certificate(rows).summary == "2 images and 2 defects compared, scores at most 0 apart"


def test_int8_is_judged_by_its_metric_alone() -> None:
    apart = [row(inspection(0.8), inspection(0.3))]
    good, bad = MetricDrop("pixel.f1", 0.8, 0.795, 0.01, 9), MetricDrop("pixel.f1", 0.8, 0.78, 0.01, 9)
    assert certificate(apart, "int8", good).failures == []
    (failure,) = certificate(apart, "int8", bad).failures
    assert failure.startswith("pixel.f1 on the 9 validation images drops from 0.8000 to 0.7800")
    error = [row(inspection(), failed("image", "broken", bundle="test"))]
    assert certificate(error, "int8", good).failures
