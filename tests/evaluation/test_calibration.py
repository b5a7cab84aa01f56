"""Thresholds chosen on calibration images, counted under the whole decision."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from blemish.dataset.samples import Annotation
from blemish.decision.decision import Decision
from blemish.decision.rules import Ignored
from blemish.decision.sentences import rules_digest
from blemish.defect import Defect, Rectangle
from blemish.errors import BlemishError
from blemish.evaluation.calibration import CLASS_IMAGES, Calibration, calibrated, hidden_by, hidden_defects
from blemish.evaluation.decided import ABOVE_ALL, operating_point_of, with_decision
from blemish.evaluation.operating_point import BY_HAND, choose, measured
from blemish.evaluation.records import Evaluation, ImageRecord, TruthDefect
from blemish.inspection import Verdict

BOX = (0.0, 0.0, 4.0, 4.0)


def found(label: str = "crack", *, length: float = 4.0, confidence: float = 0.5) -> Defect:
    return Defect(label, confidence, BOX, (), Rectangle((2.0, 2.0), length, 1.0, 0.0), 4.0)


@pytest.fixture
def image(record_of: Any) -> Any:
    """A record: its score, the class it is marked with (None: clean), what was found."""

    def make(score: float, marked: str | None = None, *defects: Defect) -> ImageRecord:
        record = record_of([(marked, BOX)] if marked else [], score=score)
        return replace(record, inspection=replace(record.inspection, defects=defects))

    return make


def draft(**rules: Any) -> Decision:
    return Decision.model_validate({"revision": 1, "bundle": "b", "score": {}, **rules})


def how(rule: str = "escape<=0", review: str = "escape<=0", **more: Any) -> Calibration:
    return Calibration(rule, review, **more)


def test_thresholds_and_counts_are_those_of_choose_where_nothing_else_decides(image: Any) -> None:
    random = np.random.default_rng(0)
    truth = random.random(60) < 0.4
    scores = np.clip(random.normal(0.35 + 0.3 * truth, 0.15), 0, 1)
    records = [image(score, "crack" if bad else None) for score, bad in zip(scores, truth, strict=True)]
    decision, point = calibrated(records, draft(), how("overkill<=0.05", "escape<=0.05"))
    expected = choose(scores, truth, "overkill<=0.05", review_rule="escape<=0.05")
    assert (decision.score.ng, decision.score.review) == (expected.threshold, expected.review_threshold)
    assert point.escapes == expected.escapes and point.overkill == expected.overkill
    assert any("To prove 5 % takes at least 59" in note for note in point.notes), "of the rejected"
    assert sum("To prove 5 %" in note for note in point.notes) == 2, "and of the passed"


def test_what_limits_catch_is_counted(image: Any) -> None:
    records = [image(0.1, "crack", found(length=9)), image(0.9, "crack"), image(0.2), image(0.3)]
    alone, point = calibrated(records, draft(), how("overkill<=0", "overkill<=0"))
    assert alone.score.ng == pytest.approx(0.6) and (point.escapes.n, point.overkill.n) == (1, 0)
    limited = draft(limits=[{"measure": "length", "unit": "px", "ng": 9}])
    _, point = calibrated(records, limited, how("overkill<=0", "overkill<=0"))
    assert (point.escapes.n, point.escapes.of, point.overkill.n) == (0, 2, 0)


def test_scores_of_ignored_defects_count_as_those_without_defects(image: Any) -> None:
    """A clean image with a speck that is ignored neither moves the threshold nor is rejected."""
    records = [image(0.8, "crack", found(length=9)), image(0.9, None, found(length=1)), image(0.1)]
    ignoring = draft(ignore=[{"measure": "length", "unit": "px", "below": 2}])
    decision, point = calibrated(records, ignoring, how(without_defects=0.4))
    assert decision.score.ng == pytest.approx((0.4 + 0.8) / 2) and point.overkill.n == 0
    _, point = calibrated(records, draft(), how(without_defects=0.4))
    assert point.overkill.n == 1
    low, point = calibrated([image(0.3, "crack"), *records[1:]], ignoring, how(without_defects=0.4))
    assert low.score.ng is not None and low.score.ng < 0.4
    assert any(note.startswith("The threshold 0.2 is below 0.4") for note in point.notes)


def test_a_threshold_that_no_score_reaches_is_left_out(image: Any) -> None:
    records = [image(1.0), image(0.5)]
    decision, point = calibrated(records, draft(), how("overkill<=0"))
    assert decision.score.ng is None and decision.score.review is None
    assert (point.overkill.n, point.overkill.of) == (0, 2)
    assert "No defective image: nothing is known about escapes." in point.notes


@pytest.mark.parametrize("rule", ["escape<=0.01", "f1", "cost:escape=100,overkill=1"])
def test_without_defective_images_only_overkill_can_be_followed(image: Any, rule: str) -> None:
    with pytest.raises(
        BlemishError, match=r"needs defective images to calibrate on\. Received: 0 of 2"
    ) as raised:
        calibrated([image(0.2), image(0.3)], draft(), how(rule))
    assert "--overkill" in str(raised.value)
    assert ("299 prove" in str(raised.value)) == (rule == "escape<=0.01")


def test_images_that_could_not_be_judged_are_in_no_count(image: Any) -> None:
    broken = replace(image(0.0, "crack").inspection, verdict=Verdict.ERROR, score=None)
    records = [image(0.8, "crack"), image(0.1), replace(image(0.0, "crack"), inspection=broken)]
    _, point = calibrated(records, draft(), how())
    assert (point.escapes.of, point.overkill.of) == (1, 1)


# Thresholds of a class


def of_classes(image: Any, *, cracks: int = CLASS_IMAGES, clean: int = CLASS_IMAGES) -> list[ImageRecord]:
    """Cracks whose scores no clean image's lie under, but whose confidences are telling."""
    surely = [image(0.2, "crack", found(confidence=0.6 + 0.01 * index)) for index in range(cracks)]
    good = [image(0.3, None, found(confidence=0.01 * index)) for index in range(clean)]
    return [*surely, *good, image(0.9, "pit", found("pit"))]


def test_a_class_gets_the_lowest_confidence_that_rejects_no_clean_image(image: Any) -> None:
    records = of_classes(image)
    names = ("crack", "pit")
    without, before = calibrated(records, draft(), how("overkill<=0", "overkill<=0"))
    decision, after = calibrated(records, draft(), how("overkill<=0", "overkill<=0", class_names=names))
    assert without.classes == {} and before.escapes.n == CLASS_IMAGES
    assert set(decision.classes) == {"crack"}, "pits are too few, and rejected anyway"
    assert decision.classes["crack"].ng == pytest.approx((0.19 + 0.6) / 2)
    assert (after.escapes.n, after.overkill.n) == (0, 0)


@pytest.mark.parametrize("few", [{"cracks": CLASS_IMAGES - 1}, {"clean": CLASS_IMAGES - 1}])
def test_a_class_with_too_few_images_gets_none(image: Any, few: dict[str, int]) -> None:
    records = of_classes(image, **few)
    decision, _ = calibrated(records, draft(), how("overkill<=0", "overkill<=0", class_names=("crack",)))
    assert decision.classes == {}


def test_a_class_that_the_score_already_catches_gets_none(image: Any) -> None:
    records = [
        replace(each, inspection=replace(each.inspection, score=0.95)) if each.truth else each
        for each in of_classes(image)
    ]
    decision, _ = calibrated(records, draft(), how(class_names=("crack", "pit")))
    assert decision.classes == {}


# Minimum sizes


def test_hidden_labelled_defects_are_counted_and_the_smallest_named(image: Any) -> None:
    outline = (((0.0, 0.0), (10.0, 0.0), (10.0, 2.0), (0.0, 2.0)),)
    truths = {
        "a.png": TruthDefect("crack", (0, 0, 10, 2), outline, 20.0),
        "b.png": TruthDefect("crack", (0, 0, 3, 4), (), 12.0),
        "c.png": TruthDefect("pit", (0, 0, 1, 1), (), 1.0),
    }
    records = [
        replace(
            image(0.5, truth.label),
            truth=(truth,),
            sample=replace(image(0.5).sample, id=name, annotations=(Annotation(truth.label),)),
        )
        for name, truth in truths.items()
    ]
    cracks = Ignored(measure="length", unit="mm", of="crack", below=0.5)
    hidden = hidden_by(cracks, records, mm_per_px=0.1)
    assert hidden is not None
    assert (hidden.count, hidden.of, hidden.image, hidden.size) == (1, 2, "b.png", "0.4 mm")
    assert hidden_by(cracks, records, mm_per_px=0.125) is None, "0.5 mm is not below 0.5 mm"
    wide = hidden_by(Ignored(measure="width", unit="px", below=2.5), records, mm_per_px=None)
    assert wide is not None and (wide.count, wide.of, wide.size) == (2, 3, "1 px")
    only = draft(ignore=[{"measure": "width", "unit": "px", "of": "defect", "below": 2.5}])
    assert hidden_defects(only, records, mm_per_px=None, classifies=True) == ()
    (text,) = hidden_defects(only, records, mm_per_px=None, classifies=False)
    assert "would hide 2 of 3 labelled defects; the smallest, 1 px" in text


@pytest.mark.parametrize("rule", ["f1", "cost:escape=5,overkill=1"])
def test_a_rule_that_searches_the_counts_says_that_their_bounds_are_too_good(image: Any, rule: str) -> None:
    """400 draws of scores whose true escape rate is known, against the bound that is reported for it."""
    from math import erf, sqrt

    records = [image(0.8, "crack"), image(0.1)]
    _, searched = calibrated(records, draft(), how(rule, "escape<=0"))
    assert "about 90 % confidence" in searched.notes[-1]
    _, shared = calibrated(records, draft(), how("overkill<=0.1", "escape<=0.05"))
    assert not any("about 90 %" in note for note in shared.notes)
    generator = np.random.default_rng(0)
    held = {"share": 0, "searched": 0}
    for _ in range(400):
        scores = np.clip(np.r_[generator.normal(0.6, 0.1, 60), generator.normal(0.4, 0.1, 60)], 0, 1)
        truth = np.r_[np.ones(60, bool), np.zeros(60, bool)]
        for name, chosen in (("share", "escape<=0.05"), ("searched", rule)):
            point = choose(scores, truth, chosen, review_rule=chosen)
            escape = 0.5 * (1 + erf((point.review_threshold - 0.6) / 0.1 / sqrt(2)))
            held[name] += escape <= point.escapes.upper95
    assert held["share"] >= 0.93 * 400 > held["searched"] >= 0.85 * 400


# What an evaluation takes from a decision


def test_the_operating_point_of_a_decision(image: Any) -> None:
    from blemish.bundle.manifest import Manifest, Preprocessing, StoredOperatingPoint

    manifest = Manifest(method="any", class_names=("crack",), preprocessing=Preprocessing(channels=1))
    assert operating_point_of(manifest, None) is None
    decision, point = calibrated([image(0.8, "crack"), image(0.1)], draft(), how())
    chosen = {
        "data": "d", "split": "val", "data_fingerprint": "f", "images": 2, "created": "now",
        "review_rule": "escape<=0", "point": StoredOperatingPoint.model_validate(point.to_json()),
        "rules": rules_digest(decision),
    }  # fmt: skip
    whole = Decision.model_validate({**decision.model_dump(), "chosen": chosen})
    assert operating_point_of(manifest, whole) == point
    by_hand = whole.model_copy(update={"score": whole.score.model_copy(update={"ng": 0.9})})
    changed = operating_point_of(manifest, by_hand)
    assert changed is not None and (changed.rule, changed.threshold, changed.escapes.of) == (BY_HAND, 0.9, 0)
    for part, rule in (("limits", {"ng": 9}), ("ignore", {"below": 9}), ("grades", {"scrap": 9})):
        rules = {**whole.model_dump(), part: [{"measure": "length", "unit": "px", **rule}]}
        changed = operating_point_of(manifest, Decision.model_validate(rules))
        assert changed is not None and changed.rule == BY_HAND, "the counts were of another decision"
        assert (changed.threshold, changed.escapes.of) == (whole.score.ng, 0)
    never = operating_point_of(manifest, draft())
    assert never is not None and never.threshold == ABOVE_ALL == np.nextafter(1.0, 2.0)
    counted = measured(never, [Verdict.OK, Verdict.NG], [True, False])
    assert (counted.escapes.n, counted.overkill.n) == (1, 1), "limits may reject without any score"


def test_an_evaluation_tells_grades_cost_and_looks(image: Any) -> None:
    priced = draft(costs={"escape": 100, "overkill": 2})
    graded = [
        replace(each, inspection=replace(each.inspection, grade=grade))
        for each, grade in zip(
            [image(0.1, "crack"), image(0.2), image(0.3)], ("scrap", "accept", "accept"), strict=True
        )
    ]
    point = {"escapes": {"n": 1, "of": 1}, "overkill": {"n": 2, "of": 2}}
    evaluation = Evaluation({"operating_point": point}, {}, tuple(graded))
    answer = with_decision(evaluation, priced, num_accesses=3).metrics["decision"]
    assert answer == {
        "test_looks": 3,
        "revision": 1,
        "grades": {"accept": 2, "rework": 0, "scrap": 1, "none": 0},
        "cost": 104.0,
    }
    assert with_decision(evaluation, None, num_accesses=1).metrics["decision"] == {"test_looks": 1}
    assert with_decision(evaluation, None, num_accesses=None) is evaluation


def test_images_of_difficult_defects_alone_choose_nothing(image: Any) -> None:
    certain = [image(0.9, "crack"), image(0.8, "crack"), image(0.2), image(0.1)]
    doubtful = image(0.3, "crack")
    mark = Annotation("crack", BOX, difficult=True)
    doubtful = replace(doubtful, truth=(), sample=replace(doubtful.sample, annotations=(mark,)))
    alone, point = calibrated(certain, draft(), how())
    with_it, same = calibrated([*certain, doubtful], draft(), how())
    assert with_it == alone and same == point
    assert (point.escapes.of, point.overkill.of) == (2, 2)
