"""Lines of inspections whose keys are all there, but with values that are no such thing."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from coco_sets import HEIGHT, WIDTH
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import metrics_json
from blemish.evaluation.predictions.inspections import read_inspections
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box

Change = Callable[[dict[str, Any]], Any]
ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e300,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x",
    [],
    {},
    [[]],
    [1],
    {"a": 1},
    "\0",
)


def line_of(name: str = "a") -> dict[str, Any]:
    found = (defect_of_box((2, 3, 12, 11), "dent", 0.9),)
    timings = {"total": 2.5}
    return Inspection(f"images/{name}.png", (HEIGHT, WIDTH), Verdict.NG, 0.9, found, "b", timings).to_json()


def write(path: Path, *lines: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def set_in(*keys: Any, value: Any) -> Change:
    def change(line: dict[str, Any]) -> None:
        holder: Any = line
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "received"),
    [
        (set_in("image", value=5), "image 5"),
        (set_in("image", value=""), "image ''"),
        (set_in("size", value=None), "no size"),
        (set_in("size", value=[20]), "size (20,)"),
        (set_in("size", value=[20.5, 30]), "size (20.5, 30)"),
        (set_in("size", value=[-20, 30]), "size (-20, 30)"),
        (set_in("mm_per_px", value=float("nan")), "mm_per_px nan"),
        (set_in("timings_ms", "total", value=float("nan")), "timings that are no numbers"),
        (set_in("error", value=3), "an error or grade that is no text"),
        (set_in("verdict", value="BAD"), "'BAD' is not a valid Verdict"),
        (set_in("defects", 0, "label", value=7), "label 7 in defect 0"),
        (lambda line: line.update(under_limit=[{**line["defects"][0], "label": 7}]), "label 7 in finding 0"),
        (set_in("defects", 0, "confidence", value=None), "confidence None in defect 0"),
        (set_in("defects", 0, "confidence", value=1.5), "confidence 1.5 in defect 0"),
        (
            set_in("defects", 0, "box_xyxy", value=[1, 2, float("nan"), 4]),
            "box_xyxy (1, 2, nan, 4) in defect 0",
        ),
        (set_in("defects", 0, "box_xyxy", value=[5, 2, 1, 4]), "box_xyxy (5, 2, 1, 4) in defect 0"),
        (
            set_in("defects", 0, "contour", 0, 1, value=[1, float("inf")]),
            "a contour that is no list of points",
        ),
        (set_in("defects", 0, "area", value="4"), "a rectangle that is no number"),
        (set_in("defects", 0, "rectangle", "length", value=None), "a rectangle that is no number"),
    ],
)
def test_a_value_that_is_none_is_one_line(boxes: Path, tmp_path: Path, change: Change, received: str) -> None:
    line = line_of()
    change(line)
    with pytest.raises(BlemishError) as caught:
        read_inspections(write(tmp_path / "i.jsonl", line_of("b"), line), load_dataset(boxes))
    assert f"line 2 must be an inspection as `blemish inspect` writes it. Received: {received}" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_a_key_given_twice_is_one_line(boxes: Path, tmp_path: Path) -> None:
    text = json.dumps(line_of()).replace('"score"', '"score": 0.1, "score"')
    (tmp_path / "i.jsonl").write_text(text + "\n")
    with pytest.raises(BlemishError, match="the key 'score' twice"):
        read_inspections(tmp_path / "i.jsonl", load_dataset(boxes))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_value_is_measured_or_refused(
    boxes: Path, tmp_path: Path, measured: Any, data: st.DataObject
) -> None:
    """Whatever one value of a line becomes, there is a number for every metric or one line."""
    line = copy.deepcopy(line_of())
    holder, key = data.draw(st.sampled_from(list(places(line))))
    holder[key] = data.draw(st.sampled_from(ODD))
    file = write(tmp_path / "i.jsonl", line, line_of("b"), line_of("c"))
    try:
        evaluation, _ = measured(file, boxes)
    except BlemishError as error:
        assert "\n" not in str(error)
    else:
        assert json.loads(metrics_json(evaluation))["images"] == 3


def places(value: Any) -> list[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, inner in list(items) for place in [(value, key), *places(inner)]]
