"""Sets of 16-bit images that use fewer bits: asked about, once a set, unless dataset.yaml says how many."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import CheckReport, check_dataset
from blemish.errors import BlemishError


def checked(root: Path, highest: list[int], settings: str = "") -> CheckReport:
    """Report on good and bad images whose greatest values are these, all but those up to 255 of 16 bits."""
    generator = np.random.default_rng(4)
    for number, top in enumerate(highest):
        folder = root / ("bad" if number % 2 else "good")
        folder.mkdir(parents=True, exist_ok=True)
        pixels = generator.integers(0, top, (16, 20)).astype(np.uint8 if top <= 255 else np.uint16)
        pixels[3, number] = top
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    if settings:
        (root / "dataset.yaml").write_text(settings)
    return check_dataset(load_dataset(root))


def lines(report: CheckReport) -> list[str]:
    return [f"{p.severity}: {p.message}" for p in report.problems if "16-bit" in p.message]


@pytest.mark.parametrize(
    ("top", "bits"), [(1000, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14)]
)
def test_a_set_that_uses_few_bits_is_asked_about_once(tmp_path: Path, top: int, bits: int) -> None:
    (line,) = lines(checked(tmp_path, [top] * 5))
    assert line.startswith(f"warning: 5 images are 16-bit gray, but no value above {2**bits - 1}: ")
    assert f"{2 ** (16 - bits)} times too dark" in line
    assert f"set `bits: {bits}`" in line and "`bits: 16`" in line and ", …" in line


def test_images_beside_others_are_counted(tmp_path: Path) -> None:
    (line,) = lines(checked(tmp_path, [4095, 60000, 60000, 4000, 255]))
    assert line.startswith(
        "warning: 2 of 4 16-bit images are, unlike the others, 16-bit gray, but no value above"
    )


@pytest.mark.parametrize("highest", [[60000, 50000], [20000, 60000], [255, 200]])
def test_images_that_use_their_range_are_not_asked_about(tmp_path: Path, highest: list[int]) -> None:
    assert not lines(checked(tmp_path, highest))


@pytest.mark.parametrize("bits", [12, 16])
def test_the_setting_answers(tmp_path: Path, bits: int) -> None:
    assert not lines(checked(tmp_path, [4095, 4000], f"bits: {bits}\n"))
    assert load_dataset(tmp_path).info["bits"] == bits


def test_a_setting_that_is_too_small_is_an_error(tmp_path: Path) -> None:
    (line,) = lines(checked(tmp_path, [4095, 900, 1000], "bits: 10\n"))
    assert line.startswith("error: 1 of 3 16-bit images hold values above 1023, the highest of `bits: 10`: ")


@pytest.mark.parametrize("value", ["7", "17", "twelve"])
def test_other_settings_are_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(BlemishError, match="'bits' must be valid"):
        checked(tmp_path, [4095, 4095], f"bits: {value}\n")
