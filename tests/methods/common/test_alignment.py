"""Alignment: known shifts and turns are found, nothing moves for nothing, the nearest is the nearest."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.dataset.synthetic.parts import Pose, scene_drawer
from blemish.methods.common.alignment import (
    Matcher,
    align,
    correlations,
    found_move,
    gray,
    likeness,
    moved,
)
from tests.processor_time import assert_takes_less

SIDE = 192
MIDDLE = (SIDE - 1) / 2


def part(
    turn_deg: float = 0.0, shift_xy: tuple[float, float] = (0.0, 0.0), *, seed: int = 0, side: int = SIDE
):
    """Another part of the same make each time: other metal, other light, noise."""
    scene, _ = scene_drawer((side, side), Pose(turn_deg, shift_xy), seed=seed)(())
    noise = np.random.default_rng(seed).normal(0, 2, scene.shape)
    return np.repeat(np.clip(scene + noise, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def true_move(reference: Pose, image: Pose) -> NDArray[np.float64]:
    """From pixels of the image to the part and on to pixels of the reference, [2, 3]."""

    def onto_image(pose: Pose) -> NDArray[np.float64]:
        turn = math.radians(pose.turn_deg)
        cosine, sine = math.cos(turn), math.sin(turn)
        x, y = (MIDDLE + shift for shift in pose.shift_xy)
        return np.array([[cosine, sine, x], [-sine, cosine, y], [0, 0, 1]])

    return (onto_image(reference) @ np.linalg.inv(onto_image(image)))[:2]


def turn_of(move: NDArray[np.generic]) -> float:
    return math.degrees(math.atan2(-move[1, 0], move[0, 0]))


def faults(found, true) -> tuple[float, float]:
    """Degrees and, in the middle of the image, pixels."""
    turn = (turn_of(found) - turn_of(true) + 180) % 360 - 180
    middle = np.array([MIDDLE, MIDDLE, 1])
    return abs(turn), float(np.hypot(*(found @ middle - true @ middle)))


@pytest.mark.parametrize("turn", [0.0, 7.0, 61.0, 135.0, 180.0, -100.0])
def test_the_pose_of_another_part_is_found(turn: float) -> None:
    """Not the same image turned: the light stays with the camera, the metal is another piece."""
    here, there = Pose(20.0, (5.0, -3.0)), Pose(20.0 + turn, (-7.0, 6.0))
    reference, image = (
        part(here.turn_deg, here.shift_xy, seed=1),
        part(there.turn_deg, there.shift_xy, seed=2),
    )
    found = found_move(gray(reference), gray(image), turns=True)
    assert found is not None
    degrees, pixels = faults(found, true_move(here, there))
    assert degrees < 1 and pixels < 1


@pytest.mark.parametrize("shift", [(0.0, 3.0), (-11.0, 8.0), (14.0, -13.0)])
def test_a_shift_is_found(shift: tuple[float, float]) -> None:
    found = found_move(gray(part(seed=1)), gray(part(0, shift, seed=2)), turns=False)
    assert found is not None
    assert np.allclose(found[:, :2], np.eye(2))
    assert np.allclose(found[:, 2], [-shift[0], -shift[1]], atol=0.7)


def test_what_is_aligned_differs_by_less() -> None:
    reference, image = part(-40, (6, 2), seed=3), part(75, (-5, 5), seed=4)
    rest = {how: np.abs(align(reference, image, how).astype(float) - image).mean() for how in HOWS}
    assert rest["rigid"] < 0.4 * rest["none"]
    assert rest["rigid"] < 0.6 * rest["translation"]


HOWS = ("none", "translation", "rigid", "nearest")


@pytest.mark.parametrize("how", HOWS)
def test_an_identical_image_and_a_plain_one_are_left_alone(how) -> None:
    same, plain = part(30), np.full((SIDE, SIDE, 3), 90, np.uint8)
    for reference, image in ((same, same.copy()), (plain, same), (same, plain), (plain, plain)):
        assert (align(reference, image, how) == reference).all()


def test_it_is_never_made_less_alike() -> None:
    generator = np.random.default_rng(0)
    for _ in range(5):
        reference, image = (generator.integers(0, 255, (64, 64, 3), np.uint8) for _ in range(2))
        laid = align(reference, image, "rigid")
        before, after = (np.corrcoef(steep(one), steep(image))[0, 1] for one in (reference, laid))
        assert after >= before - 0.05


def steep(image) -> NDArray[np.float64]:
    return np.hypot(*np.gradient(cv2.GaussianBlur(gray(image), (0, 0), 1.2))).ravel()


def test_beyond_the_border_the_ground_goes_on() -> None:
    image = part(0, (14, 0), seed=2)
    laid = align(part(seed=1), image, "translation")
    assert laid[:, :10].max() < 90  # a reflection or a black bar would not be ground
    assert laid[:, :10].min() > 20


def test_small_squares_and_a_part_of_the_image_work() -> None:
    reference, image = part(0, side=48), part(90, side=48)
    laid = align(reference, image, "rigid")
    assert likeness(gray(laid), gray(image)) > 0.9 > likeness(gray(reference), gray(image)) + 0.1


def test_images_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="the same size"):
        align(part(side=48), part(side=64), "rigid")


def test_one_pair_takes_little_time() -> None:
    """Less than a hundred searches for a shift alone by phase correlation, on one core, at the usual size."""
    reference, image = part(-40, side=256, seed=1), part(75, side=256, seed=2)
    cv2.setNumThreads(1)
    first, second = (pixels[..., 0].astype(np.float32) for pixels in (reference, image))

    def shifts() -> None:
        for _ in range(100):
            cv2.phaseCorrelate(first, second)

    assert_takes_less(lambda: align(reference, image, "rigid"), shifts, times=1)


def test_moves_are_of_pixels() -> None:
    image = np.arange(20, dtype=np.float32).reshape(4, 5)
    right = moved(image, np.array([[1, 0, -2], [0, 1, 0]], np.float32))
    assert (right[:, 2:] == image[:, :3]).all() and (right[:, :2] == image[:, :1]).all()


# The nearest of a bank


def test_the_nearest_is_found_in_whatever_quarter_it_lies() -> None:
    bank = np.stack([part(turn, seed=turn) for turn in (0, 20, 40, 65)])
    image = np.rot90(part(41, seed=9), 3)  # anticlockwise, thrice
    matcher = Matcher(bank, "nearest", 2)
    assert matcher.nearest(image)[0] == (2, 3)
    assert (matcher.matched(image)[0] == np.rot90(bank[2], 3)).all()
    assert matcher.matched(image).shape == (2, SIDE, SIDE, 3)


def test_the_nearest_is_that_of_brute_force() -> None:
    generator = np.random.default_rng(3)
    bank = generator.integers(0, 255, (6, 64, 64, 3), np.uint8)
    image = generator.integers(0, 255, (64, 64, 3), np.uint8)
    small = [cv2.resize(gray(one), (32, 32), interpolation=cv2.INTER_AREA) for one in (*bank, image)]
    alike = {
        (number, turns): np.corrcoef(np.rot90(one, turns).ravel(), small[-1].ravel())[0, 1]
        for number, one in enumerate(small[:-1])
        for turns in range(4)
    }
    best = [max(((number, turns) for turns in range(4)), key=alike.__getitem__) for number in range(6)]
    best.sort(key=alike.__getitem__, reverse=True)
    assert Matcher(bank, "nearest", 3).nearest(image) == best[:3]


def test_the_other_ways_take_the_first_references() -> None:
    bank = np.stack([part(turn, seed=turn) for turn in (0, 30, 60)])
    image = part(31, seed=8)
    assert (Matcher(bank, "none", 2).matched(image) == bank[:2]).all()
    laid = Matcher(bank, "rigid", 2).matched(image)
    assert (laid[1] == align(bank[1], image, "rigid")).all() and len(laid) == 2
    assert len(Matcher(bank[:1], "nearest", 4).matched(image)) == 1  # a bank smaller than what is averaged


@pytest.mark.parametrize("side", [1, 2, 7, 33, 64])
def test_correlations_are_those_of_every_shift(side: int) -> None:
    generator = np.random.default_rng(side)
    turned = generator.random((3, side, side), dtype=np.float32)
    image = generator.random((1, side, side), dtype=np.float32)
    found = correlations(turned, image)
    assert found.shape == turned.shape
    assert found.dtype == np.float32
    for one, heights in zip(turned - turned.mean(axis=(1, 2), keepdims=True), found, strict=True):
        for down, right in [(0, 0), (side - 1, side // 2), (side // 3, 1 % side)]:
            shifted = np.roll(one, (down, right), axis=(0, 1))
            expected = (shifted * (image[0] - image.mean())).sum() / (np.linalg.norm(one) + 1e-6)
            assert heights[down, right] == pytest.approx(expected, abs=1e-4)
