"""Evaluator: adds up images, one at a time, to the metrics of metrics.json and the curves of the report.

The maps of an image are reduced to counts, IoUs and outlines as soon as it is added, so that memory does not
grow with the pixels of a dataset.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.ignored import counted, is_outlined
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.evaluation import curves
from blemish.evaluation.classification import type_metrics
from blemish.evaluation.consistency import contrast_metrics
from blemish.evaluation.defects import (
    MATCH_IOU,
    defect_metrics,
    finding_counts,
    matched_pairs,
    rejected_elsewhere,
)
from blemish.evaluation.detection import detection_metrics
from blemish.evaluation.ignored import NOTHING_IGNORED, IgnoredRegions, ignored_counts
from blemish.evaluation.image import image_metrics, is_decided, is_defective
from blemish.evaluation.matching import ignored_overlaps, iou_matrix
from blemish.evaluation.operating_point import GIVEN, OperatingPoint, measured
from blemish.evaluation.pixel import (
    NO_MATCHES,
    MatchCounts,
    match_counts,
    pixel_counts,
    ratio,
    tolerant_match_counts,
)
from blemish.evaluation.pointing import Pointing, pointed, pointing_metrics
from blemish.evaluation.records import Curve, Evaluation, ImageRecord, PixelCounts, TruthDefect
from blemish.evaluation.sweep import SeverityCounts
from blemish.images.resize import resized_map
from blemish.inspection import Inspection, Verdict
from blemish.regions.measure import outlines

SCHEMA = 1
HEAT_SIDE = 64  # pixels kept of a heat map, whatever the image's size


class Evaluator:
    """Takes images with `add`, gives metrics and curves with `result`."""

    def __init__(
        self,
        class_names: Sequence[str],
        *,
        score_map_max: float | None = 12.0,
        severity_bins: int = 1200,
        tolerance_px: float = 2.0,
        classifies: bool = True,
        segments: bool = True,
    ) -> None:
        """Set up an evaluation of no images yet.

        score_map_max: top of the method's severity map, swept from 0 on in `severity_bins` steps; severities
            outside count at the ends. None where it gives none
        tolerance_px: Euclidean, for the tolerant pixel metrics beside the exact ones
        classifies: True where the method tells classes apart; else metrics of classes are left out
        segments: True where the method outlines defects; else boxes are compared with boxes
        """
        self.class_names = tuple(class_names)
        self.tolerance_px = tolerance_px
        self.classifies = classifies
        self.segments = segments
        self.records: list[ImageRecord] = []
        self.severities = SeverityCounts(np.linspace(0.0, score_map_max or 1.0, severity_bins + 1))
        self.contrasts: list[tuple[float, float]] = []
        self.pointings: list[Pointing] = []

    def add(
        self,
        sample: Sample,
        inspection: Inspection,
        *,
        class_map: NDArray[np.uint8] | None = None,
        truth: Sequence[Instance] = (),
        ignored: IgnoredRegions = NOTHING_IGNORED,
        lost_places: int = 0,
    ) -> ImageRecord:
        """Count an image and return its record, without maps. In an image that failed nothing is found.

        class_map: [H, W], 0 on the surface; None where the dataset has no outlines. Not used where an
            annotation of the image is a mere box or label, which says nothing about pixels
        truth: `defect_instances` of the sample, without those in `ignored`
        lost_places: see `ImageRecord`
        """
        found_map = found_defects_map(sample, inspection, class_map) if self.segments else None
        heat_map = inspection.maps.get("heat_map")
        boxes = [defect.box_xyxy for defect in inspection.defects]
        pixels, near = self.count_pixels(sample, inspection, class_map, found_map, ignored)
        record = ImageRecord(
            sample=sample,
            inspection=replace(inspection, maps={}),
            truth=tuple(true_defect(instance) for instance in truth),
            iou=iou_matrix(truth, boxes, found_map),
            pixels=pixels,
            near=near,
            heat=None if heat_map is None else small_heat(heat_map),
            ignored=ignored.regions,
            ignored_overlap=ignored_overlaps(ignored.instances, ignored.crowd, boxes, found_map),
            lost_places=lost_places,
        )
        self.records.append(record)
        if heat_map is not None and truth:
            place = pointed(heat_map, truth, ignored.instances, rejected=inspection.verdict is Verdict.NG)
            self.pointings += [] if place is None else [place]
        for row, column in matched_pairs(record, MATCH_IOU):
            contrast, severity = truth[row].contrast, inspection.defects[column].severity_mean
            if contrast is not None and severity is not None:
                self.contrasts.append((contrast, severity))
        return record

    def count_pixels(
        self,
        sample: Sample,
        inspection: Inspection,
        class_map: NDArray[np.uint8] | None,
        found_map: NDArray[np.int32] | None,
        ignored: IgnoredRegions,
    ) -> tuple[PixelCounts | None, MatchCounts | None]:
        """Exact and tolerant counts of an image, None without outlines; adds up its severities.

        Pixels of ignored regions that are of no annotated defect are in no count.
        """
        if class_map is None or found_map is None or not is_outlined(sample):
            return None, None
        found, truth = found_map > 0, class_map > 0
        left_out = ignored.mask(truth.shape) & ~truth if ignored.instances else None
        if left_out is not None:
            found &= ~left_out
        near = tolerant_match_counts(found, truth, self.tolerance_px)
        severity = inspection.maps.get("score_map")
        if severity is not None:
            values = severity.astype(np.float32, copy=False)
            if left_out is None:
                self.severities.add(values, truth, name=sample.id)
            else:
                self.severities.add(values[~left_out], truth[~left_out], name=sample.id)
        counts = pixel_counts(found, truth)
        if left_out is not None:
            counts = replace(counts, tn=counts.tn - int(left_out.sum()))
        return counts, near

    def result(
        self,
        *,
        method: str,
        split: str,
        seed: int | None,
        operating_point: OperatingPoint | None = None,
        pixel_threshold: float | None = None,
        seconds_per_image: float | None = None,
    ) -> Evaluation:
        """Metrics, only the parts that apply, and curves of all images added.

        operating_point: as chosen on validation images; counted here on the verdicts of these images
        pixel_threshold: the severity threshold in use; seconds_per_image: None takes the inspections' timings
        Raises BlemishError where no image was added.
        """
        if not self.records:
            raise BlemishError(
                f"An evaluation needs images. Received: none in split '{split}'. Name another split."
            )
        parts = {
            "pixel": self.pixel_metrics(pixel_threshold),
            "defect": self.defect_metrics(),
            "findings": finding_counts(self.records),
            "detection": detection_metrics(self.records, self.class_names) if self.compares_boxes else None,
            "image": image_metrics(self.records),
            "type": type_metrics(self.records, self.class_names) if self.classifies else None,
            "pointing": pointing_metrics(self.pointings),
            "severity": contrast_metrics(*zip(*self.contrasts, strict=True)) if self.contrasts else None,
            "operating_point": operating_metrics(operating_point, self.records),
            "seconds_per_image": seconds_per_image or mean_seconds(self.records),
        }
        about = {
            "schema": SCHEMA,
            "method": method,
            "split": split,
            "images": len(self.records),
            "errors": sum(record.inspection.verdict is Verdict.ERROR for record in self.records),
            "seed": seed,
        }
        about |= {"ignored": regions} if (regions := ignored_counts(self.records)) else {}
        metrics = about | {name: part for name, part in parts.items() if part is not None}
        return Evaluation(metrics, self.curves(pixel_threshold), tuple(self.records))

    def defect_metrics(self) -> dict[str, Any] | None:
        """The "defect" part of metrics.json, without figures of classes where the method tells none apart."""
        metrics = defect_metrics(self.records, self.class_names)
        if metrics is None or self.classifies:
            return metrics
        return {name: value for name, value in metrics.items() if not name.endswith("_with_type")}

    @property
    def compares_boxes(self) -> bool:
        """True where truth and answers have nothing but boxes in common: one of them has no outlines."""
        if not self.segments:
            return True
        annotations = [mark for record in self.records for mark in counted(record.sample).annotations]
        placed = [annotation for annotation in annotations if annotation.has_place]
        return bool(placed) and not any(annotation.has_outline for annotation in placed)

    def pixel_metrics(self, threshold: float | None) -> dict[str, Any] | None:
        """The "pixel" part of metrics.json, pooled over images; None without an outlined defect.

        mean_iou: mean over the images with defects of the pixel IoU of each, as a sweep maximises it
        """
        counted = [record.pixels for record in self.records if record.pixels is not None]
        exact = sum((match_counts(pixels) for pixels in counted), NO_MATCHES)
        if not exact.n_true:
            return None
        ious = [
            pixels.tp / (pixels.tp + pixels.fp + pixels.fn) for pixels in counted if pixels.tp + pixels.fn
        ]
        near = sum((record.near for record in self.records if record.near is not None), NO_MATCHES)
        tolerant = {
            f"{name}_at_{self.tolerance_px:g}px": getattr(near, name)
            for name in ("precision", "recall", "f1")
        }
        return {
            "images": len(counted),
            "precision": exact.precision,
            "recall": exact.recall,
            "f1": exact.f1,
            "iou": ratio(exact.tp_found, exact.n_found + exact.n_true - exact.tp_found),
            "mean_iou": float(np.mean(ious)),
            **tolerant,
            "auprc": self.severities.average_precision(),
            "threshold": threshold,
        }

    def curves(self, pixel_threshold: float | None) -> dict[str, Curve]:
        """Curves of the report by name, only those that apply."""
        drawn = {
            "iou": curves.iou_curve(self.records),
            "roc": curves.roc_curve(self.records),
        }
        if self.severities.defective_images:
            drawn["threshold"] = curves.threshold_curve(self.severities.sweep(), chosen=pixel_threshold)
            drawn["precision-recall"] = curves.precision_recall_curve(self.severities)
        return {name: curve for name, curve in drawn.items() if curve is not None}


def metrics_json(evaluation: Evaluation) -> str:
    """Text of metrics.json. Raises ValueError for a number that is not finite, which is a bug."""
    return json.dumps(evaluation.metrics, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def found_defects_map(
    sample: Sample, inspection: Inspection, class_map: NDArray[np.uint8] | None
) -> NDArray[np.int32] | None:
    """Map [H, W] with i + 1 on the pixels of found defect i, else 0; None where these are unknown.

    Raises BlemishError where the annotation is of another size than the inspected image.
    """
    found = inspection.maps.get("defects")
    if found is None:
        if class_map is None or inspection.defects:
            return None
        return np.zeros(class_map.shape, dtype=np.int32)
    if class_map is not None and found.shape != class_map.shape:
        raise BlemishError(
            f"{sample.id}: the annotation must have the size of the inspected image. "
            f"Received: {class_map.shape} for {found.shape}. Annotate the image at its own size."
        )
    return found.astype(np.int32, copy=False)


def small_heat(heat_map: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Heat map for the report, at most `HEAT_SIDE` a side, 255 at 1. heat_map: [H, W] in [0, 1]"""
    scale = min(1.0, HEAT_SIDE / max(heat_map.shape))
    size = max(1, round(heat_map.shape[0] * scale)), max(1, round(heat_map.shape[1] * scale))
    small = resized_map(heat_map.astype(np.float32, copy=False), size)
    return np.rint(255 * np.clip(small, 0, 1)).astype(np.uint8)


def true_defect(instance: Instance) -> TruthDefect:
    """Annotated defect for a record, with outlines instead of pixels."""
    left, top, right, bottom = instance.box_xyxy
    if instance.mask is None:
        return TruthDefect(instance.label, instance.box_xyxy, (), (right - left) * (bottom - top))
    contour = outlines(instance.mask, offset_xy=(int(left), int(top)))
    return TruthDefect(instance.label, instance.box_xyxy, contour, float(np.count_nonzero(instance.mask)))


def operating_metrics(point: OperatingPoint | None, records: Sequence[ImageRecord]) -> dict[str, Any] | None:
    """The "operating_point" part of metrics.json; None without an operating point.

    Counts are of these images; under "chosen_on" are those of the images that it was chosen on, if any.
    """
    if point is None:
        return None
    decided = [record for record in records if is_decided(record)]
    verdicts = [record.inspection.verdict for record in decided]
    here = measured(point, verdicts, [is_defective(record) for record in decided]).to_json()
    here["rejected_elsewhere"] = rejected_elsewhere(records).to_json()
    if point.rule == GIVEN:
        return here
    chosen_on = {name: point.to_json()[name] for name in ("escapes", "overkill", "review", "notes")}
    return {**here, "chosen_on": chosen_on}


def mean_seconds(records: Sequence[ImageRecord]) -> float | None:
    """Mean seconds of an inspection: its "total" where that was measured, else the sum of its stages."""
    timings = [record.inspection.timings_ms for record in records if record.inspection.timings_ms]
    seconds = [timing.get("total", sum(timing.values())) / 1000 for timing in timings]
    return float(np.mean(seconds)) if seconds else None
