"""The numpy half of MeDetection: resize → align references → pairs → network → probability, map and box.

Each reference gives a probability and a Grad-CAM map; both are averaged, and the spread of the probabilities
tells how much the answer hangs on the reference. Source: Zhang et al. 2023, Fig. 2 and "weakly supervised
localization"; several references and the box are open there.
Letters: R references; H, W pixels of the image; s side of the network's square, c cells along it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.defect import Box, Defect
from blemish.errors import BlemishError
from blemish.images.decode import to_bytes
from blemish.images.resize import resized, resized_map
from blemish.methods.contract import ImageFindings, Network, Networks, Pixels
from blemish.methods.medetection.alignment import How, Matcher
from blemish.methods.medetection.settings import Settings
from blemish.regions.components import label_regions
from blemish.regions.filled_boxes import defect_of_box, filled_boxes
from blemish.regions.measure import bounding_box

Picture = NDArray[np.uint8]
ASKING = np.zeros((1, 1, 1, 1), np.float32)  # the network of references answers whatever is asked


class Shelf:
    """The references of the network asked last, so that they are fetched and prepared once."""

    def __init__(self) -> None:
        self._last: tuple[Network, Matcher] | None = None

    def matcher(self, network: Network, how: How, count: int) -> Matcher:
        last = self._last
        if last is None or last[0] is not network or (last[1].how, last[1].count) != (how, count):
            pictures = network(ASKING).astype(np.uint8).transpose(0, 2, 3, 1)
            last = network, Matcher(np.ascontiguousarray(pictures), how=how, count=count)
            self._last = last
        return last[1]


@dataclass(frozen=True)
class MedetectionInference:
    """Pixels to a probability with a map. Set up once from a bundle's manifest.

    label: of every defect; size: s; references: how many are averaged; align: see `alignment`
    threshold: probability from which there is a defect; cam_share: of the map's maximum, where its box ends
    siamese: off, the network sees the image alone, and references are not asked for
    """

    classifies: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    pixel_threshold: ClassVar[None] = None
    score_map_max: ClassVar[None] = None
    streams: ClassVar[None] = None

    label: str
    threshold: float
    size: int = 256
    references: int = 4
    align: How = "none"
    cam_share: float = 0.5
    siamese: bool = True
    mm_per_px: float | None = None
    channels: int | None = 3
    shelf: Shelf = field(default_factory=Shelf, compare=False, repr=False)

    @property
    def threshold_score(self) -> float:
        return self.threshold

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """[R, 1 + c·c]: against each reference, logit of defective less normal, then the Grad-CAM map."""
        image = square(pixels, self.size)
        return networks["network"](pairs(self.matched(image, networks), image))

    def matched(self, image: Picture, networks: Networks) -> Picture:
        """The references to compare with, as the setting `align` lays them. [R, s, s, 3]"""
        if not self.siamese:
            return image[None]
        return self.shelf.matcher(networks["references"], self.align, self.references).matched(image)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """The mean probability is the score; from the threshold on it is one defect, where the map is hot.

        Maps: "heat_map", as hot as the probability at its hottest; "defects", the filled box.
        """
        size = (pixels.shape[0], pixels.shape[1])
        probabilities = sigmoid(raw[:, 0].astype(np.float64))
        score = float(probabilities.mean())
        cam = self.mean_map(raw)
        found = (self.defect(cam, score, size),) if score >= self.threshold else ()
        maps = self.maps(cam, score, found, size) if with_maps else {}
        spread = float(probabilities.std()) if len(probabilities) > 1 else None
        return ImageFindings(score, found, maps, spread=spread)

    def mean_map(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """The references' maps, averaged and brought to [s, s], 1 at the hottest; all 0 where none is hot."""
        cells = math.isqrt(raw.shape[1] - 1)
        cam = cv2.resize(raw[:, 1:].mean(axis=0).reshape(cells, cells), (self.size, self.size))
        hottest = float(cam.max())
        return cam / hottest if hottest > 0 else np.zeros_like(cam)

    def defect(self, cam: NDArray[np.float32], confidence: float, size: tuple[int, int]) -> Defect:
        """The one defect, of box `hottest_box`."""
        box = hottest_box(cam, self.cam_share, size)
        return defect_of_box(box, self.label, confidence, mm_per_px=self.mm_per_px)

    def maps(
        self, cam: NDArray[np.float32], score: float, found: tuple[Defect, ...], size: tuple[int, int]
    ) -> dict[str, NDArray[np.generic]]:
        """The maps of `Inspection`, in pixels of the image."""
        return {"heat_map": resized_map(cam * np.float32(score), size), "defects": filled_boxes(found, size)}


def inference_from(
    settings: Settings,
    class_names: tuple[str, ...],
    *,
    thresholds: Mapping[str, float],
    memory: Mapping[str, Any],
) -> MedetectionInference:
    """The numpy half of a bundle. Raises BlemishError for a starting point, which knows no product yet."""
    if not memory["product"]:
        raise BlemishError(
            "this is a starting point, which knows no product yet. Fine-tune it first: "
            "blemish train medetection --from START --data PRODUCT."
        )
    return MedetectionInference(
        label=class_names[0] if len(class_names) == 1 else "defect",
        threshold=thresholds["score"],
        size=settings.size,
        references=settings.references,
        align=settings.align,
        cam_share=settings.cam_share,
        siamese=settings.siamese,
        mm_per_px=settings.mm_per_px,
    )


def square(pixels: Pixels, size: int) -> Picture:
    """The picture [H, W, 3] as the network sees it, in training too: 8 bits, [size, size, 3]."""
    return to_bytes(resized(pixels, (size, size)))


def pairs(references: Picture, image: Picture) -> NDArray[np.float32]:
    """The image behind its references, in [0, 1]. [R, s, s, 3] and [s, s, 3] to [1, 3·R + 3, s, s]"""
    together = np.concatenate([references, image[None]]).transpose(0, 3, 1, 2)
    stacked = together.reshape(1, -1, *image.shape[:2])
    return np.ascontiguousarray(stacked, np.float32) / np.float32(255)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(−x)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def hottest_box(cam: NDArray[np.float32], share: float, size: tuple[int, int]) -> Box:
    """Box in pixels of the image around the component of greatest heat, of all at least `share` of the top.

    Where the map is nowhere hot, nothing points anywhere, and the box is the image.
    cam: [s, s], 1 at the hottest; size: (height, width) of the image
    """
    height, width = size
    labels, count = label_regions(cam >= share, join_distance=0.0)
    if not count:
        return 0.0, 0.0, float(width), float(height)
    heat = np.bincount(labels.ravel(), weights=cam.ravel(), minlength=count + 1)
    left, top, right, bottom = bounding_box(labels == 1 + int(heat[1:].argmax()))
    across, down = width / cam.shape[1], height / cam.shape[0]
    return left * across, top * down, right * across, bottom * down
