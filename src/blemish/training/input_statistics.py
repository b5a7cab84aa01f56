"""Limits on new images, learned from statistics of the training images.

A statistic is accepted within the range of the training images and a margin, or within a prediction interval
of the normal distribution where that is wider; both depend on how many images there are and how much they
vary. So 15 % of exposure are noticed where the light is constant, and nothing is where it is not. What no
statistic shows alone, all show together: their Mahalanobis distance, with limits from cross-validation.
Sources: Hahn & Meeker, Statistical Intervals (1991), section 4.7, for the interval; Ledoit & Wolf, A
well-conditioned estimator for large-dimensional covariance matrices (2004), for the covariance.
Shape letters: N images, D dimensions of the descriptor.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.evaluation.beta import student_quantile
from blemish.images.decode import largest_value
from blemish.inspector.image_statistics import ImageStatistics, statistics_of
from blemish.inspector.input_check import KnownInputs, Limits, Spread

Floats = NDArray[np.float64]

TAIL = 0.0003  # share of new images beyond each limit, of a normal distribution
MAX_DEVIATIONS = 6.0  # of a prediction interval, which is without end for two images
RANGE_MARGIN = 4.0  # standard errors by which the range of the training images is widened
IGNORED_TAIL = 0.01  # share of the training images that may be further away than is accepted
MIN_MARGIN, FEW_IMAGES_MARGIN = 0.05, 0.7  # of a logarithm: 5 %, and 70 % for a single image
SIZE_MARGIN = 0.03
MIN_IMAGES, FOLDS = 10, 10
MIN_DEVIATION = 0.03  # of a dimension of the descriptor
RIDGE = 1e-3
MIN_DISTANCE = 0.01  # of what is accepted: far more than what the rounding of stored numbers makes
EXPOSURE = 1.1  # factor by which the response to exposure is measured
BRIGHTNESS_OFFSET, CONTRAST_OFFSET = 0.02, 0.01  # added before a logarithm, against noise


def known_inputs(images: Iterable[Pixels]) -> KnownInputs:
    """Statistics of training images as stored, one at least, and the limits that follow from them."""
    measured = [(statistics_of(pixels), response_of(pixels)) for pixels in images]
    found, responses = [each for each, _ in measured], np.array([response for _, response in measured])
    height, width = (np.array([each.size[axis] for each in found], float) for axis in (0, 1))
    return KnownInputs(
        images=len(found),
        bits=tuple(sorted({each.bits for each in found})),
        colour=tuple(sorted({each.colour for each in found})),
        height=limits(height, min_margin=SIZE_MARGIN, by_range=True),
        width=limits(width, min_margin=SIZE_MARGIN, by_range=True),
        width_by_height=limits(width / height, min_margin=SIZE_MARGIN, by_range=True),
        brightness=brightness_limits(np.array([each.brightness for each in found])),
        contrast=limits(np.array([each.contrast for each in found]), offset=CONTRAST_OFFSET),
        sharpness_rows=limits(np.array([each.sharpness_rows for each in found]), above=False),
        sharpness_columns=limits(np.array([each.sharpness_columns for each in found]), above=False),
        uniform=any(each.uniform is not None for each in found),
        spread=spread(found, responses) if len(found) >= MIN_IMAGES else None,
    )


def limits(
    values: Floats,
    *,
    offset: float = 0.0,
    min_margin: float | None = None,
    below: bool = True,
    above: bool = True,
    by_range: bool = False,
    ignored: float = 0.0,
) -> Limits:
    """Limits on a statistic, on its logarithm.

    values: [N], of the training images, at least 0; offset: added before the logarithm
    min_margin: of the logarithm; None: one that depends on N; below, above: whether there is a limit
    by_range: whether the range alone counts, as of sizes, which have no normal distribution
    ignored: share of the values, on each side, that the limits leave out as outliers
    """
    skipped = int(ignored * len(values))
    logs = np.sort(np.log(values + offset))[skipped : len(values) - skipped]
    count = len(logs)
    deviation = float(logs.std(ddof=1)) if count > 1 else 0.0
    tail = student_quantile(1 - TAIL, count - 1) * (1 + 1 / count) ** 0.5 if count > 1 else 0.0
    least = MIN_MARGIN + FEW_IMAGES_MARGIN / count if min_margin is None else min_margin
    margin = max(least, 0.0 if by_range else min(tail, MAX_DEVIATIONS) * deviation)
    beyond = RANGE_MARGIN * deviation / count**0.5
    accepted_from = np.exp(min(logs[0] - beyond, logs.mean() - margin)) - offset
    accepted_to = np.exp(max(logs[-1] + beyond, logs.mean() + margin)) - offset
    return Limits(
        low=rounded(values.min()),
        high=rounded(values.max()),
        accepted_from=rounded(accepted_from) if below else None,
        accepted_to=rounded(accepted_to) if above else None,
    )


def brightness_limits(values: Floats) -> Limits:
    """Limits on the mean of an image, at most half way from the brightest training image to white."""
    found = limits(values, offset=BRIGHTNESS_OFFSET)
    highest = min(found.accepted_to or 1.0, (1 + float(values.max())) / 2)
    return found.model_copy(update={"accepted_to": rounded(highest)})


def response_of(pixels: Pixels) -> Floats:
    """Change of an image's descriptor [D] for each unit of the logarithm of exposure, clipping included."""
    levels = np.arange(largest_value(pixels) + 1)
    brighter, darker = (
        statistics_of(np.minimum(levels * factor, levels[-1]).astype(pixels.dtype)[pixels]).descriptor
        for factor in (EXPOSURE, 1 / EXPOSURE)
    )
    change: Floats = (brighter - darker) / (2 * np.log(EXPOSURE))
    return change


def spread(found: Sequence[ImageStatistics], responses: Floats) -> Spread:
    """Distribution of the descriptors, with limits on values that were found by cross-validation.

    responses: [N, D], see `response_of`
    """
    descriptors = np.array([each.descriptor for each in found])
    fold = np.arange(len(found)) % FOLDS
    distances, exposures = np.zeros(len(found)), np.zeros(len(found))
    for held_out in (fold == number for number in range(FOLDS)):
        mean, whitening, weights = fitted(descriptors[~held_out], responses[~held_out])
        deviations = descriptors[held_out] - mean
        exposures[held_out] = np.exp(deviations @ weights)
        distances[held_out] = np.linalg.norm(deviations @ whitening.T, axis=1) / len(mean) ** 0.5
    mean, whitening, weights = fitted(descriptors, responses)
    # Copies of an image have no distance at all, which no logarithm can tell.
    distances = np.maximum(distances, max(np.median(distances) / 4, MIN_DISTANCE))
    return Spread(
        mean=tuple(map(rounded, mean)),
        whitening=tuple(tuple(map(rounded, row[: number + 1])) for number, row in enumerate(whitening)),
        exposure_weights=tuple(map(rounded, weights)),
        exposure=limits(exposures),
        distance=limits(distances, min_margin=0.0, below=False, ignored=IGNORED_TAIL),
    )


def fitted(descriptors: Floats, responses: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean [D], whitening [D, D], a lower triangle, and weights [D] of the change of exposure.

    The weights are those of generalised least squares: the change of exposure, times the mean response, that
    leaves the least Mahalanobis distance. descriptors, responses: [N, D]
    """
    mean = descriptors.mean(0)
    scale = descriptors.std(0) + MIN_DEVIATION
    covariance = shrunk_covariance((descriptors - mean) / scale) + RIDGE * np.eye(len(mean))
    # The factor L of C = L Lᵀ; its inverse is a lower triangle too, and whitens.
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)) / scale
    response = whitening @ responses.mean(0)
    # Black images have no response to exposure: then it tells nothing.
    return mean, whitening, whitening.T @ response / (response @ response or 1.0)


def shrunk_covariance(deviations: Floats) -> Floats:
    """Covariance [D, D] of deviations from the mean [N, D], drawn towards a multiple of the unit matrix.

    Source: Ledoit & Wolf 2004, section 3.3.
    """
    count, dimensions = deviations.shape
    sample = deviations.T @ deviations / count
    target = np.trace(sample) / dimensions * np.eye(dimensions)
    distance = np.sum((sample - target) ** 2)
    squares = deviations**2
    error = (np.sum(squares.T @ squares) / count - np.sum(sample**2)) / count
    share = min(1.0, error / distance) if distance > 0 else 1.0
    return share * target + (1 - share) * sample


def rounded(value: float) -> float:
    """Value with six digits, as it is stored."""
    return float(f"{value:.6g}")
