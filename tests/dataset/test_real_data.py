"""The public sets load with the counts that their README states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.quality.check import check_dataset
from blemish.images.decode import image_size

# folder: (layout, images, annotations, images per class, splits)
EXPECTED = {
    "magnetic-tile": (
        "masks",
        635,
        312,
        {"Blowhole": 92, "Break": 68, "Crack": 46, "Fray": 26, "Uneven": 80},
        {"train": 382, "val": 95, "test": 158},
    ),
    "neu-det": (
        "voc",
        1800,
        4189,
        {
            "crazing": 300,
            "inclusion": 382,
            "patches": 342,
            "pitted_surface": 301,
            "rolled-in_scale": 300,
            "scratches": 300,
        },
        {"train": 1080, "val": 180, "test": 540},
    ),
    "crackforest": ("crackforest", 118, 118, {"crack": 118}, {"train": 60, "val": 12, "test": 46}),
    "aiglern-crops": ("pairs", 171, 171, {"defect": 171}, {"train": 87, "val": 19, "test": 65}),
    "bc-defects": ("labels", 784, 217, {"defect": 217}, {"": 784}),
    "deeppcb": (
        "deeppcb",
        200,
        1321,
        {"open": 177, "short": 149, "mousebite": 171, "spur": 163, "copper": 159, "pin-hole": 166},
        {"train": 150, "test": 50},
    ),
    "dagm-sample": ("dagm", 15, 9, {"class1": 3, "class2": 3, "class3": 3}, {"": 15}),
    "dagm-thumbs": ("dagm", 575, 82, {"Class4": 82}, {"train": 575}),
    "aluminium": ("pairs", 4, 4, {"colour-0000ff": 1, "colour-ff0000": 1, "colour-ffff00": 2}, {"": 4}),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_counts(data_root: Path, name: str) -> None:
    dataset = load_dataset(data_root / name)
    marks = sum(len(sample.annotations) for sample in dataset) + len(dataset.account.dropped)
    found = (dataset.layout, len(dataset), marks, dataset.class_counts, dataset.splits)
    assert found == EXPECTED[name]


def test_magnetic_tile_folders(data_root: Path) -> None:
    ids = [sample.id.split("/")[0] for sample in load_dataset(data_root / "magnetic-tile")]
    sizes = {"Blowhole": 92, "Break": 68, "Crack": 46, "Fray": 26, "Free": 320, "Uneven": 83}
    assert {name: ids.count(f"MT_{name}") for name in sizes} == sizes


def test_deeppcb_has_references_and_boxes_inside(data_root: Path) -> None:
    dataset = load_dataset(data_root / "deeppcb")
    assert all(sample.reference and sample.reference.is_file() for sample in dataset)
    boxes = np.array([a.box_xyxy for sample in dataset for a in sample.annotations])
    assert (boxes[:, :2] < boxes[:, 2:]).all()
    assert boxes.min() >= 0
    assert boxes.max() <= 640


def test_aluminium_colours_cover_the_marks_but_not_their_false_edges(data_root: Path) -> None:
    dataset = load_dataset(data_root / "aluminium")
    for sample in dataset:
        classes = class_map(sample, dataset.class_names, image_size(sample.image))
        assert len(np.unique(classes)) == 1 + len(sample.annotations)
    sample = next(sample for sample in dataset if sample.id.endswith("182.jpg"))
    yellow = class_map(sample, dataset.class_names, image_size(sample.image))
    assert (yellow == 3).sum() == 83656


def test_neu_s_known_duplicate_is_found(data_root: Path) -> None:
    report = check_dataset(load_dataset(data_root / "neu-det"))
    assert report.usable
    assert any("patches_101" in p.message and "patches_105" in p.message for p in report.problems)


def test_neu_s_three_repeated_boxes_count_once(data_root: Path) -> None:
    account = load_dataset(data_root / "neu-det").account
    assert (account.annotations, len(account.dropped)) == (4186, 3)
    assert all("2 times" in reason for reason in account.dropped.values())
