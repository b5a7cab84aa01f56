"""Images that a method of pixels may learn from: those on which every defect is outlined.

A defect marked by a box or an image label alone has no pixels that could be drawn as a defect. Learned from
as it is, its image would teach that the defect is surface, so such images are left out as a whole. So are
images with crowd or difficult regions, of whose pixels nobody says which are defects.
"""

from __future__ import annotations

from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError

SPLIT_WORDS = {"train": "training", "val": "validation"}  # splits, and adjectives of their images


def outlined(dataset: Dataset) -> Dataset:
    """The dataset without the images of splits "train" and "val" that hold a defect without an outline, or a
    crowd or difficult region.

    Other splits are left as they are. Raises BlemishError where that takes the last defect of a split.
    """
    outlined = dataset.where(lambda sample: not is_left_out(sample))
    for split, images in SPLIT_WORDS.items():
        before, after = (
            any(sample.is_defective for sample in data.split(split)) for data in (dataset, outlined)
        )
        if before and not after:
            raise nothing_outlined(images)
    return outlined


def left_out(dataset: Dataset) -> tuple[str, ...]:
    """Sentences on how many images `outlined` leaves out, by reason; empty where it leaves out none."""
    reasons = (
        (holds_ignored, "crowd or difficult regions", "Mark the defects in them singly"),
        (lacks_outlines, "defects without an outline", "Outline them"),
    )
    sentences = []
    for is_out, what, remedy in reasons:
        training, validation = (sum(map(is_out, dataset.split(name))) for name in SPLIT_WORDS)
        if training + validation:
            sentences.append(
                f"{training} training and {validation} validation images have {what} and are not "
                f"learned from. {remedy}, or train a method that learns from boxes."
            )
    return tuple(sentences)


def is_left_out(sample: Sample) -> bool:
    return sample.split in SPLIT_WORDS and (holds_ignored(sample) or lacks_outlines(sample))


def holds_ignored(sample: Sample) -> bool:
    return any(mark.crowd or mark.difficult for mark in sample.annotations)


def lacks_outlines(sample: Sample) -> bool:
    return not holds_ignored(sample) and not all(mark.has_outline for mark in sample.annotations)


def nothing_outlined(images: str = "training") -> BlemishError:
    """Error for images of which none has a defect pixel: there would be nothing to learn."""
    return BlemishError(
        f"The {images} images must have masks or polygons with defect pixels. Received: none. "
        "Annotate outlines: boxes and image labels do not say where the defect's pixels are."
    )
