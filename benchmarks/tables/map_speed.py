"""How long a map takes from pixels to measured defects and to a picture of them: all that follows a network.

The map is drawn, with so many blobs of smooth ragged outline; no network is asked and no type told.
Source: the papers have no figure.
"""

from __future__ import annotations

import statistics
from functools import partial
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.experiment import Strict
from benchmarks.tables.speed import SEED, peak_memory, timed_runs
from blemish.images.drawing import FOUND, draw_outlines_, for_screen
from blemish.methods.casae.inference import CasaeInference
from blemish.methods.casae.inference import inference_from as casae_inference
from blemish.methods.casae.settings import Settings as CasaeSettings
from blemish.methods.severity.inference import SeverityInference
from blemish.methods.severity.inference import inference_from as severity_inference
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.settings import Settings as SeveritySettings

Map = NDArray[np.float32]


class MapSpeedSettings(Strict):
    """What such a row is told.

    method: whose map; cell: pixels of one entry's side, of severity
    size: (height, width) of the image; defects: how many blobs, some of which touch
    sides: (least, most) of a blob, pixels
    repeats: most timed runs after one warm-up; seconds: none is started after this long
    """

    method: Literal["severity", "casae"] = "severity"
    cell: Literal[1, 2, 4] = 4
    size: tuple[int, int] = (12800, 8192)
    defects: int = Field(1000, ge=1)
    sides: tuple[int, int] = (16, 96)
    repeats: int = Field(9, ge=1)
    seconds: float = Field(20.0, gt=0)


def measure_maps(settings: MapSpeedSettings) -> dict[str, Any]:
    """Median seconds of regions, merging, outlines and rectangles ("decide") and of drawing the outlines."""
    inference = inference_of(settings)
    cell = settings.cell if settings.method == "severity" else 1
    rows, columns = (-(-side // cell) for side in settings.size)
    low, high = (max(3, side // cell) for side in settings.sides)
    values = blobs((rows, columns), settings.defects, (low, high)) * np.float32(inference.score_map_max)
    image = np.full(settings.size, 128, np.uint8)
    find = partial(inference.decide, values, image, {}, with_maps=False)
    defects = find().defects
    picture, outlines = for_screen(image), [part for defect in defects for part in defect.contour]
    draw = partial(draw_outlines_, picture, outlines, colour=FOUND)
    deciding, drawing = (
        statistics.median(timed_runs(run, repeats=settings.repeats, seconds=settings.seconds))
        for run in (find, draw)
    )
    return {
        "seconds": deciding + drawing,
        "decide": {"seconds": deciding},
        "draw": {"seconds": drawing},
        "defects": len(defects),
        "threads": cv2.getNumThreads(),
        **peak_memory("cpu"),
    }


def inference_of(settings: MapSpeedSettings) -> SeverityInference | CasaeInference:
    """The numpy half, with its defaults and no types."""
    if settings.method == "casae":
        return casae_inference(CasaeSettings(types=False), ("defect",), threshold=0.5)
    severity = SeveritySettings(channels=1, cell=settings.cell, types=False)
    return severity_inference(severity, ("defect",), threshold=SEVERITY_MAX / 2, drop_above=1.0)


def blobs(size: tuple[int, int], count: int, sides: tuple[int, int]) -> Map:
    """A map in [0, 1] with so many hills, each above 0.5 in its middle. sides: (least, most) of one"""
    generator = np.random.default_rng(SEED)
    values = np.zeros(size, np.float32)
    for _ in range(count):
        side = min(int(generator.integers(sides[0], sides[1] + 1)), *size)
        top, left = (int(generator.integers(0, length - side + 1)) for length in size)
        place = values[top : top + side, left : left + side]
        np.maximum(place, hill(generator, side), out=place)
    return values


def hill(generator: np.random.Generator, side: int) -> Map:
    """[side, side]: 1 in the middle, falling off to 0 along a ragged line."""
    noise = cv2.GaussianBlur(generator.random((side, side), dtype=np.float32), (0, 0), max(0.6, side / 10))
    ragged = 0.25 * (noise - noise.mean()) / max(float(noise.std()), 1e-6)
    away = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    return np.clip(1.4 - 1.2 * (away[:, None] + away) + ragged, 0, 1)
