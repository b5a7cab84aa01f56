"""Inference of MeDetection in numpy: resize → align references → pairs → network → probability, map, box.

Each reference gives a probability and a Grad-CAM map; both are averaged, and the spread of the probabilities
shows how much the answer depends on the reference. Source: Zhang et al. 2023, Fig. 2 and "weakly supervised
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

from blemish.arrays import Box, Pixels, RgbImage
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.images.decode import to_bytes
from blemish.images.resize import resized, resized_map
from blemish.methods.common.alignment import Alignment, Matcher, RgbImages
from blemish.methods.common.scores import default_label
from blemish.methods.contract import ImageFindings, Network, Networks
from blemish.methods.medetection.settings import MAP_STRIDE, MedetectionSettings
from blemish.regions.components import label_regions
from blemish.regions.filled_boxes import defect_of_box, filled_boxes
from blemish.regions.measure import bounding_box

NO_INPUT = np.zeros((1, 1, 1, 1), np.float32)  # the network of references ignores its input


class MatcherCache:
    """Keeps the matcher of the network of references used last, so that it is prepared once."""

    def __init__(self) -> None:
        self._last: tuple[Network, Matcher] | None = None

    def matcher(self, network: Network, how: Alignment, count: int) -> Matcher:
        last = self._last
        if last is None or last[0] is not network or (last[1].how, last[1].count) != (how, count):
            references = network(NO_INPUT).astype(np.uint8).transpose(0, 2, 3, 1)
            last = network, Matcher(np.ascontiguousarray(references), how=how, count=count)
            self._last = last
        return last[1]


@dataclass(frozen=True)
class MedetectionInference:
    """Pixels to a probability with a map. Set up once from a bundle's manifest, see `inference_from`.

    label: of every defect; size: s; references: number that is averaged; align: see `alignment`
    threshold: probability from which there is a defect
    cam_share: share of the map's maximum from which pixels belong to the box
    siamese: off, the network sees the image alone, and no references are used
    """

    channels: ClassVar[int] = 3
    classifies: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    pixel_threshold: ClassVar[None] = None
    region_threshold: ClassVar[None] = None
    score_map_max: ClassVar[None] = None
    streams: ClassVar[None] = None

    label: str
    threshold: float
    size: int
    references: int
    align: Alignment
    cam_share: float
    siamese: bool
    mm_per_px: float | None
    matchers: MatcherCache = field(default_factory=MatcherCache, compare=False, repr=False)

    @property
    def threshold_score(self) -> float:
        return self.threshold

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[R, 1 + c·c] of logits and maps, and any number of references, [·, 3, s, s]."""
        if network == "references":
            return None, 3, self.size, self.size
        return inputs[1] // 3 - 1, 1 + (self.size // MAP_STRIDE) ** 2

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """For each reference the logit of defective less normal, then the Grad-CAM map; [R, 1 + c·c]."""
        image = square(pixels, self.size)
        return networks["network"](pairs(self.matched(image, networks), image))

    def matched(self, image: RgbImage, networks: Networks) -> RgbImages:
        """References to compare the image with, aligned as the settings say, [R, s, s, 3]."""
        if not self.siamese:
            return image[None]
        return self.matchers.matcher(networks["references"], self.align, self.references).matched(image)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Score by the mean probability; from the threshold on there is one defect, where the map is hot.

        Maps: "heat_map", as hot as the probability at its hottest; "defects", the filled box.
        """
        size = (pixels.shape[0], pixels.shape[1])
        probabilities = sigmoid(raw[:, 0].astype(np.float64))
        score = float(probabilities.mean())
        cam = self.mean_map(raw)
        found: tuple[Defect, ...] = ()
        if score >= self.threshold:
            box = hottest_box(cam, self.cam_share, size)
            found = (defect_of_box(box, self.label, score, mm_per_px=self.mm_per_px),)
        maps: dict[str, NDArray[np.generic]] = {}
        if with_maps:
            maps = {
                "heat_map": resized_map(cam * np.float32(score), size),
                "defects": filled_boxes(found, size),
            }
        spread = float(probabilities.std()) if len(probabilities) > 1 else None
        return ImageFindings(score, found, maps, spread=spread)

    def mean_map(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mean map of the references, resized to [s, s], with maximum 1; all 0 where no map is hot."""
        cells = math.isqrt(raw.shape[1] - 1)
        cam = cv2.resize(raw[:, 1:].mean(axis=0).reshape(cells, cells), (self.size, self.size))
        hottest = float(cam.max())
        return cam / hottest if hottest > 0 else np.zeros_like(cam)


def inference_from(
    settings: MedetectionSettings,
    class_names: tuple[str, ...],
    *,
    thresholds: Mapping[str, float],
    memory: Mapping[str, Any],
) -> MedetectionInference:
    """Set up inference from a bundle's settings, thresholds and memory.

    Raises BlemishError for a starting point, which knows no product yet.
    """
    if not memory["product"]:
        raise BlemishError(
            "this is a starting point, which knows no product yet. Fine-tune it first: "
            "blemish train medetection --from START --data PRODUCT."
        )
    return MedetectionInference(
        label=default_label(class_names),
        threshold=thresholds["score"],
        size=settings.size,
        references=settings.references,
        align=settings.align,
        cam_share=settings.cam_share,
        siamese=settings.siamese,
        mm_per_px=settings.mm_per_px,
    )


def square(pixels: Pixels, size: int) -> RgbImage:
    """Resize an image [H, W, 3] to 8 bits and [size, size, 3], as the network sees it in training, too."""
    return to_bytes(resized(pixels, (size, size)))


def pairs(references: RgbImages, image: RgbImage) -> NDArray[np.float32]:
    """Stack an image [s, s, 3] behind its references [R, s, s, 3]; returns [1, 3·R + 3, s, s] in [0, 1]."""
    together = np.concatenate([references, image[None]]).transpose(0, 3, 1, 2)
    stacked = together.reshape(1, -1, *image.shape[:2])
    return np.ascontiguousarray(stacked, np.float32) / np.float32(255)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function 1 / (1 + exp(−x)) without overflow."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits)))


def hottest_box(cam: NDArray[np.float32], share: float, size: tuple[int, int]) -> Box:
    """Box, in pixels of the image, of the component with the most heat among pixels of at least `share`.

    Where the map is hot nowhere, the box is the whole image.
    cam: [s, s] with maximum 1; size: (height, width) of the image
    """
    height, width = size
    labels, count = label_regions(cam >= share, join_distance=0.0)
    if not count:
        return 0.0, 0.0, float(width), float(height)
    heat = np.bincount(labels.ravel(), weights=cam.ravel(), minlength=count + 1)
    left, top, right, bottom = bounding_box(labels == 1 + int(heat[1:].argmax()))
    across, down = width / cam.shape[1], height / cam.shape[0]
    return left * across, top * down, right * across, bottom * down
