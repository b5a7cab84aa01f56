"""Feature maps of training images; those of a frozen extractor are computed once and kept.

In phase 2 the extractor does not change and few images come again and again, mirrored in four ways, so
that a step costs only the heads. An image is known by its pixels: whatever draws the batches needs no names.
Letters: B images, m channels, H, W pixels, h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.data.image_memory import ImageMemory
from blemish.methods.tlsdd.data.views import whole_cells
from blemish.methods.tlsdd.network.detector import Detector, FeatureGroup
from blemish.methods.tlsdd.network.extractor import FeatureMaps


class RememberedMaps(nn.Module):
    """An extractor that computes the maps of an image once."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor
        self.memory: ImageMemory[FeatureMaps] = ImageMemory()

    def forward(self, images: Tensor) -> FeatureMaps:
        """Maps by name, [1, m, h, w]. images: [1, 3, H, W]"""
        return self.memory.get(images.cpu().numpy(), lambda: self.extractor(images))


class MapCache:
    """Maps of batches by a detector's extractor."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.remembered = RememberedMaps(detector.extractor)

    def of_batch(self, images: Tensor, sizes: Tensor) -> FeatureMaps:
        """Maps by name, [B, m, h, w]. images: [B, 3, H, W]; sizes: [B, 2] (h, w) of each without padding"""
        if self.learns:
            maps: FeatureMaps = self.detector.extractor(images)
            return maps
        return self.remembered_maps(own_part(image, size) for image, size in zip(images, sizes, strict=True))

    def by_size(self, images: Tensor, sizes: Tensor, *, gradient: bool) -> list[FeatureGroup]:
        """Maps of images of as many cells together, without what pads them to the largest of all.

        images: [B, 3, H, W]; sizes: [B, 2] (h, w) of each without padding
        gradient: whether the extractor is to learn from them, where it learns at all
        """
        padded, number = torch.unique(whole_cells(sizes), dim=0, return_inverse=True)
        groups, learns = [], self.learns
        for index, size in enumerate(padded):
            places = (number == index).nonzero().flatten()
            alike = own_part(images[places], size)
            if learns:
                with nullcontext() if gradient else torch.no_grad():
                    groups.append(FeatureGroup(places, self.detector.extractor(alike)))
            else:
                groups.append(FeatureGroup(places, self.remembered_maps(alike)))
        return groups

    @property
    def learns(self) -> bool:
        return any(parameter.requires_grad for parameter in self.detector.extractor.parameters())

    def remembered_maps(self, images: Iterable[Tensor]) -> FeatureMaps:
        """Maps of images [3, H, W] by an extractor that does not change."""
        with torch.no_grad():
            return stacked([self.remembered(image[None]) for image in images])


def own_part(images: Tensor, size: Tensor) -> Tensor:
    """Images of as many cells, [..., H, W], without what pads them to the largest of their batch."""
    height, width = whole_cells(size).tolist()
    return images[..., :height, :width]


def stacked(maps: Sequence[FeatureMaps]) -> FeatureMaps:
    """Maps of several images, [1, m, h, w] each, as a batch; zeros beyond each."""
    found = {}
    for name in maps[0]:
        of_name = [image[name] for image in maps]
        height, width = (max(features.shape[axis] for features in of_name) for axis in (-2, -1))
        found[name] = torch.cat(
            [
                F.pad(features, (0, width - features.shape[-1], 0, height - features.shape[-2]))
                for features in of_name
            ]
        )
    return found
