"""Sampling of the regions that the losses of the second stage are computed on, and their labels.

Source: Faster R-CNN (Ren et al. 2015), section 3.1; a quarter of the sampled regions are positive. Letters: N
proposals, M true boxes, R sampled regions, K classes; label K is the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.ops import box_iou

from blemish.methods.tlsdd.network.proposals import meets_ignored

POSITIVE_IOU = 0.5
MOVED = 1 / 8  # of a side: where every edge moves inwards the most, IoU is (3/4)², still above POSITIVE_IOU


@dataclass(frozen=True)
class Truth:
    """Annotations of one image. boxes: [M, 4]; labels: [M] in 0…K−1; ignored: [I, 4], of unknown kind"""

    boxes: Tensor
    labels: Tensor
    ignored: Tensor


@dataclass(frozen=True)
class SampledRegions:
    """Regions of one image. boxes, matched: [R, 4]; labels: [R] in 0…K"""

    boxes: Tensor
    labels: Tensor
    matched: Tensor


def truths_of(boxes: Tensor, labels: Tensor) -> list[Truth]:
    """Split a batch into the truth of each image. boxes: [B, M, 4]; labels: [B, M], −1 padding, −2 ignored"""
    return [
        Truth(box[label >= 0], label[label >= 0], box[label == -2])
        for box, label in zip(boxes, labels, strict=True)
    ]


def sample_regions(
    proposals: Sequence[Tensor],
    truths: Sequence[Truth],
    *,
    background: int,
    count: int,
    positive_share: float,
    moved: int = 0,
) -> list[SampledRegions]:
    """`count` regions of each image at most, true boxes among them. background: the label K

    moved: copies of each true box, moved and resized by up to an eighth of its sides, that stand among the
        proposals, too
    Draws from torch's global generator, which the training loop seeds at every step.
    """
    sampled = []
    for proposed, truth in zip(proposals, truths, strict=True):
        boxes = torch.cat([proposed, truth.boxes, moved_copies(truth.boxes, moved)])
        labels, nearest = label_regions(boxes, truth, background)
        positive = torch.nonzero((labels >= 0) & (labels < background)).flatten()
        negative = torch.nonzero(labels == background).flatten()
        wanted = min(len(positive), int(count * positive_share))
        chosen = torch.cat([drawn(positive, wanted), drawn(negative, count - wanted)])
        matched = truth.boxes[nearest[chosen]] if len(truth.boxes) else boxes[chosen]
        sampled.append(SampledRegions(boxes[chosen], labels[chosen], matched))
    return sampled


def moved_copies(boxes: Tensor, count: int) -> Tensor:
    """Copies of each box [M, 4], each edge moved by up to MOVED of the side, [count · M, 4]."""
    repeated = boxes.repeat(count, 1)
    sides = (repeated[:, 2:] - repeated[:, :2]).repeat(1, 2)
    return repeated + (2 * torch.rand_like(repeated) - 1) * MOVED * sides


def label_regions(boxes: Tensor, truth: Truth, background: int) -> tuple[Tensor, Tensor]:
    """Label of each box [N, 4] in 0…K (−1: no part in the loss), and the index of its nearest true box."""
    labels = torch.full((len(boxes),), background, device=boxes.device)
    nearest = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
    if len(truth.boxes):
        iou, nearest = box_iou(boxes, truth.boxes).max(1)
        labels = torch.where(iou >= POSITIVE_IOU, truth.labels[nearest], labels)
    unsure = meets_ignored(boxes, truth.ignored) & (labels == background)
    return torch.where(unsure, torch.full_like(labels, -1), labels), nearest


def drawn(indices: Tensor, count: int) -> Tensor:
    """`count` of the indices, or all there are, without replacement."""
    return indices[torch.randperm(len(indices), device=indices.device)[:count]]
