"""What a method offers and what it is offered: the seam between methods and everything above them.

A method is a folder under `blemish.methods` with one object `METHOD`. It describes its training as stages and
its inference as a numpy half; the training loop, the tiles' forward path and the bundle on disk belong to the
layers above. This module imports no torch, so that methods can be listed and inspected without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Bundle, Tensors
from blemish.dataset.samples import Dataset, Sample
from blemish.defect import Box, Defect

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Networks = Mapping[str, Network]
Arrays = Mapping[str, NDArray[np.generic]]
Graph = Callable[[Arrays], Arrays]  # a network without torch: arrays by the names of its inputs and outputs
Pixels = NDArray[np.uint8] | NDArray[np.uint16]


class MethodSettings(BaseModel):
    """What every method can be told. Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    # Settings that name something on disk, and what: a run remembers where that is.
    paths: ClassVar[Mapping[str, Literal["file", "folder"]]] = {}

    device: Literal["auto", "cpu", "cuda"] = "auto"  # "auto": the GPU where there is one
    precision: Literal["auto", "fp32", "bf16"] = (
        "auto"  # of training; "auto": bf16 where the hardware multiplies it
    )
    checkpoint_every: int = Field(100, ge=1)  # steps
    # Decision: rules of evaluation.operating_point, followed on the validation images
    ng_rule: str = "f1"  # image score from which the verdict is NG
    review_rule: str = "escape<=0"  # the lower threshold; between the two the verdict is REVIEW
    # Scale of the images, for sizes in mm; None: the dataset.yaml's
    mm_per_px: float | None = Field(None, gt=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Findings:
    """What the inference half makes of one image.

    score: image level, in [0, 1], higher is worse; maps: see `Inspection.maps`, only when asked for
    candidates: see `Inspection.candidates`; spread: see `Inspection.spread`
    """

    score: float
    defects: tuple[Defect, ...]
    maps: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    candidates: tuple[Defect, ...] = ()
    spread: float | None = None


class Inference(Protocol):
    """The numpy half of a method: pixels and networks in, findings out. Knows neither files nor torch."""

    @property
    def channels(self) -> int | None:
        """1 for luminance, 3 for colour, None for the image as stored."""

    @property
    def mm_per_px(self) -> float | None:
        """Scale of the images, for sizes in mm; None where it is not known."""

    @property
    def names_types(self) -> bool:
        """Whether a defect's label is a judgement; else all bear one name and types are not measured."""

    @property
    def finds_outlines(self) -> bool:
        """Whether a defect's contour follows it; else it is its box, and pixels are not measured."""

    @property
    def pixel_threshold(self) -> float | None:
        """From which severity on a pixel is defective; None where the method gives no severities."""

    @property
    def severity_top(self) -> float | None:
        """The greatest value of the map "severity"; None where the method gives no severities."""

    @property
    def threshold_score(self) -> float | None:
        """The image score at which the method's own pixel threshold lies; None where it has none."""

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """The raw output for the whole image, from tiles merged without seams."""

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> Findings:
        """Raw output to defects and image score."""


@dataclass(frozen=True)
class Look:
    """What a network in training was worth after so many steps, in one or several measures."""

    step: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Watch:
    """Looks at validation images while a network trains: its best state is kept, and training ends in time.

    every: steps between looks; the last step is looked at, too
    measure: the network in eval mode to named numbers, all of which are logged
    criterion: the one that decides, higher is better; of equal ones the first is kept
    patience: looks without a better one after which training ends
    """

    every: int
    measure: Callable[[nn.Module], Mapping[str, float]]
    criterion: str
    patience: int


@dataclass(frozen=True)
class Stage:
    """One optimisation: a network, the batch of each step, and the loss.

    batch: step and process rank to tensors; depends on nothing else, so that a resumed run sees the same
    batches
    loss: network and batch to a scalar; extra named values of it are logged
    learning_rate: of each step, in [0, steps); gradient_clip: greatest norm of the whole gradient
    watch: with one, the network is left in its best state, which may be the one before the first step
    """

    name: str
    network: nn.Module
    steps: int
    batch: Callable[[int, int], Mapping[str, Tensor]]
    loss: Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
    optimiser: Callable[[Iterable[nn.Parameter]], Optimizer]
    learning_rate: Callable[[int], float]
    gradient_clip: float
    watch: Watch | None = None


class ThresholdSweep(Protocol):
    """Metrics against the threshold, and the best threshold."""

    @property
    def best(self) -> float: ...

    def to_json(self) -> dict[str, Any]: ...


class Trainer(Protocol):
    """What a method's `fit` is given: the loop and the one forward path."""

    @property
    def seed(self) -> int: ...

    @property
    def start(self) -> Bundle | None:
        """The bundle that training goes on from, where the user named one."""

    def optimise(self, stage: Stage) -> tuple[Look, ...]:
        """Train the stage's network in place, from its checkpoint where there is one; the watch's looks."""

    def networks(self, modules: Mapping[str, nn.Module]) -> Networks:
        """The modules in eval mode behind the numpy interface that `Inference` calls."""

    def read(self, sample: Sample, channels: int | None) -> Pixels:
        """Decoded pixels of a sample, from memory where they are still there."""

    def remember(self, sample: Sample, compute: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """What `compute` makes of a sample's annotations, from memory where it is still there."""

    def sweep(
        self, maps: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]], *, most: float, criterion: str
    ) -> ThresholdSweep:
        """Try thresholds in (0, most) on (map, truth mask) pairs of validation images."""

    def note(self, message: str) -> None:
        """One line for the user and the log."""

    def picture(self, name: str, draw: Callable[[], NDArray[np.uint8]]) -> None:
        """Keep a picture for the user to look at, such as of what training sees; drawn where it is not yet.

        draw: to [H, W, 3] RGB
        """

    def track(self, items: Iterable[Any], title: str) -> Iterable[Any]:
        """The items, with a progress bar."""


@dataclass(frozen=True)
class Fitted:
    """What `fit` returns: trained modules and what the bundle must remember of them.

    thresholds, scales: named numbers the inference half reads back; curves: kept for the report
    memory: what else the inference half or a later training needs, as plain data
    notes: sentences on what training noticed, for the report
    also: models on the way to this one that are worth a bundle of their own, by the name of its folder
    dataset: the part of the dataset that was learned from and that thresholds are chosen on; None: the whole
    settings: those that the bundle remembers, where they are not the run's
    judges: whether it can judge images; else it is a starting point for later training
    seen_before: `dataset.fingerprint.image_digests` of what was learned from on the way, besides `dataset`
    """

    modules: Mapping[str, nn.Module]
    class_names: tuple[str, ...]
    channels: int | None
    thresholds: Mapping[str, float]
    scales: Mapping[str, float]
    tiling: Mapping[str, int]
    curves: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    also: Mapping[str, Fitted] = field(default_factory=dict)
    dataset: Dataset | None = None
    settings: MethodSettings | None = None
    judges: bool = True
    seen_before: tuple[str, ...] = ()


class Method(Protocol):
    """The object `METHOD` of a method's folder."""

    name: str
    title: str
    settings_type: type[MethodSettings]
    # Whether training can go on from a bundle of this method.
    takes_start: bool

    def fit(self, dataset: Dataset, settings: Any, trainer: Trainer) -> Fitted:
        """Train on the splits "train" and "val" of the dataset."""

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        """The networks of a bundle with initial weights, ready for its tensors."""

    def refuse_misfits(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        """Raises BlemishError when the networks of a bundle, now with its tensors, were not made together."""

    def inference(self, manifest: Manifest) -> Inference:
        """The numpy half, set up as the manifest says."""


# What a method may offer beyond that; whoever asks for it looks whether it is there.


@dataclass(frozen=True)
class Example:
    """One marked defect that a class is to be learned from.

    id: of the box; image: of the image, which may hold several; pixels: [H, W, 3]; box_xyxy: pixels of it
    """

    id: str
    image: str
    pixels: Pixels
    box_xyxy: Box


@dataclass(frozen=True)
class Nearness:
    """How near an older class lies to a new one.

    squared_distance: of their prototypes
    sureness: probability, against this class alone, of the new name for a region like the new prototype
    nearer: how many examples, each left out of what it is compared with, are more like this class
    """

    label: str
    squared_distance: float
    sureness: float
    nearer: int


@dataclass(frozen=True)
class Sighting:
    """What becomes of an example now.

    end: "found", "background" or the other class that it is taken for
    confidence: of the surest detection of its own class there, whatever the threshold; None without any
    """

    id: str
    end: str
    confidence: float | None


@dataclass(frozen=True)
class Enrolment:
    """What becomes of a bundle that takes one class more, and what was seen on the way.

    networks: tensors of those networks that are not as they were; memory: as `Fitted.memory`
    held_out: whether each example was judged by a class made without its image
    """

    networks: Mapping[str, Tensors]
    memory: Mapping[str, Any]
    nearness: tuple[Nearness, ...]
    sightings: tuple[Sighting, ...]
    held_out: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Exported:
    """The networks of an exported bundle, opened. tensors: of those that stay tensors"""

    graphs: Mapping[str, Graph]
    tensors: Mapping[str, Tensors]


@runtime_checkable
class EnrolsClasses(Protocol):
    """A method whose bundles take one class more without training, from a few boxed examples."""

    def enrol(
        self,
        networks: Mapping[str, nn.Module] | Exported,
        manifest: Manifest,
        name: str,
        examples: Sequence[Example],
    ) -> Enrolment:
        """The networks of a bundle with class `name` behind its others.

        Raises BlemishError where the bundle's own settings do not allow that.
        """

    def tuning(self, manifest: Manifest, name: str, examples: int) -> dict[str, Any]:
        """Settings of a short training that teaches a bundle class `name` from so many examples.

        Raises BlemishError where the bundle's own settings do not allow that.
        """


@dataclass(frozen=True)
class Embedded:
    """Regions in the metric space. per_class: [R, K, D], as each class sees them; shared: [R, D], as none."""

    per_class: NDArray[np.float32]
    shared: NDArray[np.float32]


class Embedder(Protocol):
    """Places regions in a bundle's metric space."""

    @property
    def prototypes(self) -> NDArray[np.float32]:
        """[K, D], one for each class of the bundle."""

    def embed(self, pixels: Pixels, boxes: NDArray[np.float32]) -> Embedded:
        """Boxes [R, 4] of an image [H, W, 3]."""


@runtime_checkable
class EmbedsRegions(Protocol):
    """A method whose bundles tell classes by distances in a space that can be looked at."""

    def embedder(self, networks: Mapping[str, nn.Module] | Exported, manifest: Manifest) -> Embedder:
        """Raises BlemishError where the bundle's own settings leave no such space."""


@dataclass(frozen=True)
class GraphPlan:
    """One graph of an exported bundle, and how it is asked.

    module: in eval mode; takes the inputs in their order, gives the outputs as a tensor or a tuple of them
    inputs: an example of each, by name
    free: of each input, by name, the axes whose length may differ from the example's; 0 is the batch
    """

    module: nn.Module
    inputs: Mapping[str, Tensor]
    outputs: tuple[str, ...]
    free: Mapping[str, tuple[int, ...]]


@runtime_checkable
class ExportsGraphs(Protocol):
    """A method whose bundles can be run without torch."""

    def graphs(self, modules: Mapping[str, nn.Module], manifest: Manifest) -> dict[str, GraphPlan]:
        """What is exported, by the name that the graph bears in the bundle.

        Raises BlemishError where the bundle's own settings do not allow that.
        """

    def kept_tensors(self, manifest: Manifest) -> tuple[str, ...]:
        """Names of the networks that stay tensors in the exported bundle: data, such as a class bank."""

    def served(
        self, graphs: Mapping[str, Graph], tensors: Mapping[str, Tensors], manifest: Manifest
    ) -> Networks:
        """The networks that `Inference` asks, made of graphs and kept tensors. Imports no torch."""
