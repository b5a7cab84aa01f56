"""Every number of CASAE: the paper's value, or the reason for another.

The defaults are a recipe that learns from some hundred images in a quarter of an hour on two CPU cores; the
preset "paper" has the paper's values, and where it gives none those for long trainings on large images.
Source: Tao et al. 2018; "open" marks points that the paper leaves open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.images.tiling import Tiling
from blemish.methods.casae.geometry import (
    MULTIPLES,
    NetworkKind,
    autoencoder_reach,
    tiling_for,
)
from blemish.methods.casae.gray_levels import WHITE, gray_of, probability_of
from blemish.methods.casae.presets import PRESETS
from blemish.methods.common import outline_settings as shared
from blemish.methods.common.encoder_settings import EncoderSettings
from blemish.methods.common.region_thresholds import refuse_low_start
from blemish.methods.common.tiles import seamless_tiling
from blemish.methods.contract import Group

NormKind = Literal["batch", "group", "none"]

# Settings that do something only where another is on. Not among them: `second_steps`, which rows of a table
# with and without `cascade` share, and `size` and `patch`, of which a shorter training reduces both.
NEEDS: Mapping[str, str] = {"tile": "tiled", "second_sees_image": "cascade"}


class CasaeSettings(EncoderSettings):
    """Settings of CASAE. "Open" marks points that the paper leaves open."""

    paths: ClassVar = {"unlabelled": "folder"}
    presets: ClassVar = PRESETS
    paper_networks: ClassVar = ("fcn",)
    # It sees whole images, and learned small defects only where these counted more.
    with_paper_encoder: ClassVar = {"tiled": False, "cascade": True, "patch": 512, "area_balance": 0.5}
    main_settings: ClassVar = (
        "encoder",
        "encoder_weights",
        "size",
        "tiled",
        "steps",
        "second_steps",
        "area_balance",
        "join_distance",
        "types",
        "unlabelled",
    )

    network: Annotated[NetworkKind, Group("Autoencoders, section 3.1")] = "autoencoder"
    """Form of the networks; "fcn" is FCN-8s, trained alike, a row of Table 3: one network without atrous
    convolutions, so `cascade` and `atrous` are off with it.
    """
    width: int = Field(16, ge=1)
    """Open: channels of the first block, doubled from one to the next; the paper preset takes 64."""
    norm: NormKind = "batch"
    """Normalisation behind each convolution, not in the paper. Without any, training rests for long on
    maps of one value; "group" needs no batch, but sees the image as a whole.
    """
    atrous: bool = True
    """Atrous convolutions 3, 5, 7 and 9, which see further, Table 1; off: a row of Table 3."""
    cascade: bool = False
    """Second autoencoder, which refines the first one's map; off: a row of Table 3. With the paper's networks
    it is on unless this is given.
    """
    second_sees_image: bool = False
    """Open: whether the second is given the image beside the first one's map."""
    channels: Literal[1, 3] = 1
    """Gray (1) or colour (3); gray in the paper, "for reducing color interference"."""

    size: Annotated[int, Group("Images")] = Field(160, ge=32)
    """Side in pixels of the square that whole images are squeezed to, 512 in the paper. A step costs its
    square. Where it is given, `tiled` is off unless that is given, too.
    """
    tiled: bool = True
    """Beyond the paper: whether images are taken at their own resolution, in tiles without seams; then
    `size` is not used. With the paper's networks it is off unless this is given.
    """
    tile: int | None = Field(None, ge=16)
    """Side in pixels of a tile; null: 640 beside what its neighbours must see of it."""
    patch: int = Field(160, ge=32)
    """Side in pixels of a training patch of tiled images; 512 with the paper's networks unless this is given.
    """
    standardise: bool = True
    """Not in the paper: whether each squeezed image is brought to mean 0 and deviation 1. Where images
    differ more than a defect does from what is beside it, nothing is learned without. Not used with an
    encoder, nor with `tiled`, as a tile would be judged by what else lies in it.
    """
    defect_share: float = Field(0.4, ge=0, le=1)
    """Share of draws that show a defect: an image that has one, or with `tiled` a patch about one. The
    others are of any image, anywhere.
    """

    defect_weight: Annotated[float, Group("Loss, eq. 1")] = Field(0.8, gt=0)
    """Weight of defective pixels in the loss."""
    background_weight: float = Field(0.2, gt=0)
    """Weight of the other pixels in the loss."""
    area_balance: float = Field(0.0, ge=0, le=1)
    """Not in the paper: how far a few defective pixels of an image (of a patch, with `tiled`) count as
    much as many. Such a pixel counts share^-this times, where share is that of the known pixels that are
    defective; 0 is eq. 1, 1 makes all images' defects alike. With the paper's encoder it is 0.5 unless this
    is given.
    """
    hard_clean_weight: float = Field(0.05, ge=0)
    """Not in the paper: weight, beside eq. 1, of the mean cross-entropy of the hardest pixels of images
    (of patches, with `tiled`) without a defect. In eq. 1 a false speck on one costs next to nothing.
    """
    hard_clean_share: float = Field(0.005, gt=0, le=1)
    """Share of the pixels of an image without a defect that are the hardest, at least one."""
    dice_weight: float = Field(0.0, ge=0)
    """Not in the paper: weight, beside eq. 1, of the Dice loss of images with a defect, which counts a
    small one like a large one.
    """

    rotation_deg: Annotated[float, Group("Augmentation, section 5.1; ranges open")] = Field(
        20.0, ge=0, le=180
    )
    """Rotation by random angles in ± this; image and mask move together, here and below."""
    translation: float = Field(0.1, ge=0, lt=1)
    """Shift by up to this share of the side."""
    zoom: float = Field(0.15, ge=0, lt=1)
    """Change of size by up to this share."""
    shear: float = Field(0.1, ge=0, lt=1)
    """Shear: rows are pushed along by up to this share of their distance from the middle."""
    elastic_alpha: float = Field(3.0, ge=0)
    """Elastic transformation: root mean square of the displacement along each axis, in pixels of the
    network's input; 0: none.
    """
    elastic_sigma: float = Field(20.0, gt=0)
    """Elastic transformation: sigma of the Gaussian that smooths the displacements, in the same pixels."""
    flips: bool = True
    """Not in the paper: whether images are mirrored on either axis."""
    noise: shared.Noise = 0.004  # one gray level: more drowns faint defects of dark images
    illumination: shared.Illumination = 0.03
    contrast: shared.Contrast = 0.3
    light_field: shared.LightField = 0.0
    gamma: shared.Gamma = 0.0
    blur: shared.Blur = 0.0
    jpeg: shared.Jpeg = 0.0
    copy_paste: shared.CopyPaste = 0.0

    steps: Annotated[int, Group("Training of the autoencoders, section 5.1")] = Field(5000, ge=1)
    """Training steps of the first autoencoder."""
    second_steps: int = Field(1000, ge=1)
    """Training steps of the second autoencoder, on the map of the first, which is frozen by then."""
    learning_rate: float = Field(2e-3, gt=0)
    """Peak learning rate of Adam; the paper does not name the optimiser."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Course of the learning rate: "constant" is the paper's; "cosine" falls to zero towards the last
    step.
    """
    batch: int = Field(4, ge=1)
    """Images of a step."""
    weight_decay: float = Field(0.0, ge=0)
    """Decay of the autoencoders' weights in each step."""
    gradient_clip: float = Field(5.0, gt=0)
    """Greatest norm of the gradient."""
    weight_average: shared.WeightAverage = 0.0

    threshold: Annotated[float | None, Group("Threshold, section 3.2")] = Field(None, gt=0, lt=1)
    """Probability from which a pixel is defective; null: chosen on the validation images."""
    gray_threshold: float | None = Field(None, gt=0, lt=WHITE)
    """The threshold as the paper's G_s, 100 there: pixels of its 8-bit map up to this are defective. Give
    either.
    """
    start_threshold: float | None = Field(None, gt=0, lt=1)
    """Probability that the strongest pixel of a defect has at least, with a given `threshold`: defects
    start there and grow to the threshold. null: the threshold, or chosen together with it.
    """
    threshold_criterion: shared.ThresholdCriterion = "region-f1"

    image_score: Annotated[shared.ImageScore, Group("Image score, not in the paper")] = "learned"
    image_score_images: shared.ImageScoreImages = 30
    image_score_steps: shared.ImageScoreSteps = 150

    join_distance: Annotated[float, Group("Defects, section 3.3")] = Field(4.0, ge=0, le=1000)
    """Open: distance in pixels within which regions are one defect."""
    min_area: shared.MinArea = 0.0

    types: Annotated[bool, Group("Compact CNN, sections 4 and 5.1")] = True
    """Whether defects are named; off: they are "defect" (or the one class there is)."""
    types_size: int = Field(227, ge=99)
    """Side in pixels of the compact CNN's input; Table 2 is for 227."""
    types_margin: float = Field(1.0, ge=1)
    """Size of the upright crops relative to the defect's rectangle; 1 adds nothing around it."""
    types_standardise: bool = True
    """Not in the paper: whether each crop is brought to mean 0 and deviation 1."""
    types_initial: Literal["paper", "he"] = "he"
    """First weights of the compact CNN: "paper" draws them from N(0, 0.001), which starves the layers
    without batch norm.
    """
    types_jitter: float = Field(0.1, ge=0, lt=0.5)
    """Not in the paper: rectangles of training crops move and change size by up to this share of their
    sides.
    """
    types_rotation_deg: float = Field(10.0, ge=0, le=180)
    """Not in the paper: angle in degrees by up to which rectangles of training crops turn, either way."""
    types_steps: int = Field(2000, ge=1)
    """Training steps of the compact CNN."""
    types_batch: int = Field(8, ge=2)
    """Crops of a step."""
    types_learning_rate: float = Field(1e-3, gt=0)
    """Peak learning rate of the compact CNN."""
    types_schedule: Literal["constant", "cosine"] = "cosine"
    """Course of the compact CNN's learning rate, as `schedule`."""
    types_momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of the compact CNN's SGD."""
    types_weight_decay: float = Field(5e-5, ge=0)
    """Decay of the compact CNN's weights in each step."""

    labelled: Annotated[
        int | None, Group("Fewer labels, beyond the paper: the first autoencoder as a mean teacher")
    ] = Field(None, ge=1)
    """Number of training images, drawn by seed, that keep their masks; the others count as unlabelled.
    null: all keep them.
    """
    unlabelled: str | None = Field(None, min_length=1)
    """Folder of images that no one has marked; a bundle remembers its name alone."""
    unlabelled_weight: float = Field(1.0, ge=0)
    """Weight of the loss on unlabelled images, beside 1 for the labelled ones; 0 leaves them out. Of no
    effect where there are none.
    """
    unlabelled_batch: int = Field(2, ge=2)
    """Unlabelled images of a step; at least two, as parts of them change places."""
    teacher_decay: float = Field(0.99, ge=0, lt=1)
    """Share of itself that the teacher keeps at each step; Tarvainen & Valpola's for the first steps of a
    long training, and here all are few.
    """
    ramp: float = Field(0.25, ge=0, le=1)
    """Share of the steps over which the weight rises as Tarvainen & Valpola's, who take about a quarter."""
    confidence: float = Field(0.9, ge=0.5, lt=1)
    """Probability from which the teacher's word on a pixel is taken. French et al.'s 0.97 is for classes
    of equal weight; under eq. 1 a pixel that is a defect as likely as not is already at 0.8, with
    `area_balance` the higher the smaller its defect.
    """

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Given settings with the preset's values; each scale of the threshold follows the other."""
        own = dict(given)
        gray = own.pop("gray_threshold", None)
        if isinstance(gray, int | float) and 0 < gray < WHITE and own.get("threshold") is None:
            own["threshold"] = probability_of(gray)
        single = {"cascade": False, "atrous": False} if own.get("network") == "fcn" else {}
        merged = super().completed({**single, **own})
        if "size" in merged or merged.get("norm") == "group":  # which are of whole images
            merged = {"tiled": False, **merged}
        if merged.get("second_sees_image") is True:
            merged = {"cascade": True, **merged}
        threshold = merged.get("threshold")
        if gray is None and isinstance(threshold, int | float) and 0 < threshold < 1:
            gray = gray_of(threshold)
        return {**merged, "gray_threshold": gray}

    @model_validator(mode="after")
    def parts_fit(self) -> Self:
        for name in ("size", "patch", "tile"):
            side, multiple = getattr(self, name), self.multiple
            if side is not None and side % multiple:
                remedy = -(-side // multiple) * multiple
                raise ValueError(f"{name} must be a multiple of {multiple}. Received: {side}. Use {remedy}.")
        for name in ("cascade", "atrous"):
            if self.network == "fcn" and getattr(self, name):
                raise ValueError(f"{name} must be off with network fcn. Received: on. Leave it out.")
        if self.tiled and self.norm == "group":
            raise ValueError(
                "norm must be batch or none with tiled. Received: group, which scales each tile by what it "
                "shows, so that seams show. Leave it out."
            )
        if self.encoder != "auto":
            self.tiling  # noqa: B018  raises where the tile does not fit
        return self

    @model_validator(mode="after")
    def nothing_is_idle(self) -> Self:
        """Refuse settings that would have no effect.

        A bundle holds every field, so values are compared with those that stand where none is given.
        """
        usual = {
            **{name: field.default for name, field in type(self).model_fields.items()},
            **PRESETS.get(self.preset, {}),
        }
        for name, switch in NEEDS.items():
            value = getattr(self, name)
            if value != usual[name] and not getattr(self, switch):
                raise ValueError(
                    f"{name} has no effect with {switch} off. Received: {value}. "
                    f"Leave it out, or turn {switch} on."
                )
        return self

    @model_validator(mode="after")
    def thresholds_agree(self) -> Self:
        refuse_low_start(self.start_threshold, self.threshold)
        if self.threshold is not None and self.gray_threshold is not None:
            expected = gray_of(self.threshold)
            if abs(expected - self.gray_threshold) > 1e-3:
                raise ValueError(
                    f"gray_threshold must say the same as threshold={self.threshold:g}, which is "
                    f"{expected:.4g}. Received: {self.gray_threshold:g}. Give one of the two."
                )
        return self

    @property
    def standardises(self) -> bool:
        """True where the first network standardises images to mean 0 and deviation 1."""
        return self.standardise and not (self.tiled or self.has_encoder)

    @property
    def tiling(self) -> Tiling:
        """Tiles of images at their own resolution."""
        if self.has_encoder:
            second = autoencoder_reach(atrous=self.atrous) if self.cascade else 0
            reach = self.encoder_reach(finest=1) + second
            return seamless_tiling(self.tile, reach=reach, multiple=self.multiple, given="an encoder")
        return tiling_for(atrous=self.atrous, cascade=self.cascade, tile=self.tile, network=self.network)

    @property
    def multiple(self) -> int:
        """Number of pixels that sides of the networks' inputs are multiples of."""
        own = MULTIPLES[self.network]
        return max(self.encoder_multiple, own) if self.has_encoder else own  # both are powers of two

    @property
    def training_side(self) -> int:
        """Side of the images that the autoencoders are trained on."""
        return self.patch if self.tiled else self.size
