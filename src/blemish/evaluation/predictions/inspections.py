"""Predictions as `blemish inspect` writes them, an inspection a line.

Lines hold outer outlines only, so holes inside them are filled, and there are no maps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError, nearest_name
from blemish.evaluation.predictions.contract import checked_size, in_unit, is_number, is_number_list
from blemish.evaluation.predictions.drawing import numbered, pixels_of
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box
from blemish.untrusted import read_text, unique_keys

NAMELESS = "defect"  # label of every defect where classes are not told apart


@dataclass(frozen=True)
class InspectionPredictions:
    """Inspections by sample id; see `contract.Predictions`."""

    path: Path
    lines: Mapping[str, Inspection]
    classifies: bool
    segments: bool
    remarks: tuple[str, ...] = ()
    kind: str = "inspections"
    score_map_max: float | None = None
    finds_places: bool = True
    own_verdicts: bool = True

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.lines)

    @property
    def numbers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.lines, 1)

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """Inspection in the sample's line with its own defects, whatever the threshold."""
        line = self.lines.get(sample.id)
        if line is None:
            size = image_size(sample.image)
            return Inspection(str(sample.image), size, Verdict.OK, 0.0, (), str(self.path))
        if line.size is None:
            return line
        checked_size(sample, line.size, f"{self.path}: {line.image}")
        if not self.segments:
            return line
        outlines = [Annotation(defect.label, defect.box_xyxy, defect.contour) for defect in line.defects]
        instances = [pixels_of(outline, sample, line.size) for outline in outlines]
        return replace(line, maps={"defects": numbered(instances, line.size)})


def read_inspections(path: Path, dataset: Dataset) -> InspectionPredictions:
    """Inspections from a JSON-lines file. Raises BlemishError that names the first faulty line."""
    names, lines, strangers = ImageNames(dataset), {}, []
    content = read_text(path).rstrip("\n")
    # Not splitlines, which would cut a name that holds another line break, such as U+2028.
    for number, text in enumerate(content.split("\n") if content else (), start=1):
        place = f"{path}: line {number}"
        inspection = read_line(text, place)
        sample = names.find(inspection.image)
        if sample is None:
            strangers.append(inspection.image)
        elif sample.id in lines:
            raise BlemishError(
                f"{place}: an image must appear once. Received: {inspection.image} again. Remove a line."
            )
        else:
            lines[sample.id] = inspection
    names.refuse_strangers(strangers, path)
    found = [defect for line in lines.values() for defect in (*line.defects, *line.under_limit)]
    outlined = any(not only_a_box(defect) for defect in found)
    return InspectionPredictions(path, lines, classifies(found, dataset, path), outlined)


def read_line(text: str, place: str) -> Inspection:
    """Inspection in a line of the file. Raises BlemishError for anything else; place: file and line"""
    try:
        inspection = Inspection.from_json(json.loads(text, object_pairs_hook=unique_keys))
        fault = fault_of(inspection)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        fault = f"no {error}" if isinstance(error, KeyError) else str(error)
    if fault:
        raise BlemishError(
            f"{place} must be an inspection as `blemish inspect` writes it. Received: {fault}. Inspect again."
        )
    if inspection.score is not None or inspection.verdict is not Verdict.ERROR:
        in_unit(inspection.score, place)
    return inspection


def fault_of(inspection: Inspection) -> str:
    """Fault of an inspection whose keys are all there; "" where every value is of its kind."""
    size, scale = inspection.size, inspection.mm_per_px
    timings = inspection.timings_ms.items()
    texts = (inspection.error, inspection.grade)
    faults = {
        f"image {inspection.image!r}": not isinstance(inspection.image, str) or not inspection.image,
        "no size": size is None and inspection.verdict is not Verdict.ERROR,
        f"size {size}": size is not None and not is_size(size),
        "timings that are no numbers": not all(
            isinstance(name, str) and is_number(ms) for name, ms in timings
        ),
        f"mm_per_px {scale!r}": scale is not None and not (is_number(scale) and scale > 0),
        "an error or grade that is no text": not all(text is None or isinstance(text, str) for text in texts),
    }
    of_defects = (
        f"{odd(defect)} in {name} {number}"
        for name, found in (("defect", inspection.defects), ("finding", inspection.under_limit))
        for number, defect in enumerate(found)
        if odd(defect)
    )
    return next((fault for fault, is_so in faults.items() if is_so), None) or next(of_defects, "")


def is_size(size: Any) -> bool:
    return is_number_list(size, 2) and all(isinstance(side, int) and side > 0 for side in size)


def odd(defect: Defect) -> str:
    """Fault of a defect; "" where every value is of its kind."""
    box, rectangle = defect.box_xyxy, defect.rectangle
    sides = (rectangle.length, rectangle.width, rectangle.angle_deg, defect.area)
    severities = [value for value in (defect.severity_mean, defect.severity_max) if value is not None]
    points = [corner for part in defect.contour for corner in part]
    faults = {
        f"label {defect.label!r}": not isinstance(defect.label, str) or not defect.label,
        f"confidence {defect.confidence!r}": not is_share(defect.confidence),
        f"box_xyxy {box}": not is_number_list(box, 4) or box[0] > box[2] or box[1] > box[3],
        "a contour that is no list of points": not all(is_number_list(corner, 2) for corner in points),
        "a rectangle that is no number": not is_number_list(rectangle.center_xy, 2)
        or not all(map(is_number, (*sides, *severities))),
    }
    return next((fault for fault, is_so in faults.items() if is_so), "")


def is_share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def classifies(found: list[Defect], dataset: Dataset, path: Path) -> bool:
    """True where labels are classes of the dataset, False where all are `NAMELESS`.

    Raises BlemishError for any other label.
    """
    labels = {defect.label for defect in found} - set(dataset.class_names)
    if labels == {NAMELESS} and all(defect.label == NAMELESS for defect in found):
        return False
    if labels:
        strange, known = min(labels), ", ".join(dataset.class_names)
        raise BlemishError(
            f"{path} must name classes of {dataset.root} ({known}). Received: '{strange}'."
            f"{nearest_name(strange, dataset.class_names)} Rename it in dataset.yaml."
        )
    return True


def only_a_box(defect: Defect) -> bool:
    """True where the outline is the box, to a line's rounding, as of methods that outline nothing."""
    box = defect_of_box(defect.box_xyxy, "", 0).contour[0]
    if len(defect.contour) != 1 or len(defect.contour[0]) != len(box):
        return False
    pairs = zip(defect.contour[0], box, strict=True)
    return all(abs(a - b) <= 0.1 for one, other in pairs for a, b in zip(one, other, strict=True))
