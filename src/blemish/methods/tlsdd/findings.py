"""What a training tells of its classes: doctor's words before and after, and the score threshold.

Both look at detections as inspection gives them; the threshold comes from validation images alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from blemish.dataset.boxes import Boxed, boxed_instances
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet
from blemish.defect import Defect
from blemish.methods.contract import Networks, Trainer
from blemish.methods.tlsdd.anchors import anchor_sizes
from blemish.methods.tlsdd.detector import Detector, padded
from blemish.methods.tlsdd.doctor import proposal_recall, where_rare_went
from blemish.methods.tlsdd.inference import inference_from
from blemish.methods.tlsdd.scenes import Marked
from blemish.methods.tlsdd.settings import Settings
from blemish.methods.tlsdd.views import View, batched, fitted, scaled
from blemish.regions.box_statistics import gaps
from blemish.regions.boxes import box_iou

FOUND_IOU = 0.5
DEFAULT_THRESHOLD = 0.5  # where there is nothing to choose it on


@dataclass(frozen=True)
class Findings:
    """Doctor's parts by name, each with its sentences."""

    parts: dict[str, dict[str, Any]]

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(sentence for part in self.parts.values() for sentence in part["sentences"])

    def to_json(self) -> dict[str, Any]:
        return dict(self.parts)


@dataclass(frozen=True)
class Validated:
    """Validation images that show no other classes: true boxes and candidates of each."""

    truth: tuple[tuple[Boxed, ...], ...]
    candidates: tuple[tuple[Defect, ...], ...]

    def findings(self, names: Sequence[str], rare: Sequence[str], threshold: float) -> dict[str, Any]:
        """Where the true boxes of rare classes went; of all classes where none is rare."""
        found = [[one for one in image if one.confidence >= threshold] for image in self.candidates]
        wanted = [name for name in names if name in rare] or list(names)
        return where_rare_went(self.truth, found, wanted, iou=FOUND_IOU)


def findings_before(
    base: Detector,
    images: Sequence[Marked],
    common: Sequence[str],
    rare: Sequence[str],
    draw: SupportSet | None,
    trainer: Trainer,
) -> Findings:
    """Sizes and shapes of the drawn rare boxes beside the common ones, and whether the base proposes them."""
    drawn = draw.ids if draw is not None else frozenset()
    settings = base.settings
    few = [image for image in images if any(box.id in drawn and box.label in rare for box in image.boxes)]
    sizes = anchor_sizes(settings, base.extractor.strides)
    shapes = gaps(
        {name: class_boxes(images, name, settings) for name in common},
        {name: class_boxes(images, name, settings, drawn) for name in rare},
        anchor_sizes=[size for of_map in sizes for size in of_map],
        aspect_ratios=settings.aspect_ratios,
    )
    views = [rare_view(image, rare, drawn, settings, trainer) for image in few]
    recall = proposal_recall(
        [proposals_of(base, view) for view in views],
        [view.boxes for view in views],
        [view.labels for view in views],
        list(rare),
    )
    return Findings({"shapes": shapes, "proposals": recall})


def class_boxes(
    images: Sequence[Marked], name: str, settings: Settings, ids: frozenset[str] | None = None
) -> NDArray[np.float32]:
    """A class's boxes in pixels of the network's input, [n, 4]; of all, or of those with the ids."""
    found = [
        scaled(np.array([box.box_xyxy], np.float32), image.size, settings.size)
        for image in images
        for box in image.boxes
        if box.label == name and (ids is None or box.id in ids)
    ]
    return np.concatenate([*found, np.zeros((0, 4), np.float32)])


def rare_view(
    image: Marked, rare: Sequence[str], drawn: frozenset[str], settings: Settings, trainer: Trainer
) -> View:
    """The image as the network gets it, with its drawn rare boxes."""
    boxes = [box for box in image.boxes if box.id in drawn and box.label in rare]
    corners = np.array([box.box_xyxy for box in boxes], np.float32)
    labels = np.array([rare.index(box.label) for box in boxes])
    view = View(trainer.read(image.sample, 3), corners, labels)
    return fitted(view, settings, 0, np.random.default_rng(0))


@torch.inference_mode()
def proposals_of(detector: Detector, view: View) -> NDArray[np.float32]:
    """The shared RPN's proposals for one picture, [P, 4]."""
    detector.eval()
    images, sizes = batched([view])
    inputs = torch.from_numpy(images).to(next(detector.parameters()).device)
    (proposals,) = detector.rpn(detector.extractor(padded(inputs)), torch.from_numpy(sizes))
    found: NDArray[np.float32] = proposals.float().cpu().numpy()
    return found


def validated(
    dataset: Dataset, names: Sequence[str], settings: Settings, networks: Networks, trainer: Trainer
) -> Validated:
    """Candidates on the validation images."""
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
        truth.append(tuple(boxed_instances(sample, (pixels.shape[0], pixels.shape[1]))))
        candidates.append(inference.decide(raw, pixels, networks, with_maps=False).candidates)
    return Validated(tuple(truth), tuple(candidates))


def score_threshold(validated: Validated) -> float:
    """The confidence from which a detection is a defect: the best F1 at IoU 0.5 on validation images.

    The middle between the last detection taken and the next; 0.5 where nothing right was found.
    """
    scored = [
        one for image in zip(validated.truth, validated.candidates, strict=True) for one in judged(*image)
    ]
    total = sum(len(image) for image in validated.truth)
    if not any(right for _, right in scored):
        return DEFAULT_THRESHOLD
    scores, right = (np.array(values) for values in zip(*sorted(scored, reverse=True), strict=True))
    hits = np.cumsum(right)
    best = int(np.argmax(2 * hits / (np.arange(1, len(hits) + 1) + total)))
    following = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + following) / 2)


def judged(truth: Sequence[Boxed], candidates: Sequence[Defect]) -> list[tuple[float, bool]]:
    """(confidence, whether it finds a box of its class that no surer one found) of each candidate."""
    taken: set[int] = set()
    judgements = []
    for one in sorted(candidates, key=lambda candidate: -candidate.confidence):
        same = [i for i, box in enumerate(truth) if box.label == one.label and i not in taken]
        boxes = np.array([truth[i].box_xyxy for i in same], np.float32).reshape(-1, 4)
        overlaps = box_iou(np.array([one.box_xyxy], np.float32), boxes)[0]
        right = bool(overlaps.size and overlaps.max() >= FOUND_IOU)
        if right:
            taken.add(same[int(overlaps.argmax())])
        judgements.append((one.confidence, right))
    return judgements
