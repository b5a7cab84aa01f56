"""The image's shift: fitted where the head tells more than the boxes, and of the weight that is best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from blemish.methods.common.logistic import SHRINKAGE
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.training import image_score
from blemish.methods.tlsdd.training.image_score import PRIOR, fit_image_shift
from blemish.methods.tlsdd.training.validation import ValidationDetections
from blemish.regions.filled_boxes import defect_of_box

Values = NDArray[np.float64]


def detections(
    confidences: Values,
    heads: Values,
    defective: NDArray[np.bool_],
    groups: tuple[int, ...] | None = None,
) -> ValidationDetections:
    """Images with two boxes each, the second of half the confidence. groups: None where all are unlike"""
    boxes = ((0.0, 0.0, 9.0, 9.0), (20.0, 0.0, 29.0, 9.0))
    return ValidationDetections(
        truth=((),) * len(heads),
        candidates=tuple(
            tuple(
                defect_of_box(box, "dent", float(c) / part) for box, part in zip(boxes, (1, 2), strict=True)
            )
            for c in confidences
        ),
        clean=tuple(map(bool, ~defective)),
        log_odds=tuple(map(float, heads)),
        groups=tuple(range(len(heads))) if groups is None else groups,
    )


def drawn(seed: int, *, head_tells: float, boxes_tell: float) -> tuple[Values, Values, NDArray[np.bool_]]:
    generator = np.random.default_rng(seed)
    defective = np.arange(80) % 3 == 0
    logits = generator.normal(size=80) + boxes_tell * defective - 1
    heads = 2 * (generator.normal(size=80) + head_tells * defective) + 1
    return 1 / (1 + np.exp(-logits)), heads, defective


@pytest.mark.parametrize("seed", range(4))
def test_the_weight_is_the_ratio_of_the_regression_that_scipy_finds(seed: int) -> None:
    confidences, heads, defective = drawn(seed, head_tells=2.0, boxes_tell=1.0)
    confidences = confidences.astype(np.float32).astype(np.float64)
    statistics = np.column_stack([np.log(confidences / (1 - confidences)), heads])
    inputs = (statistics - statistics.mean(axis=0)) / statistics.std(axis=0)
    share = defective.mean()
    counts = np.where(defective, 0.5 / share, 0.5 / (1 - share)) / len(defective)

    def loss(values: Values) -> float:
        signed = np.where(defective, -1, 1) * (inputs @ values[:2] + values[2])
        return float(
            (counts * np.logaddexp(0, signed)).sum() + SHRINKAGE / 2 * np.square(values[:2] - PRIOR).sum()
        )

    best = minimize(loss, np.array([*PRIOR, 1.0]), options={"gtol": 1e-10}).x[:2] / statistics.std(axis=0)
    shift = fit_image_shift(detections(confidences, heads, defective))
    assert shift is not None
    assert shift.weight == pytest.approx(best[1] / best[0], rel=1e-2)
    assert shift.mean == pytest.approx(heads.mean())
    assert shift.limit == pytest.approx(np.abs(heads - heads.mean()).max())


def auroc(scores: Values, defective: NDArray[np.bool_]) -> float:
    differences = scores[defective][:, None] - scores[~defective][None]
    return float((differences > 0).mean() + (differences == 0).mean() / 2)


def test_the_shift_ranks_images_better_and_keeps_the_order_of_boxes() -> None:
    confidences, heads, defective = drawn(9, head_tells=1.5, boxes_tell=1.0)
    before = detections(confidences, heads, defective)
    shift = fit_image_shift(before)
    assert shift is not None
    after = before.with_image_shift(shift)
    highest = [np.array([image[0].confidence for image in each.candidates]) for each in (before, after)]
    assert auroc(highest[1], defective) > auroc(highest[0], defective) + 0.05
    assert all(first.confidence > second.confidence for first, second in after.candidates)


def test_a_head_that_tells_nothing_is_left_out() -> None:
    assert fit_image_shift(detections(*drawn(1, head_tells=0.0, boxes_tell=3.0))) is None


def test_near_copies_do_not_make_a_head_of_chance_look_better(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twelve images ten times each, with log odds of chance: taken singly, they are learned by heart."""
    monkeypatch.setattr(image_score, "PRIOR", (1.0, 0.3))
    kept = {"single": 0, "whole": 0}
    for seed in range(12):
        generator = np.random.default_rng(seed)
        groups = np.repeat(np.arange(12), 10)
        confidences = generator.uniform(0.1, 0.9, 12)[groups]
        found = confidences, generator.normal(size=12)[groups], groups % 2 == 0
        kept["single"] += fit_image_shift(detections(*found)) is not None
        kept["whole"] += fit_image_shift(detections(*found, groups=tuple(groups.tolist()))) is not None
    assert kept["whole"] == 0 < kept["single"]


def test_without_a_head_or_with_images_of_one_kind_there_is_no_shift() -> None:
    confidences, heads, defective = drawn(2, head_tells=2.0, boxes_tell=0.0)
    assert fit_image_shift(detections(confidences, np.zeros(0), defective)) is None
    assert fit_image_shift(detections(confidences, heads, defective | True)) is None
    assert fit_image_shift(detections(confidences[:9], heads[:9], defective[:9])) is None, "too few"


def test_boxes_that_tell_the_wrong_way_round_still_keep_their_order() -> None:
    confidences, heads, defective = drawn(3, head_tells=3.0, boxes_tell=-15.0)
    shift = fit_image_shift(detections(confidences, heads, defective))
    held = np.clip(confidences, 1e-3, 1 - 1e-3)
    spread = np.log(held / (1 - held)).std()
    assert shift is not None and shift.weight == pytest.approx(10 * spread / heads.std(), rel=1e-2)


def test_an_image_of_no_box_counts_by_its_head() -> None:
    confidences, heads, defective = drawn(4, head_tells=2.0, boxes_tell=1.0)
    found = detections(confidences, heads, defective)
    empty = replace(found, candidates=((), *found.candidates[1:]))
    assert isinstance(fit_image_shift(empty), ImageShift)
