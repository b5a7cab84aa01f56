"""Pointing accuracy, on maps and masks drawn by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.dataset.masks import Instance
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.pointing import Pointing, pointed, pointing_metrics
from blemish.inspection import Verdict, failed

ABOUT: dict[str, Any] = {"method": "medetection", "split": "test", "seed": 0}


def heat_at(row: int, column: int, size: tuple[int, int] = (20, 30)) -> NDArray[np.float32]:
    """A hill whose top is one pixel."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (1 / (1 + np.hypot(rows - row, columns - column))).astype(np.float32)


@pytest.fixture
def diagonal(instance_of: Any) -> Instance:
    """A scratch of five pixels across a box of 25."""
    mask = np.zeros((20, 30), bool)
    mask[np.arange(5) + 4, np.arange(5) + 10] = True
    return instance_of("scratch", mask)


@pytest.mark.parametrize(
    ("row", "column", "hit", "in_box"),
    [
        (4, 10, True, True),
        (6, 12, True, True),
        (6, 11, False, True),
        (9, 15, False, False),
        (0, 0, False, False),
    ],
)
def test_the_mask_decides_and_the_box_is_told_beside(
    diagonal: Instance, row: int, column: int, hit: bool, in_box: bool
) -> None:
    found = pointed(heat_at(row, column), [diagonal], rejected=True)
    assert found == Pointing(hit, in_box, covered=5 / 600, rejected=True)


def test_a_mere_box_counts_as_the_defect_half_open() -> None:
    boxed = Instance("dent", (3.0, 5.0, 8.0, 7.0))
    assert pointed(heat_at(5, 3), [boxed], rejected=False).hit
    assert pointed(heat_at(6, 7), [boxed], rejected=False).hit
    assert not pointed(heat_at(7, 7), [boxed], rejected=False).hit
    assert not pointed(heat_at(6, 8), [boxed], rejected=False).hit
    assert pointed(heat_at(5, 3), [boxed], rejected=False).covered == 10 / 600


def test_any_of_several_defects_will_do(diagonal: Instance) -> None:
    other = Instance("dent", (20.0, 15.0, 22.0, 17.0))
    found = pointed(heat_at(16, 21), [diagonal, other], rejected=False)
    assert found.hit and found.covered == pytest.approx(9 / 600)


def test_a_map_without_heat_points_nowhere() -> None:
    everywhere = Instance("stain", (0.0, 0.0, 30.0, 20.0))
    assert not pointed(np.zeros((20, 30), np.float32), [everywhere], rejected=True).hit


def test_shares_by_hand() -> None:
    images = [
        Pointing(True, True, 0.1, True),
        Pointing(False, True, 0.2, True),
        Pointing(False, False, 0.3, False),
        Pointing(True, True, 0.4, False),
        Pointing(True, True, 0.0, True),
    ]
    assert pointing_metrics(images) == {
        "all": 0.6,
        "of": 5,
        "in_box": 0.8,
        "ng": pytest.approx(2 / 3),
        "of_ng": 3,
        "chance": pytest.approx(0.2),
    }
    assert pointing_metrics([images[2]])["ng"] is None
    assert pointing_metrics([]) is None


def test_a_blind_finger_hits_by_chance() -> None:
    """The figure "chance" against many random maps."""
    generator = np.random.default_rng(1)
    truth = [Instance("stain", (2.0, 3.0, 17.0, 15.0))]
    seen = [pointed(generator.random((20, 30)), truth, rejected=False) for _ in range(2000)]
    metrics = pointing_metrics(seen)
    assert metrics["all"] == pytest.approx(metrics["chance"], abs=0.03)


def test_evaluation_counts_marked_images_with_a_map(
    inspected: Any, sample_with: Any, found_defect: Any, instance_of: Any, diagonal: Instance
) -> None:
    evaluator = Evaluator(["scratch"], classifies=False, segments=False)

    def with_heat(inspection: Any, heat: NDArray[np.float32]) -> Any:
        filled = np.zeros((20, 30), np.int32)
        return type(inspection)(**{**vars(inspection), "maps": {"heat_map": heat, "defects": filled}})

    box = found_defect("defect", (9, 3, 16, 10))
    right = with_heat(inspected([box], verdict=Verdict.NG, score=0.9), heat_at(5, 11))
    wrong = with_heat(inspected(score=0.2), heat_at(0, 0))
    evaluator.add(sample_with(["scratch"]), right, truth=[diagonal])
    record = evaluator.add(sample_with(["scratch"]), wrong, truth=[diagonal])
    evaluator.add(sample_with(), wrong)  # clean: points at nothing
    evaluator.add(sample_with(["scratch"], placed_by="label"), right)  # no place to point at
    evaluator.add(sample_with(["scratch"]), failed("a.png", "gone", bundle="b"), truth=[diagonal])
    metrics = evaluator.result(**ABOUT).metrics
    assert metrics["pointing"] == {
        "all": 0.5, "of": 2, "in_box": 0.5, "ng": 1.0, "of_ng": 1, "chance": pytest.approx(5 / 600),
    }  # fmt: skip
    assert metrics["defect"]["recall_at_30"] > 0  # the box was compared with the box, not with the filled map
    assert record.heat.shape == (20, 30) and record.heat[0, 0] == 255
    assert record.inspection.maps == {}


def test_no_map_no_figure(inspected: Any, sample_with: Any, diagonal: Instance) -> None:
    evaluator = Evaluator(["scratch"], segments=False)
    record = evaluator.add(sample_with(["scratch"]), inspected(score=0.1), truth=[diagonal])
    assert "pointing" not in evaluator.result(**ABOUT).metrics
    assert record.heat is None


def test_kept_heat_is_small_whatever_the_image(inspected: Any, sample_with: Any) -> None:
    evaluator = Evaluator(["scratch"], segments=False)
    inspection = inspected(score=0.5)
    large = heat_at(300, 700, (500, 1000))
    record = evaluator.add(
        sample_with(), type(inspection)(**{**vars(inspection), "maps": {"heat_map": large}})
    )
    assert record.heat.shape == (32, 64)
    assert np.unravel_index(record.heat.argmax(), (32, 64)) == (19, 44)
