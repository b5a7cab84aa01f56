"""Predictions as `blemish inspect` writes them, an inspection a line.

Lines hold outer outlines only, so holes inside them are filled, and there are no maps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError, nearest_name
from blemish.evaluation.predictions.contract import checked_size, in_unit
from blemish.evaluation.predictions.drawing import numbered, pixels_of
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box
from blemish.untrusted import read_text

NAMELESS = "defect"  # label of every defect where classes are not told apart


@dataclass(frozen=True)
class InspectionPredictions:
    """Inspections by sample id; see `contract.Predictions`."""

    path: Path
    lines: Mapping[str, Inspection]
    classifies: bool
    segments: bool
    kind: str = "inspections"
    score_map_max: float | None = None
    finds_places: bool = True
    own_verdicts: bool = True

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.lines)

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
    content = read_text(path).rstrip("\r\n")
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
    found = [defect for line in lines.values() for defect in line.defects]
    outlined = any(not only_a_box(defect) for defect in found)
    return InspectionPredictions(path, lines, classifies(found, dataset, path), outlined)


def read_line(text: str, place: str) -> Inspection:
    """Inspection in a line of the file. Raises BlemishError for anything else; place: file and line"""
    try:
        inspection = Inspection.from_json(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BlemishError(
            f"{place} must be an inspection as `blemish inspect` writes it. Received: {reason}. "
            "Inspect again."
        ) from error
    if inspection.score is not None or inspection.verdict is not Verdict.ERROR:
        in_unit(inspection.score, place)
    return inspection


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
