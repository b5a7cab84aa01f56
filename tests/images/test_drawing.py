"""Drawing: colour where the outline runs, other pixels untouched, any image type, defects left visible."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from blemish.defect import Defect, Rectangle
from blemish.images.drawing import (
    blend_severity,
    draw_outlines,
    for_screen,
    mark_defect_,
    tag_image,
    thinned,
)
from blemish.images.palette import relative_luminance, text_shade
from blemish.images.text import text_mask
from blemish.regions.measure import outlines
from blemish.regions.polygons import filled

SQUARE = ((20.0, 30.0), (60.0, 30.0), (60.0, 70.0), (20.0, 70.0))
RED = (250, 10, 20)


def random_image(*shape: int, dtype: type = np.uint8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def distance_to_square(size: tuple[int, int]) -> np.ndarray:
    """Distance of each pixel's centre to the outline of SQUARE, by brute force over points along it."""
    along = np.linspace(0, 1, 400)[:, None]
    corners = np.array([*SQUARE, SQUARE[0]])
    points = np.concatenate([a + along * (b - a) for a, b in pairwise(corners)])
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    return np.sqrt(((x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2).min(axis=2))


def test_outline_colours_its_pixels_and_no_other():
    image = random_image(90, 80, 3)
    drawn = draw_outlines(image, [SQUARE], colour=RED, thickness=3)
    distance = distance_to_square((90, 80))
    assert (drawn[distance < 1] == RED).all()
    assert (drawn[distance > 4] == image[distance > 4]).all()


def test_a_thick_line_leaves_out_corners_that_it_hides():
    """A circle in steps of a pixel, far from the corner: the ring is as wide as with all its corners."""
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    centre, radius, width = np.array([3000.0, 220.0]), 150.0, 24
    circle = np.rint(centre + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    fewer = thinned(circle, width / 8)
    assert 8 < len(fewer) < 60
    assert np.abs(np.hypot(*(fewer - centre).T) - radius).max() < 1
    image = draw_outlines(np.zeros((440, 3200), np.uint8), [circle], colour=RED, thickness=width)
    y, x = np.mgrid[:440, :3200] + 0.5
    off = np.abs(np.hypot(x - centre[0], y - centre[1]) - radius)
    assert (image[off < width / 2 - width / 8 - 2] == RED).all()
    assert (image[off > width / 2 + width / 8 + 2] == 0).all()
    np.testing.assert_array_equal(thinned(SQUARE, 0.1), SQUARE)


def test_dashes_leave_gaps_of_the_asked_length():
    black = np.zeros((90, 80), np.uint8)
    image = draw_outlines(black, [SQUARE], colour=(255, 255, 255), thickness=1, dash=8)
    upper_edge = image[29:31, 22:58, 0].max(axis=0) > 100
    changes = np.flatnonzero(np.diff(upper_edge.astype(int)))
    assert 0.35 < upper_edge.mean() < 0.75
    assert np.abs(np.diff(changes) - 8).max() <= 2


@pytest.mark.parametrize("shape", [(40, 50), (40, 50, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_image_becomes_a_fresh_rgb_picture(shape, dtype):
    image = random_image(*shape, dtype=dtype)
    before = image.copy()
    drawn = draw_outlines(image, [((5, 5), (20, 5), (20, 20), (5, 20))], colour=RED)
    assert drawn.shape == (40, 50, 3)
    assert drawn.dtype == np.uint8
    assert (image == before).all()
    expected = np.rint(before / (257 if dtype == np.uint16 else 1)).reshape(40, 50, -1)
    assert (drawn[30:, 30:] == expected[30:, 30:]).all()


def test_for_screen_never_hands_out_the_original():
    image = random_image(4, 4, 3)
    assert not np.shares_memory(for_screen(image), image)


def test_severity_changes_only_where_it_is_above_zero():
    image = random_image(1100, 20)  # more than one strip
    severity = np.zeros((1100, 20), np.float32)
    severity[600, 7], severity[3, 3], severity[5, 5] = 12.0, 6.0, np.nan
    drawn = blend_severity(image, severity, top=12.0, opacity=0.5)
    changed = np.argwhere((drawn != for_screen(image)).any(axis=2))
    assert {tuple(place) for place in changed} == {(600, 7), (3, 3)}


def test_hottest_severity_is_mixed_with_the_hottest_colour():
    severity = np.full((2, 2), 30.0, np.float32)
    image = blend_severity(np.zeros((2, 2), np.uint8), severity, top=12.0, opacity=0.5)
    hottest = np.array([252, 255, 164])  # the last entry of "inferno"
    assert np.abs(image[0, 0] - hottest / 2).max() <= 1


def test_half_the_severity_is_half_as_opaque():
    white, severity = np.full((1, 1), 255, np.uint8), np.full((1, 1), 6.0, np.float32)
    image = blend_severity(white, severity, top=12.0, opacity=0.4)
    middle = np.array([188, 55, 84])  # of "inferno"
    assert np.abs(image[0, 0] - (0.8 * 255 + 0.2 * middle)).max() <= 1.5


def test_severity_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"size \(4, 5\).*\(4, 4\)"):
        blend_severity(np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.float32), top=1.0)


def test_heat_is_that_of_every_pixel_by_itself() -> None:
    """Pixels that it is too weak to change are left out of the sums, and none of them would have changed."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (70, 90), dtype=np.uint8)
    severity = (generator.random((70, 90), dtype=np.float32) ** 4) * 14 - 1
    severity[0, :3] = [np.nan, np.inf, -np.inf]
    share = np.clip(np.nan_to_num(severity) / 12, 0, 1)
    heat = cv2.applyColorMap((share * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)[:, :, ::-1]
    alpha = (0.55 * share)[:, :, None]
    expected = np.rint(image[:, :, None] * (1 - alpha) + heat * alpha)
    assert np.array_equal(blend_severity(image, severity, top=12.0), expected)


def test_a_tag_has_the_colours_between_its_own_and_its_texts_and_a_rim() -> None:
    tag = tag_image("crack", 40, RED)
    strength = text_mask("crack", 40)[:, :, None] / np.float32(255)
    expected = np.rint(np.array(RED, np.float32) * (1 - strength) + text_shade(RED) * strength)
    assert np.array_equal(tag[3:-3, 3:-3], expected[3:-3, 3:-3])
    assert (tag[0] == text_shade(RED)).all() and (tag[:, -1] == text_shade(RED)).all()


def defect(contour: tuple[tuple[tuple[float, float], ...], ...], box: tuple[float, ...]) -> Defect:
    return Defect("pit", 0.9, box, contour, Rectangle((0, 0), 1, 1, 0), 1.0)  # type: ignore[arg-type]


def colours_of(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(map(int, colour)) for colour in image.reshape(-1, 3)}


@pytest.mark.parametrize("seed", range(5))
def test_the_mark_of_an_outlined_defect_leaves_all_its_pixels_and_surrounds_it(seed: int) -> None:
    """Random regions, traced to outlines; the ring beside them is coloured, but at thinned corners."""
    generator = np.random.default_rng(seed)
    region = cv2.blur(generator.random((90, 120)), (9, 9)) > 0.53
    region[:4], region[-4:], region[:, :4], region[:, -4:] = False, False, False, False
    image = random_image(90, 120, 3, seed=seed)
    drawn = image.copy()
    found = Defect("pit", 0.9, (0, 0, 120, 90), outlines(region), Rectangle((0, 0), 1, 1, 0), 1.0)
    mark_defect_(drawn, found, colour=RED)
    whole = region.copy()  # outlines are those of the outside: what is in holes is inside
    for part in outlines(region):
        whole |= filled(np.array(part), region.shape)
    assert (drawn[whole] == image[whole]).all()
    cross = cv2.dilate(whole.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))) > 0
    reddish = np.abs(drawn.astype(int) - RED).sum(axis=2) < 200
    assert reddish[cross & ~whole].mean() > 0.9
    far = cv2.dilate(whole.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert (drawn[far] == image[far]).all()


def test_a_defect_that_fills_the_image_has_its_line_along_the_edge() -> None:
    corners = ((0.0, 0.0), (80.0, 0.0), (80.0, 60.0), (0.0, 60.0))
    other = ((0.0, 0.0), (80.0, 0.0), (80.0, 60.0), (40.0, 60.0), (0.0, 60.0))  # no four corners of a box
    for contour in ((corners,), (other,), ()):
        drawn = np.zeros((60, 80, 3), np.uint8)
        mark_defect_(drawn, defect(contour, (0, 0, 80, 60)), colour=RED)
        near = np.abs(drawn.astype(int) - RED).sum(axis=2) < 200
        for edge in (near[:3], near[-3:], near[:, :3].T, near[:, -3:].T):
            assert edge.any(axis=0).mean() > 0.95
        assert not drawn[5:-5, 5:-5].any()


def test_a_box_is_marked_around_and_a_box_in_it_too() -> None:
    image = np.full((100, 100, 3), 120, np.uint8)
    drawn = image.copy()
    for box in ((20, 20, 80, 80), (40, 40, 60, 60)):
        left, top, right, bottom = map(float, box)
        contour = (((left, top), (right, top), (right, bottom), (left, bottom)),)
        mark_defect_(drawn, defect(contour, box), colour=RED)
    assert (drawn[40:60, 40:60] == 120).all()
    for marked in (drawn[50, 30:40], drawn[50, 60:70], drawn[50, 10:20], drawn[80:90, 50]):
        assert (marked == RED).all(axis=1).sum() == 1
    assert (drawn[20:37, 20:80] == 120).all()


@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255), RED, (128, 128, 128)])
def test_a_line_stands_out_on_every_ground(ground: tuple[int, int, int]) -> None:
    """Some colour of it and its casing has a contrast of 3 to 1, as WCAG 2.2 asks of marks."""
    drawn = np.full((60, 60, 3), ground, np.uint8)
    mark_defect_(drawn, defect((), (20, 20, 40, 40)), colour=RED)
    levels = [relative_luminance(colour) for colour in colours_of(drawn)]
    own = relative_luminance(ground)
    assert max((max(own, one) + 0.05) / (min(own, one) + 0.05) for one in levels) > 3
