"""Region proposals: torchvision's region proposal network, on shared features or those of each class.

Source: TL-SDD section III-A-2, "class-specific feature → RPN"; Ren et al. 2015. The paper has the RPN see
every F_i; classes are folded into the batch, and the union of their proposals shares one budget. Its parts
are called one by one, so that losses and proposals are two methods. Letters: B images, K classes, A anchors,
N proposals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import batched_nms, box_area, box_iou, clip_boxes_to_image, nms, remove_small_boxes

from blemish.methods.common.outputs import REMEDY, OutputError
from blemish.methods.tlsdd.network.extractor import FeatureMaps
from blemish.methods.tlsdd.runtime.anchors import anchor_sizes
from blemish.methods.tlsdd.settings import TlsddSettings

# An anchor or region is no background that meets an ignored box this much, or lies in one with this share.
IGNORED_IOU = 0.3
IGNORED_SHARE = 0.5


@dataclass(frozen=True)
class AnchorOutputs:
    """Outputs of the RPN's head in fp32, maps one after the other, the finest first.

    objectness: [B, A] logits; deltas: [B, A, 4]; anchors: [A, 4] of each image; counts: anchors of each map
    """

    objectness: Tensor
    deltas: Tensor
    anchors: Tensor
    counts: list[int]


class ProposalNetwork(nn.Module):
    """Region proposal network over one or several maps. strides: of the maps, in pixels"""

    def __init__(self, settings: TlsddSettings, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        sizes = anchor_sizes(settings, strides)
        anchors = AnchorGenerator(sizes, (settings.aspect_ratios,) * len(sizes))
        both = {"training": settings.proposals_train, "testing": settings.proposals_test}
        self.rpn = RegionProposalNetwork(
            anchors,
            RPNHead(settings.width, anchors.num_anchors_per_location()[0]),
            fg_iou_thresh=settings.rpn_positive_iou,
            bg_iou_thresh=0.3,
            batch_size_per_image=settings.rpn_samples,
            positive_fraction=0.5,
            pre_nms_top_n=both,
            post_nms_top_n=both,
            nms_thresh=settings.rpn_nms,
        )

    def forward(self, maps: FeatureMaps, sizes: Tensor) -> list[Tensor]:
        """Proposals of each image, [N, 4] fp32 in pixels, best first. maps: [B, m, h, w]; sizes: [B, 2]"""
        return self.propose(self.predict(maps, sizes), sizes)

    def per_class(self, class_maps: FeatureMaps, sizes: Tensor, classes: int) -> list[Tensor]:
        """Union over classes of their proposals for each image, after NMS under one budget.

        class_maps: [B·K, m, h, w], the classes of an image one after the other; sizes: [B, 2]
        """
        repeated = sizes.repeat_interleave(classes, 0)
        return self.propose(self.predict(class_maps, repeated), repeated, classes)

    def predict(self, maps: FeatureMaps, sizes: Tensor) -> AnchorOutputs:
        """Outputs of the head for every anchor. maps: [B, m, h, w]; sizes: [B, 2] (h, w) without padding"""
        features = list(maps.values())
        objectness, deltas = self.rpn.head(features)
        counts = [int(of_map[0].numel()) for of_map in objectness]
        flat, flat_deltas = concat_box_prediction_layers(
            [of_map.float() for of_map in objectness], [of_map.float() for of_map in deltas]
        )
        images = len(sizes)
        return AnchorOutputs(
            flat.view(images, -1), flat_deltas.view(images, -1, 4), self.anchors(features), counts
        )

    @torch.no_grad()
    def propose(self, outputs: AnchorOutputs, sizes: Tensor, classes: int | None = None) -> list[Tensor]:
        """Proposals of each image, [N, 4], best first, from outputs for B images, or B·K. sizes: [B·K, 2]

        classes: K of an image, one after the other, whose proposals are united under one budget
        """
        found = [self.best(outputs, number, size) for number, size in enumerate(sizes.tolist())]
        if classes is None:
            return [boxes for boxes, _ in found]
        united = []
        for first in range(0, len(found), classes):
            boxes, scores = (torch.cat(parts) for parts in zip(*found[first : first + classes], strict=True))
            united.append(boxes[nms(boxes, scores, self.rpn.nms_thresh)[: self.rpn.post_nms_top_n()]])
        return united

    def best(self, outputs: AnchorOutputs, number: int, size: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Proposals [N, 4] of an image of `size` (h, w) by its number, and their objectness [N], best first.

        The best of each map, then NMS among those of one map, as in torchvision; boxes are computed of the
        best alone.
        """
        objectness, deltas = outputs.objectness[number], outputs.deltas[number]
        if not self.training:
            # torchvision drops boxes that are no numbers, and an image without boxes is clean
            refuse_not_finite(objectness, "objectness")
            refuse_not_finite(deltas, "anchor deltas")
        parts = torch.split(objectness, outputs.counts)
        tops = [part.topk(min(self.rpn.pre_nms_top_n(), len(part))).indices for part in parts]
        levels = torch.cat([torch.full_like(top, level) for level, top in enumerate(tops)])
        starts = [sum(outputs.counts[:level]) for level in range(len(tops))]
        chosen = torch.cat([start + top for start, top in zip(starts, tops, strict=True)])
        boxes = self.rpn.box_coder.decode_single(deltas[chosen], outputs.anchors[chosen])
        boxes, scores = clip_boxes_to_image(boxes, (size[0], size[1])), objectness[chosen].sigmoid()
        large = remove_small_boxes(boxes, self.rpn.min_size)
        boxes, scores, levels = boxes[large], scores[large], levels[large]
        kept = batched_nms(boxes, scores, levels, self.rpn.nms_thresh)[: self.rpn.post_nms_top_n()]
        return boxes[kept], scores[kept]

    def loss(self, outputs: AnchorOutputs, boxes: Sequence[Tensor], ignored: Sequence[Tensor]) -> Tensor:
        """Objectness and box loss, summed, of sampled anchors. boxes, ignored: [N, 4] of each image"""
        anchors = [outputs.anchors] * len(boxes)
        labels, matched = self.rpn.assign_targets_to_anchors(
            anchors, [{"boxes": of_image} for of_image in boxes]
        )
        labels = [
            without_ignored(label, outputs.anchors, of_image)
            for label, of_image in zip(labels, ignored, strict=True)
        ]
        positive, negative = (torch.cat(masks).nonzero()[:, 0] for masks in self.rpn.fg_bg_sampler(labels))
        sampled = torch.cat([positive, negative])
        targets = self.rpn.box_coder.encode_single(
            torch.cat(matched)[positive], outputs.anchors[positive % len(outputs.anchors)]
        )
        box_loss = nn.functional.smooth_l1_loss(
            outputs.deltas.flatten(0, 1)[positive], targets, beta=1 / 9, reduction="sum"
        )
        objectness_loss = nn.functional.binary_cross_entropy_with_logits(
            outputs.objectness.flatten()[sampled], torch.cat(labels)[sampled]
        )
        return objectness_loss + box_loss / max(1, len(sampled))

    def anchors(self, features: Sequence[Tensor]) -> Tensor:
        """Anchors [A, 4] fp32 of an image. features: [B, m, h, w] of each map"""
        # The generator's own forward takes the maps' dtype, and bf16 places nothing finer than 4 px beyond
        # column 512; and the quotient of image and map, which is no stride where a map's side is rounded up.
        generator = self.rpn.anchor_generator
        generator.set_cell_anchors(torch.float32, features[0].device)
        strides = [[stride, stride] for stride in self.strides]
        return torch.cat(generator.grid_anchors([list(of_map.shape[-2:]) for of_map in features], strides))


def refuse_not_finite(values: Tensor, name: str) -> None:
    """Raise OutputError for values that are infinite or no numbers."""
    if not bool(torch.isfinite(values).all()):
        raise OutputError(f"network 'detector': its {name} are not finite. {REMEDY}")


def without_ignored(labels: Tensor, boxes: Tensor, ignored: Tensor) -> Tensor:
    """Labels with −1 (no part in the loss) for background that may be an ignored box's. labels: [A]"""
    unsure = meets_ignored(boxes, ignored) & (labels == 0)
    return torch.where(unsure, torch.full_like(labels, -1), labels)


def meets_ignored(boxes: Tensor, ignored: Tensor) -> Tensor:
    """Boxes [N, 4] that may show what an ignored one marks, by their IoU or as a part of it, [N] bool."""
    if not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    corner = torch.maximum(boxes[:, None, :2], ignored[:, :2])
    sides = (torch.minimum(boxes[:, None, 2:], ignored[:, 2:]) - corner).clamp(min=0)
    share = sides.prod(2) / box_area(boxes)[:, None].clamp(min=1e-6)
    return ((box_iou(boxes, ignored) >= IGNORED_IOU) | (share >= IGNORED_SHARE)).any(1)
