"""Sizes that label files give their images, held against the images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from blemish.dataset.layouts.common import refuse_other_declared_size
from blemish.errors import BlemishError


def photograph(path: Path, *, orientation: int = 1) -> Path:
    """Write a JPEG of 30×20 stored pixels (width×height) with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(path, exif=exif)
    return path


@pytest.mark.parametrize("declared", [(30, 20), (30.0, 20.0), ("30", "20"), (0, 0), (None, None), ("", "")])
def test_own_size_and_none_pass(tmp_path: Path, declared: tuple[object, object]) -> None:
    refuse_other_declared_size(photograph(tmp_path / "a.jpg"), *declared, "labels.json")


@pytest.mark.parametrize(
    "declared", [(60, 40), (20, 30), (30, 21), (-30, -20), (30, 0), ("x", 20), (float("nan"), 20), ([30], {})]
)
def test_other_sizes_name_place_image_and_both_sizes(tmp_path: Path, declared: tuple[object, object]) -> None:
    with pytest.raises(
        BlemishError, match=r"^labels\.json must give a\.jpg its own size, 30×20\. Received: "
    ):
        refuse_other_declared_size(photograph(tmp_path / "a.jpg"), *declared, "labels.json")


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_size_without_the_turn_of_exif_is_called_that(tmp_path: Path, orientation: int) -> None:
    image = photograph(tmp_path / "a.jpg", orientation=orientation)
    refuse_other_declared_size(image, 20, 30, "labels.json")
    with pytest.raises(BlemishError, match=r"own size, 20×30.*30×20.*without the turn.*EXIF"):
        refuse_other_declared_size(image, 30, 20, "labels.json")
