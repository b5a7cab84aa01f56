"""Pictures of inspections: every defect in view, labels beside them, verdict and scale below, at any size."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.defect import Defect, Rectangle
from blemish.images.drawing import blend_severity, for_screen, tag_image
from blemish.images.overlay import (
    INK,
    MAX_LABELS,
    PAPER,
    Picture,
    defect_figures,
    draw_inspection,
    verdict_text,
    written,
)
from blemish.images.palette import ORANGE, SKY_BLUE, VERMILION, relative_luminance
from blemish.images.text import text_width
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box

SIZE = (480, 640)


def box_defect(left: float, top: float, right: float, bottom: float, label: str = "pit") -> Defect:
    return defect_of_box((left, top, right, bottom), label, 0.9)


def inspected(size: tuple[int, int], *defects: Defect, **more: object) -> Inspection:
    fields = {"verdict": Verdict.NG, "score": 0.875} | more
    return Inspection("a.png", size, defects=defects, bundle="b", **fields)  # type: ignore[arg-type]


def planned(size: tuple[int, int], *defects: Defect) -> Picture:
    return Picture(np.zeros(size, np.uint8), inspected(size, *defects), None, ("pit",), 0.5)


def find(picture: np.ndarray, part: np.ndarray) -> list[tuple[int, int]]:
    """Places (top, left) at which a part stands in the picture."""
    rows, columns = part.shape[:2]
    firsts = np.argwhere((picture == part[rows // 2, 1]).all(axis=2))
    tops, lefts = firsts[:, 0] - rows // 2, firsts[:, 1] - 1
    return [
        (int(top), int(left))
        for top, left in zip(tops, lefts, strict=True)
        if top >= 0 and left >= 0 and np.array_equal(picture[top : top + rows, left : left + columns], part)
    ]


@st.composite
def crowds(draw: st.DrawFn) -> tuple[tuple[int, int], list[Defect]]:
    """Images of 16×16 to 700×700 with up to 40 boxes, some beyond the edges of others, some of the whole."""
    height, width = draw(st.integers(16, 700)), draw(st.integers(16, 700))
    defects = []
    for _ in range(draw(st.integers(0, 40))):
        x = sorted(draw(st.lists(st.floats(0, width), min_size=2, max_size=2)))
        y = sorted(draw(st.lists(st.floats(0, height), min_size=2, max_size=2)))
        if x[0] < x[1] and y[0] < y[1]:
            label = draw(st.sampled_from(["pit", "Kratzer über Lötöse", "划伤 表面", "x" * 300, "รอย"]))
            defects.append(box_defect(x[0], y[0], x[1], y[1], label))
    return (height, width), defects


@settings(max_examples=40, deadline=None)
@given(crowds())
def test_labels_hide_no_defect_and_no_label_and_stay_inside(
    crowd: tuple[tuple[int, int], list[Defect]],
) -> None:
    size, defects = crowd
    picture = planned(size, *defects)
    drawn = picture.drawn()
    taken = np.zeros(drawn.shape[:2], bool)
    for defect in defects:
        left, top, right, bottom = (picture.scale * value for value in defect.box_xyxy)
        taken[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
    placed = [place for place in picture.places if place]
    for place in placed:
        left, top, right, bottom = place.box
        assert 0 <= left < right <= drawn.shape[1] and 0 <= top < bottom <= drawn.shape[0]
        assert not taken[top:bottom, left:right].any()
        taken[top:bottom, left:right] = True
    assert len(placed) == min(len(defects), MAX_LABELS) or len(placed) >= 8, "the margin has room for eight"


def test_all_of_an_outlined_defect_stays_in_view() -> None:
    corners = ((20.0, 30.0), (60.0, 30.0), (70.0, 50.0), (60.0, 70.0), (20.0, 70.0))
    defect = Defect("pit", 0.9, (20, 30, 70, 70), (corners,), Rectangle((40, 50), 40, 40, 0), 1600)
    image = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
    drawn = draw_inspection(image, inspected(SIZE, defect))
    assert (drawn[31:69, 21:58] == for_screen(image)[31:69, 21:58]).all()
    assert (drawn[200:480] == for_screen(image)[200:480]).all()


@pytest.mark.parametrize("place", [(0, 0), (0, 580), (440, 0), (440, 580), (0, 300), (460, 300), (200, 0)])
def test_at_edges_and_corners_the_label_is_beside_the_defect(place: tuple[int, int]) -> None:
    top, left = place
    drawn = draw_inspection(
        np.zeros(SIZE, np.uint8), inspected(SIZE, box_defect(left, top, left + 60, top + 40))
    )
    tag = tag_image("pit 0.90", 18, ORANGE)
    ((y, x),) = find(drawn, tag)
    assert abs(y + 9 - (top + 20)) <= 20 + 9 + 12 and abs(x + tag.shape[1] / 2 - (left + 30)) <= 30 + 32 + 12


def test_labels_are_capped_and_the_rest_is_counted() -> None:
    generator = np.random.default_rng(0)
    corners = generator.integers(0, (620, 460), (100, 2))
    defects = [box_defect(x, y, x + 12, y + 12) for x, y in corners.tolist()]
    drawn = draw_inspection(np.zeros(SIZE, np.uint8), inspected(SIZE, *defects))
    assert len(find(drawn, tag_image("pit 0.90", 18, ORANGE))) == MAX_LABELS
    assert find(drawn, written(f"and {100 - MAX_LABELS} more without a label", 18))


def test_the_severest_defects_have_the_labels() -> None:
    generator = np.random.default_rng(0)
    corners = generator.integers(0, (620, 460), (60, 2)).tolist()
    defects = [
        Defect("pit", 0.9, (x, y, x + 9, y + 9), (), Rectangle((0, 0), 9, 9, 0), 81, 1.0, severity)
        for severity, (x, y) in enumerate(corners)
    ]
    named = planned(SIZE, *defects).named
    assert [defect.severity_max for defect in named] == list(range(59, 59 - MAX_LABELS, -1))


def test_a_defect_that_fills_the_image_is_named_below_it() -> None:
    drawn = draw_inspection(np.full(SIZE, 90, np.uint8), inspected(SIZE, box_defect(0, 0, 640, 480)))
    ((top, _),) = find(drawn, tag_image("pit 0.90", 18, ORANGE))
    assert top >= 480
    assert (drawn[3:477, 3:637] == 90).all()


@pytest.mark.parametrize(("side", "scale"), [(16, 32), (200, 2), (256, 2), (257, 1), (512, 1), (600, 1)])
def test_a_small_image_is_enlarged_by_a_whole_number(side: int, scale: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (side, side), np.uint8)
    drawn = draw_inspection(image, inspected((side, side), verdict=Verdict.OK))
    enlarged = np.kron(image, np.ones((scale, scale), np.uint8))
    assert (drawn[: side * scale, : side * scale] == enlarged[:, :, None]).all()


@pytest.mark.parametrize(
    "size", [(16, 16), (480, 640), (6000, 8000), (4000, 60), (60, 4000), (1, 1), (1, 3000)]
)
def test_text_is_at_least_18_pixels_high_when_the_longer_side_is_shown_at_800(size: tuple[int, int]) -> None:
    picture = planned(size, box_defect(0, 0, size[1] / 2, size[0] / 2))
    drawn = picture.drawn()
    shown = max(size) * picture.scale
    assert picture.text * min(1, 800 / shown) >= 17.5
    assert drawn.shape[0] >= size[0] and drawn.shape[1] >= max(size[1], 17 * picture.text)
    assert all(picture.places), "the only label has a place"


def test_the_picture_of_a_long_strip_is_not_far_wider_than_it() -> None:
    drawn = draw_inspection(np.zeros((30_000, 10), np.uint8), inspected((30_000, 10)))
    assert 30_000 <= drawn.shape[0] < 31_000 and drawn.shape[1] <= 2048


def test_beside_a_narrow_image_labels_cover_nothing_of_it() -> None:
    picture = planned((4000, 60), *(box_defect(10, 400 * n, 40, 400 * n + 60) for n in range(9)))
    assert all(place and place.box[0] >= 60 for place in picture.places)


def test_a_long_name_is_shortened_before_its_figures_are() -> None:
    picture = planned(SIZE, box_defect(100, 100, 140, 140, "name " * 40))
    label = picture.label(picture.named[0])
    assert label.startswith("name name") and label.endswith("… 0.90")
    assert text_width(label, picture.text) <= 640


def test_classes_have_colours_of_their_own_that_stay() -> None:
    both = inspected(SIZE, box_defect(100, 100, 140, 140, "a"), box_defect(300, 100, 340, 140, "b"))
    drawn = draw_inspection(np.zeros(SIZE, np.uint8), both, class_names=["a", "b", "c"])
    assert find(drawn, tag_image("a 0.90", 18, ORANGE)) and find(drawn, tag_image("b 0.90", 18, SKY_BLUE))
    one = inspected(SIZE, box_defect(300, 100, 340, 140, "b"))
    drawn = draw_inspection(np.zeros(SIZE, np.uint8), one, class_names=["a", "b", "c"])
    assert find(drawn, tag_image("b 0.90", 18, SKY_BLUE))


def test_verdict_grade_and_reasons_stand_below() -> None:
    inspection = inspected(SIZE, grade="rework", reasons=("pit 3.2 mm long ≥ 3 mm", "pit severity 4 ≥ 3"))
    drawn = draw_inspection(np.zeros(SIZE, np.uint8), inspection)
    ((top, left),) = find(drawn, tag_image("NG 0.88 · rework", 18, VERMILION))
    assert top > 480 and left == 0
    for reason in inspection.reasons:
        assert find(drawn, written(reason, 18))


def test_an_image_without_findings_is_as_it_was() -> None:
    image = np.random.default_rng(0).integers(0, 65536, (300, 400), np.uint16)
    drawn = draw_inspection(image, inspected((300, 400), verdict=Verdict.OK, score=0.1))
    assert (drawn[:300] == for_screen(image)).all()


# Heat


def test_severity_is_laid_over_the_image_and_its_scale_is_below() -> None:
    severity = np.zeros(SIZE, np.float32)
    severity[45:55, 35:45] = np.linspace(0, 12, 10)[:, None]
    image = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
    inspection = inspected(SIZE, verdict=Verdict.OK, maps={"score_map": severity})
    drawn = draw_inspection(image, inspection, threshold=3.0)
    assert (drawn[:480] == blend_severity(image, severity, top=12.0)).all()
    ((top, zero),) = find(drawn, written("pixel score 0", 18))
    start = zero + written("pixel score 0", 18).shape[1]
    bar = drawn[top + 9, start : start + 108]
    gray = np.full((1, 108), 128, np.uint8)
    scale = blend_severity(gray, np.linspace(0, 12, 108, dtype=np.float32)[None], top=12.0)[0]
    mark = (bar == INK).all(axis=1)
    assert abs(np.flatnonzero(mark).mean() - 3 / 12 * 107) <= 0.5
    assert (bar[~mark] == scale[~mark]).all()
    assert find(drawn, written("12", 18)) and find(drawn, written("▏defect from 3", 18))


@pytest.mark.parametrize("threshold", [None, 13.0])
def test_a_threshold_beyond_the_scale_is_not_marked(threshold: float | None) -> None:
    inspection = inspected(SIZE, verdict=Verdict.OK, maps={"score_map": np.ones(SIZE, np.float32)})
    drawn = draw_inspection(np.zeros(SIZE, np.uint8), inspection, threshold=threshold)
    ((top, zero),) = find(drawn, written("pixel score 0", 18))
    bar = drawn[top + 9, zero + written("pixel score 0", 18).shape[1] :][:108]
    assert not (bar == INK).all(axis=1).any()


def test_heat_follows_the_methods_own_top() -> None:
    severity = np.zeros(SIZE, np.float32)
    severity[80:100, 200:240] = 0.9
    inspection = inspected(SIZE, maps={"score_map": severity})
    image = np.full(SIZE, 128, np.uint8)
    images = [draw_inspection(image, inspection, score_map_max=top) for top in (1.0, 12.0, None)]
    hot, cold, none = (np.abs(drawn[90, 220].astype(int) - 128).sum() for drawn in images)
    assert hot > 5 * cold
    assert none == 0 and not find(images[2], written("pixel score 0", 18))


def test_evidence_is_drawn_as_heat_and_its_spread_named() -> None:
    cam = np.zeros(SIZE, np.float32)
    cam[80:100, 200:240], cam[60:70, 20:30] = 1.0, 0.2
    image = np.full(SIZE, 128, np.uint8)
    drawn = draw_inspection(image, inspected(SIZE, maps={"heat_map": cam}, spread=0.07))
    assert (drawn[:480] == blend_severity(image, cam, top=1.0)).all()
    assert find(drawn, tag_image("NG 0.88 ± 0.07", 18, VERMILION))
    assert find(drawn, written("evidence 0", 18)) and find(drawn, written("1", 18))


def test_of_two_heats_severity_is_drawn_where_there_are_defects_and_else_what_the_verdict_rests_on() -> None:
    image = np.random.default_rng(0).integers(0, 256, SIZE, np.uint8)
    severity, cam = np.zeros((2, *SIZE), np.float32)
    severity[90:100, 200:240], cam[90:100, 50:90] = 12.0, 1.0
    for defects, hot, cold in (((box_defect(500, 300, 506, 306),), severity, cam), ((), cam, severity)):
        maps = {"score_map": severity, "heat_map": cam}
        drawn = draw_inspection(image, inspected(SIZE, *defects, maps=maps))[:480]
        expected = blend_severity(image, hot, top=float(hot.max()))
        assert (drawn[hot > 0] == expected[hot > 0]).all()
        assert (drawn[cold > 0] == for_screen(image)[cold > 0]).all()


def test_labels_say_sizes_in_mm_where_the_scale_is_known_and_the_grade() -> None:
    rectangle = Rectangle((0, 0), 64.2, 8.26, 0)
    known = Defect("crack", 0.913, (0, 0, 64, 8), (), rectangle, 300.0, 5.0, 7.3, mm_per_px=0.05)
    assert defect_figures(known) == "0.91 · severity 7.3 · 3.21 × 0.413 mm"
    unknown = Defect("crack", 0.913, (0, 0, 64, 8), (), rectangle, 300.0)
    assert defect_figures(unknown) == "0.91" and unknown.size_text == "64 × 8 px"
    inspection = Inspection("a.png", (80, 80), Verdict.NG, 0.5, (), "b", grade="rework", decision=1)
    assert verdict_text(inspection) == "NG 0.50 · rework"


def test_the_margin_can_be_read() -> None:
    light, dark = relative_luminance(INK), relative_luminance(PAPER)
    assert (light + 0.05) / (dark + 0.05) >= 7
