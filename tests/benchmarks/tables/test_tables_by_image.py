"""Differences of two rows on the same images: by hand, against a formula, and near duplicates as one draw."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from benchmarks.tables.by_image import BY_IMAGE, RATIOS, difference_over_images
from benchmarks.tables.lines import columns_of, difference, lines_of
from benchmarks.tables.markdown import table_markdown
from benchmarks.tables.results import Result
from benchmarks.tables.schema import Column, Experiment

NAMES = (
    "pixels_right", "pixels_found", "pixels_true", "pixels_right_2px", "pixels_recalled_2px",
    "defects_right", "defects_found", "defects_true", "clean", "clean_rejected",
)  # fmt: skip


def stored(images: int, **counts: list[int]) -> dict[str, Any]:
    """What a row stores of so many images, each a group of its own; every other one is defective."""
    return {
        "groups": list(range(images)),
        "defective": [number % 2 for number in range(images)],
        "scores": [0.5] * images,
        **{name: [0] * images for name in NAMES},
        **counts,
    }


def result(row: str, seed: int, images: dict[str, Any], f1: float = 0.0) -> Result:
    return Result(
        table="t", row=row, kind="train", seed=seed, device=None, seconds=1, settings={}, dataset="d",
        data_fingerprint="f", command="c", provenance={},
        figures={
            BY_IMAGE: images,
            "pixel": {"f1": f1},
            "defect": {"classes": {"dent": {"recall_at_30": {"n": 1, "of": 4, "upper95": 0.8}}}},
        },
    )  # fmt: skip


def experiment(**column: Any) -> Experiment:
    rows = [{"name": "first", "kind": "train"}, {"name": "second", "kind": "train", "against": "first"}]
    columns = [column, {"path": "defect.classes.*.recall_at_30", "heading": "found", "bounded": False}]
    return Experiment.model_validate({
        "title": "T", "paper": "P", "dataset": "d", "rows": rows, "columns": columns
    })  # fmt: skip


def test_the_difference_is_that_of_pooled_counts() -> None:
    ours = stored(2, pixels_right=[6, 0], pixels_found=[8, 2], pixels_true=[8, 0])
    theirs = stored(2, pixels_right=[3, 0], pixels_found=[3, 0], pixels_true=[8, 0])
    found = difference_over_images([ours], [theirs], "pixel.iou")
    assert found is not None
    assert found.mean == pytest.approx(6 / 12 - 3 / 8)
    found = difference_over_images([ours], [theirs], "pixel.f1")
    assert found is not None
    assert found.mean == pytest.approx(2 * 0.6 * 0.75 / 1.35 - 2 * 1 * 0.375 / 1.375)


def test_seeds_are_averaged() -> None:
    right = ([6, 0], [4, 0])
    ours = [stored(2, pixels_right=each, pixels_true=[8, 0]) for each in right]
    theirs = [stored(2, pixels_right=[2, 0], pixels_true=[8, 0])] * 2
    found = difference_over_images(ours, theirs, "pixel.recall")
    assert found is not None
    assert found.mean == pytest.approx((0.5 + 0.25) / 2)
    assert found.draws == 2


def test_the_interval_is_that_of_a_mean_of_paired_differences() -> None:
    """Where all images weigh alike, the ratio is a mean, whose standard error is known."""
    generator = np.random.default_rng(3)
    theirs, more = generator.random(400) < 0.3, generator.random(400) < 0.2
    counts = {"clean": [1] * 400}
    rows = [
        stored(400, **counts, clean_rejected=called.astype(int).tolist())
        for called in (theirs | more, theirs)
    ]
    found = difference_over_images([rows[0]], [rows[1]], "operating_point.overkill")
    differences = (theirs | more).astype(float) - theirs
    error = differences.std() / math.sqrt(400)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.mean == pytest.approx(differences.mean())
    assert found.low == pytest.approx(differences.mean() - 1.96 * error, abs=0.25 * error)
    assert found.high == pytest.approx(differences.mean() + 1.96 * error, abs=0.25 * error)


def test_near_duplicates_are_one_draw() -> None:
    generator = np.random.default_rng(1)
    rows, doubled = [], []
    for _ in range(2):
        right = generator.integers(0, 9, 30).tolist()
        row = stored(30, pixels_right=right, pixels_true=[9] * 30)
        rows.append(row)
        doubled.append({name: values * 2 for name, values in row.items()})
    alone, twice = (difference_over_images([a], [b], "pixel.recall") for a, b in (rows, doubled))
    assert alone == twice


def test_a_row_does_not_differ_from_itself() -> None:
    row = stored(8, pixels_right=[1, 2, 3, 4, 0, 1, 2, 3], pixels_true=[4] * 8, pixels_found=[5] * 8)
    for path in ("pixel.iou", "pixel.f1", "image.auroc"):
        found = difference_over_images([row], [row], path)
        assert found is not None
        assert (found.mean, found.low, found.high) == (0, 0, 0)


def test_what_these_images_do_not_have_has_no_difference() -> None:
    row = {**stored(4), "defective": [1] * 4}
    assert [difference_over_images([row], [row], path) for path in ("image.auroc", *RATIOS)] == [None] * (
        1 + len(RATIOS)
    )


def test_other_images_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="the same images"):
        difference_over_images([stored(4)], [stored(6)], "pixel.iou")


def test_a_column_says_what_differences_are_over() -> None:
    results = [
        result(row, seed, stored(4, pixels_right=[right] * 4, pixels_found=[9] * 4, pixels_true=[9] * 4), f1)
        for seed in (0, 1)
        for row, right, f1 in (("first", 3, 0.1), ("second", 6, 0.1 + 0.1 * seed))
    ]
    table = experiment(path="pixel.f1", heading="F1", paired="images")
    first, second = lines_of(table, results)
    found = difference(second, first, table.columns[0])
    assert found is not None
    assert found.mean == pytest.approx(3 / 9)
    page = table_markdown("t", table, results)
    assert "Difference to first on the same images" in page
    assert "| second | 2 | +0.333 [+0.333, +0.333]" in page
    by_draw = difference(second, first, Column(path="pixel.f1", heading="F1", paired="draws"))
    assert by_draw is not None
    assert by_draw.mean == pytest.approx(0.05)
    assert experiment(path="pixel.f1", heading="F1", paired=True).columns[0].paired == "draws"
    assert experiment(path="pixel.f1", heading="F1", paired=False).columns[0].paired is None


def test_a_column_of_each_class_may_go_on_behind_it() -> None:
    results = [result(row, 0, stored(2)) for row in ("first", "second")]
    table = experiment(path="pixel.f1", heading="F1")
    assert [column.path for column in columns_of(table, results)][1:] == ["defect.classes.dent.recall_at_30"]
    assert "| first | 1 | 0.000 | 1 of 4 |" in table_markdown("t", table, results)


def test_only_stored_counts_can_be_paired_by_image() -> None:
    with pytest.raises(ValueError, match=r"paired: images must be on one of image\.auroc"):
        experiment(path="pixel.auprc", heading="area", paired="images")
