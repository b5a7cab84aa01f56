"""Predictions of boxes and outlines in COCO's format: a list of results, or a whole dataset file with scores.

The ids in a list are those of the dataset's own files; where the dataset is no COCO dataset, each result
names image and class by `file_name` (or `image`) and `category` (or `label`).
Source: https://cocodataset.org/#format-results.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.dataset.layouts import find_source
from blemish.dataset.layouts.coco import CocoNumbers, numbers_of
from blemish.dataset.layouts.coco_files import section
from blemish.dataset.layouts.coco_marks import read_box, read_segmentation
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError, nearest_name
from blemish.evaluation.predictions.contract import in_unit
from blemish.evaluation.predictions.drawing import measured, numbered, pixels_of
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box

IMAGE_KEYS, CLASS_KEYS = ("file_name", "image"), ("category", "label", "category_name")
CocoResult = Mapping[str, Any]  # as it stands in the file


@dataclass(frozen=True)
class Mark:
    """A result that was read. place: label, box and outline as an annotation; score: in [0, 1]"""

    place: Annotation
    score: float


@dataclass(frozen=True)
class CocoPredictions:
    """Scored boxes, with outlines where all have one; see `contract.Predictions`.

    marks: by sample id, the highest score first
    """

    path: Path
    marks: Mapping[str, tuple[Mark, ...]]
    segments: bool
    kind: str = "COCO results"
    score_map_max: float | None = None
    classifies: bool = True
    finds_places: bool = True
    own_verdicts: bool = False

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.marks)

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """Inspection whose score is the highest of its results, 0 without any; all results are candidates."""
        marks, size = self.marks.get(sample.id, ()), image_size(sample.image)
        defects, maps = self.found([mark for mark in marks if mark.score >= threshold], sample, size)
        return Inspection(
            image=str(sample.image),
            size=size,
            verdict=Verdict.OK,
            score=marks[0].score if marks else 0.0,
            defects=defects,
            bundle=str(self.path),
            maps=maps,
            candidates=tuple(self.boxed(mark, sample, size) for mark in marks),
        )

    def found(
        self, marks: Sequence[Mark], sample: Sample, size: tuple[int, int]
    ) -> tuple[tuple[Defect, ...], dict[str, Any]]:
        """Defects of the marks, and the map of their pixels where they are outlined."""
        if not self.segments:
            return tuple(self.boxed(mark, sample, size) for mark in marks), {}
        instances = [self.pixels(mark, sample, size) for mark in marks]
        defects = []
        for mark, instance in zip(marks, instances, strict=True):
            if instance is None:
                defects.append(self.boxed(mark, sample, size))
                continue
            defect, box = measured(instance, mark.score), mark.place.box_xyxy
            defects.append(defect if box is None else replace(defect, box_xyxy=box))
        return tuple(defects), {"defects": numbered(instances, size)}

    def boxed(self, mark: Mark, sample: Sample, size: tuple[int, int]) -> Defect:
        """Defect of a result's box, or of the box of its outline where it gives none."""
        box = mark.place.box_xyxy
        if box is None:
            outlined = self.pixels(mark, sample, size)
            box = (0.0, 0.0, 0.0, 0.0) if outlined is None else outlined.box_xyxy
        return defect_of_box(box, mark.place.label, mark.score)

    def pixels(self, mark: Mark, sample: Sample, size: tuple[int, int]) -> Instance | None:
        """Pixels of a result, None without any. Raises BlemishError that names the file."""
        try:
            return pixels_of(mark.place, sample, size)
        except BlemishError as error:
            raise BlemishError(f"{self.path}: {error}") from error


class Lookup:
    """Samples and labels by the ids of results: those of the file where it is whole, else the dataset's."""

    def __init__(self, path: Path, dataset: Dataset, numbers: CocoNumbers, order: Sequence[str]) -> None:
        """Set up the look-up. order: splits by priority where several of the dataset's files use an id"""
        self.path, self.dataset, self.numbers, self.order = path, dataset, numbers, tuple(order)
        self.names = ImageNames(dataset)
        self.renames: Mapping[str, str] = {}
        renamed = dataset.info.get("settings", {}).get("classes")
        if isinstance(renamed, dict):
            self.renames = renamed

    def sample(self, entry: CocoResult, place: str) -> Sample | str:
        """Sample of a result, or its name of an image that is not in the dataset."""
        name = first_of(entry, IMAGE_KEYS)
        if name is not None:
            return self.names.find(name) or name
        if "image_id" not in entry:
            raise BlemishError(f"{place} must have 'image_id' or 'file_name'. Received: neither. Add one.")
        number = entry["image_id"]
        if not self.numbers.images and isinstance(number, str):  # some tools write the name as the id
            return self.names.find(number) or number
        known = self.numbers.images.get(number, ()) if isinstance(number, int | str) else ()
        samples = [self.names.by_id[name] for name in known if name in self.names.by_id]
        if samples:
            return self.only(samples, number, place)
        if not self.numbers.images:
            raise BlemishError(
                f"{place}: 'image_id' needs a COCO dataset, which {self.dataset.root} is not. "
                "Received: no 'file_name'. Add it to every result, or give a whole COCO file with 'images'."
            )
        return f"image_id {number}"

    def only(self, samples: Sequence[Sample], number: Any, place: str) -> Sample:
        """Sample of an id by the order of splits. Raises BlemishError where several are left."""
        for split in self.order:
            chosen = [sample for sample in samples if sample.split == split]
            if len(chosen) == 1:
                return chosen[0]
        if len(samples) == 1:
            return samples[0]
        raise BlemishError(
            f"{place}: an image_id must mean one image. Received: {number}, which is {samples[0].id} and "
            f"{samples[1].id}. Add 'file_name' to the results."
        )

    def label(self, entry: CocoResult, place: str) -> str:
        """Class of a result, as the dataset names it. Raises BlemishError for any other."""
        name = first_of(entry, CLASS_KEYS)
        number = entry.get("category_id")
        if name is None:
            names = self.numbers.classes.get(number, ()) if isinstance(number, int | str) else ()
            name = names[0] if len(names) == 1 else str(number)
        label = self.renames.get(name, name)
        if label not in self.dataset.class_names:
            known = ", ".join(self.dataset.class_names)
            called = label if number is None or str(number) == label else f"{label} (category_id {number})"
            raise BlemishError(
                f"{place} must have a class of {self.dataset.root} ({known}). Received: {called}."
                f"{nearest_name(label, self.dataset.class_names)} Add its name as 'category', or rename it."
            )
        return label


def first_of(entry: CocoResult, keys: Sequence[str]) -> str | None:
    """Text of the first of these keys that a result has; None without any."""
    return next((str(entry[key]) for key in keys if key in entry), None)


def read_coco(path: Path, dataset: Dataset, data: Path, order: Sequence[str]) -> CocoPredictions:
    """Results from a JSON file. data: path that the dataset was read from; order: see `Lookup`

    Raises BlemishError that names the file and the first faulty result.
    """
    content = parsed(path)
    results, numbers, listed = contents(path, content, dataset, data)
    lookup = Lookup(path, dataset, numbers, order)
    known = (lookup.names.find(name) for name in listed)
    marks: dict[str, list[Mark]] = {sample.id: [] for sample in known if sample is not None}
    strangers: list[str] = []
    for number, entry in enumerate(results):
        place = f"{path}: result {number}"
        sample = lookup.sample(checked(entry, place), place)
        if isinstance(sample, str):
            strangers.append(sample)
        else:
            marks.setdefault(sample.id, []).append(read_mark(entry, lookup.label(entry, place), place))
    lookup.names.refuse_strangers(strangers, path)
    ordered = {name: tuple(sorted(found, key=lambda mark: -mark.score)) for name, found in marks.items()}
    every = [mark for found in ordered.values() for mark in found]
    outlined = bool(every) and all(mark.place.has_outline for mark in every)
    return CocoPredictions(path, ordered, outlined)


def parsed(path: Path) -> Any:
    """Content of a JSON file. Raises BlemishError for anything else."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BlemishError(f"{path} must be a JSON file. Received: {reason}. Write it again.") from error


def contents(
    path: Path, content: Any, dataset: Dataset, data: Path
) -> tuple[list[CocoResult], CocoNumbers, tuple[str, ...]]:
    """Results, the meaning of their ids, and names of the images that the file lists."""
    if isinstance(content, list):
        is_coco = dataset.layout == "coco"
        return content, numbers_of(find_source(data, True)) if is_coco else CocoNumbers({}, {}), ()
    if not isinstance(content, dict):
        raise BlemishError(f"{path} must hold a list of COCO results. Received: a value. Write it again.")
    classes = {entry["id"]: (str(entry["name"]),) for entry in section(content, "categories", path)}
    files = {entry["id"]: str(entry["file_name"]) for entry in section(content, "images", path)}
    results: list[CocoResult] = [
        {**entry, "file_name": files.get(entry["image_id"], f"image_id {entry['image_id']}")}
        for entry in section(content, "annotations", path)
    ]
    return results, CocoNumbers({}, classes), tuple(files.values())


def checked(entry: Any, place: str) -> CocoResult:
    """The result, a mapping. Raises BlemishError for anything else."""
    if not isinstance(entry, dict):
        raise BlemishError(f"{place} must be a mapping of keys. Received: {entry!r}. Write the file again.")
    return entry


def read_mark(entry: CocoResult, label: str, place: str) -> Mark:
    """Mark of a result. Raises BlemishError for a wrong score, and without a whole box or segmentation."""
    score = in_unit(entry.get("score"), place)
    try:
        box = read_box(entry.get("bbox"))
        polygons, mask = read_segmentation(entry.get("segmentation"))
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise BlemishError(
            f"{place} must have a whole bbox or segmentation. Received: {error}. Write the file again."
        ) from error
    mark = Mark(Annotation(label, box, polygons, mask), score)
    corners = (0.0,) * 4 if box is None else box
    finite = all(math.isfinite(edge) for edge in corners)
    if not (mark.place.has_place and finite and corners[0] <= corners[2] and corners[1] <= corners[3]):
        raise BlemishError(
            f"{place} must have a bbox [x, y, width, height] or a segmentation. "
            f"Received: {entry.get('bbox')}. Write the file again."
        )
    return mark
