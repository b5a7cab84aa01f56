"""Sizes, shapes and anchors of rare classes, by hand."""

from __future__ import annotations

import json
from pathlib import Path

import builders
import pytest

from blemish.dataset.boxes import Boxed
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.quality.rarity import rare_classes, shape_findings, usual_scale

SIZE = (200, 200)  # scaled by 4, so that 8 px are the smallest anchor's 32


def boxes(label: str, *sides: tuple[int, int]) -> list[tuple[tuple[int, int], list[Boxed]]]:
    return [(SIZE, [Boxed(label, (1, 1, 1 + width, 1 + height), "x")]) for width, height in sides]


def test_rare_is_a_third_of_the_most_frequent() -> None:
    assert rare_classes({"dent": 30, "fray": 10, "chip": 11, "none": 0}) == ("fray",)
    assert rare_classes({}) == ()


@pytest.mark.parametrize(("size", "scale"), [((200, 200), 4), ((400, 1000), 1.333), ((1600, 2000), 0.5)])
def test_images_are_scaled_as_detectors_do(size: tuple[int, int], scale: float) -> None:
    assert usual_scale(size) == pytest.approx(scale)


def test_small_flat_rare_boxes_are_said_to_be_so() -> None:
    common = boxes("dent", *[(30 + i, 30) for i in range(10)])
    findings = shape_findings([*common, *boxes("fray", (40, 2), (50, 2))], {"dent": 10, "fray": 2})
    assert findings is not None
    text = " ".join(findings["sentences"])
    assert "100% of 2 'fray' are smaller than usual: median 9 px, common ones lie between" in text
    assert "100% of 2 'fray' are flatter than usual: median height / width 0.045" in text
    assert "100% of 2 boxes of 'fray' fit none of a detector's usual anchors (32 to 512 px" in text
    assert "'dent'" not in text
    assert findings["rare"] == ["fray"]
    json.dumps(findings, allow_nan=False)


def test_anchors_are_held_against_the_scaled_image() -> None:
    """A box of 3 px is 12 px to the detector, and fills 144 of the smallest anchor's 1024 px² (IoU 0.14)."""
    findings = shape_findings(boxes("dent", (3, 3), (8, 8)), {"dent": 2})
    assert findings is not None
    assert findings["classes"]["dent"]["off_anchors"] == 0.5
    assert findings["classes"]["dent"]["size"]["0.5"] == 5.5


def test_no_boxes_no_findings() -> None:
    assert shape_findings([(SIZE, [])], {"dent": 3}) is None


def test_a_check_tells_them_of_outlines_too(tmp_path: Path) -> None:
    for number in range(7):
        builders.write_image(tmp_path / "MT_Dent" / f"{number}.jpg", size=(100, 100))
        builders.mask(tmp_path / "MT_Dent" / f"{number}.png", (20, 20, 60, 60), size=(100, 100))
    builders.write_image(tmp_path / "MT_Fray" / "x.jpg", size=(100, 100))
    builders.mask(tmp_path / "MT_Fray" / "x.png", (5, 5, 95, 8), size=(100, 100))
    report = check_dataset(load_dataset(tmp_path))
    assert any("100% of 1 'Fray' are flatter" in problem.message for problem in report.problems)
    assert report.to_json()["shapes"]["classes"]["Dent"]["size"]["0.5"] == 40
