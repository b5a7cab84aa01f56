"""What a bundle remembers besides its tensors: how scores are standardised, and what was corrected since."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from blemish.bundle.manifest import Strict
from blemish.methods.contract import Memory


class Standard(Strict):
    """Mean and deviation of the highest values of good images that were not learned from."""

    mean: float
    deviation: float = Field(gt=0)


class KnownImage(Strict):
    """Validation image whose highest patches the bundle holds.

    head: deviations of the image as a whole above good ones, by the head; None without one
    """

    id: str
    defective: bool
    head: float | None = None


class Correction(Strict):
    """A correction of the bundle.

    kind: "accept" adds good patches, "reject" defective ones; images: name of each by its SHA-256
    patches: that were added, behind those before them; by, on: who made it and when, if told
    """

    kind: Literal["accept", "reject"]
    images: dict[str, str]
    patches: int = Field(ge=0)
    by: str = ""
    on: str = ""


class MemoryState(Memory):
    """Memory of a bundle of this method.

    dimensions: of a patch's features; patches, positives: numbers of good and of defective ones
    head: whether a head stands beside them
    distance: of the distance to the memory; place, image: of the head's log odds of a place and of the image
    far: patches that are held of each of `validation`, its highest
    """

    dimensions: int = Field(ge=1)
    patches: int = Field(ge=1)
    positives: int = Field(0, ge=0)
    head: bool = False
    distance: Standard
    place: Standard | None = None
    image: Standard | None = None
    far: int = Field(0, ge=0)
    validation: tuple[KnownImage, ...] = ()
    corrections: tuple[Correction, ...] = ()

    @property
    def accepted(self) -> int:
        """Good patches that corrections added, behind all others."""
        return sum(each.patches for each in self.corrections if each.kind == "accept")
