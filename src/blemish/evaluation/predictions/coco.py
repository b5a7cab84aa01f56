"""Predictions of boxes and outlines in COCO's format: a list of results, or a whole dataset file with scores.

The ids in a list are those of the dataset's own files; where the dataset is no COCO dataset, each result
names image and class by `file_name` (or `image`) and `category` (or `label`).
Source: https://cocodataset.org/#format-results.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.dataset.account import lost
from blemish.dataset.layouts import find_source
from blemish.dataset.layouts.coco import CocoNumbers, numbers_of
from blemish.dataset.layouts.coco_files import section
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Dataset, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.evaluation.predictions.coco_ids import CocoResult, Lookup, meaning_of, named_by_id
from blemish.evaluation.predictions.coco_marks import ScoredMark, read_mark
from blemish.evaluation.predictions.drawing import measured, numbered, pixels_of
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box
from blemish.untrusted import read_json

SLACK = 2.0  # pixels that a box may reach out of its image, as of tools that count them otherwise


@dataclass(frozen=True)
class CocoPredictions:
    """Scored boxes, with outlines where all have one; see `contract.Predictions`.

    marks: by sample id, the highest score first
    """

    path: Path
    marks: Mapping[str, tuple[ScoredMark, ...]]
    segments: bool
    remarks: tuple[str, ...] = ()
    kind: str = "COCO results"
    score_map_max: float | None = None
    classifies: bool = True
    finds_places: bool = True
    own_verdicts: bool = False

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.marks)

    @property
    def numbers(self) -> Mapping[str, int]:
        return {name: len(marks) for name, marks in self.marks.items()}

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
        self, marks: Sequence[ScoredMark], sample: Sample, size: tuple[int, int]
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

    def boxed(self, mark: ScoredMark, sample: Sample, size: tuple[int, int]) -> Defect:
        """Defect of a result's box, or of the box of its outline where it gives none."""
        box = mark.place.box_xyxy
        if box is None:
            outlined = self.pixels(mark, sample, size)
            box = (0.0, 0.0, 0.0, 0.0) if outlined is None else outlined.box_xyxy
        return defect_of_box(box, mark.place.label, mark.score)

    def pixels(self, mark: ScoredMark, sample: Sample, size: tuple[int, int]) -> Instance | None:
        """Pixels of a result, None without any. Raises BlemishError that names the file."""
        try:
            return pixels_of(mark.place, sample, size)
        except BlemishError as error:
            raise BlemishError(f"{self.path}: {error}") from error


def read_coco(path: Path, dataset: Dataset, data: Path, order: Sequence[str]) -> CocoPredictions:
    """Results from a JSON file. data: path that the dataset was read from; order: see `Lookup`

    Raises BlemishError that names the file and the first faulty result.
    """
    content = read_json(path)
    results, numbers, listed = contents(path, content, dataset, data)
    lookup = Lookup(path, dataset, numbers, order)
    known = {name: lookup.names.find(name) for name in listed}
    marks: dict[str, list[ScoredMark]] = {sample.id: [] for sample in known.values() if sample is not None}
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
    unknown = [name for name, sample in known.items() if sample is None]
    remarks = (
        *((lost(unknown, "listed image", f"not in {dataset.root}"),) if unknown else ()),
        *remarks_on_marks(every),
        *remarks_on_repeats(ordered),
        *remarks_on_shares(every),
        *remarks_on_numbers(lookup),
        *out_of_image(ordered, lookup.names.by_id),
    )
    segments = bool(every) and all(mark.place.has_outline for mark in every)
    return CocoPredictions(path, ordered, segments, remarks)


def remarks_on_marks(marks: Sequence[ScoredMark]) -> tuple[str, ...]:
    """Sentence on outlines that are not used, as other results have none."""
    outlined = sum(mark.place.has_outline for mark in marks)
    if outlined in (0, len(marks)):
        return ()
    return (
        f"{outlined} of {len(marks)} results have an outline, which is not used: others have boxes alone.",
    )


def remarks_on_repeats(marks: Mapping[str, Sequence[ScoredMark]]) -> tuple[str, ...]:
    """Sentence on results that are equal to another of their image, as of a file that was joined twice."""
    again = sum(len(of_image) - len(set(of_image)) for of_image in marks.values())
    if not again:
        return ()
    are = "result is" if again == 1 else "results are"
    return (f"{again} {are} equal to another of the same image, and counted as false alarms: remove them.",)


def remarks_on_shares(marks: Sequence[ScoredMark]) -> tuple[str, ...]:
    """Sentence on boxes that all lie in the first pixel, as shares of the image's sides do."""
    boxes = [mark.place.box_xyxy for mark in marks if mark.place.box_xyxy is not None]
    if not boxes or any(min(box) < 0 or max(box) > 1 for box in boxes):
        return ()
    return (
        "All boxes lie within the first pixel: are they shares of width and height? They count as pixels.",
    )


def remarks_on_numbers(lookup: Lookup) -> tuple[str, ...]:
    """Sentence on ids that several splits use."""
    shared = len(lookup.of_other_splits)
    if not shared:
        return ()
    return (
        f"Values of image_id that mean images of several splits: {shared}. They are taken for split "
        f"'{lookup.order[0]}' where it has them.",
    )


def out_of_image(marks: Mapping[str, Sequence[ScoredMark]], samples: Mapping[str, Sample]) -> tuple[str, ...]:
    """Sentence on boxes that end outside their image, as of predictions at another size."""
    outside = []
    for name, of_image in marks.items():
        boxes = [mark.place.box_xyxy for mark in of_image if mark.place.box_xyxy is not None]
        if not boxes:
            continue
        try:
            height, width = image_size(samples[name].image)
        except BlemishError:  # it is an error of its own when it is measured
            continue
        outside += [
            f"{name} ({', '.join(f'{edge:g}' for edge in box)} in {width}×{height})"
            for box in boxes
            if min(box[:2]) < -SLACK or box[2] > width + SLACK or box[3] > height + SLACK
        ]
    if not outside:
        return ()
    boxes_are = "1 box ends" if len(outside) == 1 else f"{len(outside)} boxes end"
    return (
        f"{boxes_are} outside the image, first {outside[0]}: were they predicted at another size, "
        "or written as corners [x1, y1, x2, y2]?",
    )


def contents(
    path: Path, content: Any, dataset: Dataset, data: Path
) -> tuple[list[CocoResult], CocoNumbers, tuple[str, ...]]:
    """Results, the meaning of their ids, and names of the images that the file lists."""
    if isinstance(content, list):
        is_coco = dataset.layout == "coco"
        return content, numbers_of(find_source(data, True)) if is_coco else CocoNumbers({}, {}), ()
    if not isinstance(content, dict):
        raise BlemishError(f"{path} must hold a list of COCO results. Received: a value. Write it again.")
    names = named_by_id(content, "categories", "name", path)
    files = named_by_id(content, "images", "file_name", path)
    results: list[CocoResult] = []
    for entry in section(content, "annotations", path):
        file = meaning_of(entry["image_id"], files)
        results.append({**entry, "file_name": file[0] if file else f"image_id {entry['image_id']}"})
    return results, CocoNumbers({}, names), tuple(file for (file,) in files.values())


def checked(entry: Any, place: str) -> CocoResult:
    """The result, a mapping. Raises BlemishError for anything else."""
    if not isinstance(entry, dict):
        raise BlemishError(f"{place} must be a mapping of keys. Received: {entry!r}. Write the file again.")
    return entry
