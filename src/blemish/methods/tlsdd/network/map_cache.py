"""Feature maps of training images; what a frozen part of the extractor makes of an image is computed once.

Few images come again and again, mirrored in four ways. With a frozen backbone a step costs the pyramid and
the heads, and in phase 2, where the whole extractor is frozen, the heads alone. An image is known by its
pixels: whatever draws the batches needs no names.
Letters: B images, m channels, H, W pixels, h, w cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.data.image_memory import ImageMemory
from blemish.methods.tlsdd.data.views import MULTIPLE, whole_cells
from blemish.methods.tlsdd.network.detector import Detector, FeatureGroup
from blemish.methods.tlsdd.network.extractor import Extractor, FeatureMaps

SupportMaps = tuple[list[FeatureGroup], Tensor, Tensor]  # maps, boxes [S, 4] on them, their sizes [S, 2]


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
    """Maps of batches by a detector's extractor. views: of each training image, see `CacheUse`"""

    def __init__(self, detector: Detector, *, views: int | None = None) -> None:
        self.extractor: Extractor = detector.extractor
        self.memory: ImageMemory[FeatureMaps] = ImageMemory(views=views)

    def of_batch(self, images: Tensor, sizes: Tensor) -> FeatureMaps:
        """Maps by name, [B, m, h, w], zeros beyond each image.

        images: [B, 3, H, W]; sizes: [B, 2] (h, w) of each without padding
        """
        groups = self.by_size(images, sizes)
        if len(groups) == 1:
            return groups[0].maps
        order = torch.cat([group.places for group in groups]).argsort()
        together = stacked([group.maps for group in groups])
        return {name: of_name[order] for name, of_name in together.items()}

    def by_size(self, images: Tensor, sizes: Tensor, *, gradient: bool = True) -> list[FeatureGroup]:
        """Maps of images of as many cells together, without what pads them to the largest of all.

        images: [B, 3, H, W]; sizes: [B, 2] (h, w) of each without padding
        gradient: whether the extractor is to learn from them, where it learns at all
        """
        return [
            FeatureGroup(places, self.maps(own_part(images[places], size), gradient=gradient))
            for places, size in alike(whole_cells(sizes))
        ]

    def of_supports(self, images: Tensor, sizes: Tensor, boxes: Tensor, *, gradient: bool) -> SupportMaps:
        """Maps about one box [B, 4] on each image, for pooling that box.

        Of a frozen backbone, the pyramid is computed on a window about each box, which is exact: a pyramid's
        map sees one cell around. Else, or where the whole extractor is frozen, maps are of whole images.
        """
        backbone_learns = len(self.extractor.frozen_stages) < len(self.extractor.body)
        if backbone_learns or not self.learns:
            return self.by_size(images, sizes, gradient=gradient), boxes, sizes
        margin = 2 * self.extractor.strides[len(self.extractor.taken) - 1]
        whole = whole_cells(sizes).flip(1)
        starts = ((boxes[:, :2] - margin).clamp(min=0) // MULTIPLE * MULTIPLE).long()
        ends = torch.minimum(whole_cells((boxes[:, 2:] + margin).ceil().long()), whole)
        features = [
            {name: window(of_stage, start, end, whole[number]) for name, of_stage in frozen.items()}
            for number, (start, end) in enumerate(zip(starts, ends, strict=True))
            for frozen in [self.frozen(own_part(images[number], whole[number].flip(0)))]
        ]
        groups = []
        with nullcontext() if gradient else torch.no_grad():
            for places, _ in alike(ends - starts):
                together = stacked([features[number] for number in places.tolist()])
                groups.append(FeatureGroup(places, self.extractor.learned(together)))
        return groups, boxes - starts.repeat(1, 2), (ends - starts).flip(1)

    @property
    def learns(self) -> bool:
        return any(parameter.requires_grad for parameter in self.extractor.parameters())

    def maps(self, images: Tensor, *, gradient: bool) -> FeatureMaps:
        """Maps of images of as many cells, [B, m, h, w] each."""
        if not self.learns:
            return self.remembered(images, self.extractor)
        with nullcontext() if gradient else torch.no_grad():
            if not self.extractor.frozen_stages:
                maps: FeatureMaps = self.extractor(images)
                return maps
            return self.extractor.learned(self.remembered(images, self.extractor.frozen))

    def frozen(self, image: Tensor) -> FeatureMaps:
        """Features of an image [3, H, W] by the frozen part of the extractor, [1, C, h, w] each."""
        return self.remembered(image[None], self.extractor.frozen)

    def remembered(self, images: Tensor, compute: Callable[[Tensor], FeatureMaps]) -> FeatureMaps:
        """What `compute` makes of images [B, 3, H, W] without learning, of each once."""
        with torch.no_grad():
            alone = [images[number : number + 1] for number in range(len(images))]
            return stacked([self.memory.get(each.cpu().numpy(), partial(compute, each)) for each in alone])


def own_part(images: Tensor, size: Tensor) -> Tensor:
    """Images of as many cells, [..., H, W], without what pads them to the largest of their batch."""
    height, width = whole_cells(size).tolist()
    return images[..., :height, :width]


def alike(sizes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Groups of equal rows of sizes [B, 2]: their places [n], and the row."""
    distinct, number = torch.unique(sizes, dim=0, return_inverse=True)
    return [((number == index).nonzero().flatten(), size) for index, size in enumerate(distinct)]


def window(features: Tensor, start: Tensor, end: Tensor, whole: Tensor) -> Tensor:
    """Part of features [1, C, h, w] that shows pixels start to end, in an image of `whole`; (x, y) each."""
    stride = int(whole[0]) // features.shape[-1]
    (left, top), (right, bottom) = (start // stride).tolist(), (end // stride).tolist()
    return features[..., top:bottom, left:right]


def stacked(maps: Sequence[FeatureMaps]) -> FeatureMaps:
    """Maps of several images, [n, m, h, w] each, as a batch; zeros beyond each."""
    if len(maps) == 1:
        return maps[0]
    found = {}
    for name in maps[0]:
        of_name = [image[name] for image in maps]
        height, width = np.max([features.shape[-2:] for features in of_name], axis=0).tolist()
        found[name] = torch.cat(
            [
                F.pad(features, (0, width - features.shape[-1], 0, height - features.shape[-2]))
                for features in of_name
            ]
        )
    return found
