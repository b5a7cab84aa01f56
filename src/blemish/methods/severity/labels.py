"""Label maker: from an image and its defect mask to the severity of every cell.

Source: He & Liu 2020, section III-C-1, steps 1-5 and eq. 2. Letters: H, W pixels; h, w cells (h = H / cell).
Deviations (the paper leaves them open): two references are averaged, a run that touches the image edge uses
the one it has, a defect as wide as the image uses the image's median cell; scores of annotated cells map to
[floor, 12].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

SEVERITY_MAX = 12.0
COMBINE: dict[str, Callable[..., Any]] = {"mean": np.nanmean, "weaker": np.nanmin, "stronger": np.nanmax}
Places = tuple[NDArray[np.intp], NDArray[np.intp]]  # rows and columns, [n] each


@dataclass(frozen=True)
class Readings:
    """Readings of the points that the paper leaves open about the label maker.

    two_references: how the scores against the cells on both sides are combined
    edge_run: a run that touches the image edge uses its "one" reference, or the image's "median" cell as the
        other
    no_reference: a run as wide as the image is compared with the image's "median" cell, or scores "zero"
    contrast_of: a cell and its reference are compared by their "extremes", the paper's d0 + d1, or by their
        "means", |mean_D − mean_N|: on a coarse texture M_D − m_N is mostly the texture's own range
    keep_small: a mask smaller than one cell still yields one defect cell
    """

    two_references: Literal["mean", "weaker", "stronger"] = "mean"
    edge_run: Literal["one", "median"] = "one"
    no_reference: Literal["median", "zero"] = "median"
    keep_small: bool = True
    contrast_of: Literal["extremes", "means"] = "extremes"


@dataclass(frozen=True)
class CellExtremes:
    """Extremes of the intensity in each cell, [h, w] each; the mean twice where means are compared."""

    lowest: NDArray[Any]
    highest: NDArray[Any]


def severity_labels(
    intensity: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    *,
    cell: int,
    scale: float | None,
    floor: float,
    coverage: float = 0.5,
    truncation: float = 500.0,
    readings: Readings | None = None,
) -> NDArray[np.float32]:
    """Severity of every cell: 0 on the surface, [floor, 12] on annotated cells.

    intensity: [H, W] luminance in 0…255, sides multiples of the cell
    mask: [H, W], True on defects
    scale: the raw score that maps to 12, one for a whole training set; None takes the greatest of these
        scores
    returns: [H / cell, W / cell]
    Source: section III-C-1, steps 4 and 5.
    """
    readings = readings or Readings()
    cells = defect_cells(mask, cell=cell, coverage=coverage, keep_small=readings.keep_small)
    scores = np.minimum(
        raw_scores(intensity, cells, cell=cell, readings=readings)[cells], truncation
    )  # eq. 2
    greatest = scale if scale is not None else max(float(scores.max(initial=0)), 1.0)
    severities = np.zeros(cells.shape, np.float32)
    severities[cells] = floor + (SEVERITY_MAX - floor) * np.clip(scores / greatest, 0.0, 1.0)
    return severities


def defect_cells(
    mask: NDArray[np.bool_], *, cell: int, coverage: float = 0.5, keep_small: bool = True
) -> NDArray[np.bool_]:
    """Cells that count as defective: covered by at least `coverage`.

    mask: [H, W]; returns: [H / cell, W / cell]
    keep_small: a mask that covers no cell so far still yields the cell it covers most
    """
    if cell == 1:
        return mask.copy()
    covered = fold(mask.view(np.uint8), cell, np.add)
    cells = covered >= coverage * cell**2
    if keep_small and not cells.any() and mask.any():
        cells.flat[int(covered.argmax())] = True
    return cells


def raw_scores(
    intensity: NDArray[np.uint8], cells: NDArray[np.bool_], *, cell: int, readings: Readings | None = None
) -> NDArray[np.float32]:
    """Contrast of each defect cell against the surface beside it, in 0…510; 0 elsewhere.

    d0 + d1, d0 = min(|m_D − m_N|, |M_D − M_N|), d1 = |M_D − m_N|, with m, M the extremes of the defect
    cell (D) and of the reference (N): the non-defect cells just left and just right of its run in the row of
    cells. With means m = M, so that the sum is twice their difference.
    intensity: [H, W]; cells: [H / cell, W / cell]
    Source: section III-C-1, step 3.
    """
    readings = readings or Readings()
    scores = np.zeros(cells.shape, np.float32)
    rows, columns = np.nonzero(cells)
    if readings.contrast_of == "means":
        means = fold(intensity.astype(np.uint16), cell, np.add) / np.float32(cell**2)
        extremes = CellExtremes(means, means)
    else:
        extremes = CellExtremes(fold(intensity, cell, np.minimum), fold(intensity, cell, np.maximum))
    sides = np.full((2, rows.size), np.nan, np.float32)
    for side, reference in zip(sides, reference_columns(rows, columns, width=cells.shape[1]), strict=True):
        known = reference >= 0
        side[known] = contrast(extremes, (rows[known], columns[known]), (rows[known], reference[known]))
    fill_unknown(sides, extremes, (rows, columns), readings)
    scores[rows, columns] = COMBINE[readings.two_references](sides, axis=0)
    return scores


def fill_unknown(
    sides: NDArray[np.float32], extremes: CellExtremes, defect: Places, readings: Readings
) -> None:
    """Put a score, in place, where a side has no reference cell and the readings want one. sides: [2, n]"""
    unknown = np.isnan(sides)
    alone = unknown.all(axis=0)
    if readings.edge_run == "median":
        wanted = unknown & ~alone
        median = contrast_with_median(extremes, defect)
        sides[wanted] = np.broadcast_to(median, sides.shape)[wanted]
    if alone.any():
        lonely = (defect[0][alone], defect[1][alone])
        sides[:, alone] = contrast_with_median(extremes, lonely) if readings.no_reference == "median" else 0.0


def reference_columns(
    rows: NDArray[np.intp], columns: NDArray[np.intp], *, width: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """For every defect cell the columns just left and just right of its run; -1 where the image ends there.

    rows, columns: [n] places of the defect cells in reading order; returns: two [n]
    """
    follows = (np.diff(rows, prepend=-1) == 0) & (np.diff(columns, prepend=-1) == 1)
    starts = np.flatnonzero(~follows)
    lengths = np.diff(starts, append=rows.size)
    left = columns[starts] - 1
    right = columns[starts + lengths - 1] + 1
    right[right == width] = -1
    return left.repeat(lengths), right.repeat(lengths)


def contrast(extremes: CellExtremes, defect: Places, reference: Places) -> NDArray[np.float32]:
    """Score of each defect cell against its reference cell. [n]"""
    return pair_score(
        extremes.lowest[defect].astype(np.float32),
        extremes.highest[defect].astype(np.float32),
        extremes.lowest[reference].astype(np.float32),
        extremes.highest[reference].astype(np.float32),
    )


def contrast_with_median(extremes: CellExtremes, defect: Places) -> NDArray[np.float32]:
    """Score of each defect cell against the image's median cell. [n]"""
    return pair_score(
        extremes.lowest[defect].astype(np.float32),
        extremes.highest[defect].astype(np.float32),
        np.float32(np.median(extremes.lowest)),
        np.float32(np.median(extremes.highest)),
    )


def pair_score(
    lowest: NDArray[np.float32],
    highest: NDArray[np.float32],
    reference_lowest: NDArray[np.float32] | np.float32,
    reference_highest: NDArray[np.float32] | np.float32,
) -> NDArray[np.float32]:
    """Score d0 + d1 of the extremes of defect cells and their references, see `raw_scores`. [n]"""
    d0 = np.minimum(np.abs(lowest - reference_lowest), np.abs(highest - reference_highest))
    d1 = np.abs(highest - reference_lowest)
    return d0 + d1


def fold(array: NDArray[Any], cell: int, combine: np.ufunc) -> NDArray[Any]:
    """Combine the pixels of each cell into one value. array: [H, W]; returns: [H / cell, W / cell]

    Whole rows at a time: many times faster than reducing two axes of a [h, cell, w, cell] view.
    """
    height, width = array.shape
    if height % cell or width % cell:
        raise ValueError(f"sides must be multiples of the cell {cell}. Received: {height}×{width}.")
    strips = reduce(combine, (array[first::cell] for first in range(cell)))
    return reduce(combine, (strips[:, first::cell] for first in range(cell)))
