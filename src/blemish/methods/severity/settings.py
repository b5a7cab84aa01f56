"""Every number of severity regression: the paper's value, or the reason for another.

The defaults are a recipe that learns from some hundred images in a quarter of an hour on two CPU cores; the
preset "paper" has the paper's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.methods.common.presets import PresetSettings
from blemish.methods.severity.geometry import default_tiling
from blemish.methods.severity.labels import Readings

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # Where the paper leaves open what the default has another value for, that of longer trainings on patches
    # of 256.
    "paper": {
        "cell": 4,
        "patch": 256,
        "zoom": 0.15,
        "noise": 0.02,
        "illumination": 0.1,
        "contrast": 0.2,
        "steps": 2000,
        "learning_rate": 3e-3,
        "weight_decay": 1e-4,
        "image_score": "max",
        "types": True,
        "types_backbone": "resnet101",
    },
    "default": {},
    # For tests on a CPU: seconds.
    "tiny": {
        "cell": 4,
        "patch": 64,
        "learning_rate": 3e-3,
        "batch": 4,
        "steps": 80,
        "types_backbone": "resnet18",
        "types_backbone_weights": "none",
        "types_batch": 8,
        "types_steps": 8,
    },
}


class SeveritySettings(PresetSettings):
    """Settings of severity regression. A comment above each field; "open": the paper does not say."""

    presets: ClassVar = PRESETS

    # --- Stage 1: network ---
    # Gray or colour; both in the paper.
    channels: Literal[1, 3] = 1
    # Side of the square of pixels that one severity stands for; all three in the paper. Defects a few pixels
    # wide need 2, which costs four times as much as 4 for the same area.
    cell: Literal[1, 2, 4] = 2
    # "unet" is the baseline of the paper's Table 4, trained alike.
    network: Literal["paper", "unet"] = "paper"
    # Open: where Table 1's conv2 stands.
    conv2: Literal["after_stage1", "before_stage1"] = "after_stage1"

    # --- Severity labels, section III-C-1 ---
    # λ of eq. 2; at most 510 can occur on 8-bit images.
    truncation: float = Field(500.0, gt=0)
    # Open: share of mask from which a cell is a defect cell.
    coverage: float = Field(0.5, gt=0, le=1)
    # Open: how the scores against the reference cells on both sides are combined.
    two_references: Literal["mean", "weaker", "stronger"] = "mean"
    # Open: a defect at the image edge has one reference cell; "median" takes the image's median cell as the
    # other.
    edge_run: Literal["one", "median"] = "one"
    # Open: what a defect as wide as the image is compared with.
    no_reference: Literal["median", "zero"] = "median"
    # Open: a mask smaller than one cell still yields one defect cell.
    keep_small: bool = True
    # Of a cell and its reference: "extremes" is the paper's d0 + d1; "means" follows the defect's contrast
    # more closely where texture is coarse, see the README.
    contrast_of: Literal["extremes", "means"] = "extremes"
    # Open: of a colour image; "brightest" is the greatest of its channels.
    intensity: Literal["luminance", "brightest"] = "luminance"
    # Open: annotated cells map to [floor, 12]; 0 is the paper's formula, under which weak defects are
    # labelled below any usable threshold.
    floor: float = Field(6.0, ge=0, lt=12)
    # Open: the quantile of scores that maps to 12; 1 is the maximum, which one glint can set.
    scale_quantile: float = Field(0.99, gt=0, le=1)
    # Open: one scale for the training set, so that severities can be compared between images, or each patch's
    # own.
    scale_over: Literal["dataset", "patch"] = "dataset"

    # --- Stage 1: patches and augmentation, sections III-C-3 and IV-A ---
    # Side of a training patch, 256 in the paper. For the same cost 128 shows four times as many defects.
    patch: int = Field(128, ge=32)
    # "around": a defect at a random place in the patch, the paper's "number of blocks around the defect";
    # "sliding": its fixed grid, at the step below.
    sampling: Literal["around", "sliding"] = "around"
    patch_step: int = Field(64, ge=1)
    # Open: share of patches cut anywhere, defect or not.
    clean_share: float = Field(0.15, ge=0, le=1)
    # Open: draw the class first, then one of its defects, so that rare ones are seen.
    balance_classes: bool = True
    # Mirror on either axis.
    flips: bool = True
    # Rotation by random angles in ± this; from 90 on, every patch is also turned by quarters.
    rotation_deg: float = Field(180.0, ge=0, le=180)
    # Open: share of patches turned freely.
    rotation_share: float = Field(0.5, ge=0, le=1)
    # Open: size changes by up to this share, with the free turns.
    zoom: float = Field(0.4, ge=0, lt=1)
    # Open: greatest sigma of the added noise, in units of full scale.
    noise: float = Field(0.02, ge=0)
    # Open: greatest brightness shift, in units of full scale.
    illumination: float = Field(0.2, ge=0)
    # Open: contrast changes by up to this share.
    contrast: float = Field(0.4, ge=0, lt=1)

    # --- Stage 1: optimisation (open) ---
    # The defect cells of a patch count in the loss as if they were so many, at least a thirtieth and at most
    # five times what they are: where kinds differ in area by powers of ten, small ones are otherwise not
    # learned. None: every cell counts alike, the paper's L2.
    defect_cells: int | None = Field(None, ge=1)
    steps: int = Field(4000, ge=1)
    batch: int = Field(8, ge=1)
    # Peak; linear warm-up over so many steps, then cosine to zero.
    learning_rate: float = Field(2e-3, gt=0)
    warmup: int = Field(50, ge=0)
    weight_decay: float = Field(1e-2, ge=0)
    # Greatest norm of the gradient.
    gradient_clip: float = Field(5.0, gt=0)

    # --- Stage 2: filter, sections III-A-2 and IV-G ---
    # T of eq. 1; None: chosen on the validation images.
    threshold: float | None = Field(None, gt=0, lt=12)
    # What T maximises; the paper's is mean IoU, which is blind to clean images.
    threshold_criterion: Literal["mean-iou", "pixel-f1"] = "mean-iou"

    # --- Image score, not in the paper ---
    # "fitted": by the statistics of the whole map, weighted on the validation images; "max": the greatest
    # severity, as it is without a clean or without a defective validation image.
    image_score: Literal["fitted", "max"] = "fitted"

    # --- Stage 3: components, section III-A-3 ---
    # Pixels; clusters nearer than this are one defect.
    join_distance: float = Field(4.0, ge=0, le=1000)
    # Open: smaller defects are dropped; 0 keeps every one.
    min_area: float = Field(0.0, ge=0)
    # Open: how cells become pixels of an outline; "nearest" is the plain r×r square.
    upsampling: Literal["linear", "nearest"] = "linear"

    # --- Stage 4: type classifier, sections III-B-2 and III-C-2 ---
    # Off: defects are named "defect" (or by the one class there is) and none is dropped. None: on where there
    # are several classes.
    types: bool | None = None
    # The paper's is ResNet-101, which costs four times as much a step.
    types_backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet18"
    # "imagenet" (downloaded by torchvision), "none", or a .safetensors path.
    types_backbone_weights: str = "imagenet"
    # "original": for weights of the first ResNet, whose stride is in each stage's first 1×1 convolution.
    types_backbone_strides: Literal["torchvision", "original"] = "torchvision"
    # Input side; larger defects double the window, then it is resized down.
    types_window: int = Field(64, ge=32)
    # Of the sliding window, at that side; grows with it.
    types_step: int = Field(16, ge=1)
    # Open: windows holding at least this share of the defect vote.
    types_overlap: float = Field(0.1, ge=0, le=1)
    # Open.
    types_steps: int = Field(600, ge=1)
    types_batch: int = Field(32, ge=1)
    types_learning_rate: float = Field(1e-3, gt=0)
    # Open: background examples are what stage 1 finds on training images at T times this; at T itself a
    # trained stage 1 finds too few false positives to learn from.
    false_positive_ratio: float = Field(0.5, gt=0, le=1)
    # Open: share of background examples cut at random from clean places rather than at such a false positive.
    background_anywhere: float = Field(0.25, ge=0, le=1)
    # Open: a region with less than this share of its pixels marked is a false positive.
    false_share: float = Field(0.1, ge=0, le=1)
    # Open: a defect is dropped when its windows' mean background probability reaches this; None: the lowest
    # value ≥ 0.5 that drops no true defect of the validation images.
    drop_above: float | None = Field(None, ge=0, le=1)

    # --- Inference ---
    # Side of a tile; None: 320 cells, about 0.5 GB of working memory.
    tile: int | None = Field(None, ge=64)

    @property
    def readings(self) -> Readings:
        """Open points of the label maker as an object."""
        return Readings(
            self.two_references, self.edge_run, self.no_reference, self.keep_small, self.contrast_of
        )

    @model_validator(mode="after")
    def sides_fit_the_network(self) -> Self:
        if self.patch % self.cell:
            remedy = -(-self.patch // self.cell) * self.cell
            raise ValueError(
                f"patch must be a multiple of the cell {self.cell}. Received: {self.patch}. Use {remedy}."
            )
        if self.intensity == "brightest" and self.channels == 1:
            raise ValueError(
                "intensity must be luminance with channels=1, as a gray image has a single channel. "
                "Received: brightest. Set channels=3, or leave intensity out."
            )
        default_tiling(self.cell, self.tile, network=self.network)  # raises where the tile does not fit
        return self
