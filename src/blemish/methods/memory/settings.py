"""Every setting of the memory of good patches, with its reason.

Sources: Roth et al. 2022 (PatchCore) for the memory; Rolih, Fučka & Skočaj 2024 (SuperSimpleNet) for the
head.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.images.tiling import Tiling
from blemish.methods.common import outline_settings as shared
from blemish.methods.common.alignment import Alignment
from blemish.methods.common.backbone_choice import BACKBONE, refuse_original_strides
from blemish.methods.common.encoder_reach import Level, Strides, deepest_stride, encoder_reach
from blemish.methods.common.presets import PresetSettings
from blemish.methods.common.tiles import seamless_tiling
from blemish.methods.contract import Group

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "quick": {"head_steps": 300},
    "thorough": {"memory": 4000, "head_steps": 3000},
    # For tests on a CPU: seconds.
    "tiny": {"size": 96, "dimensions": 32, "memory": 300, "pool": 4000, "head_width": 32, "head_steps": 60},
}


# Pixels of mirrored image around each, cut off again behind the network, whose zeros at the edges would count
# as unusual; a multiple of the deepest stride that a level has.
FRAME = 32
LEAST_SIDE = FRAME + 16  # of images that can be mirrored so far; a multiple of that stride


class MemorySettings(PresetSettings):
    """Settings of the memory of good patches and of the head beside it."""

    presets: ClassVar = PRESETS
    main_settings: ClassVar = (
        "size",
        "backbone_weights",
        "backbone_level",
        "memory",
        "light_views",
        "align",
        "head",
        "head_steps",
    )

    backbone: Annotated[
        Literal["auto", "efficientnet-lite0", "resnet18", "resnet34", "resnet50"], Group("Features")
    ] = "auto"
    """Network that makes the features, whose weights stay as they are. "auto" is the ResNet of a file that is
    given; without one efficientnet-lite0, whose weights are installed with this package.
    """
    backbone_weights: str = "imagenet"
    """Weights of the backbone: "imagenet" (a ResNet's are downloaded by torchvision), "none", or a
    .safetensors path.
    """
    backbone_strides: Strides = "torchvision"
    """Place of the strides: "original" is for weights of the first ResNet, which has them in each stage's
    first 1×1 convolution.
    """
    backbone_level: Literal["layer2", "layer2+layer3", "layer1+layer2", "layer1+layer2+layer3"] = (
        "layer2+layer3"
    )
    """Stages whose maps are patches' features, by the names of a ResNet. The first sets how far patches lie
    apart: layer2 8 pixels, layer1 4, with four times as many patches.
    """
    dimensions: int = Field(256, ge=2)
    """Dimensions that principal components leave of the features; each is brought to unit variance."""
    whitening_floor: float = Field(1.0, ge=0)
    """Share of the mean variance that is added to each component's before it is divided by, so that those
    that hardly vary on good parts are not all noise.
    """

    size: Annotated[int | None, Group("Images")] = Field(256, ge=LEAST_SIDE)
    """Side in pixels of the square that images are resized to; null: images keep their resolution and are
    cut into tiles, as webs of a line-scan camera are.
    """
    tile: int | None = Field(None, ge=32)
    """Side in pixels of a tile, with size=null; null: 640 beside what its neighbours must see of it."""
    align: Alignment = "none"
    """Whether an image is moved onto a good reference before it is judged: "translation" shifts it, "rigid"
    turns and shifts it. For parts that lie anyhow on a ground.
    """

    memory: Annotated[int, Group("Memory of good patches")] = Field(2000, ge=1)
    """Patches that are kept, so that none of the others is far from all of them."""
    pool: int = Field(60_000, ge=100)
    """Patches that those are chosen from, as many of each image."""
    neighbours: int = Field(9, ge=1)
    """Patches of the memory around the nearest that its distance is weighed by, PatchCore's b; 1: the
    distance as it is.
    """
    light_views: int = Field(0, ge=0, le=20)
    """Copies of each good image under another light whose patches are put into the memory as well, drawn from
    the ranges below. For lines whose light drifts.
    """
    illumination: shared.Illumination = 0.06
    contrast: shared.Contrast = 0.15
    light_field: shared.LightField = 0.15
    gamma: shared.Gamma = 0.15
    noise: shared.Noise = 0.0
    blur: shared.Blur = 0.0
    jpeg: shared.Jpeg = 0.0
    held_out_images: int = Field(10, ge=1)
    """Good validation images from which on distances are standardised on these. With fewer, all good images
    go into the memory, and each is judged by the patches of the others.
    """

    head: Annotated[Literal["auto", "off"], Group("Head, learned from marked images")] = "auto"
    """Whether a head learns as soon as an image is marked as defective; "off": the memory alone."""
    head_width: int = Field(256, ge=4)
    """Channels of the hidden layer of the segmentation head."""
    head_steps: int = Field(1000, ge=1)
    """Training steps of the head."""
    head_batch: int = Field(16, ge=2)
    """Images of a step, half of them defective."""
    head_learning_rate: float = Field(1e-3, gt=0)
    """Peak of the learning rate, which falls to zero along half a cosine."""
    head_weight_decay: float = Field(1e-4, ge=0)
    """Decay of the head's weights in each step."""
    latent_noise: float = Field(0.5, ge=0)
    """Sigma of the noise that makes defects of good patches, in units of a feature's deviation."""
    noise_share: float = Field(0.25, gt=0, lt=1)
    """Share of the patches of an image that get noise, in blobs."""
    box_share: float = Field(0.25, gt=0, le=1)
    """Share of a box's patches that count as defective: those that are farthest from the memory."""

    threshold: Annotated[float | None, Group("Defects")] = Field(None, gt=0, lt=1)
    """Value of the score map from which a pixel is defective; null: chosen on validation images that are
    outlined, without these the highest of good images that are not in the memory.
    """
    join_distance: float = Field(8.0, ge=0, le=1000)
    """Distance in pixels within which regions are one defect."""
    min_area: shared.MinArea = 0.0

    @model_validator(mode="after")
    def parts_fit(self) -> Self:
        refuse_original_strides(self, BACKBONE)
        if self.size is not None and self.size % self.multiple:
            nearest = max(2, round(self.size / self.multiple)) * self.multiple
            raise ValueError(
                f"size must be a multiple of {self.multiple}. Received: {self.size}. Use {nearest}."
            )
        if self.size is not None and self.tile is not None:
            raise ValueError(
                f"tile has no effect with size={self.size}. Received: {self.tile}. Leave it out, or set "
                "size=null."
            )
        if self.size is None and self.align != "none":
            raise ValueError(
                f"align must be none with size=null, as tiles are not moved. Received: {self.align}. "
                "Leave it out, or set a size."
            )
        if self.backbone != "auto" and self.size is None:
            self.tiling  # noqa: B018  raises where the tile does not fit
        return self

    @property
    def levels(self) -> tuple[Level, ...]:
        """Stages whose maps are used, the finest first."""
        return tuple(self.backbone_level.split("+"))  # type: ignore[arg-type]

    @property
    def stride(self) -> int:
        """Pixels between neighbouring patches."""
        return deepest_stride(self.levels[0])

    @property
    def multiple(self) -> int:
        """Number of pixels that sides of the network's images are multiples of."""
        return deepest_stride(self.levels[-1])

    @property
    def tiling(self) -> Tiling:
        """Tiles of images at their own resolution."""
        assert self.backbone != "auto", "resolved before an image is cut"
        reach = encoder_reach(
            self.backbone, self.levels[-1], strides=self.backbone_strides, finest=self.stride
        )
        # Beside it the local means, and the interpolation between places of the deepest map.
        reach += 2 * self.multiple
        return seamless_tiling(
            self.tile, reach=reach, multiple=self.multiple, stride=self.stride, given="these levels"
        )
