"""The numpy half of severity regression: map → filter → connected components → types.

Source: He & Liu 2020, section III-A, eq. 1. Letters: H, W pixels; h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.defect import Defect
from blemish.images.tiling import Tiling, dense_map
from blemish.methods.common.scores import default_label, image_score, type_probabilities
from blemish.methods.contract import ImageFindings, Networks
from blemish.methods.severity.geometry import default_tiling
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.settings import Settings
from blemish.methods.severity.windows import cut, network_input, window_side, windows_on
from blemish.regions.components import components
from blemish.regions.region import Region, defects_of, numbered
from blemish.regions.runs import RunLengthMask, as_mask, joined, runs_above, runs_of, values_on

BAND = 32  # rows of cells that are brought to pixels at once


@dataclass(frozen=True)
class SeverityInference:
    """Stages 1 to 4 on one image. Set up once from a bundle's manifest; changes nothing.

    threshold: T of eq. 1; drop_above: mean background probability at which stage 4 drops a defect
    class_names: of the N types; with `types` off a defect takes the only name or "defect"
    """

    segments: ClassVar[bool] = True
    score_map_max: ClassVar[float] = SEVERITY_MAX
    streams: ClassVar[Literal["masks"]] = "masks"

    channels: int | None
    class_names: tuple[str, ...]
    tiling: Tiling
    threshold: float
    join_distance: float = 4.0
    minimum_area: float = 0.0
    upsampling: str = "linear"
    types: bool = True
    window: int = 64
    window_step: int = 16
    window_overlap: float = 0.1
    drop_above: float = 0.5
    mm_per_px: float | None = None

    @property
    def cell(self) -> int:
        return self.tiling.stride

    @property
    def multiple(self) -> int:
        return self.tiling.stride

    @property
    def classifies(self) -> bool:
        return self.types

    @property
    def pixel_threshold(self) -> float:
        return self.threshold

    @property
    def threshold_score(self) -> float:
        return self.threshold / SEVERITY_MAX

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Stage 1: the severity map, [ceil(H / cell), ceil(W / cell)], clipped to [0, 12]."""
        severities = dense_map(pixels, networks["severity"], self.tiling)
        return np.clip(severities, 0.0, SEVERITY_MAX, out=severities)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Stages 2 to 4."""
        size = (pixels.shape[0], pixels.shape[1])
        found = self.found(self.regions(raw, size), pixels, networks)
        kept = [region for region, _ in found]
        maps = {"score_map": self.in_pixels(raw, size), "defects": numbered(kept, size)} if with_maps else {}
        score = image_score(kept, raw, threshold=self.threshold, max_value=SEVERITY_MAX)
        return ImageFindings(score, tuple(defect for _, defect in found), maps)

    def regions(self, raw: NDArray[np.float32], size: tuple[int, int]) -> Iterator[Region]:
        """Stages 2 and 3: cells of at least T, as components, in reading order."""
        cells = runs_above(raw, self.threshold)
        for part in components(cells, join_distance=self.join_distance, cell=self.cell):
            if (region := self.region(raw, part, size)) is not None:
                yield region

    def region(self, raw: NDArray[np.float32], part: RunLengthMask, size: tuple[int, int]) -> Region | None:
        """One component in pixels; None where it is under the minimum. part: its cells"""
        runs = self.pixels_of(raw, part, size)
        if runs.area < self.minimum_area:
            return None
        return Region(*runs.from_corner(), values_on(part, raw))

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Stage 4: each region that is a defect, with it."""
        kept: list[Region] = []
        named: list[tuple[str, float]] = []
        for region in regions:
            label, confidence = self.classify(region, pixels, networks)
            if label is not None:
                kept.append(region)
                named.append((label, confidence))
        return list(zip(kept, self.measured(kept, named), strict=True))

    def rows_around(self, height: int, width: int) -> int:
        """How many rows above and below a region of that size stage 4 may look at."""
        return window_side(max(height, width), self.window) if self.types else 0

    def pixels_of(
        self, raw: NDArray[np.float32], part: RunLengthMask, size: tuple[int, int]
    ) -> RunLengthMask:
        """Cells of one component to pixels of the image, at least one; no pixel is given to two components.

        With linear upsampling these are the pixels where the interpolated map is at least T, or the cells as
        squares where there is none. part: the component's cells
        """
        if self.cell == 1:
            return part
        if self.upsampling == "linear":
            runs = joined(
                runs_inside(self.level_set(raw, cells, first), first, self.cell, size)
                for cells, first in in_bands(*part.from_corner())
            )
            if len(runs):
                return runs
        return part.enlarged(self.cell).inside(size)

    def level_set(
        self, raw: NDArray[np.float32], cells: NDArray[np.bool_], first: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """Pixels where the interpolated map is at least T and that a cell of the component takes part in.

        A pixel is interpolated from the four cells around it. One of them is at least T where it is, and two
        such cells touch, so they are of one component: all components together are the map's level set.
        cells, first: see `in_bands`; returns: [(h - 2)·cell, (w - 2)·cell] without the margin
        """
        (top, left), (height, width) = first, cells.shape
        reach = 2 * (self.cell // 2) + 1
        near = cv2.dilate(enlarge(cells, self.cell).view(np.uint8), np.ones((reach, reach), np.uint8))
        smooth = self.smooth(raw, (slice(top, top + height - 2), slice(left, left + width - 2)))
        return near[self.cell : -self.cell, self.cell : -self.cell].view(np.bool_) & (
            smooth >= self.threshold
        )

    def smooth(self, raw: NDArray[np.float32], place: tuple[slice, slice]) -> NDArray[np.float32]:
        """The map's cells at `place` in pixels, interpolated with their neighbours outside it; beyond the map
        its border goes on.
        """
        (up, down), (left, right) = ((axis.start - 1, axis.stop + 1) for axis in place)
        height, width = raw.shape
        around = raw[max(0, up) : down, max(0, left) : right]
        if min(up, left) < 0 or down > height or right > width:
            before, after = (max(0, -up), max(0, -left)), (max(0, down - height), max(0, right - width))
            around = np.pad(around, tuple(zip(before, after, strict=True)), "edge")
        border = self.cell
        return upsample(around, self.cell, self.upsampling)[border:-border, border:-border]

    def classify(self, region: Region, pixels: Pixels, networks: Networks) -> tuple[str | None, float]:
        """Stage 4: the windows' majority type and its mean probability; None for a region it calls
        background.
        """
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

    def measured(self, regions: Sequence[Region], named: Sequence[tuple[str, float]]) -> Iterator[Defect]:
        """Each region as a defect with its severity. named: label and confidence of each"""
        defects = defects_of(regions, named, mm_per_px=self.mm_per_px)
        for region, defect in zip(regions, defects, strict=True):
            mean = float(region.values.mean())
            yield replace(defect, severity_mean=mean, severity_max=region.strongest)

    def in_pixels(self, raw: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
        """The severity map of every pixel, by the chosen upsampling. [H, W]"""
        return upsample(raw, self.cell, self.upsampling)[: size[0], : size[1]]

    def without_types(self) -> SeverityInference:
        """The same with stage 4 off."""
        return replace(self, types=False)


def inference_from(
    settings: Settings, class_names: tuple[str, ...], *, threshold: float, drop_above: float
) -> SeverityInference:
    """The numpy half that these settings and chosen thresholds describe."""
    return SeverityInference(
        channels=settings.channels,
        class_names=class_names,
        tiling=default_tiling(settings.cell, settings.tile, network=settings.network),
        threshold=float(np.float32(threshold)),  # what a float32 map is in effect compared with
        join_distance=settings.join_distance,
        minimum_area=settings.minimum_area,
        upsampling=settings.upsampling,
        types=settings.types,
        window=settings.types_window,
        window_step=settings.types_step,
        window_overlap=settings.types_overlap,
        drop_above=drop_above,
        mm_per_px=settings.mm_per_px,
    )


def upsample(raw: NDArray[np.float32], cell: int, how: str) -> NDArray[np.float32]:
    """[h, w] cells to [h·cell, w·cell] pixels, "linear" between cell centres or "nearest"."""
    if cell == 1:
        return raw
    interpolation = cv2.INTER_LINEAR if how == "linear" else cv2.INTER_NEAREST
    return cv2.resize(raw, None, fx=cell, fy=cell, interpolation=interpolation)


def in_bands(
    runs: RunLengthMask, first_xy: tuple[int, int]
) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """A component's cells and those next to it in bands of rows, each as narrow as it is there.

    runs: the component's, from the corner of its box on, which lies at first_xy of the map
    returns: cells of the band with a margin of one on every side; (row, column) of the first inside that
    """
    left, top = first_xy
    whole = as_mask(runs.moved(2, 2), (int(runs.rows[-1]) + 5, int(runs.stops.max()) + 4))
    for start in range(1, whole.shape[0] - 1, BAND):
        band = whole[start - 1 : min(start + BAND, whole.shape[0] - 1) + 1]
        used = np.flatnonzero(band.any(axis=0))
        if used.size:
            first, last = int(used[0]) - 1, int(used[-1]) + 2
            yield band[:, first - 1 : last + 1], (top + start - 2, left + first - 2)


def runs_inside(
    mask: NDArray[np.bool_], first: tuple[int, int], cell: int, size: tuple[int, int]
) -> RunLengthMask:
    """The part of a mask within the image, in its coordinates. first: (row, column) of the mask's first
    cell.
    """
    top, left = first[0] * cell, first[1] * cell
    down, right = max(0, -top), max(0, -left)
    inside = mask[down : max(0, size[0] - top), right : max(0, size[1] - left)]
    return runs_of(inside).moved(left + right, top + down)


def enlarge(mask: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
    """Every entry as a cell×cell square."""
    size = (mask.shape[1] * cell, mask.shape[0] * cell)
    return cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST).view(np.bool_)
