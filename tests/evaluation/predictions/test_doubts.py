"""Predictions that are read as they stand, but look like something else: a note says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blemish.errors import BlemishError


def results(*boxes: tuple[float, float, float, float]) -> list[dict[str, Any]]:
    """A result of image 1 for each box."""
    return [{"image_id": 1, "category_id": 7, "bbox": list(box), "score": 0.9} for box in boxes]


def notes(measured: Any, path: Path, data: Path) -> str:
    return " ".join(measured(path, data, none_found=True)[1])


@pytest.mark.parametrize(
    ("boxes_xywh", "note"),
    [
        ([(2, 3, 10, 8)] * 2, "1 result is equal to another of the same image"),
        ([(2, 3, 10, 8)] * 2 + [(1, 1, 4, 4)] * 3, "3 results are equal to another of the same image"),
        ([(0.1, 0.1, 0.3, 0.4), (0.5, 0.5, 0.5, 0.5)], "are they shares of width and height?"),
        ([(20, 12, 28, 18)], "or written as corners [x1, y1, x2, y2]?"),
    ],
)
def test_doubtful_boxes_are_told_of(
    tmp_path: Path, boxes: Path, measured: Any, written: Any, boxes_xywh: Any, note: str
) -> None:
    assert note in notes(measured, written(tmp_path / "r.json", results(*boxes_xywh)), boxes)


def test_images_in_no_split_are_measured_with_all(tmp_path: Path, written: Any, measured: Any) -> None:
    import cv2
    import numpy as np

    for folder in ("good", "bad"):
        (tmp_path / "set" / folder).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "set" / folder / f"{folder}.png"), np.zeros((9, 9), np.uint8))
    file = written(tmp_path / "s.csv", "image,score\ngood,0.1\nbad,0.9\n")
    with pytest.raises(BlemishError, match=r"It has: no split \(2\)\. Give --split all, or make splits"):
        measured(file, tmp_path / "set")
    evaluation, _ = measured(file, tmp_path / "set", "all")
    assert evaluation.metrics["image"]["auroc"] == 1.0


def test_plain_boxes_raise_no_doubt(tmp_path: Path, boxes: Path, measured: Any, written: Any) -> None:
    plain = results((2, 3, 10, 8), (2, 3, 10, 7), (0.2, 0.2, 0.5, 2))
    said = notes(measured, written(tmp_path / "r.json", plain), boxes)
    assert not any(word in said for word in ("equal", "shares", "corners", "inverted"))


@pytest.mark.parametrize(
    ("scores", "note"),
    [
        (
            (0.1, 0.2, 0.9),
            "Clean images score higher than defective ones (AUROC 0.00): are the scores inverted?",
        ),
        ((0.5, 0.5, 0.5), "All images have the score 0.5: it tells none from another."),
        ((0.1, 0.9, 0.5), ""),
        ((0.9, 0.8, 0.1), ""),
    ],
)
def test_scores_that_tell_nothing_or_the_contrary_are_told_of(
    tmp_path: Path, boxes: Path, measured: Any, written: Any, scores: tuple[float, ...], note: str
) -> None:
    table = "".join(f"{name},{score}\n" for name, score in zip("abc", scores, strict=True))
    said = notes(measured, written(tmp_path / "s.csv", f"image,score\n{table}"), boxes)
    assert note in said
    assert bool(note) == ("inverted" in said or "tells none" in said)
