"""Findings of a check on near duplicates and lots, each planted once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import CheckReport, check_dataset
from blemish.dataset.quality.check_alike import lots
from blemish.dataset.samples import Dataset

CONTRARY = "nearly the same but marked differently, the first as "


def texture(path: Path, seed: int, *, shift: int = 0) -> Path:
    """A piece of a rough surface; equal seeds give the same piece, moved by `shift`."""
    generator = np.random.default_rng(seed)
    rough = cv2.GaussianBlur(generator.normal(0, 120, (80, 96)).astype(np.float32), (0, 0), 1.2)
    pixels = np.clip(120 + rough, 0, 255).astype(np.uint8)[:, shift : 80 + shift]
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), pixels)
    return path


def found(report: CheckReport, *words: str) -> bool:
    return any(all(word in problem.message for word in words) for problem in report.problems)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Ten pieces in three folders; scratch/1 and dent/9 are the same, two pixels apart."""
    for number, folder in enumerate(["good"] * 4 + ["scratch"] * 3 + ["dent"] * 3):
        texture(tmp_path / folder / f"{number}.png", number)
    texture(tmp_path / "scratch" / "1.png", 77)
    texture(tmp_path / "dent" / "9.png", 77, shift=2)
    return tmp_path


def split(dataset: Dataset, **names: str) -> Dataset:
    known = {sample.id: names.get(Path(sample.id).stem, "train") for sample in dataset}
    return dataset.with_splits(known)


def test_near_copies_before_and_across_splits_and_in_conflict(root: Path) -> None:
    dataset = load_dataset(root)
    whole = check_dataset(dataset)
    pair = "1 pair of images (dent/9.png and scratch/1.png) is "
    assert found(whole, pair, "a split may tear them apart")
    assert found(whole, pair, CONTRARY + "dent and scratch")
    torn = check_dataset(split(dataset, **{"9": "test"}))
    assert found(torn, pair, "in several splits: figures would be too good")
    together = check_dataset(split(dataset))
    assert not found(together, "splits:") and not found(together, "tear")
    assert found(together, CONTRARY)
    answer = json.loads(json.dumps(torn.to_json()))["alike"]
    assert answer[0]["images"] == ["dent/9.png", "scratch/1.png"] and answer[0]["splits"] == ["test", "train"]
    assert answer[0]["peak"] > 0.6 and len(answer) == 1


def test_a_group_that_keeps_them_together_is_enough(root: Path) -> None:
    dataset = load_dataset(root)
    grouped = replace(dataset, samples=tuple(replace(each, group="one lot") for each in dataset))
    assert not found(check_dataset(grouped), "tear")


def test_equal_pictures_in_two_class_folders_are_told_once(root: Path) -> None:
    (root / "dent" / "copy.png").write_bytes((root / "scratch" / "5.png").read_bytes())
    report = check_dataset(load_dataset(root))
    assert found(report, "copy.png", "5.png", "the same picture but marked as dent and scratch")
    assert not found(report, "copy.png", "nearly the same")


def test_a_class_of_one_lot_is_named_and_lots_are_counted(root: Path) -> None:
    dataset = load_dataset(root)
    lot_of = {"7": "a", "8": "a", "9": "a", "4": "a", "5": "b"}
    samples = tuple(replace(each, group=lot_of.get(Path(each.id).stem, "c")) for each in dataset)
    grouped = replace(dataset, samples=samples)
    report = check_dataset(grouped)
    assert found(report, "class 'dent' is seen in group 'a' alone, of 3")
    assert not found(report, "class 'scratch' is seen")
    assert lots(grouped)["a"] == {"images": 4, "classes": {"dent": 3, "scratch": 1}}
    assert report.to_json()["groups"]["b"] == {"images": 1, "classes": {"scratch": 1}}
    alone = replace(dataset, samples=tuple(replace(each, group="only") for each in dataset))
    assert not found(check_dataset(alone), "is seen in group")
