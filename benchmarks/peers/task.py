"""A peer's task, as one JSON file that can be read without blemish: training images with their truth, and the
names alone of the images to predict on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

FILE = "task.json"
AnswerKind = Literal["boxes", "outlines", "verdicts"]
BoxXyxy = tuple[float, float, float, float]


@dataclass(frozen=True)
class TrainImage:
    """id: of the sample; image, mask: absolute paths, mask for peers that learn outlines, 255 on defects

    size: (height, width); boxes: xyxy pixels, half-open; labels: a number in `Task.classes` for each box
    """

    id: str
    image: str
    size: tuple[int, int]
    boxes: tuple[BoxXyxy, ...] = ()
    labels: tuple[int, ...] = ()
    mask: str | None = None
    defective: bool = False


@dataclass(frozen=True)
class PlainImage:
    """An image to predict on: nothing is told of its truth."""

    id: str
    image: str
    size: tuple[int, int]


@dataclass(frozen=True)
class Task:
    """kind: what is to be predicted; predict: validation and test images"""

    kind: AnswerKind
    classes: tuple[str, ...]
    train: tuple[TrainImage, ...]
    predict: tuple[PlainImage, ...]


def write_task(task: Task, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE
    file.write_text(json.dumps(asdict(task), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def read_task(folder: Path) -> Task:
    fields = json.loads((folder / FILE).read_text(encoding="utf-8"))
    train = tuple(TrainImage(**{**image, **tuples(image)}) for image in fields["train"])
    predict = tuple(
        PlainImage(image["id"], image["image"], pair(image["size"])) for image in fields["predict"]
    )
    return Task(fields["kind"], tuple(fields["classes"]), train, predict)


def tuples(image: dict[str, Any]) -> dict[str, Any]:
    boxes = tuple(tuple(box) for box in image["boxes"])
    return {"size": pair(image["size"]), "boxes": boxes, "labels": tuple(image["labels"])}


def pair(values: Sequence[int]) -> tuple[int, int]:
    return values[0], values[1]
