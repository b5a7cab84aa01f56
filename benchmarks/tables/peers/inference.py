"""The numpy half of the peers, so that they are inspected and evaluated by the same code as the methods.

Letters: s side of the square that images are brought to, P places of a peer's map.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.images.decode import to_unit
from blemish.images.resize import resized
from blemish.methods.common.scores import bounded_score
from blemish.methods.contract import ImageFindings, Networks

NETWORK = "peer"


@dataclass(frozen=True)
class PeerInference:
    """One number an image, and a map where the peer has one. size: s"""

    size: int
    channels: int | None = 3
    threshold_score: float | None = None
    mm_per_px: float | None = None
    classifies: bool = False
    segments: bool = False
    pixel_threshold: float | None = None
    score_map_max: float | None = None
    streams: ClassVar[None] = None

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """The peer's number for the image and, behind it, its map of P places. [1 + P]"""
        return networks[NETWORK](square(pixels, self.size)[None])[0]

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """The score; the map under the name that heat maps have, scaled to [0, 1]."""
        maps: dict[str, NDArray[np.generic]] = {}
        if with_maps and len(raw) > 1:
            side = isqrt(len(raw) - 1)
            heat = raw[1:].reshape(side, side) / max(float(raw[1:].max()), 1e-12)
            maps["heat_map"] = np.asarray(cv2.resize(heat, (pixels.shape[1], pixels.shape[0])), np.float32)
        return ImageFindings(bounded_score(float(raw[0])), (), maps)


def square(pixels: Pixels, size: int) -> NDArray[np.float32]:
    """The image as a network takes it. [H, W, 3] → [3, s, s] in [0, 1]"""
    return np.ascontiguousarray(to_unit(resized(pixels, (size, size))).transpose(2, 0, 1))
