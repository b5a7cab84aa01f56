"""Manifests and settings of older versions, upgraded as they are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import Manifest, Preprocessing, load_bundle, migrations, save_bundle
from blemish.bundle.manifest import parse_manifest
from blemish.bundle.migrations import (
    LEGACY,
    comparable_settings,
    legacy_defaults,
    rename_settings,
    upgrade_manifest,
    upgrade_settings,
)
from blemish.bundle.store import MANIFEST, sha256
from blemish.errors import BlemishError
from blemish.methods import find_method

# As version 0.1 wrote it: with scales and divisors, and the images it knows in two overlapping lists.
OF_0_1: dict[str, Any] = {
    "schema_version": 1,
    "method": "casae",
    "class_names": ["dent"],
    "preprocessing": {"channels": 1, "divisors": {"uint8": 255.0, "uint16": 65535.0}},
    "tiling": {},
    "thresholds": {"probability": 0.5},
    "scales": {"severity": 80.0},
    "settings": {"width": 4},
    "operating_point": None,
    "metrics": {},
    "curves": {},
    "memory": {},
    "notes": [],
    "data": {"origin": "parts", "seen": ["c", "a", "b"], "watched": ["b"], "seen_before": ["c"]},
    "data_fingerprint": "",
    "provenance": {"commit": "abc", "created": "2026-01-01T00:00:00+00:00"},
    "files": {},
}


@pytest.fixture
def renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "RENAMED", {"casae": {"breadth": "width"}})


def test_a_manifest_of_0_1_is_read_as_todays() -> None:
    manifest = parse_manifest(json.dumps(OF_0_1), Path("manifest.json"))
    assert manifest.preprocessing == Preprocessing(channels=1)
    assert manifest.settings == {"width": 4, **LEGACY["casae"]}
    assert manifest.data == {
        "origin": "parts",
        "trained_on": ["a", "c"],
        "validated_on": ["b"],
        "trained_on_before": ["c"],
    }
    assert parse_manifest(manifest.to_json(), Path("manifest.json")) == manifest


def test_an_upgraded_manifest_is_not_upgraded_further_and_the_old_one_left_alone() -> None:
    before = json.dumps(OF_0_1)
    once = upgrade_manifest(OF_0_1)
    assert upgrade_manifest(once) == once
    assert json.dumps(OF_0_1) == before


@pytest.mark.parametrize("key", ["preprocessing", "settings", "data", "method"])
def test_what_is_of_the_wrong_type_is_refused_as_ever(key: str) -> None:
    with pytest.raises(BlemishError, match=rf"'{key}' must be"):
        parse_manifest(json.dumps({**OF_0_1, key: 3}), Path("manifest.json"))


def test_an_upgraded_bundle_keeps_the_id_that_decisions_know_it_by(tmp_path: Path) -> None:
    text = json.dumps(OF_0_1, indent=1, ensure_ascii=False) + "\n"
    (tmp_path / MANIFEST).write_text(text)
    timeless = text.replace(',\n  "created": "2026-01-01T00:00:00+00:00"', "")
    assert timeless != text
    loaded = load_bundle(tmp_path)
    assert loaded.id == f"casae-{sha256(timeless.encode())[:12]}"
    again = save_bundle(tmp_path / "again", loaded.manifest, {})
    assert again.id == load_bundle(again.path).id != loaded.id, "what is written anew is another bundle"


def test_the_id_follows_a_manifest_that_is_changed_after_loading(tmp_path: Path) -> None:
    made = Manifest(method="casae", class_names=("dent",), preprocessing=Preprocessing(channels=1))
    loaded = load_bundle(save_bundle(tmp_path / "a", made, {}).path)
    changed = made.model_copy(update={"thresholds": {"ng": 0.5}})
    assert replace(loaded, manifest=changed).id == save_bundle(tmp_path / "b", changed, {}).id != loaded.id


def test_a_bundle_older_than_a_setting_has_what_was_done_before_it() -> None:
    assert upgrade_settings("casae", {"width": 4}) == {"width": 4, **LEGACY["casae"]}
    own = {"width": 4, **dict.fromkeys(LEGACY["casae"], True)}
    assert upgrade_settings("casae", own) == own
    of_medetection = {"backbone_level": 4, **LEGACY["medetection"]}
    assert upgrade_settings("medetection", {"backbone_level": 4}) == of_medetection


@pytest.mark.parametrize("method", LEGACY)
def test_what_was_before_a_setting_is_a_value_of_it_and_not_its_default(method: str) -> None:
    settings_type = find_method(method).settings_type
    whole = settings_type().model_dump(mode="json")
    assert legacy_defaults(method, settings_type) == {**whole, **LEGACY[method]}
    encoder = {name: LEGACY[method][name] for name in LEGACY[method].keys() & {"encoder"}}
    usual = settings_type.model_validate(encoder).model_dump(mode="json")  # other defaults stand with it
    for name, value in LEGACY[method].items():
        assert usual[name] != value or whole[name] != value
        assert getattr(settings_type.model_validate({**whole, name: value}), name) == value


@pytest.mark.usefixtures("renamed")
def test_older_names_of_settings_are_read_as_todays() -> None:
    assert rename_settings("casae", {"breadth": 4, "size": 2}, source="--set") == {"width": 4, "size": 2}
    assert rename_settings("severity", {"breadth": 4}, source="--set") == {"breadth": 4}
    stored = {**OF_0_1, "settings": {"breadth": 4}}
    assert parse_manifest(json.dumps(stored), Path("m")).settings == {"width": 4, **LEGACY["casae"]}


@pytest.mark.usefixtures("renamed")
def test_a_setting_by_both_of_its_names_is_refused() -> None:
    both = {"breadth": 4, "width": 5}
    with pytest.raises(BlemishError, match=r"--set: 'breadth' is the older name of setting 'width'\. Rec"):
        rename_settings("casae", both, source="--set")
    with pytest.raises(BlemishError, match=r"^bundle/m: settings: 'breadth' is the older name"):
        parse_manifest(json.dumps({**OF_0_1, "settings": both}), Path("bundle/m"))


@pytest.mark.parametrize("method", migrations.RENAMED)
def test_every_renamed_setting_has_a_new_name_that_is_known_and_an_old_one_that_is_not(method: str) -> None:
    known = find_method(method).settings_type.model_fields
    for old, new in migrations.RENAMED[method].items():
        assert new in known and old not in known


def test_rules_by_the_data_equal_those_that_had_to_be_spelled_before() -> None:
    older = {"ng_rule": "f1", "of.review_rule": "escape<=0", "device": "auto"}
    newer = {"ng_rule": "auto", "of.review_rule": "auto", "device": "auto"}
    assert comparable_settings(newer) == comparable_settings(older) == older
    assert comparable_settings({"ng_rule": "overkill<=0"}) == {"ng_rule": "overkill<=0"}
