"""The label maker: from an image and its defect mask to the severity of every cell.

Source: He & Liu 2020, section III-C-1, steps 1-5 and eq. 2. Letters: H, W pixels; h, w cells (h = H / cell).
Deviations (the paper leaves them open): two references are averaged, a run that touches the image edge uses the one it
has, a defect as wide as the image uses the image's median cell; scores of annotated cells map to [floor, 12].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEVERITY_MAX = 12.0


@dataclass(frozen=True)
class CellExtremes:
    """Least and greatest intensity in each cell, both [h, w] float32 in 0…255."""

    least: NDArray[np.float32]
    greatest: NDArray[np.float32]


def severity_labels(
    intensity: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    cell: int,
    scale: float,
    floor: float,
    coverage: float = 0.5,
    truncation: float = 500.0,
) -> NDArray[np.float32]:
    """Severity of every cell: 0 on the surface, [floor, 12] on annotated cells.

    intensity: [H, W] luminance in 0…255, sides multiples of the cell
    mask: [H, W], True on defects
    scale: the raw score that maps to 12 (one for a whole training set, see `raw_scores`)
    returns: [H / cell, W / cell]
    Source: section III-C-1, steps 4 and 5.
    """
    cells = defect_cells(mask, cell=cell, coverage=coverage)
    scores = np.minimum(raw_scores(intensity, cells, cell=cell), truncation)  # eq. 2
    share = np.clip(scores / scale, 0.0, 1.0)
    return np.where(cells, floor + (SEVERITY_MAX - floor) * share, 0.0).astype(np.float32)


def defect_cells(mask: NDArray[np.bool_], *, cell: int, coverage: float = 0.5) -> NDArray[np.bool_]:
    """Cells that count as defective: covered by at least `coverage`, and one cell for a mask smaller than that.

    mask: [H, W]; returns: [H / cell, W / cell]
    """
    if cell == 1:
        return mask.copy()
    covered = blocks(mask, cell).mean(axis=(1, 3), dtype=np.float32)
    cells = covered >= coverage
    if not cells.any() and mask.any():
        cells.flat[int(covered.argmax())] = True
    return cells


def raw_scores(intensity: NDArray[np.uint8], cells: NDArray[np.bool_], *, cell: int) -> NDArray[np.float32]:
    """Contrast of each defect cell against the surface beside it, d0 + d1, in 0…510; 0 elsewhere.

    d0 = min(|m_D − m_N|, |M_D − M_N|), d1 = |M_D − m_N|, with m, M the extremes of the defect cell (D) and of the
    reference (N): the non-defect cells just left and just right of its run in the row of cells.
    intensity: [H, W]; cells: [H / cell, W / cell]
    Source: section III-C-1, step 3.
    """
    scores = np.zeros(cells.shape, np.float32)
    rows, columns = np.nonzero(cells)
    if rows.size == 0:
        return scores
    extremes = cell_extremes(intensity, cell)
    left, right = reference_columns(cells)
    per_side = [contrast_against(extremes, rows, columns, side[rows, columns]) for side in (left, right)]
    known = ~np.isnan(np.stack(per_side))
    total = np.nansum(np.stack(per_side), axis=0)
    without = contrast_against_median(extremes, rows, columns)
    count = known.sum(axis=0)
    scores[rows, columns] = np.where(count > 0, total / np.maximum(count, 1), without)
    return scores


def reference_columns(cells: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For every cell the nearest non-defect column to its left and to its right in its row; -1 where there is none.

    cells: [h, w]; returns: two [h, w]
    """
    width = cells.shape[1]
    columns = np.arange(width)
    left = np.maximum.accumulate(np.where(cells, -1, columns), axis=1)
    mirrored = np.maximum.accumulate(np.where(cells[:, ::-1], -1, columns), axis=1)[:, ::-1]
    right = np.where(mirrored < 0, -1, width - 1 - mirrored)
    return left, right


def contrast_against(
    extremes: CellExtremes, rows: NDArray[np.intp], columns: NDArray[np.intp], references: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Score of each listed cell against the reference column of its row; NaN where the reference is -1."""
    scores = pair_score(
        extremes.least[rows, columns],
        extremes.greatest[rows, columns],
        extremes.least[rows, references],
        extremes.greatest[rows, references],
    )
    return np.where(references >= 0, scores, np.nan).astype(np.float32)


def contrast_against_median(
    extremes: CellExtremes, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Score of each listed cell against the image's median cell."""
    return pair_score(
        extremes.least[rows, columns],
        extremes.greatest[rows, columns],
        np.median(extremes.least),
        np.median(extremes.greatest),
    )


def pair_score(
    least: NDArray[np.float32],
    greatest: NDArray[np.float32],
    reference_least: NDArray[np.float32] | np.floating,
    reference_greatest: NDArray[np.float32] | np.floating,
) -> NDArray[np.float32]:
    d0 = np.minimum(np.abs(least - reference_least), np.abs(greatest - reference_greatest))
    d1 = np.abs(greatest - reference_least)
    return (d0 + d1).astype(np.float32)


def cell_extremes(intensity: NDArray[np.uint8], cell: int) -> CellExtremes:
    view = blocks(intensity, cell)
    return CellExtremes(
        view.min(axis=(1, 3)).astype(np.float32),
        view.max(axis=(1, 3)).astype(np.float32),
    )


def blocks(array: NDArray, cell: int) -> NDArray:
    """[H, W] seen as [h, cell, w, cell], without a copy where the memory allows it."""
    height, width = array.shape
    if height % cell or width % cell:
        raise ValueError(f"sides must be multiples of the cell {cell}. Received: {height}×{width}.")
    return array.reshape(height // cell, cell, width // cell, cell)
