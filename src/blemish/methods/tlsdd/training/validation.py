"""Detections on validation images, and the score threshold that is chosen on them.

Images are inspected as they are with the trained bundle, from a floor under every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from blemish.dataset.boxes import Boxed, ImageBoxes, cleaned_boxes
from blemish.dataset.samples import Dataset
from blemish.defect import Defect
from blemish.methods.contract import Networks, Trainer
from blemish.methods.tlsdd.runtime.box_outcomes import boxes_of
from blemish.methods.tlsdd.runtime.inference import inference_from
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_area, box_iou, shared_area

FOUND_IOU = 0.5
DEFAULT_THRESHOLD = 0.5  # where there is nothing to choose it on


@dataclass(frozen=True)
class ValidationDetections:
    """Validation images that show no other classes: true boxes and candidates of each.

    Candidates in a crowd or difficult region, but of no true box, are left out: neither right nor wrong.
    """

    truth: tuple[tuple[Boxed, ...], ...]
    candidates: tuple[tuple[Defect, ...], ...]

    def above(self, threshold: float) -> list[list[Defect]]:
        """Defects of each image: the candidates from the threshold on."""
        return [[defect for defect in image if defect.confidence >= threshold] for image in self.candidates]


def detect_on_validation(
    dataset: Dataset, names: Sequence[str], settings: TlsddSettings, networks: Networks, trainer: Trainer
) -> ValidationDetections:
    """Candidates on the images of split "val" that show no class but `names`."""
    inference = inference_from(settings, tuple(names), threshold=DEFAULT_THRESHOLD)
    truth, candidates = [], []
    samples = [
        sample
        for sample in dataset.split("val").samples
        if all(annotation.label in names for annotation in sample.annotations)
    ]
    for sample in trainer.track(samples, "detecting on validation images"):
        pixels = trainer.read(sample, 3)
        raw = inference.forward(pixels, networks)
        found = cleaned_boxes(sample, (pixels.shape[0], pixels.shape[1]))
        truth.append(found.boxes)
        every = inference.decide(raw, pixels, networks, with_maps=False).candidates
        candidates.append(without_ignored(every, found) if found.ignored else every)
    return ValidationDetections(tuple(truth), tuple(candidates))


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


def score_threshold(detected: ValidationDetections) -> float:
    """Confidence from which a detection is a defect: the best F1 at IoU 0.5 on validation images.

    The middle between the last detection taken and the next; 0.5 where nothing right was found.
    """
    scored = [
        judgement
        for image in zip(detected.truth, detected.candidates, strict=True)
        for judgement in judged(*image)
    ]
    total = sum(len(image) for image in detected.truth)
    if not any(right for _, right in scored):
        return DEFAULT_THRESHOLD
    scores, right = (np.array(values) for values in zip(*sorted(scored, reverse=True), strict=True))
    hits = np.cumsum(right)
    best = int(np.argmax(2 * hits / (np.arange(1, len(hits) + 1) + total)))
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
