"""Speed of whole images, of batches of blocks, and of all that follows a network, with random weights.

Every figure is from host memory to host memory. Sources: He & Liu 2020, section IV-H, Table 8 (blocks of
256×256) and IV-A (sliding step 64) for "batch", "blocks" and "tiled"; TL-SDD's README on what proposals on
every class's features cost; the papers have no figure for the others.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from time import perf_counter
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from benchmarks.tables.random_models import random_inspector
from benchmarks.tables.results import Result
from benchmarks.tables.row_kind import DEVICES, Figures, validated
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.timing import SEED, SpeedKind, peak_memory, random_image, timed_runs
from blemish.bundle.manifest import Strict
from blemish.images.drawing import FOUND, draw_outlines_, for_screen
from blemish.images.tiling import planes
from blemish.inspector.inspector import BundleInspector
from blemish.methods.casae.inference import CasaeInference
from blemish.methods.casae.inference import inference_from as casae_inference
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.medetection.inference import MedetectionInference
from blemish.methods.severity.inference import SeverityInference
from blemish.methods.severity.inference import inference_from as severity_inference
from blemish.methods.severity.labels import SEVERITY_MAX
from blemish.methods.severity.settings import SeveritySettings

BLOCK = 256  # pixels, side of the paper's block
CONFIGURATIONS = {"gray-4": (1, 4), "colour-4": (3, 4), "colour-2": (3, 2)}  # channels and cell

FloatMap = NDArray[np.float32]


class BlockSpeedSettings(Strict):
    """Settings of severity's rows.

    measure: "batch" of blocks; "blocks" of a whole image, cut at `step`; "tiled", an image's one forward path
    size: (height, width) of the image; part: side of the part of it that is cut into blocks, the whole
        image's time is then worked out from the number of blocks; a GPU does it whole
    images: how many of them the row's total is for; a GPU does them all, the CPU one
    repeats: at most so many timed runs of a batch after one warm-up; seconds: none is started after that
    """

    measure: Literal["batch", "blocks", "tiled"]
    configurations: tuple[Literal["gray-4", "colour-4", "colour-2"], ...] = ("gray-4",)
    batch: int = Field(64, ge=1)
    step: int = Field(64, ge=1, le=BLOCK)
    size: tuple[int, int] = (12800, 8192)
    part: int = Field(1024, ge=BLOCK)
    images: int = Field(7, ge=1)
    repeats: int = Field(5, ge=1)
    seconds: float = Field(3.0, gt=0)


class ImageSpeedSettings(Strict):
    """Settings of a row that times a method's whole images, by precision.

    settings: of the method, on top of its defaults; classes: K; size: (height, width) of the image
    repeats: at most so many timed images after one warm-up; seconds: none is started after this long
    """

    measure: Literal["image"]
    method: Literal["severity", "casae", "medetection", "tlsdd"]
    settings: dict[str, Any] = Field(default_factory=dict)
    classes: int = Field(1, ge=1)
    size: tuple[int, int]
    repeats: int = Field(20, ge=1)
    seconds: float = Field(20.0, gt=0)


class MapSpeedSettings(Strict):
    """Settings of a row that times what follows a network, on a drawn map with blobs of ragged outline.

    method: whose map; cell: pixels of one entry's side, of severity
    size: (height, width) of the image; defects: how many blobs, some of which touch
    sides: (min, max) of a blob, pixels
    repeats: at most so many timed runs after one warm-up; seconds: none is started after this long
    """

    measure: Literal["map"]
    method: Literal["severity", "casae"] = "severity"
    cell: Literal[1, 2, 4] = 4
    size: tuple[int, int] = (12800, 8192)
    defects: int = Field(1000, ge=1)
    sides: tuple[int, int] = (16, 96)
    repeats: int = Field(9, ge=1)
    seconds: float = Field(20.0, gt=0)


SETTINGS: dict[str, type[BaseModel]] = {
    "image": ImageSpeedSettings,
    "map": MapSpeedSettings,
    "batch": BlockSpeedSettings,
    "blocks": BlockSpeedSettings,
    "tiled": BlockSpeedSettings,
}


# Kinds of rows stored earlier, and the settings that such rows do not hold.
FORMER_KINDS: dict[str, dict[str, Any]] = {
    "cascade-speed": {"measure": "image", "method": "casae", "classes": 1},
    "detector-speed": {"measure": "image", "method": "tlsdd"},
    "pair-speed": {"measure": "image", "method": "medetection", "classes": 1},
    "map-speed": {"measure": "map"},
}


class Speed(SpeedKind):
    """Speed by what is measured: an "image", a "map", or severity's "batch", "blocks" and "tiled" image."""

    name = "speed"

    def devices(self, row: TableRow) -> tuple[str, ...]:
        return ("cpu",) if row.settings.get("measure") == "map" else DEVICES

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        model = SETTINGS.get(str(row.settings.get("measure")), BlockSpeedSettings)  # which names the choices
        return validated(model, row.settings, table, row).model_dump(mode="json")

    def upgraded(self, table: Table, row: TableRow, stored: Result) -> dict[str, Any]:
        """Stored settings under the names of today, those of `FORMER_KINDS` completed."""
        complete = {**FORMER_KINDS.get(stored.kind, {}), **stored.settings}
        settings = super().upgraded(table, row, stored.model_copy(update={"settings": complete}))
        if stored.kind == "detector-speed":  # on square images
            settings["size"] = 2 * [settings.pop("side")]
            settings["settings"] = {"proposals": settings.pop("proposals"), **settings["settings"]}
        return settings

    def measured_here(self, settings: dict[str, Any], device: str) -> Figures:
        from blemish.nn.runtime import prepare_runtime

        prepare_runtime()
        chosen = SETTINGS[settings["measure"]].model_validate(settings)
        if isinstance(chosen, MapSpeedSettings):
            return measured_map(chosen)
        if isinstance(chosen, ImageSpeedSettings):
            return measured_image(chosen, device)
        assert isinstance(chosen, BlockSpeedSettings)
        return measured_blocks(chosen, device)


def precisions(device: str) -> list[str]:
    """fp32, and bf16 where the hardware multiplies it."""
    from blemish.inspector.torch_backend import fast_bfloat16

    return ["fp32", *(["bf16"] if fast_bfloat16(device) else [])]


# A whole image


def measured_image(settings: ImageSpeedSettings, device: str) -> Figures:
    """Median time of an image of noise and the peak of memory, by precision.

    In the image of MeDetection a defect is found, whatever its probability; severity and CASAE find none.
    """
    import torch

    figures: Figures = {"threads": torch.get_num_threads()}
    for precision in precisions(device):
        inspector = random_inspector(
            settings.method, settings.settings, classes=settings.classes, device=device,
            bfloat16=precision == "bf16",
        )  # fmt: skip
        if isinstance(inspector.inference, MedetectionInference):  # its time is "to verdict and box"
            inspector = replace(inspector, inference=replace(inspector.inference, threshold=0.0))
        image = random_image(settings.size, inspector.inference.channels or 1)
        run = partial(judge, inspector, image, clean=settings.method in ("severity", "casae"))
        times = timed_runs(run, repeats=settings.repeats, seconds=settings.seconds)
        middle = statistics.median(times)
        figures[precision] = {
            "ms": 1e3 * middle,
            "seconds": middle,
            "images_per_second": 1 / middle,
            "runs": len(times),
            **peak_memory(device),
        }
    return figures


def judge(inspector: BundleInspector, image: NDArray[np.uint8], *, clean: bool) -> None:
    """Inspect an image once.

    clean: it must find nothing; the boxes of a detector are its work on every image
    """
    inspection = replace(inspector, limited=False).judge(image, "noise")
    assert not (clean and inspection.defects), "time was to be measured without a defect"


# Severity's blocks


def measured_blocks(settings: BlockSpeedSettings, device: str) -> Figures:
    """Figures by configuration and precision."""
    import torch

    time_it = {"batch": time_batch, "blocks": time_blocks, "tiled": time_tiled}[settings.measure]
    figures: Figures = {}
    for name, precision in product(settings.configurations, precisions(device)):
        channels, cell = CONFIGURATIONS[name]
        inspector = random_inspector(
            "severity", {"channels": channels, "cell": cell}, classes=1, device=device,
            bfloat16=precision == "bf16",
        )  # fmt: skip
        figures.setdefault(name, {})[precision] = time_it(settings, inspector, device)
    return {**figures, "threads": torch.get_num_threads()}


def time_batch(settings: BlockSpeedSettings, inspector: BundleInspector, device: str) -> dict[str, Any]:
    """Median milliseconds of one batch of blocks, and of one block in it."""
    channels = inspector.inference.channels or 1
    generator = np.random.default_rng(SEED)
    blocks = generator.random((settings.batch, channels, BLOCK, BLOCK), dtype=np.float32)
    network = inspector.networks["severity"]
    runs = timed_runs(lambda: network(blocks), repeats=settings.repeats, seconds=settings.seconds)
    middle = 1e3 * statistics.median(runs)
    return {"ms": middle, "ms_per_block": middle / settings.batch, "runs": len(runs)}


def time_blocks(settings: BlockSpeedSettings, inspector: BundleInspector, device: str) -> dict[str, Any]:
    """Seconds of one image cut into blocks at a step: of all of it on a GPU, of a part on the CPU."""
    height, width = settings.size
    rows, columns = (
        (height, width) if device == "cuda" else (min(settings.part, side) for side in (height, width))
    )
    image = random_image((rows, columns), inspector.inference.channels or 1)
    network = inspector.networks["severity"]
    network(next(block_batches(image, settings)))  # a whole batch, so that its memory is there
    start = perf_counter()
    for blocks in block_batches(image, settings):
        network(blocks)
    seconds = perf_counter() - start
    done, whole = block_count((rows, columns), settings.step), block_count(settings.size, settings.step)
    share = "whole" if done == whole else f"{rows}×{columns} part, × {whole / done:.4g} by number of blocks"
    return {
        "seconds": seconds * whole / done,
        "seconds_all": settings.images * seconds * whole / done,
        "blocks": whole,
        "measured": share,
    }


def block_batches(image: NDArray[np.uint8], settings: BlockSpeedSettings) -> Iterator[NDArray[np.float32]]:
    """Every block of the image, at most `batch` at a time. yields: [B, C, 256, 256] in [0, 1]"""
    corners = list(product(*(starts(side, settings.step) for side in image.shape[:2])))
    for first in range(0, len(corners), settings.batch):
        batch = corners[first : first + settings.batch]
        yield np.stack([planes(image[top : top + BLOCK, left : left + BLOCK]) for top, left in batch])


def starts(side: int, step: int) -> list[int]:
    """First pixels of blocks along one axis; the last block ends with the image."""
    return [*range(0, side - BLOCK, step), side - BLOCK]


def block_count(size: tuple[int, int], step: int) -> int:
    return len(starts(size[0], step)) * len(starts(size[1], step))


def time_tiled(settings: BlockSpeedSettings, inspector: BundleInspector, device: str) -> dict[str, Any]:
    """Seconds from pixels in host memory to the list of defects, by the one forward path; its peak memory."""
    image = random_image(settings.size, inspector.inference.channels or 1)
    warm = image[: min(2048, settings.size[0]), : min(2048, settings.size[1])]
    measured = settings.images if device == "cuda" else 1
    inspector.judge(warm, "warm-up")
    start = perf_counter()
    for number in range(measured):
        inspector.judge(image, f"image {number}")
    seconds = (perf_counter() - start) / measured
    share = "all" if measured == settings.images else f"{measured} of {settings.images}, × {settings.images}"
    return {
        "seconds": seconds,
        "seconds_all": seconds * settings.images,
        "measured": share,
        **peak_memory(device),
    }


# What follows a network


def measured_map(settings: MapSpeedSettings) -> dict[str, Any]:
    """Median seconds of regions, merging, outlines and rectangles ("decide") and of drawing the outlines."""
    inference = inference_of(settings)
    cell = settings.cell if settings.method == "severity" else 1
    rows, columns = (-(-side // cell) for side in settings.size)
    low, high = (max(3, side // cell) for side in settings.sides)
    values = blobs((rows, columns), settings.defects, (low, high)) * np.float32(inference.score_map_max)
    image = np.full(settings.size, 128, np.uint8)
    find = partial(inference.decide, values, image, {}, with_maps=False)
    defects = find().defects
    canvas, outlines = for_screen(image), [part for defect in defects for part in defect.contour]
    draw = partial(draw_outlines_, canvas, outlines, colour=FOUND)
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


def blobs(size: tuple[int, int], count: int, sides: tuple[int, int]) -> FloatMap:
    """A map in [0, 1] with so many hills, each above 0.5 in its middle. sides: (min, max) of one"""
    generator = np.random.default_rng(SEED)
    values = np.zeros(size, np.float32)
    for _ in range(count):
        side = min(int(generator.integers(sides[0], sides[1] + 1)), *size)
        top, left = (int(generator.integers(0, length - side + 1)) for length in size)
        place = values[top : top + side, left : left + side]
        np.maximum(place, hill(generator, side), out=place)
    return values


def hill(generator: np.random.Generator, side: int) -> FloatMap:
    """[side, side]: 1 in the middle, falling off to 0 along a ragged line."""
    noise = cv2.GaussianBlur(generator.random((side, side), dtype=np.float32), (0, 0), max(0.6, side / 10))
    ragged = 0.25 * (noise - noise.mean()) / max(float(noise.std()), 1e-6)
    away = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    return np.clip(1.4 - 1.2 * (away[:, None] + away) + ragged, 0, 1)
