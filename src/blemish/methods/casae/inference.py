"""The numpy half of CASAE: probability map → threshold → components → upright crops → types.

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
from blemish.methods.casae.settings import Settings
from blemish.methods.common.scores import default_label, image_score, type_probabilities
from blemish.methods.contract import ImageFindings, Networks
from blemish.regions.region import Region, defects_of, numbered, region_of, regions_above
from blemish.regions.runs import RunLengthMask


@dataclass(frozen=True)
class CasaeInference:
    """Pixels to defects with outline, rectangle and type. Set up once from a bundle's manifest.

    class_names: of the K types; with `types` off a defect takes the only name or "defect"
    threshold: probability of defect from which a pixel is one
    size: s, which images are squeezed to, where there is no tiling for them
    multiple: of which the sides of tiled images are made one, see `pad_to_multiple`
    crop_margin, crop_size: of the crops that types are told by, see `crops.upright`
    """

    segments: ClassVar[bool] = True
    score_map_max: ClassVar[float] = 1.0

    channels: int | None
    class_names: tuple[str, ...]
    threshold: float
    size: int = 512
    tiling: Tiling | None = None
    multiple: int = 16
    join_distance: float = 4.0
    minimum_area: float = 0.0
    types: bool = True
    crop_margin: float = 1.0
    crop_size: int = 227
    mm_per_px: float | None = None

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
        return self.threshold

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Each pixel's probability of defect, [H, W]."""
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
        """Components of the pixels from the threshold on, measured and named. Map "score_map": the
        probability.
        """
        regions = self.regions(raw)
        found = self.found(regions, pixels, networks)
        size = (raw.shape[0], raw.shape[1])
        maps = {"score_map": raw, "defects": numbered(regions, size)} if with_maps else {}
        score = image_score(regions, raw, threshold=self.threshold)
        return ImageFindings(score, tuple(defect for _, defect in found), maps)

    def regions(self, raw: NDArray[np.float32]) -> list[Region]:
        """Section 3.2: what is at least the threshold, as components in reading order."""
        return list(
            regions_above(
                raw, self.threshold, join_distance=self.join_distance, minimum_area=self.minimum_area
            )
        )

    def region(self, raw: NDArray[np.float32], part: RunLengthMask, size: tuple[int, int]) -> Region | None:
        """One component; None where it is under the minimum. part: its pixels"""
        return region_of(raw, part, minimum_area=self.minimum_area)

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Sections 3.3 and 4: each region with its defect."""
        kept = list(regions)
        return list(zip(kept, self.named(self.measured(kept), pixels, networks), strict=True))

    def rows_around(self, height: int, width: int) -> int:
        """How many rows above and below a region of that size its crop may show."""
        return ceil(self.crop_margin * hypot(height, width)) + 2 * SEEN_BEYOND if self.types else 0

    def measured(self, regions: Sequence[Region]) -> list[Defect]:
        """Section 3.3: outline and smallest rectangle of each; not yet of any type."""
        named = [(default_label(self.class_names), region.strongest) for region in regions]
        return defects_of(regions, named, mm_per_px=self.mm_per_px)

    def named(self, defects: Sequence[Defect], pixels: Pixels, networks: Networks) -> Sequence[Defect]:
        """Section 4: each with the likeliest type of its upright crop and that type's probability."""
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
        """Of each type, by the upright crop of each rectangle, [B, K]. rectangles: at least one"""
        crops = (
            upright(pixels, rectangle, margin=self.crop_margin, size=self.crop_size)
            for rectangle in rectangles
        )
        return type_probabilities(crops, networks["types"], network_input)

    def without_types(self) -> CasaeInference:
        """The same before there is a type classifier."""
        return replace(self, types=False)


def inference_from(settings: Settings, class_names: tuple[str, ...], *, threshold: float) -> CasaeInference:
    """The numpy half that these settings and the chosen threshold describe."""
    return CasaeInference(
        channels=settings.channels,
        class_names=class_names,
        threshold=float(np.float32(threshold)),  # what a float32 map is in effect compared with
        size=settings.size,
        tiling=settings.tiling if settings.tiled else None,
        multiple=settings.multiple,
        join_distance=settings.join_distance,
        minimum_area=settings.minimum_area,
        types=tells_types(settings, class_names),
        crop_margin=settings.types_margin,
        crop_size=settings.types_size,
        mm_per_px=settings.mm_per_px,
    )


def tells_types(settings: Settings, class_names: tuple[str, ...]) -> bool:
    """Whether there is a type classifier: of one class there is nothing to tell apart."""
    return settings.types and len(class_names) > 1
