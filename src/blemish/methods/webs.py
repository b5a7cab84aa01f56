"""What an inference half offers beyond `Inference` where it can judge a web: a picture without an end.

Its answer at a place then depends on what lies near that place alone. Letters: h, w entries of a map.
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
class OutlinesWebs(Inference, Protocol):
    """One that outlines components of a dense map; `forward` gives the map."""

    @property
    def tiling(self) -> Tiling | None:
        """None where the whole image is looked at at once."""

    @property
    def multiple(self) -> int:
        """To a multiple of so many pixels `forward` continues an image; tile and halo are multiples of it."""

    @property
    def join_distance(self) -> float:
        """See `regions.components.label_regions`."""

    def region(
        self,
        raw: NDArray[np.float32],
        part: RunLengthMask,
        size: tuple[int, int],
    ) -> Region | None:
        """One component in pixels; None where it is too small to count.

        part: its entries of the map; size: (height, width) of the image that the map is of
        """

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Those of the regions that are defects."""

    def rows_around(self, height: int, width: int) -> int:
        """How many rows above and below a region of that size `found` may look at."""


@runtime_checkable
class BoxesWebs(Inference, Protocol):
    """One that finds boxes in overlapping tiles; `decide` suppresses those that overlap."""

    @property
    def size(self) -> int | None:
        """Pixels that the shorter side, here the width of the web, is brought to; None as it is."""

    @property
    def tile(self) -> int:
        """Side, in pixels after that."""

    @property
    def overlap(self) -> int: ...

    @property
    def nms(self) -> float:
        """IoU above which the worse of two boxes of one class goes."""

    def detect(self, pixels: Pixels, networks: Networks) -> DetectionRows:
        """Rows of one tile, in its pixels."""
