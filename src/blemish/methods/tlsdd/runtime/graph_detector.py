"""Detector in numpy around its graphs: proposals from the RPN's outputs, regions, refined boxes.

Source: TL-SDD Fig. 2 and Ren et al. 2015; `Detector.detect` step by step, with the steps between the networks
in numpy. Where it is cut, see `export`. Letters: K classes, R regions, A anchors of a cell, m width, D
embedding; h, w cells of a map; H, W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Boxes, Floats, Size
from blemish.bundle.manifest import Manifest
from blemish.errors import BlemishError
from blemish.methods.capabilities import Exported
from blemish.methods.common import image_head
from blemish.methods.common.outputs import Shape, checked_output
from blemish.methods.contract import Arrays, Graph, Network
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.enrolled import (
    ENROLLED,
    EnrolledClasses,
    enrolled_names,
    has_background,
)
from blemish.methods.tlsdd.data.image_memory import ImageMemory
from blemish.methods.tlsdd.data.views import MULTIPLE
from blemish.methods.tlsdd.memory import image_shift_of
from blemish.methods.tlsdd.runtime.anchors import (
    POOL,
    anchor_sizes,
    cell_anchors,
    map_names,
    map_strides,
    moved_boxes,
)
from blemish.methods.tlsdd.runtime.enrolled_rows import enrolled_rows, with_grid
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import class_wise_nms, clip_boxes, nms

REFINED_BY = (10.0, 10.0, 5.0, 5.0)  # weights of the region head's deltas
MIN_SIDE = 1e-3  # pixels; a smaller proposal is none
# Regions in one call of the graph: the terms of their sum over channels, [m, h, R] fp32, stay near 128 MB.
MAX_AT_ONCE = 128
MIN_AT_ONCE = 8
ON_MAP = 16  # cells at a canonical size of 224: a square of that side is pooled from the map of the cells
VECTORS, MADE_FOR, HIDDEN = "class_vectors", "made_for", "hidden"
OF_REGIONS = ("probabilities", "deltas", "embeddings", HIDDEN)  # outputs with a row for each region


def named(prefix: str, names: Sequence[str]) -> tuple[str, ...]:
    """Names of a graph's inputs or outputs that are one for each map."""
    return tuple(f"{prefix}_{name}" for name in names)


def pooled_maps(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of the maps that regions are pooled from."""
    return tuple(name for name in map_names(settings) if name != POOL)


def output_maps(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of the maps that the graph of an image outputs: all where another graph proposes on them."""
    return map_names(settings) if settings.on_class_features else pooled_maps(settings)


def bank_inputs(settings: TlsddSettings) -> tuple[str, ...]:
    """Names of the bank's arrays that the graph of regions takes."""
    used = {
        "class_vectors": settings.reweight,
        "prototypes": settings.metric_head,
        "known": True,
        "biases": settings.learns_offsets,
    }
    return tuple(name for name, yes in used.items() if yes)


def regions_at_once(settings: TlsddSettings) -> int:
    """Boxes in one call: the budget of proposals in as few equal parts as `MAX_AT_ONCE` allows."""
    parts = -(-settings.proposals_test // MAX_AT_ONCE)
    return -(-settings.proposals_test // parts)


def graph_network(exported: Exported, manifest: Manifest) -> Network:
    """Network from images [1, 3, H, W] to rows [R, 4 + K], for the classes of the bundle's bank.

    Raises BlemishError for a bank that is not this bundle's, and for missing graphs.
    """
    detector, bank, enrolled = open_graph_detector(exported, manifest)
    return lambda images: detector.rows(images, bank, enrolled)


def open_graph_detector(
    exported: Exported, manifest: Manifest
) -> tuple[GraphDetector, ClassBank, EnrolledClasses | None]:
    """Open detector, class bank and the classes behind it, which a bundle without background does not have.

    Raises BlemishError where they do not fit the manifest.
    """
    settings, count = TlsddSettings.model_validate(manifest.settings), len(enrolled_names(manifest))
    trained = len(manifest.class_names) - count
    bank = ClassBank.from_tensors(exported.tensors.get("bank", {}), settings, trained)
    enrolled = None
    if has_background(manifest):
        enrolled = EnrolledClasses.from_tensors(exported.tensors.get(ENROLLED, {}), settings, count)
    needed = {
        "maps": True, "regions": True, "proposals": settings.on_class_features, "support": settings.reweight,
        image_head.NAME: image_shift_of(manifest) is not None,
    }  # fmt: skip
    wanted = {name for name, yes in needed.items() if yes}
    if set(exported.graphs) != wanted:
        raise BlemishError(
            f"The bundle must hold the graphs {', '.join(sorted(wanted))}. "
            f"Received: {', '.join(sorted(exported.graphs)) or 'none'}. Export it again."
        )
    return GraphDetector(exported.graphs, settings), bank, enrolled


def remembering(detector: GraphDetector) -> GraphDetector:
    """Wrap a detector so that it computes the maps of an image once."""
    memory: ImageMemory[Arrays] = ImageMemory()
    maps = detector.graphs["maps"]
    remembered = {"maps": lambda arrays: memory.get(arrays["images"], lambda: maps(arrays))}
    return GraphDetector({**detector.graphs, **remembered}, detector.settings)


@dataclass(frozen=True)
class GraphDetector:
    """Detector that runs its graphs, named as in `export.plans`. Offers `parts.Parts`."""

    graphs: Mapping[str, Graph]
    settings: TlsddSettings

    def rows(self, images: Floats, bank: ClassBank, enrolled: EnrolledClasses | None = None) -> Floats:
        """Boxes and class probabilities of every proposal, before any NMS between them.

        images: [1, 3, H, W] in [0, 1]; returns: [R, 4 + K], boxes in pixels
        enrolled: classes behind those of the bank, see `enrolled_rows`
        """
        size = images.shape[2], images.shape[3]
        maps = self.maps(images)
        proposals = self.proposals(maps, bank, size)
        outputs = self.regions(maps, proposals, bank.tensors())
        if not np.array_equal(outputs[MADE_FOR], bank.made_for):
            raise BlemishError(
                "The bundle's class bank was made for another detector than its graphs. "
                "Copy the whole bundle, or export it again."
            )
        boxes = self.refined(proposals, outputs["deltas"], outputs["probabilities"])
        rows = np.concatenate([clip_boxes(boxes, size), outputs["probabilities"]], axis=1)
        if enrolled is None or not len(enrolled):
            return rows
        boxes = with_grid(proposals, size)
        features, trained = self.features([(maps, boxes)]), len(bank.known)
        own = enrolled_rows(
            boxes, features, enrolled.weights, size=size, trained=trained, settings=self.settings
        )
        return np.concatenate([np.pad(rows, ((0, 0), (0, len(enrolled)))), own])

    def boxes_to_score(self, images: Floats, size: Size, bank: ClassBank) -> Boxes:
        return with_grid(self.proposals(self.maps(images), bank, size), size)

    def maps(self, images: Floats) -> Arrays:
        """Outputs of the graph of an image, padded right and below to whole cells of every map."""
        height, width = images.shape[2:]
        beyond = ((0, 0), (0, 0), (0, -height % MULTIPLE), (0, -width % MULTIPLE))
        whole = np.pad(images, beyond, mode="edge" if self.settings.padding == "edge" else "constant")
        rows, columns = whole.shape[2:]
        cells = [(-(-rows // stride), -(-columns // stride)) for stride in map_strides(self.settings)]
        shapes: dict[str, Shape] = {
            name: (1, self.settings.width, *size)
            for name, size in zip(named("map", output_maps(self.settings)), cells, strict=False)
        }
        if not self.settings.on_class_features:
            shapes |= self.proposal_shapes(1, cells)
        return self.checked("maps", {"images": whole}, shapes)

    def checked(self, graph: str, arrays: Arrays, shapes: Mapping[str, Shape]) -> Arrays:
        """Outputs of a graph that have these shapes. Raises OutputError for others."""
        found = self.graphs[graph](arrays)
        return {
            name: checked_output(found[name], shape, of=f"output '{name}' of graph '{graph}'")
            for name, shape in shapes.items()
        }

    def proposal_shapes(self, batch: int, cells: Sequence[tuple[int | None, int | None]]) -> dict[str, Shape]:
        """Shapes of the RPN's outputs. cells: of each map, (h, w)"""
        names, anchors = map_names(self.settings), [len(of_map) for of_map in self.anchors]
        every = list(zip(anchors, cells, strict=True))
        return {
            **dict(zip(named("objectness", names), ((batch, a, *size) for a, size in every), strict=True)),
            **dict(
                zip(named("anchor_deltas", names), ((batch, 4 * a, *size) for a, size in every), strict=True)
            ),
        }

    def proposals(self, maps: Arrays, bank: ClassBank, size: Size) -> Boxes:
        """Proposals [R, 4] in pixels, the best first. size: (H, W)"""
        names = map_names(self.settings)
        outputs = maps
        if self.settings.on_class_features:
            inputs = {name: maps[name] for name in named("map", names)}
            vectors = bank.class_vectors[bank.known]
            cells = [(each.shape[2], each.shape[3]) for each in inputs.values()]
            outputs = self.checked(
                "proposals", {**inputs, "class_vectors": vectors}, self.proposal_shapes(len(vectors), cells)
            )
        objectness = [outputs[name] for name in named("objectness", names)]
        deltas = [outputs[name] for name in named("anchor_deltas", names)]
        found = [
            self.proposed(
                [of_map[number] for of_map in objectness], [of_map[number] for of_map in deltas], size
            )
            for number in range(len(objectness[0]))
        ]
        if not self.settings.on_class_features:
            return found[0][0]
        boxes, scores = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return boxes[nms(boxes, scores, iou=self.settings.rpn_nms, max_kept=self.settings.proposals_test)]

    def proposed(
        self, objectness: Sequence[Floats], deltas: Sequence[Floats], size: Size
    ) -> tuple[Boxes, Floats]:
        """Boxes [N, 4] and objectness in [0, 1], the best first, from every map's [A, h, w] and [4·A, h, w].

        The best of each map, then NMS among those of one map, then the best of all.
        """
        count = self.settings.proposals_test
        best = [
            best_of_map(*of_map, count=count)
            for of_map in zip(objectness, deltas, self.anchors, map_strides(self.settings), strict=True)
        ]
        levels = np.repeat(np.arange(len(best)), [len(scores) for _, scores in best])
        boxes, logits = (np.concatenate(parts) for parts in zip(*best, strict=True))
        boxes = clip_boxes(boxes, size)
        large = (boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE).all(axis=1)
        boxes, levels, scores = boxes[large], levels[large], sigmoid(logits[large])
        kept = class_wise_nms(boxes, scores, levels, iou=self.settings.rpn_nms, max_kept=count)
        return boxes[kept], scores[kept]

    @cached_property
    def anchors(self) -> tuple[Boxes, ...]:
        """Anchors of a cell of each map, [A, 4] about the origin."""
        sizes = anchor_sizes(self.settings, map_strides(self.settings))
        return tuple(cell_anchors(of_map, self.settings.aspect_ratios) for of_map in sizes)

    def regions(self, maps: Arrays, boxes: Boxes, bank: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs of the graph of regions for boxes [R, 4], those of each box in their order."""
        count = regions_at_once(self.settings)
        groups = np.split(boxes, range(count, len(boxes), count))
        parts = [self.some_regions(maps, group, bank) for group in groups]
        return {
            name: np.concatenate([part[name] for part in parts]) if name in OF_REGIONS else value
            for name, value in parts[0].items()
        }

    def some_regions(self, maps: Arrays, boxes: Boxes, bank: Arrays) -> dict[str, NDArray[Any]]:
        """Outputs of the graph of regions for at most `regions_at_once` boxes.

        A box is added for each map, since int8's ranges cannot be taken where a map is pooled from in vain,
        and empty ones up to one of few counts, see `padded_count`.
        """
        pooled = pooled_maps(self.settings)
        cells = ON_MAP * self.settings.roi_canonical_size / 224
        sides = [cells * stride for stride in map_strides(self.settings)[: len(pooled)]]
        on_each = np.array([[0, 0, side, side] for side in sides], np.float32)
        count = padded_count(len(boxes) + len(sides), regions_at_once(self.settings) + len(sides))
        all_boxes = np.concatenate([boxes, on_each])
        outputs = self.graphs["regions"](
            {
                **{name: maps[name] for name in named("map", pooled)},
                "boxes": np.pad(all_boxes, ((0, count - len(all_boxes)), (0, 0))),
                **{name: bank[name] for name in bank_inputs(self.settings)},
            }
        )
        shapes = self.region_shapes(count, len(bank["known"]))
        return {
            name: checked_output(
                outputs[name][: len(boxes)] if name in OF_REGIONS else outputs[name],
                (len(boxes), *shape[1:]) if name in OF_REGIONS else shape,
                of=f"output '{name}' of graph 'regions'",
                dtype=np.uint8 if name == MADE_FOR else np.float32,
            )
            for name, shape in shapes.items()
            if name != HIDDEN or name in outputs
        }

    def region_shapes(self, count: int, classes: int) -> dict[str, Shape]:
        """Shapes of the outputs of the graph of regions, for so many boxes."""
        specific = self.settings.box_regression == "specific"
        shapes: dict[str, Shape] = {
            "probabilities": (count, classes),
            "deltas": (count, 4 * classes if specific else 4),
            MADE_FOR: (32,),
        }
        if self.settings.metric_head:
            shapes |= {
                "embeddings": (count, None, self.settings.embedding),
                "scale": (1,),
                HIDDEN: (count, self.settings.hidden),
            }
        return shapes

    def class_vectors(self, supports: Floats) -> Floats:
        shape = (len(supports), self.settings.width)
        found: dict[str, NDArray[Any]] = {**self.checked("support", {"supports": supports}, {VECTORS: shape})}
        return found[VECTORS]

    def regions_at(self, images: Floats, size: Size, boxes: Boxes) -> tuple[Arrays, Boxes]:
        """Maps of the image and the boxes on them, for `embeddings`."""
        return self.maps(images), boxes

    def embeddings(self, regions: Sequence[tuple[Arrays, Boxes]], vectors: Floats) -> Floats:
        classes = classes_of(vectors, self.settings)
        found = np.concatenate([self.regions(*part, classes)["embeddings"] for part in regions])
        return np.broadcast_to(found, (len(found), len(vectors), found.shape[2]))

    def features(self, regions: Sequence[tuple[Arrays, Boxes]]) -> Floats:
        """Hidden vectors of the regions as they are, which graphs exported by older versions do not give."""
        plain = np.ones((1, self.settings.width), np.float32)
        return np.concatenate(
            [self.regions(*part, classes_of(plain, self.settings))[HIDDEN] for part in regions]
        )

    def distance_scale(self, regions: tuple[Arrays, Boxes], bank: ClassBank) -> float:
        return float(self.regions(*regions, bank.tensors())["scale"][0])

    def refined(self, proposals: Boxes, deltas: Floats, probabilities: Floats) -> Boxes:
        """Move proposals by the box regressor: that of all classes, or of each region's likeliest."""
        if self.settings.box_regression == "specific":
            each = deltas.reshape(len(proposals), -1, 4)
            deltas = each[np.arange(len(each)), probabilities.argmax(axis=1)]
        return moved_boxes(proposals, deltas, REFINED_BY)


def best_of_map(
    objectness: Floats, deltas: Floats, anchors: Boxes, stride: int, *, count: int
) -> tuple[Boxes, Floats]:
    """Select the `count` boxes of highest objectness on a map, [N, 4], with their logits, falling.

    objectness: [A, h, w]; deltas: [4·A, h, w]; anchors: [A, 4] of a cell
    """
    flat = objectness.reshape(-1)
    best = np.argpartition(-flat, count)[:count] if count < len(flat) else np.arange(len(flat))
    best = best[np.argsort(-flat[best], kind="stable")]
    number, row, column = np.unravel_index(best, objectness.shape)
    moves = deltas.reshape(len(anchors), 4, *objectness.shape[1:])[number, :, row, column]
    corners = stride * np.stack([column, row, column, row], axis=1)
    return moved_boxes(anchors[number] + corners.astype(np.float32), moves), flat[best]


def classes_of(vectors: Floats, settings: TlsddSettings) -> dict[str, NDArray[Any]]:
    """Arrays of a bank with these vectors [K, m], for what does not depend on prototypes."""
    prototypes = np.zeros((len(vectors), settings.embedding), np.float32)
    return {
        "class_vectors": vectors,
        "prototypes": prototypes,
        "known": np.ones(len(vectors), np.bool_),
        "biases": np.zeros(len(vectors), np.float32),
    }


def sigmoid(logits: Floats) -> Floats:
    return np.exp(-np.logaddexp(np.float32(0), -logits))


def padded_count(boxes: int, max_count: int) -> int:
    """Number of boxes that a graph is called with: a power of two that holds `boxes`, or `max_count`.

    Few counts, since a runtime may prepare itself anew for each.
    """
    return min(max_count, max(MIN_AT_ONCE, 1 << max(0, boxes - 1).bit_length()))
