"""Region proposals: torchvision's region proposal network, on shared features or those of each class.

Source: TL-SDD section III-A-2, "class-specific feature → RPN"; Ren et al. 2015. The paper has the RPN see
every F_i; classes are folded into the batch, and the union of their proposals shares one budget. Its parts
are called one by one, so that losses and proposals are two methods. Letters: B images, K classes, A anchors,
N proposals.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead, concat_box_prediction_layers
from torchvision.ops import box_area, box_iou, nms

from blemish.methods.common.outputs import REMEDY, OutputError
from blemish.methods.tlsdd.network.extractor import FeatureMaps
from blemish.methods.tlsdd.runtime.anchors import anchor_sizes
from blemish.methods.tlsdd.settings import TlsddSettings

# An anchor or region is no background that meets an ignored box this much, or lies in one with this share.
IGNORED_IOU = 0.3
IGNORED_SHARE = 0.5


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
        proposals, _ = self.scored(maps, sizes)
        return proposals

    def scored(self, maps: FeatureMaps, sizes: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Proposals [N, 4] and their objectness [N] for each image."""
        objectness, deltas, anchors, counts = self.predict(maps, sizes)
        if (
            not self.training
        ):  # torchvision drops boxes that are no numbers, and an image without boxes is clean
            refuse_not_finite(objectness, "objectness")
            refuse_not_finite(deltas, "anchor deltas")
        boxes = self.rpn.box_coder.decode(deltas.detach(), anchors).view(len(anchors), -1, 4)
        image_sizes = [(int(height), int(width)) for height, width in sizes]
        found: tuple[list[Tensor], list[Tensor]] = self.rpn.filter_proposals(
            boxes, objectness, image_sizes, counts
        )
        return found

    def per_class(self, class_maps: FeatureMaps, sizes: Tensor, classes: int) -> list[Tensor]:
        """Union over classes of their proposals for each image, after NMS under one budget.

        class_maps: [B·K, m, h, w], the classes of an image one after the other; sizes: [B, 2]
        """
        boxes, scores = self.scored(class_maps, sizes.repeat_interleave(classes, 0))
        united = []
        for first in range(0, len(boxes), classes):
            together = torch.cat(boxes[first : first + classes])
            kept = nms(together, torch.cat(scores[first : first + classes]), self.rpn.nms_thresh)
            united.append(together[kept[: self.rpn.post_nms_top_n()]])
        return united

    def losses(
        self, maps: FeatureMaps, sizes: Tensor, boxes: Sequence[Tensor], ignored: Sequence[Tensor]
    ) -> Tensor:
        """Objectness and box loss, summed. boxes, ignored: [N, 4] of each image"""
        objectness, deltas, anchors, _ = self.predict(maps, sizes)
        labels, matched = self.rpn.assign_targets_to_anchors(
            anchors, [{"boxes": of_image} for of_image in boxes]
        )
        labels = [
            without_ignored(label, anchor, of_image)
            for label, anchor, of_image in zip(labels, anchors, ignored, strict=True)
        ]
        targets = self.rpn.box_coder.encode(matched, anchors)
        objectness_loss, box_loss = self.rpn.compute_loss(objectness, deltas, labels, targets)
        return objectness_loss + box_loss

    def predict(self, maps: FeatureMaps, sizes: Tensor) -> tuple[Tensor, Tensor, list[Tensor], list[int]]:
        """Objectness [B·A, 1], deltas [B·A, 4] in fp32, anchors [A, 4] of each image, anchors of each map."""
        features = list(maps.values())
        objectness, deltas = self.rpn.head(features)
        counts = [int(of_map[0].numel()) for of_map in objectness]
        flat, flat_deltas = concat_box_prediction_layers(
            [of_map.float() for of_map in objectness], [of_map.float() for of_map in deltas]
        )
        return flat, flat_deltas, self.anchors(features, sizes), counts

    def anchors(self, features: Sequence[Tensor], sizes: Tensor) -> list[Tensor]:
        """Anchors [A, 4] fp32 of each image. features: [B, m, h, w] of each map; sizes: [B, 2]"""
        # The generator's own forward takes the maps' dtype, and bf16 places nothing finer than 4 px beyond
        # column 512; and the quotient of image and map, which is no stride where a map's side is rounded up.
        generator = self.rpn.anchor_generator
        generator.set_cell_anchors(torch.float32, features[0].device)
        strides = [[stride, stride] for stride in self.strides]
        anchors = torch.cat(generator.grid_anchors([list(of_map.shape[-2:]) for of_map in features], strides))
        return [anchors] * len(sizes)


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
