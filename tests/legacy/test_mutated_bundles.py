"""A bundle whose manifest or decision is changed anywhere is refused in a line, or opens and judges.

A hash over them would be no protection: whoever changes them changes it, too.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blemish.errors import BlemishError
from blemish.inspection import Verdict
from blemish.inspector.inspector import or_failed
from blemish.inspector.loading import open_inspector

BUNDLES = ("severity", "casae", "casae-onnx", "medetection", "tlsdd")
PIXELS = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
NESTED: Any = 1
for _ in range(900):
    NESTED = [NESTED]
VALUES: dict[str, Any] = {
    "null": None, "true": True, "false": False, "zero": 0, "one": 1, "minus": -1, "a half": 0.5, "big": 10**9,
    "bigger": 2**62, "beyond": 10**30, "of 5000 digits": 10**5000, "tiny": 1e-320, "great": 1e300,
    "NaN": float("nan"),
    "∞": float("inf"), "−∞": -float("inf"), "text": "x", "number": "0.5", "empty": "", "NUL": "a\0b",
    "surrogate": "\ud800", "path": "../x", "long": "x" * 5000, "list": [], "lists": [[1]], "object": {},
    "objects": {"a": {"b": 1}}, "nested": NESTED,
}  # fmt: skip
RULES: dict[str, Any] = {
    "schema_version": 1,
    "revision": 3,
    "score": {"review": 0.25, "ng": 0.5},
    "classes": {"crack": {"review": 0.5, "ng": 0.9}},
    "limits": [{"measure": "length", "unit": "px", "of": "crack", "review": 1.0, "ng": 3.0}],
    "ignore": [{"measure": "area", "unit": "px", "below": 4.0}],
    "grades": [{"measure": "severity", "rework": 3.0, "scrap": 8.0}],
    "costs": {"escape": 100.0, "overkill": 1.0},
}


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Places of all values, of long lists of the first two."""
    if place:
        yield place
    keys = value if isinstance(value, dict) else range(min(len(value), 2)) if isinstance(value, list) else ()
    for key in keys:
        yield from places(value[key], (*place, key))


def put(whole: Any, place: tuple[Any, ...], value: Any) -> None:
    inner(whole, place)[place[-1]] = value


def drop(whole: Any, place: tuple[Any, ...]) -> None:
    del inner(whole, place)[place[-1]]


def rename(whole: Any, place: tuple[Any, ...]) -> None:
    parent = inner(whole, place)
    if isinstance(parent, dict):
        parent["other"] = parent.pop(place[-1])
    else:
        parent.append(parent[place[-1]])


def inner(whole: Any, place: tuple[Any, ...]) -> Any:
    for key in place[:-1]:
        whole = whole[key]
    return whole


def changes(whole: Any) -> st.SearchStrategy[Callable[[Any], None]]:
    """Changes of one value: dropped, renamed, or replaced by another of any type."""
    where = st.sampled_from([*places(whole)])
    replaced = st.tuples(where, st.sampled_from([*VALUES]))
    return st.one_of(
        where.map(lambda place: lambda fields: drop(fields, place)),
        where.map(lambda place: lambda fields: rename(fields, place)),
        replaced.map(lambda pair: lambda fields: put(fields, pair[0], VALUES[pair[1]])),
    )


def judged(bundle: Path) -> Verdict | str:
    """Verdict on noise, or the line by which the bundle is refused. Any other exception is a failure."""
    try:
        inspector = open_inspector(bundle, device="cpu")
    except BlemishError as error:
        assert "\n" not in str(error)
        return str(error)
    pixels = PIXELS[..., 0] if inspector.inference.channels == 1 else PIXELS
    inspection = or_failed(lambda: inspector.judge(pixels, "a.png"), "a.png", "bundle")
    json.dumps(inspection.to_json(), allow_nan=False)
    return inspection.verdict


@pytest.fixture(scope="module", params=BUNDLES)
def bundle(request: pytest.FixtureRequest, unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutated") / request.param
    shutil.copytree(unpacked / "bundles" / request.param, folder)
    for decision in folder.glob("decision*.yaml"):
        decision.unlink()
    return folder


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_changed_manifest_is_refused_or_judges(bundle: Path, data: st.DataObject) -> None:
    file = bundle / "manifest.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    change = data.draw(changes(whole))
    changed = copy.deepcopy(whole)
    change(changed)
    try:
        file.write_text(json.dumps(changed), encoding="utf-8")
    except ValueError:
        return  # JSON writes no whole number of so many digits
    try:
        judged(bundle)
    finally:
        file.write_text(json.dumps(whole), encoding="utf-8")


def test_every_value_of_the_top_level_is_refused_or_judges(bundle: Path) -> None:
    """Thresholds above all: whatever stands there, noise that is NG is never OK."""
    file = bundle / "manifest.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    assert judged(bundle) in (Verdict.NG, Verdict.REVIEW)
    try:
        for name in ("ng", "review"):
            for value in (None, True, "0.5", [], {}, 2, 1.5, 10**9, 1e300, float("nan"), float("inf")):
                changed = {**whole, "thresholds": {**whole["thresholds"], name: value}}
                file.write_text(json.dumps(changed), encoding="utf-8")
                outcome = judged(bundle)
                assert "thresholds" in str(outcome) or outcome == Verdict.REVIEW, (name, value, outcome)
    finally:
        file.write_text(json.dumps(whole), encoding="utf-8")


@settings(max_examples=100, deadline=None)
@given(change=changes({**RULES, "bundle": "b"}))
def test_a_changed_decision_is_refused_or_judges(unpacked: Path, change: Callable[[Any], None]) -> None:
    from blemish.decision.store import read_decision, refuse_open, refuse_unfit

    changed = copy.deepcopy({**RULES, "bundle": "b"})
    change(changed)
    file = unpacked / "decision.yaml"
    try:
        file.write_text(yaml.safe_dump(changed, allow_unicode=True), encoding="utf-8")
    except (ValueError, RecursionError):
        return  # YAML writes no halves of characters and none so deep
    try:
        decision = read_decision(file, bundle="b")
        refuse_unfit(decision, "file", labels=("crack",), scale=None, severity_max=12.0)
        refuse_open(decision, "file")
    except BlemishError as error:
        assert "\n" not in str(error)
        return
    for score in (0.0, 0.4, 1.0):
        assert decision.judge(score, ()).verdict is not Verdict.ERROR
