"""Which images methods may learn from that learn pixels: those on which every defect is outlined.

A defect marked by a box or an image label alone has no pixels that could be drawn as a defect. Learned from
as it is, its image would teach that the defect is surface, so such images are left out as a whole.
"""

from __future__ import annotations

from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError

LEARNING = {"train": "training", "val": "validation"}  # splits, and what their images are called


def outlined(dataset: Dataset) -> Dataset:
    """The dataset without the images of splits "train" and "val" that hold a defect without an outline.

    Other splits are left as they are. Raises BlemishError where that takes the last defect of a split.
    """
    kept = dataset.where(lambda sample: not is_left_out(sample))
    for split, images in LEARNING.items():
        before, after = (any(sample.is_defective for sample in of.split(split)) for of in (dataset, kept))
        if before and not after:
            raise nothing_outlined(images)
    return kept


def left_out(dataset: Dataset) -> tuple[str, ...]:
    """One sentence on how many images `outlined` leaves out; none where it leaves out none."""
    training, validation = (sum(map(is_left_out, dataset.split(name))) for name in LEARNING)
    if not training + validation:
        return ()
    return (
        f"{training} training and {validation} validation images have defects without an outline and are not "
        "learned from: outline them, or train a method that learns from boxes.",
    )


def is_left_out(sample: Sample) -> bool:
    return sample.split in LEARNING and not all(one.has_outline for one in sample.annotations)


def nothing_outlined(images: str = "training") -> BlemishError:
    """What to raise where none of these images has a defect pixel: there would be nothing to learn."""
    return BlemishError(
        f"The {images} images must have masks or polygons with defect pixels. Received: none. "
        "Annotate outlines: boxes and image labels do not say where the defect's pixels are."
    )
