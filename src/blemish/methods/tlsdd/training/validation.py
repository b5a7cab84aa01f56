"""Detections on validation images, and the score threshold that is chosen on them.

Images are inspected as they are with the trained bundle, from a floor under every threshold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from blemish.dataset.boxes import Boxed, ImageBoxes, cleaned_boxes
from blemish.dataset.quality.near_duplicates import similarity_groups, small_image
from blemish.dataset.samples import Dataset
from blemish.defect import Defect
from blemish.methods.common import image_head
from blemish.methods.contract import Networks, Trainer
from blemish.methods.tlsdd.runtime.box_outcomes import boxes_of
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.runtime.inference import inference_from, shifted
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.validation_images import validation_samples
from blemish.regions.boxes import box_area, box_iou, shared_area

FOUND_IOU = 0.5
DEFAULT_THRESHOLD = 0.5  # where there is nothing to choose it on


@dataclass(frozen=True)
class ValidationDetections:
    """Validation images that show no other classes: true boxes and candidates of each.

    Candidates in a crowd or difficult region, but of no true box, are left out: neither right nor wrong.
    log_odds: of an image head; groups: numbers that near duplicates share; both none without a head
    """

    truth: tuple[tuple[Boxed, ...], ...]
    candidates: tuple[tuple[Defect, ...], ...]
    clean: tuple[bool, ...]  # images without a defect
    log_odds: tuple[float, ...] = ()
    groups: tuple[int, ...] = ()

    def of_class(self, name: str) -> ValidationDetections:
        """Boxes and candidates of one class, on the same images."""
        return ValidationDetections(
            tuple(tuple(box for box in image if box.label == name) for image in self.truth),
            tuple(tuple(defect for defect in image if defect.label == name) for image in self.candidates),
            self.clean,
        )

    def with_shifts(self, shifts: Mapping[str, float]) -> ValidationDetections:
        """The detections with confidences moved by their class's shift, see `TlsddInference.shifts`."""
        return replace(
            self,
            candidates=tuple(
                tuple(moved(defect, shifts.get(defect.label, 0.0)) for defect in image)
                for image in self.candidates
            ),
        )

    def with_image_shift(self, shift: ImageShift) -> ValidationDetections:
        """The detections with confidences moved by what the head says of their image."""
        images = zip(self.candidates, map(shift.of, self.log_odds), strict=True)
        return replace(
            self, candidates=tuple(tuple(moved(defect, by) for defect in image) for image, by in images)
        )

    def above(self, threshold: float) -> list[list[Defect]]:
        """Defects of each image: the candidates from the threshold on."""
        return [[defect for defect in image if defect.confidence >= threshold] for image in self.candidates]


def detect_on_validation(
    dataset: Dataset, names: Sequence[str], settings: TlsddSettings, networks: Networks, trainer: Trainer
) -> ValidationDetections:
    """Candidates on the images of split "val" that show no class but `names`, without any shift.

    networks: with an image head or without
    """
    inference = inference_from(settings, tuple(names), threshold=DEFAULT_THRESHOLD)
    truth, candidates, clean, odds, small_images = [], [], [], [], []
    for sample in trainer.track(validation_samples(dataset, names), "detecting on validation images"):
        pixels = trainer.read(sample, 3)
        raw = inference.forward(pixels, networks)
        found = cleaned_boxes(sample, (pixels.shape[0], pixels.shape[1]))
        truth.append(found.boxes)
        every = inference.decide(raw, pixels, networks, with_maps=False).candidates
        candidates.append(without_ignored(every, found) if found.ignored else every)
        clean.append(not sample.is_defective)
        if image_head.NAME in networks:
            odds.append(image_head.head_log_odds(pixels, networks))
            small_images.append(small_image(pixels))
    groups = similarity_groups(small_images) if small_images else ()
    return ValidationDetections(
        tuple(truth), tuple(candidates), tuple(clean), log_odds=tuple(odds), groups=tuple(groups)
    )


def without_ignored(candidates: Sequence[Defect], marked: ImageBoxes) -> tuple[Defect, ...]:
    """Candidates but those that lie in an ignored region of their class and find none of its boxes."""

    def lies_in_ignored(candidate: Defect) -> bool:
        own = np.array([candidate.box_xyxy], np.float64)
        true, ignored = (
            boxes_of([box for box in boxes if box.label == candidate.label])
            for boxes in (marked.boxes, marked.ignored)
        )
        inside = shared_area(own, ignored) >= FOUND_IOU * box_area(own)
        return bool(inside.any()) and not (box_iou(own, true) >= FOUND_IOU).any()

    return tuple(candidate for candidate in candidates if not lies_in_ignored(candidate))


def moved(defect: Defect, by: float) -> Defect:
    """A defect with its confidence moved by a shift."""
    confidence = shifted(np.array([defect.confidence], np.float32), np.array([by]))
    return replace(defect, confidence=float(confidence[0]))


def class_shifts(
    detected: ValidationDetections, names: Sequence[str], *, clean_weight: float, min_boxes: int | None
) -> dict[str, float]:
    """Shifts by which each class with enough boxes gets its own threshold where the others have theirs.

    min_boxes: validation boxes of a class that are enough; None: none has as many
    """
    common = score_threshold(detected, clean_weight=clean_weight)
    shifts = {}
    for name in names:
        own = detected.of_class(name)
        if min_boxes is not None and sum(map(len, own.truth)) >= min_boxes:
            threshold = score_threshold(own, clean_weight=clean_weight, otherwise=common)
            shifts[name] = log_odds(common) - log_odds(threshold)
    return {name: shift for name, shift in shifts.items() if shift}


def own_threshold_sentences(shifts: Mapping[str, float], threshold: float) -> list[str]:
    """Sentence on the thresholds that classes have of their own, of confidences before they are moved.

    threshold: that all classes share after that
    """
    own = {name: expit(log_odds(threshold) - shift) for name, shift in shifts.items()}
    if not own:
        return []
    shown = ", ".join(f"{name} {value:.2f}" for name, value in own.items())
    return [
        f"Thresholds of their own, from the validation images: {shown}; others {threshold:.2f}. Confidences "
        f"are moved by class, so that {threshold:.2f} is the threshold of all."
    ]


def log_odds(probability: float) -> float:
    """Logarithm of the odds, of a probability held within 1e-3 of 0 and 1."""
    held = min(max(probability, 1e-3), 1 - 1e-3)
    return math.log(held / (1 - held))


def expit(odds: float) -> float:
    """Probability whose odds have this logarithm."""
    return 1 / (1 + math.exp(-odds))


def score_threshold(
    detected: ValidationDetections, *, clean_weight: float, otherwise: float = DEFAULT_THRESHOLD
) -> float:
    """Confidence from which a detection is a defect, on validation images.

    The greatest F1 of boxes at IoU 0.5, less `clean_weight` times the share of images without a defect that
    show a detection. The middle between the last detection taken and the next.
    otherwise: where nothing right was found
    """
    images = list(zip(detected.truth, detected.candidates, detected.clean, strict=True))
    # Of each candidate: its confidence, whether it is right, whether it is the surest of a clean image.
    scored = [
        (confidence, right, clean and number == 0)
        for truth, candidates, clean in images
        for number, (confidence, right) in enumerate(judged(truth, candidates))
    ]
    total = sum(len(image) for image in detected.truth)
    if not any(right for _, right, _ in scored):
        return otherwise
    scores, right, rejects = (np.array(values) for values in zip(*sorted(scored, reverse=True), strict=True))
    hits = np.cumsum(right)
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + total)
    rejected = np.cumsum(rejects) / max(1, sum(detected.clean))
    best = int(np.argmax(f1 - clean_weight * rejected))
    following = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + following) / 2)


def judged(truth: Sequence[Boxed], candidates: Sequence[Defect]) -> list[tuple[float, bool]]:
    """Confidence of each candidate, and whether it finds a box of its class that no surer one found."""
    taken: set[int] = set()
    judgements = []
    for candidate in sorted(candidates, key=lambda candidate: -candidate.confidence):
        same = [i for i, box in enumerate(truth) if box.label == candidate.label and i not in taken]
        boxes = boxes_of([truth[i] for i in same]).astype(np.float32)
        overlaps = box_iou(np.array([candidate.box_xyxy], np.float32), boxes)[0]
        right = bool(overlaps.size and overlaps.max() >= FOUND_IOU)
        if right:
            taken.add(same[int(overlaps.argmax())])
        judgements.append((candidate.confidence, right))
    return judgements
