"""Warnings where answers are no better than chance or a baseline, and causes that are read from evidence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle.curves import StoredLosses
from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.dataset.samples import Dataset
from blemish.evaluation.causes import Trained, likely_causes
from blemish.evaluation.evidence import summary_lines, warnings, with_evidence
from blemish.evaluation.records import Evaluation
from blemish.methods import find_method

FAR = {"brightness": {"auroc": 0.6, "worse": "dark"}, "answers": {"auroc": 0.9}}
SURE = {"auroc": 0.9, "auroc_interval95": [0.8, 0.95]}


def trained(losses: dict[str, list[float]] | None = None, *, defective: int = 90, **settings: Any) -> Trained:
    method = find_method("casae")
    chosen = method.settings_type.model_validate({"preset": "tiny", **settings}).model_dump(mode="json")
    manifest = Manifest(
        method="casae",
        class_names=("dent",),
        preprocessing=Preprocessing(channels=1),
        settings=chosen,
        data={"learned_from": {"good": 40, "defective": defective}},
        thresholds={"map": 0.5},
    )
    stored = {
        name: StoredLosses(step=tuple(range(10, 10 * len(values) + 1, 10)), loss=tuple(values))
        for name, values in (losses or {}).items()
    }
    return Trained(manifest, Boxless(), stored)  # type: ignore[arg-type]


class Boxless:
    streams = None


def told(
    image: dict[str, Any], baselines: dict[str, Any], records: Any = (), of: Trained | None = None
) -> list[str]:
    return [*warnings({"image": image, "baselines": baselines}, records, of)]


def test_good_answers_are_not_warned_of() -> None:
    assert told(SURE, FAR) == []
    assert told({}, {}) == []


def test_an_interval_with_a_half_in_it_is_chance() -> None:
    first, second = told({"auroc": 0.47, "auroc_interval95": [0.38, 0.56]}, FAR)
    assert first == (
        "No better than chance at telling defective from good images (AUROC 0.47, 95 % interval 0.38 to "
        "0.56; 0.5 is chance)."
    )
    assert second.startswith("Nothing that was measured explains it: check the labels")
    (inverted,) = told({"auroc": 0.2, "auroc_interval95": [0.1, 0.4]}, FAR)
    assert inverted.startswith("Worse than chance: good images score higher") and "`clean`" in inverted


def test_a_baseline_that_is_as_good_is_named_and_a_telling_light_is_asked_about() -> None:
    first, *_, last = told(SURE, {**FAR, "brightness": {"auroc": 0.93, "worse": "bright"}})
    assert "mean brightness alone tells defective from good images with an AUROC of 0.93, these" in first
    assert last.startswith("Bright images are the defective ones: check that good and defective images were")
    nearest = told(SURE, {**FAR, "nearest": {"auroc": 0.9, "features": "f"}})
    assert "the nearest training image alone" in nearest[0] and "light" not in nearest[-1]
    assert told(SURE, {**FAR, "nearest": {"auroc": 0.89, "features": "f"}}) == []


@pytest.mark.parametrize(
    ("found", "by_chance", "warned"), [(0, 0.0, True), (12, 12.1, True), (40, 12.0, False)]
)
def test_findings_that_meet_as_many_defects_as_elsewhere_are_chance(
    found: int, by_chance: float, warned: bool
) -> None:
    places = {"of": 96, "found": found, "by_chance": by_chance}
    sentences = told(SURE, {**FAR, "places": places})
    assert bool(sentences) is warned
    assert not warned or f"{found} of 96 are met" in sentences[0]


FALLING, FLAT = [9.0, 8, 7, 6, 5, 4, 3, 2, 1], [2.0, 2.1, 1.9] * 3
SETTLED = [9.0, 5, 2, 1.02, 1.0, 1.01, 1.0, 0.99, 1.0]


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (
            FALLING,
            "too few steps (the loss of stage 'first' still fell by 60 % from the second to the last third",
        ),
        (
            FLAT,
            "nothing learned (the loss of stage 'first' hardly fell in 90 steps: 2 in the first third, 2 in",
        ),
        (SETTLED, None),
        ([3.0, 2.0], None),
    ],
)
def test_losses_tell_a_training_that_was_too_short_or_learned_nothing(
    losses: list[float], words: str | None
) -> None:
    causes = likely_causes([], trained({"first": losses}, steps=90))
    assert [cause.startswith(words or "-") for cause in causes] == ([True] if words else [])
    assert not words or "--set steps=270" in causes[0]


def test_few_defects_are_a_cause() -> None:
    assert likely_causes([], trained(defective=9)) == [
        "few defects (9 defective images were learned from). Label more, 20 at least."
    ]
    assert likely_causes([], trained(defective=20)) == []


def test_sizes_are_taken_at_the_network_s_input(record_of: Any) -> None:
    """A defect of 40 × 40 px in 640 × 640 is 4 px wide in 64 × 64."""
    record = record_of([("dent", (0, 0, 40, 40))])
    truth = (replace(record.truth[0], area=1600.0),)
    record = replace(record, truth=truth, inspection=replace(record.inspection, size=(640, 640)))
    (cause,) = likely_causes([record], trained(size=64))
    assert cause == (
        "wrong scale (half of the defects are smaller than 4.0 px at the network's input, in images reduced "
        "to 10 %). Train with a larger size."
    )
    assert likely_causes([record], trained(size=256)) == likely_causes([record], trained(tiled=True)) == []


def test_the_same_answer_for_every_image_and_few_images_are_causes(record_of: Any) -> None:
    records = [record_of([("dent", (0, 0, 4, 4))], score=0.5 + place / 1000) for place in range(4)]
    records += [record_of(score=0.503)]
    few, flat = likely_causes(records, None)
    assert few.startswith("too few images to tell (1 good and 4 defective ones)")
    assert flat.startswith("the same answer for every image (all scores lie between 0.500 and 0.503)")
    several = [record_of([("dent", (0, 0, 4, 4))], score=s / 20) for s in range(10)]
    assert likely_causes([*several, *(record_of(score=s / 20) for s in range(10))], None) == []


def test_measured_images_are_not_compared_with_themselves(record_of: Any, tmp_path: Path) -> None:
    records = [record_of([("dent", (0, 0, 4, 4))]), record_of()]
    read: list[str] = []

    class Watched(Dataset):
        def __iter__(self) -> Any:
            read.extend(sample.id for sample in self.samples)
            return super().__iter__()

    training = Watched(tmp_path, tuple(record.sample for record in records), ("dent",))
    metrics = {"image": {"auroc": 0.5, "auroc_interval95": [0.1, 0.9]}, "images": 2}
    evaluation = with_evidence(Evaluation(metrics, {}, tuple(records)), training)
    assert read and "nearest" not in evaluation.metrics.get("baselines", {})
    first, *rest = summary_lines(evaluation.metrics, "2 images")
    assert first.startswith("2 images: No operating point was chosen")
    assert [line.startswith("warning: ") for line in rest] == [False, True, True, True]
    assert evaluation.metrics["summary"]["by_chance"] == ["images"]
