"""Contract between the methods and everything above them: what a method must offer, and what it is given.

A method is a folder under `blemish.methods` with one object `METHOD`. It describes its training as stages and
its inference as a numpy half; the training loop, the tiles' forward path and the bundle on disk belong to the
layers above. What it may offer beyond that is in `capabilities`, defaults are in `base`. No module here
imports torch, so that methods can be listed and inspected without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from blemish.arrays import Pixels, RgbImage
from blemish.bundle.curves import StoredLosses, StoredRegionChoice, StoredSweep
from blemish.bundle.manifest import Manifest, Strict
from blemish.bundle.migrations import AUTO
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset, Sample
from blemish.defect import Defect
from blemish.methods.stage import CacheUse, EarlyStopping, Stage, StageSteps, ValidationResult
from blemish.regions.region import Region

__all__ = [
    "Arrays",
    "CacheUse",
    "Curves",
    "EarlyStopping",
    "Fitted",
    "Graph",
    "Group",
    "HeldOut",
    "ImageFindings",
    "Inference",
    "LearningSplit",
    "Memory",
    "Method",
    "MethodSettings",
    "Network",
    "Networks",
    "Stage",
    "StageSteps",
    "Summary",
    "SweptCurves",
    "ThresholdSweep",
    "Trainer",
    "ValidationResult",
]

if TYPE_CHECKING:
    from torch import nn

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Networks = Mapping[str, Network]
Arrays = Mapping[str, NDArray[np.generic]]
Graph = Callable[[Arrays], Arrays]  # a network without torch: arrays by the names of its inputs and outputs
LearningSplit = Literal["train", "val"]


@dataclass(frozen=True)
class Group:
    """Title of a group of settings, in the annotation of the first of them."""

    title: str


class MethodSettings(BaseModel):
    """Settings that every method has. Frozen, and an unknown key is an error.

    The docstring below a setting describes it to users; `Group` in an annotation begins a group.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    # Settings that name something on disk, and what: a run remembers where that is.
    paths: ClassVar[Mapping[str, Literal["file", "folder"]]] = {}
    # Settings to try first, at most ten, the most important first.
    main_settings: ClassVar[tuple[str, ...]] = ()

    device: Annotated[Literal["auto", "cpu", "cuda"], Group("Computation")] = "auto"
    """Where networks run; "auto" takes the GPU where there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Numbers that training computes in; "auto" is bf16 where the hardware multiplies it."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between checkpoints, from which `--resume` goes on."""

    # Rules of evaluation.operating_point, followed on the validation images.
    ng_rule: Annotated[str, Group("Verdict")] = AUTO
    """Rule by which training chooses the image score from which the verdict is NG: f1, max-iou,
    escape<=0.01, overkill<=0.02, or cost:escape=100,overkill=1. "auto" is f1; without a defective
    validation image, overkill<=0.02@95%.
    """
    review_rule: str = AUTO
    """Rule of the lower threshold, from which the verdict is REVIEW. "auto" is balance<=0.2; without a
    defective validation image, balance<=0.1.
    """

    mm_per_px: Annotated[float | None, Group("Images of the camera")] = Field(None, gt=0, allow_inf_nan=False)
    """Scale of the images, for sizes in mm; null: the dataset.yaml's."""
    bits: int | None = Field(None, ge=8, le=16)
    """Bits that 16-bit images use, such as 12 of a camera; null: the dataset.yaml's, or all."""


@dataclass(frozen=True)
class ImageFindings:
    """Answer of an inference half for an image.

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
    def classifies(self) -> bool:
        """True where a defect's label is a judgement; else all bear one name and types are not measured."""

    @property
    def segments(self) -> bool:
        """True where a defect's contour follows it; else it is its box, and pixels are not measured."""

    @property
    def streams(self) -> Literal["masks", "boxes"] | None:
        """Kind of streaming, see `capabilities.StreamsMasks` and `StreamsBoxes`; None: no webs are judged."""

    @property
    def pixel_threshold(self) -> float | None:
        """Value of the score map from which a pixel is defective; None where the method gives no such map."""

    @property
    def region_threshold(self) -> float | None:
        """Value of the score map that each region reaches somewhere; None as `pixel_threshold` is."""

    @property
    def score_map_max(self) -> float | None:
        """Greatest possible value of the score map; None where the method gives no such map."""

    @property
    def threshold_score(self) -> float | None:
        """Image score at which the method's own threshold lies; None where it has none."""

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """Shape of a network's output for inputs of a shape; None for an axis of any length.

        network: its name in `Networks`. Outputs of any other shape are refused before they are used.
        """

    def forward(self, pixels: Pixels, networks: Networks) -> NDArray[np.float32]:
        """Raw output for the whole image, from tiles merged without seams."""

    def decide(
        self, raw: NDArray[np.float32], pixels: Pixels, networks: Networks, *, with_maps: bool
    ) -> ImageFindings:
        """Defects and image score from the raw output. with_maps: whether the maps are wanted, too"""


class ThresholdSweep(Protocol):
    """Metrics against the threshold, and the best threshold."""

    @property
    def best(self) -> float: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class RegionThresholds:
    """Operating point of the regions of a map.

    grow: value from which a pixel may belong to a region, T_low; start: that at least one of its pixels has,
    T_high ≥ T_low; min_area: of a region, in pixels
    """

    grow: float
    start: float
    min_area: float = 0.0


class RegionChoice(Protocol):
    """Operating point of regions, and how it was chosen. notes: sentences on what the choice cannot know"""

    @property
    def thresholds(self) -> RegionThresholds: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def to_json(self) -> dict[str, Any]: ...


class RegionSweep(Protocol):
    """Counts of validation images over operating points of regions."""

    def add(
        self, sample: Sample, size: tuple[int, int], regions_from: Callable[[float], Sequence[Region]]
    ) -> None:
        """Count an image. size: (height, width); regions_from: its regions of any area, by T_low"""

    @property
    def no_choice(self) -> str:
        """Sentence on why nothing can be chosen by whole defects; empty where it can."""

    def choose(self) -> RegionChoice:
        """Choose the operating point."""


class Memory(Strict):
    """Memory of a bundle besides its settings and tensors; a method's own derives from it."""


class Curves(Strict):
    """Curves of a training, kept for the report; a method's own derive from it.

    training: losses by stage, added by the training loop
    """

    training: dict[str, StoredLosses] = Field(default={})


class SweptCurves(Curves):
    """Curves of a method whose pixel threshold is swept on the validation images."""

    threshold_sweep: StoredSweep | None = None
    region_choice: StoredRegionChoice | None = None

    @classmethod
    def of(cls, sweep: ThresholdSweep, regions: RegionChoice | None = None) -> Self:
        """Curves that hold the sweep, and the choice of the operating point of regions."""
        stored = StoredSweep.model_validate(sweep.to_json())
        if regions is None:
            return cls(threshold_sweep=stored)
        choice = StoredRegionChoice.model_validate(regions.to_json())
        return cls(threshold_sweep=stored, region_choice=choice)


class Trainer(Protocol):
    """Training loop and forward path that a method's `fit` is given."""

    @property
    def seed(self) -> int: ...

    @property
    def initial_bundle(self) -> Bundle | None:
        """Bundle that training goes on from, where the user named one."""

    def optimise(self, stage: Stage) -> tuple[ValidationResult, ...]:
        """Train the stage's network in place, from its checkpoint if it has one; returns its validations."""

    def networks(self, modules: Mapping[str, nn.Module]) -> Networks:
        """Wrap modules, in eval mode, in the numpy interface that `Inference` calls."""

    def read(self, sample: Sample, channels: int | None) -> Pixels:
        """Decoded pixels of a sample, from memory where they are still there."""

    def remember(self, sample: Sample, compute: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Array that `compute` makes of a sample's annotations, from memory where it is still there."""

    def sweep(
        self,
        maps: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]],
        *,
        max_threshold: float,
        criterion: str,
    ) -> ThresholdSweep:
        """Try thresholds in (0, max_threshold) on maps and true masks [H, W] of validation images.

        criterion: that the best threshold maximises, "mean-iou" or "pixel-f1"
        Raises BlemishError where no mask holds a defect pixel, or a map does not fit its mask.
        """

    def region_sweep(self, max_threshold: float, *, min_area: float) -> RegionSweep:
        """Sweep of operating points of regions, of `min_area` at least, in maps of (0, max_threshold)."""

    def note(self, message: str) -> None:
        """Write a line for the user and the log."""

    def save_image(self, name: str, draw: Callable[[], RgbImage]) -> None:
        """Save an image in the run's folder for the user, such as of training images; once for each name."""

    def track(self, items: Iterable[Any], title: str) -> Iterable[Any]:
        """Yield the items with a progress bar."""


@dataclass(frozen=True)
class HeldOut:
    """Image of the split "train" that thresholds are chosen on, by networks that did not learn from it.

    modules: by the names of `Fitted.modules`
    """

    sample: Sample
    modules: Mapping[str, nn.Module]


@dataclass(frozen=True)
class Fitted:
    """A finished training: trained modules, and what the bundle must remember of them.

    thresholds: named numbers the inference half reads back; curves: kept for the report
    memory: what else the inference half or a later training needs
    notes: sentences on what training noticed, for the report
    extra_models: those on the way to this one that are worth a bundle of their own, by the name of its folder
    dataset: the part of the dataset that was learned from and that thresholds are chosen on; None: the whole
    settings: those that the bundle remembers, where they are not the run's
    can_inspect: whether it can judge images; else it is a starting point for later training
    trained_on_before: `dataset.fingerprint.image_digests` of what was learned from besides `dataset`
    held_out: training images that thresholds are chosen on besides those of "val"
    """

    modules: Mapping[str, nn.Module]
    class_names: tuple[str, ...]
    channels: int | None
    thresholds: Mapping[str, float]
    tiling: Mapping[str, int]
    curves: Curves = field(default_factory=Curves)
    memory: Memory = field(default_factory=Memory)
    notes: tuple[str, ...] = ()
    extra_models: Mapping[str, Fitted] = field(default_factory=dict)
    dataset: Dataset | None = None
    settings: MethodSettings | None = None
    can_inspect: bool = True
    trained_on_before: tuple[str, ...] = ()
    held_out: Iterable[HeldOut] = ()


@dataclass(frozen=True)
class Summary:
    """What a user must know to choose a method, each a sentence or a few.

    needs: data that it learns from; gives: what it finds in an image
    cost: of training and of inspection, as measured; when: in which case to take it
    """

    needs: str
    gives: str
    cost: str
    when: str


class Method(Protocol):
    """The object `METHOD` of a method's folder; `base.BaseMethod` has defaults for most of it.

    memory_type, curves_type: of its bundles
    supports_warm_start: whether training can go on from a bundle of this method
    needs_defects_in: the splits that must hold defective images; a method that needs them in none learns from
        good images alone
    stage_steps: steps that a time budget may lower
    cheaper: changes of settings, such as smaller images, that are tried in their order where the budget does
        not allow the least steps
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def summary(self) -> Summary: ...
    @property
    def settings_type(self) -> type[MethodSettings]: ...
    @property
    def memory_type(self) -> type[Memory]: ...
    @property
    def curves_type(self) -> type[Curves]: ...
    @property
    def supports_warm_start(self) -> bool: ...
    @property
    def needs_defects_in(self) -> tuple[LearningSplit, ...]: ...
    @property
    def stage_steps(self) -> tuple[StageSteps, ...]: ...
    @property
    def cheaper(self) -> tuple[Mapping[str, Any], ...]: ...

    def resolved_settings(self, settings: Any, note: Callable[[str], None]) -> Any:
        """Settings with those decided that are left to what can be had, such as pretrained weights.

        note: called with a line for the user where something is not to be had
        Raises BlemishError where what the settings name does not fit them.
        """

    def rehearsed_settings(self, dataset: Dataset, settings: Any, start: Bundle | None) -> Any:
        """Settings that a rehearsal on some of the images needs to do what `fit` does on all of them.

        start: bundle that training goes on from
        """

    def fit(self, dataset: Dataset, settings: Any, trainer: Trainer) -> Fitted:
        """Train on the splits "train" and "val" of the dataset."""

    def modules(self, manifest: Manifest) -> dict[str, nn.Module]:
        """Build the networks of a bundle with initial weights, ready for its tensors."""

    def check_compatible(self, modules: Mapping[str, nn.Module], *, source: str) -> None:
        """Raise BlemishError where the networks of a bundle, now with its tensors, were not made together."""

    def inference(self, manifest: Manifest) -> Inference:
        """Set up the numpy half from a manifest."""
