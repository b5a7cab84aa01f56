"""Every number of MeDetection, with the paper's value as default or the reason for another.

Source: Zhang et al. 2023; "the authors' code" is the code published with it, where that differs from the
text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.methods.common.backbone_choice import BACKBONE, refuse_original_strides
from blemish.methods.common.presets import PresetSettings
from blemish.methods.contract import Group

# Pixels of the image for each cell of the last map: four poolings of the resized difference.
MAP_STRIDE = 16

Width = Annotated[int, Field(ge=1)]  # channels

# Settings that a trained network depends on.
OF_THE_NETWORK = (
    "siamese", "attention", "backbone", "backbone_strides", "backbone_level", "stem_widths",
    "stem_activation", "resize_difference", "norm", "widths", "attention_reduction", "attention_min_channels",
    "linear_path",
)  # fmt: skip

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # As the authors train: their stem without activations, batch norm, the difference resized to the image.
    "paper": {
        "backbone": "paper",
        "stem_activation": False,
        "norm": "batch",
        "resize_difference": True,
        "linear_path": "none",
        "inner_learning_rate": 1e-5,
        "reset_head": True,
        "meta_steps": 1000,
        "products_per_step": None,
        "steps": 16000,
        "batch": 64,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "early_stopping": True,
        "check_every": 16,
        "patience": 50,
        "flips": False,
        "references": 1,
    },
    "default": {},
    "thorough": {"meta_steps": 1600, "steps": 600, "patience": 40, "flips": True},
    # For tests on a CPU: seconds.
    "tiny": {
        "backbone": "paper",
        "stem_widths": (8, 12, 16),
        "backbone_weights": "none",
        "widths": 8,
        "size": 48,
        "support": 8,
        "query": 6,
        "meta_steps": 6,
        "meta_learning_rate": 3e-3,
        "products_per_step": 2,
        "steps": 60,
        "batch": 8,
        "learning_rate": 3e-3,
        "schedule": "constant",
        "early_stopping": True,
        "check_every": 10,
        "patience": 4,
        "references": 2,
        "bank": 8,
        "flips": False,
    },
}


class MedetectionSettings(PresetSettings):
    """Settings of MeDetection. "Open" marks points that the paper leaves open."""

    presets: ClassVar = PRESETS
    main_settings: ClassVar = (
        "target",
        "shots",
        "size",
        "steps",
        "backbone",
        "backbone_weights",
        "align",
        "references",
        "maml",
        "meta_steps",
    )

    siamese: Annotated[bool, Group("Network, Fig. 2")] = True
    """Whether features are compared with those of a reference image, eq. 1; off: the image's features
    alone.
    """
    attention: Literal["none", "low", "high", "both"] = "low"
    """Place of the coordinate attention: behind the first block of 4Conv, the last, or both; Table 4 has
    "low" best.
    """
    backbone: Literal[
        "auto", "paper", "efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101"
    ] = "auto"
    """Network that makes the features: "paper" is trained from random weights, "efficientnet-lite0" or a
    ResNet brings those of `backbone_weights`. "auto" is the ResNet of a file that is given; without one
    efficientnet-lite0, whose weights are installed with this package.
    """
    backbone_weights: str = "imagenet"
    """First weights of the backbone: "imagenet" (a ResNet's are downloaded by torchvision), "none", or a
    .safetensors path.
    """
    backbone_strides: Literal["torchvision", "original"] = "torchvision"
    """Place of the strides: "original" is for weights of the first ResNet, which has them in each stage's
    first 1×1 convolution.
    """
    backbone_level: Literal["layer1", "layer2", "layer3", "layer2+layer3"] = "layer2+layer3"
    """Stage whose map is compared, by the names of a ResNet, or two: the finer one's maxima on top of the
    deeper map. layer2 has the paper stem's stride of 8, layer3 16.
    """
    backbone_frozen: bool = True
    """Whether the backbone keeps its weights, so that its maps are computed once; the paper stem always
    trains.
    """
    stem_widths: tuple[Width, Width, Width] = (64, 128, 256)
    """Open: channels of the paper stem's three stages; these are the authors' code's."""
    stem_activation: bool = True
    """Open: whether a ReLU follows each convolution of the paper stem; the authors' code has none."""
    resize_difference: bool = False
    """Whether the difference is brought back to the image's size before 4Conv, as in the authors' code:
    64 times the pixels, no new information.
    """
    norm: Literal["group", "batch"] = "group"
    """Normalisation of 4Conv, attention and paper stem. "group" sees each image alone; "batch", the
    paper's, takes the statistics of an episode's support, and stored ones in use, never those of what is
    decided on.
    """
    widths: Width = 32
    """Channels of each of the four blocks."""
    attention_reduction: int = Field(32, ge=1)
    """Number that a block's channels are divided by for the attention's inner channels."""
    attention_min_channels: int = Field(8, ge=1)
    """Lowest number of the attention's inner channels."""
    linear_path: Literal["none", "image", "deviations"] = "deviations"
    """Beyond the paper: whether a linear rule, fitted by logistic regression, stands beside the head: on a
    frozen stem's features of the image, or on these and how they deviate from normal images, place by
    place. A stem that trains has none.
    """
    linear_strength: float = Field(1.0, gt=0)
    """Weight of a training image against the penalty on the linear path's weights, C of scikit-learn."""

    maml: Annotated[bool, Group("Meta-training, Algorithm 1")] = True
    """Whether training starts with other products; off: fine-tuning from a random start, the comparison
    of Table 3.
    """
    adapt: Literal["head", "all"] = "head"
    """What the inner steps change: the text adapts all weights, the authors' code the linear head."""
    order: Literal["first", "second"] = "second"
    """Whether the outer gradient passes through the inner one."""
    inner_steps: int = Field(1, ge=1)
    """Gradient steps on an episode's support."""
    inner_learning_rate: float = Field(1e-3, ge=0)
    """Learning rate α of eq. 4; the text's 1e-5 moves the head by nothing, the authors' code runs with
    1e-3.
    """
    reset_head: bool = False
    """Whether the head is zeroed before each episode, as in the authors' code; else it is learned like
    the rest.
    """
    meta_steps: int = Field(400, ge=1)
    """Outer steps, each on an episode of every product drawn for it."""
    meta_learning_rate: float = Field(1e-3, gt=0)
    """Learning rate β of eq. 5."""
    products_per_step: int | None = Field(4, ge=1)
    """Products drawn for a step; null: all, the paper's sum of eq. 5."""
    support: int = Field(64, ge=2)
    """Images of an episode that the inner steps learn from."""
    query: int = Field(20, ge=2)
    """Images of an episode that the outer loss is measured on."""
    support_share: float = Field(0.7, gt=0, lt=1)
    """Share of a product's images that supports are drawn from; queries come from the rest."""

    target: Annotated[str | None, Group("Products")] = None
    """Name of the product to be inspected, never part of meta-training; null: meta-training alone, or
    data of a single product.
    """
    others: tuple[str, ...] = ()
    """Names of the products of meta-training; none given: all but the target."""
    shots: int | None = Field(None, ge=5)
    """Images of the target that training and validation may use together, drawn by seed; null: all. Of
    fewer than 5, one normal is left for training, which has no reference then.
    """

    steps: Annotated[int, Group("Fine-tuning on the target")] = Field(100, ge=1)
    """Training steps on the target, at most."""
    learning_rate: float = Field(1e-3, gt=0)
    """Learning rate of fine-tuning; the paper's is 1e-4, for a hundred times the steps."""
    schedule: Literal["constant", "cosine"] = "cosine"
    """Course of the learning rate: "constant" is the paper's; "cosine" falls to zero towards the last
    step.
    """
    early_stopping: bool = False
    """Whether fine-tuning keeps the state whose validation images are likeliest, and ends when it gets no
    better. Off: it takes all steps and keeps the last state, as few validation images choose badly.
    """
    batch: int = Field(32, ge=2)
    """Pairs of images of a step; the paper's 64 is half as many steps in the same time."""
    check_every: int = Field(25, ge=1)
    """Steps between validations, in fine-tuning as in meta-training."""
    patience: int = Field(12, ge=1)
    """Validations without a better state after which training ends, where they decide."""
    flips: bool = False
    """Open: whether pairs are mirrored on either axis, both images alike."""

    beta1: Annotated[float, Group("Optimiser of both trainings: Adam with the paper's betas")] = Field(
        0.5, ge=0, lt=1
    )
    """First of Adam's betas."""
    beta2: float = Field(0.999, ge=0, lt=1)
    """Second of Adam's betas."""
    weight_decay: float = Field(0.0, ge=0)
    """Decay of the weights in each step."""
    gradient_clip: float = Field(10.0, gt=0)
    """Greatest norm of the gradient."""

    size: Annotated[int, Group("Images and inference")] = Field(256, ge=2 * MAP_STRIDE)
    """Side in pixels of the square that images are resized to."""
    references: int = Field(4, ge=1)
    """Open: training normals that an image is compared with, their probabilities averaged; the authors'
    code draws one for each image.
    """
    align: Literal["none", "translation", "rigid", "nearest"] = "none"
    """Beyond the paper: how a reference is moved onto the image before the two are compared; "nearest"
    takes the most similar of a bank.
    """
    bank: int = Field(64, ge=1)
    """Training normals that "nearest" chooses from."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Probability from which an image is defective; null: chosen on the validation images."""
    cam_share: float = Field(0.5, gt=0, lt=1)
    """Open: share of the Grad-CAM map's maximum from which pixels belong to the box."""

    @model_validator(mode="after")
    def parts_fit(self) -> Self:
        refuse_original_strides(self, BACKBONE)
        if self.target is not None and self.target in self.others:
            raise ValueError(
                "others must not hold the target, which meta-training must not learn from. "
                f"Received: {self.target} in both. Take it out of others."
            )
        if self.size % MAP_STRIDE:
            nearest = max(2, round(self.size / MAP_STRIDE)) * MAP_STRIDE
            raise ValueError(
                f"size must be a multiple of {MAP_STRIDE}. Received: {self.size}. Use {nearest}."
            )
        if self.align == "nearest" and self.references > self.bank:
            raise ValueError(
                f"references must not be more than the bank of {self.bank} that align=nearest chooses from. "
                f"Received: {self.references}. Raise bank."
            )
        return self

    @property
    def stem_learns(self) -> bool:
        """True where training changes the stem; else its maps can be cached."""
        return self.backbone == "paper" or not self.backbone_frozen

    @property
    def num_kept_references(self) -> int:
        """Normal images that a bundle keeps: those averaged, or the bank that the nearest are taken from."""
        return self.bank if self.align == "nearest" else self.references
