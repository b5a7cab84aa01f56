"""Every number of severity regression: the paper's value, or the reason for another.

The defaults are a recipe that learns from some hundred images in a quarter of an hour on two CPU cores; the
preset "paper" has the paper's values.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.images.tiling import Tiling
from blemish.methods.common import outline_settings as shared
from blemish.methods.common.encoder_settings import EncoderSettings
from blemish.methods.common.region_thresholds import refuse_low_start
from blemish.methods.common.tiles import seamless_tiling
from blemish.methods.contract import Group
from blemish.methods.severity.geometry import default_tiling
from blemish.methods.severity.labels import Readings
from blemish.methods.severity.presets import PRESETS


class SeveritySettings(EncoderSettings):
    """Settings of severity regression. "Open": the paper does not say."""

    presets: ClassVar = PRESETS
    paper_networks: ClassVar = ("unet",)
    main_settings: ClassVar = (
        "encoder",
        "encoder_weights",
        "cell",
        "steps",
        "patch",
        "batch",
        "threshold_criterion",
        "types",
        "types_backbone",
        "types_backbone_weights",
    )

    channels: Annotated[Literal[1, 3], Group("Stage 1: network")] = 1
    """Gray (1) or colour (3); both in the paper."""
    cell: Literal[1, 2, 4] = 2
    """Side in pixels of the square that one severity stands for; all three in the paper. Defects a few
    pixels wide need 2, which costs four times as much as 4 for the same area.
    """
    network: Literal["paper", "unet"] = "paper"
    """Network of stage 1; "unet" is the baseline of the paper's Table 4, trained alike."""
    conv2: Literal["after_stage1", "before_stage1"] = "after_stage1"
    """Open: where Table 1's conv2 stands."""
    padding: Literal["replicate", "zeros"] = "replicate"
    """What the paper's network sees beyond the border of an image or patch: "replicate" is the border pixels
    again; "zeros" is the usual padding, whose black frame most cells of a small patch see and learn from.
    """
    context: Literal[1, 2, 4, 8] = 1
    """Wide defects: a second network of the kind sees the image at 1/2, 1/4 or 1/8 of its size, so that it
    reaches as many times as far, and its outputs are added. 1: no second network, as in the paper.
    """

    truncation: Annotated[float, Group("Severity labels, section III-C-1")] = Field(500.0, gt=0)
    """λ of eq. 2, where severities are cut off; at most 510 can occur on 8-bit images."""
    coverage: float = Field(0.5, gt=0, le=1)
    """Open: share of mask from which a cell is a defect cell."""
    two_references: Literal["mean", "weaker", "stronger"] = "mean"
    """Open: how the scores against the reference cells on both sides are combined."""
    edge_run: Literal["one", "median"] = "one"
    """Open: a defect at the image edge has one reference cell; "median" takes the image's median cell as
    the other.
    """
    no_reference: Literal["median", "zero"] = "median"
    """Open: what a defect as wide as the image is compared with."""
    keep_small: bool = True
    """Open: a mask smaller than one cell still yields one defect cell."""
    contrast_of: Literal["extremes", "means"] = "extremes"
    """Contrast of a cell with its reference: "extremes" is the paper's d0 + d1; "means" follows the
    defect's contrast more closely where texture is coarse.
    """
    intensity: Literal["luminance", "brightest"] = "luminance"
    """Open: intensity of a colour image; "brightest" is the greatest of its channels."""
    floor: float = Field(6.0, ge=0, lt=12)
    """Open: lowest severity of an annotated cell, the highest being 12; 0 is the paper's formula, under
    which weak defects are labelled below any usable threshold.
    """
    scale_quantile: float = Field(0.99, gt=0, le=1)
    """Open: the quantile of scores that maps to 12; 1 is the maximum, which one glint can set."""
    scale_over: Literal["dataset", "patch"] = "dataset"
    """Open: what severities are scaled over: the training set, so that they can be compared between
    images, or each patch.
    """

    patch: Annotated[int, Group("Stage 1: patches and augmentation, sections III-C-3 and IV-A")] = Field(
        128, ge=32
    )
    """Side of a training patch in pixels, 256 in the paper. For the same cost 128 shows four times as
    many defects.
    """
    sampling: Literal["around", "sliding"] = "around"
    """Where patches are cut: "around" has a defect at a random place in the patch, the paper's "number of
    blocks around the defect"; "sliding" is its fixed grid.
    """
    patch_step: int = Field(64, ge=1)
    """Step in pixels of the grid with sampling "sliding"."""
    clean_share: float = Field(0.15, ge=0, le=1)
    """Open: share of patches that are cut at a random place rather than around a defect."""
    clean_patches: Literal["clean_images", "anywhere"] = "anywhere"
    """Open: images that these come from: those without a defect, where there are any, or all."""
    hard_share: float = Field(0.0, ge=0, le=1)
    """Share of these that are hard: those with the greatest loss of `hard_candidates` times as many."""
    hard_candidates: int = Field(4, ge=1)
    """Places at random among which a hard patch is chosen, by the network as it is at that step."""
    balance_classes: bool = True
    """Open: draw the class first, then one of its defects, so that rare ones are seen."""
    flips: bool = True
    """Patches are mirrored on either axis."""
    rotation_deg: float = Field(180.0, ge=0, le=180)
    """Rotation of patches by random angles in ± this; from 90 on, every patch is also turned by quarters."""
    rotation_share: float = Field(0.5, ge=0, le=1)
    """Open: share of patches turned freely."""
    zoom: float = Field(0.15, ge=0, lt=1)
    """Open: size changes by up to this share, with the free turns."""
    noise: shared.Noise = 0.004  # one gray level: more drowns faint defects of dark images
    illumination: shared.Illumination = 0.03
    contrast: shared.Contrast = 0.3
    light_field: shared.LightField = 0.0
    gamma: shared.Gamma = 0.0
    blur: shared.Blur = 0.0
    jpeg: shared.Jpeg = 0.0
    copy_paste: shared.CopyPaste = 0.0

    loss: Annotated[Literal["hurdle", "paper"], Group("Stage 1: optimisation (open)")] = "paper"
    """Loss: "hurdle" learns apart whether a cell is defective, by cross-entropy, and how severe it then is,
    by a smooth L1; its severity is the product. "paper" is the squared error of one severity.
    """
    defect_cells: int | None = Field(None, ge=1)
    """Defect cells of a patch weigh √(this / their number) in the loss, at least 1 and at most 4: where kinds
    differ in area by powers of ten, small ones are otherwise not learned. null: every cell weighs 1, as in
    the paper.
    """
    patch_balance: float = Field(0.07, gt=0, le=1)
    """Share of a patch's cells above which, where they are defective, the patch counts less in the loss, in
    inverse proportion: a few large defects, or thin ones that were marked as the whole area they enclose,
    otherwise outweigh all others. 1: every patch counts alike, as in the paper.
    """
    steps: int = Field(2000, ge=1)
    """Training steps of stage 1."""
    batch: int = Field(8, ge=1)
    """Patches of a step."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak of the learning rate, after a linear warm-up; then it falls to zero as a cosine."""
    warmup: int = Field(50, ge=0)
    """Steps over which the learning rate rises to its peak."""
    weight_decay: float = Field(1e-2, ge=0)
    """Decay of the weights in each step, as in AdamW."""
    gradient_clip: float = Field(5.0, gt=0)
    """Greatest norm of the gradient."""
    weight_average: shared.WeightAverage = 0.0

    threshold: Annotated[float | None, Group("Stage 2: filter, sections III-A-2 and IV-G")] = Field(
        None, gt=0, lt=12
    )
    """Severity T from which a cell is defective, eq. 1; null: chosen on the validation images."""
    start_threshold: float | None = Field(None, gt=0, lt=12)
    """Severity that the strongest cell of a defect has at least, with a given `threshold`: defects start
    there and grow to T. null: T, or chosen together with it.
    """
    threshold_criterion: shared.ThresholdCriterion = "region-f1"

    image_score: Annotated[shared.ImageScore, Group("Image score, not in the paper")] = "learned"
    image_score_images: shared.ImageScoreImages = 30
    image_score_steps: shared.ImageScoreSteps = 150
    score_values: Literal["raw", "clipped"] = "raw"
    """Severities that are scored with loss "paper": "raw" ones go on beyond 12, so that the strongest images
    are told apart; "clipped" ones end at 12.
    """

    join_distance: Annotated[float, Group("Stage 3: components, section III-A-3")] = Field(4.0, ge=0, le=1000)
    """Distance in pixels within which clusters are one defect."""
    min_area: shared.MinArea = 0.0
    upsampling: Literal["linear", "nearest"] = "linear"
    """Open: how cells become pixels of an outline; "nearest" is the plain r×r square."""

    types: Annotated[bool | None, Group("Stage 4: type classifier, sections III-B-2 and III-C-2")] = None
    """Whether defects are named; off: they are "defect" (or the one class there is) and none is dropped.
    null: on where there are several classes.
    """
    types_backbone: Literal["efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101"] = (
        "efficientnet-lite0"
    )
    """Network of the type classifier; the paper's is ResNet-101, which costs many times as much a step."""
    types_backbone_weights: str = "imagenet"
    """First weights of the type classifier: "imagenet" (EfficientNet-Lite0's are installed with this package,
    a ResNet's downloaded by torchvision), "none", or a .safetensors path.
    """
    types_backbone_strides: Literal["torchvision", "original"] = "torchvision"
    """Place of the strides: "original" is for weights of the first ResNet, which has them in each stage's
    first 1×1 convolution.
    """
    types_window: int = Field(64, ge=32)
    """Side in pixels of the type classifier's window; for larger defects it is doubled and resized down."""
    types_step: int = Field(16, ge=1)
    """Step of the sliding window in pixels at that side; it grows with the window."""
    types_overlap: float = Field(0.1, ge=0, le=1)
    """Open: share of the defect that a window must hold to have a vote."""
    types_steps: int = Field(600, ge=1)
    """Open: training steps of the type classifier."""
    types_batch: int = Field(32, ge=1)
    """Windows of a step of the type classifier."""
    types_learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate of the type classifier."""
    false_positive_ratio: float = Field(0.5, gt=0, le=1)
    """Open: share of T from which what stage 1 finds on training images gives background examples; at T
    itself it finds too few false positives to learn from.
    """
    types_regions: int | None = Field(30, ge=1)
    """Open: regions of an image, the strongest ones, that background examples and the choice of `drop_above`
    are taken from, at most, as a map that finds more is mostly noise; null: all.
    """
    types_background_share: float | None = Field(None, gt=0, lt=1)
    """Open: share of background among the windows of a step, as most of what stage 4 sees is background;
    null: as much as of a type.
    """
    types_hard_candidates: int = Field(1, ge=1)
    """Open: with such a share, how many background windows each is chosen from, by the loss of the classifier
    as it is at that step; 1: any.
    """
    background_anywhere: float = Field(0.25, ge=0, le=1)
    """Open: share of background examples cut at random from clean places rather than at such a false
    positive.
    """
    false_share: float = Field(0.1, ge=0, le=1)
    """Open: share of marked pixels below which a region is a false positive."""
    drop_above: float | None = Field(None, ge=0, le=1)
    """Open: mean background probability of its windows from which a defect is dropped; null: chosen on the
    validation images.
    """
    drop_rule: Literal["f1", "lossless"] = "f1"
    """Open: how it is chosen: "f1" for the greatest F1 of regions; "lossless" is the lowest value from 0.5
    on that drops no true defect.
    """

    tile: Annotated[int | None, Group("Inference")] = Field(None, ge=64)
    """Side in pixels of the tiles that images are cut into; null: 320 cells, with an encoder 640 pixels
    beside what their neighbours must see of them; about 0.5 GB of working memory.
    """

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
        if self.has_encoder and self.patch % self.encoder_multiple:
            multiple = self.encoder_multiple
            remedy = -(-self.patch // multiple) * multiple
            raise ValueError(
                f"patch must be a multiple of {multiple} with encoder={self.encoder}. "
                f"Received: {self.patch}. Use {remedy}."
            )
        if self.encoder != "auto":
            self.tiling  # noqa: B018  raises where the tile does not fit
        grid = max(2 * self.cell, self.multiple, self.multiple * self.context // 2)
        if self.context > 1 and self.patch % grid:
            remedy = -(-self.patch // grid) * grid
            raise ValueError(
                f"patch must be a multiple of {grid} with cell={self.cell} and context={self.context}. "
                f"Received: {self.patch}. Use {remedy}."
            )
        return self

    @model_validator(mode="after")
    def start_is_above_the_threshold(self) -> Self:
        refuse_low_start(self.start_threshold, self.threshold)
        return self

    @property
    def tiling(self) -> Tiling:
        """Tiles that images are cut into, so that no seam shows."""
        if self.has_encoder:
            reach = self.encoder_reach(finest=self.cell)
            return seamless_tiling(
                self.tile, reach=reach, multiple=self.encoder_multiple, stride=self.cell, given="an encoder"
            )
        return default_tiling(self.cell, self.tile, network=self.network)

    @property
    def multiple(self) -> int:
        """Number of pixels that sides of images are continued to multiples of."""
        return self.encoder_multiple if self.has_encoder else self.cell
