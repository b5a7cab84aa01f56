"""Planted leaks are refused with both names, and nothing else is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import pytest
from builders import labels_layout, write_image

from blemish.dataset import hashing
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.leaks import refuse_leaks, refuse_seen
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.splits.split import split_dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError


def divided(root: Path) -> Dataset:
    """Two clean and one bad image in train, one and one in test."""
    splits = {"good/g0.png": "train", "good/g1.png": "train", "good/g2.png": "test"}
    splits |= {"bad/b0.png": "train", "bad/b1.png": "test"}
    return load_dataset(labels_layout(root)).with_splits(dict(splits))


def test_distinct_pictures_pass(tmp_path: Path) -> None:
    refuse_leaks(divided(tmp_path))


def test_copy_of_a_test_image_in_training_is_refused_with_both_names(tmp_path: Path) -> None:
    dataset = divided(tmp_path)
    shutil.copy(tmp_path / "bad" / "b1.png", tmp_path / "bad" / "b0.png")
    with pytest.raises(BlemishError) as caught:
        refuse_leaks(dataset)
    message = str(caught.value)
    assert f"{tmp_path / 'bad' / 'b1.png'} of split 'test'" in message
    assert f"{tmp_path / 'bad' / 'b0.png'}, an image of split 'train'" in message
    assert "Split by content" in message
    assert "\n" not in message


def test_the_same_pixels_in_another_format_are_found(tmp_path: Path) -> None:
    dataset = divided(tmp_path)
    pixels = cv2.imread(str(tmp_path / "good" / "g2.png"), cv2.IMREAD_UNCHANGED)
    assert cv2.imwrite(str(tmp_path / "good" / "g1.bmp"), pixels)
    moved = [replace(s, image=tmp_path / "good" / "g1.bmp") if s.id == "good/g1.png" else s for s in dataset]
    with pytest.raises(BlemishError, match=r"g1\.bmp"):
        refuse_leaks(replace(dataset, samples=tuple(moved)))


def test_one_gray_level_is_another_picture(tmp_path: Path) -> None:
    dataset = divided(tmp_path)
    pixels = cv2.imread(str(tmp_path / "good" / "g2.png"), cv2.IMREAD_UNCHANGED)
    pixels[3, 4] ^= 1
    assert cv2.imwrite(str(tmp_path / "good" / "g1.png"), pixels)
    refuse_leaks(dataset)


@pytest.mark.parametrize("split", ["train", "val"])
def test_test_image_as_a_reference_is_refused(tmp_path: Path, split: str) -> None:
    dataset = divided(tmp_path)
    shutil.copy(tmp_path / "good" / "g2.png", tmp_path / "reference.png")
    planted = replace(dataset.samples[0], split=split, reference=tmp_path / "reference.png")
    with pytest.raises(BlemishError, match=rf"reference\.png, a reference of split '{split}'"):
        refuse_leaks(replace(dataset, samples=(planted, *dataset.samples[1:])))


def test_images_of_one_split_and_of_none_may_be_alike(tmp_path: Path) -> None:
    dataset = divided(tmp_path)
    shutil.copy(tmp_path / "good" / "g1.png", tmp_path / "good" / "g0.png")
    refuse_leaks(dataset)
    shutil.copy(tmp_path / "good" / "g2.png", tmp_path / "good" / "g1.png")
    refuse_leaks(dataset.with_splits({"good/g2.png": "test", "good/g0.png": "train"}))


def test_validation_can_be_sealed_too(tmp_path: Path) -> None:
    dataset = divided(tmp_path)
    shutil.copy(tmp_path / "good" / "g1.png", tmp_path / "good" / "g0.png")
    leaky = dataset.with_splits({**{s.id: s.split for s in dataset}, "good/g1.png": "val"})
    refuse_leaks(leaky)
    with pytest.raises(BlemishError, match=r"g1\.png of split 'val'"):
        refuse_leaks(leaky, seal=("val", "test"))


def test_an_extra_image_may_not_show_a_picture_of_a_sealed_split(tmp_path: Path) -> None:
    dataset = divided(tmp_path / "data")
    extra = Sample(write_image(tmp_path / "new.png"), "new.png")
    refuse_seen(dataset, (extra,))
    shutil.copy(tmp_path / "data" / "good" / "g0.png", tmp_path / "new.png")  # an image of training
    refuse_seen(dataset, (extra,))
    shutil.copy(tmp_path / "data" / "good" / "g2.png", tmp_path / "new.png")
    with pytest.raises(
        BlemishError, match=r"g2\.png of split 'test' must not.*new\.png among the unlabelled"
    ):
        refuse_seen(dataset, (extra,))


def test_an_extra_image_may_not_nearly_show_a_picture_of_a_sealed_split(tmp_path: Path) -> None:
    dataset = synthesise(tmp_path / "data", surfaces=None, images=12, seed=3, size=(120, 120))
    samples = dict(zip(("train", "val", "test"), dataset, strict=False))
    dataset = dataset.with_splits({sample.id: split for split, sample in samples.items()})
    extra = Sample(tmp_path / "new.jpg", "new.jpg")
    for split, sample in samples.items():
        pixels = cv2.imread(str(sample.image))
        assert cv2.imwrite(str(extra.image), pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])
        if split == "train":
            refuse_seen(dataset, (extra,))
            continue
        with pytest.raises(BlemishError) as caught:
            refuse_seen(dataset, (extra,))
        message = str(caught.value)
        assert f"{sample.image} of split '{split}' must not be learned from" in message
        assert f"{extra.image} among the unlabelled images, which shows nearly the same" in message
        assert "\n" not in message


def test_split_by_content_never_leaks(tmp_path: Path) -> None:
    labels_layout(tmp_path, clean=12, bad=9)
    for number in range(5):
        shutil.copy(tmp_path / "good" / f"g{number}.png", tmp_path / "good" / f"copy{number}.png")
    for seed in range(3):
        refuse_leaks(split_dataset(load_dataset(tmp_path), seed=seed))


def test_hashes_are_remembered_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = divided(tmp_path)
    refuse_leaks(dataset)
    read: list[Path] = []
    real = hashing.content_hash
    monkeypatch.setattr(hashing, "content_hash", lambda path: read.append(path) or real(path))
    refuse_leaks(dataset)
    assert read == []
    write_image(tmp_path / "good" / "g0.png", size=(21, 30))
    refuse_leaks(dataset)
    assert read == [tmp_path / "good" / "g0.png"]
