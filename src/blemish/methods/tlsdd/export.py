"""Export of the detector as graphs: maps and proposals, regions under a class bank, class vectors.

Source: TL-SDD Fig. 2, cut where decisions on boxes begin, which `runtime.graph_detector` makes. The class
bank goes in as arrays, so that one class more is a row more and no other graph. Letters: K classes, R
regions, S supports, m width, D embedding, h length of the hidden vector, A anchors of a cell; y, x cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.ops import MultiScaleRoIAlign, roi_align

from blemish.errors import BlemishError
from blemish.methods.capabilities import GraphPlan
from blemish.methods.tlsdd.data.views import MULTIPLE, whole_cells
from blemish.methods.tlsdd.network.class_tensors import ClassTensors
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.proposals import ProposalNetwork
from blemish.methods.tlsdd.network.sampled_conv import with_sampled_convs
from blemish.methods.tlsdd.network.scores import LinearScores, averaged_with_linear, with_background
from blemish.methods.tlsdd.runtime.anchors import map_names, map_strides
from blemish.methods.tlsdd.runtime.graph_detector import (
    HIDDEN,
    bank_inputs,
    named,
    output_maps,
    pooled_maps,
    regions_at_once,
)
from blemish.methods.tlsdd.settings import TlsddSettings

# Rows and columns of the deepest stage's map: unequal, so that they are not taken for one.
EXAMPLE_CELLS = (3, 4)
EXAMPLE_CLASSES = 3


def plans(detector: Detector, bank: ClassTensors, *, fixed_side: int | None = None) -> dict[str, GraphPlan]:
    """Every graph of a detector in eval mode on the CPU, by name. bank: made for it

    fixed_side: H and W of images where graphs are to take no others
    Raises BlemishError for a side that is no whole number of cells.
    """
    settings = detector.settings
    size = sizes_of_image(fixed_side)
    found = {"maps": maps_plan(detector, size), "regions": regions_plan(detector, bank, size)}
    if settings.on_class_features:
        found["proposals"] = proposals_plan(detector, size)
    if settings.reweight:
        supports = {"supports": torch.rand(2, 4, settings.support_size, settings.support_size)}
        found["support"] = GraphPlan(
            detector.support_encoder, supports, ("class_vectors",), {"supports": (0,)}
        )
    return found


class MapsGraph(nn.Module):
    """Graph from an image to its maps and, where proposals are made on those, the RPN's outputs."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.extractor = with_sampled_convs(detector.extractor)
        self.outputs = output_maps(detector.settings)
        self.rpn = None if detector.settings.on_class_features else detector.rpn

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """images: [1, 3, H, W] in [0, 1], whole cells; returns: maps [1, m, y, x], then see `rpn_outputs`"""
        maps = self.extractor(images)
        proposals = () if self.rpn is None else rpn_outputs(self.rpn, list(maps.values()))
        return (*(maps[name] for name in self.outputs), *proposals)


class ProposalsGraph(nn.Module):
    """Outputs of the RPN on every class's features F ⊗ w (eq. 1), classes in the place of images."""

    def __init__(self, rpn: ProposalNetwork) -> None:
        super().__init__()
        self.rpn = rpn

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """inputs: maps [1, m, y, x], then class vectors [K, m]"""
        *maps, vectors = inputs
        return rpn_outputs(self.rpn, [features * vectors[:, :, None, None] for features in maps])


def rpn_outputs(rpn: ProposalNetwork, maps: list[Tensor]) -> tuple[Tensor, ...]:
    """Objectness [B, A, y, x] of each map, then box deltas [B, 4·A, y, x] of each.

    As the head lays them out: so few boxes are kept that nothing is moved for their sake.
    """
    objectness, deltas = rpn.rpn.head(maps)
    return (*objectness, *deltas)


class RegionsGraph(nn.Module):
    """Graph from boxes on maps to class probabilities, box deltas and, with a metric head, embeddings.

    Unlike in `Detector`, a region as it is counts as that of one class more whose weights are all 1:
    one pass of the first layer serves both.
    """

    made_for: Tensor
    min_sides: Tensor
    weight: Tensor

    def __init__(self, detector: Detector, bank: ClassTensors) -> None:
        super().__init__()
        self.settings = detector.settings
        self.scales = [1 / stride for stride in map_strides(self.settings)][: len(pooled_maps(self.settings))]
        self.head, self.scores, self.box_regressor = (
            detector.region_head,
            detector.scores,
            detector.box_regressor,
        )
        self.embedding = detector.embedding if self.settings.metric_head else nn.Identity()
        self.linear_head = detector.linear_head if self.settings.has_linear_head else None
        self.register_buffer("made_for", bank.made_for.clone())
        self.register_buffer("min_sides", min_sides(detector.align, self.scales))
        by_channel = self.head.fc6.weight.detach().view(-1, self.settings.width, self.settings.region_size**2)
        self.register_buffer("weight", by_channel.transpose(0, 1).contiguous())  # [m, h, s²]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """inputs: maps [1, m, y, x], boxes [R, 4] in pixels, the bank's arrays in use"""
        maps, (boxes, *bank) = inputs[: len(self.scales)], inputs[len(self.scales) :]
        classes = dict(zip(bank_inputs(self.settings), bank, strict=True))
        of_classes, plain = self.hidden(self.pooled(maps, boxes), classes.get("class_vectors"))
        deltas, known = self.box_regressor(plain), classes["known"]
        if isinstance(self.scores, LinearScores):
            logarithms = linear_scores(self.scores, of_classes, plain, known)
            return logarithms.exp()[:, :-1], deltas, self.made_for.clone()
        per_class, shared = self.embedding(of_classes), self.embedding(plain)
        logarithms = self.scores(per_class, shared, classes["prototypes"], known, classes.get("biases"))
        if self.linear_head is not None:
            logarithms = averaged_with_linear(logarithms, self.linear_head, of_classes, plain, known)
        scale = torch.ones(1) * self.scores.scale()
        return logarithms.exp()[:, :-1], deltas, self.made_for.clone(), per_class, scale, plain

    def pooled(self, maps: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """RoIAlign of each box from the map of its size, [R, m, s, s]."""
        rois = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], 1)
        if len(maps) == 1:  # OpenVINO sums an axis of length 0 to anything but 0
            return roi_align(maps[0], rois, self.settings.region_size, self.scales[0], sampling_ratio=2)
        levels, parts = self.levels(boxes), []
        for number, (features, scale) in enumerate(zip(maps, self.scales, strict=True)):
            own = rois[torch.nonzero(levels == number)[:, 0]]
            parts.append(roi_align(features, own, self.settings.region_size, scale, sampling_ratio=2))
        return torch.cat(parts)[places(levels)]

    def levels(self, boxes: Tensor) -> Tensor:
        """Map that each region is pooled from by its size, [R]: FPN, Lin et al. 2017, eq. 1."""
        sides = boxes[:, 2:] - boxes[:, :2]
        return (sides.prod(1).sqrt()[:, None] >= self.min_sides).sum(1)

    def hidden(self, regions: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
        """Hidden vectors [R, K, h] under each class's weights, or [R, 1, h] without; and plain [R, h]."""
        if vectors is None:
            plain = self.head(regions)
            return plain[:, None], plain
        weights = torch.cat([vectors, torch.ones_like(vectors[:1])])  # [K + 1, m]
        terms = torch.bmm(self.weight, regions.flatten(2).permute(1, 2, 0))  # [m, h, R]
        sums = (weights @ terms.flatten(1)).view(len(weights), *terms.shape[1:])  # [K + 1, h, R]
        hidden = self.head.after_fc6(sums.permute(2, 0, 1) + self.head.fc6.bias)
        return hidden[:, :-1], hidden[:, -1]


def linear_scores(scores: LinearScores, per_class: Tensor, shared: Tensor, known: Tensor) -> Tensor:
    """`scores(per_class, shared, known)`, with the biases of the classes as terms of the sums.

    Behind a sum OpenVINO adds a row of biases from another place of the memory than where they lie.
    """
    if scores.by_branch:
        return scores(per_class, shared, known)
    weight = torch.cat([scores.linear.weight, scores.linear.bias[:, None]], 1)[:-1]
    terms = torch.cat([per_class, torch.ones_like(per_class[..., :1])], -1) * weight
    return with_background(terms.sum(-1), scores.background_logit(shared), known)


def min_sides(align: MultiScaleRoIAlign, scales: Sequence[float]) -> Tensor:
    """Square roots of the areas from which regions go to the second map, the third and so on.

    Source: FPN, eq. 1, with torchvision's allowance of 1e-6 for sides that are exact powers.
    """
    deeper = [-math.log2(scale) - align.canonical_level - 1e-6 for scale in scales[1:]]
    return torch.tensor([align.canonical_scale * 2**power for power in deeper])


def places(keys: Tensor) -> Tensor:
    """Places of keys [R] when they are sorted, equal ones in their order, [R]."""
    distinct = keys * len(keys) + torch.arange(len(keys))
    return (distinct < distinct[:, None]).sum(1)


@dataclass(frozen=True)
class ImageSize:
    """Sides of the example's image, and the axes of images and maps that may have others."""

    height: int
    width: int
    free: tuple[int, ...]

    def maps(self, settings: TlsddSettings, names: Sequence[str]) -> dict[str, Tensor]:
        """Example maps, by the names of the graph's inputs."""
        sizes = [(-(-self.height // stride), -(-self.width // stride)) for stride in map_strides(settings)]
        return {
            name: torch.rand(1, settings.width, *size)
            for name, size in zip(named("map", names), sizes, strict=False)
        }


def sizes_of_image(fixed_side: int | None) -> ImageSize:
    """Size of the example. Raises BlemishError for a fixed side that is no whole number of cells."""
    if fixed_side is None:
        rows, columns = EXAMPLE_CELLS
        return ImageSize(rows * MULTIPLE, columns * MULTIPLE, (2, 3))
    if fixed_side % MULTIPLE:
        raise BlemishError(
            f"--tile must be a multiple of {MULTIPLE}, the side of the deepest map's cell. "
            f"Received: {fixed_side}. Use {whole_cells(fixed_side)}."
        )
    return ImageSize(fixed_side, fixed_side, ())


def maps_plan(detector: Detector, size: ImageSize) -> GraphPlan:
    """Graph of an image: `MapsGraph`."""
    settings = detector.settings
    outputs = named("map", output_maps(settings))
    if not settings.on_class_features:
        outputs += rpn_output_names(settings)
    images = torch.rand(1, 3, size.height, size.width)
    return GraphPlan(MapsGraph(detector), {"images": images}, outputs, {"images": size.free})


def proposals_plan(detector: Detector, size: ImageSize) -> GraphPlan:
    """Graph of proposals on class features, for any number of classes: `ProposalsGraph`."""
    settings = detector.settings
    maps = size.maps(settings, map_names(settings))
    inputs = {**maps, "class_vectors": torch.ones(EXAMPLE_CLASSES, settings.width)}
    free = {**dict.fromkeys(maps, size.free), "class_vectors": (0,)}
    return GraphPlan(ProposalsGraph(detector.rpn), inputs, rpn_output_names(settings), free)


def regions_plan(detector: Detector, bank: ClassTensors, size: ImageSize) -> GraphPlan:
    """Graph of regions for any number of classes, or without a metric head for the detector's own."""
    settings = detector.settings
    maps = size.maps(settings, pooled_maps(settings))
    own_bank = example_bank(settings, EXAMPLE_CLASSES if settings.metric_head else detector.classes)
    count = regions_at_once(settings)
    corners = 20 * torch.rand(count, 2)  # of boxes of all sizes, so that every map has some
    boxes = torch.cat([corners, corners + torch.logspace(0, 3, count)[:, None]], 1)
    inputs = {**maps, "boxes": boxes, **own_bank}
    bank_axes = (0,) if settings.metric_head else ()
    free = {**dict.fromkeys(maps, size.free), "boxes": (0,), **dict.fromkeys(own_bank, bank_axes)}
    metric = ("embeddings", "scale", HIDDEN) if settings.metric_head else ()
    outputs = ("probabilities", "deltas", "made_for", *metric)
    return GraphPlan(RegionsGraph(detector, bank), inputs, outputs, free)


def rpn_output_names(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of `rpn_outputs`, in their order."""
    names = map_names(settings)
    return (*named("objectness", names), *named("anchor_deltas", names))


def example_bank(settings: TlsddSettings, classes: int) -> dict[str, Tensor]:
    """Example of the bank's arrays that the graph of regions takes."""
    arrays = {
        "class_vectors": torch.ones(classes, settings.width),
        "prototypes": torch.rand(classes, settings.embedding),
        "known": torch.ones(classes, dtype=torch.bool),
        "biases": torch.rand(classes),
    }
    return {name: arrays[name] for name in bank_inputs(settings)}
