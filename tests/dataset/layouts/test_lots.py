"""One dataset in several sub-folders: which names mean lots, and what each sample then says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.splits.split import split_dataset, write_splits
from blemish.errors import BlemishError
from tests.dataset import builders
from tests.dataset.builders import (
    coco_layout,
    labels_layout,
    mask,
    pairs_layout,
    text,
    voc_layout,
    write_image,
)
from tests.dataset.builders import yolo_layout as yolo


@pytest.mark.parametrize("build", [pairs_layout, coco_layout, voc_layout, yolo, labels_layout])
def test_two_folders_of_one_set_are_one_set(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    """What is read of each lot is what is read of it alone, under its name and in its group."""
    for lot in ("lotA", "lotB"):
        build(tmp_path / "set" / lot)
    dataset = load_dataset(tmp_path / "set")
    assert (dataset.layout, dataset.products) == ("lots", ())
    assert "'layout: products' in dataset.yaml makes them products" in dataset.reason
    for lot in ("lotA", "lotB"):
        alone = load_dataset(tmp_path / "set" / lot)
        expected = {(f"{lot}/{s.id}", s.split, len(s.annotations)) for s in alone}
        assert {(s.id, s.split, len(s.annotations)) for s in dataset if s.group == lot} == expected
        assert alone.class_names == dataset.class_names
    text(tmp_path / "set" / "dataset.yaml", "layout: products\n")
    assert load_dataset(tmp_path / "set").products == ("lotA", "lotB")


@pytest.mark.parametrize(
    ("names", "lots"),
    [
        (("lot1", "lot2"), True),
        (("Lot_red", "lot_blue"), True),
        (("2024-05-01", "2024-05-02"), True),
        (("batch_07", "batch_12"), True),
        (("A", "B"), True),
        (("part-a", "part-b"), True),
        (("3", "04"), True),
        (("line", "linen"), True),
        (("cap", "tile"), False),
        (("cab", "car"), False),
        (("type1", "type2"), False),
        (("cap1", "tile2"), False),
        (("lotus", "lotion"), False),
        (("setup", "lot1"), False),
    ],
)
def test_names_that_count_are_lots(tmp_path: Path, names: tuple[str, ...], *, lots: bool) -> None:
    for name in names:
        pairs_layout(tmp_path / name)
    assert load_dataset(tmp_path).layout == ("lots" if lots else "products")


def test_the_settings_make_one_set_of_any_folders(tmp_path: Path) -> None:
    for name in ("cap", "tile"):
        pairs_layout(tmp_path / name)
    assert "'layout: lots' in dataset.yaml makes them one set" in load_dataset(tmp_path).reason
    text(tmp_path / "dataset.yaml", "layout: lots\n")
    dataset = load_dataset(tmp_path)
    assert ({s.group for s in dataset}, dataset.products) == ({"cap", "tile"}, ())


def test_folders_of_one_kind_of_image_each_are_one_set(tmp_path: Path) -> None:
    """As products nothing could be learned from either."""
    for name, boxes in (("crack", [(2, 3, 9, 8)]), ("nocrack", [])):
        for number in range(2):
            write_image(tmp_path / name / "images" / f"{number}.png")
            mask(tmp_path / name / "masks" / f"{number}.png", *boxes)
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.products) == ("lots", ())
    assert "none holds both clean and defective images, so lots of one set" in dataset.reason
    assert [s.group for s in dataset if s.is_defective] == ["crack", "crack"]
    text(tmp_path / "dataset.yaml", "layout: products\n")
    assert load_dataset(tmp_path).products == ("crack", "nocrack")


def test_class_folders_within_lots_keep_their_classes_and_lots_of_masks_are_none(tmp_path: Path) -> None:
    for lot in ("lot1", "lot2"):
        for name, boxes in (("a", [(2, 3, 9, 8)]), ("b", [])):
            write_image(tmp_path / lot / f"{name}.jpg")
            mask(tmp_path / lot / f"{name}.png", *boxes)
    assert load_dataset(tmp_path).class_names == ("defect",)


@pytest.mark.parametrize("kind", ["good", "scratch"])
def test_lots_below_folders_of_labels_are_groups(tmp_path: Path, kind: str) -> None:
    for name in ("lot1/good", f"lot2/{kind}", "lot2/bad"):
        write_image(tmp_path / name / "a.png")
    assert {s.id: s.group for s in load_dataset(tmp_path)} == {
        "lot1/good/a.png": "lot1",
        f"lot2/{kind}/a.png": "lot2",
        "lot2/bad/a.png": "lot2",
    }


def test_settings_of_the_folder_hold_in_its_lots_unless_they_have_their_own(tmp_path: Path) -> None:
    for lot in ("lot1", "lot2"):
        write_image(tmp_path / lot / "images" / "a.png")
        write_image(tmp_path / lot / "images" / "b.png")
        mask(tmp_path / lot / "masks" / "a.png", (2, 3, 9, 8))
    with pytest.raises(BlemishError, match=r"lot1/images/b\.png must have a mask.*'unlabelled: clean'"):
        load_dataset(tmp_path)
    text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    assert len(load_dataset(tmp_path)) == 4
    text(tmp_path / "lot2" / "dataset.yaml", "unlabelled: leave-out\n")
    assert [s.id for s in load_dataset(tmp_path)] == [
        "lot1/images/a.png",
        "lot1/images/b.png",
        "lot2/images/a.png",
    ]


def test_classes_of_the_folder_rename_those_of_its_lots(tmp_path: Path) -> None:
    for lot in ("lot1", "lot2"):
        coco_layout(tmp_path / lot)
    labels_layout(tmp_path / "lot3")
    text(tmp_path / "dataset.yaml", "classes: {dent: Delle}\n")
    assert load_dataset(tmp_path).class_names == ("Delle", "scratch", "defect")


def test_a_split_of_lots_is_read_back_the_same(tmp_path: Path) -> None:
    for lot in ("lot1", "lot2", "lot3"):
        pairs_layout(tmp_path / "set" / lot)
    cut = split_dataset(load_dataset(tmp_path / "set"), by="group", seed=1)
    write_splits(cut, tmp_path / "splits")
    again = load_dataset(tmp_path / "splits")
    assert {(s.id, s.split, s.group) for s in again} == {(s.id, s.split, s.group) for s in cut}
    assert all(len({s.split for s in cut if s.group == lot}) == 1 for lot in ("lot1", "lot2", "lot3"))


def test_every_file_of_lots_is_in_the_account(tmp_path: Path) -> None:
    builders.lots_layout(tmp_path)
    text(tmp_path / "lot1" / "odd.csv", "x\n")
    account = load_dataset(tmp_path).account
    assert account.files == sum(path.is_file() for path in tmp_path.rglob("*"))
    assert list(account.left_out) == ["lot1/odd.csv"]
