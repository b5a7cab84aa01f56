"""Boxes of every kind of annotation, and what becomes of odd ones."""

from __future__ import annotations

from pathlib import Path

import builders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.arrays import Box
from blemish.dataset.boxes import Boxed, boxed_instances, cleaned_boxes, cut
from blemish.dataset.samples import Annotation, MaskFile, Sample

SIZE = (20, 30)


def sample(*annotations: Annotation) -> Sample:
    return Sample(Path("a.png"), "folder/a.png", annotations)


def test_a_box_a_polygon_and_an_image_label() -> None:
    corner = ((2.0, 2.0), (8.0, 2.0), (8.0, 4.0), (4.0, 4.0), (4.0, 9.0), (2.0, 9.0))
    found = boxed_instances(
        sample(
            Annotation("label"), Annotation("box", (1, 2, 5, 6.5)), Annotation("polygon", None, (corner,))
        ),
        SIZE,
    )
    assert found == [
        Boxed("box", (1, 2, 5, 6.5), "folder/a.png#1"),
        Boxed("polygon", (2, 2, 8, 9), "folder/a.png#2"),
    ]


def test_an_annotation_s_own_id_names_its_box() -> None:
    assert boxed_instances(sample(Annotation("a", (0, 0, 2, 2), id="17")), SIZE)[0].id == "folder/a.png#17"


def test_each_region_of_a_mask_file_is_a_box_with_its_own_id(tmp_path: Path) -> None:
    mask = builders.mask(tmp_path / "m.png", (2, 3, 9, 8), (20, 10, 25, 15), size=SIZE)
    found = boxed_instances(sample(Annotation("hole", mask=MaskFile(mask))), SIZE)
    assert {(box.id, box.box_xyxy) for box in found} == {
        ("folder/a.png#0-1", (2, 3, 9, 8)),
        ("folder/a.png#0-2", (20, 10, 25, 15)),
    }


def test_a_speck_beside_a_region_is_left_out_and_one_alone_is_not(tmp_path: Path) -> None:
    both = builders.mask(tmp_path / "m.png", (2, 3, 9, 8), (20, 10, 21, 12), size=SIZE)
    alone = builders.mask(tmp_path / "n.png", (20, 10, 21, 12), size=SIZE)
    found = cleaned_boxes(sample(Annotation("hole", mask=MaskFile(both))), SIZE)
    assert [box.box_xyxy for box in found.boxes] == [(2, 3, 9, 8)]
    assert len(found.notes) == 1 and "speck" in found.notes[0] and "(20, 10, 21, 12)" in found.notes[0]
    assert len(boxed_instances(sample(Annotation("hole", mask=MaskFile(alone))), SIZE)) == 1


@pytest.mark.parametrize(
    ("box", "kept", "words"),
    [
        ((-5, 4, 10, 12), (0, 4, 10, 12), "is cut to the image"),
        ((40, 4, 50, 12), None, "left out: none of its area"),
        ((4, 4, 4, 12), None, "left out: none of its area"),
        ((0, 0, 30, 20), (0, 0, 30, 20), "covers the whole image"),
        ((-1, -1, 31, 21), (0, 0, 30, 20), "covers the whole image"),
    ],
)
def test_odd_boxes_are_cut_or_left_out_and_named(box: Box, kept: Box | None, words: str) -> None:
    found = cleaned_boxes(sample(Annotation("a", box)), SIZE)
    assert [each.box_xyxy for each in found.boxes] == ([] if kept is None else [kept])
    assert len(found.notes) == 1 and words in found.notes[0] and "folder/a.png#0" in found.notes[0]


def test_a_good_box_has_no_note() -> None:
    assert cleaned_boxes(sample(Annotation("a", (0, 0, 30, 19))), SIZE).notes == ()


numbers = st.floats(-50, 80, width=32)


@given(numbers, numbers, numbers, numbers)
def test_cut_keeps_exactly_the_pixels_shared_with_the_image(
    x1: float, y1: float, x2: float, y2: float
) -> None:
    inside = cut((x1, y1, x2, y2), SIZE)
    points = [(x + 0.5, y + 0.5) for x in range(30) for y in range(20)]
    held = {(x, y) for x, y in points if x1 <= x < x2 and y1 <= y < y2}
    if inside is None:
        assert not held
    else:
        assert held == {
            (x, y) for x, y in points if inside[0] <= x < inside[2] and inside[1] <= y < inside[3]
        }
        assert 0 <= inside[0] < inside[2] <= 30 and 0 <= inside[1] < inside[3] <= 20


def test_crowd_and_difficult_regions_are_apart_and_repeats_are_dropped() -> None:
    crowd = Annotation("hole", (10, 0, 30, 20), crowd=True, id="c")
    difficult = Annotation(
        "hole", polygons=(((0.0, 10.0), (5.0, 10.0), (5.0, 15.0), (0.0, 15.0)),), difficult=True
    )
    box = Annotation("hole", (1, 2, 5, 6))
    found = cleaned_boxes(sample(crowd, box, difficult, box), SIZE)
    assert found.boxes == (Boxed("hole", (1, 2, 5, 6), "folder/a.png#1"),)
    assert found.ignored == (
        Boxed("hole", (10, 0, 30, 20), "folder/a.png#c"),
        Boxed("hole", (0, 10, 5, 15), "folder/a.png#2"),
    )
    assert boxed_instances(sample(crowd, difficult), SIZE) == []
