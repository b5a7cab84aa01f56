from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle.manifest import SCHEMA_VERSION, Manifest, Preprocessing, parse_manifest
from blemish.errors import BlemishError

FILE = Path("bundle/manifest.json")


def fields(**changes: Any) -> dict[str, Any]:
    manifest = Manifest(
        method="severity",
        class_names=("scratch", "Fleck ü"),
        preprocessing=Preprocessing(channels=1),
        tiling={"tile": 64, "halo": 8, "stride": 4},
        thresholds={"severity": 4.25},
        files={"severity.safetensors": "0" * 64},
    )
    return {**json.loads(manifest.to_json()), **changes}


def refusal(**changes: Any) -> str:
    with pytest.raises(BlemishError) as caught:
        parse_manifest(json.dumps(fields(**changes)), FILE)
    message = str(caught.value)
    assert "\n" not in message
    assert str(FILE) in message
    return message


def test_what_is_written_is_read_back() -> None:
    manifest = parse_manifest(json.dumps(fields()), FILE)
    assert parse_manifest(manifest.to_json(), FILE) == manifest
    assert manifest.class_names == ("scratch", "Fleck ü")


def test_an_unknown_key_is_refused_and_the_nearest_named() -> None:
    assert "unknown key 'treshold'. Did you mean 'thresholds'?" in refusal(treshold={})


def test_an_unknown_key_inside_is_refused() -> None:
    assert "unknown key 'preprocessing.mean'" in refusal(preprocessing={"channels": 1, "mean": 3})


def test_a_newer_schema_asks_for_an_update_and_an_older_one_for_training() -> None:
    newer, older = refusal(schema_version=SCHEMA_VERSION + 1), refusal(schema_version=0)
    assert f"Received: {SCHEMA_VERSION + 1}. Update blemish." in newer
    assert "Received: 0. Train it again." in older


@pytest.mark.parametrize("version", [None, "1", 1.5, [1]])
def test_a_schema_that_is_no_version_is_refused(version: Any) -> None:
    assert f"Received: {version}." in refusal(schema_version=version)


def test_a_newer_schema_is_said_before_its_unknown_keys() -> None:
    assert "Update blemish" in refusal(schema_version=SCHEMA_VERSION + 1, novelty=1)


def test_a_missing_key_and_a_wrong_type_are_named() -> None:
    without = {key: value for key, value in fields().items() if key != "method"}
    with pytest.raises(BlemishError, match="'method' is missing"):
        parse_manifest(json.dumps(without), FILE)
    assert "'thresholds.severity'" in refusal(thresholds={"severity": "high"})


SHARE = {"n": 1, "of": 20, "lower95": 0.002, "upper95": 0.2}
POINT = {
    "rule": "f1",
    "threshold": 0.5,
    "review_threshold": 0.25,
    "escapes": SHARE,
    "overkill": SHARE,
    "review": SHARE,
    "notes": ["few parts"],
}


def test_an_operating_point_is_read_back_and_may_be_absent() -> None:
    manifest = parse_manifest(json.dumps(fields(operating_point=POINT)), FILE)
    assert json.loads(manifest.to_json())["operating_point"] == POINT
    assert parse_manifest(json.dumps(fields()), FILE).operating_point is None


@pytest.mark.parametrize("key", POINT)
def test_an_operating_point_without_a_key_is_refused(key: str) -> None:
    without = {name: value for name, value in POINT.items() if name != key}
    assert f"'operating_point.{key}' is missing" in refusal(operating_point=without)


def test_a_fault_inside_an_operating_point_is_refused() -> None:
    assert "'operating_point.threshold'" in refusal(operating_point={**POINT, "threshold": "high"})
    assert "unknown key 'operating_point.limit'" in refusal(operating_point={**POINT, "limit": 1})
    no_bound = {**POINT, "review": {"n": 1, "of": 20}}
    assert "'operating_point.review.lower95' is missing" in refusal(operating_point=no_bound)


def test_curves_are_the_methods_own() -> None:
    curves = {"episodes": {"accuracy": [[0.5], None, "any"]}}
    assert parse_manifest(json.dumps(fields(curves=curves)), FILE).curves == curves


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_threshold_that_is_no_number_is_refused(number: str) -> None:
    """NaN compares false with everything: such a bundle would call every image OK."""
    text = json.dumps(fields()).replace("4.25", number)
    with pytest.raises(BlemishError, match=r"'thresholds\.severity'"):
        parse_manifest(text, FILE)


@pytest.mark.parametrize("text", ["", "{", "not json", '{"method": "severity",}', "[" * 100_000])
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(BlemishError, match="is not JSON"):
        parse_manifest(text, FILE)


def test_json_that_is_no_object_is_refused() -> None:
    with pytest.raises(BlemishError, match="must hold a JSON object"):
        parse_manifest("[1, 2]", FILE)


def test_a_manifest_is_frozen() -> None:
    manifest = parse_manifest(json.dumps(fields()), FILE)
    with pytest.raises(ValueError, match="frozen"):
        manifest.method = "other"  # type: ignore[misc]
