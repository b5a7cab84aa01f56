"""Telling masks from photographs by their names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.dataset.layouts.mask_index import told_apart


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("image/a.jpg", "mask/a.png"),
        ("images/a.jpg", "Labels/a.png"),
        ("data/images/train/a.jpg", "data/masks/train/a.png"),
        ("train/images/a.jpg", "train/annotations/a.png"),
        ("scans/a.tif", "GT/a.png"),
        ("a.jpg", "ground_truth/a.png"),
        ("a.jpg", "a_mask.png"),
        ("a.jpg", "a_GT.png"),
        ("a.jpg", "a-seg.bmp"),
        ("a.jpg", "A_Label.PNG"),
        ("train_images/a.jpg", "train_masks/a_mask.png"),
        ("train/a.jpg", "train_labels/a.png"),
        ("photos/a.jpg", "my_masks/a.png"),
        ("test/cut/000.png", "ground_truth/cut/000_mask.png"),
        ("test/cut/000.png", "ground_truth/cut/000/000.png"),
        ("can/test_public/bad/0_regular.png", "can/test_public/ground_truth/bad/0_regular_mask.png"),
        ("candle/Data/Images/Anomaly/000.JPG", "candle/Data/Masks/Anomaly/000.png"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png"),
        ("Class1/Train/0001.PNG", "Class1/Train/Label/0001_label.PNG"),
        ("Defect_images/1.png", "Mask_images/1_mask.png"),
        ("bad/a.png", "elsewhere/a_mask.png"),
        ("u\u0308.jpg", "masks/\u00fc.png"),
        ("images/a.jpg", "masks/a.jpg.png"),
    ],
)
def test_a_mask_is_found_by_its_folder_or_its_ending(image: str, mask: str) -> None:
    index = told_apart(tuple(sorted((image, mask))))
    assert index.photographs == (image,)
    assert index.of(image) == (mask,)
    assert not index.orphans


def test_the_folders_of_a_mask_choose_among_images_of_a_name() -> None:
    images = [
        f"{c}/{part}/000.png" for c in ("bottle", "cable") for part in ("train/good", "test/good", "test/cut")
    ]
    masks = [f"{c}/ground_truth/cut/000_mask.png" for c in ("bottle", "cable")]
    index = told_apart(tuple(sorted([*images, *masks])))
    assert index.photographs == tuple(sorted(images))
    assert index.masks_of == {
        f"{c}/test/cut/000.png": (f"{c}/ground_truth/cut/000_mask.png",) for c in ("bottle", "cable")
    }


def test_a_mask_that_fits_none_or_two_is_told() -> None:
    index = told_apart(("bad/0.png", "good/0.png", "mask/0.png", "mask/9.png"))
    assert index.orphans == ("mask/9.png",)
    assert index.doubtful == {"mask/0.png": ("bad/0.png", "good/0.png")}
    assert index.photographs == ("bad/0.png", "good/0.png")


@pytest.mark.parametrize(
    "files",
    [
        ("labels/bad/a.png", "labels/good/b.png"),  # folders of labels, no masks
        ("good/product_label.png", "bad/other_label.png"),  # photographs of labels
        ("bad/a.png", "good/a_gt.png", "good/b.png", "lot/a.png"),
        ("annotations/a.png", "images/b.png"),
    ],
)
def test_photographs_stay_photographs(files: tuple[str, ...]) -> None:
    assert told_apart(files).photographs == files


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.sampled_from(["masks", "images", "good", "a", "GT", "x_labels", "Label"]), max_size=3
        ).flatmap(
            lambda folders: st.sampled_from(
                ["a.png", "a.jpg", "a_mask.png", "b.png", "b_GT.bmp", "mask.png"]
            ).map(lambda name: "/".join([*folders, name]))
        ),
        unique=True,
        max_size=8,
    )
)
def test_every_file_is_one_thing(files: list[str]) -> None:
    index = told_apart(tuple(sorted(files)))
    masks = [mask for these in index.masks_of.values() for mask in these]
    parts = [*index.photographs, *masks, *index.orphans, *index.doubtful]
    assert sorted(parts) == sorted(files)
    assert {*index.masks_of} <= {*index.photographs}
