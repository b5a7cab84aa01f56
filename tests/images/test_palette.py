"""Colours of classes: different for everyone, and text on them that can be read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from blemish.images.palette import (
    ON_IMAGES,
    ON_PAPER,
    VERDICT_COLOURS,
    class_colours,
    relative_luminance,
    text_shade,
)

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
BLINDNESS = {
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}


def lab(linear: np.ndarray) -> np.ndarray:
    """CIE Lab of linear sRGB under D65."""
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(np.maximum(to_xyz @ np.clip(linear, 0, 1) / (0.9505, 1, 1.089), 0.008856))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def linear(colour: tuple[int, int, int]) -> np.ndarray:
    share = np.array(colour) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("matrix", BLINDNESS.values(), ids=BLINDNESS.keys())
@pytest.mark.parametrize("palette", [ON_IMAGES, ON_PAPER])
def test_the_colour_blind_tell_the_classes_apart(palette: tuple, matrix: list[list[float]]) -> None:
    seen = [lab(np.array(matrix) @ linear(colour)) for colour in palette]
    assert min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2)) > 10  # 2.3 is just noticeable


def test_the_text_on_a_colour_has_the_contrast_of_wcag() -> None:
    for colour in (*ON_IMAGES, *ON_PAPER, *VERDICT_COLOURS.values(), *class_colours(40)):
        own, text = relative_luminance(colour), relative_luminance((text_shade(colour),) * 3)
        assert (max(own, text) + 0.05) / (min(own, text) + 0.05) >= 4.5


def test_every_class_has_a_colour_of_its_own() -> None:
    assert len(set(class_colours(30))) == 30
    assert class_colours(3) == class_colours(30)[:3], "a class more changes none of those before"
