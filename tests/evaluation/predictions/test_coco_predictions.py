"""COCO results against the reference implementation, and what they may not be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_sets import CLASSES, HEIGHT, WIDTH, box, outlined, write_dataset
from pycocotools import mask as reference_masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from blemish.dataset.run_lengths import encode
from blemish.errors import BlemishError

Write = Callable[[Path, Any], Path]


def random_box(generator: np.random.Generator) -> list[float]:
    left, top = generator.uniform(0, 12, 2)
    return [round(float(v), 2) for v in (left, top, *generator.uniform(3, 7, 2))]


@pytest.mark.parametrize("seed", range(3))
def test_ap_is_that_of_pycocotools_on_the_same_two_files(
    tmp_path: Path, measured: Any, written: Write, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    kinds = list(CLASSES)
    marks = {
        f"i{n}": [box(int(generator.choice(kinds)), *random_box(generator), iscrowd=0) for _ in range(3)]
        for n in range(6)
    }
    for of_image in marks.values():
        for each in of_image:
            each["area"] = each["bbox"][2] * each["bbox"][3]
    root = write_dataset(tmp_path / "data", {"test": marks})
    results = [
        {
            "image_id": number,
            "category_id": each["category_id"] if generator.random() < 0.8 else int(generator.choice(kinds)),
            "bbox": [
                round(v + float(d), 2) for v, d in zip(each["bbox"], generator.normal(0, 0.7, 4), strict=True)
            ],
            "score": round(float(generator.uniform(0.01, 1)), 6),
        }
        for number, of_image in enumerate(marks.values(), start=1)
        for each in of_image * 2
    ]
    file = written(tmp_path / "results.json", results)
    evaluation, _ = measured(file, root)
    truth = COCO(str(root / "instances_test.json"))
    reference = COCOeval(truth, truth.loadRes(str(file)), "bbox")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    ours = evaluation.metrics["detection"]
    assert ours["map50_95"] == pytest.approx(reference.stats[0], abs=1e-9)
    assert ours["map50"] == pytest.approx(reference.stats[1], abs=1e-9)


def run_lengths(x: int, y: int, w: int, h: int, *, packed: bool) -> dict[str, Any]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    if packed:
        encoded = reference_masks.encode(mask)
        return {"size": encoded["size"], "counts": encoded["counts"].decode()}
    return {"size": [HEIGHT, WIDTH], "counts": list(encode(mask > 0).counts)}


@pytest.mark.parametrize("form", ["polygons", "packed", "plain"])
def test_outlines_are_measured_by_pixels(
    outlines: Path, tmp_path: Path, measured: Any, written: Write, form: str
) -> None:
    """Half of a's dent is found, b's scratch whole, and a false alarm of 20 pixels on c."""
    places = {1: (7, 2, 3, 10, 4), 2: (3, 5, 5, 12, 4), 3: (7, 0, 0, 5, 4)}
    results = []
    for number, (category, *place) in places.items():
        each = outlined(category, *place, image_id=number, score=0.9)
        if form != "polygons":
            each["segmentation"] = run_lengths(*place, packed=form == "packed")
        results.append(each)
    evaluation, _ = measured(written(tmp_path / "r.json", results), outlines)
    pixel, defect = evaluation.metrics["pixel"], evaluation.metrics["defect"]
    assert pixel["precision"] == pytest.approx(88 / 108) and pixel["recall"] == pytest.approx(88 / 128)
    assert defect["mean_iou"] == pytest.approx(0.75)
    assert evaluation.metrics["image"]["accuracy"] == pytest.approx(2 / 3)
    assert "detection" not in evaluation.metrics


def test_numbers_mean_the_measured_splits_images_and_a_whole_file_its_own(
    boxes: Path, tmp_path: Path, measured: Any, written: Write
) -> None:
    results = [box(7, 2, 3, 10, 8, image_id=1, score=0.9), box(3, 5, 5, 12, 4, image_id=2, score=0.8)]
    listed, notes = measured(written(tmp_path / "list.json", results), boxes, none_found=True)
    assert listed.metrics["image"]["accuracy"] == 1
    assert notes[1] == "1 of 3 images have no prediction and count as clean."
    images = [{"id": n, "file_name": f"images/{name}.png"} for n, name in ((30, "a"), (20, "b"), (10, "c"))]
    whole = {
        "images": images,
        "categories": [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent"}],
        "annotations": [
            box(2, 2, 3, 10, 8, image_id=30, score=0.9),
            box(1, 5, 5, 12, 4, image_id=20, score=0.8),
        ],
    }
    file, _ = measured(written(tmp_path / "whole.json", whole), boxes)
    for evaluation in (listed, file):
        assert evaluation.metrics["type"]["accuracy"] == 1
        assert evaluation.metrics["detection"]["map50_95"] == pytest.approx(1)


def test_the_threshold_is_chosen_on_val_where_that_is_covered(
    boxes: Path, tmp_path: Path, measured: Any, written: Write
) -> None:
    """On val the dent scores 0.3 and the clean image 0.1: half-way between them 0.3 is NG, 0.15 is not."""
    named = [("d", 0.3), ("e", 0.1), ("a", 0.3), ("b", 0.25), ("c", 0.15)]
    results = [box(7, 2, 3, 10, 8, file_name=f"{name}.png", score=score) for name, score in named]
    evaluation, notes = measured(written(tmp_path / "r.json", results), boxes)
    point = evaluation.metrics["operating_point"]
    assert point["threshold"] == pytest.approx(0.2) and point["rule"] == "f1"
    assert point["chosen_on"]["escapes"]["of"] == 1
    assert "chosen on 2 validation images by the rule f1" in notes[0]
    assert (point["escapes"]["n"], point["overkill"]["n"]) == (0, 0)
    given, notes = measured(tmp_path / "r.json", boxes, threshold=0.28)
    assert given.metrics["operating_point"]["escapes"]["n"] == 1
    assert "was not chosen on data" in notes[0]
    assert "chosen_on" not in given.metrics["operating_point"]
    assert given.metrics["defect"]["found"] == 1, "what scores below is no defect"
    assert given.metrics["detection"]["images"] == 3


A = box(7, 2, 3, 10, 8, image_id=1, score=0.9)


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ("[{", "must be a JSON file"),
        ("3", "must hold a list of COCO results"),
        ([3], "result 0 must be a mapping"),
        ([{**A, "score": 1.5}], "result 0: a score must be a number in [0, 1]. Received: 1.5"),
        ([{**A, "score": float("nan")}], "Received: nan"),
        ([box(7, 2, 3, 10, 8, image_id=1)], "Received: None"),
        ([{**A, "category_id": 4}], "must have a class of"),
        ([{**A, "category": "dents"}], "Received: dents (category_id 7). Did you mean 'dent'?"),
        (
            [A, {**A, "image_id": 99}, {**A, "image_id": 98}],
            "2 names that are not there, first 'image_id 99'",
        ),
        ([{**A, "bbox": [1, 2]}], "must have a whole bbox"),
        ([{**A, "bbox": None}], "must have a bbox"),
        ([{**A, "bbox": [1, 2, float("inf"), 3]}], "must have a whole bbox of four numbers"),
        ([{**A, "bbox": [1, 2, -3, 3]}], "must have a bbox [x, y, width, height]"),
        ([{**A, "segmentation": [[1, 2, 3]]}], "a polygon of 3 numbers"),
        ([{**A, "segmentation": {"counts": [1, 2]}}], "must have a whole bbox or segmentation"),
        ([{**A, "segmentation": {"size": [2, 3], "counts": [6]}}], "A mask must be of its image's size"),
        ([{**A, "segmentation": {"size": [20, 30], "counts": [5]}}], "r.json: "),
        ([A], "Received: none for 2 of 3, first images/b.png"),
    ],
)
def test_bad_results_are_one_line(
    boxes: Path, tmp_path: Path, measured: Any, written: Write, results: Any, message: str
) -> None:
    whole = isinstance(results, list) and "segmentation" in str(results)
    with pytest.raises(BlemishError) as caught:
        measured(written(tmp_path / "r.json", results), boxes, none_found=whole)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_without_a_coco_dataset_are_refused(tmp_path: Path, measured: Any, written: Write) -> None:
    import cv2

    for name in ("good/a.png", "bad/b.png"):
        (tmp_path / "data" / name).parent.mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "data" / name), np.zeros((9, 9), np.uint8))
    with pytest.raises(BlemishError, match="needs a COCO dataset, which"):
        measured(written(tmp_path / "r.json", [A]), tmp_path / "data", "all")
    assert json.loads((tmp_path / "r.json").read_text()) == [A]


def test_a_tool_that_found_nothing_at_all_is_measured_when_asked_for(
    boxes: Path, tmp_path: Path, measured: Any, written: Write
) -> None:
    file = written(tmp_path / "r.json", [])
    with pytest.raises(BlemishError, match="no prediction for any of its 3 images"):
        measured(file, boxes)
    evaluation, _ = measured(file, boxes, none_found=True)
    assert evaluation.metrics["image"]["recall"] == 0
    assert evaluation.metrics["detection"]["map50"] == 0


@pytest.mark.parametrize(("number", "category"), [(1, 7), ("1", "7"), (1.0, 7.0)])
def test_ids_are_numbers_however_they_are_written(
    boxes: Path, tmp_path: Path, measured: Any, written: Write, number: Any, category: Any
) -> None:
    result = {**A, "image_id": number, "category_id": category}
    evaluation, notes = measured(written(tmp_path / "r.json", [result]), boxes, none_found=True)
    assert evaluation.metrics["detection"]["ap50"]["dent"] == 1
    assert any(note.startswith("Values of image_id that mean images of several splits: 1") for note in notes)


WHOLE = {
    "images": [{"id": 1, "file_name": "images/a.png"}],
    "categories": [{"id": 1, "name": "dent"}],
    "annotations": [box(1, 2, 3, 10, 8, image_id=1, score=0.9)],
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([{**A, "image_id": True}], "a name that is not there, first 'image_id True'"),
        ([{**A, "image_id": [1]}], "first 'image_id [1]'"),
        ([{**A, "file_name": None}], "'file_name' must be a name. Received: None"),
        ([{**A, "category": "scratch"}], "Received: 'scratch', but category_id 7 is 'dent'"),
        ([{**A, "category_id": True}], "Received: category_id True, which has no name there"),
        ([{**A, "bbox": ["1", "2", "3", "4"]}], "must have a whole bbox of four numbers"),
        ([{**A, "bbox": [1, 2, 3, True]}], "must have a whole bbox of four numbers"),
        ([{**A, "bbox": [1, 2, 10**400, 3]}], "must have a whole bbox of four numbers"),
        ([{**A, "score": "0.9"}], "Received: '0.9'"),
        ([{**A, "score": True}], "Received: True"),
        ([{**A, "segmentation": "abc"}], "must have a whole bbox or segmentation"),
        (
            [{**A, "segmentation": [[1, 2, 3, float("nan"), 5, 6]]}],
            "must have a whole bbox or segmentation. Received: ",
        ),
        (
            [{**A, "segmentation": {"size": [20, 30], "counts": [2**63 - 1, 2**63 - 1, 602]}}],
            "must have a whole bbox or segmentation. Received: ",
        ),
        (
            [{**A, "segmentation": {"size": [10**6, 10**6], "counts": [10**12]}}],
            "/r.json: ",
        ),
        ({**WHOLE, "images": [{"id": [1], "file_name": "a"}]}, "must have a number as 'id'. Received: [1]"),
        (
            {**WHOLE, "images": [*WHOLE["images"], {"id": 1, "file_name": "b.png"}]},
            "images[1] must have an id of its own. Received: 1, which is 'images/a.png' and 'b.png'",
        ),
        (
            {**WHOLE, "categories": [*WHOLE["categories"], {"id": 1, "name": "scratch"}]},
            "categories[1] must have an id of its own",
        ),
        (
            {**WHOLE, "images": [{"id": 1, "file_name": "x/images/a.png"}, {"id": 2, "file_name": "a.png"}]},
            "alike",
        ),
    ],
)
def test_what_an_id_or_a_number_may_not_be(
    boxes: Path, tmp_path: Path, measured: Any, written: Write, content: Any, message: str
) -> None:
    with pytest.raises(BlemishError) as caught:
        measured(written(tmp_path / "r.json", content), boxes, none_found=True)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_class_number_is_no_class_name(tmp_path: Path, measured: Any, written: Write) -> None:
    """A class may be called "1" and mean another than number 1."""
    root = write_dataset(tmp_path / "data", {"test": {"a": [box(7, 2, 3, 10, 8)]}})
    content = json.loads((root / "instances_test.json").read_text())
    content["categories"] = [{"id": 7, "name": "1"}, {"id": 1, "name": "on"}]
    (root / "instances_test.json").write_text(json.dumps(content))
    evaluation, _ = measured(written(tmp_path / "r.json", [A]), root)
    assert evaluation.metrics["detection"]["ap50"] == {"1": 1.0, "on": None}
    evaluation, _ = measured(written(tmp_path / "r.json", [{**A, "category_id": 1}]), root)
    assert evaluation.metrics["detection"]["ap50"] == {"1": 0.0, "on": None}


def test_what_is_doubtful_is_said(boxes: Path, tmp_path: Path, measured: Any, written: Write) -> None:
    results = [
        outlined(7, 2, 3, 10, 8, image_id=1, score=0.9),
        box(3, 50, 5, 120, 40, image_id=2, score=0.8),
        box(3, 5, 5, 12, 4, image_id=3, score=0.8),
    ]
    _, notes = measured(written(tmp_path / "r.json", results), boxes)
    assert "1 of 3 results have an outline, which is not used: others have boxes alone." in notes
    outside = "1 box ends outside the image, first images/b.png (50, 5, 170, 45 in 30×20)"
    assert any(note.startswith(outside) for note in notes)
    listed = {**WHOLE, "images": [*WHOLE["images"], {"id": 2, "file_name": "gone.png"}]}
    _, notes = measured(written(tmp_path / "w.json", listed), boxes, none_found=True)
    assert any(note.startswith("1 listed image is left out (gone.png)") for note in notes)


def test_one_picture_under_two_ids_gets_the_results_of_both(
    boxes: Path, tmp_path: Path, measured: Any, written: Write
) -> None:
    twice = {
        **WHOLE,
        "images": [*WHOLE["images"], {"id": 2, "file_name": "images/a.png"}],
        "annotations": [*WHOLE["annotations"], box(1, 20, 3, 5, 8, image_id=2, score=0.8)],
    }
    evaluation, _ = measured(written(tmp_path / "w.json", twice), boxes, none_found=True)
    assert [len(record.inspection.defects) for record in evaluation.records] == [2, 0, 0]
