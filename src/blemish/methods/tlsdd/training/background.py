"""Background that added classes are told from: a mean over what training images show, see `closed_form`."""

from __future__ import annotations

from collections.abc import Iterable

from numpy.random import Generator

from blemish.arrays import Floats, Pixels
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.closed_form import Moments
from blemish.methods.tlsdd.class_bank.entries import image_features
from blemish.methods.tlsdd.runtime.parts import Parts


def background_of(
    parts: Parts, bank: ClassBank, images: Iterable[Pixels], generator: Generator
) -> tuple[Floats, int]:
    """Mean of zzᵀ over the boxes that classes are looked for in, [F + 1, F + 1], and the number of those.

    images: [H, W, 3]; known defects on them count, since an added class is none of those
    """
    total = Moments.none(parts.settings.hidden)
    for pixels in images:
        total += Moments.of_negatives(image_features(parts, pixels, bank, generator))
    return total.negatives, total.num_others
