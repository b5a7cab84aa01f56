"""Every number of severity regression, with the paper's value as default or the reason for another."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from blemish.methods.contract import MethodSettings
from blemish.methods.severity.geometry import default_tiling


class Settings(MethodSettings):
    """Settings of severity regression. "open" marks what the paper does not say."""

    # Stage 1: network
    channels: Literal[1, 3] = 1  # gray or colour; both in the paper
    cell: Literal[1, 2, 4] = 4  # side of the square of pixels that one severity stands for
    network: Literal["paper", "unet"] = "paper"  # "unet": the baseline of the paper's Table 4, trained alike

    # Severity labels, section III-C-1
    truncation: float = Field(500.0, gt=0)  # λ of eq. 2; at most 510 can occur on 8-bit images
    coverage: float = Field(0.5, gt=0, le=1)  # open: share of mask from which a cell is a defect cell
    two_references: Literal["mean", "weaker", "stronger"] = (
        "mean"  # open: how the scores against the reference cells on
    )
    # both sides are combined
    no_reference: Literal["median", "zero"] = (
        "median"  # open: what a defect as wide as the image is compared with
    )
    floor: float = Field(
        6.0, ge=0, lt=12
    )  # open: annotated cells map to [floor, 12]; 0 is the paper's formula, under
    # which weak defects are labelled below any usable threshold (compared in the method's README)
    scale_quantile: float = Field(
        0.99, gt=0, le=1
    )  # open: the score that maps to 12; 1 is the maximum, which one
    # glint can set

    # Stage 1: patches and augmentation, sections III-C-3 and IV-A
    patch: int = Field(256, ge=32)  # side of a training patch
    patch_step: int = Field(64, ge=1)  # of the sliding window, when sampling is "sliding"
    sampling: Literal["around", "sliding"] = (
        "around"  # "around": a defect at a random place in the patch (the paper's
    )
    # "number of blocks around the defect"); "sliding": its fixed grid
    clean_share: float = Field(0.15, ge=0, le=1)  # open: share of patches cut anywhere, defect or not
    balance_classes: bool = (
        True  # open: draw the class first, then one of its defects, so that rare ones are seen
    )
    flips: bool = True  # mirror on either axis
    rotation_deg: float = Field(180.0, ge=0, le=180)  # rotation by random angles in ± this
    rotation_share: float = Field(
        0.5, ge=0, le=1
    )  # open: share of patches turned freely; the others by quarter turns
    zoom: float = Field(0.15, ge=0, lt=1)  # open: size changes by up to this share, with the free turns
    noise: float = Field(0.02, ge=0)  # open: greatest sigma of the added noise, in units of full scale
    illumination: float = Field(0.1, ge=0)  # open: greatest brightness shift, in units of full scale
    contrast: float = Field(0.2, ge=0, lt=1)  # open: contrast changes by up to this share

    # Stage 1: optimisation (open)
    steps: int = Field(2000, ge=1)
    batch: int = Field(8, ge=1)
    learning_rate: float = Field(3e-3, gt=0)  # peak; linear warm-up, then cosine to zero
    warmup: int = Field(50, ge=0)  # steps
    weight_decay: float = Field(1e-4, ge=0)
    gradient_clip: float = Field(5.0, gt=0)  # norm

    # Stage 2: filter, section III-A-2 and IV-G
    threshold: float | None = Field(None, gt=0, lt=12)  # T of eq. 1; None: chosen on the validation images
    threshold_criterion: Literal["mean-iou", "pixel-f1"] = (
        "mean-iou"  # what T maximises; the paper's is mean IoU
    )

    # Stage 3: components, section III-A-3
    join_distance: float = Field(4.0, ge=0)  # pixels; clusters nearer than this are one defect
    minimum_area: float = Field(0.0, ge=0)  # open: smaller defects are dropped; 0 keeps every one
    upsampling: Literal["linear", "nearest"] = (
        "linear"  # open: how cells become pixels of an outline; "nearest" is the
    )
    # plain r×r square

    # Stage 4: type classifier, sections III-B-2 and III-C-2
    types: bool = True  # off: defects are named "defect" (or by the one class there is) and none is dropped
    types_backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet101"
    types_weights: str = "imagenet"  # "imagenet" (downloaded by torchvision), "none", or a .safetensors path
    types_strides: Literal["torchvision", "original"] = (
        "torchvision"  # "original": for weights of the first ResNet, whose
    )
    # stride is in each stage's first 1×1 convolution
    types_window: int = Field(
        64, ge=32
    )  # input side; larger defects double the window, then it is resized down
    types_step: int = Field(16, ge=1)  # of the sliding window, at a window of 64; grows with it
    types_overlap: float = Field(
        0.1, ge=0, le=1
    )  # open: windows holding at least this share of the defect vote
    types_steps: int = Field(600, ge=1)  # open
    types_batch: int = Field(32, ge=1)  # open
    types_learning_rate: float = Field(1e-3, gt=0)  # open
    false_positive_ratio: float = Field(
        0.5, gt=0, le=1
    )  # open: background examples are what stage 1 finds on training
    # images at T times this; at T itself a trained stage 1 finds too few false positives to learn from
    drop_above: float | None = Field(
        None, ge=0, le=1
    )  # open: a defect is dropped when the windows' mean background
    # probability reaches this; None: the lowest value ≥ 0.5 that drops no true defect of the validation images

    # Decision: see evaluation.operating_point
    ng_rule: str = "f1"  # rule on validation images above which score an image is NG
    review_rule: str = "escape<=0"  # rule for the lower threshold; between the two the verdict is REVIEW

    # Inference
    tile: int | None = Field(None, ge=64)  # side of a tile; None: 320 cells, about 0.5 GB of working memory

    @model_validator(mode="after")
    def sides_fit_the_cell(self) -> Self:
        if self.patch % self.cell:
            remedy = -(-self.patch // self.cell) * self.cell
            raise ValueError(
                f"patch must be a multiple of the cell {self.cell}. Received: {self.patch}. Use {remedy}."
            )
        default_tiling(self.cell, self.tile)  # raises where the tile does not fit
        return self

    @model_validator(mode="after")
    def tiles_fit_the_network(self) -> Self:
        if self.network == "unet" and self.tile is not None and self.tile % 16:
            raise ValueError(
                f"tile must be a multiple of 16 with network unet; use {-(-self.tile // 16) * 16}"
            )
        return self
