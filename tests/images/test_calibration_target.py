"""The scale of rendered targets: known scale, turn, noise, tilt and distortion."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.calibration_target import Pattern, Scale, fitted_scale, measure_scale

COLUMNS, ROWS, PITCH_MM = 7, 5, 2.0
SAMPLES = 3  # a side of a pixel, for soft edges
Matrix = NDArray[np.float64]


def rendered(
    pattern: Pattern,
    pixel_to_mm: Matrix,
    *,
    size: tuple[int, int] = (360, 420),
    noise: float = 0.0,
    light_dots: bool = False,
) -> NDArray[np.uint8]:
    """Image of a camera whose pixel (x, y, 1) lies at pixel_to_mm @ (x, y, 1) of the target's plane."""
    y, x = (np.mgrid[: size[0] * SAMPLES, : size[1] * SAMPLES] + 0.5) / SAMPLES
    u, v, w = np.einsum("ij,jhw->ihw", pixel_to_mm, np.stack([x, y, np.ones_like(x)]))
    target = squares if pattern == "checkerboard" else dots
    bright = target(u / w / PITCH_MM, v / w / PITCH_MM)
    bright = bright.reshape(size[0], SAMPLES, size[1], SAMPLES).mean(axis=(1, 3))
    gray = 40 + 170 * (1 - bright if light_dots else bright)
    return np.clip(gray + np.random.default_rng(0).normal(0, noise, size), 0, 255).astype(np.uint8)


def squares(u: Matrix, v: Matrix) -> Matrix:
    """Inner corners at the whole numbers from (0, 0) to (COLUMNS − 1, ROWS − 1)."""
    inside = (u > -1) & (u < COLUMNS) & (v > -1) & (v < ROWS)
    return np.where(inside & ((np.floor(u) + np.floor(v)) % 2 == 0), 0.0, 1.0)


def dots(u: Matrix, v: Matrix) -> Matrix:
    inside = (u > -0.5) & (u < COLUMNS - 0.5) & (v > -0.5) & (v < ROWS - 0.5)
    return np.where(inside & (np.hypot(u - np.rint(u), v - np.rint(v)) < 0.25), 0.0, 1.0)


def camera(mm_per_px: float, degrees: float = 0.0, stretch: float = 1.0, tilt: float = 0.0) -> Matrix:
    """The target's middle in the middle of the image. stretch: of x; tilt: change of depth per pixel"""
    turn = np.deg2rad(degrees)
    spin = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    from_middle = np.eye(3)
    from_middle[:2, :2] = mm_per_px * spin @ np.diag([stretch, 1.0])
    from_middle[:2, 2] = -from_middle[:2, :2] @ [210.0, 180.0]
    from_middle[2] = [tilt, 0.0, 1 - tilt * 210.0]
    to_corner = np.eye(3)
    to_corner[:2, 2] = np.array([COLUMNS - 1, ROWS - 1]) / 2 * PITCH_MM
    return to_corner @ from_middle


def measured(image: NDArray[np.uint8], pattern: Pattern) -> Scale:
    return measure_scale(image, pattern, columns=COLUMNS, rows=ROWS, pitch_mm=PITCH_MM, name="a.png")


@pytest.mark.parametrize("pattern", ["checkerboard", "dots"])
@pytest.mark.parametrize(("mm_per_px", "degrees", "noise"), [(0.05, 0, 0), (0.06, -33, 8), (0.08, 90, 2)])
def test_a_known_scale_is_found(pattern: Pattern, mm_per_px: float, degrees: float, noise: float) -> None:
    image = rendered(pattern, camera(mm_per_px, degrees), noise=noise)
    scale = measured(image, pattern)
    assert scale.mm_per_px == pytest.approx(mm_per_px, rel=2e-3)
    assert scale.x == pytest.approx(mm_per_px, rel=3e-3) and scale.y == pytest.approx(mm_per_px, rel=3e-3)
    assert scale.anisotropy < 4e-3 and scale.residual_px < 0.1 + 0.01 * noise
    assert scale.points == COLUMNS * ROWS


def test_light_dots_on_a_dark_ground_colour_and_16_bits_are_seen() -> None:
    gray = rendered("dots", camera(0.05, 5), light_dots=True)
    deep = np.repeat(gray[:, :, None].astype(np.uint16) * 257, 3, axis=2)
    assert measured(deep, "dots").mm_per_px == pytest.approx(0.05, rel=2e-3)


def test_pixels_that_are_not_square_are_told_along_each_axis() -> None:
    scale = measured(rendered("checkerboard", camera(0.05, stretch=1.015)), "checkerboard")
    assert scale.x / scale.y == pytest.approx(1.015, abs=2e-3)
    assert scale.anisotropy == pytest.approx(0.015, abs=2e-3)


@pytest.mark.parametrize("pattern", ["checkerboard", "dots"])
def test_a_stretched_view_is_refused(pattern: Pattern) -> None:
    with pytest.raises(
        BlemishError, match=r"a\.png: the scale may differ between directions by 2 % at most"
    ) as raised:
        measured(rendered(pattern, camera(0.05, 10, stretch=1.06)), pattern)
    assert "\n" not in str(raised.value)


def test_a_view_in_perspective_is_refused() -> None:
    """Equal both ways in the middle, larger on one side than on the other."""
    with pytest.raises(BlemishError, match=r"px of a flat grid\. Received: \d"):
        measured(rendered("checkerboard", camera(0.05, tilt=6e-4)), "checkerboard")


def test_a_lens_that_distorts_is_refused() -> None:
    flat = rendered("checkerboard", camera(0.05))
    lens = np.array([[420.0, 0, 210], [0, 420.0, 180], [0, 0, 1]])
    with pytest.raises(BlemishError, match="of a flat grid"):
        measured(cv2.undistort(flat, lens, np.array([-0.5, 0.2, 0, 0])), "checkerboard")


@pytest.mark.parametrize("pattern", ["checkerboard", "dots"])
def test_an_image_without_the_target_is_one_line(pattern: Pattern) -> None:
    with pytest.raises(BlemishError, match=rf"a\.png: found no {pattern} of 7 × 5") as raised:
        measured(np.full((200, 200), 128, np.uint8), pattern)
    assert "\n" not in str(raised.value)


def test_the_fit_is_exact_on_exact_points() -> None:
    """By hand: 10 px a step along x and 10 along y at a pitch of 2 mm are 0.2 mm a pixel."""
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(3)), axis=-1).reshape(-1, 2) * 10.0 + 7
    scale = fitted_scale(grid, 4, 3, 2.0)
    assert (scale.mm_per_px, scale.x, scale.y) == pytest.approx((0.2, 0.2, 0.2))
    assert (scale.anisotropy, scale.residual_px) == pytest.approx((0, 0), abs=1e-9)
    pushed = grid + np.where(np.arange(12)[:, None] % 2, 1.0, -1.0) * [0.0, 1.0]
    assert fitted_scale(pushed, 4, 3, 2.0).residual_px > 0.5
