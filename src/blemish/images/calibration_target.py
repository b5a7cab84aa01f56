"""Measuring the scale of a camera from one picture of a target: a checkerboard, or a grid of round dots.

The points found are fitted to the target's own by an affine map; what that map stretches more one way than
the other, and what it leaves over, shows a target that lies tilted or a lens that distorts.
Letters: N points of the target, in rows.
Source: OpenCV, findChessboardCornersSB (Duda & Frese 2018) and findCirclesGrid.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import luminance, to_bytes

Pattern = Literal["checkerboard", "dots"]
Points = NDArray[np.float64]
MOST_ANISOTROPY = 0.02  # a target tilted by 11° looks 2 % shorter one way
MOST_RESIDUAL = 0.02  # of the pitch, root mean square
LEAST_RESIDUAL_PX = 0.5  # finding a point is no better than that in a noisy picture


@dataclass(frozen=True)
class Scale:
    """mm_per_px: mean of both ways; x, y: along the picture's axes; anisotropy: largest over smallest − 1

    residual_px: root mean square distance of the points from where they should be; points: how many
    """

    mm_per_px: float
    x: float
    y: float
    anisotropy: float
    residual_px: float
    points: int


def measure_scale(
    image: Pixels, pattern: Pattern, *, columns: int, rows: int, pitch_mm: float, name: str = "the picture"
) -> Scale:
    """The scale of a picture [H, W] or [H, W, 3] of a target.

    columns, rows: inner corners of a checkerboard, or dots, at least 3 each
    pitch_mm: from one to the next; name: of the picture, for messages
    Raises BlemishError where the target is not found, or lies too far from flat and square to the camera.
    """
    found = target_points(to_bytes(luminance(image)), pattern, columns, rows)
    if found is None:
        points = "inner corners" if pattern == "checkerboard" else "dots"
        raise BlemishError(
            f"{name}: no {pattern} of {columns} × {rows} {points} "
            "was found. Count again, show the whole target with a rim around it, and light it evenly."
        )
    scale = fitted_scale(found, columns, rows, pitch_mm)
    refuse_tilted(scale, pitch_mm, name)
    return scale


def target_points(gray: NDArray[np.uint8], pattern: Pattern, columns: int, rows: int) -> Points | None:
    """[N, 2] (x, y) row by row, to a fraction of a pixel; None where the target is not found."""
    if pattern == "checkerboard":
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE
        found, corners = cv2.findChessboardCornersSB(gray, (columns, rows), flags=flags)
        return refined(gray, corners) if found else None
    for picture in (gray, 255 - gray):  # dark dots on a light ground, then light ones
        found, points = cv2.findCirclesGrid(
            picture,
            (columns, rows),
            flags=cv2.CALIB_CB_SYMMETRIC_GRID | cv2.CALIB_CB_CLUSTERING,
            blobDetector=dot_detector(gray.shape, columns * rows),
        )
        if found:
            return np.asarray(points, np.float64).reshape(-1, 2)
    return None


def refined(gray: NDArray[np.uint8], corners: NDArray[np.float32]) -> Points:
    """Corners to a tenth of a pixel under noise: the search alone is three times as far off."""
    pitch = float(np.linalg.norm(corners[1] - corners[0]))
    window = int(np.clip(pitch / 4, 3, 20))
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-3)
    exact = cv2.cornerSubPix(gray, corners.astype(np.float32), (window, window), (-1, -1), stop)
    return np.asarray(exact, np.float64).reshape(-1, 2)


def dot_detector(shape: tuple[int, ...], dots: int) -> Any:
    """Finds dots of any size at which so many fit into the picture."""
    parameters = cv2.SimpleBlobDetector_Params()  # type: ignore[attr-defined]
    parameters.minArea, parameters.maxArea = 12.0, float(shape[0] * shape[1]) / dots
    parameters.minDistBetweenBlobs = 2.0
    return cv2.SimpleBlobDetector_create(parameters)  # type: ignore[attr-defined]


def fitted_scale(found: Points, columns: int, rows: int, pitch_mm: float) -> Scale:
    """Least squares over the points. found: [N, 2] pixels, row by row"""
    own = pitch_mm * np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    design = np.column_stack([own, np.ones(len(own))])
    solution, *_ = np.linalg.lstsq(design, found, rcond=None)
    residual = found - design @ solution
    mm_of_pixel = np.linalg.inv(solution[:2].T)  # columns: what one pixel along x and along y is in mm
    least, most = np.sort(np.linalg.svd(mm_of_pixel, compute_uv=False))
    return Scale(
        mm_per_px=float(np.sqrt(abs(np.linalg.det(mm_of_pixel)))),
        x=float(np.linalg.norm(mm_of_pixel[:, 0])),
        y=float(np.linalg.norm(mm_of_pixel[:, 1])),
        anisotropy=float(most / least - 1),
        residual_px=float(np.sqrt((residual**2).sum(axis=1).mean())),
        points=len(found),
    )


def refuse_tilted(scale: Scale, pitch_mm: float, name: str) -> None:
    """Raises BlemishError for a view in which one scale does not hold everywhere and both ways."""
    if scale.anisotropy > MOST_ANISOTROPY:
        raise BlemishError(
            f"{name}: the scale must be the same both ways to {100 * MOST_ANISOTROPY:g} %. Received: "
            f"{100 * scale.anisotropy:.1f} %. Lay the target flat, square to the camera, or check --columns "
            "and --rows."
        )
    limit = max(LEAST_RESIDUAL_PX, MOST_RESIDUAL * pitch_mm / scale.mm_per_px)
    if scale.residual_px > limit:
        raise BlemishError(
            f"{name}: the target's points must lie within {limit:.2g} px of a flat grid. Received: "
            f"{scale.residual_px:.2g} px. The view is tilted or the lens distorts: correct that first."
        )
