"""Pixels and instances from annotations, against Pillow, matplotlib paths and hand-drawn cases."""

from __future__ import annotations

from pathlib import Path

import builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline

from blemish.dataset.mask_files import mask_facts
from blemish.dataset.masks import class_map, defect_instances, polygon_mask
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, MaskFile, RunLengths, Sample
from blemish.errors import BlemishError

SIZE = builders.SIZE


def sample_of(*annotations: Annotation) -> Sample:
    return Sample(Path("image.png"), "image.png", annotations)


def test_later_annotations_lie_on_top_and_boxes_are_not_drawn(tmp_path: Path) -> None:
    low = MaskFile(builders.mask(tmp_path / "low.png", (0, 0, 10, 10)))
    high = MaskFile(builders.mask(tmp_path / "high.png", (5, 5, 15, 15)))
    sample = sample_of(
        Annotation("b", mask=low),
        Annotation("a", mask=high),
        Annotation("a", (20, 0, 25, 5)),
        Annotation("b"),
    )
    expected = np.zeros(SIZE, np.uint8)
    expected[:10, :10] = 2
    expected[5:15, 5:15] = 1
    classes = class_map(sample, ("a", "b"), SIZE)
    assert classes.dtype == np.uint8
    assert np.array_equal(classes, expected)


def test_mask_of_another_size_names_both_files_and_sizes(tmp_path: Path) -> None:
    mask = MaskFile(builders.mask(tmp_path / "m.png", (0, 0, 2, 2), size=(8, 9)))
    with pytest.raises(BlemishError, match=r"m\.png of 9×8 for image\.png of 30×20 \(width×height\)"):
        class_map(sample_of(Annotation("a", mask=mask)), ("a",), SIZE)
    with pytest.raises(BlemishError, match="run-length mask of 9×8"):
        defect_instances(sample_of(Annotation("a", mask=RunLengths((72,), (8, 9)))), SIZE)


def test_unknown_class_is_named_with_the_nearest(tmp_path: Path) -> None:
    sample = sample_of(Annotation("scratsh", polygons=(((0, 0), (5, 0), (5, 5)),)))
    with pytest.raises(
        BlemishError, match=r"image\.png must be marked.*'scratsh'\. Did you mean 'scratch'\?"
    ):
        class_map(sample, ("dent", "scratch"), SIZE)


@pytest.mark.parametrize(("above", "expected"), [(127, 4), (0, 9), (128, 0)])
def test_gray_masks_count_above_the_limit(tmp_path: Path, above: int, expected: int) -> None:
    pixels = np.zeros(SIZE, np.uint8)
    pixels[2:5, 2:5] = 50
    pixels[2:4, 2:4] = 128
    path = builders.save(tmp_path / "m.png", pixels)
    sample = sample_of(Annotation("a", mask=MaskFile(path, above=above)))
    assert class_map(sample, ("a",), SIZE).sum() == expected
    assert mask_facts(path).top == 128


def test_colours_share_out_blurred_edges(tmp_path: Path) -> None:
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[:, 10:12] = [(100, 0, 0), (160, 0, 0)]  # black fading into red
    pixels[:, 12:16] = (255, 0, 0)
    pixels[:, 16:18] = [(255, 100, 0), (255, 160, 0)]  # red fading into yellow
    pixels[:, 18:22] = (255, 255, 0)
    path = builders.save(tmp_path / "m.png", pixels)
    red, yellow = (255, 0, 0), (255, 255, 0)
    sample = sample_of(
        Annotation("red", mask=MaskFile(path, colour=red, other_colours=(yellow,))),
        Annotation("yellow", mask=MaskFile(path, colour=yellow, other_colours=(red,))),
    )
    row = class_map(sample, ("red", "yellow"), SIZE)[0]
    assert row.tolist() == [0] * 11 + [1] * 6 + [2] * 5 + [0] * 8


def test_polygon_holds_the_pixels_whose_centre_it_holds() -> None:
    square = ((2.0, 3.0), (6.0, 3.0), (6.0, 5.0), (2.0, 5.0))
    mask = polygon_mask([square], SIZE)
    assert mask[3:5, 2:6].all()
    assert mask.sum() == 8


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-40, 340), st.integers(-40, 240)), min_size=3, max_size=5))
def test_polygon_agrees_with_matplotlib(corners: list[tuple[int, int]]) -> None:
    # Tenths of a pixel, off the centres, so that no centre lies on an edge's end.
    polygon = tuple((x / 10 + 0.013, y / 10 + 0.007) for x, y in corners)
    mask = polygon_mask([polygon], SIZE)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    centres = np.stack([columns + 0.5, rows + 0.5], axis=-1).reshape(-1, 2)
    inside = even_odd(np.array(polygon), centres).reshape(SIZE)
    assert np.array_equal(mask, inside)
    if len(corners) == 3:
        outline = Outline([*polygon, polygon[0]], closed=True)
        assert (outline.contains_points(centres).reshape(SIZE) ^ mask).sum() <= 1


def even_odd(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Ray casting to the left, one point and one edge at a time."""
    inside = []
    for x, y in points:
        crossings = 0
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if (y1 <= y) != (y2 <= y) and x1 + (y - y1) * (x2 - x1) / (y2 - y1) <= x:
                crossings += 1
        inside.append(crossings % 2 == 1)
    return np.array(inside)


def test_parts_of_a_polygon_annotation_are_one_defect() -> None:
    parts = (((0, 0), (4, 0), (4, 4), (0, 4)), ((10, 10), (12, 10), (12, 12), (10, 12)))
    (found,) = defect_instances(sample_of(Annotation("a", polygons=parts, id="7")), SIZE)
    assert (found.box_xyxy, found.id) == ((0, 0, 12, 12), "7")
    assert found.mask is not None
    assert found.mask.shape == (12, 12)
    assert found.mask.sum() == 16 + 4


def test_mask_file_is_split_and_near_regions_are_joined(tmp_path: Path) -> None:
    path = builders.mask(tmp_path / "m.png", (0, 0, 3, 3), (5, 0, 8, 3), (20, 10, 25, 15))
    sample = sample_of(Annotation("a", mask=MaskFile(path), contrast=-9, id="x"))
    joined = defect_instances(sample, SIZE, join_distance=4)
    assert [found.box_xyxy for found in joined] == [(0, 0, 8, 3), (20, 10, 25, 15)]
    assert [(found.contrast, found.id) for found in joined] == [(-9, "x-1"), (-9, "x-2")]
    assert len(defect_instances(sample, SIZE, join_distance=2)) == 3


def test_boxes_run_lengths_and_labels_as_instances() -> None:
    pixels = np.zeros(SIZE, np.bool_)
    pixels[4:6, 7:9] = True
    pixels[15, 20] = True
    sample = sample_of(
        Annotation("box", (1.5, 2.5, 3.5, 4.5)), Annotation("runs", mask=encode(pixels)), Annotation("label")
    )
    box, runs = defect_instances(sample, SIZE)
    assert (box.label, box.mask, box.box_xyxy) == ("box", None, (1.5, 2.5, 3.5, 4.5))
    assert runs.box_xyxy == (7, 4, 21, 16)
    assert np.array_equal(runs.mask, pixels[4:16, 7:21])


def test_empty_mask_gives_nothing_and_a_hairline_keeps_its_box(tmp_path: Path) -> None:
    empty = MaskFile(builders.mask(tmp_path / "m.png"))
    hairline = ((1.0, 1.1), (9.0, 1.1), (9.0, 1.2))
    assert defect_instances(sample_of(Annotation("a", mask=empty)), SIZE) == []
    marked = Annotation("a", (1, 1.1, 9, 1.2), polygons=(hairline,))
    (found,) = defect_instances(sample_of(marked), SIZE)
    assert (found.mask, found.box_xyxy) == (None, (1, 1.1, 9, 1.2))


def test_broken_run_lengths_are_an_error() -> None:
    with pytest.raises(BlemishError, match="run lengths sum to 7, not to 20×30"):
        class_map(sample_of(Annotation("a", mask=RunLengths((3, 4), SIZE))), ("a",), SIZE)
