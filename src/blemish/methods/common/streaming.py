"""Protocols of an inference half that can judge a web, an image without an end, as it comes.

Its output at a place depends only on the pixels near that place. Letters: h, w entries of a map.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.images.tiled_detection import DetectionRows
from blemish.images.tiling import Tiling
from blemish.methods.contract import Inference, Networks, Pixels
from blemish.regions.region import Region
from blemish.regions.runs import RunLengthMask


@runtime_checkable
class StreamsMasks(Inference, Protocol):
    """Inference that outlines components of a dense map; `forward` returns the map."""

    @property
    def tiling(self) -> Tiling | None:
        """Tiles of `forward`; None where the whole image passes the network at once."""

    @property
    def multiple(self) -> int:
        """Pixels that `forward` pads an image to a multiple of; tile and halo are multiples of it."""

    @property
    def join_distance(self) -> float:
        """Pixels; nearer components are one, see `regions.components.label_regions`."""

    def region(
        self,
        raw: NDArray[np.float32],
        part: RunLengthMask,
        size: tuple[int, int],
    ) -> Region | None:
        """Component of the map in pixels of the image; None where it is too small to count.

        part: its entries of the map; size: (height, width) of the image that the map is of
        """

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Regions that are defects, each with its defect."""

    def rows_around(self, height: int, width: int) -> int:
        """Rows above and below a region of that size that `found` may look at."""


@runtime_checkable
class StreamsBoxes(Inference, Protocol):
    """Inference that finds boxes in overlapping tiles; `decide` suppresses those that overlap."""

    @property
    def size(self) -> int | None:
        """Pixels that the shorter side, here the web's width, is resized to; None: as it is."""

    @property
    def tile(self) -> int:
        """Side of a tile, in pixels after resizing."""

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring tiles share."""

    @property
    def nms(self) -> float:
        """IoU above which the less confident of two boxes of one class is suppressed."""

    def detect(self, pixels: Pixels, networks: Networks) -> DetectionRows:
        """Boxes and class probabilities found in one tile, in its pixels."""
