"""Ignored regions of images in an evaluation: crowd and difficult ones, as pixels, as regions and as counts.

Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.ignored import ignored_instances, is_doubtful
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Sample
from blemish.evaluation.records import IgnoredRegion, ImageRecord


@dataclass(frozen=True)
class IgnoredRegions:
    """Ignored regions of an image. crowd: of each, True for a crowd region, False for a difficult one"""

    instances: tuple[Instance, ...] = ()
    crowd: tuple[bool, ...] = ()

    @property
    def regions(self) -> tuple[IgnoredRegion, ...]:
        pairs = zip(self.instances, self.crowd, strict=True)
        return tuple(IgnoredRegion(each.label, each.box_xyxy, crowd) for each, crowd in pairs)

    def mask(self, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """Pixels [H, W] of the regions, of the whole box where only that is known."""
        return drawn(self.instances, (size[0], size[1]))


NOTHING_IGNORED = IgnoredRegions()


def ignored_of(sample: Sample, size: tuple[int, int]) -> IgnoredRegions:
    """Ignored regions of a sample. size: (height, width) of its image"""
    pairs = ignored_instances(sample, size)
    return IgnoredRegions(tuple(instance for instance, _ in pairs), tuple(mark.crowd for _, mark in pairs))


def drawn(instances: Sequence[Instance], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels [H, W] of instances, of the whole box where only that is known."""
    pixels = np.zeros(size, np.bool_)
    for instance in instances:
        left, top, right, bottom = (max(0, round(edge)) for edge in instance.box_xyxy)
        pixels[top:bottom, left:right] |= True if instance.mask is None else instance.mask
    return pixels


def ignored_counts(records: Sequence[ImageRecord]) -> dict[str, int]:
    """The "ignored" part of metrics.json, empty where nothing is ignored.

    crowd, difficult: numbers of regions; doubtful_images: with difficult regions alone, in no image figure
    """
    regions = [region for record in records for region in record.ignored]
    doubtful = sum(is_doubtful(record.sample) for record in records)
    if not regions and not doubtful:
        return {}
    crowds = sum(region.crowd for region in regions)
    return {"crowd": crowds, "difficult": len(regions) - crowds, "doubtful_images": doubtful}
