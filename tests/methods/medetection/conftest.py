"""Four small products of 48 pixels: a plate of its own each, dark or bright squares as defects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.bundle import Bundle
from blemish.dataset.layouts import load_dataset
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.split import split_dataset
from blemish.methods.medetection import METHOD
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

SIDE = 48
NAMES = ("bolt", "cap", "gear", "lid")


def tiny(**changes) -> MedetectionSettings:
    return MedetectionSettings(**{"preset": "tiny", "device": "cpu", "precision": "fp32", **changes})


def write_product(folder: Path, seed: int, *, normal: int = 20, defective: int = 14) -> None:
    """PNG files in good/ and bad/."""
    generator = np.random.default_rng(seed)
    plate = cv2.GaussianBlur(generator.uniform(60, 190, (SIDE, SIDE, 3)).astype(np.float32), (0, 0), 3)
    for kind, count in (("good", normal), ("bad", defective)):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            image = plate + generator.normal(0, 5, plate.shape)
            if kind == "bad":
                left, top = generator.integers(4, SIDE - 14, 2)
                image[top : top + 10, left : left + 10] += 80 if seed % 2 else -80
            cv2.imwrite(str(folder / kind / f"{number}.png"), np.clip(image, 0, 255).astype(np.uint8))


def with_splits(dataset: Dataset) -> Dataset:
    """Every product split by itself."""
    parts = [split_dataset(of_product(dataset, name), test=0.3, val=0.3, seed=0) for name in dataset.products]
    return dataset.with_splits({sample.id: sample.split for part in parts for sample in part})


@pytest.fixture(scope="session")
def plates(tmp_path_factory) -> Dataset:
    root = tmp_path_factory.mktemp("plates")
    for number, name in enumerate(NAMES):
        write_product(root / name, number)
    return with_splits(load_dataset(root))


@pytest.fixture(scope="session")
def lid(plates: Dataset) -> Dataset:
    """The last product as a dataset of its own."""
    own = of_product(plates, "lid")
    return replace(own, samples=tuple(replace(sample, product=None) for sample in own))


@pytest.fixture(scope="session")
def run() -> Callable[..., Bundle]:
    def build(dataset: Dataset, out: Path, settings: MedetectionSettings, **more) -> Bundle:
        return train(Request(METHOD, dataset, settings, out, **more), Reporter(quiet=True))

    return build
