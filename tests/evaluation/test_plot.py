"""Line charts: every point where the axes say, and every line named once."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from blemish.evaluation.records import Curve
from blemish.evaluation.report.charts import line_chart


def tree(x: tuple[float, ...], lines: dict[str, tuple[float, ...]]) -> ElementTree.Element:
    return ElementTree.fromstring(str(line_chart(Curve("A < B", "steps", "share", x, lines))))


def texts(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {element.text or "": element for element in root.iter("text")}


def of_class(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [element for element in root.iter() if element.get("class", "").startswith(kind)]


def place(root: ElementTree.Element, x: float, y: float) -> tuple[float, float]:
    """Position of (x, y) by numbers printed on the axes: 0 and 1 upright, 0 and the last one across."""
    rows = {each.text: float(each.get("y", "")) - 4 for each in root.iter("text") if each.get("x") == "41.0"}
    columns = {each.text: float(each.get("x", "")) for each in root.iter("text") if each.get("y") == "272.0"}
    last = max(columns, key=lambda text: float(text or 0))
    across = columns["0"] + x / float(last or 1) * (columns[last] - columns["0"])
    return across, rows["0"] + y * (rows["1"] - rows["0"])


def test_points_lie_where_the_axes_say() -> None:
    root = tree((0, 2, 4), {"a": (0.25, 1.0, 0.75)})
    (drawn,) = of_class(root, "line")
    points = [tuple(map(float, pair.split(","))) for pair in drawn.get("points", "").split()]
    assert points == [pytest.approx(place(root, x, y), abs=0.1) for x, y in ((0, 0.25), (2, 1.0), (4, 0.75))]


def test_a_single_point_is_a_dot() -> None:
    (dot,) = of_class(tree((0,), {"a": (0.5,)}), "dot")
    assert float(dot.get("r", "")) > 0


def test_each_line_is_named_once() -> None:
    """At its end, or in a key above where ends lie too close for that."""
    for heights in ([0.1, 0.9], [0.5] * 6):
        names = [f"line {number}" for number in range(len(heights))]
        root = tree((0, 1), {name: (0.5, height) for name, height in zip(names, heights, strict=True)})
        assert sorted(element.text or "" for element in of_class(root, "end")) == names
        top = float(root.get("viewBox", "").split()[1])
        assert min(float(element.get("y", "")) for element in root.iter("text")) > top + 7


def test_axes_are_named() -> None:
    assert {"steps", "share"} <= set(texts(tree((0, 1), {"a": (0, 1)})))
