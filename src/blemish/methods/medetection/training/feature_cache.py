"""Cache of the products' images and of a frozen stem's features of them.

A frozen stem does not change and images come again and again, mirrored in four ways, so that with cached
features a step costs only what learns. Letters: N images, s side, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from blemish.arrays import Pixels, RgbImage
from blemish.dataset.samples import Sample
from blemish.methods.common.alignment import Matcher, align
from blemish.methods.contract import CacheUse
from blemish.methods.medetection.inference import square
from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training.maml import ImagePairs

VIEWS = 4  # as it is, mirrored left to right, top to bottom, both: turned by 180°
MAX_BYTES = 6 << 30  # of cached features; beyond, they are computed anew
CHUNK = 32  # images that pass the stem together

Key = tuple[int, ...]  # (number, view, quarter turns), and the number of the image it is aligned with


@dataclass
class FeatureCache:
    """Images of samples by number, and a frozen stem's features of them.

    read: pixels [H, W, 3] of a sample
    """

    samples: Sequence[Sample]
    settings: MedetectionSettings
    read: Callable[[Sample], Pixels]
    images: dict[int, RgbImage] = field(default_factory=dict)
    matchers: dict[tuple[int, ...], Matcher] = field(default_factory=dict)
    features: dict[Key, Tensor] = field(default_factory=dict)
    use: CacheUse = field(default_factory=lambda: CacheUse(MAX_BYTES))

    def image(self, number: int) -> RgbImage:
        """Image of a sample as the network takes it, [s, s, 3]."""
        if number not in self.images:
            self.images[number] = square(self.read(self.samples[number]), self.settings.size)
        return self.images[number]

    def fill(self, network: DifferenceNetwork, number: int, *, views: int = VIEWS) -> None:
        """Compute an image's features in so many views, unless they cannot be cached by themselves."""
        if not (self.settings.stem_learns or self.aligns):
            self.inputs(network, [(number, view, 0) for view in range(views)])

    @property
    def aligns(self) -> bool:
        """True where a reference is moved onto each image, so that its features depend on both."""
        return self.settings.align in ("translation", "rigid")

    def nearest(self, number: int, normals: Sequence[int]) -> list[tuple[int, int]]:
        """Normals most like an image, itself left out, with the quarter turns to it, the best first."""
        key = tuple(normals)
        if key not in self.matchers:
            images = np.stack([self.image(normal) for normal in normals])
            self.matchers[key] = Matcher(images, "nearest", self.settings.references + 1)
        found = self.matchers[key].nearest(self.image(number))
        others = [(normals[place], turns) for place, turns in found if normals[place] != number]
        return others[: self.settings.references]

    def pairs(self, network: DifferenceNetwork, drawn: Mapping[str, Tensor]) -> ImagePairs:
        """Pairs of a batch: images where the stem learns, its features where it does not.

        drawn: fields of `episodes.PairBatch`; a reference is aligned with its image where the settings say
        so, then both are mirrored
        """
        names = "references", "turns", "images", "views"
        rows = list(zip(*(drawn[name].tolist() for name in names), strict=True))
        images: list[Key] = [(image, view, 0) for _, _, image, view in rows]
        references: list[Key] = [
            (reference, view, turns, image) if self.aligns else (reference, view, turns)
            for reference, turns, image, view in rows
        ]
        inputs = self.inputs(network, images)
        beside = self.inputs(network, references) if self.settings.siamese else inputs
        return ImagePairs(beside, inputs, drawn["labels"].to(inputs.device))

    def inputs(self, network: DifferenceNetwork, keys: Sequence[Key]) -> Tensor:
        """Images [N, 3, s, s] in [0, 1], or a frozen stem's features of them, [N, C, h, w].

        Channels are innermost in memory, as the network's convolutions have theirs: a step on features of
        256×256 pixels takes two thirds of its time so.
        """
        device = next(network.parameters()).device
        if self.settings.stem_learns:
            return self.stacked(keys).to(device)
        missing = [key for key in dict.fromkeys(keys) if key not in self.features]
        found: dict[Key, Tensor] = {}
        began = perf_counter()
        for first in range(0, len(missing), CHUNK):
            chunk = missing[first : first + CHUNK]
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                features = network.embed(self.stacked(chunk).to(device)).half().cpu()
            found |= dict(zip(chunk, features.permute(0, 2, 3, 1), strict=True))
        self.use.seconds += perf_counter() - began
        self.use.requests += len(set(keys))
        self.use.computed += len(missing)
        for key, features in found.items():
            if self.use.keep(features.nbytes):
                self.features[key] = features.contiguous().clone()  # a row of its own, not the whole chunk
        rows = [found[key] if key in found else self.features[key] for key in keys]
        stacked = torch.stack([row.float() for row in rows])  # autocast stacks no half precision
        return stacked.permute(0, 3, 1, 2).to(device)

    def stacked(self, keys: Sequence[Key]) -> Tensor:
        """Images of the keys, turned, aligned and mirrored, [N, 3, s, s] in [0, 1]."""
        stacked = np.stack([self.view(key) for key in keys])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div(255)

    def view(self, key: Key) -> RgbImage:
        """Image of a key, [s, s, 3]."""
        number, view, turns, *onto = key
        image = np.rot90(self.image(number), turns)
        if onto and onto[0] != number:
            image = align(image, self.image(onto[0]), self.settings.align)
        image = image[:, ::-1] if view & 1 else image
        return np.ascontiguousarray(image[::-1] if view & 2 else image)
