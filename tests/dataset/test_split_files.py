"""Split lists: every way to name an image, and entries that name none, two, or an image of another split."""

from __future__ import annotations

from pathlib import Path

import builders
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError


def test_path_stem_name_and_absolute_path(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    lines = ["MT_Crack/Imgs/a.jpg", "MT_Crack/Imgs/b", "", "c.jpg"]
    builders.text(tmp_path / "splits" / "train.txt", "\ufeff" + "\r\n".join(lines))
    builders.text(tmp_path / "splits" / "test.txt", str(tmp_path / "MT_Free" / "Imgs" / "d.jpg"))
    assert {Path(s.id).stem: s.split for s in load_dataset(tmp_path)} == {
        "a": "train",
        "b": "train",
        "c": "train",
        "d": "test",
    }


def test_lists_replace_the_layout_s_own_splits(tmp_path: Path) -> None:
    builders.voc_layout(tmp_path)
    builders.text(tmp_path / "splits" / "val.txt", "a\n")
    assert {s.id: s.split for s in load_dataset(tmp_path)} == {
        "JPEGImages/a.png": "val",
        "JPEGImages/b.png": None,
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("MT_Crack/Imgs/long-nam.jpg", r"no such file\. .* Did you mean 'long-name'\?"),
        ("MT_Hole/Imgs/a.jpg", r"no such file; MT_Crack/Imgs/a\.jpg lies in another folder"),
        ("x", r"'x' must mean one image\. Received: MT_Crack/Imgs/x\.jpg and MT_Hole/Imgs/x\.jpg"),
    ],
)
def test_entry_of_none_or_two_images_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    builders.masks_layout(tmp_path)
    for name in ("MT_Crack/Imgs/x", "MT_Hole/Imgs/x", "MT_Hole/Imgs/long-name"):
        builders.write_image(tmp_path / f"{name}.jpg")
        builders.mask(tmp_path / f"{name}.png")
    builders.text(tmp_path / "splits" / "train.txt", f"c\n{line}\n")
    with pytest.raises(BlemishError, match=rf"train\.txt line 2: .*{message}"):
        load_dataset(tmp_path)


def test_entry_in_another_case_or_from_another_machine_is_told(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    lines = "mt_crack/Imgs/A.jpg\nD:\\set\\MT_Crack\\Imgs\\b.jpg\nc\nMT_Hole/Imgs/c.jpg\n"
    builders.text(tmp_path / "splits" / "train.txt", lines)
    dataset = load_dataset(tmp_path)
    assert dataset.splits == {"train": 3, "": 1}
    case, machine, again = dataset.account.remarks
    assert "train.txt line 1" in case
    assert "upper and lower case" in case
    assert "train.txt line 2" in machine
    assert "folders are not in the dataset" in machine
    assert "train.txt line 4" in again
    assert "has already" in again


def test_image_in_two_splits_is_refused(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    for split in ("train", "test"):
        builders.text(tmp_path / "splits" / f"{split}.txt", "c\n")
    with pytest.raises(BlemishError, match=r"test\.txt line 1: an image must be in one split.*also in train"):
        load_dataset(tmp_path)


def test_entry_of_an_image_left_out_is_no_error(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    builders.write_image(tmp_path / "MT_Hole" / "Imgs" / "x.jpg")
    builders.text(tmp_path / "splits" / "train.txt", "c\nx\n")
    assert load_dataset(tmp_path, skip_broken=True).splits == {"": 3, "train": 1}


def test_splits_in_dataset_yaml(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    builders.text(tmp_path / "lists" / "one.txt", "a\n")
    builders.text(tmp_path / "dataset.yaml", "splits: {train: lists/one.txt, test: [b, c]}\n")
    assert load_dataset(tmp_path).splits == {"train": 1, "test": 2, "": 1}
    builders.text(tmp_path / "dataset.yaml", "splits: {test: [q]}\n")
    with pytest.raises(BlemishError, match=r"dataset\.yaml: 'splits\.test': .* must hold the image 'q'"):
        load_dataset(tmp_path)
