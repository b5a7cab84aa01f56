"""Answers of peers, read back by other readers."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from benchmarks.peers.answers import in_unit, write_boxes, write_map, write_scores
from benchmarks.peers.task import PlainImage, Task, TrainImage, read_task, write_task

TASK = Task(
    "boxes",
    ("scratch", "dent"),
    train=(
        TrainImage("a/1.png", "/x/a/1.png", (40, 60), boxes=((1.5, 2, 10, 20),), labels=(1,), defective=True),
    ),
    predict=(PlainImage("a/2.png", "/x/a/2.png", (40, 60)), PlainImage("b/2.png", "/x/b/2.png", (30, 20))),
)


def test_a_task_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_task(TASK, tmp_path / "new")
    assert read_task(tmp_path / "new") == TASK


def test_boxes_are_a_coco_file_that_lists_images_without_any(tmp_path: Path) -> None:
    file = write_boxes(tmp_path, TASK, {"b/2.png": [((2, 3, 12, 9), 1, 0.75), ((0, 0, 4, 5), 0, 1.0000001)]})
    coco = COCO(str(file))
    assert [one["file_name"] for one in coco.loadImgs(coco.getImgIds())] == ["a/2.png", "b/2.png"]
    first, second = coco.loadAnns(coco.getAnnIds())
    assert coco.loadImgs(first["image_id"])[0]["file_name"] == "b/2.png"
    assert coco.loadCats(first["category_id"])[0]["name"] == "dent"
    assert (first["bbox"], first["area"], first["score"]) == ([2, 3, 10, 6], 60, 0.75)
    assert (coco.loadCats(second["category_id"])[0]["name"], second["score"]) == ("scratch", 1)


def test_scores_of_any_scale_keep_their_order_inside_0_and_1(tmp_path: Path) -> None:
    scores = {f"{number}.png": score for number, score in enumerate([-3.0, 0.5, 700.0, 0.4, 12.0])}
    with write_scores(tmp_path, scores).open() as stream:
        read = {row["image"]: float(row["score"]) for row in csv.DictReader(stream)}
    assert sorted(read, key=read.__getitem__) == sorted(scores, key=scores.__getitem__)
    assert all(0 < score < 1 for score in read.values())
    assert read["1.png"] == 0.5  # the median


def test_equal_scores_stay_equal() -> None:
    assert in_unit({"a": 2.0, "b": 2.0}) == {"a": 0.5, "b": 0.5}


def test_maps_are_pngs_of_16_bits_named_like_their_image(tmp_path: Path) -> None:
    values = np.linspace(-0.1, 1.1, 35 * 50).reshape(35, 50)
    file = write_map(tmp_path, "image/001.jpg", values)
    assert file == tmp_path / "maps" / "image" / "001.jpg.png"
    stored = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    assert stored / 65535 == pytest.approx(values.clip(0, 1), abs=1e-5)
