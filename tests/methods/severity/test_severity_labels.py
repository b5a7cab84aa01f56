from __future__ import annotations

import statistics
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from blemish.methods.severity.labels import Readings, defect_cells, raw_scores, severity_labels
from tests.processor_time import assert_takes_less

Gray = NDArray[np.uint8]
BoolMask = NDArray[np.bool_]


def slow_severities(
    intensity: Gray,
    mask: BoolMask,
    *,
    cell: int,
    scale: float,
    floor: float,
    coverage: float,
    truncation: float,
) -> list[list[float]]:
    """Steps 1 to 5 of section III-C-1, one cell at a time."""
    height, width = intensity.shape[0] // cell, intensity.shape[1] // cell
    pixels = [[[] for _ in range(width)] for _ in range(height)]
    marked = [[0] * width for _ in range(height)]
    for row in range(height * cell):  # step 1: cut into cells
        for column in range(width * cell):
            pixels[row // cell][column // cell].append(int(intensity[row, column]))
            marked[row // cell][column // cell] += int(mask[row, column])
    defect = [[count >= coverage * cell * cell and count > 0 for count in row] for row in marked]
    if mask.any() and not any(map(any, defect)):
        best = max(count for row in marked for count in row)
        row = next(index for index, counts in enumerate(marked) if best in counts)
        defect[row][marked[row].index(best)] = True
    middle = [
        statistics.median(extreme(cell_pixels) for row in pixels for cell_pixels in row)
        for extreme in (min, max)
    ]
    severities = [[0.0] * width for _ in range(height)]
    for row in range(height):
        for column in range(width):
            if defect[row][column]:
                references = [
                    (min(values), max(values))
                    for values in (pixels[row][place] for place in borders(defect[row], column))
                ] or [tuple(middle)]
                own = min(pixels[row][column]), max(pixels[row][column])
                raw = statistics.fmean(contrast(own, reference) for reference in references)
                share = min(raw, truncation) / scale
                severities[row][column] = floor + (12 - floor) * min(share, 1.0)
    return severities


def borders(defect: list[bool], column: int) -> list[int]:
    """Columns of the surface just left and just right of the run of defect cells around a column."""
    left, right = column, column
    while left >= 0 and defect[left]:
        left -= 1
    while right < len(defect) and defect[right]:
        right += 1
    return [place for place in (left, right) if 0 <= place < len(defect)]


def contrast(own: tuple[float, float], reference: tuple[float, float]) -> float:
    """Step 3: d0 + d1."""
    d0 = min(abs(own[0] - reference[0]), abs(own[1] - reference[1]))
    return d0 + abs(own[1] - reference[0])


@st.composite
def cases(draw: st.DrawFn) -> dict[str, object]:
    cell = draw(st.sampled_from([1, 2, 4]))
    shape = (cell * draw(st.integers(1, 4)), cell * draw(st.integers(1, 6)))
    return {
        "intensity": draw(arrays(np.uint8, shape)),
        "mask": draw(arrays(np.bool_, shape)),
        "cell": cell,
        "scale": draw(st.sampled_from([1.0, 100.0, 510.0])),
        "floor": draw(st.sampled_from([0.0, 6.0])),
        "coverage": draw(st.sampled_from([0.25, 0.5, 1.0])) if cell > 1 else 1.0,
        "truncation": draw(st.sampled_from([80.0, 500.0])),
    }


@settings(max_examples=200, deadline=None)
@given(cases())
def test_severity_labels_equal_the_paper_step_by_step(case: dict[str, object]) -> None:
    severities = severity_labels(**case)
    assert severities.dtype == np.float32
    np.testing.assert_allclose(severities, slow_severities(**case), atol=1e-4)


def test_a_run_of_two_cells_by_hand() -> None:
    intensity = np.array([[100, 200, 50, 110]], np.uint8)
    mask = np.array([[False, True, True, False]])
    # Against 100: 200 → 100 + 100, 50 → 50 + 50. Against 110: 200 → 90 + 90, 50 → 60 + 60. Means: 190 and
    # 110.
    assert raw_scores(intensity, mask, cell=1).tolist() == [[0, 190, 110, 0]]
    assert severity_labels(intensity, mask, cell=1, scale=190, floor=0)[0, 1] == 12
    half = severity_labels(intensity, mask, cell=1, scale=380, floor=6)
    assert half[0].tolist() == pytest.approx([0, 9, 6 + 6 * 110 / 380, 0])


def test_a_cell_uses_its_least_and_greatest_pixel() -> None:
    intensity = np.array([[10, 20, 90, 200], [30, 40, 100, 150]], np.uint8)
    cells = np.array([[False, True]])
    # m_D 90, M_D 200, m_N 10, M_N 40: d0 = min(80, 160), d1 = 190.
    assert raw_scores(intensity, cells, cell=2).tolist() == [[0, 270]]


def test_an_image_without_defects_has_no_severity() -> None:
    severities = severity_labels(
        np.full((8, 8), 200, np.uint8), np.zeros((8, 8), bool), cell=4, scale=100, floor=6
    )
    assert severities.shape == (2, 2)
    assert not severities.any()


def test_a_mask_smaller_than_a_cell_still_marks_the_cell_it_covers_most() -> None:
    mask = np.zeros((8, 8), bool)
    mask[3, 3] = True
    mask[4:6, 4] = True
    assert defect_cells(mask, cell=4).tolist() == [[False, False], [False, True]]


def test_the_mask_given_is_not_handed_out() -> None:
    mask = np.zeros((2, 2), bool)
    defect_cells(mask, cell=1)[:] = True
    assert not mask.any()


def test_sides_off_the_cell_are_refused() -> None:
    with pytest.raises(ValueError, match=r"multiples of the cell 4\. Received: 6×8"):
        severity_labels(np.zeros((6, 8), np.uint8), np.zeros((6, 8), bool), cell=4, scale=1, floor=0)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_a_2048_mask_takes_less_than_twelve_blurs_of_its_image(cell: int) -> None:
    """They take about a tenth of a second of one core."""
    generator = np.random.default_rng(0)
    intensity = generator.integers(0, 256, (2048, 2048), dtype=np.uint8)
    mask = np.zeros((2048, 2048), bool)
    for top, left in generator.integers(0, 1900, (40, 2)):
        mask[top : top + 60, left : left + 100] = True
    assert_takes_less(
        lambda: severity_labels(intensity, mask, cell=cell, scale=300, floor=6),
        lambda: cv2.GaussianBlur(intensity, (0, 0), 3),
        times=12,
        tries=15,
    )


@pytest.mark.parametrize(
    ("reading", "gray", "marked", "scores"),
    [
        ({"two_references": "mean"}, [100, 200, 110], [1], [0, 190, 0]),  # 200 against 100, 180 against 110
        ({"two_references": "weaker"}, [100, 200, 110], [1], [0, 180, 0]),
        ({"two_references": "stronger"}, [100, 200, 110], [1], [0, 200, 0]),
        ({"edge_run": "one"}, [200, 100, 120, 120, 120], [0], [200, 0, 0, 0, 0]),
        ({"edge_run": "median"}, [200, 100, 120, 120, 120], [0], [180, 0, 0, 0, 0]),  # 160 against 120
        ({"no_reference": "median"}, [100, 200, 110], [0, 1, 2], [20, 180, 0]),
        ({"no_reference": "zero"}, [100, 200, 110], [0, 1, 2], [0, 0, 0]),
    ],
)
def test_what_the_paper_leaves_open_by_hand(
    reading: dict[str, Any], gray: list[int], marked: list[int], scores: list[float]
) -> None:
    cells = np.zeros((1, len(gray)), bool)
    cells[0, marked] = True
    found = raw_scores(np.array([gray], np.uint8), cells, cell=1, readings=Readings(**reading))
    assert found[0].tolist() == scores


def test_a_small_mask_can_be_left_out() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0, 0] = True
    assert defect_cells(mask, cell=4).tolist() == [[True]]
    assert defect_cells(mask, cell=4, keep_small=False).tolist() == [[False]]


def test_without_a_scale_the_greatest_score_of_the_patch_maps_to_12() -> None:
    gray, mask = np.array([[100, 200, 100, 150, 100]], np.uint8), np.array([[0, 1, 0, 1, 0]], bool)
    assert severity_labels(gray, mask, cell=1, scale=None, floor=0)[0].tolist() == [0, 12, 0, 6, 0]
    assert not severity_labels(gray, mask & False, cell=1, scale=None, floor=0).any()


def test_means_compare_what_the_texture_does_not_change():
    """Twice the difference of the cells' means, by hand; the texture's range is in neither."""
    intensity = np.array([[100, 140, 60, 20, 100, 140], [140, 100, 20, 60, 140, 100]], np.uint8)
    cells = np.array([[False, True, False]])
    readings = Readings(contrast_of="means")
    assert raw_scores(intensity, cells, cell=2, readings=readings).tolist() == [[0, 160, 0]]
    flat = np.full_like(intensity, 120)
    flat[:, 2:4] = 40
    assert raw_scores(flat, cells, cell=2, readings=readings).tolist() == [[0, 160, 0]]
    assert raw_scores(intensity, cells, cell=2)[0, 1] != raw_scores(flat, cells, cell=2)[0, 1]
