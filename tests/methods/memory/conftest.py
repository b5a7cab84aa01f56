"""Small parts photographed: good ones, and ones with a dark spot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.bundle import Bundle
from blemish.dataset.layouts import load_dataset
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

SETTINGS: Mapping[str, Any] = {"preset": "tiny", "device": "cpu", "precision": "fp32", "head_batch": 4}
SPOT_XY = 60, 30  # its centre, in images of 96×96


class Lines(Reporter):
    """Reporter that keeps what a user would read."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.said: list[str] = []

    def line(self, message: str) -> None:
        self.said.append(message)


def part(seed: int, size: tuple[int, int] = (96, 96)) -> NDArray[np.uint8]:
    """Photograph of a good part: stripes, a hole, noise."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    gray = 120 + 15 * np.sin(columns / 3) + generator.normal(0, 3, size)
    gray[(rows - size[0] / 2) ** 2 + (columns - size[1] / 3) ** 2 < 64] = 60
    return np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def with_spot(pixels: NDArray[np.uint8], shade: int = 250) -> NDArray[np.uint8]:
    marked = pixels.copy()
    cv2.circle(marked, SPOT_XY, 6, (shade, shade, shade), -1)
    return marked


def write(path: Path, pixels: NDArray[np.uint8]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., tuple[Bundle, list[str]]]:
    """Train on the images below a folder; returns the bundle and what was said."""

    def run(data: Path, **changes: Any) -> tuple[Bundle, list[str]]:
        method, reporter = find_method("memory"), Lines()
        settings = method.settings_type.model_validate({**SETTINGS, **changes})
        request = Request(method, load_dataset(data), settings, tmp_path / f"run-{data.name}")
        return train(request, reporter), reporter.said

    return run


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset of 10 good parts and, in the validation split, 2 good and 2 defective ones."""
    root = tmp_path_factory.mktemp("parts") / "parts"
    for number in range(10):
        write(root / "train" / "good" / f"{number}.png", part(number))
    for number in range(2):
        write(root / "val" / "good" / f"v{number}.png", part(100 + number))
        write(root / "val" / "bad" / f"b{number}.png", with_spot(part(200 + number)))
    return root


@pytest.fixture(scope="session")
def corrected_from(parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle of the memory alone, of `parts`."""
    method = find_method("memory")
    settings = method.settings_type.model_validate({**SETTINGS, "head": "off", "held_out_images": 1})
    run = tmp_path_factory.mktemp("run") / "run"
    train(Request(method, load_dataset(parts), settings, run), Reporter(quiet=True))
    return run / "bundle"
