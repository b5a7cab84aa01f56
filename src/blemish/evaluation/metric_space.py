"""Metric space of a bundle on a dataset: embeddings of every true defect and every confident false detection.

Source: TL-SDD Fig. 9. Embeddings are specific to a class. A region's own embedding is that of its class, or
of the class that it was assigned; its distance to a class is that of its embedding for that class to the
class's prototype, from which its probability follows. Letters: N regions, K classes, D embedding.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.boxes import boxed_instances
from blemish.dataset.samples import Dataset, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.evaluation.matching import box_ious, match
from blemish.files import write_atomically
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image, with_channels
from blemish.inspector.inspector import BundleInspector
from blemish.methods.capabilities import Embedder
from blemish.progress import Reporter
from blemish.spreadsheets import plain_text

FOUND_IOU = 0.5
TRUE, FALSE = "true", "false"


@dataclass(frozen=True)
class EmbeddedRegion:
    """An embedded region. kind: "true", or "false" for a detection that matches no true defect of its class

    label: its class, or the class that it was assigned; confidence: of a detection
    """

    id: str
    image: str
    kind: str
    label: str
    box_xyxy: Box
    confidence: float | None = None


@dataclass(frozen=True)
class MetricSpace:
    """Regions and their embeddings.

    own: [N, D], of the region's class; shared: [N, D], before any class's weights
    squared_distances: [N, K], to the prototypes; prototypes: [K, D]
    """

    class_names: tuple[str, ...]
    regions: tuple[EmbeddedRegion, ...]
    own: NDArray[np.float32]
    shared: NDArray[np.float32]
    squared_distances: NDArray[np.float32]
    prototypes: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.intp]:
        """Class numbers of the regions, [N]."""
        return label_numbers(self.regions, self.class_names)

    @property
    def true(self) -> NDArray[np.bool_]:
        """Mask [N] of the regions that are true defects."""
        return np.array([region.kind == TRUE for region in self.regions], np.bool_)


def metric_space(
    inspector: BundleInspector,
    embedder: Embedder,
    class_names: Sequence[str],
    dataset: Dataset,
    reporter: Reporter,
) -> MetricSpace:
    """Inspect every image of the dataset and embed its regions.

    Raises BlemishError for an image that cannot be read, and where there is no region at all.
    """
    names = tuple(class_names)
    regions: list[EmbeddedRegion] = []
    parts = []
    for sample in reporter.track(dataset.samples, "embedding"):
        stored = full_range(read_image(sample.image), inspector.bits, str(sample.image))
        pixels = with_channels(stored, inspector.inference.channels)
        found = inspector.judge(pixels, str(sample.image)).defects
        here = regions_of(sample, (pixels.shape[0], pixels.shape[1]), found, names)
        regions += here
        boxes = np.array([region.box_xyxy for region in here], np.float32).reshape(-1, 4)
        parts.append(embedder.embed(pixels, boxes))
    if not regions:
        raise BlemishError(
            f"{dataset.root}: no defect of {', '.join(names)} is marked or found. Choose another --split."
        )
    per_class = np.concatenate([part.per_class for part in parts])
    return MetricSpace(
        names,
        tuple(regions),
        own=per_class[np.arange(len(regions)), label_numbers(regions, names)],
        shared=np.concatenate([part.shared for part in parts]),
        squared_distances=np.square(per_class - embedder.prototypes).sum(-1),
        prototypes=embedder.prototypes,
    )


def regions_of(
    sample: Sample, size: tuple[int, int], found: Sequence[Defect], class_names: Sequence[str]
) -> list[EmbeddedRegion]:
    """True boxes of an image, and found defects that match none of their class."""
    truth = [box for box in boxed_instances(sample, size) if box.label in class_names]
    same = np.array([[defect.label == box.label for defect in found] for box in truth], np.bool_)
    same = same.reshape(len(truth), len(found))
    ious = box_ious([box.box_xyxy for box in truth], [defect.box_xyxy for defect in found])
    confidences = [defect.confidence for defect in found]
    taken = {column for _, column in match(ious, confidences, threshold=FOUND_IOU, allowed=same)}
    true = [EmbeddedRegion(box.id, sample.id, TRUE, box.label, box.box_xyxy) for box in truth]
    false = [
        EmbeddedRegion(
            f"{sample.id}!{number}", sample.id, FALSE, defect.label, defect.box_xyxy, defect.confidence
        )
        for number, defect in enumerate(found)
        if number not in taken
    ]
    return [*true, *false]


def label_numbers(regions: Sequence[EmbeddedRegion], class_names: Sequence[str]) -> NDArray[np.intp]:
    """Class numbers of the regions, [N]."""
    number_of = {name: number for number, name in enumerate(class_names)}
    return np.array([number_of[region.label] for region in regions], np.intp)


def overlap_sentences(space: MetricSpace) -> list[str]:
    """Sentences on pairs of overlapping classes: the share of true defects nearer to the other prototype."""
    lines = []
    for number, other in permutations(range(len(space.class_names)), 2):
        mine = space.squared_distances[(space.labels == number) & space.true]
        nearer = int((mine[:, other] < mine[:, number]).sum())
        if nearer:
            name, called = space.class_names[number], space.class_names[other]
            lines.append(
                f"'{name}' overlaps '{called}': {nearer} of {len(mine)} regions ({nearer / len(mine):.0%}) "
                f"lie nearer to the prototype of '{called}' than to their own."
            )
    return lines or ["No two classes overlap: every region lies nearest to the prototype of its own class."]


def principal_axes(points: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Centre [D] of points [N, D], the two directions [2, D] of largest variance, and their share of it.

    Each direction points where its largest entry is positive, so that an image does not flip by chance.
    """
    centre = points.mean(0, dtype=np.float64)
    _, values, rows = np.linalg.svd(points.astype(np.float64) - centre, full_matrices=False)
    axes = np.zeros((2, points.shape[1]))
    axes[: len(rows[:2])] = rows[:2]
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])
    variances = np.square(values)
    share = float(variances[:2].sum() / max(variances.sum(), 1e-12))
    return centre, axes * np.where(signs < 0, -1, 1)[:, None], share


def write_space(folder: Path, space: MetricSpace) -> None:
    """Write embeddings.csv with a line a region, and embeddings.npz with the vectors in the same order."""
    write_atomically(folder / "embeddings.csv", table(space))
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays,
        own=space.own,
        shared=space.shared,
        squared_distances=space.squared_distances,
        prototypes=space.prototypes,
        class_names=np.array(space.class_names),
    )
    write_atomically(folder / "embeddings.npz", arrays.getvalue())


def table(space: MetricSpace) -> str:
    """Text of embeddings.csv; distances are squared."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    corners = ("left", "top", "right", "bottom")
    distances = (f"distance {name}" for name in space.class_names)
    writer.writerow(["id", "image", *corners, "kind", "class", "confidence", "nearest", *distances])
    for region, row in zip(space.regions, space.squared_distances, strict=True):
        confidence = "" if region.confidence is None else f"{region.confidence:.4f}"
        box = [f"{value:.2f}" for value in region.box_xyxy]
        nearest = space.class_names[int(row.argmin())]
        numbers = [f"{value:.5f}" for value in row]
        number, image, kind, label, nearest = map(
            plain_text, (region.id, region.image, region.kind, region.label, nearest)
        )
        writer.writerow([number, image, *box, kind, label, confidence, nearest, *numbers])
    return text.getvalue()
