"""A bundle's own answers, written down and read as predictions, give the bundle's figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.evaluation.operating_point import OperatingPoint
from blemish.evaluation.run import evaluate_samples
from blemish.inspector.loading import open_inspector
from blemish.progress import Reporter

NOT_IN_A_LINE = ("method", "seed", "seconds_per_image", "operating_point")


@pytest.fixture(scope="module")
def written_down(tiny_bundle: Path, tiny_dataset: Dataset, tmp_path_factory: Any) -> Path:
    inspector = open_inspector(tiny_bundle, device="cpu")
    lines = [
        json.dumps(inspector.inspect(each.image).to_json()) for each in tiny_dataset if each.split != "train"
    ]
    path: Path = tmp_path_factory.mktemp("lines") / "inspections.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def of_bundle(bundle: Path, dataset: Dataset) -> dict[str, Any]:
    inspector = open_inspector(bundle, device="cpu")
    point = OperatingPoint.from_json(load_bundle(bundle).manifest.operating_point)
    evaluator = evaluate_samples(inspector, dataset.split("test"), Reporter(quiet=True))
    result = evaluator.result(method="severity", split="test", seed=0, operating_point=point)
    return dict(result.metrics)


def same(one: Any, other: Any, place: str = "") -> None:
    """Equal, numbers to what a line rounds to."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for name in one:
            same(one[name], other[name], f"{place}.{name}")
    elif isinstance(one, float):
        assert other == pytest.approx(one, abs=2e-4), place
    else:
        assert one == other, place


def test_what_a_file_lists_on_images_that_are_ok_counts_as_under_the_limit(
    tiny_bundle: Path, tiny_dataset: Dataset, written_down: Path, tmp_path: Path, measured: Any
) -> None:
    """As in records of older versions, whose images that are OK list findings."""
    lines = [json.loads(line) for line in written_down.read_text().splitlines()]
    point = load_bundle(tiny_bundle).manifest.operating_point
    assert point is not None

    def figures(name: str, verdict: str, key: str) -> dict[str, Any]:
        changed = [
            {**line, "verdict": verdict, "defects": [], key: [*line["defects"], *line.get("under_limit", ())]}
            for line in lines
        ]
        file = tmp_path / name
        file.write_text("".join(json.dumps(line) + "\n" for line in changed))
        return dict(measured(file, tiny_dataset.root)[0].metrics)

    older, newer = (figures(f"{key}.jsonl", "OK", key) for key in ("defects", "under_limit"))
    listed = figures("listed.jsonl", "NG", "defects")
    assert older["findings"] == newer["findings"]
    assert older["findings"]["under_limit"] == listed["findings"]["listed"] > 0
    assert older["findings"]["listed"] == older["defect"]["found"] == 0
    assert older["pixel"]["recall"] == 0 < listed["pixel"]["recall"]


def test_inspections_give_the_same_metrics(
    tiny_bundle: Path, tiny_dataset: Dataset, written_down: Path, measured: Any
) -> None:
    expected = of_bundle(tiny_bundle, tiny_dataset)
    expected["pixel"]["auprc"] = None  # maps are not in the lines
    evaluation, notes = measured(written_down, tiny_dataset.root)
    got = dict(evaluation.metrics)
    for name in expected.keys() - set(NOT_IN_A_LINE):
        same(expected[name], got[name], name)
    for name in ("escapes", "overkill", "review", "rejected_elsewhere"):
        assert got["operating_point"][name] == expected["operating_point"][name]
    assert "file's own" in notes[0]


def test_the_bundles_rule_on_the_lines_of_val_finds_the_bundles_threshold(
    tiny_bundle: Path, tiny_dataset: Dataset, written_down: Path, measured: Any
) -> None:
    point = load_bundle(tiny_bundle).manifest.operating_point
    assert point is not None
    evaluation, _ = measured(written_down, tiny_dataset.root, rule=point.rule)
    assert evaluation.metrics["operating_point"]["threshold"] == pytest.approx(point.threshold, abs=1e-5)


def test_its_maps_give_the_same_area_under_the_pixels_curve(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path, measured: Any
) -> None:
    inspector = open_inspector(tiny_bundle, device="cpu")
    top = inspector.inference.score_map_max
    assert top is not None
    for sample in tiny_dataset.split("test"):
        severity = inspector.inspect(sample.image, with_maps=True).maps["score_map"]
        file = tmp_path / "maps" / f"{sample.id}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.clip(severity / np.float32(top), 0, 1))
    evaluation, _ = measured(tmp_path / "maps", load_dataset(tiny_dataset.root).root)
    expected = of_bundle(tiny_bundle, tiny_dataset)["pixel"]["auprc"]
    assert evaluation.metrics["pixel"]["auprc"] == pytest.approx(expected, abs=2e-3)
