"""Inference of the memory in numpy: features → distance to good patches, head → the greater → regions.

Letters: H, W pixels of the image; s side of the square that it is resized to; h, w patches along it; D
dimensions of a patch's features; M good patches, N defective ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Pixels, RgbImage
from blemish.defect import Defect
from blemish.images.decode import to_bytes
from blemish.images.resize import resized, resized_map
from blemish.images.tiling import Tiling, dense_maps, planes
from blemish.methods.capabilities import MayGate
from blemish.methods.common.alignment import Alignment, Move, found_move, gray, moved
from blemish.methods.common.scores import default_label
from blemish.methods.contract import ImageFindings, Network, Networks
from blemish.methods.memory.judging import HeadWord, Judgement, PatchJudge, word_of
from blemish.methods.memory.scale import in_unit_range
from blemish.methods.memory.settings import LEAST_SIDE, MemorySettings
from blemish.methods.memory.state import MemoryState
from blemish.regions.region import Region, defects_of, numbered, region_of, regions_above
from blemish.regions.runs import RunLengthMask

# Names of networks.
FEATURES, PATCHES, USUAL, HEAD, REFERENCE = "features", "patches", "usual", "head", "reference"
LOUD = 3.0  # deviations from which the head's word on a place stands alone around it
HALO = 3  # places that far around
NO_INPUT = np.zeros((1, 1, 1, 1), np.float32)  # networks that hold data ignore their input
Floats = NDArray[np.float32]


class OpenedPatches:
    """Keeps the judge by the patches of the networks used last, so that it is prepared once."""

    def __init__(self) -> None:
        self._last: tuple[Network, PatchJudge] | None = None

    def judge(self, networks: Networks, state: MemoryState, *, neighbours: int) -> PatchJudge:
        last, network = self._last, networks[PATCHES]
        if last is None or last[0] is not network:
            rows, usual = network(NO_INPUT), networks[USUAL](NO_INPUT)
            last = self._last = network, PatchJudge.of(rows, state, usual, neighbours=neighbours)
        return last[1]


@dataclass(frozen=True)
class MemoryInference(MayGate):
    """Pixels to a map of how far each place is from what is good. Set up once by `inference_from`.

    size: s; None: images are cut into tiles at their own resolution, by `tiles`, whose network has `multiple`
    threshold: value of the map from which a pixel is defective
    """

    channels: ClassVar[int] = 3
    classifies: ClassVar[bool] = False
    segments: ClassVar[bool] = True
    score_map_max: ClassVar[float] = 1.0

    label: str
    state: MemoryState
    size: int | None
    align: Alignment
    tiles: Tiling | None
    multiple: int
    stride: int
    dimensions: int
    neighbours: int
    threshold: float
    join_distance: float
    min_area: float
    mm_per_px: float | None
    opened: OpenedPatches = field(default_factory=OpenedPatches, compare=False, repr=False)

    @property
    def places(self) -> int:
        """Places that are told apart; 1 where images keep their resolution."""
        return 1 if self.size is None else (self.size // self.stride) ** 2

    @property
    def streams(self) -> Literal["masks"] | None:
        return "masks" if self.tiles else None

    @property
    def tiling(self) -> Tiling | None:
        """Tiles in whose rows a web is judged; its map is of pixels."""
        return Tiling(self.tiles.tile, self.tiles.halo, 1) if self.tiles else None

    @property
    def pixel_threshold(self) -> float:
        return self.threshold

    @property
    def region_threshold(self) -> float:
        return self.threshold

    @property
    def threshold_score(self) -> float:
        return self.threshold

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[B, D, h, w] of features, [M + N, D] of patches, [2, p], [B, 2, h, w] of log odds, [1, 3, s, s]."""
        if network == REFERENCE:
            return 1, 3, self.size, self.size
        if network == PATCHES:
            return None, self.dimensions
        if network == USUAL:
            return 2, self.places
        if network == HEAD:
            return inputs[0], 2, *inputs[2:]
        return inputs[0], self.dimensions, *(side // self.stride for side in inputs[2:])

    def forward(self, pixels: Pixels, networks: Networks) -> Floats:
        """Score map [H, W] in [0, 1]; of a resized image the image's score stands in one more row."""
        features, move = self.features(pixels, networks)
        found = self.judged(features, networks)
        places = self.outlined(found, features.shape[1:])
        score_map = self.in_pixels(places, (pixels.shape[0], pixels.shape[1]), move)
        if self.tiles is not None:
            return score_map
        return np.concatenate([score_map, np.full((1, score_map.shape[1]), found.image, np.float32)])

    def score_map(self, pixels: Pixels, networks: Networks) -> Floats:
        """Score map [H, W] in [0, 1]."""
        return self.forward(pixels, networks)[: pixels.shape[0]]

    def features(self, pixels: Pixels, networks: Networks) -> tuple[Floats, Move | None]:
        """Whitened features of each patch, [D, h, w], and the move back onto the image, if it was moved."""
        network = networks[FEATURES]
        if self.tiles is not None:
            whole = continued(pixels, self.multiple)
            return dense_maps(whole, network, self.tiles, count=self.dimensions), None
        assert self.size is not None
        image, move = square(pixels, self.size), None
        if self.align != "none":
            image, move = self.aligned(image, networks[REFERENCE])
        return network(planes(image)[None])[0], move

    def aligned(self, image: RgbImage, reference: Network) -> tuple[RgbImage, Move | None]:
        """Image moved onto the reference, and the move back; None where none makes the two more alike."""
        target = np.ascontiguousarray(reference(NO_INPUT)[0].transpose(1, 2, 0)).astype(np.uint8)
        move = found_move(gray(image), gray(target), turns=self.align == "rigid")
        if move is None:
            return image, None
        return moved(image, move), np.asarray(cv2.invertAffineTransform(move), np.float32)

    def in_pixels(self, places: Floats, size: tuple[int, int], move: Move | None) -> Floats:
        """Scores of places [h, w] as those of pixels, [H, W]. size: (H, W); move: see `features`"""
        if self.tiles is not None:
            whole = cv2.resize(places, None, fx=self.stride, fy=self.stride)
            return np.ascontiguousarray(whole[: size[0], : size[1]])
        assert self.size is not None
        if move is not None:
            places = moved(resized_map(places, (self.size, self.size)), move)
        return resized_map(places, size)

    def judged(self, features: Floats, networks: Networks) -> Judgement:
        """Scores of each place, row by row, and of the image. features: [D, h, w]"""
        judge = self.opened.judge(networks, self.state, neighbours=self.neighbours)
        return judge.judged(patches_of(features), self.head_word(features, networks))

    def outlined(self, found: Judgement, size: tuple[int, ...]) -> Floats:
        """Scores of places, [h, w]: near those that the head calls defective, its own alone.

        The memory's features are means over a neighbourhood, so that its outlines are wide.
        """
        if found.by_head is None:
            return found.places.reshape(size)
        by_head = found.by_head.reshape(size)
        loud = (by_head >= in_unit_range(LOUD)).astype(np.uint8)
        near = cv2.dilate(loud, np.ones((2 * HALO + 1, 2 * HALO + 1), np.uint8)).view(np.bool_)
        return np.where(near, by_head, found.places.reshape(size))

    def head_word(self, features: Floats, networks: Networks) -> HeadWord | None:
        """What the head says of an image; None without one. features: [D, h, w]

        Of tiles put together, it says nothing on the image as a whole.
        """
        if not self.state.head:
            return None
        word = word_of(networks[HEAD](features[None])[0], self.state)
        return replace(word, image=float(word.places.max())) if self.tiles is not None else word

    def places_in(self, box_xyxy: Box, size: tuple[int, int], places: tuple[int, ...]) -> NDArray[np.intp]:
        """Numbers of the patches whose centres lie in a box, row by row; at least that nearest to its middle.

        size: (H, W); places: (h, w)
        """
        height, width = (
            size if self.size is not None else [side * self.stride for side in places]
        )  # tiles continue the image
        rows = (np.arange(places[0]) + 0.5) * height / places[0]
        columns = (np.arange(places[1]) + 0.5) * width / places[1]
        left, top, right, bottom = box_xyxy
        inside = ((rows >= top) & (rows < bottom))[:, None] & ((columns >= left) & (columns < right))[None]
        if not inside.any():
            row = int(np.abs(rows - (top + bottom) / 2).argmin())
            inside[row, int(np.abs(columns - (left + right) / 2).argmin())] = True
        return np.flatnonzero(inside)

    def decide(self, raw: Floats, pixels: Pixels, networks: Networks, *, with_maps: bool) -> ImageFindings:
        """Regions from the threshold on, and the image's score.

        Where the image as a whole is called defective and no place is, its strongest place is the defect.
        """
        size = (pixels.shape[0], pixels.shape[1])
        values = raw[: size[0]]
        whole = float(raw[size[0], 0]) if self.tiles is None else None
        regions = self.regions(values)
        if not regions and whole is not None and whole >= self.threshold:
            regions = [strongest_place(values)]
        found = self.found(regions, pixels, networks)
        maps = {"score_map": values, "defects": numbered(regions, size)} if with_maps else {}
        score = self.image_score(regions, values, whole=whole)
        return ImageFindings(score, tuple(defect for _, defect in found), maps)

    def regions(self, values: Floats) -> list[Region]:
        """Components of the pixels from the threshold on, in reading order."""
        return list(
            regions_above(values, self.threshold, join_distance=self.join_distance, min_area=self.min_area)
        )

    def region(self, raw: Floats, part: RunLengthMask, size: tuple[int, int]) -> Region | None:
        """Region of a component; None where it is too small. part: its pixels"""
        return region_of(raw, part, min_area=self.min_area)

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Regions with their defects."""
        kept = list(regions)
        named = [(self.label, region.strongest) for region in kept]
        return list(zip(kept, defects_of(kept, named, mm_per_px=self.mm_per_px), strict=True))

    def image_score(self, regions: Sequence[Region], values: Floats, *, whole: float | None = None) -> float:
        """Image score in [0, 1]: with defects at least the threshold, without less.

        values: the map, [H, W]; whole: the image's own score, where it was judged as a whole
        """
        score = float(values.max()) if whole is None else whole
        if regions:
            return max(score, self.threshold)
        return min(score, float(np.nextafter(self.threshold, 0.0)))

    def rows_around(self, height: int, width: int) -> int:
        """None: a region is measured by the map alone."""
        return 0


def strongest_place(values: Floats) -> Region:
    """Region about the map's maximum, down to half-way between it and the median."""
    top = float(values.max())
    level = min(top, 0.5 * (top + float(np.median(values))))
    return max(regions_above(values, level, join_distance=0.0), key=lambda region: region.strongest)


def patches_of(features: Floats) -> Floats:
    """Features of each patch, row by row. [D, h, w] → [h·w, D]"""
    return np.ascontiguousarray(features.reshape(len(features), -1).T)


def continued(pixels: Pixels, multiple: int) -> Pixels:
    """Image continued with its last pixels to sides that the network takes, multiples of `multiple`."""
    down, right = (max(side + -side % multiple, LEAST_SIDE) - side for side in pixels.shape[:2])
    return cv2.copyMakeBorder(pixels, 0, down, 0, right, cv2.BORDER_REPLICATE) if down or right else pixels


def square(pixels: Pixels, size: int) -> RgbImage:
    """Resize an image [H, W, 3] to 8 bits and [size, size, 3], as the network sees it in training, too."""
    return to_bytes(resized(pixels, (size, size)))


def inference_from(
    settings: MemorySettings,
    class_names: tuple[str, ...],
    *,
    state: MemoryState,
    threshold: float,
) -> MemoryInference:
    """Set up inference from a bundle's settings, memory and threshold."""
    return MemoryInference(
        label=default_label(class_names),
        state=state,
        size=settings.size,
        align=settings.align,
        tiles=settings.tiling if settings.size is None else None,
        multiple=settings.multiple,
        stride=settings.stride,
        dimensions=state.dimensions,
        neighbours=settings.neighbours,
        threshold=float(np.float32(threshold)),  # as float32 maps are compared
        join_distance=settings.join_distance,
        min_area=settings.min_area,
        mm_per_px=settings.mm_per_px,
    )
