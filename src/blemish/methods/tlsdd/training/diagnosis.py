"""Diagnosis of what goes wrong with rare classes: before they are trained, and after.

Before: sizes and shapes (`regions.box_statistics`) and proposals. After: what became of each true box.
Results are plain data for JSON, with "sentences" for the report. Letters: n boxes, P proposals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from blemish.arrays import Boxes, Integers
from blemish.dataset.boxes import Boxed
from blemish.defect import Defect
from blemish.methods.tlsdd.data.training_images import AnnotatedImage
from blemish.methods.tlsdd.data.views import View, batched, fitted, scaled
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.runtime.anchors import anchor_sizes
from blemish.methods.tlsdd.runtime.box_outcomes import box_outcomes, boxes_of, counted, outcome_sentence
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.training_split import TrainingSplit
from blemish.regions.box_statistics import gaps
from blemish.regions.boxes import box_iou

LOW_RECALL = 0.8  # what proposals miss, no later part can find


@dataclass(frozen=True)
class TrainingDiagnosis:
    """Parts of a diagnosis by name, each plain data with its sentences."""

    parts: dict[str, dict[str, Any]]

    @property
    def sentences(self) -> tuple[str, ...]:
        return tuple(sentence for part in self.parts.values() for sentence in part["sentences"])


def diagnose_base(base: Detector, split: TrainingSplit) -> TrainingDiagnosis:
    """Sizes and shapes of the drawn rare boxes beside the common ones, and whether the base proposes them."""
    drawn = split.draw.ids if split.draw is not None else frozenset()
    settings, images, rare = base.settings, split.annotated.images, split.rare
    sizes = anchor_sizes(settings, base.extractor.strides)
    shapes = gaps(
        {name: class_boxes(images, name, settings) for name in split.common},
        {name: class_boxes(images, name, settings, drawn) for name in rare},
        anchor_sizes=[size for of_map in sizes for size in of_map],
        aspect_ratios=settings.aspect_ratios,
    )
    views = []
    for number, image in enumerate(images):
        boxes = [box for box in image.boxes if box.id in drawn and box.label in rare]
        if boxes:
            labels = np.array([rare.index(box.label) for box in boxes])
            view = View(split.read(number), boxes_of(boxes).astype(np.float32), labels)
            views.append(fitted(view, settings, 0, np.random.default_rng(0)))
    recall = proposal_recall(
        [proposals_of(base, view) for view in views],
        [view.boxes for view in views],
        [view.labels for view in views],
        rare,
    )
    return TrainingDiagnosis({"shapes": shapes, "proposals": recall})


def class_boxes(
    images: Sequence[AnnotatedImage], name: str, settings: TlsddSettings, ids: frozenset[str] | None = None
) -> Boxes:
    """Boxes of a class in pixels of the network's input, [n, 4]; of all, or of those with the ids."""
    found = [
        scaled(np.array([box.box_xyxy], np.float32), image.size, settings.shorter_side)
        for image in images
        for box in image.boxes
        if box.label == name and (ids is None or box.id in ids)
    ]
    return np.concatenate([*found, np.zeros((0, 4), np.float32)])


@torch.inference_mode()
def proposals_of(detector: Detector, view: View) -> Boxes:
    """Proposals of the shared RPN for one image, [P, 4]."""
    detector.eval()
    images, sizes = batched([view], detector.settings.padding)
    inputs = torch.from_numpy(images).to(next(detector.parameters()).device)
    (proposals,) = detector.rpn(detector.extractor(inputs), torch.from_numpy(sizes))
    found: Boxes = proposals.float().cpu().numpy()
    return found


def proposal_recall(
    proposals: Sequence[Boxes],
    boxes: Sequence[Boxes],
    labels: Sequence[Integers],
    class_names: Sequence[str],
    *,
    iou: float = 0.5,
) -> dict[str, Any]:
    """Share of each class's boxes that some proposal meets at `iou`; None for a class without boxes.

    For each image: proposals [P, 4], boxes [n, 4], and labels [n], class numbers (below 0: left out)
    """
    met: list[list[bool]] = [[] for _ in class_names]
    for proposed, true, numbers in zip(proposals, boxes, labels, strict=True):
        best = box_iou(true, proposed).max(axis=1, initial=0)
        for number, overlap in zip(numbers, best, strict=True):
            if number >= 0:
                met[number].append(bool(overlap >= iou))
    recall = {
        name: float(np.mean(hits)) if hits else None for name, hits in zip(class_names, met, strict=True)
    }
    return {
        "iou": iou,
        "boxes": {name: len(hits) for name, hits in zip(class_names, met, strict=True)},
        "recall": recall,
        "sentences": [
            f"Proposals meet only {share:.0%} of '{name}' (IoU {iou:g}): the rest cannot be found, "
            "whatever the classifier does."
            for name, share in recall.items()
            if share is not None and share < LOW_RECALL
        ]
        or [f"Proposals meet at least {LOW_RECALL:.0%} of the boxes of every class (IoU {iou:g})."],
    }


def rare_class_outcomes(
    truth: Sequence[Sequence[Boxed]],
    detections: Sequence[Sequence[Defect]],
    class_names: Sequence[str],
    *,
    iou: float = 0.5,
) -> dict[str, Any]:
    """Outcomes of the true boxes of the classes, see `box_outcomes`, with a sentence for each class.

    truth, detections: for each image, in the same order; class_names: the rare classes
    """
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in class_names}
    for true, found in zip(truth, detections, strict=True):
        labels = [box.label for box in true]
        for label, outcome in zip(labels, box_outcomes(labels, boxes_of(true), found, iou), strict=True):
            if label in outcomes:
                outcomes[label][outcome] += 1
    classes = {name: counted(counts) for name, counts in outcomes.items()}
    sentences = [outcome_sentence(name, counts) for name, counts in classes.items()]
    return {"iou": iou, "classes": classes, "sentences": sentences}
