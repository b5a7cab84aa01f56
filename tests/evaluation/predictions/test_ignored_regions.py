"""Predictions where there are crowd and difficult regions: pycocotools' figures, and a line on them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_sets import CLASSES, box, write_dataset
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset
from blemish.evaluation.predictions import Judgement, evaluate_predictions, read_predictions
from blemish.progress import Reporter


def with_crowds(dataset: Dataset, crowds: dict[str, list[Annotation]]) -> Dataset:
    samples = (replace(s, annotations=(*s.annotations, *crowds.get(s.id, ()))) for s in dataset)
    return replace(dataset, samples=tuple(samples))


def crowd_of(category: int, x: float, y: float, width: float, height: float) -> Annotation:
    return Annotation(CLASSES[category], (x, y, x + width, y + height), crowd=True)


@pytest.mark.parametrize("seed", range(3))
def test_ap_is_that_of_pycocotools_on_a_file_with_iscrowd(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    marks, crowds, results = {}, {}, []
    for number in range(1, 6):
        places = [
            [float(v) for v in (*generator.integers(0, 14, 2), *generator.integers(3, 9, 2))]
            for _ in range(4)
        ]
        kinds = [int(generator.choice(list(CLASSES))) for _ in places]
        marks[f"i{number}"] = [
            box(kind, *place, area=place[2] * place[3], iscrowd=0)
            for kind, place in zip(kinds[:2], places[:2], strict=True)
        ]
        crowds[f"images/i{number}.png"] = (kinds[2], [places[2][0], places[2][1], 14.0, 12.0])
        for kind, place in zip(kinds, places, strict=True):
            shifted = [value + float(generator.integers(-1, 2)) for value in place]
            results.append(
                {"image_id": number, "category_id": kind, "bbox": shifted, "score": generator.random()}
            )
    root = write_dataset(tmp_path / "data", {"test": marks})
    file = tmp_path / "results.json"
    file.write_text(json.dumps(results))
    dataset = with_crowds(
        load_dataset(root), {name: [crowd_of(kind, *place)] for name, (kind, place) in crowds.items()}
    )
    predictions = read_predictions(file, dataset, data=root, split="test")
    evaluation, notes = evaluate_predictions(predictions, dataset, "test", Judgement(), Reporter(quiet=True))
    assert evaluation.metrics["ignored"] == {"crowd": 5, "difficult": 0, "doubtful_images": 0}
    assert any(note.startswith("5 crowd regions in 5 images are ignored") for note in notes)
    content = json.loads((root / "instances_test.json").read_text())
    for number, (kind, place) in enumerate(crowds.values(), start=1):
        row = box(kind, *place, area=place[2] * place[3], iscrowd=1, image_id=number, id=100 + number)
        content["annotations"].append(row)
    (tmp_path / "truth.json").write_text(json.dumps(content))
    truth = COCO(str(tmp_path / "truth.json"))
    reference = COCOeval(truth, truth.loadRes(str(file)), "bbox")
    reference.evaluate()
    reference.accumulate()
    reference.summarize()
    assert evaluation.metrics["detection"]["map50_95"] == pytest.approx(reference.stats[0], abs=1e-9)
    assert evaluation.metrics["detection"]["map50"] == pytest.approx(reference.stats[1], abs=1e-9)


def test_scores_alone_know_crowds_as_defective_and_difficult_as_neither(boxes: Path, tmp_path: Path) -> None:
    """b has a crowd alone and c a difficult defect alone."""
    dataset = load_dataset(boxes)
    marks: dict[str, tuple[Annotation, ...]] = {
        "images/b.png": (crowd_of(3, 0, 0, 20, 20),),
        "images/c.png": (Annotation("dent", (0, 0, 5, 5), difficult=True),),
    }
    samples = (replace(sample, annotations=marks.get(sample.id, sample.annotations)) for sample in dataset)
    dataset = replace(dataset, samples=tuple(samples))
    file = tmp_path / "s.csv"
    file.write_text("image,score\na,0.9\nb,0.8\nc,0.7\nd,0.6\ne,0.1\n")
    predictions = read_predictions(file, dataset, data=boxes, split="all")
    evaluation, notes = evaluate_predictions(predictions, dataset, "all", Judgement(), Reporter(quiet=True))
    image: dict[str, Any] = evaluation.metrics["image"]
    assert (image["images"], image["defective"], image["auroc"]) == (4, 3, 1.0)
    point = evaluation.metrics["operating_point"]
    assert (point["escapes"]["of"], point["overkill"]["of"]) == (3, 1)
    assert any(note.startswith("Images with difficult defects alone: 1.") for note in notes)
