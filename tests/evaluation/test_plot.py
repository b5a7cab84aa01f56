"""Charts that are files: whole XML, every point where the axes say, legible without the page's style."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from blemish.evaluation.report.axes import AxisScale
from blemish.evaluation.report.plot import COLOURS, NamedLines, file_style, line_file

NAME = "{http://www.w3.org/2000/svg}"


def tree(
    lines: NamedLines, spans: dict[str, list[tuple[float, float, float]]], **more: object
) -> ElementTree.Element:
    svg = line_file(lines, spans, title="A < B", x_name="steps", y_name="share", **more)  # type: ignore[arg-type]
    return ElementTree.fromstring(svg)


def texts(root: ElementTree.Element) -> dict[str, ElementTree.Element]:
    return {one.text or "": one for one in root.iter(f"{NAME}text")}


def of_class(root: ElementTree.Element, kind: str) -> list[ElementTree.Element]:
    return [one for one in root.iter() if one.get("class", "").startswith(kind)]


def place(root: ElementTree.Element, x: float, y: float) -> tuple[float, float]:
    """Where the printed numbers 0 and 1 of either axis say that (x, y) is."""
    rows = {
        one.text: float(one.get("y", "")) - 4 for one in root.iter(f"{NAME}text") if one.get("x") == "41.0"
    }
    columns = {
        one.text: float(one.get("x", "")) for one in root.iter(f"{NAME}text") if one.get("y") == "272.0"
    }
    last = max(columns, key=lambda text: float(text or 0))
    across = columns["0"] + x / float(last or 1) * (columns[last] - columns["0"])
    return across, rows["0"] + y * (rows["1"] - rows["0"])


def test_points_and_whiskers_lie_where_the_axes_say() -> None:
    root = tree({"a": [(0, 0.25), (4, 0.75)]}, {"a": [(4, 0.5, 1.0)]})
    dots = [(float(one.get("cx", "")), float(one.get("cy", ""))) for one in of_class(root, "dot")]
    assert dots == [
        pytest.approx(place(root, 0, 0.25), abs=0.1),
        pytest.approx(place(root, 4, 0.75), abs=0.1),
    ]
    upright = of_class(root, "whisker")[0]
    ends = [(float(upright.get(f"x{n}", "")), float(upright.get(f"y{n}", ""))) for n in (1, 2)]
    assert ends == [pytest.approx(place(root, 4, 0.5), abs=0.1), pytest.approx(place(root, 4, 1.0), abs=0.1)]


def test_many_points_have_a_band_and_no_dots() -> None:
    points = [(float(x), x / 20) for x in range(11)]
    root = tree({"a": points}, {"a": [(x, y / 2, y) for x, y in points]})
    (band,), (drawn,) = of_class(root, "interval"), of_class(root, "line")
    corners = [tuple(map(float, pair.split(","))) for pair in band.get("points", "").split()]
    assert len(corners) == 22 and not of_class(root, "dot") and not of_class(root, "whisker")
    assert corners[10] == pytest.approx(place(root, 10, 0.25), abs=0.1)
    assert corners[11] == pytest.approx(place(root, 10, 0.5), abs=0.1)
    assert drawn.get("points", "").split()[-1] == band.get("points", "").split()[11]


def test_lines_of_few_points_stand_side_by_side_around_their_x() -> None:
    root = tree({"a": [(0, 0.2), (1, 0.5)], "b": [(0, 0.2), (1, 0.9)]}, {})
    across = [float(one.get("cx", "")) for one in of_class(root, "dot")]
    assert across[2] - across[0] == across[3] - across[1] == pytest.approx(6, abs=0.2)
    assert (across[0] + across[2]) / 2 == pytest.approx(place(root, 0, 0)[0], abs=0.1)


def test_each_line_is_named_once() -> None:
    """At its end, or in a key above where ends lie too close for that."""
    for heights in ([0.1, 0.9], [0.5] * 6):
        names = [f"line {number}" for number in range(len(heights))]
        lines = {name: [(0.0, 0.5), (1.0, height)] for name, height in zip(names, heights, strict=True)}
        root = tree(lines, {})
        assert [one.text for one in of_class(root, "end")].count("line 1") == 1
        assert sorted(one.text or "" for one in of_class(root, "end")) == names
        top = float(root.get("viewBox", "").split()[1])
        assert min(float(one.get("y", "")) for one in root.iter(f"{NAME}text")) > top + 10


def test_axes_are_named_and_can_have_ticks_of_their_own() -> None:
    root = tree({"a": [(1, 0.5), (10, 0.5)]}, {}, x_ticks=(1, 3, 10))
    assert {"steps", "share", "A < B", "1", "3", "10"} <= set(texts(root)) and "2" not in texts(root)
    assert AxisScale(0, 10, 0, 100, at=(1.0, 3.0)).ticks == [1.0, 3.0]


def test_a_file_has_its_colours_inside_for_light_and_dark() -> None:
    style = str(file_style(COLOURS))
    light, dark = style.split("@media (prefers-color-scheme: dark)")
    assert "var(" not in style and "http" not in style
    for kind in ("line", "dot", "interval", "whisker"):
        for number in range(COLOURS):
            rule = rf"\.{kind}\.colour-{number}\b[^{{]*\{{[^}}]*(#\w+)"
            assert re.search(rule, light)[1] != re.search(rule, dark)[1]  # type: ignore[index]
    assert "colour-1" in str(file_style(2)) and "colour-2" not in str(file_style(2))
