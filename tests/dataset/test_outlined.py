"""Images with a defect that has no outline are left out of what is learned from, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blemish.dataset.outlined import left_out, outlined
from blemish.dataset.samples import Annotation, Dataset, MaskFile, Sample
from blemish.errors import BlemishError

OUTLINE = Annotation("spot", polygons=(((0, 0), (4, 0), (4, 4)),))
MASK = Annotation("spot", mask=MaskFile(Path("mask.png")))
BOX = Annotation("spot", box_xyxy=(0, 0, 4, 4))
LABEL = Annotation("spot")
MARKS = {
    "clean": (),
    "outlined": (OUTLINE,),
    "masked": (MASK, OUTLINE),
    "boxed": (BOX,),
    "named": (LABEL,),
    "mixed": (OUTLINE, BOX),
}


def dataset(**images: tuple[str, ...]) -> Dataset:
    """The named images of `MARKS` in each split."""
    samples = tuple(
        Sample(Path(f"{split}-{name}.png"), f"{split}-{name}", MARKS[name], split=split)
        for split, names in images.items()
        for name in names
    )
    return Dataset(Path("data"), samples, ("spot",))


def test_images_of_train_and_val_with_a_defect_without_outline_are_left_out_with_their_numbers() -> None:
    whole = dataset(train=tuple(MARKS), val=("clean", "outlined", "mixed"), test=tuple(MARKS))
    remaining = outlined(whole)
    assert [each.id for each in remaining.split("train")] == ["train-clean", "train-outlined", "train-masked"]
    assert [each.id for each in remaining.split("val")] == ["val-clean", "val-outlined"]
    assert len(remaining.split("test")) == len(MARKS)
    (sentence,) = left_out(whole)
    assert sentence.startswith("3 training and 1 validation images have defects without an outline")
    assert left_out(remaining) == ()
    assert outlined(remaining) == remaining


def test_boxes_of_test_images_alone_are_nothing_to_speak_of() -> None:
    whole = dataset(train=("outlined", "clean"), val=("clean",), test=("boxed",))
    assert outlined(whole) == whole
    assert left_out(whole) == ()


@pytest.mark.parametrize(
    ("train", "val", "named"),
    [
        (("clean", "mixed"), ("outlined",), "training"),
        (("named",), ("outlined",), "training"),
        (("outlined",), ("boxed", "clean"), "validation"),
    ],
)
def test_no_outlined_defect_left_is_refused(train: tuple[str, ...], val: tuple[str, ...], named: str) -> None:
    with pytest.raises(BlemishError, match=f"The {named} images must have masks or polygons"):
        outlined(dataset(train=train, val=val))


@pytest.mark.parametrize("mark", [replace(OUTLINE, crowd=True), replace(BOX, difficult=True)])
def test_images_with_crowd_or_difficult_regions_are_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, mark: Annotation
) -> None:
    monkeypatch.setitem(MARKS, "unsure", (OUTLINE, mark))
    whole = dataset(train=("clean", "outlined", "unsure", "boxed"), val=("outlined",), test=("unsure",))
    assert [each.id for each in outlined(whole).split("train")] == ["train-clean", "train-outlined"]
    assert len(outlined(whole).split("test")) == 1
    first, second = left_out(whole)
    assert first.startswith("1 training and 0 validation images have crowd or difficult regions")
    assert second.startswith("1 training and 0 validation images have defects without an outline")
    with pytest.raises(BlemishError, match="The training images must have masks or polygons"):
        outlined(dataset(train=("unsure",), val=("outlined",)))
