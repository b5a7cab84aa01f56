"""Measuring the scale of a camera from one image of a target: a checkerboard, or a grid of round dots.

The points found are fitted to the target's own by an affine map. Unequal stretching along its two axes, and
the residual of the fit, show a tilted target or a lens that distorts.
Letters: N points of the target, in rows.
Source: OpenCV, findChessboardCornersSB (Duda & Frese 2018) and findCirclesGrid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Floats, Pixels
from blemish.errors import BlemishError
from blemish.images.decode import luminance, to_bytes

Pattern = Literal["checkerboard", "dots"]
MAX_ANISOTROPY = 0.02  # a target tilted by 11° looks 2 % shorter one way
MAX_RESIDUAL = 0.02  # of the pitch, root mean square
MIN_RESIDUAL_PX = 0.5  # a point cannot be found more exactly in a noisy image


@dataclass(frozen=True)
class Scale:
    """Scale of a camera as measured on a target.

    mm_per_px: geometric mean over all directions; x, y: mm per pixel along the image's axes
    anisotropy: largest over smallest scale of any direction, − 1
    residual_px: root mean square distance of the points from where they should be; points: their number
    """

    mm_per_px: float
    x: float
    y: float
    anisotropy: float
    residual_px: float
    points: int


def measure_scale(
    image: Pixels, pattern: Pattern, *, columns: int, rows: int, pitch_mm: float, name: str = "the image"
) -> Scale:
    """The camera's scale from an image [H, W] or [H, W, 3] of a target.

    columns, rows: inner corners of a checkerboard, or dots, at least 3 each
    pitch_mm: distance of neighbouring corners or dots; name: of the image, for messages
    Raises BlemishError where the target is not found, or lies too far from flat and square to the camera.
    """
    found = target_points(to_bytes(luminance(image)), pattern, columns, rows)
    if found is None:
        points = "inner corners" if pattern == "checkerboard" else "dots"
        raise BlemishError(
            f"{name}: found no {pattern} of {columns} × {rows} {points}. "
            "Count again, show the whole target with a margin around it, and light it evenly."
        )
    scale = fitted_scale(found, columns, rows, pitch_mm)
    refuse_tilted(scale, pitch_mm, name)
    return scale


def target_points(gray: NDArray[np.uint8], pattern: Pattern, columns: int, rows: int) -> Floats | None:
    """Points (x, y) of the target in an image [H, W], [N, 2] row by row, to a fraction of a pixel.

    None where the target is not found.
    """
    if pattern == "checkerboard":
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE
        found, corners = cv2.findChessboardCornersSB(gray, (columns, rows), flags=flags)
        return refined(gray, corners) if found else None
    parameters = cv2.SimpleBlobDetector_Params()  # type: ignore[attr-defined]
    # Dots of any size at which so many fit into the image.
    parameters.minArea, parameters.maxArea = 12.0, float(gray.size) / (columns * rows)
    parameters.minDistBetweenBlobs = 2.0
    for image in (gray, 255 - gray):  # dark dots on a light ground, then light ones
        found, points = cv2.findCirclesGrid(
            image,
            (columns, rows),
            flags=cv2.CALIB_CB_SYMMETRIC_GRID | cv2.CALIB_CB_CLUSTERING,
            blobDetector=cv2.SimpleBlobDetector_create(parameters),  # type: ignore[attr-defined]
        )
        if found:
            return np.asarray(points, np.float64).reshape(-1, 2)
    return None


def refined(gray: NDArray[np.uint8], corners: NDArray[np.float32]) -> Floats:
    """Corners [N, 2] to a tenth of a pixel under noise; the search alone is three times as far off."""
    pitch = float(np.linalg.norm(corners[1] - corners[0]))
    window = int(np.clip(pitch / 4, 3, 20))
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-3)
    exact = cv2.cornerSubPix(gray, corners.astype(np.float32), (window, window), (-1, -1), stop)
    return np.asarray(exact, np.float64).reshape(-1, 2)


def fitted_scale(found: Floats, columns: int, rows: int, pitch_mm: float) -> Scale:
    """Scale by least squares over the target's points. found: [N, 2] pixels, row by row"""
    own = pitch_mm * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    design = np.column_stack([own, np.ones(len(own))])
    solution, *_ = np.linalg.lstsq(design, found, rcond=None)
    residual = found - design @ solution
    mm_of_pixel = np.linalg.inv(solution[:2].T)  # columns: a pixel along x, and along y, in mm
    smallest, largest = np.sort(np.linalg.svd(mm_of_pixel, compute_uv=False))
    return Scale(
        mm_per_px=float(np.sqrt(abs(np.linalg.det(mm_of_pixel)))),
        x=float(np.linalg.norm(mm_of_pixel[:, 0])),
        y=float(np.linalg.norm(mm_of_pixel[:, 1])),
        anisotropy=float(largest / smallest - 1),
        residual_px=float(np.sqrt((residual**2).sum(axis=1).mean())),
        points=len(found),
    )


def refuse_tilted(scale: Scale, pitch_mm: float, name: str) -> None:
    """Raises BlemishError for a view in which one scale does not hold everywhere and both ways."""
    if scale.anisotropy > MAX_ANISOTROPY:
        raise BlemishError(
            f"{name}: the scale may differ between directions by {100 * MAX_ANISOTROPY:g} % at most. "
            f"Received: {100 * scale.anisotropy:.1f} %. Lay the target flat and square to the camera, or "
            "check --columns and --rows."
        )
    limit = max(MIN_RESIDUAL_PX, MAX_RESIDUAL * pitch_mm / scale.mm_per_px)
    if scale.residual_px > limit:
        raise BlemishError(
            f"{name}: the target's points must lie within {limit:.2g} px of a flat grid. Received: "
            f"{scale.residual_px:.2g} px. The view is tilted or the lens distorts; correct that first."
        )
