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
        ("mt_Crack/Imgs/a.jpg", r"Received: 'mt_Crack/Imgs/a\.jpg'\. Did you mean 'MT_Crack/Imgs/a\.jpg'\?"),
        ("x", r"must name one image\. Received: 'x', which is MT_Crack/Imgs/x\.jpg and MT_Hole/Imgs/x\.jpg"),
    ],
)
def test_entry_of_none_or_two_images_names_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    builders.masks_layout(tmp_path)
    for folder in ("MT_Crack", "MT_Hole"):
        builders.write_image(tmp_path / folder / "Imgs" / "x.jpg")
        builders.mask(tmp_path / folder / "Imgs" / "x.png")
    builders.text(tmp_path / "splits" / "train.txt", f"c\n{line}\n")
    with pytest.raises(BlemishError, match=rf"train\.txt line 2 .*{message}"):
        load_dataset(tmp_path)


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
    with pytest.raises(
        BlemishError, match=r"dataset\.yaml: 'splits\.test' must name an image\. Received: 'q'"
    ):
        load_dataset(tmp_path)
