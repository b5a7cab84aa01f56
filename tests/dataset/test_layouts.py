"""Each layout found and read on a tiny folder of its kind, and what goes wrong with each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import builders
import mask_builders
import numpy as np
import pytest
from PIL import Image

from blemish.dataset.layouts import LAYOUTS, load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from tests.dataset import tool_builders

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "masks": builders.masks_layout,
    "pairs": builders.pairs_layout,
    "labels": builders.labels_layout,
    "voc": builders.voc_layout,
    "yolo": builders.yolo_layout,
    "coco": builders.coco_layout,
    "mvtec": builders.mvtec_layout,
    "dagm": builders.dagm_layout,
    "deeppcb": builders.deeppcb_layout,
    "crackforest": builders.crackforest_layout,
    "products": builders.products_layout,
    **tool_builders.LAYOUT_BUILDERS,
    "visa": mask_builders.visa,
    "realiad": mask_builders.realiad,
}


def labels_by_id(dataset: Dataset) -> dict[str, list[str]]:
    return {sample.id: [a.label for a in sample.annotations] for sample in dataset}


def test_every_layout_has_a_builder() -> None:
    assert BUILDERS.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("layout", BUILDERS)
def test_layout_is_found_with_a_reason_and_reads_the_same_when_named(tmp_path: Path, layout: str) -> None:
    root = BUILDERS[layout](tmp_path / "data")
    found = load_dataset(root)
    assert found.layout == layout
    assert len(found.reason.split()) > 3
    assert load_dataset(root, layout=layout).samples == found.samples
    assert all(sample.image == root / sample.id and sample.image.is_file() for sample in found)
    assert len({sample.id for sample in found}) == len(found)


def test_voc_counts_from_one_and_inclusive(tmp_path: Path) -> None:
    dataset = load_dataset(builders.voc_layout(tmp_path))
    first, second = dataset.samples[0].annotations
    assert (first.label, first.box_xyxy) == ("scratch", (0, 0, 30, 20))
    assert second.box_xyxy == (2, 4, 10, 12)
    assert dataset.splits == {"train": 1, "test": 1}


def test_voc_image_without_annotation_is_not_taken_for_clean(tmp_path: Path) -> None:
    builders.write_image(builders.voc_layout(tmp_path) / "JPEGImages" / "z.png")
    with pytest.raises(BlemishError, match=r"z\.png must have an XML file"):
        load_dataset(tmp_path)
    assert list(load_dataset(tmp_path, skip_broken=True).skipped) == ["JPEGImages/z.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object>", "must be a Pascal VOC annotation"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "entity declarations"),
        (
            "<annotation><object><name>x</name></object></annotation>",
            "object 1 must have a name and a bndbox",
        ),
    ],
)
def test_voc_broken_file_is_named_and_skipped_on_request(tmp_path: Path, content: str, message: str) -> None:
    broken = builders.text(builders.voc_layout(tmp_path) / "Annotations" / "b.xml", content)
    with pytest.raises(BlemishError, match=f"{broken.name}.*{message}"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_broken=True)
    assert len(dataset) == 1
    assert "Annotations/b.xml" in dataset.skipped


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


def test_coco(tmp_path: Path) -> None:
    dataset = load_dataset(builders.coco_layout(tmp_path))
    assert dataset.class_names == ("dent", "scratch")
    assert dataset.splits == {"train": 1, "val": 1}
    polygon, runs = dataset.samples[0].annotations
    assert polygon.box_xyxy == (2, 3, 6, 8)
    assert polygon.polygons == (((2, 3), (6, 3), (6, 8)),)
    assert (runs.label, runs.contrast, runs.id) == ("dent", -12.5, "2")


def test_coco_unknown_category_and_stranger(tmp_path: Path) -> None:
    file = builders.coco_layout(tmp_path) / "annotations" / "instances_train.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] = 99
    file.write_text(json.dumps(content))
    with pytest.raises(BlemishError, match=r"must have a known category \(7 dent, 3 scratch\). Received: 99"):
        load_dataset(tmp_path)
    content["annotations"][0] |= {"category_id": 3, "image_id": 1234}
    file.write_text(json.dumps(content))
    with pytest.raises(BlemishError, match="Received: image_id 1234 without an image"):
        load_dataset(tmp_path)


def test_coco_missing_image_is_named(tmp_path: Path) -> None:
    (builders.coco_layout(tmp_path) / "images" / "b.png").unlink()
    with pytest.raises(BlemishError, match=r"must hold the image 'b\.png'"):
        load_dataset(tmp_path)
    assert len(load_dataset(tmp_path, skip_broken=True)) == 1


def test_coco_annotations_beside_read_only_images(tmp_path: Path) -> None:
    root = builders.coco_layout(tmp_path / "data")
    file = root / "annotations" / "instances_train.json"
    (root / "annotations" / "instances_val.json").unlink()
    file.rename(tmp_path / "mine.json")
    yaml = "layout: coco\nroot: data\nannotations: {val: mine.json}\n"
    builders.text(tmp_path / "dataset.yaml", yaml)
    assert load_dataset(tmp_path).splits == {"val": 1}


def test_deeppcb(tmp_path: Path) -> None:
    dataset = load_dataset(builders.deeppcb_layout(tmp_path))
    first = dataset.samples[0]
    assert (first.split, first.group) == ("train", "group1")
    assert first.reference == tmp_path / "PCBData" / "group1" / "1" / "00001_temp.jpg"
    assert [(a.label, a.box_xyxy) for a in first.annotations] == [
        ("open", (1, 2, 11, 12)),
        ("pin-hole", (5, 5, 9, 9)),
    ]
    builders.text(tmp_path / "PCBData" / "group1" / "1_not" / "00002.txt", "1 2 3 4 7\n")
    with pytest.raises(BlemishError, match=r"00002\.txt line 1 must name a known type .*Received: 7"):
        load_dataset(tmp_path)


def test_most_particular_layout_wins(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    assert load_dataset(tmp_path).layout == "masks"
    builders.voc_file(tmp_path / "MT_Crack" / "Imgs" / "e.xml", "e.jpg", [])
    assert load_dataset(tmp_path, layout="masks").layout == "masks"
    with pytest.raises(BlemishError, match=r"must hold the image 'e\.jpg'"):  # voc comes before masks
        load_dataset(tmp_path)


def test_empty_folder_no_layout_and_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"must hold images\. Received: an empty folder"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "note.txt", "nothing here")
    with pytest.raises(BlemishError, match=r"Received: no image, 1 \.txt"):
        load_dataset(tmp_path)
    builders.write_image(tmp_path / "a.png")
    with pytest.raises(
        BlemishError, match=r"must have a known layout.*1 image \(first a\.png\), 1 \.txt.*data layouts"
    ) as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(
        BlemishError, match=r"layout must be a known name\. Received: 'coc'\. Did you mean 'coco'\?"
    ):
        load_dataset(tmp_path, layout="coc")
    with pytest.raises(BlemishError, match="must exist"):
        load_dataset(tmp_path / "absent")


def test_boxes_refer_to_the_turned_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    root = builders.yolo_layout(tmp_path)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(root / "images" / "val" / "c.jpg", exif=exif)
    (root / "images" / "val" / "c.png").unlink()
    builders.text(root / "labels" / "val" / "c.txt", "0 0.5 0.5 1 1\n")
    sample = next(sample for sample in load_dataset(root) if sample.id.endswith("c.jpg"))
    assert sample.annotations[0].box_xyxy == (0, 0, 20, 30)
