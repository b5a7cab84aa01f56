"""The YOLO layout: names, which label file belongs to which image, lines and splits."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset import builders

NAMES = "names: [dent, scratch]\n"
BOX = "0 0.5 0.5 0.2 0.4\n"


def written(root: Path, *lines: str, data: str = NAMES) -> Path:
    """Image a with a label file of the lines, and a clean image b with an empty one."""
    for name, text in (("a", "\n".join(lines)), ("b", "")):
        builders.write_image(root / "images" / f"{name}.png")
        builders.text(root / "labels" / f"{name}.txt", text)
    builders.text(root / "data.yaml", data)
    return root


def labels(dataset: Dataset) -> dict[str, list[str]]:
    return {Path(sample.id).stem: [a.label for a in sample.annotations] for sample in dataset}


def warnings(dataset: Dataset) -> str:
    return "\n".join(dataset.account.warnings)


def test_yolo(tmp_path: Path) -> None:
    dataset = load_dataset(builders.yolo_layout(tmp_path))
    assert dataset.class_names == ("dent", "scratch")
    assert dataset.splits == {"train": 1, "val": 2}
    box, polygon = dataset.samples[0].annotations
    assert box.label == "scratch"
    assert box.box_xyxy == pytest.approx((12, 6, 18, 14))
    assert polygon.polygons == (((0, 0), (15, 0), (15, 10)),)
    assert not dataset.samples[1].is_defective


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", r"line 1 must name a known class \(0 to 1\). Received: 2"),
        ("1 0.5 0.5 0.1 x", "line 1 must hold numbers"),
        ("1 0.5 0.5 0.1", "line 1 must hold 'class cx cy w h' or a polygon"),
    ],
)
def test_yolo_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    builders.text(builders.yolo_layout(tmp_path) / "labels" / "val" / "c.txt", line)
    with pytest.raises(BlemishError, match=rf"c\.txt {message}"):
        load_dataset(tmp_path)


def test_yolo_without_names(tmp_path: Path) -> None:
    (builders.yolo_layout(tmp_path) / "data.yaml").unlink()
    with pytest.raises(BlemishError, match="must name its classes"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "names: [dent, scratch]\ntrain: images/train\n")
    assert load_dataset(tmp_path).class_names == ("dent", "scratch")


def test_boxes_refer_to_the_turned_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = builders.yolo_layout(tmp_path)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(root / "images" / "val" / "c.jpg", exif=exif)
    (root / "images" / "val" / "c.png").unlink()
    builders.text(root / "labels" / "val" / "c.txt", "0 0.5 0.5 1 1\n")
    sample = next(sample for sample in load_dataset(root) if sample.id.endswith("c.jpg"))
    assert sample.annotations[0].box_xyxy == (0, 0, 20, 30)


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ("names: [on, off]", ("on", "off")),
        ("names: {'0': dent, '1': scratch}", ("dent", "scratch")),
        ("names: {1: scratch, 0: dent}", ("dent", "scratch")),
        ("names: [01, 2024-05-06, 'null']", ("01", "2024-05-06", "null")),
        ("nc: 2\nnames:\n- dent\n- yes\n", ("dent", "yes")),
    ],
)
def test_names_are_read_as_written(tmp_path: Path, data: str, names: tuple[str, ...]) -> None:
    assert load_dataset(written(tmp_path, BOX, data=data)).class_names == names


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("names: dent", r"data\.yaml: 'names' must be a list\. Received: 'dent'"),
        ("names: {1000000000: a}", "'names' must be numbered"),
        ("names: {0: a, 2: b}", r"must be numbered from 0 to 1\. Received: 2"),
        ("names: {-1: a}", "'names' must be numbered"),
        ("names: {x: a}", "'names' must be numbered"),
        ("names: [dent, ]\nnc: 2", r"'nc' must be the number of names, 1\. Received: '2'"),
        ("names: [dent, [x]]", r"'names' must be texts\. Received: \['x'\]"),
        ("names: [dent, ~]", r"'names' must be texts\. Received: nothing for 1"),
        ("names: [a, *b]", r"data\.yaml must be a YAML file"),
        ("names: [a]\nnames: [b]", "twice"),
        ("names: [a]\ntrain: {a: b}", "'train' must be a path"),
        ("names: [a]\nkpt_shape: [2]", "'kpt_shape' must be"),
        ("names: []", "must name its classes"),
    ],
)
def test_wrong_names_are_one_line(tmp_path: Path, data: str, message: str) -> None:
    with pytest.raises(BlemishError, match=message) as caught:
        load_dataset(written(tmp_path, BOX, data=data))
    assert "\n" not in str(caught.value)


def test_same_name_twice_is_one_class(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, BOX, "2 0.2 0.2 0.1 0.1", data="names: [dent, scratch, dent]"))
    assert dataset.class_names == ("dent", "scratch")
    assert labels(dataset)["a"] == ["dent", "dent"]
    assert "2 dent" in warnings(dataset)


def test_two_lists_of_names_must_agree(tmp_path: Path) -> None:
    written(tmp_path, BOX)
    builders.text(tmp_path / "labels" / "classes.txt", "dent\nscratch\nhole\n\n")
    assert load_dataset(tmp_path).class_names == ("dent", "scratch", "hole")
    builders.text(tmp_path / "labels" / "classes.txt", "scratch\ndent\n")
    with pytest.raises(BlemishError, match=r"one way\. Received: data\.yaml and labels/classes\.txt"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "labels" / "classes.txt", "dent\n\nscratch\n")
    with pytest.raises(BlemishError, match=r"classes\.txt must have a name in every line.*line 2"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("name", ["a.TXT", "A.txt", "a.png.txt", "a.PNG.TXT"])
def test_label_file_is_found_in_any_case_and_with_the_image_s_suffix(tmp_path: Path, name: str) -> None:
    written(tmp_path, BOX)
    (tmp_path / "labels" / "a.txt").rename(tmp_path / "labels" / name)
    assert labels(load_dataset(tmp_path)) == {"a": ["dent"], "b": []}


@pytest.mark.parametrize("folder", ["label", "Labels", "LABELS"])
def test_label_folder_of_another_name(tmp_path: Path, folder: str) -> None:
    (written(tmp_path, BOX) / "labels").rename(tmp_path / folder)
    assert labels(load_dataset(tmp_path)) == {"a": ["dent"], "b": []}


def test_composed_and_decomposed_names_belong_together(tmp_path: Path) -> None:
    forms: tuple[tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]], ...] = (("NFC", "NFD"), ("NFD", "NFC"))
    for image, label in forms:
        name = f"Prüf{image}"
        builders.write_image(tmp_path / "images" / f"{unicodedata.normalize(image, name)}.png")
        builders.text(tmp_path / "labels" / f"{unicodedata.normalize(label, name)}.txt", BOX)
    builders.text(tmp_path / "data.yaml", NAMES)
    assert [len(sample.annotations) for sample in load_dataset(tmp_path)] == [1, 1]


def test_label_file_of_no_image_is_told_or_refused(tmp_path: Path) -> None:
    written(tmp_path, BOX)
    builders.text(tmp_path / "labels" / "z.txt", BOX)
    dataset = load_dataset(tmp_path)
    assert dataset.account.left_out == {"labels/z.txt": "label files of no image"}
    builders.write_image(tmp_path / "images" / "sub" / "z.png")
    with pytest.raises(
        BlemishError, match=r"labels/z\.txt must lie where .*images/sub/z\.png has no label file"
    ):
        load_dataset(tmp_path)


def test_label_file_of_two_images_and_image_of_two_label_files(tmp_path: Path) -> None:
    written(tmp_path, BOX)
    builders.write_image(tmp_path / "images" / "a.jpg")
    with pytest.raises(BlemishError, match=r"a\.txt must belong to one image\. Received: images/a\.jpg and "):
        load_dataset(tmp_path)
    (tmp_path / "images" / "a.jpg").unlink()
    builders.text(tmp_path / "images" / "a.txt", BOX + BOX)
    with pytest.raises(
        BlemishError, match=r"a\.png must have one label file\. Received: images/a\.txt and labels"
    ):
        load_dataset(tmp_path)
    builders.text(tmp_path / "images" / "a.txt", BOX)
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"a": ["dent"], "b": []}
    assert "says the same" in warnings(dataset)


def test_images_without_label_file_are_clean_and_told(tmp_path: Path) -> None:
    for name in "cde":
        builders.write_image(written(tmp_path, BOX) / "images" / f"{name}.png")
    dataset = load_dataset(tmp_path)
    assert labels(dataset) == {"a": ["dent"], "b": [], "c": [], "d": [], "e": []}
    assert "3 images (images/c.png, images/d.png, images/e.png): of 5 images these have no label" in warnings(
        dataset
    )


def test_images_without_label_file_follow_the_setting(tmp_path: Path) -> None:
    builders.write_image(written(tmp_path, BOX) / "images" / "z.png")
    builders.text(tmp_path / "dataset.yaml", "unlabelled: leave-out\n")
    assert labels(load_dataset(tmp_path)) == {"a": ["dent"], "b": []}
    assert list(load_dataset(tmp_path).account.left_out) == ["images/z.png"]
    builders.text(tmp_path / "dataset.yaml", "unlabelled: error\n")
    with pytest.raises(BlemishError, match=r"z\.png must have an annotation"):
        load_dataset(tmp_path)


def test_split_without_any_label_file_is_refused(tmp_path: Path) -> None:
    builders.yolo_layout(tmp_path)
    for name in "bc":
        (tmp_path / "labels" / "val" / f"{name}.txt").unlink()
    with pytest.raises(
        BlemishError, match=r"images/val/b\.png and all other images of 'val' must have label files"
    ):
        load_dataset(tmp_path)
    assert load_dataset(tmp_path, skip_broken=True).splits == {"train": 1}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0.5 0.5 0.5 0.1 0.1", r"known class \(0 to 1\)\. Received: 0\.5"),
        ("-1 0.5 0.5 0.1 0.1", r"Received: -1"),
        ("99999999999999999999 0.5 0.5 0.1 0.1", "must hold numbers"),
        ("0 nan 0.5 0.1 0.1", "must hold numbers"),
        ("0 inf 0.5 0.1 0.1", "must hold numbers"),
        ("0 0,5 0.5 0.1 0.1", "must hold numbers"),
        ("dent 0.5 0.5 0.1 0.1", "must hold numbers"),
        ("0 320 240 60 40", "must hold shares"),
        ("0 0.5 0.5 1.6 0.1", "must hold shares"),
        ("0 0.5 0.5 0.1 -0.1", "a box must have an area"),
        ("0 0.5 0.5 0 0.1", "a box must have an area"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "or a polygon"),
        ("0 0.5 0.5 0.2 0.25 0.45 0.5 2 0.55 0.5 1", r"looks like key points.*kpt_shape: \[2, 3\]"),
        ("0", "or a polygon"),
    ],
)
def test_wrong_line_is_shown(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(BlemishError, match=rf"labels/a\.txt line 2.* {message}"):
        load_dataset(written(tmp_path, BOX.strip(), line))


@pytest.mark.parametrize("number", ["1", "1.0", "01", "+1", "1.", "1e0"])
def test_class_number_with_a_point(tmp_path: Path, number: str) -> None:
    dataset = load_dataset(written(tmp_path, f"{number} 0.5 0.5 0.2 0.4"))
    assert labels(dataset) == {"a": ["scratch"], "b": []}


def test_all_lines_faulty_are_named_too(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"labels/a\.txt line 1 must hold numbers"):
        load_dataset(written(tmp_path, "dent 0.5 0.5 0.1 0.1"))


@pytest.mark.parametrize("shape", ["[2, 3]", "[3, 2]"])
def test_key_points_are_told_and_the_box_is_read(tmp_path: Path, shape: str) -> None:
    points = "0.45 0.5 2 0.55 0.5 1"
    dataset = load_dataset(written(tmp_path, f"{BOX.strip()} {points}", data=f"{NAMES}kpt_shape: {shape}"))
    (mark,) = dataset.samples[0].annotations
    assert mark.box_xyxy == pytest.approx((12, 6, 18, 14))
    assert not mark.polygons
    assert "have key points beside the box" in warnings(dataset)
    with pytest.raises(BlemishError, match="must hold a box, alone or with the key points"):
        load_dataset(written(tmp_path, f"{BOX.strip()} {points} 0.1 0.1", data=f"{NAMES}kpt_shape: {shape}"))


def test_sixth_number_is_told(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, f"{BOX.strip()} 0.93"))
    assert dataset.samples[0].annotations[0].box_xyxy == pytest.approx((12, 6, 18, 14))
    assert "1 line (labels/a.txt line 1): they have a sixth number" in warnings(dataset)


def test_turned_box_is_its_four_corners(tmp_path: Path) -> None:
    (sample, _) = load_dataset(written(tmp_path, "1 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5"))
    assert sample.annotations[0].polygons == (((15, 2), (27, 10), (15, 18), (3, 10)),)


def test_shares_a_little_outside_are_told(tmp_path: Path) -> None:
    assert not load_dataset(written(tmp_path, "0 1.0000001 0.5 0.2 0.4")).account.warnings
    assert "shares outside 0 to 1" in warnings(load_dataset(written(tmp_path, "0 1.1 0.5 0.4 0.4")))


def test_dota_s_format_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="DOTA's format"):
        load_dataset(written(tmp_path, "imagesource:x", "gsd:null", "1.0 1.0 9.0 1.0 9.0 9.0 1.0 9.0 dent 0"))
    with pytest.raises(BlemishError, match="DOTA's format"):
        load_dataset(written(tmp_path, "1.0 1.0 9.0 1.0 9.0 9.0 1.0 9.0 dent 0"))


def split_tree(root: Path, data: str) -> dict[str, str | None]:
    """Splits of images partA/a and partB/b by the data file."""
    for part in "AB":
        builders.write_image(root / "images" / f"part{part}" / f"{part.lower()}.png")
        builders.text(root / "labels" / f"part{part}" / f"{part.lower()}.txt", BOX)
    builders.text(root / "data.yaml", NAMES + data)
    return {Path(sample.id).stem: sample.split for sample in load_dataset(root)}


@pytest.mark.parametrize(
    "data",
    [
        "train: images/partA\nval: images/partB",
        "path: .\ntrain: ./images/partA/\nval: [images/partB]",
        "path: /datasets/mine\ntrain: images/partA\nval: images/partB",
        "path: ../datasets/mine\ntrain: images\\partA\nval: images/partB",
        "train: ../images/partA\nval: ../images/partB",
        "train: /content/mine/images/partA\nval: D:\\mine\\images\\partB",
        "path: images\ntrain: partA\nval: partB",
        "train: train.txt\nval: lists/val.txt",
    ],
)
def test_splits_by_folders_and_lists(tmp_path: Path, data: str) -> None:
    builders.text(tmp_path / "train.txt", "./images/partA/a.png\n")
    builders.text(tmp_path / "lists" / "val.txt", "\ufeffimages/partB/b.png\r\n")
    assert split_tree(tmp_path, data) == {"a": "train", "b": "val"}


def test_inner_folder_of_another_split_counts(tmp_path: Path) -> None:
    assert split_tree(tmp_path, "train: images\nval: images/partB") == {"a": "train", "b": "val"}
    assert "lie in the folder of another split" in warnings(load_dataset(tmp_path))


def test_same_folder_for_two_splits_and_missing_folders_are_told(tmp_path: Path) -> None:
    assert split_tree(tmp_path, "train: images\nval: images\ntest: images/test") == {
        "a": "train",
        "b": "train",
    }
    assert "data.yaml: val: images" in warnings(load_dataset(tmp_path))
    assert "data.yaml: test: images/test" in warnings(load_dataset(tmp_path))


def test_lists_that_overlap_or_name_nothing_are_refused(tmp_path: Path) -> None:
    builders.text(tmp_path / "train.txt", "images/partA/a.png\n")
    builders.text(tmp_path / "val.txt", "images/partA/a.png\nimages/partB/b.png\n")
    with pytest.raises(BlemishError, match=r"val\.txt: an image must be in one split.*partA/a\.png"):
        split_tree(tmp_path, "train: train.txt\nval: val.txt")
    builders.text(tmp_path / "val.txt", "images/partB/z.png\n")
    with pytest.raises(BlemishError, match=r"val\.txt line 1: .* no such file"):
        load_dataset(tmp_path)


def test_data_file_of_any_name(tmp_path: Path) -> None:
    written(tmp_path, BOX)
    (tmp_path / "data.yaml").rename(tmp_path / "mine.yaml")
    assert labels(load_dataset(tmp_path)) == {"a": ["dent"], "b": []}
