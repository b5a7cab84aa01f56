"""Marks below a pixel: each target holds them so that they can be read again, or says that it cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.convert import WRITERS, convert
from blemish.dataset.convert.voc import a_pixel_at_least
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset import builders

TINY = [5, 5, 5.5, 5, 5.5, 5.5]
WHOLE = [3, 3, 20, 3, 20, 20]


def outlined(root: Path) -> Dataset:
    """Image a with an outline below a pixel, and b with one of many."""
    for name in "ab":
        builders.write_image(root / "images" / f"{name}.png")
    marks = [
        {"id": number, "image_id": number, "category_id": 1, "segmentation": [polygon]}
        for number, polygon in enumerate((TINY, WHOLE), start=1)
    ]
    images = [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate("ab", start=1)]
    content = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "dent"}]}
    builders.text(root / "a.json", json.dumps(content))
    return load_dataset(root)


@pytest.mark.parametrize("to", WRITERS)
def test_no_mark_below_a_pixel_makes_an_image_clean(tmp_path: Path, to: str) -> None:
    dataset = outlined(tmp_path / "in")
    try:
        answer = convert(dataset, tmp_path / "out", to)
    except BlemishError as error:
        assert f"{to} must have outlines that enclose a pixel. Received: images/a.png" in str(error)
        assert to in {"masks", "yolo-seg"}
        return
    assert any("outlines without a pixel become boxes: 1" in line for line in answer.warnings)
    again = load_dataset(tmp_path / "out")
    assert sum(sample.is_defective for sample in again) == 2
    assert check_dataset(again).usable


@pytest.mark.parametrize("to", ["masks", "yolo-seg"])
def test_marks_below_a_pixel_are_left_out_on_request_with_their_image(tmp_path: Path, to: str) -> None:
    answer = convert(outlined(tmp_path / "in"), tmp_path / "out", to, skip_broken=True)
    assert (answer.images, answer.annotations) == (1, 1)
    assert [*answer.images_left_out] == ["images/a.png"]
    assert not any("become boxes" in line for line in answer.warnings)
    assert [sample.is_defective for sample in load_dataset(tmp_path / "out")] == [True]


def test_voc_boxes_are_widened_with_a_word(tmp_path: Path) -> None:
    answer = convert(outlined(tmp_path / "in"), tmp_path / "out", "voc")
    assert "voc has boxes of a pixel at least: 1 are widened to that" in answer.warnings
    boxes = [sample.annotations[0].box_xyxy for sample in load_dataset(tmp_path / "out")]
    assert boxes == [(5, 5, 6, 6), (3, 3, 20, 20)]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_a_widened_box_lies_in_its_image_and_holds_the_other(
    height: int, width: int, data: st.DataObject
) -> None:
    x = sorted(data.draw(st.tuples(*[st.floats(0, width)] * 2)))
    y = sorted(data.draw(st.tuples(*[st.floats(0, height)] * 2)))
    left, top, right, bottom = a_pixel_at_least((x[0], y[0], x[1], y[1]), (height, width))
    assert 0 <= left <= x[0]
    assert 0 <= top <= y[0]
    assert right >= x[1]
    assert bottom >= y[1]
    assert left + 1 <= right <= width
    assert top + 1 <= bottom <= height
