"""Shift of an image's confidences by the image head, fitted on validation images and kept where it helps."""

from __future__ import annotations

import numpy as np

from blemish.methods.common.logistic import MIN_SPREAD, fit_logistic, is_better
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.training.validation import ValidationDetections, log_odds

# Weights, of the standardised log odds of the highest confidence and of the head, before any image is seen.
PRIOR = (1.0, 2.0)
MAX_RATIO = 10.0  # of the second to the first, so that boxes always count


def fit_image_shift(detected: ValidationDetections) -> ImageShift | None:
    """Shift that makes the highest confidence tell defective images from clean ones best.

    By a logistic regression on the log odds of the highest confidence and of the head; the weight is the
    second's, relative to the first's. None without a head, and where cross-validation does not say that it
    helps.
    """
    if not detected.log_odds:
        return None
    highest = [max((each.confidence for each in image), default=0.0) for image in detected.candidates]
    both = np.column_stack([[*map(log_odds, highest)], detected.log_odds]).astype(np.float64)
    confidence, head = both.T
    defective = ~np.array(detected.clean)
    if not is_better(both, both[:, :1], defective, PRIOR, detected.groups):
        return None
    (of_confidence, of_head), _ = fit_logistic(both, defective, PRIOR)
    most = MAX_RATIO * max(confidence.std(), MIN_SPREAD) / max(head.std(), MIN_SPREAD)
    return ImageShift(
        weight=float(min(of_head / of_confidence, most) if of_confidence else most),
        mean=float(head.mean()),
        limit=float(np.abs(head - head.mean()).max()),
    )
