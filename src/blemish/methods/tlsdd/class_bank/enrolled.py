"""Classes that were added without training: a row of weights each, behind the trained classes of the bank.

The trained classes share a softmax, which knows nothing of these: whatever is added or removed, their answers
stay exactly as they were. A bundle keeps them as a file of its own. Letters: E such classes, m width, D
embedding, F features of a region; Z stands for F + 1; I images, R regions of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Boxes, Floats
from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.errors import BlemishError
from blemish.methods.tlsdd.class_bank.bank import ClassBank, ClassEntry
from blemish.methods.tlsdd.class_bank.closed_form import OUTPUTS, Moments
from blemish.methods.tlsdd.class_bank.regions import ImageRegions
from blemish.methods.tlsdd.settings import TlsddSettings

ENROLLED = "enrolled"  # the network's name in a bundle, and the key of the classes' names in its memory
BACKGROUND = "background_regions"  # key of the number of regions behind `background`, in a bundle's memory
SAMPLE = "background_sample"  # key of the sample's I and R in a bundle's memory
SHARED = ("background", "sample", "sample_boxes")  # tensors that have no row for each class


@dataclass(frozen=True)
class EnrolledRow:
    """A class that was added without training, and what adding to it needs.

    weights: [Z, 5], of the logit and of the box's deltas, see `closed_form.logit_row`
    entry: vector and prototype, for similarities and `embed` alone
    """

    weights: Floats
    entry: ClassEntry
    moments: Moments

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by the names that a bundle has them stacked under."""
        moments = self.moments
        return {
            "weights": self.weights,
            "class_vectors": self.entry.vector,
            "prototypes": self.entry.prototype,
            "examples": moments.examples,
            "targets": moments.targets,
            "negatives": moments.negatives,
            "counts": np.array([moments.num_boxes, moments.num_others], np.int64),
        }

    @classmethod
    def from_tensors(cls, tensors: Tensors, number: int) -> EnrolledRow:
        """Row of a class by its number. tensors: of all classes"""
        own: dict[str, Any] = {name: array[number] for name, array in tensors.items() if name not in SHARED}
        boxes, others = (int(count) for count in own["counts"])
        moments = Moments(own["examples"], own["targets"], own["negatives"], boxes, others)
        return cls(own["weights"], ClassEntry(own["class_vectors"], own["prototypes"]), moments)


@dataclass(frozen=True)
class BackgroundSample:
    """Regions of training images. features: [I, R, F] float16; boxes: [I, R, 4], shares of the sides"""

    features: NDArray[np.float16]
    boxes: Boxes

    @property
    def images(self) -> list[ImageRegions]:
        """Regions of each image."""
        none = np.zeros((0, 4), np.float32)
        return [
            ImageRegions(features.astype(np.float32), boxes, none)
            for features, boxes in zip(self.features, self.boxes, strict=True)
        ]

    def tensors(self) -> dict[str, NDArray[Any]]:
        """Arrays by the names that a bundle has them under."""
        return {"sample": self.features, "sample_boxes": self.boxes}

    @classmethod
    def from_tensors(cls, tensors: Tensors) -> BackgroundSample | None:
        """Open a bundle's sample; None where it has none."""
        if "sample" not in tensors:
            return None
        features: Any = tensors["sample"]
        boxes: Any = tensors["sample_boxes"]
        return cls(features, boxes)


@dataclass(frozen=True)
class EnrolledClasses:
    """All such classes of a bundle.

    background: [Z, Z], mean of zzᵀ over regions of the training images
    sample: some of those regions; None in bundles of before there was one
    """

    background: Floats
    rows: tuple[EnrolledRow, ...] = ()
    sample: BackgroundSample | None = None

    @classmethod
    def from_tensors(cls, tensors: Tensors, settings: TlsddSettings, count: int) -> EnrolledClasses:
        """Open a bundle's rows. Raises BlemishError where they do not fit settings and classes."""
        sampled = tensors["sample"].shape[:2] if "sample" in tensors else ()
        blank = blank_tensors(settings, count, sampled)
        expected = {name: (array.shape, str(array.dtype)) for name, array in blank.items()}
        received = {name: (array.shape, str(array.dtype)) for name, array in tensors.items()}
        odd = sorted(name for name in {*expected, *received} if expected.get(name) != received.get(name))
        if odd:
            raise BlemishError(
                f"The rows of added classes must hold {odd[0]} as {expected.get(odd[0])}. "
                f"Received: {received.get(odd[0])}. Copy the whole bundle again."
            )
        if not all(np.isfinite(array).all() for array in tensors.values()):
            raise BlemishError("The rows of added classes must be finite. Copy the whole bundle again.")
        background: Any = tensors["background"]
        rows = tuple(EnrolledRow.from_tensors(tensors, number) for number in range(count))
        return cls(background, rows, BackgroundSample.from_tensors(tensors))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def features(self) -> int:
        """Number of features F of a region."""
        return len(self.background) - 1

    @property
    def weights(self) -> Floats:
        """Weights of all classes, [E, Z, 5]."""
        shape = (len(self.rows), len(self.background), OUTPUTS)
        return np.array([row.weights for row in self.rows], np.float32).reshape(shape)

    def with_row(self, number: int, row: EnrolledRow) -> EnrolledClasses:
        """Make classes of which one has this row; `number` is its own, or the next one."""
        return replace(self, rows=(*self.rows[:number], row, *self.rows[number + 1 :]))

    def without(self, number: int) -> EnrolledClasses:
        """Make classes without one; the others are as they were."""
        return replace(self, rows=(*self.rows[:number], *self.rows[number + 1 :]))

    def tensors(self, settings: TlsddSettings) -> dict[str, NDArray[Any]]:
        """Arrays by name, as a bundle keeps them."""
        blank = blank_tensors(settings, len(self))
        each = [row.tensors() for row in self.rows]
        stacked = {
            name: np.stack([own[name] for own in each]) if each else array
            for name, array in blank.items()
            if name not in SHARED
        }
        sample = {} if self.sample is None else self.sample.tensors()
        return {"background": self.background, **sample, **stacked}


def blank_tensors(
    settings: TlsddSettings, count: int, sampled: Sequence[int] = ()
) -> dict[str, NDArray[Any]]:
    """Arrays of the shapes that a bundle has for so many classes: zeros.

    sampled: I and R of the sample of the background; without them there is none
    """
    side = settings.hidden + 1
    shapes = {
        "background": (side, side),
        "weights": (count, side, OUTPUTS),
        "class_vectors": (count, settings.width),
        "prototypes": (count, settings.embedding),
        "examples": (count, side, side),
        "targets": (count, side, OUTPUTS),
        "negatives": (count, side, side),
    }
    blank: dict[str, NDArray[Any]] = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    blank["counts"] = np.zeros((count, 2), np.int64)
    if sampled:
        blank["sample"] = np.zeros((*sampled, settings.hidden), np.float16)
        blank["sample_boxes"] = np.zeros((*sampled, 4), np.float32)
    return blank


@dataclass(frozen=True)
class KnownClasses:
    """Classes that a detector looks for. enrolled: those behind the bank's; None: none can be added so"""

    bank: ClassBank
    enrolled: EnrolledClasses | None

    @property
    def whole(self) -> ClassBank:
        """Bank of all classes by their vectors and prototypes."""
        entries = [row.entry for row in self.enrolled.rows] if self.enrolled is not None else []
        return self.bank.with_classes(entries)

    def changed_tensors(self, settings: TlsddSettings) -> dict[str, Tensors]:
        """Tensors of the network that a class is added to, by its name in a bundle."""
        if self.enrolled is None:
            return {"bank": self.bank.tensors()}
        return {ENROLLED: self.enrolled.tensors(settings)}


def enrolled_names(manifest: Manifest) -> tuple[str, ...]:
    """Names of the classes that a bundle has rows of.

    Raises BlemishError where they are not its last ones.
    """
    names = tuple(manifest.memory.get(ENROLLED, ()))
    if names and manifest.class_names[-len(names) :] != names:
        raise BlemishError(
            f"The bundle's last classes must be those added to it, {', '.join(names)}. "
            f"Received: {', '.join(manifest.class_names)}. Copy the whole bundle again."
        )
    return names


def has_background(manifest: Manifest) -> bool:
    """True where training kept what closed-form rows need; older bundles take classes by prototypes alone."""
    return int(manifest.memory.get(BACKGROUND, 0)) > 0
