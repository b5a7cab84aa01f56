from __future__ import annotations

import numpy as np

from blemish.regions.runs import runs_of
from blemish.regions.tracing import outer_loops

RING_AND_ISLAND = """
#######
#.....#
#.###.#
#.#.#.#
#.###.#
#.....#
#######
"""


def loops_of(drawing: str) -> list[list[tuple[int, int]]]:
    mask = np.array([[entry == "#" for entry in line] for line in drawing.split()])
    return [[(int(x), int(y)) for x, y in loop] for loop in outer_loops(runs_of(mask))]


def test_a_part_in_a_hole_and_the_hole_have_no_outline() -> None:
    assert loops_of(RING_AND_ISLAND) == [[(0, 0), (0, 7), (7, 7), (7, 0)]]


def test_a_part_in_a_bay_has_one_and_the_last_part_comes_first() -> None:
    cup_with_drop = "#.......#\n#...#...#\n#.......#\n#########"
    assert loops_of(cup_with_drop) == [
        [(4, 1), (4, 2), (5, 2), (5, 1)],
        [(0, 0), (0, 4), (9, 4), (9, 0), (8, 0), (8, 3), (1, 3), (1, 0)],
    ]


def test_parts_that_touch_at_a_point_are_one_path_through_it() -> None:
    falling = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 1), (1, 1), (1, 0)]
    assert loops_of("#.\n.#") == [falling]
    rising = [(1, 0), (1, 1), (0, 1), (0, 2), (1, 2), (1, 1), (2, 1), (2, 0)]
    assert loops_of(".#\n#.") == [rising]


def test_a_hole_closed_only_by_a_point_is_a_hole() -> None:
    """Four pixels around one touch at points, and the one between them belongs to no outline."""
    (loop,) = loops_of(".#.\n#.#\n.#.")
    assert loop[:6] == [(1, 0), (1, 1), (0, 1), (0, 2), (1, 2), (1, 3)]
    assert loop[6:] == [(2, 3), (2, 2), (3, 2), (3, 1), (2, 1), (2, 0)]


def test_nothing_has_no_outline() -> None:
    assert outer_loops(runs_of(np.zeros((3, 3), bool))) == []
