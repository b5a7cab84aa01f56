"""Features of an upright gray crop that the paper's Table 4 compares with: GLCM, HOG, HOG with Sobel.

Source: Tao et al. 2018, section 5.3: six gray levels and the direction of 90° for the co-occurrence matrix,
eight directions for HOG, a mask of 3×3 for Sobel. Open there, and ours: neighbours lie one pixel apart; HOG
has cells of `cell` pixels in blocks of 2×2, as Dalal & Triggs 2005; Sobel's amplitude is averaged over cells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError

GLCM_LEVELS = 6
HOG_DIRECTIONS = 8
HOG_BLOCK = 2  # cells that are normalised together, along each side
PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}  # that baselines need and blemish does not

Crop = NDArray[np.uint8]  # [size, size]
Features = NDArray[np.float64]  # [F]


def library(name: str) -> Any:
    """A module of scikit-image or scikit-learn. Raises BlemishError where it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        package = PACKAGES[name.partition(".")[0]]
        raise BlemishError(
            f"Rows of kind type-features need {package}. Received: {error}. "
            f"Install it with `pip install {package}`."
        ) from error


def glcm(crop: Crop, cell: int) -> Features:
    """Energy, contrast, entropy (bits) and correlation of gray pairs one above the other, [4]."""
    feature = library("skimage.feature")
    levels = (crop.astype(np.uint16) * GLCM_LEVELS // 256).astype(np.uint8)
    matrix = feature.graycomatrix(levels, [1], [np.pi / 2], levels=GLCM_LEVELS, normed=True)
    energy, contrast, correlation = (
        feature.graycoprops(matrix, name)[0, 0] for name in ("energy", "contrast", "correlation")
    )
    shares = matrix[matrix > 0]
    return np.array([energy, contrast, -(shares * np.log2(shares)).sum(), correlation])


def hog(crop: Crop, cell: int) -> Features:
    """Histograms of gradient directions of each cell, normalised in overlapping blocks of cells."""
    return library("skimage.feature").hog(
        crop,
        orientations=HOG_DIRECTIONS,
        pixels_per_cell=(cell, cell),
        cells_per_block=(HOG_BLOCK, HOG_BLOCK),
    )


def hog_and_sobel(crop: Crop, cell: int) -> Features:
    """HOG, then the mean amplitude of the gradient in each cell."""
    across, down = (cv2.Sobel(crop, cv2.CV_64F, x, y, ksize=3) for x, y in ((1, 0), (0, 1)))
    cells = crop.shape[0] // cell
    amplitude = np.hypot(across, down)[: cells * cell, : cells * cell]
    means = amplitude.reshape(cells, cell, cells, cell).mean(axis=(1, 3))
    return np.concatenate([hog(crop, cell), means.ravel()])


FEATURES: Mapping[str, Callable[[Crop, int], Features]] = {
    "glcm": glcm,
    "hog": hog,
    "hog-sobel": hog_and_sobel,
}
