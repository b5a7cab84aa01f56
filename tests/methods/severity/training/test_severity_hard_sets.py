"""Sets that hold little to learn from: few defective images, defects nearly everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import load_bundle
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.inspector.loading import inspector_of
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train


def changed(dataset: Dataset, change: Callable[[Sample], Sample]) -> Dataset:
    return replace(dataset, samples=tuple(map(change, dataset.samples)))


def without_defects(dataset: Dataset, *kept: str) -> Dataset:
    """The dataset whose defects, but for those of the images with these names, are not marked."""
    return changed(dataset, lambda one: one if one.id in kept else replace(one, annotations=()))


def request(dataset: Dataset, tiny_settings: dict[str, Any], run: Path, **more: object) -> Request:
    method = find_method("severity")
    settings = {**tiny_settings, "steps": 3, "types_steps": 2, **more}
    return Request(method, dataset, method.settings_type.model_validate(settings), run)


def first_defective(dataset: Dataset, split: str) -> str:
    return next(one.id for one in dataset.split(split) if one.is_defective)


def test_a_set_with_one_defective_image_says_what_is_missing(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    alone = without_defects(tiny_dataset, first_defective(tiny_dataset, "train"))
    with pytest.raises(BlemishError, match="val") as caught:
        train(request(alone, tiny_settings, tmp_path / "run"), Reporter(quiet=True))
    assert "\n" not in str(caught.value)


def test_one_defective_image_in_each_split_is_enough_to_train(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    names = [first_defective(tiny_dataset, split) for split in ("train", "val")]
    few = without_defects(tiny_dataset, *names)
    bundle = train(request(few, tiny_settings, tmp_path / "run"), Reporter(quiet=True))
    assert 0 < bundle.manifest.thresholds["severity"] < 12
    assert 0 < bundle.manifest.thresholds["drop_above"] <= 1


def test_validation_without_defects_is_refused_in_a_line(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    marked = [one.id for one in tiny_dataset if one.split != "val"]
    with pytest.raises(BlemishError, match="val") as caught:
        train(
            request(without_defects(tiny_dataset, *marked), tiny_settings, tmp_path / "run"),
            Reporter(quiet=True),
        )
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("loss", ["hurdle", "paper"])
def test_defects_over_more_than_half_of_every_image_are_learned(
    loss: str, tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    """No image is clean, and no window: neither clean patches nor background windows are to be had."""
    label = tiny_dataset.class_names[0]
    outline = ((-1.0, -1.0), (300.0, -1.0), (300.0, 300.0), (-1.0, 300.0))
    mark = Annotation(label, polygons=(outline,))
    covered = changed(tiny_dataset, lambda one: replace(one, annotations=(mark,)))
    run = tmp_path / "run"
    more = {"loss": loss, "defect_cells": 100, "context": 4}
    bundle = train(request(covered, tiny_settings, run, **more), Reporter(quiet=True))
    inference = inspector_of(load_bundle(bundle.path), device="cpu").inference
    assert inference.tiling.tile > inference.tiles.tile == bundle.manifest.tiling["tile"]
