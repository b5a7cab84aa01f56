"""Annotations held against their image and against each other: each kind of fault planted once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import builders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.quality.check_annotations import check_annotations, overlaps
from blemish.dataset.quality.problems import ERROR, WARNING, Problem
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, Sample

NAN, INFINITE = float("nan"), float("inf")


def square(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def problems(*marks: Annotation) -> list[Problem]:
    return [*check_annotations(Sample(Path("a.png"), "a.png", marks), builders.SIZE)[1]]


@pytest.mark.parametrize(
    ("mark", "severity", "words"),
    [
        (Annotation("a", (NAN, 1.0, 5.0, 5.0)), ERROR, "a box must be of finite numbers"),
        (Annotation("a", (1.0, 1.0, INFINITE, 5.0)), ERROR, "a box must be of finite numbers"),
        (Annotation("a", (-1e21, 1.0, 5.0, 5.0)), ERROR, "a box must be of finite numbers"),
        (
            Annotation("a", polygons=(((NAN, 1.0), (5.0, 1.0), (5.0, 5.0)),)),
            ERROR,
            "outline must be of finite",
        ),
        (
            Annotation("a", polygons=(((1e21, 1.0), (5.0, 1.0), (5.0, 5.0)),)),
            ERROR,
            "outline must be of finite",
        ),
        (Annotation("a", polygons=(square(30, 1, 40, 5),)), ERROR, "an outline must lie in the image, 30×20"),
        (Annotation("a", polygons=(square(-3, 1, 5, 5),)), WARNING, "within (-3, 1, 5, 5). Cut it"),
        (
            Annotation("a", polygons=(square(1, 1, 5, 25),)),
            WARNING,
            "an outline should end in the image, 30×20",
        ),
        (
            Annotation("a", polygons=(square(2.1, 2.1, 2.4, 2.4),)),
            WARNING,
            "an outline that encloses no pixel",
        ),
        (Annotation("a", mask=encode(np.zeros((20, 30), np.bool_))), WARNING, "an empty mask"),
        (Annotation("a", mask=encode(np.ones((5, 5), np.bool_))), ERROR, "of its image's size"),
        (
            Annotation("a", (20.0, 10.0, 30.0, 20.0), (square(1, 1, 5, 5),)),
            WARNING,
            "a box must fit its outline",
        ),
        (Annotation("a", (5.0, 5.0, 1.0, 1.0), (square(1, 1, 5, 5),)), WARNING, "a box must fit its outline"),
        (Annotation("a", (1.0, 1.0, 5.0, 5.5), (square(1, 1, 5, 5),)), "", ""),
        (Annotation("a", polygons=(square(0, 0, 30, 20),)), "", ""),
    ],
)
def test_one_annotation(mark: Annotation, severity: str, words: str) -> None:
    found = problems(mark)
    assert [problem.severity for problem in found] == ([severity] if severity else [])
    assert all(words in problem.message and "a.png" in problem.message for problem in found)


def test_equal_annotations_are_counted() -> None:
    mark = Annotation("a", (1.0, 1.0, 5.0, 5.0))
    (problem,) = problems(replace(mark, id="1"), replace(mark, id="2"), replace(mark, id="3"))
    assert "3 times the same annotation, a at (1, 1, 5, 5)" in problem.message
    label = Annotation("a")
    assert "2 times the same annotation, a. Keep one" in problems(label, label)[0].message
    assert not problems(mark, replace(mark, difficult=True), replace(mark, box_xyxy=(1.0, 1.0, 5.0, 6.0)))
    (nearly,) = problems(mark, replace(mark, box_xyxy=(1.0, 1.0, 5.0, 5.1)))
    assert nearly.kind == "nearly-same-box"


def test_two_classes_at_one_place() -> None:
    box, outline = (
        Annotation("a", (1.0, 1.0, 11.0, 11.0)),
        Annotation("b", polygons=(square(1, 1, 11, 10.6),)),
    )
    (problem,) = problems(box, outline)
    assert "a place should have one class. Received: a and b at (1, 1, 11, 11)" in problem.message
    for other in (
        replace(outline, label="a"),
        replace(outline, crowd=True),
        Annotation("b", (1.0, 1.0, 11.0, 9.0)),
    ):
        assert not problems(box, other)


boxes = st.tuples(*[st.integers(-3, 9)] * 4)


@settings(deadline=None)
@given(boxes, boxes)
def test_overlap_counts_cells(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    grids = [np.zeros((12, 12), np.bool_) for _ in range(2)]
    for grid, (left, top, right, bottom) in zip(grids, (first, second), strict=True):
        grid[top + 3 : max(top, bottom) + 3, left + 3 : max(left, right) + 3] = True
    union = (grids[0] | grids[1]).sum()
    expected = (grids[0] & grids[1]).sum() / union if union else 0
    assert overlaps(np.array([first, second], float))[0, 1] == pytest.approx(expected)


def test_ignored_regions_are_counted(tmp_path: Path) -> None:
    dataset = load_dataset(builders.voc_layout(tmp_path))
    marks = (
        Annotation("dent", (1.0, 1.0, 5.0, 5.0), crowd=True),
        Annotation("dent", (6.0, 6.0, 9.0, 9.0), difficult=True),
    )
    samples = (replace(dataset.samples[0], annotations=marks), dataset.samples[1])
    report = check_dataset(replace(dataset, samples=samples))
    assert report.ignored == {"crowd": 1, "difficult": 1}
    assert report.to_json()["ignored"] == {"crowd": 1, "difficult": 1}
