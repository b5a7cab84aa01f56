"""What the peers can be told: one class for each kind of row, none of it tuned on test images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from benchmarks.tables.experiment import Strict

Level = Literal["layer1", "layer2", "layer3", "layer4"]


class PeerSettings(Strict):
    """The features that a peer works on, and how its verdict is reached.

    backbone, weights, strides: see `nn.resnets.resnet`
    size: pixels, side of the square that images are brought to, as the method's
    shots: images of the product that may be used for fitting and thresholds; None: all of train and val
    """

    backbone: Literal["resnet18", "resnet34", "resnet50", "resnet101"] = "resnet50"
    weights: str = "imagenet"
    strides: Literal["torchvision", "original"] = "torchvision"
    size: int = Field(256, ge=32)
    shots: int | None = Field(None, ge=5)
    ng_rule: str = "f1"
    review_rule: str = "escape<=0"
    device: Literal["auto", "cpu", "cuda"] = "auto"


class NearestFeatureSettings(PeerSettings):
    """level: the stage whose globally averaged map is an image's feature"""

    level: Level = "layer3"


class PatchMemorySettings(PeerSettings):
    """levels: stages whose maps are put on top of each other, at the finest one's places

    neighbourhood: places, side of the square that a patch is averaged over
    pool: most patches that the memory is chosen from, drawn by seed; the paper takes all of them, which two
        cores do not finish with
    share: of the pool that is kept; projection: dimensions in which it is chosen
    """

    levels: tuple[Level, ...] = Field(("layer2", "layer3"), min_length=1)
    neighbourhood: int = Field(3, ge=1)
    pool: int = Field(50_000, ge=1)
    share: float = Field(0.1, gt=0, le=1)
    projection: int = Field(128, ge=1)


class LinearProbeSettings(PeerSettings):
    """level: as of the nearest feature; strength: C, the inverse of the penalty, as in scikit-learn"""

    level: Level = "layer3"
    strength: float = Field(1.0, gt=0)


PEER_SETTINGS: Mapping[str, type[PeerSettings]] = {
    "nearest-feature": NearestFeatureSettings,
    "patch-memory": PatchMemorySettings,
    "linear-probe": LinearProbeSettings,
}
