"""Likely causes of answers that are no better than chance, each from what was measured, and what to try.

The order is that of likelihood: too few images to tell, labels the wrong way round, the same answer for every
image, a training that was too short or learned nothing, few defects, defects too small for the network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from blemish.arrays import Size
from blemish.bundle.curves import StoredLosses
from blemish.bundle.manifest import Manifest
from blemish.evaluation.image import image_scores
from blemish.evaluation.records import ImageRecord
from blemish.methods.contract import Inference

MIN_IMAGES = 10  # of good and of defective ones, below which chance is hard to exclude
MIN_DEFECTIVE = 20  # images to learn from
FLAT = 0.02  # range of the scores of all images
LOSS_CHANGE = 0.1  # share of a loss from which it falls
MIN_LENGTH = 8.0  # pixels of a defect at the network's input
LEARNED_FROM = "learned_from"  # in a manifest's `data`: number of good and of defective images


@dataclass(frozen=True)
class Trained:
    """A trained bundle whose answers are judged. losses: of its training, by stage"""

    manifest: Manifest
    inference: Inference
    losses: Mapping[str, StoredLosses]


def likely_causes(records: Sequence[ImageRecord], trained: Trained | None) -> list[str]:
    """Sentences, each a cause and what to try, the likeliest first; none where nothing measured explains it.

    trained: None where another tool gave the answers
    """
    found = [*of_answers(records)]
    if trained is not None:
        found += [*of_training(trained), *of_sizes(records, trained)]
    return found


def of_answers(records: Sequence[ImageRecord]) -> Iterator[str]:
    """Causes that show in the scores."""
    scores, defective = image_scores(records)
    bad, good = int(defective.sum()), int((~defective).sum())
    if bad and good and min(bad, good) < MIN_IMAGES:
        yield (
            f"too few images to tell ({good} good and {bad} defective ones). "
            f"Measure on {MIN_IMAGES} of each or more."
        )
    if len(scores) > 1 and np.ptp(scores) < FLAT:
        yield (
            f"the same answer for every image (all scores lie between {scores.min():.3f} and "
            f"{scores.max():.3f}). Train for longer, or with another learning rate."
        )


def of_training(trained: Trained) -> Iterator[str]:
    """Causes that show in the losses and in what was learned from."""
    stages = [(name, losses) for name, losses in trained.losses.items() if len(losses.loss) >= 3]
    sentences = (loss_sentence(name, losses, trained.manifest) for name, losses in stages)
    yield from [sentence for sentence in sentences if sentence][:1]
    learned = trained.manifest.data.get(LEARNED_FROM)
    if learned and 0 < learned["defective"] < MIN_DEFECTIVE:
        number = learned["defective"]
        images = "1 defective image was" if number == 1 else f"{number} defective images were"
        yield f"few defects ({images} learned from). Label more, {MIN_DEFECTIVE} at least."


def loss_sentence(stage: str, losses: StoredLosses, manifest: Manifest) -> str:
    """Sentence on a loss that still fell at the end, or never did; "" for any other.

    losses: of at least three steps, whose thirds are compared
    """
    first, middle, last = (float(np.mean(third)) for third in np.array_split(losses.loss, 3))
    steps = int(losses.step[-1])
    own = f" or --set steps={3 * steps}" if manifest.settings.get("steps") == steps else ""
    longer = f"Train for longer (--time-budget{own})"
    if 0 < last < (1 - LOSS_CHANGE) * middle:
        return (
            f"too few steps (the loss of stage '{stage}' still fell by {100 * (1 - last / middle):.0f} % "
            f"from the second to the last third of its {steps} steps). {longer}."
        )
    if last > (1 - LOSS_CHANGE) * first:
        return (
            f"nothing learned (the loss of stage '{stage}' hardly fell in {steps} steps: {first:.3g} in the "
            f"first third, {last:.3g} in the last). {longer}, or with another learning rate."
        )
    return ""


def of_sizes(records: Sequence[ImageRecord], trained: Trained) -> Iterator[str]:
    """Cause that shows in the sizes of the annotated defects."""
    shown = [
        (math.sqrt(defect.area) * (factor := input_scale(trained, size)), factor)
        for record in records
        if (size := record.inspection.size) is not None
        for defect in record.truth
    ]
    if not shown:
        return
    length, factor = np.median(np.array(shown), axis=0).tolist()
    if length < MIN_LENGTH:
        reduced = f", in images reduced to {100 * factor:.0f} %" if factor < 0.995 else ""
        remedy = "a larger size" if reduced else "larger images, or images cut to the part"
        yield (
            f"wrong scale (half of the defects are smaller than {length:.1f} px at the network's "
            f"input{reduced}). Train with {remedy}."
        )


def input_scale(trained: Trained, size: Size) -> float:
    """Length at the network's input for one of an image of `size` (height, width); a mean of both axes.

    It follows from the settings: squares of `size`, or a shorter side of that where boxes are streamed.
    """
    settings = trained.manifest.settings
    target = settings.get("size")
    if not isinstance(target, int) or settings.get("tiled"):
        return 1.0
    of_shorter = trained.inference.streams == "boxes"
    return float(target / min(size)) if of_shorter else float(target / math.sqrt(size[0] * size[1]))
