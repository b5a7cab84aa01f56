"""Round trips through every written layout, and what a layout cannot hold said or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import builders
import numpy as np
import pytest
from faster_coco_eval import COCO
from PIL import Image

from blemish.cli.data import TARGETS
from blemish.dataset.convert import WRITERS, convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map, defect_instances
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.decode import image_size, read_image

BOXES = ((0.0, 0.0, 30.0, 20.0), (2.25, 1.125, 17.3, 9.9), (5.0, 6.0, 7.0, 8.0))


def boxes_dataset(root: Path) -> Dataset:
    """Boxes, whole and fractional, over three splits and none; class 'unused' has no annotation."""
    samples = []
    for number, split in enumerate(("train", "val", "test", None)):
        path = builders.write_image(root / f"lot{number % 2}" / f"{number}.png")
        marks = tuple(Annotation("b" if i else "a", box) for i, box in enumerate(BOXES[:number]))
        samples.append(Sample(path, path.relative_to(root).as_posix(), marks, split=split))
    return Dataset(root, tuple(samples), ("b", "a", "unused"), info={"mm_per_px": 0.25})


def pixels_dataset(root: Path) -> Dataset:
    """Mask files of two classes, one image clean."""
    builders.masks_layout(root)
    builders.text(root / "splits" / "train.txt", "a\nc\n")
    return load_dataset(root)


def by_stem(dataset: Dataset) -> dict[str, Sample]:
    return {Path(sample.id).stem.split("__")[-1]: sample for sample in dataset}


@pytest.mark.parametrize("to", ["coco", "voc", "yolo"])
def test_boxes_classes_splits_scale_and_pixels_come_back(tmp_path: Path, to: str) -> None:
    dataset = boxes_dataset(tmp_path / "in")
    result = convert(dataset, tmp_path / "out", to)
    again = load_dataset(tmp_path / "out")
    assert (result.images, result.annotations, result.warnings) == (4, 6, ())
    assert again.layout == to
    assert again.class_names == dataset.class_names
    assert again.splits == dataset.splits
    assert again.info["mm_per_px"] == 0.25
    for name, sample in by_stem(dataset).items():
        second = by_stem(again)[name]
        assert (second.split, [a.label for a in second.annotations]) == (
            sample.split,
            [a.label for a in sample.annotations],
        )
        for first, two in zip(sample.annotations, second.annotations, strict=True):
            assert two.box_xyxy == pytest.approx(first.box_xyxy, abs=1e-12)
        assert second.image.read_bytes() == sample.image.read_bytes()


@pytest.mark.parametrize("to", ["coco", "masks"])
def test_classes_of_pixels_come_back_exactly(tmp_path: Path, to: str) -> None:
    dataset = pixels_dataset(tmp_path / "in")
    assert convert(dataset, tmp_path / "out", to).warnings == ()
    again = load_dataset(tmp_path / "out")
    assert (again.class_names, again.splits) == (dataset.class_names, dataset.splits)
    for name, sample in by_stem(dataset).items():
        each, two = (class_map(s, dataset.class_names, builders.SIZE) for s in (sample, by_stem(again)[name]))
        assert np.array_equal(each, two)


def test_thin_touching_classes_survive_masks(tmp_path: Path) -> None:
    path = builders.write_image(tmp_path / "in" / "a.png")
    wide, thin = np.zeros(builders.SIZE, np.bool_), np.zeros(builders.SIZE, np.bool_)
    wide[5:12, 5:20] = True
    thin[12, 5:20] = True
    marks = (Annotation("wide", mask=encode(wide)), Annotation("thin", mask=encode(thin)))
    dataset = Dataset(tmp_path / "in", (Sample(path, "a.png", marks),), ("thin", "wide"))
    convert(dataset, tmp_path / "out", "masks")
    (again,) = load_dataset(tmp_path / "out")
    expected = class_map(dataset.samples[0], ("thin", "wide"), builders.SIZE)
    assert np.array_equal(class_map(again, ("thin", "wide"), builders.SIZE), expected)


def test_coco_keeps_ids_contrast_groups_references_and_image_labels(tmp_path: Path) -> None:
    root = tmp_path / "in"
    image, reference = (
        builders.write_image(root / "x" / "a.png"),
        builders.write_image(root / "x" / "good.png"),
    )
    polygon = ((1.0, 1.0), (8.5, 1.0), (8.5, 6.25))
    marks = (
        Annotation("a", (1.0, 1.0, 8.5, 6.25), (polygon, polygon), contrast=-13.75, id="first"),
        Annotation("a", (0.0, 0.0, 2.0, 20.0), mask=encode(np.eye(20, 30, dtype=np.bool_)), id="2"),
        Annotation("b"),
    )
    sample = Sample(image, "x/a.png", marks, group="lot 1", split="test", reference=reference)
    result = convert(Dataset(root, (sample,), ("a", "b")), tmp_path / "out", "coco")
    (again,) = load_dataset(tmp_path / "out")
    moved = replace(
        sample, image=tmp_path / "out" / "x" / "a.png", reference=tmp_path / "out" / "x" / "good.png"
    )
    assert again == moved
    assert len(result.warnings) == 1
    assert "image labels" in result.warnings[0]


def test_coco_file_is_read_by_the_reference_library(tmp_path: Path) -> None:
    dataset = pixels_dataset(tmp_path / "in")
    convert(dataset, tmp_path / "out", "coco")
    coco = COCO(str(tmp_path / "out" / "annotations" / "instances_train.json"))
    sample = by_stem(dataset)["c"]
    (image,) = (entry for entry in coco.loadImgs(coco.getImgIds()) if entry["file_name"] == sample.id)
    marks = coco.loadAnns(coco.getAnnIds(imgIds=[image["id"]]))
    truth = defect_instances(sample, builders.SIZE)
    assert len(marks) == len(truth) == 2
    whole = sum(coco.annToMask(mark).astype(int) for mark in marks)
    assert np.array_equal(whole > 0, class_map(sample, dataset.class_names, builders.SIZE) > 0)
    assert sorted(mark["area"] for mark in marks) == sorted(found.mask.sum() for found in truth)


def test_neu_convention_boxes_are_written_as_they_were(tmp_path: Path) -> None:
    dataset = load_dataset(builders.voc_layout(tmp_path / "in"))
    convert(dataset, tmp_path / "out", "voc")
    text = (tmp_path / "out" / "Annotations" / "a.xml").read_text()
    assert "<xmin>3</xmin>" in text
    assert "<ymin>5</ymin>" in text
    assert "<xmax>10</xmax>" in text


def test_yolo_keeps_polygons_where_all_are_single(tmp_path: Path) -> None:
    path = builders.write_image(tmp_path / "in" / "a.png")
    polygon = ((1.0, 1.0), (8.5, 1.0), (8.5, 6.25))
    single = Annotation("a", polygons=(polygon,))
    dataset = Dataset(tmp_path / "in", (Sample(path, "a.png", (single,)),), ("a",))
    assert convert(dataset, tmp_path / "one", "yolo").warnings == ()
    (again,) = load_dataset(tmp_path / "one")
    assert np.allclose(again.annotations[0].polygons, [polygon], atol=1e-12)
    mixed = replace(dataset, samples=(Sample(path, "a.png", (single, Annotation("a", BOXES[1]))),))
    assert convert(mixed, tmp_path / "two", "yolo").warnings == (
        "yolo cannot hold everything: 1 outlines become boxes",
    )


@pytest.mark.parametrize("to", ["voc", "yolo"])
def test_outlines_become_boxes_with_a_warning(tmp_path: Path, to: str) -> None:
    dataset = pixels_dataset(tmp_path / "in")
    assert "2 outlines become boxes" in convert(dataset, tmp_path / "out", to).warnings[0]
    marks = by_stem(load_dataset(tmp_path / "out"))["c"].annotations
    assert [a.box_xyxy for a in marks] == [pytest.approx((0, 0, 4, 4)), pytest.approx((20, 10, 25, 15))]


@pytest.mark.parametrize("to", ["voc", "yolo", "masks"])
def test_image_labels_are_refused_before_anything_is_written(tmp_path: Path, to: str) -> None:
    dataset = load_dataset(builders.labels_layout(tmp_path / "in"))
    with pytest.raises(BlemishError, match=rf"{to} cannot hold .* Received: 'defect' of .*b0\.png"):
        convert(dataset, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()


def test_masks_refuse_boxes_and_say_what_is_joined_and_hidden(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="masks cannot hold boxes"):
        convert(boxes_dataset(tmp_path / "boxes"), tmp_path / "out", "masks")
    path = builders.write_image(tmp_path / "in" / "a.png")
    squares = [((x, 2.0), (x + 5, 2.0), (x + 5, 7.0), (x, 7.0)) for x in (1.0, 6.0, 8.0)]
    marks = tuple(Annotation(label, polygons=(square,)) for label, square in zip("aab", squares, strict=True))
    dataset = Dataset(tmp_path / "in", (Sample(path, "a.png", marks),), ("a", "b"))
    warnings = convert(dataset, tmp_path / "out", "masks").warnings
    assert any("15 pixels keep only the last" in line for line in warnings)
    assert any("1 defects joined others" in line for line in warnings)


def test_equal_names_in_two_folders_stay_apart(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "y/a.bmp"):
        builders.write_image(tmp_path / "in" / name)
    names = ("x/a.png", "y/a.png", "y/a.bmp")
    samples = tuple(Sample(tmp_path / "in" / n, n, (Annotation("c", BOXES[2]),)) for n in names)
    dataset = Dataset(tmp_path / "in", samples, ("c",))
    for to in ("voc", "yolo"):
        convert(dataset, tmp_path / to, to)
        again = load_dataset(tmp_path / to)
        contents = sorted(sample.image.read_bytes() for sample in again)
        assert contents == sorted(sample.image.read_bytes() for sample in dataset)


def test_turned_image_keeps_boxes_in_the_upright_frame(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "in" / "a.jpg"
    path.parent.mkdir()
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(path, exif=exif)
    dataset = Dataset(
        path.parent, (Sample(path, "a.jpg", (Annotation("c", (0.0, 0.0, 20.0, 30.0)),)),), ("c",)
    )
    convert(dataset, tmp_path / "out", "coco")
    entry = json.loads((tmp_path / "out" / "annotations" / "instances.json").read_text())["images"][0]
    assert (entry["height"], entry["width"]) == (30, 20) == image_size(path) == read_image(path).shape


def test_target_and_folder_are_checked(tmp_path: Path) -> None:
    dataset = boxes_dataset(tmp_path / "in")
    assert tuple(WRITERS) == TARGETS
    with pytest.raises(BlemishError, match=r"Received: 'yolov8'\. Did you mean 'yolo'\?"):
        convert(dataset, tmp_path / "out", "yolov8")
    with pytest.raises(BlemishError, match=r"must lie outside of .*in, or its images are read as part of it"):
        convert(dataset, tmp_path / "in" / "out", "coco")
    builders.text(tmp_path / "used" / "a.txt", "mine")
    with pytest.raises(BlemishError, match="must be a new or empty folder"):
        convert(dataset, tmp_path / "used", "coco")
