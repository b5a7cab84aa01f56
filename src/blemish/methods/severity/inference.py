"""Inference of severity regression in numpy: map → filter → connected components → types.

Source: He & Liu 2020, section III-A, eq. 1. Letters: H, W pixels; h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.defect import Defect
from blemish.images.tiling import Tiling, dense_maps, pad_to_multiple
from blemish.methods.common import image_head
from blemish.methods.common.map_score import MapScore
from blemish.methods.common.scores import (
    default_label,
    image_score,
    threshold_score,
    type_probabilities,
)
from blemish.methods.contract import ImageFindings, Networks
from blemish.methods.severity.geometry import coarser, with_context
from blemish.methods.severity.heads import num_outputs, severities_from, softly_limited
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.upsampling import pixels_of, upsample
from blemish.methods.severity.windows import cut, network_input, window_side, windows_on
from blemish.regions.components import components
from blemish.regions.region import Region, defects_of, numbered
from blemish.regions.runs import RunLengthMask, runs_above, values_on


@dataclass(frozen=True)
class SeverityInference:
    """Stages 1 to 4 on an image. Set up once by `inference_from`.

    tiles: of each network of stage 1; context: factor by which the image of "context" is coarser; 1: none
    loss: that it was trained with, see `heads.severities_from`
    threshold: T of eq. 1; start_threshold: severity that one cell of each region has, at most T for none
    min_area: of a region, in pixels
    drop_above: mean background probability at which stage 4 drops a defect
    class_names: of the N types; with `types` off a defect takes the only name or "defect"
    limited_softly: whether image scores tell severities above 12 apart, see `heads.softly_limited`
    grid: number of pixels that sides of a network's images are multiples of
    """

    segments: ClassVar[bool] = True
    score_map_max: ClassVar[float] = SEVERITY_MAX
    streams: ClassVar[Literal["masks"]] = "masks"

    channels: int | None
    class_names: tuple[str, ...]
    tiles: Tiling
    grid: int
    context: int
    loss: str
    threshold: float
    join_distance: float
    min_area: float
    upsampling: str
    types: bool
    window: int
    window_step: int
    window_overlap: float
    drop_above: float
    mm_per_px: float | None
    fitted_score: MapScore | None
    limited_softly: bool
    start_threshold: float = 0.0

    @property
    def cell(self) -> int:
        return self.tiles.stride

    @property
    def multiple(self) -> int:
        """Number of pixels that sides of images are continued to multiples of, see `pad_to_multiple`."""
        return self.grid * self.context

    @property
    def tiling(self) -> Tiling:
        """Tiles of a web, whose rows go through all networks of stage 1 together."""
        return with_context(self.tiles, self.context, grid=self.grid)

    @property
    def classifies(self) -> bool:
        return self.types

    @property
    def pixel_threshold(self) -> float:
        return self.threshold

    @property
    def threshold_score(self) -> float:
        limit = self.scored(np.array([self.region_threshold], np.float32))
        return threshold_score(float(limit[0]), max_value=SEVERITY_MAX, fitted=self.fitted_score)

    @property
    def region_threshold(self) -> float:
        """Severity that the strongest cell of each region has at least."""
        return max(self.threshold, self.start_threshold)

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[B, K, h, w] of stage 1, see `heads`, and [B, N + 1] of the types' logits, background last."""
        if network == image_head.NAME:
            return inputs[0], 1
        if network == "types":
            return inputs[0], len(self.class_names) + 1
        return inputs[0], num_outputs(self.loss), inputs[2] // self.cell, inputs[3] // self.cell

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Severity of each cell (stage 1), [ceil(H / cell), ceil(W / cell)], as the networks give it."""
        height, width = (-(-side // self.cell) for side in pixels.shape[:2])
        count = num_outputs(self.loss)
        whole = pad_to_multiple(pixels, self.grid)  # so that every tile begins on the network's grid
        outputs = dense_maps(whole, networks["severity"], self.tiles, count=count)[:, :height, :width]
        if self.context > 1:
            copy = coarser(pad_to_multiple(pixels, self.multiple), self.context)
            coarse = dense_maps(copy, networks["context"], self.tiles, count=count)
            outputs += [upsample(around, self.context, "linear")[:height, :width] for around in coarse]
        return severities_from(outputs, self.loss)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Defects and score of an image (stages 2 to 4). Maps: "score_map", severities; "defects"."""
        size = (pixels.shape[0], pixels.shape[1])
        found = self.found(self.regions(raw, size), pixels, networks)
        kept = [region for region, _ in found]
        maps = {"score_map": self.in_pixels(raw, size), "defects": numbered(kept, size)} if with_maps else {}
        head = None
        if self.fitted_score is not None and self.fitted_score.uses_head:
            head = image_head.head_log_odds(pixels, networks)
        score = self.image_score(kept, raw, head=head)
        return ImageFindings(score, tuple(defect for _, defect in found), maps)

    def regions(self, raw: NDArray[np.float32], size: tuple[int, int]) -> Iterator[Region]:
        """Components of the cells of at least T, in reading order (stages 2 and 3)."""
        cells = runs_above(raw, self.threshold)
        for part in components(cells, join_distance=self.join_distance, cell=self.cell):
            if (region := self.region(raw, part, size)) is not None:
                yield region

    def region(self, raw: NDArray[np.float32], part: RunLengthMask, size: tuple[int, int]) -> Region | None:
        """Region of a component in pixels; None where it is too weak or too small. part: its cells"""
        runs = pixels_of(raw, part, size, threshold=self.threshold, cell=self.cell, how=self.upsampling)
        if runs.area < self.min_area:
            return None
        region = Region(*runs.from_corner(), values_on(part, raw))
        return region if region.strongest >= self.start_threshold else None

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Regions that are defects, each with its defect (stage 4)."""
        kept: list[Region] = []
        named: list[tuple[str, float]] = []
        for region in regions:
            label, confidence = self.classify(region, pixels, networks)
            if label is not None:
                kept.append(region)
                named.append((label, confidence))
        found = []
        for region, defect in zip(kept, defects_of(kept, named, mm_per_px=self.mm_per_px), strict=True):
            severities = np.clip(region.values, 0.0, SEVERITY_MAX)
            mean, greatest = float(severities.mean()), float(severities.max())
            found.append((region, replace(defect, severity_mean=mean, severity_max=greatest)))
        return found

    def image_score(
        self, regions: Sequence[Region], values: NDArray[np.float32], *, head: float | None = None
    ) -> float:
        """Image score in [0, 1], see `common.scores.image_score`. values: severities of the cells, [h, w]"""
        return image_score(
            [replace(region, values=self.scored(region.values)) for region in regions],
            self.scored(values),
            threshold=float(self.scored(np.array([self.region_threshold], np.float32))[0]),
            max_value=SEVERITY_MAX,
            fitted=self.fitted_score,
            head=head,
        )

    def scored(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Severities in [0, 12] that the image is scored by. values: as the networks give them"""
        return softly_limited(values) if self.limited_softly else np.clip(values, 0.0, SEVERITY_MAX)

    def rows_around(self, height: int, width: int) -> int:
        """Rows above and below a region of that size that stage 4 may look at."""
        return window_side(max(height, width), self.window) if self.types else 0

    def classify(self, region: Region, pixels: Pixels, networks: Networks) -> tuple[str | None, float]:
        """Majority type of a region's windows and its mean probability; None for background (stage 4)."""
        if not self.types:
            return default_label(self.class_names), min(1.0, region.strongest / SEVERITY_MAX)
        probabilities = self.vote(region, pixels, networks)
        if probabilities[:, -1].mean() >= self.drop_above:
            return None, float(probabilities[:, -1].mean())
        ballots = np.bincount(probabilities[:, :-1].argmax(axis=1), minlength=len(self.class_names))
        tied = np.flatnonzero(ballots == ballots.max())
        means = probabilities.mean(axis=0)
        winner = int(tied[means[tied].argmax()])
        return self.class_names[winner], float(means[winner])

    def vote(self, region: Region, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Class probabilities of each window on the region, [windows, N + 1]; the last is background."""
        places = windows_on(
            region.mask,
            region.offset_xy,
            window=self.window,
            step=self.window_step,
            overlap=self.window_overlap,
        )
        blocks = (cut(pixels, place, self.window) for place in places)
        return type_probabilities(blocks, networks["types"], network_input)

    def in_pixels(self, raw: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """Severity of every pixel by the chosen upsampling, [H, W]. raw: of every cell; size: (H, W)"""
        limited = np.clip(raw, 0.0, SEVERITY_MAX)
        return upsample(limited, self.cell, self.upsampling)[: size[0], : size[1]]

    def without_types(self) -> SeverityInference:
        """Inference with stage 4 off."""
        return replace(self, types=False)


def inference_from(
    settings: SeveritySettings,
    class_names: tuple[str, ...],
    *,
    threshold: float,
    drop_above: float,
    start_threshold: float = 0.0,
    min_area: float | None = None,
    fitted_score: MapScore | None = None,
) -> SeverityInference:
    """Set up inference from a bundle's settings, chosen thresholds and fitted image score.

    min_area: None takes that of the settings
    """
    return SeverityInference(
        channels=settings.channels,
        class_names=class_names,
        tiles=settings.tiling,
        grid=settings.multiple,
        context=settings.context,
        loss=settings.loss,
        threshold=float(np.float32(threshold)),  # as float32 maps are compared
        start_threshold=float(np.float32(start_threshold)),
        join_distance=settings.join_distance,
        min_area=settings.min_area if min_area is None else min_area,
        upsampling=settings.upsampling,
        types=tells_types(settings, class_names),
        window=settings.types_window,
        window_step=settings.types_step,
        window_overlap=settings.types_overlap,
        drop_above=drop_above,
        mm_per_px=settings.mm_per_px,
        fitted_score=fitted_score,
        limited_softly=settings.loss == "paper" and settings.score_values == "raw",
    )


def tells_types(settings: SeveritySettings, class_names: tuple[str, ...]) -> bool:
    """True where there is a type classifier."""
    return len(class_names) > 1 if settings.types is None else settings.types
