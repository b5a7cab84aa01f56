"""How a peer's answers are written so that `blemish evaluate --predictions` reads them."""

from __future__ import annotations

import csv
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.peers.task import BoxXyxy, Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOXES, SCORES, MAPS = "predictions.json", "scores.csv", "maps"
Found = tuple[BoxXyxy, int, float]  # box xyxy, class number, score


def write_boxes(out: Path, task: Task, found: Mapping[str, Sequence[Found]]) -> Path:
    """A COCO file with scores; it lists every image, so that one with nothing found is covered.

    found: by image id; boxes xyxy pixels, scores in [0, 1]
    """
    numbers = {image.id: number for number, image in enumerate(task.predict, 1)}
    images = [
        {"id": numbers[image.id], "file_name": image.id, "height": image.size[0], "width": image.size[1]}
        for image in task.predict
    ]
    categories = [{"id": number, "name": name} for number, name in enumerate(task.classes, 1)]
    entries = [entry(numbers[id], *box) for id, boxes in found.items() for box in boxes]
    for number, annotation in enumerate(entries, 1):
        annotation["id"] = number
    file = out / BOXES
    content = {"images": images, "categories": categories, "annotations": entries}
    file.write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def entry(image: int, box: BoxXyxy, label: int, score: float) -> dict[str, Any]:
    left, top, right, bottom = (float(value) for value in box)
    sides = [left, top, right - left, bottom - top]
    return {
        "image_id": image,
        "category_id": label + 1,
        "bbox": sides,
        "area": sides[2] * sides[3],
        "score": min(1.0, max(0.0, float(score))),
    }


def write_scores(out: Path, scores: Mapping[str, float]) -> Path:
    """image,score lines. scores: by image id, of any scale"""
    file = out / SCORES
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "score"])
        writer.writerows((id, f"{score:.9g}") for id, score in in_unit(scores).items())
    return file


def in_unit(scores: Mapping[str, float]) -> dict[str, float]:
    """The scores in (0, 1), in their order: the median at 0.5, an arctangent of the rest."""
    centre = statistics.median(scores.values())
    spread = statistics.fmean(abs(score - centre) for score in scores.values()) or 1.0
    return {id: 0.5 + math.atan((score - centre) / spread) / math.pi for id, score in scores.items()}


def write_map(out: Path, id: str, values: NDArray[Any]) -> Path:
    """A 16-bit PNG beside the others, named like its image. values: [H, W] in [0, 1]"""
    import numpy as np
    from PIL import Image

    file = out / MAPS / f"{id}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    levels = np.round(np.clip(values, 0, 1) * 65535).astype(np.uint16)
    Image.fromarray(levels).save(file)
    return file
