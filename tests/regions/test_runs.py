from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from blemish.regions.runs import as_mask, as_runs, draw, joined, runs_above, runs_of, values_on


def plain_runs(mask: np.ndarray) -> list[tuple[int, int, int]]:
    """Rows, starts and stops found pixel by pixel."""
    found = []
    for row, line in enumerate(mask.tolist()):
        for column, here in enumerate(line):
            if here and (column == 0 or not line[column - 1]):
                stop = next((end for end in range(column, len(line)) if not line[end]), len(line))
                found.append((row, column, stop))
    return found


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (9, 14), (0, 5), (5, 0)])
@pytest.mark.parametrize("pixels_at_once", [1, 40, 1 << 20])
def test_runs_are_those_found_pixel_by_pixel(
    shape: tuple[int, int], pixels_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any number of rows that are searched together."""
    monkeypatch.setattr("blemish.regions.runs.PIXELS_AT_ONCE", pixels_at_once)
    generator = np.random.default_rng(shape)
    for density in (0.0, 0.2, 0.7, 1.0):
        mask = generator.random(shape) < density
        runs = runs_of(mask)
        found = zip(runs.rows.tolist(), runs.starts.tolist(), runs.stops.tolist(), strict=True)
        assert list(found) == plain_runs(mask)
        assert runs.area == mask.sum()
        assert len(runs) == len(plain_runs(mask))


def test_a_mask_comes_back_from_its_runs_as_far_as_they_reach() -> None:
    mask = np.random.default_rng(1).random((20, 30)) < 0.4
    mask[17:], mask[:, 26:] = False, False
    mask[16, 25] = True
    assert np.array_equal(as_mask(runs_of(mask)), mask[:17, :26])
    assert as_mask(runs_of(np.zeros((3, 3), bool))).shape == (0, 0)


def test_what_has_the_wanted_form_is_kept() -> None:
    mask = np.ones((2, 2), bool)
    runs = runs_of(mask)
    assert as_mask(mask) is mask
    assert as_runs(runs) is runs


def test_moved_runs_are_drawn_where_they_were_moved() -> None:
    mask = np.random.default_rng(2).random((4, 5)) < 0.5
    image = np.full((12, 12), 7, np.int32)
    draw(runs_of(mask).moved(3, 6), image, 9)
    expected = np.full((12, 12), 7, np.int32)
    expected[6:10, 3:8][mask] = 9
    assert np.array_equal(image, expected)


def test_joined_bands_are_the_whole() -> None:
    mask = np.random.default_rng(3).random((9, 11)) < 0.5
    whole = joined([runs_of(mask[:4]), runs_of(mask[4:]).moved(0, 4)])
    assert np.array_equal(as_mask(whole), as_mask(runs_of(mask)))
    assert len(joined([])) == 0


def test_finding_runs_takes_no_copy_of_the_mask() -> None:
    mask = np.eye(4000, dtype=bool)
    tracemalloc.start()
    runs = runs_of(mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert runs.area == 4000
    assert peak < mask.nbytes / 4


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_enlarged_runs_are_those_of_the_enlarged_mask(factor: int) -> None:
    mask = np.random.default_rng(factor).random((9, 11)) < 0.4
    enlarged, expected = runs_of(mask).enlarged(factor), mask.repeat(factor, 0).repeat(factor, 1)
    assert np.array_equal(as_mask(enlarged, expected.shape), expected)
    assert enlarged.rows.dtype == np.int32
    cut = expected[: 6 * factor, : 7 * factor - 1]
    inside = enlarged.inside(cut.shape)
    for name in ("rows", "starts", "stops"):
        assert np.array_equal(getattr(inside, name), getattr(runs_of(cut), name))


def test_runs_above_and_their_values_are_the_maps() -> None:
    values = np.random.default_rng(1).random((30, 40), dtype=np.float32)
    runs = runs_above(values, 0.6)
    assert np.array_equal(as_mask(runs, values.shape), values >= 0.6)
    assert np.array_equal(values_on(runs, values), values[values >= 0.6])
    assert runs.area == (values >= 0.6).sum()
