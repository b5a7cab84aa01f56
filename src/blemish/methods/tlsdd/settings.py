"""Every number of TL-SDD, with the paper's value as default or the reason for another.

Three presets (how large and how long) times five variants (which parts are on) fill the defaults; a field
that is given wins over both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from blemish.methods.common.presets import PresetSettings

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
    },
}


class TlsddSettings(PresetSettings):
    """Settings of TL-SDD. A comment above each field; "open" marks points that the paper leaves open."""

    paths: ClassVar = {"draw_file": "file"}
    presets: ClassVar = PRESETS

    # Which row of the paper's Table II; sets the four switches below.
    variant: Literal["fr-joint", "fr-ff-joint", "tl-ff", "tl-ff-fr", "tl-sdd"] = "tl-sdd"
    # Feature pyramid, section III-A-1; off: one map, `single_map`.
    feature_fusion: bool = True
    # Base training on common classes, then few-shot fine-tuning; off: all classes jointly.
    two_phase: bool = True
    # Feature reweighting, eq. 1.
    reweight: bool = True
    # Distances to prototypes, eq. 2-3; off: a linear classifier.
    metric_head: bool = True

    # --- Classes ---
    # Names of the classes with plenty of examples; none given: all that are not rare and have a box.
    common: tuple[str, ...] = ()
    # Names of the classes with few. "auto": where neither is named, those with fewer than `rare_below` boxes,
    # of which phase 2 sees all; from a bundle, those that it does not have. (): base training alone.
    rare: Literal["auto"] | tuple[str, ...] = "auto"
    rare_below: int = Field(20, ge=2)
    # Supports of a class in an episode (the paper's 5).
    shots: int = Field(5, ge=1)
    # Boxes of each class in phase 2; None: `shots`, as in the paper.
    fine_tune_boxes: int | None = Field(None, ge=1)
    # Seed of the drawing of those boxes; None: that of the run.
    draw_seed: int | None = None
    # A file written by `data split --shots` or the few-shot protocol that names the boxes; None: drawn.
    draw_file: str | None = None

    # --- Feature extraction E, section III-A-1 ---
    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet50"
    # "imagenet" (downloaded by torchvision), "none", or a .safetensors path.
    backbone_weights: str = "imagenet"
    # "original": for weights of the first ResNet, whose stride is in each stage's first 1×1 convolution.
    backbone_strides: Literal["torchvision", "original"] = "torchvision"
    # Open: how many of stem, layer1 … layer4 train, from the deepest; the rest keep their weights.
    # Those that do not are computed once for each image, so that none makes a step several times cheaper.
    trainable_stages: int = Field(0, ge=0, le=5)
    # Open: last stage used.
    deepest: Literal["layer3", "layer4"] = "layer3"
    # m of eq. 1: channels of every map.
    width: int = Field(128, ge=8)
    # Map used without fusion.
    single_map: Literal["layer3", "layer4"] = "layer3"
    # The paper's future work: deformable 3×3 convolutions in the last stage.
    deformable: bool = False

    # --- Feature reweighting P, section III-A-2 ---
    # Open: a square crop around the box with its mask, or the whole image with it.
    support_view: Literal["crop", "image"] = "crop"
    support_size: int = Field(112, ge=32)
    # Open: side of the crop relative to the box's longer side.
    support_context: float = Field(2.0, ge=1)
    # Open: widths of the light CNN's stages, each halving the sides.
    support_widths: tuple[int, ...] = (32, 64, 128, 256, 256)
    # Open: 2·sigmoid starts at 1, so that the detector starts as if there were no reweighting.
    activation: Literal["sigmoid", "identity"] = "sigmoid"

    # --- Proposals ---
    # Open: RPN on every class's features, one budget for their union, or on the shared features.
    proposals: Literal["per_class", "shared"] = "shared"
    # Pixels, dealt out evenly to the maps from the finest on. "auto": two for each map, from the smaller of
    # the training boxes to the larger; (): four times each map's stride, 16 to 256 on a single map.
    anchor_sizes: Literal["auto"] | tuple[int, ...] = "auto"
    # Height / width; scratches and cracks are long.
    aspect_ratios: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
    proposals_train: int = Field(500, ge=1)
    proposals_test: int = Field(100, ge=1)
    rpn_nms: float = Field(0.7, gt=0, lt=1)
    # Anchors of an image that the RPN's loss is computed on, half of them positive where there are as many,
    # and the IoU from which one is. Faster R-CNN's are 256 and 0.7, for long trainings on many boxes.
    rpn_samples: int = Field(64, ge=2)
    rpn_positive_iou: float = Field(0.5, gt=0.3, lt=1)

    # --- Regions and distance metric M, section III-A-3 ---
    # Regions per image that the losses are computed on, and the share of positive ones.
    region_samples: int = Field(48, ge=4)
    positive_share: float = Field(0.25, gt=0, lt=1)
    # Moved copies of each true box among the regions: positive ones before the RPN has learned to propose.
    moved_boxes: int = Field(8, ge=0)
    region_size: int = Field(7, ge=2)
    # Side in pixels from which a region is pooled from the map of stride 16; half of it: of stride 8. Faster
    # R-CNN's 224 is for photographs of some 800 pixels.
    roi_canonical_size: int = Field(112, ge=16, le=1024)
    hidden: int = Field(512, ge=8)
    embedding: int = Field(256, ge=2)
    # Open: unit vectors and a learned scale; off is the literal paper, whose softmax is one-hot at once.
    normalize: bool = True
    initial_scale: float = Field(10.0, ge=1, le=50)
    # Open: which logits meet in the softmax.
    logits: Literal["diagonal", "branch"] = "diagonal"
    # Open: what stands for the background.
    background: Literal["learned", "several", "one_minus_max", "rpn_negatives"] = "learned"
    # How many with "several".
    backgrounds: int = Field(4, ge=1)
    # Open: one regressor for all classes, so that rare ones share it, or one each.
    box_regression: Literal["agnostic", "specific"] = "agnostic"
    # Open: a support is compared with the prototype of the others.
    leave_one_out: bool = True
    # Open: whether the extractor learns through supports, too, or from queries alone (half the cost).
    support_gradient: bool = False
    # Open: boxes that a prototype is made of, at most, and jittered copies of each.
    prototypes_per_class: int = Field(50, ge=1)
    jitters: int = Field(4, ge=0)

    # --- Training ---
    # Classes of an episode; None: all.
    ways: int | None = Field(None, ge=1)
    # Query images of each class in an episode.
    queries: int = Field(1, ge=1)
    # Images without a defect that an episode's queries have besides, in both phases, where the data have any;
    # the paper's have none, so that it never sees a good part.
    clean_queries: int = Field(2, ge=0)
    # Images of a step where there are no episodes.
    batch: int = Field(4, ge=1)
    steps: int = Field(800, ge=1)
    fine_tune_steps: int = Field(400, ge=1)
    # Peak of SGD with momentum, for a step's whole batch; the paper's 1e-4 is some 12 times below the usual.
    learning_rate: float = Field(1e-2, gt=0)
    # Of phase 2, relative to phase 1.
    fine_tune_learning_rate_ratio: float = Field(0.5, gt=0)
    # Open: of common classes phase 2 draws from all boxes, or from as few as it has of a rare class. Episodes
    # are balanced either way.
    fine_tune_common: Literal["all", "drawn"] = "all"
    # Images of phase 2 where there are no episodes: of each class as often, as the paper balances it, or each
    # image as often, in which rare boxes hardly occur.
    fine_tune_images: Literal["by_class", "uniform"] = "by_class"
    warmup: int = Field(50, ge=0)
    # Shares of the steps after which the rate falls to a tenth.
    drops: tuple[float, ...] = (2 / 3, 8 / 9)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(1e-4, ge=0)
    gradient_clip: float = Field(10.0, gt=0)
    # Parts that phase 2 leaves as they are; the paper's is the extractor alone. With the RPN frozen, too,
    # rare defects of another size or shape than the common ones are never proposed.
    frozen: tuple[str, ...] = ("extractor",)
    # The paper's ×4: mirrored on either axis, and turned by 180°.
    flips: bool = True

    # --- Images and inference ---
    # Pixels that the shorter side is brought to; None: as it is. "auto": as it is up to `kept_side`, larger
    # ones reduced to it, or as far as the smaller of the training boxes keep `kept_box` pixels.
    size: Literal["auto"] | Annotated[int, Field(ge=64)] | None = "auto"
    kept_side: int = Field(400, ge=64)
    kept_box: int = Field(24, ge=4)
    # Beyond the image's edge, up to whole cells: its last pixels again, or black, which is a hard edge.
    padding: Literal["edge", "black"] = "edge"
    # Larger images are cut into overlapping tiles of this side, after resizing.
    tile: int = Field(1024, ge=128)
    overlap: int = Field(256, ge=0)
    # Detections below it are dropped at once.
    score_floor: float = Field(0.02, ge=0, lt=1)
    # Confidence from which a detection is a defect; None: best F1 of the boxes on the validation images, less
    # `clean_weight` times the share of those without a defect that show a detection.
    threshold: float | None = Field(None, ge=0, le=1)
    clean_weight: float = Field(1.0, ge=0, allow_inf_nan=False)
    # Validation boxes from which a class has a threshold of its own, by which its confidences are moved;
    # None: no class has.
    class_threshold_boxes: int | None = Field(10, ge=1)
    nms: float = Field(0.5, gt=0, lt=1)
    detections: int = Field(100, ge=1)

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
