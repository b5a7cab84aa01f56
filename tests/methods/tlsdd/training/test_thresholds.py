"""Thresholds from validation images: clean ones count, and classes with enough boxes have their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.boxes import Boxed, cleaned_boxes
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.defect import Defect
from blemish.methods.tlsdd.training.validation import (
    ValidationDetections,
    class_shifts,
    score_threshold,
    without_ignored,
)
from blemish.methods.tlsdd.training.validation_images import validation_samples, with_unlisted_ignored
from blemish.regions.filled_boxes import defect_of_box

HERE, BESIDE = (0.0, 0.0, 10.0, 10.0), (50.0, 0.0, 60.0, 10.0)


def image(score: float, *, right: bool, label: str = "dent") -> tuple[tuple[Boxed, ...], tuple[Defect, ...]]:
    """A defective image whose only candidate finds its box or not."""
    return (Boxed(label, HERE, "1"),), (defect_of_box(HERE if right else BESIDE, label, score),)


def good(score: float, label: str = "dent") -> tuple[tuple[Boxed, ...], tuple[Defect, ...]]:
    return (), (defect_of_box(HERE, label, score),)


def detections(
    *images: tuple[tuple[Boxed, ...], tuple[Defect, ...]], num_clean: int = 0
) -> ValidationDetections:
    """The last `num_clean` of the images have no defect."""
    truth, candidates = zip(*images, strict=True)
    flags = (False,) * (len(images) - num_clean) + (True,) * num_clean
    return ValidationDetections(truth, candidates, flags)


def test_good_images_raise_the_threshold_over_what_they_show() -> None:
    """By hand: F1 is 2/5 with one found, 4/7 with all three and two false ones, at which both good images
    would be rejected; weighed, one found and none rejected is better.
    """
    detected = detections(
        image(0.9, right=True), image(0.4, right=True), image(0.4, right=False), image(0.3, right=False),
        good(0.7), good(0.6), num_clean=2,
    )  # fmt: skip
    assert score_threshold(detected, clean_weight=0) == pytest.approx((0.4 + 0.4) / 2)
    assert score_threshold(detected, clean_weight=1) == pytest.approx((0.9 + 0.7) / 2)


def test_the_objective_is_that_of_brute_force() -> None:
    generator = np.random.default_rng(3)
    for _ in range(20):
        defective = [image(s, right=bool(generator.random() < 0.6)) for s in generator.random(8)]
        clean = [good(float(s)) for s in generator.random(6)]
        detected = detections(*defective, *clean, num_clean=6)
        if not any(truth and truth[0].box_xyxy == found[0].box_xyxy for truth, found in defective):
            continue

        def value(threshold: float, detected: ValidationDetections = detected) -> float:
            found = detected.above(threshold)
            pairs = list(zip(detected.truth, found, strict=True))
            hits = sum(bool(t and f and t[0].box_xyxy == f[0].box_xyxy) for t, f in pairs)
            f1 = 2 * hits / (sum(map(len, found)) + sum(map(len, detected.truth)))
            return f1 - sum(bool(f) for f in found[8:]) / 6

        every = [defect.confidence for found in detected.candidates for defect in found]
        chosen = value(score_threshold(detected, clean_weight=1))
        assert chosen == pytest.approx(max(value(score) for score in every))


def test_a_class_with_enough_boxes_has_its_own_threshold() -> None:
    """Dents lie above 0.8, pits above 0.2: after the shift one threshold finds both."""
    dents = [image(s, right=True) for s in (0.95, 0.9, 0.85)] + [good(0.7), good(0.6)]
    pits = [image(s, right=True, label="pit") for s in (0.5, 0.4, 0.3)] + [good(0.1, "pit")]
    detected = detections(*dents[:3], *pits[:3], *dents[3:], *pits[3:], num_clean=3)
    shifts = class_shifts(detected, ("dent", "pit", "none"), clean_weight=1, min_boxes=3)
    shifted = detected.with_shifts(shifts)
    threshold = score_threshold(shifted, clean_weight=1)
    assert [len(found) for found in shifted.above(threshold)] == [1] * 6 + [0] * 3
    plain = detected.above(score_threshold(detected, clean_weight=1))
    assert [len(found) for found in plain] != [1] * 6 + [0] * 3
    for min_boxes in (4, None):
        assert class_shifts(detected, ("dent", "pit"), clean_weight=1, min_boxes=min_boxes) == {}


# Images that show other classes, too


def marked(id: str, *labels: str, split: str = "val") -> Sample:
    marks = tuple(Annotation(label, (20.0 * n, 0.0, 20.0 * n + 10, 10.0)) for n, label in enumerate(labels))
    return Sample(Path(id), id, marks, split=split)


def dataset_of(*samples: Sample) -> Dataset:
    return Dataset(Path("root"), samples, ("dent", "pit", "burr"))


def test_images_that_show_other_classes_are_left_alone_where_others_tell_enough() -> None:
    enough = dataset_of(marked("a", "dent"), marked("b", "pit"), marked("c", "dent", "burr"))
    assert with_unlisted_ignored(enough, ("dent", "pit")) is enough
    assert [sample.id for sample in validation_samples(enough, ("dent", "pit"))] == ["a", "b"]


def test_boxes_of_other_classes_count_neither_as_found_nor_as_missed() -> None:
    both = dataset_of(marked("a", "dent", "burr"), marked("b", "burr"), marked("t", "burr", split="train"))
    changed = with_unlisted_ignored(both, ("dent", "pit"))
    (sample,) = validation_samples(changed, ("dent", "pit"))
    boxes = cleaned_boxes(sample, (40, 40))
    assert [box.label for box in boxes.boxes] == ["dent"]
    assert {(box.label, box.box_xyxy) for box in boxes.ignored} == {
        (name, (20.0, 0.0, 30.0, 10.0)) for name in ("dent", "pit")
    }
    on_burr, right = defect_of_box((20, 0, 30, 10), "pit", 0.9), defect_of_box(HERE, "dent", 0.6)
    assert without_ignored([on_burr, right], boxes) == (right,)
    assert changed.samples[1:] == both.samples[1:]
    vague = replace(both.samples[0], annotations=(*both.samples[0].annotations, Annotation("burr")))
    assert validation_samples(with_unlisted_ignored(dataset_of(vague), ("dent",)), ("dent",)) == []
