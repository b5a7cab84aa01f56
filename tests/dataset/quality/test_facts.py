"""Facts on a dataset: widths of regions, rare classes, and which images count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.dataset.quality.facts import facts_of, width_of
from blemish.dataset.samples import Annotation, Dataset, Sample


@pytest.mark.parametrize("width", [3, 8, 25])
@pytest.mark.parametrize("angle", [0, 30, 90])
def test_the_width_of_a_strip_is_its_shorter_side(width: int, angle: int) -> None:
    mask = np.zeros((300, 300), np.uint8)
    corners = cv2.boxPoints(((150.0, 150.0), (240.0, float(width)), float(angle)))
    cv2.fillPoly(mask, [np.round(corners * 16).astype(np.int32)], 1, shift=4)
    drawn = mask.sum() / 240
    assert width_of(mask > 0) == pytest.approx(drawn, rel=0.15, abs=0.5)


def test_the_width_of_a_disc_is_two_thirds_of_its_diameter() -> None:
    y, x = np.mgrid[:121, :121] - 60
    assert width_of(x**2 + y**2 <= 50**2) == pytest.approx(2 / 3 * 101, rel=0.03)
    assert width_of(np.zeros((3, 3), bool)) == 0


def outlined(root: Path, name: str, label: str, side: int, split: str | None = None) -> Sample:
    image = np.full((64, 64), 90, np.uint8)
    cv2.imwrite(str(root / name), image)
    square = np.array([[2, 2], [2 + side, 2], [2 + side, 62], [2, 62]], float)
    return Sample(root / name, name, (Annotation(label, polygons=(square,)),), split=split)


def test_test_images_are_counted_but_not_learned_from(tmp_path: Path) -> None:
    samples = [outlined(tmp_path, f"{i}.png", "scratch", 4) for i in range(6)]
    samples += [outlined(tmp_path, f"t{i}.png", "dent", 30, split="test") for i in range(9)]
    samples += [outlined(tmp_path, "d.png", "dent", 10)]
    clean = replace(samples[0], id="clean", annotations=())
    facts = facts_of(Dataset(tmp_path, (*samples, clean), ("scratch", "dent", "none")))
    assert (facts.good, facts.defective, facts.outlined, facts.placed, facts.tested) == (1, 16, 16, 16, 9)
    assert facts.classes == {"scratch": 6, "dent": 10}
    assert facts.few == ("dent",), "one in six outside the test"
    assert {label: len(widths) for label, widths in facts.widths.items()} == {"scratch": 6, "dent": 1}
    assert facts.widths["scratch"][0] == pytest.approx(4, rel=0.15)


def test_marks_that_are_no_outlines_are_counted_as_what_they_are(tmp_path: Path) -> None:
    box, label = Annotation("a", box_xyxy=(1, 1, 5, 5)), Annotation("a")
    images = [(box,), (label,), (box, label), ()]
    samples = [Sample(tmp_path / f"{i}.png", str(i), marks) for i, marks in enumerate(images)]
    facts = facts_of(Dataset(tmp_path, tuple(samples), ("a",)))
    assert (facts.good, facts.defective, facts.outlined, facts.placed) == (1, 3, 0, 1)
    assert facts.tested is None and facts.widths == {}
