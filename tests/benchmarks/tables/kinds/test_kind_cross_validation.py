"""Cross-validated rows on toy parts: every image judged once, as by the rule that scikit-learn fits."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.tables import fill
from blemish.evaluation.cross_validated import FoldScores, cross_validated_difference

TABLE = """
title: Toy
paper: none
dataset: toys
split: {by: content, folds: 3, val: 0.25}
method: medetection
settings:
  preset: tiny
  backbone: resnet18
  backbone_level: layer2+layer3
  linear_path: deviations
  size: 64
  steps: 4
  early_stopping: false
  device: cpu
rows:
  - {name: ours, kind: cross-validation, against: probe}
  - name: probe
    kind: cross-validated-peer
    settings: &own
      {peer: linear-probe, backbone: resnet18, weights: none, size: 64, levels: [layer1], maxima: true}
  - name: memory
    kind: cross-validated-peer
    settings: {<<: *own, peer: patch-memory, pool: 300, memory: 40}
  - name: nearest
    kind: cross-validated-peer
    settings: {<<: *own, peer: nearest-feature}
columns:
  - {path: image.auroc, heading: AUROC, paired: true}
goals:
  - {row: ours, column: image.auroc, against: probe, at_least: -1.0}
"""  # fmt: skip


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the table, filled with two repeats."""
    data, generator = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for number in range(30):
        folder = data / "toys" / ("good" if number % 3 else "bad")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(generator.normal(150, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        if number % 3 == 0:
            top, left = generator.integers(4, 40, 2)
            pixels[top : top + 20, left : left + 20] = 0
        cv2.imwrite(str(folder / f"{number:02}.png"), pixels)
    out, tables = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("tables")
    (tables / "experiments").mkdir()
    (tables / "experiments" / "toy-folds.yaml").write_text(TABLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tables)
        fill.fill_table("toy-folds", out, data=data, seeds=2, quiet=True)
    return out / "toy-folds"


def figures(folder: Path, row: str, seed: int = 0) -> dict:
    return json.loads((folder / f"{row}-seed{seed}.json").read_text())["figures"]


@pytest.mark.parametrize("row", ["ours", "probe", "memory", "nearest"])
def test_every_image_is_judged_in_the_same_fold_by_every_row(filled: Path, row: str) -> None:
    judged, other = figures(filled, row)["judged"], figures(filled, "probe")["judged"]
    assert {key: len(values) for key, values in judged.items()} == dict.fromkeys(judged, 30)
    for key in ("defective", "folds", "groups"):
        assert judged[key] == other[key]
    assert sorted(set(judged["folds"])) == [0, 1, 2]
    assert judged["folds"] != figures(filled, row, seed=1)["judged"]["folds"]
    assert np.isfinite(judged["scores"]).all()


def test_black_squares_are_found_by_ours_and_the_memory(filled: Path) -> None:
    for row in ("ours", "memory"):
        assert figures(filled, row)["image"]["auroc"] > 0.8


def test_the_table_gives_intervals_from_its_stored_rows(filled: Path) -> None:
    ours, probe = (
        [FoldScores(**figures(filled, row, seed)["judged"]) for seed in (0, 1)] for row in ("ours", "probe")
    )
    page, found = (filled / "table.md").read_text(), cross_validated_difference(ours, probe)
    assert "in the same folds" in page
    assert f"| ours | 2 | {found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}] |" in page
