"""Maps of pixel scores: what their values mean is beyond doubt, said, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from coco_sets import HEIGHT, WIDTH
from numpy.typing import NDArray
from PIL import Image

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.evaluation.predictions.map_values import read_map
from blemish.evaluation.predictions.maps import list_maps

DENT, SCRATCH = np.s_[3:11, 2:12], np.s_[5:9, 5:17]
Values = NDArray[Any]


def truth(name: str) -> NDArray[np.float32]:
    values = np.zeros((HEIGHT, WIDTH), np.float32)
    if name in "ab":
        values[DENT if name == "a" else SCRATCH] = 1
    return values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "maps").mkdir()
    return tmp_path / "maps"


def write_png(level: int, dtype: Any) -> Callable[[Path, Values], None]:
    return lambda path, values: Image.fromarray((values * level).astype(dtype)).save(path.with_suffix(".png"))


def write_bit(path: Path, values: Values) -> None:
    Image.fromarray(values > 0).save(path.with_suffix(".png"))


def write_alpha(path: Path, values: Values) -> None:
    gray = Image.fromarray((values * 255).astype(np.uint8))
    Image.merge("LA", (gray, Image.new("L", gray.size, 255))).save(path.with_suffix(".png"))


def write_tiff(path: Path, values: Values) -> None:
    Image.fromarray(values).save(path.with_suffix(".tiff"))


def write_array(dtype: Any, suffix: str = ".npy") -> Callable[[Path, Values], None]:
    def write(path: Path, values: Values) -> None:
        with path.with_suffix(suffix).open("wb") as file:
            np.save(file, values.astype(dtype))

    return write


@pytest.mark.parametrize(
    "write",
    [
        write_png(255, np.uint8),
        write_png(65535, np.uint16),
        write_bit,
        write_alpha,
        write_tiff,
        write_array(np.float64),
        write_array(np.float16),
        write_array(bool),
        write_array(np.float32, ".NPY"),
    ],
    ids=["8 bits", "16 bits", "1 bit", "full alpha", "TIFF of floats", "float64", "float16", "bool", "NPY"],
)
def test_a_perfect_map_is_perfect_however_it_is_stored(
    outlines: Path, folder: Path, measured: Any, write: Callable[[Path, Values], None]
) -> None:
    for name in "abc":
        write(folder / name, truth(name))
    evaluation, notes = measured(folder, outlines, threshold=0.5)
    pixel = evaluation.metrics["pixel"]
    assert (pixel["precision"], pixel["recall"], pixel["auprc"]) == (1, 1, 1)
    assert not list_maps(folder, load_dataset(outlines)).remarks
    assert "Predictions read: 3, of which 3 for split 'test' measured." in notes


@pytest.mark.parametrize(
    ("level", "dtype", "received"),
    [(1, np.uint8, "0 and 1"), (128, np.uint8, "0 and 128"), (255, np.uint16, "0 and 255")],
)
def test_masks_of_another_level_are_asked_about(
    outlines: Path, folder: Path, level: int, dtype: Any, received: str
) -> None:
    """Read by their bits they would be scores of 0.004, 0.5 and 0.004."""
    for name in "abc":
        write_png(255, np.uint8)(folder / name, truth(name))
    write_png(level, dtype)(folder / "b", truth("b"))
    with pytest.raises(BlemishError, match=rf"b\.png: a map of two values must be 0 .* Received: {received}"):
        list_maps(folder, load_dataset(outlines))


def remarks(folder: Path, data: Path) -> str:
    return " ".join(list_maps(folder, load_dataset(data)).remarks)


def test_a_map_of_0_and_1_among_scores_is_said(outlines: Path, folder: Path) -> None:
    write_png(255, np.uint8)(folder / "a", truth("a") * np.linspace(0, 1, WIDTH, dtype=np.float32))
    write_png(1, np.uint8)(folder / "b", truth("b"))
    assert "Maps of 0 and 1 alone: 1, first b.png" in remarks(folder, outlines)


def test_scores_that_use_a_part_of_their_range_are_said(outlines: Path, folder: Path) -> None:
    write_png(4095, np.uint16)(folder / "a", truth("a") * np.linspace(0, 1, WIDTH, dtype=np.float32))
    assert "No pixel of any map scores above 0.0" in remarks(folder, outlines)


def test_scores_of_8_bits_in_16_are_refused(outlines: Path, folder: Path) -> None:
    write_png(255, np.uint16)(folder / "a", truth("a") * np.linspace(0, 1, WIDTH, dtype=np.float32))
    with pytest.raises(
        BlemishError, match=r"must reach from 0 to 65535\. Received: none above 9\d in any map"
    ):
        list_maps(folder, load_dataset(outlines))


def test_inverted_maps_are_said(outlines: Path, folder: Path) -> None:
    for name in "abc":
        write_png(255, np.uint8)(folder / name, 1 - truth(name))
    assert "are the maps inverted" in remarks(folder, outlines)


def test_files_that_are_no_maps_are_said(outlines: Path, folder: Path) -> None:
    write_array(np.float32)(folder / "a", truth("a"))
    for name in ("scores.txt", "b.npz", ".hidden.png"):
        (folder / name).write_text("x")
    assert "2 files are left out (b.npz, scores.txt): it is no map" in remarks(folder, outlines)


def nan_tiff(path: Path) -> None:
    values = truth("a")
    values[0, 0] = np.nan
    Image.fromarray(values).save(path)


def in_alpha(path: Path) -> None:
    mask = Image.fromarray((truth("a") * 255).astype(np.uint8))
    Image.merge("LA", (Image.new("L", mask.size, 0), mask)).save(path)


def palette(path: Path) -> None:
    image = Image.fromarray(truth("a").astype(np.uint8), "P")
    image.putpalette([0, 0, 0, 128, 0, 0])
    image.save(path)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.tiff", nan_tiff, "must hold pixel scores in [0, 1]. Received: nan"),
        ("a.png", in_alpha, "must be a gray map without alpha. Received: an alpha channel from 0 on"),
        ("a.png", palette, "must be a gray map"),
        (
            "a.npy",
            lambda path: path.write_bytes(b"\x93NUMPY\x01\x00\x08\x00{'a': (\n"),
            "must be an array file",
        ),
        ("a.npy", lambda path: np.save(path, np.zeros((0, 5))), "Received: an empty array"),
        ("a.npy", lambda path: np.save(path, np.array([{"a": 1}], object)), "must be an array file"),
        ("a.npy", Path.mkdir, None),
        ("a.png", lambda path: path.write_bytes(b""), "must be an image"),
        ("a.npy", lambda path: path.symlink_to("nowhere"), "a link to a file that is not there"),
    ],
)
def test_bad_maps_are_one_line(
    outlines: Path, folder: Path, name: str, write: Callable[[Path], Any], message: str | None
) -> None:
    write_array(np.float32)(folder / "b", truth("b"))
    write(folder / name)
    if message is None:
        assert list_maps(folder, load_dataset(outlines)).covered == {"images/b.png"}
        return
    with pytest.raises(BlemishError) as caught:
        list_maps(folder, load_dataset(outlines))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_float_tiff_is_read_as_tifffile_reads_it(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    values = np.random.default_rng(0).random((7, 9), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", values)
    assert np.array_equal(read_map(tmp_path / "a.tif"), values)
    cv2.imwrite(str(tmp_path / "b.tiff"), values)
    assert np.array_equal(read_map(tmp_path / "b.tiff"), values)
