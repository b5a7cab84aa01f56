"""An image's confidences moved by what the image as a whole says: by hand, and what must stay as it was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from blemish.methods.common.image_head import NAME
from blemish.methods.contract import ImageFindings
from blemish.methods.tlsdd.memory import TlsddMemory
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.runtime.inference import inference_from
from blemish.methods.tlsdd.settings import TlsddSettings

NAMES = ("pit", "scratch")
SHIFT = ImageShift(weight=0.5, mean=1.0, limit=4.0)
PIXELS = np.full((30, 40, 3), 90, np.uint8)
ROWS = np.array([[2, 2, 10, 10, 0.8, 0.1], [20, 20, 30, 28, 0.03, 0.3]], np.float32)


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def decided(
    rows: Any, head: float, *, shift: ImageShift | None = SHIFT, threshold: float = 0.5
) -> ImageFindings:
    half = inference_from(
        TlsddSettings(), NAMES, threshold=threshold, shifts={"scratch": 0.7}, image_shift=shift
    )
    networks = {NAME: lambda images: np.full((len(images), 1), head, np.float32)}
    return half.decide(np.asarray(rows, np.float32).reshape(-1, 6), PIXELS, networks, with_maps=True)


@pytest.mark.parametrize(("head", "by"), [(1.0, 0.0), (3.0, 1.0), (-1.0, -1.0), (90.0, 2.0), (-90.0, -2.0)])
def test_every_confidence_is_moved_by_the_images_shift_and_its_classs(head: float, by: float) -> None:
    found = decided(ROWS, head).candidates
    confidences = {(one.label, one.box_xyxy[0]): odds(one.confidence) for one in found}
    expected = {
        ("pit", 2.0): odds(0.8) + by,
        ("scratch", 2.0): odds(0.1) + 0.7 + by,
        ("pit", 20.0): odds(0.03) + by,
        ("scratch", 20.0): odds(0.3) + 0.7 + by,
    }
    assert confidences == {key: pytest.approx(value, abs=1e-4) for key, value in expected.items()}


@pytest.mark.parametrize("head", [3.0, -90.0, 90.0])
def test_classes_added_without_training_are_not_moved(head: float) -> None:
    rows = np.array([[2, 2, 10, 10, 0.8, 0.1, 0], [20, 20, 30, 28, 0, 0, 0.3]], np.float32)
    half = inference_from(TlsddSettings(), (*NAMES, "chip"), threshold=0.5, enrolled=1, image_shift=SHIFT)
    networks = {NAME: lambda images: np.full((len(images), 1), head, np.float32)}
    found = half.decide(rows, PIXELS, networks, with_maps=False)
    confidences = {one.label: odds(one.confidence) for one in found.candidates}
    by = SHIFT.of(head)
    expected = {"pit": odds(0.8) + by, "scratch": odds(0.1) + by, "chip": odds(0.3)}
    assert confidences == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("chip", [0.45, 0.62])
def test_an_added_class_counts_towards_the_score_where_it_is_found(chip: float) -> None:
    """An image on which it is not found has the score that it has without the class."""
    rows = np.array([[2, 2, 10, 10, 0.3, 0.1, 0], [20, 20, 30, 28, 0, 0, chip]], np.float32)
    larger = inference_from(TlsddSettings(), (*NAMES, "chip"), threshold=0.5, enrolled=1, image_shift=SHIFT)
    before = inference_from(TlsddSettings(), NAMES, threshold=0.5, image_shift=SHIFT)
    networks = {NAME: lambda images: np.full((len(images), 1), 1.5, np.float32)}
    found = larger.decide(rows, PIXELS, networks, with_maps=False)
    without = before.decide(rows[:1, :6], PIXELS, networks, with_maps=False)
    assert found.score == (pytest.approx(chip) if chip >= 0.5 else without.score)
    assert [one.label for one in found.defects] == (["chip"] if chip >= 0.5 else [])
    alone = larger.decide(rows[1:], PIXELS, networks, with_maps=False)
    nothing = before.decide(rows[:0, :6], PIXELS, networks, with_maps=False)
    assert alone.score == (pytest.approx(chip) if chip >= 0.5 else nothing.score)


rows_drawn = st.lists(st.tuples(st.floats(0.0, 1.0, width=32), st.floats(0.0, 1.0, width=32)), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    scores=rows_drawn,
    head=st.floats(-1e6, 1e6),
    threshold=st.floats(0.01, 0.99),
    shift=st.builds(ImageShift, weight=st.floats(0, 5), mean=st.floats(-5, 5), limit=st.floats(0, 50)),
)
def test_an_image_has_defects_exactly_from_the_threshold_on(
    scores: list[tuple[float, float]], head: float, threshold: float, shift: ImageShift
) -> None:
    rows = [[10.0 * n, 0, 10.0 * n + 8, 8, *both] for n, both in enumerate(scores)]
    found = decided(rows, head, shift=shift, threshold=threshold)
    assert 0 <= found.score <= 1
    assert bool(found.defects) == (found.score >= threshold)
    if found.candidates:
        assert found.score == max(one.confidence for one in found.candidates)


def test_boxes_of_an_image_keep_their_order_and_images_are_told_apart_by_both() -> None:
    low, high = decided(ROWS, -1.0), decided(ROWS, 3.0)
    assert [one.box_xyxy for one in low.candidates] == [one.box_xyxy for one in high.candidates]
    assert low.score < decided(ROWS, 1.0).score < high.score


def test_an_image_without_a_candidate_is_ranked_by_the_image_alone_and_has_no_defect() -> None:
    scores = [decided([], head, threshold=0.03).score for head in (-3.0, 1.0, 4.0)]
    assert scores[:2] == [pytest.approx(1 / (1 + math.exp(-odds(0.02) + 2))), pytest.approx(0.02)]
    assert 0.029 < scores[2] < 0.03
    assert decided([], 5.0, shift=None).score == 0, "as in bundles without a head"


def test_without_a_shift_the_head_is_not_asked() -> None:
    half = inference_from(TlsddSettings(), NAMES, threshold=0.5)
    found = half.decide(ROWS, PIXELS, {}, with_maps=False)
    assert found.score == np.float32(0.8)


def test_on_a_web_boxes_are_judged_as_on_a_usual_image() -> None:
    """No image is there as a whole: the findings are those of the head's mean."""
    half = inference_from(TlsddSettings(), NAMES, threshold=0.5, image_shift=SHIFT)
    plain = inference_from(TlsddSettings(), NAMES, threshold=0.5)
    assert half.decide_boxes(ROWS) == plain.decide_boxes(ROWS)


def test_memories_are_checked_and_older_ones_have_none() -> None:
    stored = TlsddMemory(image_shift=SHIFT).model_dump(mode="json", exclude_unset=True)
    assert TlsddMemory.model_validate(stored).image_shift == SHIFT
    assert TlsddMemory.model_validate({"common": ("pit",)}).image_shift is None
    for wrong in ({"weight": -1}, {"limit": -1}, {"mean": float("nan")}):
        with pytest.raises(ValidationError):
            TlsddMemory.model_validate({"image_shift": {**SHIFT.model_dump(), **wrong}})
