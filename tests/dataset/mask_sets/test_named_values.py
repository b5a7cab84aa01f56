"""`classes:` of dataset.yaml as names of mask values and colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset.builders import SIZE, coco_layout, save, text, write_image

RED, GREEN = (255, 0, 0), (0, 128, 0)
INDEX = np.zeros(SIZE, np.uint8)
INDEX[2:6, 3:9], INDEX[10:14, 3:9] = 1, 2
COLOURS = np.zeros((*SIZE, 3), np.uint8)
COLOURS[2:6, 3:9], COLOURS[10:14, 3:9] = RED, GREEN


def pair(root: Path, mask: np.ndarray, yaml: str) -> Dataset:
    write_image(root / "images" / "a.png")
    save(root / "masks" / "a.png", mask)
    text(root / "dataset.yaml", yaml)
    return load_dataset(root)


@pytest.mark.parametrize(
    ("mask", "yaml"),
    [
        (INDEX, "classes: {1: scratch, 2: dent}\n"),
        (INDEX, "classes:\n  0: background\n  1: scratch\n  2: dent\n"),
        (INDEX.astype(np.uint16) * 300, "classes: {300: scratch, 600: dent}\n"),
        (COLOURS, "classes: {'#ff0000': scratch, '#008000': dent}\n"),
        (COLOURS, "classes: {[255, 0, 0]: scratch, [0,128,0]: dent}\n"),
        (COLOURS, "classes: {'255,0,0': scratch, '(0, 128, 0)': dent}\n"),
        (COLOURS, "colours: {scratch: [255, 0, 0], dent: '#008000'}\n"),
    ],
)
def test_every_pixel_has_the_class_of_its_value(tmp_path: Path, mask: np.ndarray, yaml: str) -> None:
    dataset = pair(tmp_path, mask, yaml)
    assert (dataset.layout, dataset.class_names) == ("pairs", ("scratch", "dent"))
    assert np.array_equal(class_map(dataset.samples[0], ("scratch", "dent"), SIZE), INDEX)


def test_values_of_one_name_are_one_class_and_void_is_none(tmp_path: Path) -> None:
    dataset = pair(tmp_path / "a", INDEX, "classes: {1: x, 2: x}\n")
    assert np.array_equal(class_map(dataset.samples[0], ("x",), SIZE), INDEX > 0)
    dataset = pair(tmp_path / "b", INDEX, "classes: {1: x, 2: ignore}\n")
    assert np.array_equal(class_map(dataset.samples[0], ("x",), SIZE), INDEX == 1)
    assert dataset.class_names == ("x",)


def test_classes_that_no_mask_shows_are_there(tmp_path: Path) -> None:
    assert pair(tmp_path, INDEX, "classes: {1: a, 2: b, 3: c}\n").class_names == ("a", "b", "c")


@pytest.mark.parametrize(
    ("mask", "yaml", "message"),
    [
        (
            INDEX,
            "classes: {1: a}\n",
            r"known values only \(1 a\)\. Received: 2\..*as in classes: \{2: NAME\}",
        ),
        (INDEX, "classes: {0: a, 1: b}\n", r"as 0 is the background\. Received: '0: a'"),
        (
            INDEX,
            "classes: {1: a, 2: b}\nmask_values: binary\n",
            r"'mask_values: binary' says that they are no",
        ),
        (INDEX, "classes: {1: a, 2: b}\nabove: 0\n", r"'above: 0' says that they are no classes"),
        (INDEX, "classes: {a: 1}\nmask_values: classes\n", r"Write the value or colour first: '1: a'"),
        (
            COLOURS,
            "classes: {1: a}\n",
            r"Received: numbers, and colours in a\.png\. Name these instead: '#008000', '#ff0000'",
        ),
        (COLOURS, "classes: {'#ff0000': a}\n", r"as in classes: \{'#008000': NAME\}"),
        (COLOURS, "classes: {'#ff00': a}\n", r"'#ff00', not a colour such as '#ff0000' or '255,0,0'"),
        (COLOURS, "classes: {'256,0,0': a}\n", r"'256,0,0', not a colour"),
        (
            COLOURS,
            "classes:\n  #ff0000: a\n",
            r"'classes' must have a value\. Received: none\. Put colours into quo",
        ),
        (COLOURS, "classes: {#ff0000: a}\n", r"A colour must stand in quotes, as in '#ff0000'"),
        (COLOURS, "classes: {a: [255, 0, 0]}\n", r"'a' has no name; values and colours go first"),
    ],
)
def test_wrong_names_of_values(tmp_path: Path, mask: np.ndarray, yaml: str, message: str) -> None:
    with pytest.raises(BlemishError, match=message) as caught:
        pair(tmp_path, mask, yaml)
    assert "\n" not in str(caught.value)


def test_numbers_are_old_names_where_no_mask_tells_classes(tmp_path: Path) -> None:
    coco_layout(tmp_path)
    text(tmp_path / "dataset.yaml", "classes: {1: crack}\n")
    with pytest.raises(BlemishError, match=r"must rename known ones\. Received: '1'.*layout 'pairs' alone"):
        load_dataset(tmp_path)


def test_palette_masks_are_named_by_their_indices(tmp_path: Path) -> None:
    from PIL import Image

    image = Image.fromarray(INDEX, mode="P")
    image.putpalette([0, 0, 0, *RED, *GREEN])
    write_image(tmp_path / "images" / "a.png")
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / "masks" / "a.png")
    text(tmp_path / "dataset.yaml", "classes: {1: scratch, 2: dent}\n")
    dataset = load_dataset(tmp_path)
    assert np.array_equal(class_map(dataset.samples[0], ("scratch", "dent"), SIZE), INDEX)
    text(tmp_path / "dataset.yaml", "classes: {1: scratch}\n")
    with pytest.raises(BlemishError, match=r"must show known values only \(1 scratch\)\. Received: 2"):
        load_dataset(tmp_path)
