"""Shift of an image's confidences by what a head on the image as a whole says; without torch.

A box is judged by its region alone; the whole image says how likely it is to show any defect. The head's log
odds are added to those of every box of a trained class, so that such boxes of one image keep their order, and
the highest confidence is still the image's score.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from blemish.bundle.manifest import Strict

AtLeast0 = Annotated[float, Field(ge=0)]


class ImageShift(Strict):
    """Shift by the head's log odds.

    weight: of the log odds; mean: of them over the validation images, at which the shift is 0
    limit: of their distance from the mean, so that an unusual image does not outvote every box
    """

    weight: AtLeast0
    mean: float
    limit: AtLeast0

    def of(self, log_odds: float) -> float:
        """Shift, in log odds, of every confidence of an image. log_odds: of a defect in it, by the head"""
        return self.weight * float(np.clip(log_odds - self.mean, -self.limit, self.limit))
