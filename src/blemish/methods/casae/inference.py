"""Inference of CASAE in numpy: probability map → threshold → components → upright crops → types.

Source: Tao et al. 2018, sections 2 and 3.2 to 4. Letters: H, W pixels of the image; s side of the network's
square; K types. Deviation: beside the paper's image squeezed to a square, tiles at full resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.defect import Defect, Rectangle
from blemish.images.resize import resized, resized_map
from blemish.images.tiling import Tiling, dense_map, pad_to_multiple, planes
from blemish.methods.casae.crops import SEEN_BEYOND, network_input, upright
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common import image_head
from blemish.methods.common.map_score import MapScore
from blemish.methods.common.scores import (
    default_label,
    image_score,
    threshold_score,
    type_probabilities,
)
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.region import Region, defects_of, numbered, region_of, regions_above
from blemish.regions.runs import RunLengthMask


@dataclass(frozen=True)
class CasaeInference:
    """Pixels to defects with outline, rectangle and type. Set up once by `inference_from`.

    class_names: of the K types; with `types` off a defect takes the only name or "defect"
    threshold: probability of defect from which a pixel is one; start_threshold: that one pixel of each region
        has, at most `threshold` for none; min_area: of a region, in pixels
    size: s, which images are squeezed to where they are not tiled
    multiple: that the sides of tiled images are padded to, see `pad_to_multiple`
    crop_margin, crop_size: of the crops for the type classifier, see `crops.upright`
    """

    segments: ClassVar[bool] = True
    score_map_max: ClassVar[float] = 1.0

    channels: int | None
    class_names: tuple[str, ...]
    threshold: float
    size: int
    tiling: Tiling | None
    multiple: int
    join_distance: float
    min_area: float
    types: bool
    crop_margin: float
    crop_size: int
    mm_per_px: float | None
    fitted_score: MapScore | None
    start_threshold: float = 0.0

    @property
    def streams(self) -> Literal["masks"] | None:
        return "masks" if self.tiling else None

    @property
    def classifies(self) -> bool:
        return self.types

    @property
    def pixel_threshold(self) -> float:
        return self.threshold

    @property
    def threshold_score(self) -> float:
        return threshold_score(self.region_threshold, fitted=self.fitted_score)

    @property
    def region_threshold(self) -> float:
        """Probability that the strongest pixel of each region has at least."""
        return max(self.threshold, self.start_threshold)

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[B, 1, H, W] of probabilities, and [B, K] of the types' logits."""
        if network == image_head.NAME:
            return inputs[0], 1
        if network == "types":
            return inputs[0], len(self.class_names)
        return inputs[0], 1, *inputs[2:]

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Probability of a defect at each pixel, [H, W]."""
        size = (pixels.shape[0], pixels.shape[1])
        network = networks["cascade"]
        if self.tiling is None:
            squeezed = planes(resized(pixels, (self.size, self.size)))
            raw = resized_map(network(squeezed[None])[0, 0], size)
        else:  # padded as a whole, so that every tile begins on the poolings' grid
            raw = dense_map(pad_to_multiple(pixels, self.multiple), network, self.tiling)[
                : size[0], : size[1]
            ]
        return np.clip(raw, 0.0, 1.0, out=raw)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Components of the pixels from the threshold on, measured and named.

        Maps: "score_map", the probability; "defects", the numbered regions.
        """
        regions = self.regions(raw)
        found = self.found(regions, pixels, networks)
        size = (raw.shape[0], raw.shape[1])
        maps = {"score_map": raw, "defects": numbered(regions, size)} if with_maps else {}
        head = None
        if self.fitted_score is not None and self.fitted_score.uses_head:
            head = image_head.head_log_odds(pixels, networks)
        score = self.image_score(regions, raw, head=head)
        return ImageFindings(score, tuple(defect for _, defect in found), maps)

    def regions(self, raw: NDArray[np.float32]) -> list[Region]:
        """Components of the pixels from the threshold on, in reading order (section 3.2)."""
        return list(
            regions_above(
                raw,
                self.threshold,
                join_distance=self.join_distance,
                start_threshold=self.start_threshold,
                min_area=self.min_area,
            )
        )

    def region(self, raw: NDArray[np.float32], part: RunLengthMask, size: tuple[int, int]) -> Region | None:
        """Region of a component; None where it is too weak or too small. part: its pixels"""
        return region_of(raw, part, start_threshold=self.start_threshold, min_area=self.min_area)

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Regions with their defects, measured and named (sections 3.3 and 4)."""
        kept = list(regions)
        named = [(default_label(self.class_names), region.strongest) for region in kept]
        measured = defects_of(kept, named, mm_per_px=self.mm_per_px)
        return list(zip(kept, self.named(measured, pixels, networks), strict=True))

    def image_score(
        self, regions: Sequence[Region], values: NDArray[np.float32], *, head: float | None = None
    ) -> float:
        """Image score in [0, 1], see `common.scores.image_score`. values: the map, [H, W]"""
        return image_score(
            regions, values, threshold=self.region_threshold, fitted=self.fitted_score, head=head
        )

    def rows_around(self, height: int, width: int) -> int:
        """Rows above and below a region of that size that its crop may show."""
        return ceil(self.crop_margin * hypot(height, width)) + 2 * SEEN_BEYOND if self.types else 0

    def named(self, defects: Sequence[Defect], pixels: Pixels, networks: Networks) -> Sequence[Defect]:
        """Defects with the likeliest type of their upright crops and its probability (section 4)."""
        if not self.types or not defects:
            return defects
        probabilities = self.probabilities([defect.rectangle for defect in defects], pixels, networks)
        return [
            replace(defect, label=self.class_names[int(row.argmax())], confidence=float(row.max()))
            for defect, row in zip(defects, probabilities, strict=True)
        ]

    def probabilities(
        self, rectangles: Sequence[Rectangle], pixels: Pixels, networks: Networks
    ) -> NDArray[np.float32]:
        """Probability of each type by the upright crop of each rectangle, [B, K]. rectangles: at least one"""
        crops = (
            upright(pixels, rectangle, margin=self.crop_margin, size=self.crop_size)
            for rectangle in rectangles
        )
        return type_probabilities(crops, networks["types"], network_input)


def inference_from(
    settings: CasaeSettings,
    class_names: tuple[str, ...],
    *,
    threshold: float,
    start_threshold: float = 0.0,
    min_area: float | None = None,
    fitted_score: MapScore | None = None,
) -> CasaeInference:
    """Set up inference from a bundle's settings, the chosen thresholds and the fitted image score.

    min_area: None takes that of the settings
    """
    return CasaeInference(
        channels=settings.channels,
        class_names=class_names,
        threshold=float(np.float32(threshold)),  # as float32 maps are compared
        start_threshold=float(np.float32(start_threshold)),
        size=settings.size,
        tiling=settings.tiling if settings.tiled else None,
        multiple=settings.multiple,
        join_distance=settings.join_distance,
        min_area=settings.min_area if min_area is None else min_area,
        types=tells_types(settings, class_names),
        crop_margin=settings.types_margin,
        crop_size=settings.types_size,
        mm_per_px=settings.mm_per_px,
        fitted_score=fitted_score,
    )


def tells_types(settings: CasaeSettings, class_names: tuple[str, ...]) -> bool:
    """True where there is a type classifier: a single class needs none."""
    return settings.types and len(class_names) > 1
