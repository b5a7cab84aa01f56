"""At the end of a training the user is told what the bundle is worth, from training and validation images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from blemish.dataset.samples import Dataset
from blemish.evaluation import baselines
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.training.log import LOG_FILE, read_log
from blemish.training.request import Request
from blemish.training.run import train


def test_figures_and_warnings_are_told_and_logged_without_test_images(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    whole = baselines.read_image
    monkeypatch.setattr(
        baselines, "read_image", lambda path, **rest: read.append(path) or whole(path, **rest)
    )
    told: list[str] = []
    monkeypatch.setattr(Reporter, "line", lambda _, message: told.append(message))
    method = find_method("severity")
    short = {**tiny_settings, "steps": 4, "types": False}
    bundle = train(
        Request(method, tiny_dataset, method.settings_type.model_validate(short), tmp_path), Reporter()
    )
    images = {
        split: {sample.image for sample in tiny_dataset.split(split)} for split in ("train", "val", "test")
    }
    assert {*read} & images["train"] and {*read} & images["val"]
    assert not {*read} & images["test"]
    number = len(images["val"])
    start = next(
        index for index, line in enumerate(told) if line.startswith(f"validation, {number} images (the ")
    )
    point = bundle.manifest.operating_point
    assert point is not None
    assert f"{point.escapes.n} of {point.escapes.of} defective parts" in told[start]
    assert any(line.startswith("AUROC ") and "mean brightness alone" in line for line in told[start:])
    assert any(line.startswith("warning: No better than") for line in told[start:]), "4 steps teach nothing"
    logged = [entry["note"] for entry in read_log(tmp_path / LOG_FILE) if "note" in entry]
    assert [line for line in logged if line in told[start:]] == told[start:]
    learned = bundle.manifest.data["learned_from"]
    assert sum(learned.values()) == len(images["train"])
    assert learned["defective"] == sum(sample.is_defective for sample in tiny_dataset.split("train"))
