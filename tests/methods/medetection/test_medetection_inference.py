"""The numpy half of MeDetection, with a network that compares brightness in place of a trained one."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.resize import resized
from blemish.methods.contract import Networks
from blemish.methods.medetection.inference import (
    MedetectionInference,
    hottest_box,
    inference_from,
    pairs,
    sigmoid,
    square,
)
from blemish.methods.medetection.settings import MedetectionSettings

SIDE, CELLS = 64, 4
HALF = inference_from(
    MedetectionSettings(size=SIDE, references=2),
    ("defect",),
    thresholds={"score": 0.5},
    memory={"product": "caps"},
)
GRAY = np.full((SIDE, SIDE, 3), 100, np.uint8)


class Spy:
    """Networks that remember their inputs: brightness of image less reference, in cells."""

    def __init__(self, *levels: int) -> None:
        self.references = np.stack([np.full((3, SIDE, SIDE), level, np.float32) for level in levels])
        self.inputs: list[NDArray[np.float32]] = []
        self.fetched = 0

    @property
    def networks(self) -> Networks:
        return {"network": self.compare, "references": self.fetch}

    def fetch(self, _: NDArray[np.float32]) -> NDArray[np.float32]:
        self.fetched += 1
        return self.references

    def compare(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        self.inputs.append(inputs)
        gray = inputs[0].reshape(-1, 3, SIDE, SIDE).mean(axis=1)
        step = SIDE // CELLS
        cells = (gray[-1] - gray[:-1]).reshape(-1, CELLS, step, CELLS, step).mean(axis=(2, 4))
        cells = cells.reshape(len(cells), -1)
        cells = np.maximum(cells, 0)
        return np.concatenate([40 * cells.max(axis=1, keepdims=True) - 4, cells], axis=1)


def bright(row: int, column: int, level: int = 200) -> NDArray[np.uint8]:
    """The gray image with one bright cell."""
    picture, step = GRAY.copy(), SIDE // CELLS
    picture[row * step : (row + 1) * step, column * step : (column + 1) * step] = level
    return picture


def judged(half: MedetectionInference, pixels: NDArray[np.uint8], spy: Spy, *, with_maps: bool = True):
    networks = spy.networks
    return half.decide(half.forward(pixels, networks), pixels, networks, with_maps=with_maps)


def test_pairs_hold_the_reference_first_in_unit_range() -> None:
    spy = Spy(51, 102, 255)
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    HALF.forward(image, spy.networks)
    (inputs,) = spy.inputs
    assert (
        inputs.shape == (1, 9, SIDE, SIDE) and inputs.dtype == np.float32
    )  # the third is beyond the setting
    assert np.allclose(inputs[0, :3], 0.2) and np.allclose(inputs[0, 3:6], 0.4)
    assert np.allclose(inputs[0, 6:], image.transpose(2, 0, 1) / 255, atol=1e-6)


def test_the_score_is_the_mean_over_references_and_the_spread_their_deviation() -> None:
    found = judged(HALF, bright(1, 2), Spy(100, 160))
    each = [1 / (1 + np.exp(4 - 40 * (200 - level) / 255)) for level in (100, 160)]
    assert found.score == pytest.approx(np.mean(each), abs=1e-5)
    assert found.spread == pytest.approx(np.std(each), abs=1e-5)
    assert judged(HALF, bright(1, 2), Spy(100)).spread is None  # of one there is none


@pytest.mark.parametrize("size", [(SIDE, SIDE), (50, 200), (333, 77)])
@pytest.mark.parametrize("cell", [(0, 0), (1, 2), (3, 3)])
def test_box_and_map_lie_where_the_image_differs(size: tuple[int, int], cell: tuple[int, int]) -> None:
    """In pixels of an image of any size and shape."""
    image = np.ascontiguousarray(resized(bright(*cell), size))
    found = judged(HALF, image, Spy(100, 100))
    (defect,) = found.defects
    left, top, right, bottom = defect.box_xyxy
    step_y, step_x = size[0] / CELLS, size[1] / CELLS
    middle = (left + right) / 2 / step_x - 0.5, (top + bottom) / 2 / step_y - 0.5
    assert middle == pytest.approx((cell[1], cell[0]), abs=0.3)
    assert 0.9 < (right - left) / step_x < 1.6
    assert 0 <= left < right <= size[1] and 0 <= top < bottom <= size[0]
    cam, numbers = found.maps["heat_map"], found.maps["defects"]
    assert cam.shape == numbers.shape == size and cam.dtype == np.float32
    assert cam.min() >= 0 and cam.max() == pytest.approx(found.score, abs=0.02)
    row, column = np.unravel_index(cam.argmax(), size)
    assert (int(row / step_y), int(column / step_x)) == cell
    assert numbers[row, column] == 1 and set(np.unique(numbers)) == {0, 1}
    assert (defect.label, defect.confidence) == ("defect", found.score)
    assert defect.area == pytest.approx((right - left) * (bottom - top))


def test_below_the_threshold_there_is_no_defect_and_little_heat() -> None:
    found = judged(HALF, bright(1, 1, 101), Spy(100, 100))
    assert found.defects == () and found.score < 0.05
    assert found.maps["heat_map"].max() <= found.score + 1e-6
    assert not found.maps["defects"].any()
    assert judged(replace(HALF, threshold=found.score), bright(1, 1, 101), Spy(100, 100)).defects


def test_a_map_that_is_nowhere_hot_points_at_the_whole_image() -> None:
    """Nothing brighter than the reference, and a threshold that all reach."""
    found = judged(replace(HALF, threshold=0.0), GRAY, Spy(100, 100))
    assert found.defects[0].box_xyxy == (0, 0, SIDE, SIDE)
    assert not found.maps["heat_map"].any()


def test_maps_only_when_requested() -> None:
    assert judged(HALF, bright(0, 0), Spy(100), with_maps=False).maps == {}


def test_references_are_fetched_once_for_a_network() -> None:
    half = replace(HALF)
    first, second = Spy(100, 100), Spy(0, 0)
    networks = first.networks
    scores = [
        half.decide(half.forward(GRAY, networks), GRAY, networks, with_maps=False).score for _ in range(3)
    ]
    assert first.fetched == 1 and len(set(scores)) == 1
    assert judged(half, GRAY, second, with_maps=False).score > 0.9  # other networks, other references


def test_references_are_moved_as_the_setting_says() -> None:
    """A frame three pixels beside the reference's: aligned, nothing differs."""
    spy, image = Spy(100), GRAY.copy()
    spy.references[0, :, 20:40, 10:40] = 200
    image[25:45, 14:44] = 200
    networks, scores = spy.networks, []
    for half in (replace(HALF, align=how) for how in ("none", "translation")):
        scores.append(half.decide(half.forward(image, networks), image, networks, with_maps=False).score)
    assert scores[0] > 0.8 and scores[1] < 0.1


def test_without_the_siamese_stem_no_reference_is_fetched() -> None:
    spy = Spy(0, 0)
    findings = judged(replace(HALF, siamese=False), bright(1, 1), spy)
    assert spy.fetched == 0 and len(spy.inputs[0]) == 1
    assert findings.spread is None


def test_16_bit_images_are_read_as_8() -> None:
    eight = bright(2, 1)
    scores = [judged(HALF, picture, Spy(100, 90)).score for picture in (eight, eight.astype(np.uint16) * 257)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)


def test_what_is_not_a_number_reaches_the_inspector() -> None:
    spy = Spy(100)
    broken = {**spy.networks, "network": lambda inputs: np.full((len(inputs), 17), np.nan, np.float32)}
    assert np.isnan(HALF.forward(GRAY, broken).max(initial=0.0))


# The box


def test_the_component_of_most_heat_wins_over_the_hottest_pixel() -> None:
    cam = np.zeros((20, 20), np.float32)
    cam[2, 2], cam[10:14, 8:16] = 1.0, 0.8
    assert hottest_box(cam, 0.5, (40, 20)) == (8, 20, 16, 28)
    assert hottest_box(cam, 0.9, (40, 20)) == (2, 4, 3, 6)


@given(st.integers(0, 2**32), st.floats(0.05, 0.95), st.integers(1, 90), st.integers(1, 90))
@settings(max_examples=40, deadline=None)
def test_a_box_is_within_the_image_and_smaller_for_a_larger_share(seed, share, height, width) -> None:
    cam = np.random.default_rng(seed).random((16, 16)).astype(np.float32) ** 4
    cam /= cam.max()
    left, top, right, bottom = hottest_box(cam, share, (height, width))
    assert 0 <= left < right <= width + 1e-9 and 0 <= top < bottom <= height + 1e-9
    cells = cam >= share
    assert (right - left) * (bottom - top) <= height * width * (1 + 1e-9)
    assert cells.any()


def test_sigmoid_does_not_overflow() -> None:
    with np.errstate(over="raise"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0.0, 0.5, 1.0]


def test_images_become_squares_of_8_bits() -> None:
    image = np.random.default_rng(0).integers(0, 65536, (30, 90, 3), np.uint16)
    small = square(image, 16)
    assert small.shape == (16, 16, 3) and small.dtype == np.uint8
    assert (
        pairs(small[None], small).shape == (1, 6, *small.shape[:2]) and pairs(small[None], small).max() <= 1
    )


# From a bundle


def test_settings_reach_the_half() -> None:
    chosen = MedetectionSettings(
        size=96, references=3, align="rigid", cam_share=0.3, mm_per_px=0.1, siamese=False
    )
    half = inference_from(chosen, ("crack",), thresholds={"score": 0.7}, memory={"product": "caps"})
    assert (half.size, half.references, half.align, half.cam_share) == (96, 3, "rigid", 0.3)
    assert (half.label, half.threshold_score, half.mm_per_px, half.siamese) == ("crack", 0.7, 0.1, False)
    assert not half.classifies and not half.segments and half.pixel_threshold is None
    several = inference_from(chosen, ("a", "b"), thresholds={"score": 0.7}, memory={"product": "caps"})
    assert several.label == "defect"


def test_a_starting_point_is_refused_with_what_to_do() -> None:
    with pytest.raises(BlemishError, match=r"starting point.*blemish train medetection --from") as refused:
        inference_from(MedetectionSettings(), ("defect",), thresholds={}, memory={"product": ""})
    assert "\n" not in str(refused.value)


def test_it_needs_no_torch() -> None:
    code = (
        "import sys, blemish.methods.medetection.inference, blemish.methods.medetection; "
        "assert not {'torch', 'torchvision'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
