"""Stability of verdicts: how many flip when an image is shifted, re-lit or noisy, with exact bounds.

The paper names "prediction stability against input corruptions" as future work (section V); the disturbances
here are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures
from benchmarks.tables.table import Table
from benchmarks.tables.training import BundleKind, bundle_of
from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict
from blemish.dataset.samples import Dataset
from blemish.evaluation.consistency import verdict_flips
from blemish.evaluation.run import split_to_evaluate
from blemish.images.decode import read_image
from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of
from blemish.progress import Reporter

Disturbance = Callable[[Pixels, Generator], Pixels]


class StabilitySettings(Strict):
    """shifts: pixels; gain: share of light taken away and added; noise: sigma in gray levels of 255"""

    shifts: tuple[int, ...] = (1, 2, 3)
    gain: float = Field(0.1, gt=0, lt=1)
    noise: float = Field(5.0, gt=0)


class Stability(BundleKind):
    """The bundle of row `of` on disturbed test images."""

    name = "stability"
    settings_type = StabilitySettings

    def measure(self, table: Table, job: RowJob) -> Figures:
        home, trained = table.trained(job.row)
        bundle = bundle_of(home, trained, job.seed or 0)
        inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
        chosen = split_to_evaluate(home.dataset, "test")
        settings = StabilitySettings.model_validate(job.row.settings)
        found = stability(inspector, chosen, settings, seed=job.seed or 0, reporter=table.reporter)
        return {"stability": found}


def stability(
    inspector: BundleInspector,
    dataset: Dataset,
    settings: StabilitySettings,
    *,
    seed: int,
    reporter: Reporter,
) -> dict[str, Any]:
    """Images whose verdict is another one after each disturbance, as counts with Clopper–Pearson bounds.

    Under "flip_share" is the share of flips among all images under all disturbances.
    """
    disturbances = disturbances_of(settings)
    before: list[Verdict] = []
    after: dict[str, list[Verdict]] = {name: [] for name in disturbances}
    for number, sample in enumerate(reporter.track(dataset.samples, "disturbing the test images")):
        pixels = read_image(sample.image, channels=inspector.inference.channels)
        before.append(inspector.judge(pixels, sample.id).verdict)
        for index, (name, disturb) in enumerate(disturbances.items()):
            generator = np.random.default_rng([seed, number, index])
            after[name].append(inspector.judge(disturb(pixels, generator), sample.id).verdict)
    flips = {name: verdict_flips(before, verdicts) for name, verdicts in after.items()}
    return {
        **{name: bound.to_json() for name, bound in flips.items()},
        "flip_share": sum(bound.n for bound in flips.values()) / sum(bound.of for bound in flips.values()),
        "verdicts": {str(kind): before.count(kind) for kind in Verdict},
    }


def disturbances_of(settings: StabilitySettings) -> Mapping[str, Disturbance]:
    """Each disturbance by its name in the figures."""
    shifts: dict[str, Disturbance] = {
        f"shift_{distance}px": partial(shifted, distance) for distance in settings.shifts
    }
    return shifts | {
        "darker": lambda pixels, generator: scaled(pixels, 1 - settings.gain),
        "brighter": lambda pixels, generator: scaled(pixels, 1 + settings.gain),
        "noise": lambda pixels, generator: noisy(pixels, settings.noise, generator),
    }


def shifted(distance: int, pixels: Pixels, generator: Generator) -> Pixels:
    """The image moved by whole pixels in one of the eight directions; what comes in repeats the border."""
    directions = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    down, right = directions[int(generator.integers(len(directions)))]
    height, width = pixels.shape[:2]
    padded = cv2.copyMakeBorder(pixels, distance, distance, distance, distance, cv2.BORDER_REPLICATE)
    top, left = distance * (1 - down), distance * (1 - right)
    return np.ascontiguousarray(padded[top : top + height, left : left + width])


def scaled(pixels: Pixels, gain: float) -> Pixels:
    """Every value times the gain, rounded and cut off at the dtype's range."""
    return as_dtype(pixels.astype(np.float32) * gain, pixels.dtype)


def noisy(pixels: Pixels, sigma: float, generator: Generator) -> Pixels:
    """With Gaussian noise, drawn for every pixel and channel. sigma: gray levels of 255, also for 16 bits"""
    unit = np.iinfo(pixels.dtype).max / 255
    drawn = generator.standard_normal(pixels.shape, dtype=np.float32)
    return as_dtype(pixels + sigma * unit * drawn, pixels.dtype)


def as_dtype(values: NDArray[np.floating], dtype: np.dtype[Any]) -> Pixels:
    return np.clip(np.rint(values), 0, np.iinfo(dtype).max).astype(dtype)
