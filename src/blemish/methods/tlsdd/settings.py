"""Every number of TL-SDD, with the paper's value as default or the reason for another.

Three presets (how large and how long) times five variants (which parts are on) fill the defaults; a field
that is given wins over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.methods.common.backbone_choice import BackboneNames, refuse_original_strides
from blemish.methods.common.presets import PresetSettings
from blemish.methods.contract import Group

BACKBONE = BackboneNames("backbone", "backbone_weights", "backbone_strides", "deepest")

# The paper's rows, Table II, as four switches over one code path.
VARIANTS: Mapping[str, Mapping[str, bool]] = {
    "fr-joint": {"feature_fusion": False, "two_phase": False, "reweight": False, "metric_head": False},
    "fr-ff-joint": {"feature_fusion": True, "two_phase": False, "reweight": False, "metric_head": False},
    "tl-ff": {"feature_fusion": True, "two_phase": True, "reweight": False, "metric_head": False},
    "tl-ff-fr": {"feature_fusion": True, "two_phase": True, "reweight": True, "metric_head": False},
    "tl-sdd": {"feature_fusion": True, "two_phase": True, "reweight": True, "metric_head": True},
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # As the paper trains: ResNet-101, proposals on each class's features, lr 1e-4 without warm-up.
    "paper": {
        "backbone": "resnet101",
        "deepest": "layer4",
        "trainable_stages": 3,
        "width": 256,
        "hidden": 1024,
        "support_size": 224,
        "roi_canonical_size": 224,
        "proposals": "per_class",
        "anchor_sizes": (),
        "proposals_train": 1000,
        "proposals_test": 300,
        "rpn_samples": 256,
        "rpn_positive_iou": 0.7,
        "moved_boxes": 0,
        "size": 800,
        "queries": 2,
        "clean_queries": 0,
        "learning_rate": 1e-4,
        "warmup": 0,
        "region_samples": 512,
        "steps": 20000,
        "fine_tune_steps": 2000,
        "fine_tune_learning_rate_ratio": 1.0,
        "image_score": "max",
    },
    "default": {},
    # For tests on a CPU: seconds.
    "tiny": {
        "backbone": "resnet18",
        "backbone_weights": "none",
        "trainable_stages": 5,
        "anchor_sizes": (),
        "width": 32,
        "hidden": 64,
        "embedding": 16,
        "support_size": 64,
        "support_widths": (8, 16, 16),
        "roi_canonical_size": 224,
        "region_samples": 32,
        "rpn_samples": 256,
        "rpn_positive_iou": 0.7,
        "moved_boxes": 0,
        "proposals_train": 100,
        "proposals_test": 50,
        "batch": 2,
        "clean_queries": 0,
        "shots": 2,
        "steps": 40,
        "fine_tune_steps": 20,
        "warmup": 5,
        "learning_rate": 1e-2,
        "prototypes_per_class": 5,
        "background_images": 4,
    },
}


class TlsddSettings(PresetSettings):
    """Settings of TL-SDD. "Open" marks points that the paper leaves open."""

    paths: ClassVar = {"draw_file": "file"}
    presets: ClassVar = PRESETS
    main_settings: ClassVar = (
        "rare",
        "common",
        "shots",
        "size",
        "steps",
        "fine_tune_steps",
        "backbone",
        "backbone_weights",
        "anchor_sizes",
        "frozen",
    )

    variant: Annotated[
        Literal["fr-joint", "fr-ff-joint", "tl-ff", "tl-ff-fr", "tl-sdd"],
        Group("Row of the paper's Table II"),
    ] = "tl-sdd"
    """Row of the paper's Table II; it sets the four switches below."""
    feature_fusion: bool = True
    """Feature pyramid, section III-A-1; off: one map, `single_map`."""
    two_phase: bool = True
    """Whether base training on common classes is followed by few-shot fine-tuning; off: all classes
    jointly.
    """
    reweight: bool = True
    """Feature reweighting, eq. 1."""
    metric_head: bool = True
    """Distances to prototypes, eq. 2-3; off: a linear classifier."""

    common: Annotated[tuple[str, ...], Group("Classes")] = ()
    """Names of the classes with plenty of examples; none given: all that are not rare and have a box."""
    rare: Literal["auto"] | tuple[str, ...] = "auto"
    """Names of the classes with few. "auto": where neither is named, those with fewer than `rare_below`
    boxes, of which phase 2 sees all; from a bundle, those that it does not have. []: base training alone.
    """
    rare_below: int = Field(20, ge=2)
    """Boxes from which a class is common, where `rare` is "auto"."""
    shots: int = Field(5, ge=1)
    """Supports of a class in an episode; 5 in the paper."""
    fine_tune_boxes: int | None = Field(None, ge=1)
    """Boxes of each class in phase 2; null: `shots`, as in the paper."""
    draw_seed: int | None = None
    """Seed of the drawing of those boxes; null: that of the run."""
    draw_file: str | None = None
    """File written by `data split --shots` or the few-shot protocol that names the boxes; null: they are
    drawn.
    """

    backbone: Annotated[
        Literal["auto", "efficientnet-lite0", "resnet18", "resnet34", "resnet50", "resnet101"],
        Group("Feature extraction E, section III-A-1"),
    ] = "auto"
    """Network that makes the features. "auto" is the ResNet of a file that `backbone_weights` names;
    without one efficientnet-lite0, whose weights are installed with this package.
    """
    backbone_weights: str = "imagenet"
    """First weights of the backbone: "imagenet" (a ResNet's are downloaded by torchvision), "none", or a
    .safetensors path.
    """
    backbone_strides: Literal["torchvision", "original"] = "torchvision"
    """Place of the strides: "original" is for weights of the first ResNet, which has them in each stage's
    first 1×1 convolution.
    """
    trainable_stages: int = Field(0, ge=0, le=5)
    """Open: number of stages, of stem and layer1 to layer4, that train, counted from the deepest; the
    rest keep their weights. What those make of an image is computed once, so that a step costs less.
    """
    deepest: Literal["layer3", "layer4"] = "layer3"
    """Open: last stage used."""
    width: int = Field(128, ge=8)
    """Channels of every map, m of eq. 1."""
    single_map: Literal["layer3", "layer4"] = "layer3"
    """Map used without fusion."""
    deformable: bool = False
    """The paper's future work: deformable 3×3 convolutions in the last stage."""

    support_view: Annotated[Literal["crop", "image"], Group("Feature reweighting P, section III-A-2")] = (
        "crop"
    )
    """Open: what a support shows: a square crop around the box with its mask, or the whole image with it."""
    support_size: int = Field(112, ge=32)
    """Side in pixels of a support."""
    support_context: float = Field(2.0, ge=1)
    """Open: side of the crop relative to the box's longer side."""
    support_widths: tuple[int, ...] = (32, 64, 128, 256, 256)
    """Open: widths of the light CNN's stages, each halving the sides."""
    activation: Literal["sigmoid", "identity"] = "sigmoid"
    """Open: what bounds the class vectors; 2·sigmoid starts at 1, so that the detector starts as if there
    were no reweighting.
    """

    proposals: Annotated[Literal["per_class", "shared"], Group("Proposals")] = "shared"
    """Open: what proposals are made on: every class's features, with one budget for their union, or the
    shared features.
    """
    anchor_sizes: Literal["auto"] | tuple[int, ...] = "auto"
    """Sizes of anchors in pixels, dealt out evenly to the maps from the finest on. "auto": two for each
    map, from the smaller of the training boxes to the larger; []: four times each map's stride, and all
    from 16 to 256 on a single map.
    """
    aspect_ratios: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    """Height / width of anchors; scratches and cracks are long."""
    proposals_train: int = Field(500, ge=1)
    """Proposals of an image in training, at most."""
    proposals_test: int = Field(300, ge=1)
    """Proposals of an image in inspection, at most."""
    rpn_nms: float = Field(0.7, gt=0, lt=1)
    """IoU above which the worse of two proposals goes."""
    rpn_samples: int = Field(64, ge=2)
    """Anchors of an image that the losses of proposals are computed on, half of them positive where there
    are as many; 256 in Faster R-CNN, for long trainings on many boxes.
    """
    rpn_positive_iou: float = Field(0.5, gt=0.3, lt=1)
    """IoU from which an anchor is positive; 0.7 in Faster R-CNN."""

    region_samples: Annotated[int, Group("Regions and distance metric M, section III-A-3")] = Field(48, ge=4)
    """Regions of an image that the losses are computed on."""
    positive_share: float = Field(0.25, gt=0, lt=1)
    """Share of positive ones among those regions."""
    moved_boxes: int = Field(8, ge=0)
    """Moved copies of each true box among the regions, so that some are positive before the RPN has
    learned to propose.
    """
    region_size: int = Field(7, ge=2)
    """Side of a region's features, in cells."""
    roi_canonical_size: int = Field(112, ge=16, le=1024)
    """Side in pixels from which a region is pooled from the map of stride 16, and half of it from that of
    stride 8. Faster R-CNN's 224 is for photographs of some 800 pixels.
    """
    hidden: int = Field(512, ge=8)
    """Width of the region head's two linear layers."""
    embedding: int = Field(256, ge=2)
    """Dimensions of the metric space."""
    normalize: bool = True
    """Open: whether embeddings are unit vectors with a learned scale; off is the literal paper, whose
    softmax is one-hot at once.
    """
    initial_scale: float = Field(10.0, ge=1, le=50)
    """First value of the learned scale."""
    log_scale: bool = False
    """Whether the scale of the distances is learned by its logarithm: at the learning rate of the layers, the
    scale itself hardly moves.
    """
    centred: bool = False
    """Whether the last layer of the embedding takes hidden vectors less their running mean; without, all
    embeddings start in one narrow cone.
    """
    background_init: Literal["random", "k-means"] = "random"
    """Start of "learned" background points: at random, or at the centres of the background regions of the
    first step.
    """
    prototype_offsets: bool = False
    """Whether phase 2 learns an offset of each prototype, a bias of each class and one of the background, so
    that distances can do what a linear classifier can; all start at 0.
    """
    linear_head: bool = False
    """Whether a linear classifier on the hidden vectors learns beside the distances; at test, probabilities
    are the mean of both.
    """
    logits: Literal["diagonal", "branch"] = "diagonal"
    """Open: which logits meet in the softmax."""
    background: Literal["learned", "several", "one_minus_max", "rpn_negatives"] = "learned"
    """Open: what stands for the background."""
    backgrounds: int = Field(4, ge=1)
    """Number of background points with "several"."""
    box_regression: Literal["agnostic", "specific"] = "agnostic"
    """Open: one regressor for all classes, so that rare ones share it, or one each."""
    leave_one_out: bool = True
    """Open: whether a support is compared with the prototype of the others."""
    support_gradient: bool = False
    """Open: whether the extractor learns through supports, too, or from queries alone (half the cost)."""
    prototypes_per_class: int = Field(50, ge=1)
    """Open: boxes that a prototype is made of, at most."""
    jitters: int = Field(4, ge=0)
    """Open: jittered copies of each of those boxes."""
    background_images: int = Field(40, ge=0)
    """Training images whose regions are kept as a mean, from which a class of `add-class` is told; with
    0 it is added by its prototype.
    """

    ways: Annotated[int | None, Group("Training")] = Field(None, ge=1)
    """Classes of an episode; null: all."""
    queries: int = Field(1, ge=1)
    """Query images of each class in an episode."""
    clean_queries: int = Field(2, ge=0)
    """Images without a defect among the queries of an episode, in both phases, where the data have any;
    with 0 it never sees a good part.
    """
    batch: int = Field(4, ge=1)
    """Images of a step where there are no episodes."""
    steps: int = Field(800, ge=1)
    """Training steps of phase 1, or of joint training."""
    fine_tune_steps: int = Field(400, ge=1)
    """Training steps of phase 2."""
    learning_rate: float = Field(1e-2, gt=0)
    """Peak learning rate of SGD with momentum, for a step's whole batch; the paper's 1e-4 is some 12
    times below the usual.
    """
    fine_tune_learning_rate_ratio: float = Field(0.5, gt=0)
    """Learning rate of phase 2, relative to that of phase 1."""
    fine_tune_common: Literal["all", "drawn"] = "all"
    """Open: of common classes phase 2 draws from all boxes, or from as few as it has of a rare class.
    Episodes are balanced either way.
    """
    fine_tune_images: Literal["by_class", "uniform"] = "by_class"
    """Images of phase 2 where there are no episodes: each class as often, as the paper balances it, or
    each image as often ("uniform"), in which rare boxes hardly occur.
    """
    warmup: int = Field(50, ge=0)
    """Steps over which the learning rate rises to its peak."""
    drops: tuple[float, ...] = (2 / 3, 8 / 9)
    """Shares of the steps after which the learning rate falls to a tenth."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of SGD."""
    weight_decay: float = Field(1e-4, ge=0)
    """Decay of the weights in each step."""
    gradient_clip: float = Field(10.0, gt=0)
    """Greatest norm of the gradient."""
    frozen: tuple[str, ...] = ("extractor",)
    """Parts that phase 2 leaves as they are, such as `rpn` or `region_head.fc6`; the paper's is the extractor
    alone. With the RPN frozen, too, rare defects of another size or shape than the common ones are never
    proposed.
    """
    flips: bool = True
    """The paper's ×4: whether images are mirrored on either axis, and turned by 180°."""

    size: Annotated[Literal["auto"] | Annotated[int, Field(ge=64)] | None, Group("Images and inference")] = (
        "auto"
    )
    """Pixels that the shorter side is brought to; null: as it is. "auto": as it is up to `kept_side`;
    larger images are reduced to that, or as far as half of the training boxes keep `kept_box` pixels.
    """
    kept_side: int = Field(224, ge=64)
    """Pixels of the shorter side up to which `size` "auto" leaves images as they are."""
    kept_box: int = Field(16, ge=4)
    """Pixels that half of the training boxes keep where `size` "auto" reduces images."""
    padding: Literal["edge", "black"] = "edge"
    """What lies beyond the image's edge, up to whole cells: its last pixels again, or black, which is a
    hard edge.
    """
    tile: int = Field(1024, ge=128)
    """Side in pixels of the overlapping tiles that larger images are cut into, after resizing."""
    overlap: int = Field(256, ge=0)
    """Pixels that neighbouring tiles share."""
    score_floor: float = Field(0.02, ge=0, lt=1)
    """Confidence below which detections are dropped at once."""
    threshold: float | None = Field(None, ge=0, le=1)
    """Confidence from which a detection is a defect; null: best F1 of the boxes on the validation images,
    less `clean_weight` times the share of those without a defect that show a detection.
    """
    clean_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    """What the good validation images that show a detection cost when `threshold` is chosen."""
    class_threshold_boxes: int | None = Field(10, ge=1)
    """Validation boxes from which a class has a threshold of its own, by which its confidences are moved;
    null: no class has.
    """
    nms: float = Field(0.5, gt=0, lt=1)
    """IoU above which the worse of two detections of a class goes."""
    detections: int = Field(100, ge=1)
    """Detections of an image, at most."""

    image_score: Annotated[Literal["learned", "max"], Group("Image score, not in the paper")] = "learned"
    """How an image is scored, by the highest confidence of its boxes: "learned" moves all confidences of an
    image by a head on EfficientNet-Lite0 that learns from the training images' labels, where that is better
    on the validation images; "max" leaves them as they are.
    """
    image_score_images: int = Field(30, ge=5)
    """Defective and clean training images, so many of each, that "learned" needs; with fewer it is "max"."""
    image_score_steps: int = Field(150, ge=1)
    """Training steps of the head, of 16 images each; the base bundle has a head of its own."""

    @classmethod
    def completed(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Given settings with the values of preset and variant where they say nothing."""
        return super().completed({**cls.values_of(VARIANTS, given.get("variant", "tl-sdd")), **given})

    @model_validator(mode="after")
    def parts_fit(self) -> Self:
        both = sorted(set(self.common) & set(self.rare)) if self.rare != "auto" else []
        if both:
            raise ValueError(
                f"common and rare must not share a class. Received in both: {', '.join(both)}. "
                "Take it out of one."
            )
        if self.reweight and not self.two_phase:
            raise ValueError(
                "reweight needs two_phase, as its supports are drawn in episodes. Received: two_phase off. "
                "Turn it on, or reweight off."
            )
        if self.metric_head and not self.two_phase:
            raise ValueError(
                "metric_head needs two_phase, as its prototypes are made in episodes. "
                "Received: two_phase off. Turn it on, or metric_head off."
            )
        refuse_original_strides(self, BACKBONE)
        if self.deformable and self.backbone == "efficientnet-lite0":
            raise ValueError(
                "deformable needs a ResNet as backbone. Received: backbone=efficientnet-lite0. "
                "Leave deformable out, or set backbone=resnet50."
            )
        if self.overlap * 2 >= self.tile:
            raise ValueError(
                f"overlap must be less than half the tile {self.tile}. Received: {self.overlap}. "
                f"Use {self.tile // 4}."
            )
        return self

    @property
    def shorter_side(self) -> int | None:
        """Pixels that the shorter side is brought to; None as it is, as long as the data have not said."""
        return None if self.size == "auto" else self.size

    @property
    def on_class_features(self) -> bool:
        """True where proposals are made on every class's features."""
        return self.reweight and self.proposals == "per_class"

    @property
    def episodic(self) -> bool:
        """True where training needs supports."""
        return self.reweight or self.metric_head

    @property
    def learns_offsets(self) -> bool:
        """True where phase 2 learns offsets of prototypes, and biases."""
        return self.metric_head and self.prototype_offsets

    @property
    def has_linear_head(self) -> bool:
        """True where a linear classifier learns beside the distances."""
        return self.metric_head and self.linear_head
