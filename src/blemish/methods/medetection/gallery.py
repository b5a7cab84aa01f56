"""The products' pictures by number, as the network takes them; what a frozen stem makes of one is kept.

A frozen stem does not change and pictures are seen again and again, mirrored in four ways, so that a step
costs only what learns. Letters: N pictures, s side, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from blemish.arrays import Pixels
from blemish.dataset.samples import Sample
from blemish.methods.medetection.alignment import Matcher, Picture, align
from blemish.methods.medetection.inference import square
from blemish.methods.medetection.maml import Pairs
from blemish.methods.medetection.network import DifferenceNetwork
from blemish.methods.medetection.settings import Settings

VIEWS = 4  # as it is, mirrored left to right, top to bottom, both: turned by 180°
LARGEST = 6 << 30  # bytes of maps kept; beyond, they are computed anew
CHUNK = 32  # pictures that pass the stem together

Key = tuple[int, ...]  # (number, view, quarter turns), behind them the number of what it is moved onto


@dataclass
class Gallery:
    """Pictures of samples by their number. read: pixels [H, W, 3] of a sample"""

    samples: Sequence[Sample]
    settings: Settings
    read: Callable[[Sample], Pixels]
    pictures: dict[int, Picture] = field(default_factory=dict)
    matchers: dict[tuple[int, ...], Matcher] = field(default_factory=dict)
    maps: dict[Key, Tensor] = field(default_factory=dict)
    bytes: int = 0

    def picture(self, number: int) -> Picture:
        """A sample's picture as the network takes it, [s, s, 3]."""
        if number not in self.pictures:
            self.pictures[number] = square(self.read(self.samples[number]), self.settings.size)
        return self.pictures[number]

    def nearest(self, number: int, normals: Sequence[int]) -> list[tuple[int, int]]:
        """The normals most like an image and not itself, with the quarter turns to it, the best first."""
        key = tuple(normals)
        if key not in self.matchers:
            pictures = np.stack([self.picture(normal) for normal in normals])
            self.matchers[key] = Matcher(pictures, "nearest", self.settings.references + 1)
        found = self.matchers[key].nearest(self.picture(number))
        others = [(normals[place], turns) for place, turns in found if normals[place] != number]
        return others[: self.settings.references]

    def pairs(self, network: DifferenceNetwork, drawn: Mapping[str, Tensor]) -> Pairs:
        """What `maml.Pairs` asks for: pictures where the stem learns, its maps where it does not.

        drawn: see `episodes.Drawn`; a reference is moved onto its image first, where the settings say so,
        then both are mirrored
        """
        names = "references", "turns", "images", "views"
        rows = list(zip(*(drawn[name].tolist() for name in names), strict=True))
        moves = self.settings.align in ("translation", "rigid")
        images: list[Key] = [(image, view, 0) for _, _, image, view in rows]
        references: list[Key] = [
            (reference, view, turns, image) if moves else (reference, view, turns)
            for reference, turns, image, view in rows
        ]
        seen = self.given(network, images)
        beside = self.given(network, references) if self.settings.siamese else seen
        return Pairs(beside, seen, drawn["labels"].to(seen.device))

    def given(self, network: DifferenceNetwork, keys: Sequence[Key]) -> Tensor:
        """Pictures [N, 3, s, s], or a frozen stem's maps of them, [N, C, h, w]."""
        device = next(network.parameters()).device
        if self.settings.stem_learns:
            return self.inputs(keys).to(device)
        missing = [key for key in dict.fromkeys(keys) if key not in self.maps]
        found: dict[Key, Tensor] = {}
        for first in range(0, len(missing), CHUNK):
            chunk = missing[first : first + CHUNK]
            with torch.no_grad(), torch.autocast(device.type, enabled=False):
                maps = network.embed(self.inputs(chunk).to(device)).half().cpu()
            found |= dict(zip(chunk, maps, strict=True))
        self.keep(found)
        rows = [found[key] if key in found else self.maps[key] for key in keys]
        return torch.stack([row.float() for row in rows]).to(device)  # autocast stacks no half precision

    def keep(self, found: Mapping[Key, Tensor]) -> None:
        for key, maps in found.items():
            if self.bytes + maps.nbytes <= LARGEST:
                self.maps[key] = maps.clone()  # a row of its own, not the whole chunk
                self.bytes += maps.nbytes

    def inputs(self, keys: Sequence[Key]) -> Tensor:
        """Pictures in [0, 1], [N, 3, s, s]."""
        stacked = np.stack([self.shown(key) for key in keys])
        return torch.from_numpy(stacked).permute(0, 3, 1, 2).float().div(255)

    def shown(self, key: Key) -> Picture:
        """The picture of a key."""
        number, view, turns, *onto = key
        picture = np.rot90(self.picture(number), turns)
        if onto and onto[0] != number:
            picture = align(picture, self.picture(onto[0]), self.settings.align)
        return mirrored(picture, view)


def mirrored(picture: Picture, view: int) -> Picture:
    """One of the `VIEWS`."""
    turned = picture[:, ::-1] if view & 1 else picture
    return np.ascontiguousarray(turned[::-1] if view & 2 else turned)
