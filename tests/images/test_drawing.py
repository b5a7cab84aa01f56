"""Drawing: colour where the outline runs, other pixels untouched, any image type, tags inside the image."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from blemish.defect import Defect, Rectangle
from blemish.images.drawing import (
    FOUND,
    blend_severity,
    defect_text,
    draw_defects,
    draw_inspection,
    draw_label,
    draw_outlines,
    for_screen,
    text_mask,
    text_shade,
    thinned,
    verdict_text,
)
from blemish.inspection import Inspection, Verdict

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


@pytest.mark.parametrize("corner", [(-50.0, -50.0), (500.0, 500.0), (10.0, 20.0)])
def test_label_stays_inside_the_image(corner):
    image = draw_label(np.zeros((60, 200), np.uint8), "Crack 0.9", corner, colour=RED, height=16)
    rows, columns = np.nonzero(image.any(axis=2))
    assert rows.max() - rows.min() + 1 == 16
    assert (image == RED).all(axis=2).sum() > 100
    assert 0 <= rows.min() <= 44 and columns.min() >= 0


@pytest.mark.parametrize("text", ["", "裂纹\n<b>", "x" * 500])
def test_any_text_on_a_tiny_image(text):
    assert draw_label(np.zeros((3, 5), np.uint8), text, (0, 0), colour=RED).shape == (3, 5, 3)


def defect(**changes: object) -> Defect:
    fields = {
        "label": "Crack",
        "confidence": 0.9,
        "box_xyxy": (20, 30, 60, 70),
        "contour": (SQUARE,),
        "area": 1600,
    }
    return Defect(rectangle=Rectangle((40, 50), 40, 40, 0), **(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("contour", [(SQUARE,), ()])
def test_defect_is_outlined_and_named(contour):
    image = np.zeros((200, 200), np.uint8)
    drawn = draw_defects(image, [defect(contour=contour)])
    assert (np.abs(drawn[29:31, 40].astype(int) - FOUND) < 140).any()
    below = drawn[71:90, 20:]
    assert (below == FOUND).all(axis=2).sum() > 200


def test_inspection_shows_heat_outline_and_verdict():
    severity = np.zeros((200, 200), np.float32)
    severity[45:55, 35:45] = 12
    inspection = Inspection(
        "a.png", (200, 200), Verdict.NG, 0.875, (defect(),), "b", maps={"score_map": severity}
    )
    image = draw_inspection(np.zeros((200, 200), np.uint16), inspection)
    assert image[50, 40].max() > 100
    assert image[150:, 150:].max() == 0
    verdict_colour = draw_label(np.zeros((200, 200), np.uint8), "NG 0.88", (0, 0), colour=(213, 94, 0))
    assert (image[:16, :30] == verdict_colour[:16, :30]).all()


def test_heat_follows_the_methods_own_top():
    severity = np.zeros((120, 300), np.float32)
    severity[80:100, 200:240] = 0.9
    image = np.full((120, 300), 128, np.uint8)
    inspection = Inspection("a.png", (120, 300), Verdict.NG, 0.9, (), "b", maps={"score_map": severity})
    images = [draw_inspection(image, inspection, score_map_max=top) for top in (1.0, 12.0, None)]
    hot, cold, none = (np.abs(drawn[90, 220].astype(int) - 128).sum() for drawn in images)
    assert hot > 5 * cold
    assert none == 0


def test_clean_image_gets_its_verdict_only():
    image = random_image(100, 300)
    drawn = draw_inspection(image, Inspection("a.png", (100, 300), Verdict.OK, 0.1, (), "b"))
    assert (drawn[20:] == for_screen(image)[20:]).all()


def test_evidence_is_drawn_as_heat_and_its_spread_named():
    cam = np.zeros((120, 300), np.float32)
    cam[80:100, 200:240], cam[60:70, 20:30] = 1.0, 0.2
    image = np.full((120, 300), 128, np.uint8)
    inspection = Inspection(
        "a.png", (120, 300), Verdict.NG, 0.9, (), "b", maps={"heat_map": cam}, spread=0.07
    )
    drawn = draw_inspection(image, inspection)
    assert (drawn[80:100, 200:240] == blend_severity(image, cam, top=1.0)[80:100, 200:240]).all()
    strong, faint = (np.abs(drawn[y, x].astype(int) - 128).sum() for y, x in ((90, 220), (65, 25)))
    assert strong > 2 * faint > 0
    assert (drawn[40:, 60:190] == 128).all()
    tag = draw_label(image, "NG 0.90 ± 0.07", (0, 0), colour=(213, 94, 0))
    assert (drawn[:16, :60] == tag[:16, :60]).all()


def test_tags_say_sizes_in_mm_where_the_scale_is_known_and_the_grade():
    rectangle = Rectangle((0, 0), 64.2, 8.26, 0)
    known = Defect("crack", 0.913, (0, 0, 64, 8), (), rectangle, 300.0, 5.0, 7.3, mm_per_px=0.05)
    assert defect_text(known) == "crack 0.91 · severity 7.3 · 3.21 × 0.413 mm"
    unknown = Defect("crack", 0.913, (0, 0, 64, 8), (), rectangle, 300.0)
    assert defect_text(unknown) == "crack 0.91" and unknown.size_text == "64 × 8 px"
    inspection = Inspection("a.png", (80, 80), Verdict.NG, 0.5, (), "b", grade="rework", decision=1)
    assert verdict_text(inspection) == "NG 0.50 · rework"


def test_of_two_heats_severity_is_drawn_where_there_are_defects_and_else_what_the_verdict_rests_on():
    image = random_image(120, 300)
    severity, cam = np.zeros((2, 120, 300), np.float32)
    severity[90:100, 200:240], cam[90:100, 50:90] = 12.0, 1.0
    maps = {"score_map": severity, "heat_map": cam}
    defect = Defect("pit", 0.9, (270, 20, 276, 26), (), Rectangle((273, 23), 6, 6, 0), 36)
    for defects, hot, cold in (((defect,), severity, cam), ((), cam, severity)):
        drawing = draw_inspection(
            image, Inspection("a", (120, 300), Verdict.NG, 0.9, defects, "b", maps=maps)
        )
        drawn = blend_severity(image, hot, top=float(hot.max()))
        assert (drawing[hot > 0] == drawn[hot > 0]).all()
        assert (drawing[cold > 0] == for_screen(image)[cold > 0]).all()


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


def test_a_tag_has_the_colours_between_its_own_and_its_texts() -> None:
    image = draw_label(np.zeros((60, 200), np.uint8), "crack", (0, 0), colour=RED, height=40)
    strength = text_mask("crack", 40)[:, :, None] / np.float32(255)
    tag = np.array(RED, np.float32) * (1 - strength) + text_shade(RED) * strength
    assert np.array_equal(image[:40, : tag.shape[1]], np.rint(tag))
