"""The numpy half of severity regression: map → filter → connected components → types.

Source: He & Liu 2020, section III-A, eq. 1. Letters: H, W pixels; h, w cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from blemish.defect import Defect
from blemish.images.tiling import Pixels, Tiling, dense_map
from blemish.methods.contract import Findings, Networks
from blemish.methods.severity.geometry import default_tiling
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.settings import Settings
from blemish.methods.severity.windows import cut, network_input, windows_on
from blemish.regions.components import label_regions
from blemish.regions.measure import bounding_box, outlines, smallest_rectangle

VOTES_AT_ONCE = 64  # windows in one call of the classifier


@dataclass(frozen=True)
class Region:
    """One connected component: its pixels, from offset_xy of the image on, and its severities (one per
    cell).
    """

    mask: NDArray[np.bool_]
    offset_xy: tuple[int, int]
    severities: NDArray[np.float32]

    @property
    def strongest(self) -> float:
        return float(self.severities.max())


@dataclass(frozen=True)
class SeverityInference:
    """Stages 1 to 4 on one image. Set up once from a bundle's manifest; changes nothing.

    threshold: T of eq. 1; drop_above: mean background probability at which stage 4 drops a defect
    class_names: of the N types; with `types` off a defect takes the only name or "defect"
    """

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
    def names_types(self) -> bool:
        return self.types

    @property
    def threshold_score(self) -> float:
        return self.threshold / SEVERITY_MAX

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Stage 1: the severity map, [ceil(H / cell), ceil(W / cell)], clipped to [0, 12]."""
        severities = dense_map(pixels, networks["severity"], self.tiling)
        return np.clip(severities, 0.0, SEVERITY_MAX, out=severities)

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> Findings:
        """Stages 2 to 4."""
        size = (pixels.shape[0], pixels.shape[1])
        kept: list[Region] = []
        defects: list[Defect] = []
        for region in self.regions(raw, size):
            label, confidence = self.classify(region, pixels, networks)
            if label is not None:
                kept.append(region)
                defects.append(self.measure(region, label, confidence))
        maps = self.maps(raw, kept, size) if with_maps else {}
        return Findings(self.score(raw, kept), tuple(defects), maps)

    def regions(self, raw: NDArray[np.float32], size: tuple[int, int]) -> Iterator[Region]:
        """Stages 2 and 3: cells of at least T, as components, in reading order."""
        labels, count = label_regions(raw >= self.threshold, join_distance=self.join_distance, cell=self.cell)
        for index, place in enumerate(ndimage.find_objects(labels, count), start=1):
            region = self.outline_region(raw, labels, index, place, size)
            if region.mask.sum() >= self.minimum_area:
                yield region

    def outline_region(
        self,
        raw: NDArray[np.float32],
        labels: NDArray[np.int32],
        index: int,
        place: tuple[slice, slice],
        size: tuple[int, int],
    ) -> Region:
        """Cells of one component to pixels, within the image; never empty.

        With linear upsampling these are the pixels in and next to the component where the interpolated map
        is at least T: each lies within a cell of one that is, so all regions together are its level set.
        """
        own = labels[place] == index
        severities = raw[place][own]
        if self.upsampling == "linear" and self.cell > 1:
            place = grown(place, raw.shape)
            near = cv2.dilate((labels[place] == index).view(np.uint8), np.ones((3, 3), np.uint8)) > 0
            smooth = self.smooth(raw, place)
            mask = enlarge(near, self.cell) & (smooth >= self.threshold)
            mask = mask if mask.any() else enlarge(labels[place] == index, self.cell)
        else:
            mask = enlarge(own, self.cell)
        return cropped(mask, place, self.cell, size, severities)

    def smooth(self, raw: NDArray[np.float32], place: tuple[slice, slice]) -> NDArray[np.float32]:
        """The map's cells at `place` in pixels, interpolated with their neighbours outside it."""
        rows, columns = (
            np.clip(np.arange(axis.start - 1, axis.stop + 1), 0, length - 1)
            for axis, length in zip(place, raw.shape, strict=True)
        )
        border = self.cell
        return upsample(raw[np.ix_(rows, columns)], self.cell, self.upsampling)[
            border:-border, border:-border
        ]

    def classify(self, region: Region, pixels: Pixels, networks: Networks) -> tuple[str | None, float]:
        """Stage 4: the windows' majority type and its mean probability; None for a region it calls
        background.
        """
        if not self.types:
            name = self.class_names[0] if len(self.class_names) == 1 else "defect"
            return name, min(1.0, region.strongest / SEVERITY_MAX)
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
        blocks = [cut(pixels, place, self.window) for place in places]
        groups = [blocks[first : first + VOTES_AT_ONCE] for first in range(0, len(blocks), VOTES_AT_ONCE)]
        return np.concatenate([softmax(networks["types"](network_input(group))) for group in groups])

    def measure(self, region: Region, label: str, confidence: float) -> Defect:
        contour = outlines(region.mask, offset_xy=region.offset_xy)
        return Defect(
            label=label,
            confidence=confidence,
            box_xyxy=bounding_box(region.mask, offset_xy=region.offset_xy),
            contour=contour,
            rectangle=smallest_rectangle(contour),
            area=float(region.mask.sum()),
            severity_mean=float(region.severities.mean()),
            severity_max=region.strongest,
            mm_per_px=self.mm_per_px,
        )

    def score(self, raw: NDArray[np.float32], kept: list[Region]) -> float:
        """The strongest kept severity; without any the strongest of all, held below `threshold_score`.

        So clean images are still ranked among themselves, and an image has defects just when it reaches that
        score.
        """
        if kept:
            return max(region.strongest for region in kept) / SEVERITY_MAX
        return min(float(raw.max()) / SEVERITY_MAX, float(np.nextafter(self.threshold_score, 0.0)))

    def maps(
        self, raw: NDArray[np.float32], kept: list[Region], size: tuple[int, int]
    ) -> dict[str, NDArray[np.generic]]:
        """The maps of `Inspection`, in pixels."""
        numbers = np.zeros(size, np.int32)
        for number, region in enumerate(kept, start=1):
            left, top = region.offset_xy
            height, width = region.mask.shape
            numbers[top : top + height, left : left + width][region.mask] = number
        return {"severity": self.in_pixels(raw, size), "defects": numbers}

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


def grown(place: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The rows and columns with one more on every side, within the map."""
    rows, columns = (
        slice(max(axis.start - 1, 0), min(axis.stop + 1, length))
        for axis, length in zip(place, shape, strict=True)
    )
    return rows, columns


def cropped(
    mask: NDArray[np.bool_],
    place: tuple[slice, slice],
    cell: int,
    size: tuple[int, int],
    severities: NDArray[np.float32],
) -> Region:
    """The region of a mask that starts at the cells `place`, cut to its own pixels and to the image.

    A component whose pixels all lie in the padding beyond the image keeps the last pixel inside.
    """
    top, left = place[0].start * cell, place[1].start * cell
    inside = mask[: size[0] - top, : size[1] - left]
    if not inside.any():
        inside = np.ones((1, 1), np.bool_)
        top, left = min(top, size[0] - 1), min(left, size[1] - 1)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    own = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Region(own, (left + int(columns[0]), top + int(rows[0])), severities)


def enlarge(mask: NDArray[np.bool_], cell: int) -> NDArray[np.bool_]:
    """Every entry as a cell×cell square."""
    return mask.repeat(cell, axis=0).repeat(cell, axis=1)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities along the last axis. logits: [windows, N + 1]"""
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)
