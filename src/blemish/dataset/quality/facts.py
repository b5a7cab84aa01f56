"""Facts on a dataset that decide which method suits it: counts, marks, rare classes, and sizes of defects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import defect_instances
from blemish.dataset.product_sets.products import ProductCounts, counts_of_products
from blemish.dataset.quality.rarity import rare_classes
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size

MEASURED = 200  # defective images with an outline that are measured, evenly spread
FEW = 20  # images up to which a class counts as one of few examples


@dataclass(frozen=True)
class DataFacts:
    """Facts on a dataset.

    good, defective: numbers of images; outlined, placed: defective ones with an outline, or at least a box,
        for all that is marked in them
    classes: images that show each; few: those that are rare beside the most frequent and seen in few images
    products: counts of each, in a dataset of several
    widths: of the outlined defects of each class that were measured, in pixels, see `width_of`
    tested: defective images of the split "test"; None without such a split
    """

    good: int
    defective: int
    outlined: int
    placed: int
    classes: Mapping[str, int]
    few: tuple[str, ...]
    products: tuple[ProductCounts, ...]
    widths: Mapping[str, tuple[float, ...]]
    tested: int | None


def facts_of(dataset: Dataset) -> DataFacts:
    """Facts on a dataset; the masks of at most `MEASURED` images are read, those with faults left out.

    What settings may follow from, `few` and `widths`, is not learned from images of the split "test".
    """
    defective = [sample for sample in dataset if sample.is_defective]
    outlined = [sample for sample in defective if all(a.has_outline for a in sample.annotations)]
    learned = [sample for sample in outlined if sample.split != "test"]
    measured = learned[:: -(-len(learned) // MEASURED) or 1]
    classes = dataset.where(lambda sample: sample.split != "test").class_counts
    return DataFacts(
        good=len(dataset) - len(defective),
        defective=len(defective),
        outlined=len(outlined),
        placed=sum(all(a.has_place for a in sample.annotations) for sample in defective),
        classes={name: number for name, number in dataset.class_counts.items() if number},
        few=tuple(name for name in rare_classes(classes) if classes[name] <= FEW),
        products=counts_of_products(dataset),
        widths=widths_of(measured),
        tested=sum(s.is_defective for s in dataset.split("test")) if dataset.splits.get("test") else None,
    )


def widths_of(samples: Iterable[Sample]) -> dict[str, tuple[float, ...]]:
    """Widths of the outlined defects of each class."""
    widths: dict[str, list[float]] = {}
    for sample in samples:
        try:
            instances = defect_instances(sample, image_size(sample.image))
        except BlemishError:  # told by `data check`
            continue
        for instance in instances:
            if instance.mask is not None:
                widths.setdefault(instance.label, []).append(width_of(instance.mask))
    return {label: tuple(values) for label, values in widths.items()}


def width_of(mask: NDArray[np.bool_]) -> float:
    """Width in pixels of a region [H, W], such as of a crack across its length.

    Four times the mean distance to the region's edge, which for a long strip is its width, and for a disc two
    thirds of the diameter.
    """
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    inside = distance[distance > 0]
    return float(4 * (inside.mean() - 0.5)) if inside.size else 0.0
