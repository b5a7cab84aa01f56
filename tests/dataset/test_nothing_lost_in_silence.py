"""Files and annotations that are easily lost, or taken for something else: each is named in a warning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.dataset.convert import convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.errors import BlemishError
from tests.dataset import builders


def warnings(root: Path) -> str:
    return "\n".join(load_dataset(root).account.warnings)


def coco(root: Path, *marks: dict[str, Any], categories: Any = ({"id": 1, "name": "dent"},)) -> Path:
    """Two images of 40×30, numbers 1 and 2, and a COCO file."""
    names = ["1.png", "2.png"]
    for name in names:
        builders.write_image(root / "images" / name)
    images = [{"id": number, "file_name": name} for number, name in enumerate(names, start=1)]
    annotations = [
        {"id": number, "category_id": 1, "image_id": 1, **mark} for number, mark in enumerate(marks, start=1)
    ]
    builders.text(
        root / "a.json",
        json.dumps({"images": images, "annotations": annotations, "categories": [*categories]}),
    )
    return root


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("bad/x.heic", "images of this type are not read"),
        ("bad/X.GIF", "images of this type are not read"),
        ("good/raw/x.dng", "images of this type are not read"),
        ("more.tar.gz", "archives are not opened"),
        ("lot3.zip", "archives are not opened"),
        ("labels.xlsx", "no label file that this layout knows"),
        ("labels.jsonl", "no label file that this layout knows"),
    ],
)
def test_files_of_other_types_are_named(tmp_path: Path, name: str, reason: str) -> None:
    root = builders.labels_layout(tmp_path)
    builders.text(root / name, "?")
    assert f"1 file is left out ({name}): {reason}" in warnings(root)


@pytest.mark.parametrize("name", ["readme.zip", "notes.md", "Thumbs.db"])
def test_notes_stay_notes(tmp_path: Path, name: str) -> None:
    root = builders.labels_layout(tmp_path)
    builders.text(root / name, "?")
    assert name in load_dataset(root).account.notes


@pytest.mark.parametrize(
    ("mark", "shares"),
    [
        ({"bbox": [0.2, 0.3, 0.4, 0.5]}, True),
        ({"segmentation": [[0.1, 0.1, 0.9, 0.1, 0.9, 1.0]]}, True),
        ({"bbox": [0.2, 0.3, 4, 5]}, False),
        ({"bbox": [-0.2, 0.3, 0.4, 0.5]}, False),
    ],
)
def test_places_in_shares_are_doubted(tmp_path: Path, mark: dict[str, Any], *, shares: bool) -> None:
    assert ("are they shares of width and height?" in warnings(coco(tmp_path, mark))) == shares


def test_one_whole_box_shows_that_the_others_are_pixels(tmp_path: Path) -> None:
    root = coco(tmp_path, {"bbox": [0.2, 0.3, 0.4, 0.5]}, {"bbox": [3, 4, 10, 8]})
    assert "shares" not in warnings(root)
    messages = [problem.message for problem in check_dataset(load_dataset(root)).problems]
    assert sum("smaller than a pixel" in message for message in messages) == 1


def test_voc_boxes_in_shares_are_doubted(tmp_path: Path) -> None:
    builders.write_image(tmp_path / "a.png")
    box = "<xmin>0.2</xmin><ymin>0.3</ymin><xmax>0.5</xmax><ymax>0.9</ymax>"
    text = f"<annotation><object><name>x</name><bndbox>{box}</bndbox></object></annotation>"
    builders.text(tmp_path / "a.xml", text)
    assert "1 image (a.png): every box or outline lies within the first pixel" in warnings(tmp_path)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ([3.2, 4, 20, 16], True),
        ([3, 4, 20, 15.8], True),
        ([5, 4, 20, 16], False),
        ([3, 4, 10, 8], False),
    ],
)
def test_nearly_equal_boxes_are_told_of(tmp_path: Path, other: list[float], *, said: bool) -> None:
    root = coco(tmp_path, {"bbox": [3, 4, 20, 16]}, {"bbox": other})
    messages = [problem.message for problem in check_dataset(load_dataset(root)).problems]
    assert any("nearly the same box twice" in message for message in messages) == said


def test_equal_extents_of_different_outlines_are_no_repeat(tmp_path: Path) -> None:
    rising, falling = [3, 3, 5, 3, 20, 20, 18, 20], [3, 20, 5, 20, 20, 3, 18, 3]
    root = coco(tmp_path, {"segmentation": [rising]}, {"segmentation": [falling]})
    messages = [problem.message for problem in check_dataset(load_dataset(root)).problems]
    assert not any("nearly the same" in message for message in messages)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["good/a.png", "bad/b.png", "x.png"], "x.png must lie in a folder such as bad, good too"),
        (
            ["good/a.png", "images/y.png", "x.png"],
            "images/y.png and 1 more must lie in a folder such as good",
        ),
        (["bad/a.png", "bad/b.png"], "All images lie in 'bad', so none is clean. Add a folder of clean ones"),
        (["x.png", "y.png"], "Label files, masks or folders such as good/ and bad/ must say"),
    ],
)
def test_what_keeps_folders_from_being_labels_is_said(
    tmp_path: Path, names: list[str], sentence: str
) -> None:
    for name in names:
        builders.write_image(tmp_path / name)
    with pytest.raises(BlemishError, match="must have a known layout") as caught:
        load_dataset(tmp_path)
    assert sentence in str(caught.value)


@pytest.mark.parametrize("folder", ["masks", "ground_truth/deep", "SegmentationClass"])
def test_a_name_means_the_image_and_not_its_mask(tmp_path: Path, folder: str) -> None:
    root = coco(tmp_path, {"bbox": [3, 4, 20, 16]})
    for name in ("1.png", "2.png"):
        builders.mask(root / folder / name, (1, 1, 5, 5))
    assert [sample.id for sample in load_dataset(root)] == ["images/1.png", "images/2.png"]


@pytest.mark.parametrize(("orientation", "said"), [(1, False), (3, True), (6, True), (0, False)])
def test_labels_in_shares_of_a_turned_image_are_doubted(
    tmp_path: Path, orientation: int, *, said: bool
) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x112] = orientation
    (tmp_path / "images").mkdir()
    Image.new("L", (40, 30)).save(tmp_path / "images" / "a.jpg", exif=exif)
    builders.text(tmp_path / "labels" / "a.txt", "0 0.5 0.5 0.2 0.2\n")
    builders.text(tmp_path / "data.yaml", "names: [dent]\n")
    assert ("1 image (images/a.jpg): turned by EXIF data" in warnings(tmp_path)) == said


def test_a_key_ignore_is_told_of(tmp_path: Path) -> None:
    assert "1 annotation (a.json: annotation 2 of 1.png): their key 'ignore' is not read" in warnings(
        coco(tmp_path, {"bbox": [1, 2, 3, 4], "ignore": 0}, {"bbox": [8, 8, 9, 9], "ignore": 1})
    )


def test_a_file_without_categories_says_so(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"known category \(the file has none\)\. Received: 1"):
        load_dataset(coco(tmp_path, {"bbox": [1, 2, 3, 4]}, categories=()))


def test_conversion_repeats_what_reading_warned_of(tmp_path: Path) -> None:
    root = coco(tmp_path / "in", {"bbox": [1, 2, 3, 4]}, {"bbox": [8, 8, 9, 9], "ignore": 1})
    builders.text(root / "old.zip", "?")
    dataset = load_dataset(root)
    answer = convert(dataset, tmp_path / "out", "voc")
    assert set(dataset.account.warnings) <= set(answer.warnings)
    assert len(answer.warnings) == len(set(answer.warnings))
    with pytest.raises(BlemishError, match=r"must hold all of .*old\.zip"):
        convert(dataset, tmp_path / "strict", "coco", strict=True)
    assert not (tmp_path / "strict").exists()


def test_the_fault_of_the_only_images_is_the_message(tmp_path: Path) -> None:
    root = coco(tmp_path, {"bbox": [1, 2, "x", 4]}, {"bbox": [1, 2, "y", 4], "image_id": 2})
    with pytest.raises(
        BlemishError,
        match=r"^\S+a\.json: annotation 1 of 1\.png must .* 1 more have faults, and no image is left\.$",
    ):
        load_dataset(root, skip_broken=True)


@pytest.mark.parametrize("name", ["mask_b.png", "GT-b.png", "seg_b.bmp", "b_mask.png"])
def test_masks_beside_labelled_images_are_no_images(tmp_path: Path, name: str) -> None:
    builders.write_image(tmp_path / "good" / "a.png")
    builders.write_image(tmp_path / "bad" / "b.png")
    builders.mask(tmp_path / "bad" / name, (3, 3, 9, 9))
    dataset = load_dataset(tmp_path)
    assert [sample.id for sample in dataset] == ["bad/b.png", "good/a.png"]
    assert dataset.samples[0].annotations[0].has_outline


@pytest.mark.parametrize("seed", range(8))
def test_colour_photographs_of_equal_names_are_no_drawings(tmp_path: Path, seed: int) -> None:
    import cv2

    generator = np.random.default_rng(seed)
    for folder in ("good", "cut", "dent"):
        for name in ("000.png", "001.png"):
            coarse = generator.integers(60, 180, (6, 8, 3), dtype=np.uint8)
            smooth = cv2.resize(coarse, (64, 48), interpolation=cv2.INTER_LINEAR).astype(np.int32)
            noisy = smooth + generator.integers(-9, 9, smooth.shape)
            builders.save(tmp_path / folder / name, noisy.astype(np.uint8))
    assert len(load_dataset(tmp_path)) == 6


def test_drawings_among_photographs_are_told_of(tmp_path: Path) -> None:
    root = builders.labels_layout(tmp_path)
    drawing = np.zeros((30, 40), np.uint8)
    drawing[3:9, 3:9] = 1
    builders.save(root / "1" / "unlike.png", drawing)
    messages = [problem.message for problem in check_dataset(load_dataset(root)).problems]
    assert any("drawings of a few values" in message and "unlike.png" in message for message in messages)


def test_voc_says_which_part_of_an_object_is_wrong(tmp_path: Path) -> None:
    builders.write_image(tmp_path / "a.png")
    outline = "<object><name>x</name><polygon><x1>1</x1></polygon></object>"
    builders.text(tmp_path / "a.xml", f"<annotation>{outline}</annotation>")
    with pytest.raises(BlemishError, match=r"object 1 .*Received: x, a polygon alone, which is not read"):
        load_dataset(tmp_path)
    two = "<bndbox/><bndbox/>"
    builders.text(tmp_path / "a.xml", f"<annotation><object>{two}</object></annotation>")
    with pytest.raises(BlemishError, match=r"object 1 .*Received: no name, 2 bndbox"):
        load_dataset(tmp_path)


def test_faults_of_a_table_name_line_column_and_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        builders.write_image(tmp_path / name)
    header = "image,xmin,ymin,xmax,ymax,label\na.png,1,2,9,9,x\n"
    builders.text(tmp_path / "l.csv", f"{header}b.png,1,nan,9,9,x\n")
    with pytest.raises(BlemishError, match=r"l\.csv line 3: ymin must be a number"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "l.csv", f"{header}c.png,1,2,9,9,x\n")
    reason = load_dataset(tmp_path, skip_broken=True).skipped["b.png"]
    assert reason.startswith(f"{tmp_path / 'b.png'} must be in a label file that can be read")


def test_voc_parts_of_an_object_are_told_of(tmp_path: Path) -> None:
    builders.write_image(tmp_path / "a.png")
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    whole = f"<object><name>x</name>{box}<part><name>y</name>{box}</part></object>"
    builders.text(tmp_path / "a.xml", f"<annotation>{whole}</annotation>")
    assert "1 object (a.xml object 1): they have parts with boxes of their own" in warnings(tmp_path)
