"""Feature maps of training images; those of a frozen extractor are computed once and kept.

In phase 2 the extractor does not change and few images are seen again and again, mirrored in four ways, so
that a step costs only the heads. A picture is known by its pixels: whatever draws the batches needs no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from blemish.methods.tlsdd.detector import Detector, MapsOfSize, whole_cells
from blemish.methods.tlsdd.picture_memory import PictureMemory

Maps = dict[str, Tensor]


class RememberedMaps(nn.Module):
    """An extractor that computes the maps of a picture once."""

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor
        self.memory: PictureMemory[Maps] = PictureMemory()

    def forward(self, images: Tensor) -> Maps:
        """Maps by name, [1, m, h, w]. images: [1, 3, H, W]"""
        return self.memory.of(images.cpu().numpy(), lambda: self.extractor(images))


class MapCache:
    """The extractor's maps of batches."""

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.remembered = RememberedMaps(detector.extractor)

    def of(self, images: Tensor, sizes: Tensor) -> Maps:
        """Maps by name, [B, m, h, w]. images: [B, 3, H, W]; sizes: [B, 2] (h, w) of each without padding"""
        if self.learns:
            maps: Maps = self.detector.extractor(images)
            return maps
        return self.kept([own_part(image, size) for image, size in zip(images, sizes, strict=True)])

    def by_size(self, images: Tensor, sizes: Tensor, *, gradient: bool) -> list[MapsOfSize]:
        """The same, pictures of as many cells together, without what pads them to the largest of all.

        gradient: whether the extractor is to learn from them, where it learns at all
        """
        padded, number = torch.unique(whole_cells(sizes), dim=0, return_inverse=True)
        found, learns = [], self.learns
        for index, size in enumerate(padded):
            places = (number == index).nonzero().flatten()
            pictures = own_part(images[places], size)
            if learns:
                with nullcontext() if gradient else torch.no_grad():
                    found.append(MapsOfSize(places, self.detector.extractor(pictures)))
            else:
                found.append(MapsOfSize(places, self.kept(pictures)))
        return found

    @property
    def learns(self) -> bool:
        return any(parameter.requires_grad for parameter in self.detector.extractor.parameters())

    def kept(self, pictures: Iterable[Tensor]) -> Maps:
        """The maps of pictures [3, H, W] by an extractor that does not change."""
        with torch.no_grad():
            return stacked([self.remembered(picture[None]) for picture in pictures])


def own_part(images: Tensor, size: Tensor) -> Tensor:
    """Pictures of as many cells, [..., H, W], without what pads them to the largest of their batch."""
    height, width = whole_cells(size).tolist()
    return images[..., :height, :width]


def stacked(maps: Sequence[Maps]) -> Maps:
    """Maps of several pictures, [1, m, h, w] each, as a batch; zeros beyond each."""
    found = {}
    for name in maps[0]:
        height = max(one[name].shape[-2] for one in maps)
        width = max(one[name].shape[-1] for one in maps)
        found[name] = torch.cat(
            [
                F.pad(one[name], (0, width - one[name].shape[-1], 0, height - one[name].shape[-2]))
                for one in maps
            ]
        )
    return found
