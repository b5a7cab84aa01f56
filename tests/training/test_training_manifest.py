"""Manifests of what was trained: where it came from, which images it knows, and its operating point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import Bundle, load_bundle
from blemish.bundle.manifest import known_images
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset
from blemish.methods import find_method
from blemish.methods.contract import Fitted, MethodSettings
from blemish.training.manifest import describe, followed_rules
from blemish.training.request import Request
from blemish.training.time_plan import StepCount


def request(dataset: Dataset, settings: Mapping[str, Any], run: Path, **changes: Any) -> Request:
    method = find_method("severity")
    return Request(method, dataset, method.settings_type.model_validate(settings), run, **changes)


def test_the_bundle_remembers_where_it_came_from(tiny_dataset: Dataset, tiny_bundle: Path) -> None:
    manifest = load_bundle(tiny_bundle, method="severity").manifest
    assert manifest.class_names == tiny_dataset.class_names
    assert manifest.data["splits"] == tiny_dataset.splits
    assert len(manifest.data_fingerprint) == 64
    assert manifest.settings["steps"] == 80
    assert 0 < manifest.thresholds["review"] <= manifest.thresholds["ng"] <= 1
    assert manifest.provenance["seed"] == 0
    assert manifest.operating_point is not None
    assert manifest.operating_point.threshold == manifest.thresholds["ng"]
    assert manifest.curves["region_choice"]["grow"] == manifest.thresholds["severity"]


def test_what_training_noticed_goes_into_the_bundle(tiny_dataset: Dataset, tmp_path: Path) -> None:
    method = find_method("severity")
    request = Request(method, tiny_dataset, method.settings_type.model_validate({}), tmp_path)
    fitted = Fitted({}, ("spot",), 1, {}, {}, notes=("few spots", "all of them small"))
    assert describe(request, tiny_dataset, fitted, "digest", {}).notes == ("few spots", "all of them small")


def test_a_bundle_remembers_what_its_start_and_the_way_to_it_have_seen(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    asked = request(tiny_dataset, {}, tmp_path)
    fitted = Fitted({}, ("spot",), 1, {}, {})
    first = describe(asked, tiny_dataset, fitted, "digest", {})
    learned, watched = (image_digests(tiny_dataset.split(split)) for split in ("train", "val"))
    assert first.data["trained_on"] == learned and first.data["trained_on_before"] == []
    assert first.data["validated_on"] == watched
    known = {"trained_on": ["of the start", watched[0]], "validated_on": ["watched by it"]}
    start = Bundle(tmp_path, first.model_copy(update={"data": known}), {})
    later = describe(
        replace(asked, initial_bundle=start),
        tiny_dataset,
        replace(fitted, trained_on_before=("before",)),
        "digest",
        {"first": StepCount(planned=600, taken=580)},
    )
    assert later.provenance["steps_planned"] == {"first": 600}
    assert later.provenance["steps_taken"] == {"first": 580}
    assert later.data["trained_on"] == sorted([*learned, "before", "of the start", watched[0]])
    assert later.data["validated_on"] == sorted([*watched[1:], "watched by it"])
    assert later.data["trained_on_before"] == ["before"]
    assert known_images(later.data) == {*learned, *watched, "before", "of the start", "watched by it"}


@pytest.mark.parametrize(
    ("settings", "any_defective", "rules"),
    [
        ({}, True, ("f1", "balance<=0.2")),
        ({}, False, ("overkill<=0.02@95%", "balance<=0.1")),
        ({"ng_rule": "max-iou"}, True, ("max-iou", "balance<=0.2")),
        ({"ng_rule": "f1"}, False, ("f1", "balance<=0.1")),
        ({"review_rule": "escape<=0"}, True, ("f1", "escape<=0")),
        ({"review_rule": "escape<=0.1"}, False, ("overkill<=0.02@95%", "escape<=0.1")),
    ],
)
def test_rules_follow_the_data_unless_they_are_set(
    settings: dict[str, str], any_defective: bool, rules: tuple[str, str]
) -> None:
    whole = MethodSettings(**settings).model_dump()
    assert followed_rules(whole, any_defective=any_defective) == rules
