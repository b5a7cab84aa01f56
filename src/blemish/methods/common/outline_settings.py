"""Settings that the methods that outline defects share: one meaning, unit and range, as types of fields.

Each method gives them its own default and its own place among its settings, which a base class could not.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Noise = Annotated[
    float,
    Field(ge=0, description="Open: greatest sigma of the added noise, in units of full scale."),
]
Illumination = Annotated[
    float, Field(ge=0, description="Open: greatest brightness shift, in units of full scale.")
]
Contrast = Annotated[float, Field(ge=0, lt=1, description="Open: contrast changes by up to this share.")]
LightField = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Not in the paper: light that varies slowly over the image brightens or darkens it by up "
        "to this share.",
    ),
]
Gamma = Annotated[
    float,
    Field(
        ge=0,
        description="Not in the paper: brightness is raised to a power between 1 / (1 + this) and 1 + this.",
    ),
]
Blur = Annotated[
    float,
    Field(
        ge=0,
        description="Not in the paper: greatest sigma of a Gaussian blur, in pixels of the network's input.",
    ),
]
Jpeg = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Not in the paper: share of draws that are compressed with loss, as JPEG of quality 30 "
        "to 95.",
    ),
]
CopyPaste = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Not in the paper: share of draws in which a marked defect, each class as often as "
        "another, is pasted into an image without one.",
    ),
]
WeightAverage = Annotated[
    float,
    Field(
        ge=0,
        lt=1,
        description="Not in the paper: share of itself that a running average of the weights keeps at each "
        "step; the average is what is learned. 0: the last weights.",
    ),
]
ThresholdCriterion = Annotated[
    Literal["region-f1", "mean-iou", "pixel-f1"],
    Field(
        description='Measure on the validation images that thresholds maximise. "region-f1" is of whole '
        "defects, found at an IoU of 0.3, and chooses `threshold`, `start_threshold` and `min_area` "
        'together; the others choose `threshold` alone. "mean-iou" is blind to clean images.'
    ),
]
ImageScore = Annotated[
    Literal["learned", "fitted", "max"],
    Field(
        description='How an image is scored: "fitted" by the statistics of the whole map, weighted on the '
        'validation images; "learned" by these and by a head on EfficientNet-Lite0 that learns from the '
        "training images' labels, where that is better on the validation images; \"max\" by the map's "
        "greatest value, as it is without a clean or without a defective validation image."
    ),
]
ImageScoreImages = Annotated[
    int,
    Field(
        ge=5,
        description='Defective and clean training images, so many of each, that "learned" needs; with '
        'fewer it is "fitted".',
    ),
]
ImageScoreSteps = Annotated[
    int,
    Field(ge=1, description="Training steps of the image score's head, of 16 images each."),
]
MinArea = Annotated[
    float,
    Field(
        ge=0,
        description='Open: area in pixels below which defects are dropped; 0 keeps all. "region-f1" may '
        "choose more.",
    ),
]
