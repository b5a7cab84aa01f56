"""The COCO layout: valid files of many tools, and every fault of ids, names, numbers and several files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as reference

from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.run_lengths import encode, extent, unpack
from blemish.dataset.samples import Dataset, RunLengths
from blemish.errors import BlemishError
from tests.dataset import builders

Content = dict[str, Any]
MARK: Content = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 3, 10, 8], "iscrowd": 0}


def content(**changes: Any) -> Content:
    """A valid file of two images of 30×20, an annotation on the first, and two classes."""
    images = [
        {"id": n, "file_name": f"{name}.png", "width": 30, "height": 20} for n, name in ((1, "a"), (2, "b"))
    ]
    classes = [{"id": 1, "name": "dent"}, {"id": 2, "name": "scratch"}]
    return {"images": images, "annotations": [MARK], "categories": classes, **changes}


def written(root: Path, *files: Any, names: tuple[str, ...] = ("instances.json",)) -> Path:
    """Images a and b in images/, and the annotation files."""
    for name in "ab":
        builders.write_image(root / "images" / f"{name}.png")
    for name, file in zip(names, files, strict=False):
        builders.text(root / name, file if isinstance(file, str) else json.dumps(file))
    return root


def changed(part: str, index: int, **values: Any) -> Content:
    whole = content()
    entries = [dict(entry) for entry in whole[part]]
    entries[index] |= values
    return {**whole, part: entries}


def marked(*marks: Content) -> Content:
    """A file whose annotations are MARK with other values, numbered from 1."""
    return content(annotations=[{**MARK, "id": n, **mark} for n, mark in enumerate(marks, start=1)])


def warnings(dataset: Dataset) -> str:
    return "\n".join(dataset.account.warnings)


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


def test_long_info_and_any_order_of_keys_are_recognised(tmp_path: Path) -> None:
    whole = content()
    keys = {"info": {"description": "x" * 9000}, "annotations": whole["annotations"]}
    written(tmp_path, {**keys, "categories": whole["categories"], "images": whole["images"]})
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, len(dataset)) == ("coco", 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_and_suffix_case(tmp_path: Path, encoding: str) -> None:
    written(tmp_path)
    text = json.dumps(content(), indent=1).replace("\n", "\r\n")
    (tmp_path / "instances.JSON").write_bytes(text.encode(encoding))
    assert [len(sample.annotations) for sample in load_dataset(tmp_path)] == [1, 0]


@pytest.mark.parametrize(
    ("image", "mark", "category"), [("1", 1, 1.0), (1.0, "1", "1"), (1, 1.0, 1), ("img-1", "img-1", "x")]
)
def test_numbers_are_equal_however_they_are_written(
    tmp_path: Path, image: Any, mark: Any, category: Any
) -> None:
    whole = changed("images", 0, id=image)
    whole["annotations"] = [{**MARK, "image_id": mark, "category_id": category}]
    whole["categories"] = [{"id": category if category == "x" else 1, "name": "dent"}]
    (sample, _) = load_dataset(written(tmp_path, whole))
    assert [a.label for a in sample.annotations] == ["dent"]


@pytest.mark.parametrize("value", [True, None, [], {}, 1.5, "", float("nan")])
@pytest.mark.parametrize(
    ("part", "key"), [("images", "id"), ("annotations", "image_id"), ("annotations", "category_id")]
)
def test_what_is_no_number_is_refused_by_name(tmp_path: Path, part: str, key: str, value: Any) -> None:
    with pytest.raises(BlemishError, match=r"instances\.json: .*must be a whole number\. Received: "):
        load_dataset(written(tmp_path, changed(part, 0, **{key: value})))


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (changed("images", 1, id=1), r"image an id of its own\. Received: id 1 twice, for a\.png and b\.png"),
        (changed("images", 1, id="1"), r"id 1 twice, for a\.png and b\.png"),
        (changed("categories", 1, id=1.0), "category an id of its own.*id 1 twice, for dent and scratch"),
        (changed("images", 1, file_name="x/../images/a.png"), r"image once.*ids 1 and 2, a\.png and .*mean"),
        (changed("images", 0, file_name=7), "must hold the image '7'"),
        (changed("images", 0, file_name=None), "file_name must be text"),
        (changed("images", 0, file_name="lotB/a.png"), r"no such file; images/a\.png lies in another folder"),
        (changed("images", 0, width=60, height=40), r"own size, 30×20\. Received: 60×40"),
        (changed("images", 0, width=20, height=30), "Received: 20×30"),
        (changed("images", 0, reference="../../etc/passwd"), "reference must lie in"),
        (changed("images", 0, reference=7), "reference must be a path"),
        (changed("images", 0, labels="dent"), "'labels' must be a list"),
        (changed("images", 0, group={"a": 1}), "'group' must be text"),
        (changed("categories", 0, name=None), r"categories\[0\]: name must be text"),
        (content(annotations={}), "must have a list 'annotations'"),
        (content(images=None), "must have a list 'images'"),
        (content(annotations=[7]), r"annotations\[0\] must have 'image_id'"),
        ('{"images": [{"id": 1}], "annotations": [', "must be a JSON file"),
    ],
)
def test_faults_of_images_and_classes_are_one_line(tmp_path: Path, file: Any, message: str) -> None:
    with pytest.raises(BlemishError, match=message) as caught:
        load_dataset(written(tmp_path, file))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mark", "message"),
    [
        ({"bbox": [2, 3, float("nan"), 8]}, "nan, which is no coordinate"),
        ({"bbox": [2, 3, float("inf"), 8]}, "inf, which is no coordinate"),
        ({"bbox": [2, 3, 1e21, 8]}, r"1e\+21, which is no coordinate"),
        ({"bbox": [True, 3, 4, 8]}, "True, which is no coordinate"),
        ({"bbox": ["2", 3, 4, 8]}, "'2', which is no coordinate"),
        ({"bbox": [2, 3, -4, 8]}, "without an area"),
        ({"bbox": [2, 3, 0, 8]}, "without an area"),
        ({"bbox": [2, 3, 4]}, "not four numbers"),
        ({"bbox": {"x": 2}}, "not four numbers"),
        ({"segmentation": [[2, 3, 6, 3]]}, "a polygon of 4 numbers"),
        ({"segmentation": [[2, 3, 6, 3, 6]]}, "a polygon of 5 numbers"),
        ({"segmentation": [2, 3, 6, 3, 6, 8]}, "a polygon of 2, no list"),
        ({"segmentation": [[2, 3, 6, 3, 6, None]]}, "None, which is no coordinate"),
        ({"segmentation": 7}, "segmentation 7, no list"),
        ({"segmentation": {"counts": [600]}}, "run lengths of the size None"),
        ({"segmentation": {"counts": [600], "size": [20, -30]}}, "run lengths of the size"),
        ({"segmentation": {"counts": [599], "size": [20, 30]}}, "sum to 599, not to 20×30"),
        ({"segmentation": {"counts": [601, -1], "size": [20, 30]}}, "a run length of -1"),
        ({"segmentation": {"counts": [600, float("nan")], "size": [20, 30]}}, "a run length of nan"),
        ({"segmentation": {"counts": [600, 2**70], "size": [20, 30]}}, "a run length of"),
        ({"segmentation": {"counts": "Ä", "size": [20, 30]}}, "compressed run lengths with the letter"),
        ({"segmentation": {"counts": "o" * 99, "size": [20, 30]}}, "compressed run lengths"),
        ({"segmentation": {"counts": None, "size": [20, 30]}}, "run lengths None"),
        ({"iscrowd": 2}, "iscrowd 2"),
        ({"iscrowd": "yes"}, "iscrowd 'yes'"),
        ({"contrast": "x"}, "'x', which is no coordinate"),
    ],
)
def test_faults_of_annotations_name_file_and_annotation(tmp_path: Path, mark: Content, message: str) -> None:
    written(tmp_path, marked(mark))
    with pytest.raises(BlemishError, match=rf"instances\.json: annotation 1 of a\.png must .*{message}"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_broken=True)
    assert ([sample.id for sample in dataset], list(dataset.skipped)) == (["images/b.png"], ["images/a.png"])


def test_two_images_of_one_number_are_both_left_out_on_request(tmp_path: Path) -> None:
    whole = changed("images", 1, id=1)
    whole["images"].append({"id": 3, "file_name": "c.png"})
    builders.write_image(tmp_path / "images" / "c.png")
    dataset = load_dataset(written(tmp_path, whole), skip_broken=True)
    assert [sample.id for sample in dataset] == ["images/c.png"]
    assert list(dataset.skipped) == ["a.png", "b.png"]


def test_picture_under_two_numbers_is_one_image_with_both_annotations(tmp_path: Path) -> None:
    whole = changed("images", 1, file_name="a.png")
    whole["annotations"] = [MARK, {**MARK, "id": 2, "image_id": 2, "bbox": [20, 10, 5, 5]}]
    (sample,) = load_dataset(written(tmp_path, whole))
    assert [a.box_xyxy for a in sample.annotations] == [(2, 3, 12, 11), (20, 10, 25, 15)]
    assert "images/a.png under ids 1, 2" in warnings(load_dataset(tmp_path))


def test_equal_annotations_count_once_and_are_counted(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, marked({}, {}, {}, {"category_id": 2}, {"bbox": [1, 3, 10, 8]})))
    assert [len(sample.annotations) for sample in dataset] == [3, 0]
    assert "2 annotations are left out" in warnings(dataset)
    assert "marked 3 times with the same class and place" in warnings(dataset)


def test_repeated_annotation_ids_stay_apart(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, marked({"id": 5}, {"id": 5, "bbox": [1, 1, 5, 5]}, {"id": 5})))
    ids = [a.id for a in dataset.samples[0].annotations]
    assert len(ids) == len(set(ids)) == 2
    assert "1 annotation id (instances.json: 5, 3 times)" in warnings(dataset)


@pytest.mark.parametrize(
    "name", ["/home/me/a.png", "C:\\me\\a.png", "..\\other\\a.png", "upload/a.png", "A.PNG", "a.jpg"]
)
def test_names_from_elsewhere_are_told(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(written(tmp_path, changed("images", 0, file_name=name)))
    assert [len(sample.annotations) for sample in dataset] == [1, 0]
    assert f"'{name}' for images/a.png" in warnings(dataset)


def test_images_of_another_split_are_not_meant(tmp_path: Path) -> None:
    for place in ("train/a.png", "val/a.png", "train/b.png"):
        builders.write_image(tmp_path / place)
    file = tmp_path / "annotations" / "instances_val.json"
    builders.text(file, json.dumps(content(images=[{"id": 1, "file_name": "a.png"}])))
    assert [(s.id, s.split) for s in load_dataset(tmp_path)] == [("val/a.png", "val")]
    builders.text(file, json.dumps(content(images=[{"id": 1, "file_name": "b.png"}])))
    with pytest.raises(BlemishError, match=r"no such file; train/b\.png lies in another folder"):
        load_dataset(tmp_path)


RESULTS = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 0.9}]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (RESULTS, "a list of results"),
        (marked({"score": 0.9, "bbox": [9, 9, 2, 2]}), "have a score"),
        (content(annotations=[{"id": 1, "image_id": 1, "caption": "x"}], categories=[]), "name no class"),
        ({"images": content()["images"], "categories": content()["categories"]}, "without annotations"),
    ],
)
def test_other_files_of_coco_s_are_no_truth(tmp_path: Path, other: Any, reason: str) -> None:
    dataset = load_dataset(written(tmp_path, content(), other, names=("instances.json", "other.json")))
    assert [len(sample.annotations) for sample in dataset] == [1, 0]
    assert "1 file is left out (other.json)" in warnings(dataset)
    assert reason in warnings(dataset)


def test_scores_of_the_only_file_are_told(tmp_path: Path) -> None:
    assert "have a score" in warnings(load_dataset(written(tmp_path, marked({"score": 0.9}))))


NAMES = ("instances_train.json", "other.json")


def test_image_in_two_files(tmp_path: Path) -> None:
    same = load_dataset(written(tmp_path, content(), content(), names=NAMES))
    assert [(len(s.annotations), s.split) for s in same] == [(1, "train"), (0, "train")]
    assert "several annotation files list them" in warnings(same)
    written(tmp_path, content(), marked({"bbox": [9, 9, 2, 2]}), names=NAMES)
    with pytest.raises(
        BlemishError, match=r"one annotation file.*instances_train\.json and other\.json, with other"
    ):
        load_dataset(tmp_path)
    (tmp_path / "other.json").unlink()
    written(tmp_path, content(), content(), names=("instances_train.json", "instances_val.json"))
    with pytest.raises(BlemishError, match="in two splits"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "annotations: instances_val.json\n")
    assert len(load_dataset(tmp_path)) == 2


def test_broken_file_among_several_is_left_out_on_request(tmp_path: Path) -> None:
    one = content(images=content()["images"][:1])
    written(tmp_path, one, '{"images": [], "annotations": [', names=NAMES)
    with pytest.raises(BlemishError, match=r"other\.json must be a JSON file"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, skip_broken=True)
    assert (len(dataset), list(dataset.skipped)) == (1, ["other.json"])


def test_crowd_regions_are_read_and_mean_nothing_where_all_are(tmp_path: Path) -> None:
    runs = {"segmentation": {"counts": [63, 8, 529], "size": [20, 30]}, "bbox": [3, 3, 1, 8]}
    dataset = load_dataset(written(tmp_path, marked({**runs, "iscrowd": 1}, {"bbox": [20, 2, 5, 5]})))
    assert [a.crowd for a in dataset.samples[0].annotations] == [True, False]
    assert not dataset.account.warnings
    dataset = load_dataset(written(tmp_path, marked({**runs, "iscrowd": 1})))
    assert [a.crowd for a in dataset.samples[0].annotations] == [False]
    assert "all have 'iscrowd' 1" in warnings(dataset)


def test_images_that_no_file_lists_follow_the_setting(tmp_path: Path) -> None:
    builders.write_image(written(tmp_path, content()) / "images" / "z.png")
    assert "1 file is left out (images/z.png)" in warnings(load_dataset(tmp_path))
    builders.text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    assert [sample.id for sample in load_dataset(tmp_path)] == [f"images/{name}.png" for name in "abz"]
    builders.text(tmp_path / "dataset.yaml", "unlabelled: error\n")
    with pytest.raises(BlemishError, match=r"z\.png must have an annotation"):
        load_dataset(tmp_path)


def test_difficult_is_read(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, marked({"difficult": 1}, {"bbox": [20, 2, 5, 5]})))
    assert [a.difficult for a in dataset.samples[0].annotations] == [True, False]


def test_annotation_without_a_place_is_a_label_and_told(tmp_path: Path) -> None:
    dataset = load_dataset(
        written(tmp_path, marked({"bbox": None}, {"bbox": [], "segmentation": {}, "category_id": 2}))
    )
    assert not any(a.has_place for a in dataset.samples[0].annotations)
    assert "2 annotations (instances.json: annotation 1 of a.png" in warnings(dataset)


@pytest.mark.parametrize(
    ("box", "told"),
    [([5, 4, 10, 10], False), ([4, 3, 12, 12], False), ([5, 4, 15, 14], True), ([20, 10, 5, 5], True)],
)
@pytest.mark.parametrize("form", ["polygon", "runs"])
def test_box_beside_its_outline(tmp_path: Path, box: list[int], told: bool, form: str) -> None:
    outline: Any = [[5, 4, 15, 4, 15, 14, 5, 14]]
    if form == "runs":
        pixels = np.zeros((20, 30), np.bool_)
        pixels[4:14, 5:15] = True
        outline = {"counts": list(encode(pixels).counts), "size": [20, 30]}
    dataset = load_dataset(written(tmp_path, marked({"bbox": box, "segmentation": outline})))
    assert ("not the box of their segmentation" in warnings(dataset)) == told


@pytest.mark.parametrize(
    ("boxes", "told"),
    [([[2, 3, 12, 11], [20, 10, 25, 15]], True), ([[2, 3, 12, 11], [20, 10, 5, 5]], False)],
)
def test_boxes_that_fit_as_corners_alone_are_told(tmp_path: Path, boxes: list[Any], told: bool) -> None:
    dataset = load_dataset(written(tmp_path, marked(*({"bbox": box} for box in boxes))))
    assert ("corners [x1, y1, x2, y2] alone" in warnings(dataset)) == told


def test_file_that_ends_within_its_images_is_named(tmp_path: Path) -> None:
    written(tmp_path, json.dumps(content())[:60])
    with pytest.raises(BlemishError, match=r"instances\.json must be a JSON file"):
        load_dataset(tmp_path)


def test_class_that_only_groups_others_is_none(tmp_path: Path) -> None:
    classes = [{"id": 0, "name": "defect", "supercategory": "none"}]
    classes += [
        {"id": n, "name": name, "supercategory": "defect"} for n, name in ((1, "dent"), (2, "scratch"))
    ]
    dataset = load_dataset(written(tmp_path, content(categories=classes)))
    assert dataset.class_names == ("dent", "scratch")
    assert "'defect' only groups the others" in warnings(dataset)
    whole = {**marked({"category_id": 0}), "categories": classes}
    assert load_dataset(written(tmp_path, whole)).class_names == ("defect", "dent", "scratch")


def test_classes_of_one_name_and_of_nearly_one(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, changed("categories", 1, name=" dent ")))
    assert dataset.class_names == ("dent",)
    assert "have the name of another category" in warnings(dataset)
    dataset = load_dataset(written(tmp_path, changed("categories", 1, name="Dent")))
    assert dataset.class_names == ("dent", "Dent")
    assert "differ in letter case alone" in warnings(dataset)


def test_annotation_without_its_image_is_dropped_on_request(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, marked({}, {"image_id": 9})), skip_broken=True)
    assert dataset.account.dropped == {"instances.json: annotation 2": "its image is not in the file"}


@pytest.mark.parametrize("seed", range(20))
def test_run_lengths_and_polygons_mark_the_pixels_of_the_reference(tmp_path: Path, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = (generator.random((20, 30)) < generator.random()).astype(np.uint8)
    packed = reference.encode(np.asfortranarray(pixels))
    counts = packed["counts"].decode()
    runs = {"counts": counts if seed % 2 else list(unpack(counts)), "size": [20, 30]}
    dataset = load_dataset(written(tmp_path, marked({"bbox": None, "segmentation": runs})))
    assert np.array_equal(class_map(dataset.samples[0], ("dent", "scratch"), (20, 30)), pixels)
    x, y, w, h = reference.toBbox(packed)
    assert extent(RunLengths(unpack(counts), (20, 30))) == ((x, y, x + w, y + h) if pixels.any() else None)
