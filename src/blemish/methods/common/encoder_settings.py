"""Settings of a pretrained encoder, in place of the paper's network, for methods that outline defects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.methods.common.backbone_choice import ENCODER, refuse_original_strides
from blemish.methods.common.encoder_reach import Level, Strides, deepest_stride, encoder_reach
from blemish.methods.common.presets import PresetSettings
from blemish.methods.contract import Group

PAPER = "paper"
ENCODER_SETTINGS = (
    "encoder_weights", "encoder_strides", "encoder_level", "encoder_rate", "encoder_trainable_stages",
    "decoder_width",
)  # fmt: skip


class EncoderSettings(PresetSettings):
    """Base of settings with an encoder.

    paper_networks: values of `network` that have no encoder, being baselines of the paper
    with_paper_encoder: values in place of defaults where the encoder is the paper's
    """

    paper_networks: ClassVar[tuple[str, ...]] = ()
    with_paper_encoder: ClassVar[Mapping[str, Any]] = {}

    encoder: Annotated[
        Literal["auto", "paper", "efficientnet-lite0", "resnet18", "resnet34", "resnet50"],
        Group("Encoder, not in the paper: a network that was trained on ImageNet"),
    ] = "auto"
    """Network that makes the features: "paper" is trained from random weights; "efficientnet-lite0" or a
    ResNet brings those of `encoder_weights`, and a light decoder is trained on its maps. "auto" is the
    ResNet of a file that is given; without one efficientnet-lite0, whose weights are installed with this
    package.
    """
    encoder_weights: str = "imagenet"
    """First weights of the encoder: "imagenet" (a ResNet's are downloaded by torchvision), "none", or a
    .safetensors path.
    """
    encoder_strides: Strides = "torchvision"
    """Place of the strides: "original" is for weights of the first ResNet, which has them in each stage's
    first 1×1 convolution.
    """
    encoder_level: Level = "layer3"
    """Deepest stage that is used, by the names of a ResNet; layer3 sees 16 pixels as one, layer4 32."""
    encoder_rate: float = Field(0.1, ge=0, le=1)
    """Share of the learning rate with which the encoder's weights move; 0: they stay as they are, and a step
    costs less.
    """
    encoder_trainable_stages: int = Field(2, ge=0, le=5)
    """Stages of the encoder whose weights move, counted from the deepest. The first ones know edges and
    textures already, and cost most of a step, as their maps are the largest.
    """
    decoder_width: int = Field(32, ge=8, multiple_of=2)
    """Channels of the decoder's maps; half of it at the image's own resolution."""

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Given settings with the preset's values; the paper's baselines have no encoder."""
        baseline = {"encoder": PAPER} if given.get("network") in cls.paper_networks else {}
        completed = super().completed({**baseline, **given})
        return {**cls.with_paper_encoder, **completed} if completed.get("encoder") == PAPER else completed

    @model_validator(mode="after")
    def encoder_fits(self) -> Self:
        network = getattr(self, "network", None)
        if network in self.paper_networks and self.encoder != PAPER:
            raise ValueError(
                f"encoder must be paper with network={network}. Received: {self.encoder}. "
                "Leave one of them out."
            )
        refuse_original_strides(self, ENCODER)
        if self.encoder == PAPER:
            for name in ENCODER_SETTINGS:
                if getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(
                        f"{name} has no effect with encoder=paper. Received: {getattr(self, name)}. "
                        "Leave it out, or set encoder=auto."
                    )
        return self

    @property
    def has_encoder(self) -> bool:
        """True where the network is an encoder with a decoder; false while "auto" is not resolved."""
        return self.encoder not in ("auto", PAPER)

    @property
    def encoder_multiple(self) -> int:
        """Number of pixels that sides of the encoder's inputs are multiples of."""
        return deepest_stride(self.encoder_level)

    def encoder_reach(self, finest: int) -> int:
        """Pixels that the encoder with its decoder reaches to each side. finest: stride of the values"""
        assert self.encoder != "auto" and self.encoder != "paper"  # noqa: PLR1714 - so mypy narrows it
        return encoder_reach(self.encoder, self.encoder_level, strides=self.encoder_strides, finest=finest)

    @property
    def rate_shares(self) -> Mapping[str, float]:
        """Shares of the learning rate for `contract.Stage`, by part of the network."""
        return {"encoder": self.encoder_rate} if self.has_encoder else {}

    @property
    def with_random_encoder(self) -> Self:
        """Settings of the same network, but for its first weights: for a bundle's tensors."""
        return self.model_copy(update={"encoder_weights": "none"} if self.has_encoder else {})
