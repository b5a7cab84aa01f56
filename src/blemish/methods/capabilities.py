"""Capabilities that a method may declare: new classes, corrections, embedding, exporting, streaming.

A method declares all but the last by deriving from their classes, an inference half declares streaming by
`Inference.streams`; nothing is guessed from the names of attributes. Letters: R regions, K classes,
D embedding, h, w entries of a map.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Boxes, Pixels
from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.defect import Defect
from blemish.images.tiled_detection import DetectionRows
from blemish.images.tiling import Tiling
from blemish.methods.contract import Graph, ImageFindings, Inference, Networks
from blemish.regions.region import Region
from blemish.regions.runs import RunLengthMask

if TYPE_CHECKING:
    from torch import Tensor, nn


# Adding classes

ALARMS = 0.1  # findings of an added class on an image without it, on average


@dataclass(frozen=True)
class Example:
    """Marked defect that a class is to be learned from.

    id: of the box; image: of the image, which may hold several; pixels: [H, W, 3]; box_xyxy: pixels of it
    """

    id: str
    image: str
    pixels: Pixels
    box_xyxy: Box


@dataclass(frozen=True)
class Negative:
    """Surface that does not show the class: a good part, or false alarms on any part.

    image: its id; pixels: [H, W, 3]; boxes: of the false alarms, [N, 4] in pixels; None: the whole image
    """

    image: str
    pixels: Pixels
    boxes: Boxes | None


@dataclass(frozen=True)
class ClassSimilarity:
    """Similarity of an older class to a new one.

    squared_distance: of their prototypes
    confidence: probability, against this class alone, of the new name for a region like the new prototype
    nearer: how many examples, each left out of what it is compared with, are more like this class
    """

    label: str
    squared_distance: float
    confidence: float
    nearer: int


@dataclass(frozen=True)
class ExampleOutcome:
    """Outcome of inspecting an example with its class added.

    end: "found", "background" or the other class that it is taken for
    confidence: of the surest detection of its own class there, whatever the threshold; None without any
    """

    id: str
    end: str
    confidence: float | None


@dataclass(frozen=True)
class ClassThreshold:
    """Threshold of an added class's own, and counts on the images that it was chosen on.

    confidence: from which a region is a defect; tuned: whether tuning was kept, see `AddsClasses.enrol`
    found: of `left_out` examples, each by a class made without its image, with `false_left_out` findings that
        meet none on their `left_out_images`; all 0 where the examples are in a single image
    false: findings on `without` images without the class, of the bundle's training or good parts, of which
        `alarmed` have one or more
    """

    confidence: float
    found: int
    left_out: int
    false_left_out: int
    left_out_images: int
    false: int
    alarmed: int
    without: int
    tuned: bool


@dataclass(frozen=True)
class Enrolment:
    """Changes to a bundle that takes one class more, and findings on the way.

    networks: tensors of those networks that change; memory: as `Manifest.memory`
    held_out: whether each example was judged by a class made without its image
    sentences: on similarities and outcomes, for the report
    threshold: of the class; None where it has that of the others
    """

    networks: Mapping[str, Tensors]
    memory: Mapping[str, Any]
    similarities: tuple[ClassSimilarity, ...]
    outcomes: tuple[ExampleOutcome, ...]
    held_out: bool
    sentences: tuple[str, ...]
    threshold: ClassThreshold | None = None


@dataclass(frozen=True)
class Exported:
    """The networks of an exported bundle, opened. tensors: of those that stay tensors"""

    graphs: Mapping[str, Graph]
    tensors: Mapping[str, Tensors]


class AddsClasses(ABC):
    """A method whose bundles take one class more without training, from a few boxed examples."""

    @abstractmethod
    def enrol(
        self,
        networks: Mapping[str, nn.Module] | Exported,
        manifest: Manifest,
        name: str,
        examples: Sequence[Example],
        negatives: Sequence[Negative] = (),
        *,
        tune: bool = False,
        alarms: float = ALARMS,
    ) -> Enrolment:
        """Add class `name` behind a bundle's others, or more examples to one of `extendable`.

        tune: whether to fit the class, as far as the bundle allows, to all regions of the examples' images,
            which takes seconds, and keep that where left-out examples are found as well; the other classes
            stay as they are
        alarms: findings on an image without the class that its threshold lets pass on average, about

        Raises BlemishError where the bundle's own settings do not allow that.
        """

    @abstractmethod
    def extendable(self, manifest: Manifest) -> tuple[str, ...]:
        """Names of the bundle's classes that take more examples."""

    @abstractmethod
    def remove_class(
        self, networks: Mapping[str, Tensors], manifest: Manifest, name: str
    ) -> tuple[Mapping[str, Tensors], Mapping[str, Any]]:
        """Tensors and memory as they were before class `name` was added."""

    @abstractmethod
    def rename_class(self, manifest: Manifest, name: str, new: str) -> Manifest:
        """Manifest in which class `name` is called `new`."""

    @abstractmethod
    def tuning(self, manifest: Manifest, name: str, examples: int) -> dict[str, Any]:
        """Settings of a short training that teaches a bundle class `name` from so many examples.

        Raises BlemishError where the bundle's own settings do not allow that.
        """


# Corrections

CorrectionKind = Literal["accept", "reject"]


@dataclass(frozen=True)
class CorrectedImage:
    """Image that a bundle judged wrongly. name, digest: its file's name and SHA-256

    pixels: [H, W, 3] or as the method reads them; boxes: of the defects that were missed, in pixels; None: it
    is not known where they are, or it is good
    """

    name: str
    digest: str
    pixels: Pixels
    boxes: tuple[Box, ...] | None = None


@dataclass(frozen=True)
class KnownScore:
    """Score of a validation image before and after a correction, as far as the bundle's own patches tell."""

    id: str
    defective: bool
    before: float
    after: float


@dataclass(frozen=True)
class CorrectedBundle:
    """Changes to a bundle that takes a correction.

    networks: tensors of those networks that change; memory: as `Manifest.memory`; known: validation images
    """

    networks: Mapping[str, Tensors]
    memory: Mapping[str, Any]
    known: tuple[KnownScore, ...]


@dataclass(frozen=True)
class StoredCorrection:
    """Correction that a bundle holds. images: their names; by, on: who made it and when, "" where not told"""

    kind: CorrectionKind
    images: tuple[str, ...]
    by: str
    on: str


class TakesCorrections(ABC):
    """A method whose bundles take wrongly judged images as data, without training and without torch.

    What is undone leaves the bundle exactly as it was.
    """

    @abstractmethod
    def correct(
        self,
        kind: CorrectionKind,
        images: Sequence[CorrectedImage],
        networks: Networks,
        tensors: Mapping[str, Tensors],
        manifest: Manifest,
        *,
        review: float,
        by: str = "",
        on: str = "",
    ) -> CorrectedBundle:
        """Take images as good ones ("accept") or as defective ones ("reject").

        tensors: of the bundle; review: score below which accepted images are to lie
        by, on: who corrects and when, for the record
        Raises BlemishError for an image that is corrected already.
        """

    @abstractmethod
    def undo(
        self, kind: CorrectionKind, networks: Networks, tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> CorrectedBundle:
        """Take back the last correction of a kind. Raises BlemishError where there is none."""

    @abstractmethod
    def corrections(self, manifest: Manifest) -> tuple[StoredCorrection, ...]:
        """Corrections of a bundle, the first first."""


# Embedding


@dataclass(frozen=True)
class Embedded:
    """Regions in the metric space. per_class: [R, K, D], as each class sees them; shared: [R, D], as none."""

    per_class: NDArray[np.float32]
    shared: NDArray[np.float32]


class Embedder(Protocol):
    """Places regions in a bundle's metric space."""

    @property
    def prototypes(self) -> NDArray[np.float32]:
        """Prototypes [K, D] of the bundle's classes."""

    def embed(self, pixels: Pixels, boxes: NDArray[np.float32]) -> Embedded:
        """Embeddings of boxes [R, 4], xyxy pixels of an image [H, W, 3]."""


class EmbedsRegions(ABC):
    """A method whose bundles tell classes apart by distances in a metric space, which can be plotted."""

    @abstractmethod
    def embedder(self, networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> Embedder:
        """Embedder of a bundle. Raises BlemishError where the bundle's settings leave no such space."""


# Exporting


@dataclass(frozen=True)
class GraphPlan:
    """Graph of an exported bundle, with its inputs and outputs.

    module: in eval mode; takes the inputs in their order, gives the outputs as a tensor or a tuple of them
    inputs: an example of each, by name
    free: of each input, by name, the axes whose length may differ from the example's; 0 is the batch
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    free: Mapping[str, tuple[int, ...]]


class ExportsGraphs(ABC):
    """A method whose bundles can be run without torch."""

    @abstractmethod
    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        """Plans of the exported graphs, by the name that each bears in the bundle.

        Raises BlemishError where the bundle's own settings do not allow that.
        """

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        """Names of the networks that stay tensors in the exported bundle: data, such as a class bank."""
        return ()

    @abstractmethod
    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        """Networks that `Inference` calls, made of graphs and kept tensors. Imports no torch."""


# Chains


class MayGate:
    """An inference half that outlines defects and yet may be a chain's gate before another one that does.

    Its score is of the image as a whole, so that one that it calls OK may pass without the later stages.
    """


# Streaming: judging a web, an image without an end. The answer at a place depends on its surroundings alone.


class StreamsMasks(Inference, Protocol):
    """An inference half that streams "masks": components of a dense map; `forward` gives the map."""

    @property
    def tiling(self) -> Tiling | None:
        """Tiles that the image is cut into; None where it passes the network as a whole."""

    @property
    def multiple(self) -> int:
        """Number of pixels that `forward` pads sides to a multiple of; tile and halo are multiples of it."""

    @property
    def join_distance(self) -> float:
        """Pixels within which parts are one region, see `regions.components.label_regions`."""

    def region(
        self,
        raw: NDArray[np.float32],
        part: RunLengthMask,
        size: tuple[int, int],
    ) -> Region | None:
        """Region of a component, in pixels; None where it is too small to count.

        part: its entries of the map; size: (height, width) of the image that the map is of
        """

    def found(
        self, regions: Iterable[Region], pixels: Pixels, networks: Networks
    ) -> list[tuple[Region, Defect]]:
        """Regions that are defects, each with its defect."""

    def image_score(self, regions: Sequence[Region], values: NDArray[np.float32]) -> float:
        """Image score in [0, 1]. regions: that are defects; values: the map of the image, or of its rows"""

    def rows_around(self, height: int, width: int) -> int:
        """Number of rows above and below a region of that size that `found` may read."""


class StreamsBoxes(Inference, Protocol):
    """An inference half that streams "boxes" of overlapping tiles."""

    @property
    def size(self) -> int | None:
        """Pixels that the shorter side, here the width of the web, is resized to; None: as it is."""

    @property
    def tile(self) -> int:
        """Side of a tile, in pixels after that resizing."""

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring tiles share."""

    @property
    def nms(self) -> float:
        """IoU above which the worse of two boxes of one class goes."""

    def detect(self, pixels: Pixels, networks: Networks) -> DetectionRows:
        """Detections on a tile, boxes in its pixels."""

    def decide_boxes(self, raw: NDArray[np.float32]) -> ImageFindings:
        """Decide as `decide` does, by detections alone: on a web, no image is there as a whole."""
