"""Peculiarities of single label tools: kinds of shapes, labels of whole images, several annotators."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.dataset import run_lengths
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, RunLengths
from blemish.errors import BlemishError
from tests.dataset import tool_builders
from tests.dataset.builders import SIZE, text
from tests.dataset.tool_builders import png_base64, save_json

Change = Callable[[Any], None]


def changed(file: Path, change: Change) -> Path:
    """Rewrite a JSON file after a change of its content."""
    content = json.loads(file.read_text())
    change(content)
    save_json(file, content)
    return file


def of(dataset: Dataset, name: str) -> tuple[Annotation, ...]:
    return next(sample.annotations for sample in dataset if sample.id.endswith(f"{name}.png"))


def pixels(annotation: Annotation) -> Any:
    assert isinstance(annotation.mask, RunLengths)
    return run_lengths.decode(annotation.mask)


def labelme_with(root: Path, *shapes: dict[str, Any], name: str = "b", **keys: Any) -> Path:
    """The labelme set, with other shapes in one of its files."""
    made = tool_builders.labelme(root)
    full = [{"label": "x", "group_id": None, "flags": {}, **shape} for shape in shapes]
    changed(made / f"{name}.json", lambda content: content.update(shapes=full, **keys))
    return made


def test_labelme_circle_and_mask(tmp_path: Path) -> None:
    bitmap = np.array([[1, 0, 1], [1, 1, 1]], np.bool_)
    circle = {"shape_type": "circle", "points": [[10, 10], [13, 14]]}
    mask = {"shape_type": "mask", "points": [[4, 5], [6, 6]], "mask": png_base64(bitmap, packed=False)}
    drawn, painted = of(load_dataset(labelme_with(tmp_path, circle, mask)), "b")
    outline = np.asarray(drawn.polygons[0])
    assert np.hypot(*(outline - 10).T) == pytest.approx(np.full(len(outline), 5.0))
    expected = np.zeros(SIZE, np.bool_)
    expected[5:7, 4:7] = bitmap
    assert np.array_equal(pixels(painted), expected)


def test_labelme_polygons_of_a_group_are_one_defect(tmp_path: Path) -> None:
    corners = [[[1, 1], [4, 1], [4, 4]], [[9, 9], [12, 9], [12, 12]], [[1, 9], [4, 9], [4, 12]]]
    shapes = [
        {"shape_type": "polygon", "points": points, "group_id": group}
        for points, group in zip(corners, (7, 7, None), strict=True)
    ]
    both, single = of(load_dataset(labelme_with(tmp_path, *shapes)), "b")
    assert [len(both.polygons), len(single.polygons)] == [2, 1]


@pytest.mark.parametrize("kind", ["line", "linestrip", "point", "points", "cuboid"])
def test_labelme_shape_without_area_is_named_and_never_makes_a_clean_image(tmp_path: Path, kind: str) -> None:
    line = {"shape_type": kind, "points": [[1, 1], [9, 9]]}
    box = {"shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    dataset = load_dataset(labelme_with(tmp_path / "both", line, box))
    assert len(of(dataset, "b")) == 1
    assert dict(dataset.account.dropped) == {
        "b.json: b.png, shape 1": f"a shape of type '{kind}' has no area"
    }
    assert len(dataset.account.warnings) == 1
    alone = labelme_with(tmp_path / "alone", line)
    with pytest.raises(
        BlemishError, match=rf"b\.png must have a shape that can be held.*'{kind}' has no area"
    ):
        load_dataset(alone)
    assert list(load_dataset(alone, skip_broken=True).skipped) == ["b.png"]


def test_labelme_flags_of_a_whole_image(tmp_path: Path) -> None:
    bad = load_dataset(labelme_with(tmp_path / "1", flags={"bad": True, "good": False}))
    assert [a.label for a in of(bad, "b")] == ["defect"]
    good = load_dataset(labelme_with(tmp_path / "2", flags={"good": True}))
    assert of(good, "b") == ()
    unread = load_dataset(labelme_with(tmp_path / "3", flags={"reviewed": True}))
    assert unread.account.warnings == ("1 image (b.png): its flag 'reviewed' is not read.",)
    with pytest.raises(BlemishError, match=r"must be clean or defective\. Received: good, bad"):
        load_dataset(labelme_with(tmp_path / "4", flags={"good": True, "bad": True}))


@pytest.mark.parametrize("mark", [{"description": "confidence 0.9312"}, {"score": 0.4}])
def test_labelme_shapes_of_a_model_are_told_of(tmp_path: Path, mark: dict[str, Any]) -> None:
    box = {"shape_type": "rectangle", "points": [[1, 1], [9, 9]]}
    (warning,) = load_dataset(labelme_with(tmp_path / "1", {**box, **mark})).account.warnings
    assert warning.startswith("1 image (b.png): all its shapes have a confidence")
    assert not load_dataset(labelme_with(tmp_path / "2", {**box, **mark}, box)).account.warnings


def test_labelme_name_inside_and_outside(tmp_path: Path) -> None:
    root = tool_builders.labelme(tmp_path / "renamed")  # files renamed since; the name inside is gone
    for name in "ac":
        changed(root / f"{name}.json", lambda content: content.update(imagePath="before.png"))
    assert len(of(load_dataset(root), "a")) == 2
    root = tool_builders.labelme(tmp_path / "doubtful")
    changed(root / "a.json", lambda content: content.update(imagePath="c.png"))
    with pytest.raises(BlemishError, match=r"a\.json must be about one image\. Received: 'c\.png' inside"):
        load_dataset(root)


def test_labelme_embedded_image_is_not_needed(tmp_path: Path) -> None:
    root = tool_builders.labelme(tmp_path)
    for name in "abc":
        content = json.loads((root / f"{name}.json").read_text())
        content["imageData"] = "A" * 40_000
        text(root / f"{name}.json", json.dumps(content, sort_keys=True))  # the shapes stand behind it
    assert load_dataset(root).account.annotations == 3


def cvat_with(root: Path, shape: str, image: str = "b") -> Path:
    made = tool_builders.cvat(root)
    file = made / "annotations.xml"
    head, _, tail = file.read_text().partition(f'name="{image}.png"')
    text(file, f'{head}name="{image}.png"{tail.replace("</image>", f"{shape}</image>", 1)}')
    return made


def test_cvat_shapes(tmp_path: Path) -> None:
    turned = '<box label="dent" xtl="4" ytl="8" xbr="12" ybr="10" rotation="90"/>'
    (box,) = of(load_dataset(cvat_with(tmp_path / "box", turned)), "b")
    assert np.asarray(sorted(box.polygons[0])) == pytest.approx(
        np.asarray(sorted([(9, 5), (9, 13), (7, 13), (7, 5)]))
    )
    oval = '<ellipse label="dent" cx="10" cy="10" rx="4" ry="2"/>'
    (drawn,) = of(load_dataset(cvat_with(tmp_path / "ellipse", oval)), "b")
    assert np.ptp(np.asarray(drawn.polygons[0]), axis=0) == pytest.approx([8, 4], abs=0.05)
    mask = '<mask label="dent" rle="1, 2, 3" left="5" top="6" width="3" height="2"/>'
    (painted,) = of(load_dataset(cvat_with(tmp_path / "mask", mask)), "b")
    assert np.argwhere(pixels(painted)).tolist() == [[6, 6], [6, 7]]
    with pytest.raises(BlemishError, match="'polyline' has no area"):
        load_dataset(cvat_with(tmp_path / "line", '<polyline label="dent" points="1,1;2,2"/>'))


def test_cvat_tags_subsets_and_classes(tmp_path: Path) -> None:
    root = cvat_with(tmp_path / "tag", '<tag label="stain"/>')
    dataset = load_dataset(root)
    assert of(dataset, "b") == (Annotation("stain"),)
    assert dataset.class_names == ("scratch", "dent", "stain")
    text(
        root / "annotations.xml",
        (root / "annotations.xml").read_text().replace("<image ", '<image subset="Test" '),
    )
    assert load_dataset(root).splits == {"test": 3}


def test_cvat_for_video_is_named(tmp_path: Path) -> None:
    root = tool_builders.cvat(tmp_path)
    text(root / "annotations.xml", "<annotations><version>1.1</version><track id='0'/></annotations>")
    with pytest.raises(BlemishError, match=r"tracks, as 'CVAT for video' has them\. Export .*images 1\.1'"):
        load_dataset(root)


def studio_with(root: Path, change: Change) -> Path:
    made = tool_builders.labelstudio(root)
    changed(made / "project-1.json", change)
    return made


def result(kind: str, label: str, **value: Any) -> dict[str, Any]:
    sized = {"original_width": 30, "original_height": 20, "id": "r"}
    return {**sized, "type": kind, "value": {**value, kind: [label]}}


def test_labelstudio_turned_rectangle_turns_about_its_corner(tmp_path: Path) -> None:
    turned = result("rectanglelabels", "dent", x=50, y=25, width=20, height=20, rotation=90)
    root = studio_with(tmp_path, lambda tasks: tasks[1]["annotations"][0].update(result=[turned]))
    (box,) = of(load_dataset(root), "b")  # 6×4 pixels at (15, 5)
    assert np.asarray(sorted(box.polygons[0])) == pytest.approx(
        np.asarray(sorted([(15, 5), (15, 11), (11, 11), (11, 5)]))
    )


def test_labelstudio_ellipse_in_both_scales(tmp_path: Path) -> None:
    oval = result("ellipselabels", "dent", x=50, y=50, radiusX=10, radiusY=20, rotation=0)
    root = studio_with(tmp_path, lambda tasks: tasks[1]["annotations"][0].update(result=[oval]))
    (drawn,) = of(load_dataset(root), "b")
    assert np.ptp(np.asarray(drawn.polygons[0]), axis=0) == pytest.approx([6, 8], abs=0.05)


def test_labelstudio_two_annotators(tmp_path: Path) -> None:
    other = {"id": 9, "result": []}
    root = studio_with(tmp_path / "1", lambda tasks: tasks[0]["annotations"].append(other))
    with pytest.raises(BlemishError, match=r"task 0 must have one annotation\. Received: 2, which differ"):
        load_dataset(root)
    chosen = {**other, "ground_truth": True}
    root = studio_with(tmp_path / "2", lambda tasks: tasks[0]["annotations"].append(chosen))
    assert of(load_dataset(root), "a") == ()
    root = studio_with(tmp_path / "3", lambda t: t[0]["annotations"].append(t[0]["annotations"][0]))
    assert len(of(load_dataset(root), "a")) == 2
    cancelled = {**other, "was_cancelled": True}
    root = studio_with(tmp_path / "4", lambda tasks: tasks[0]["annotations"].append(cancelled))
    assert len(of(load_dataset(root), "a")) == 2


def test_labelstudio_task_that_nobody_did_is_not_clean(tmp_path: Path) -> None:
    cancelled = [{"id": 1, "was_cancelled": True, "result": []}]
    for number, found in enumerate([[], cancelled]):
        root = tool_builders.labelstudio(tmp_path / str(number))
        tasks = json.loads((root / "project-1.json").read_text())
        tasks[1]["annotations"] = found
        save_json(root / "project-1.json", tasks)
        with pytest.raises(BlemishError, match=r"b\.png must have an annotation"):
            load_dataset(root)


def test_labelstudio_predictions_are_not_truth(tmp_path: Path) -> None:
    guess = result("rectanglelabels", "dent", x=1, y=1, width=9, height=9)
    root = studio_with(tmp_path, lambda tasks: tasks[1].update(predictions=[{"result": [guess]}]))
    assert of(load_dataset(root), "b") == ()


def test_labelstudio_choices(tmp_path: Path) -> None:
    def choose(*names: str) -> Change:
        made = {"type": "choices", "value": {"choices": [*names]}}
        return lambda tasks: tasks[1]["annotations"][0].update(result=[made])

    assert of(load_dataset(studio_with(tmp_path / "1", choose("stain"))), "b") == (Annotation("stain"),)
    assert of(load_dataset(studio_with(tmp_path / "2", choose("good"))), "b") == ()
    assert of(load_dataset(studio_with(tmp_path / "3", choose("NG"))), "b") == (Annotation("defect"),)
    with pytest.raises(BlemishError, match="clean or defective"):
        load_dataset(studio_with(tmp_path / "4", choose("good", "stain")))


def test_labelstudio_brush_and_turned_image_are_refused_by_name(tmp_path: Path) -> None:
    brush = {**result("brushlabels", "dent", format="rle"), "original_width": 30}
    brush["value"]["rle"] = [1, 2, 3]
    root = studio_with(tmp_path / "1", lambda tasks: tasks[1]["annotations"][0].update(result=[brush]))
    with pytest.raises(BlemishError, match=r"brush strokes are not read; export them as COCO or as PNG"):
        load_dataset(root)
    turned = {**result("rectanglelabels", "dent", x=1, y=1, width=9, height=9), "image_rotation": 90}
    root = studio_with(tmp_path / "2", lambda tasks: tasks[1]["annotations"][0].update(result=[turned]))
    with pytest.raises(BlemishError, match=r"image_rotation must be 0"):
        load_dataset(root)


@pytest.mark.parametrize(
    "address",
    [
        "/data/upload/1/0a2b3c4d-a.png",
        "/data/local-files/?d=set%2Fimages%2Fa.png",
        "https://host/bucket/a.png?token=1/2",
        "s3://bucket/folder/a.png",
        "C:\\\\set\\\\a.png".replace("\\\\", "\\"),
        "a.png",
    ],
)
def test_labelstudio_addresses_of_images(tmp_path: Path, address: str) -> None:
    root = studio_with(tmp_path, lambda tasks: tasks[0].update(data={"image": address, "note": "text"}))
    assert len(of(load_dataset(root), "a")) == 2


def test_via_class_attribute_is_asked_for(tmp_path: Path) -> None:
    def change(content: Any) -> None:
        for image in content["_via_img_metadata"].values():
            for region in image["regions"]:
                region["region_attributes"]["depth"] = "deep"

    root = tool_builders.via(tmp_path)
    changed(root / "via_project.json", change)
    with pytest.raises(
        BlemishError, match=r"one attribute, their class\. Received: kind, depth\. Put 'label_key: kind'"
    ):
        load_dataset(root)
    text(root / "dataset.yaml", "label_key: kind\n")
    assert {a.label for a in of(load_dataset(root), "a")} == {"scratch", "dent"}


def test_via_other_shapes(tmp_path: Path) -> None:
    circle = {"name": "circle", "cx": 10, "cy": 10, "r": 5}
    oval = {"name": "ellipse", "cx": 10, "cy": 10, "rx": 6, "ry": 3}
    line = {"name": "polyline", "all_points_x": [1, 2], "all_points_y": [1, 2]}
    ticked = {"kind": {"dent": True, "scratch": False}}

    def change(content: Any) -> None:
        image = next(i for i in content["_via_img_metadata"].values() if i["filename"] == "b.png")
        image["regions"] = [
            {"shape_attributes": s, "region_attributes": ticked} for s in (circle, oval, line)
        ]

    root = tool_builders.via(tmp_path)
    changed(root / "via_project.json", change)
    dataset = load_dataset(root)
    extents = [np.ptp(np.asarray(a.polygons[0]), axis=0) for a in of(dataset, "b")]
    assert np.asarray(extents) == pytest.approx(np.asarray([[10, 10], [12, 6]]), abs=0.1)
    assert list(dataset.account.dropped.values()) == ["a shape of type 'polyline' has no area"]


def test_via_changed_image_is_warned_of(tmp_path: Path) -> None:
    root = tool_builders.via(tmp_path)
    with (root / "a.png").open("ab") as file:
        file.write(b"more")
    (warning,) = load_dataset(root).account.warnings
    assert warning.startswith("1 image (a.png): not of the file size that VIA noted")


def test_supervisely_hole_and_bitmap(tmp_path: Path) -> None:
    bitmap = np.array([[1, 0], [1, 1]], np.bool_)
    shapes = [
        {
            "classTitle": "dent",
            "geometryType": "polygon",
            "points": {
                "exterior": [[0, 0], [9, 0], [9, 9], [0, 9]],
                "interior": [[[2, 2], [4, 2], [4, 4], [2, 4]]],
            },
        },
        {
            "classTitle": "scratch",
            "geometryType": "bitmap",
            "bitmap": {"data": png_base64(bitmap, packed=True), "origin": [11, 12]},
        },
    ]
    root = tool_builders.supervisely(tmp_path)
    changed(root / "ds0" / "ann" / "b.png.json", lambda content: content.update(objects=shapes))
    dataset = load_dataset(root)
    ring, painted = of(dataset, "b")
    assert pixels(ring).sum() == 81 - 4
    assert not pixels(ring)[2:4, 2:4].any()
    assert np.argwhere(pixels(painted)).tolist() == [[12, 11], [13, 11], [13, 12]]
    assert dataset.class_names == ("scratch", "dent")


def test_v7_paths_are_parts_and_holes(tmp_path: Path) -> None:
    def path(x: int, y: int, side: int) -> list[dict[str, int]]:
        return [{"x": x + a, "y": y + b} for a, b in ((0, 0), (side, 0), (side, side), (0, side))]

    root = tool_builders.v7(tmp_path)
    marks = [{"name": "dent", "polygon": {"paths": [path(0, 0, 10), path(2, 2, 3), path(15, 5, 4)]}}]
    file = root / "releases" / "latest" / "annotations" / "b.json"
    changed(file, lambda content: content.update(annotations=[*marks, {"name": "stain", "tag": {}}]))
    label, drawn = of(load_dataset(root), "b")
    assert label == Annotation("stain")
    assert pixels(drawn).sum() == 100 - 9 + 16
    changed(file, lambda content: content.update(annotations=[{"name": "x", "line": {"path": []}}]))
    with pytest.raises(BlemishError, match="a shape of 'line' is not read; export COCO"):
        load_dataset(root)


def test_severstal_older_form_lists_clean_images(tmp_path: Path) -> None:
    root = tool_builders.severstal(tmp_path)
    rows = [f"{name}.png_{number}," for name in "abc" for number in (1, 2)]
    rows[0] += "1 3 21 3"
    text(root / "train.csv", "\n".join(["ImageId_ClassId,EncodedPixels", *rows]))
    dataset = load_dataset(root)
    assert [a.label for a in of(dataset, "a")] == ["1"]
    assert np.argwhere(pixels(of(dataset, "a")[0])).tolist() == [
        [0, 0],
        [0, 1],
        [1, 0],
        [1, 1],
        [2, 0],
        [2, 1],
    ]
    assert not dataset.account.warnings
    text(root / "train.csv", "\n".join(["ImageId_ClassId,EncodedPixels", *rows[:4]]))
    with pytest.raises(BlemishError, match=r"c\.png must have an annotation"):
        load_dataset(root)


@pytest.mark.parametrize("runs", ["0 5", "1 601", "1", "1 0", "1 x", "-3 2", f"1 {10**21}"])
def test_severstal_runs_outside_the_image_are_refused(tmp_path: Path, runs: str) -> None:
    root = tool_builders.severstal(tmp_path)
    text(root / "train.csv", f"ImageId,ClassId,EncodedPixels\na.png,1,{runs}\n")
    with pytest.raises(
        BlemishError, match=r"EncodedPixels must (be runs inside 30×20 pixels|hold whole numbers)"
    ):
        load_dataset(root)


def test_severstal_submission_is_no_truth(tmp_path: Path) -> None:
    root = tool_builders.severstal(tmp_path)
    text(root / "sample_submission.csv", "ImageId,ClassId,EncodedPixels\nb.png,1,1 600\n")
    dataset = load_dataset(root)
    assert of(dataset, "b") == ()
    assert list(dataset.account.left_out) == ["sample_submission.csv"]


def test_csv_boxes_line_without_box_is_a_clean_image(tmp_path: Path) -> None:
    root = tool_builders.csv_boxes(tmp_path)
    file = root / "train" / "_annotations.csv"
    text(file, file.read_text() + "b.png,30,20,,,,,\n")
    assert not load_dataset(root).account.warnings
    text(file, file.read_text() + "b.png,31,20,,,,,\n")
    with pytest.raises(BlemishError, match=r"line 6: width and height must be those of the other lines"):
        load_dataset(root)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c.png,30,20,dent,1,2,3", "line 2 must have 8 columns"),
        ("c.png,30,20,dent,1,2,3,4,5", "line 2 must have 8 columns"),
        ("c.png,30,20,dent,1,2,3,4;5", "must be a number"),
        ("c.png,30,20,dent,9,2,3,4", "left and upper corner before"),
        ("c.png,30,20,dent,0.1,0.2,0.3,0.4", "must be given in pixels"),
        ("c.png,30,20,,1,2,3,4", "class must be a name"),
    ],
)
def test_csv_boxes_wrong_lines(tmp_path: Path, row: str, message: str) -> None:
    root = tool_builders.csv_boxes(tmp_path)
    text(root / "train" / "_annotations.csv", f"filename,width,height,class,xmin,ymin,xmax,ymax\n{row}\n")
    with pytest.raises(BlemishError, match=message):
        load_dataset(root)


def test_csv_with_semicolons(tmp_path: Path) -> None:
    root = tool_builders.csv_labels(tmp_path)
    text(root / "labels.csv", "Image;Label;Split\na.png;scratch;train\nb.png;OK;test\nc.png;NG;test\n")
    dataset = load_dataset(root)
    assert dataset.class_counts == {"defect": 1, "scratch": 1}
    assert dataset.splits == {"train": 1, "test": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("image,label,class\na.png,x,y\n", "Received: class, label. Put 'label_key: class'"),
        ("image,filename,label\na.png,a.png,y\n", "Received: filename, image. Rename"),
        ("image,label\na.png,2\nb.png,0\nc.png,1\n", "0 clean and 1 defective are understood"),
        ("image,label\na.png,true\nb.png,false\nc.png,false\n", "must say what means clean"),
        ("image,label\na.png,ok\na.png,dent\nb.png,ok\nc.png,ok\n", "must be clean or defective"),
        ("image,label\na.png,\nb.png,ok\nc.png,ok\n", "line 2: label must be a name"),
    ],
)
def test_csv_labels_that_are_doubtful_are_asked_about(tmp_path: Path, content: str, message: str) -> None:
    root = tool_builders.csv_labels(tmp_path)
    text(root / "labels.csv", content)
    with pytest.raises(BlemishError, match=message):
        load_dataset(root)


def test_csv_labels_column_is_named_by_the_settings(tmp_path: Path) -> None:
    root = tool_builders.csv_labels(tmp_path)
    text(root / "labels.csv", "image,label,class\na.png,x,stain\nb.png,x,ok\nc.png,x,stain\n")
    text(root / "dataset.yaml", "label_key: class\n")
    assert load_dataset(root).class_counts == {"stain": 2}


def test_csv_classes_unlabelled_and_contradicting(tmp_path: Path) -> None:
    root = tool_builders.csv_classes(tmp_path)
    file = root / "valid" / "_classes.csv"
    text(file, "filename, dent, Unlabeled\na.png, 1, 0\nb.png, 0, 1\nc.png, 0, 0\n")
    with pytest.raises(BlemishError, match=r"b\.png must have an annotation"):
        load_dataset(root)
    text(file, "filename, dent, good\na.png, 1, 0\nb.png, 0, 1\nc.png, 0, 0\n")
    assert load_dataset(root).class_counts == {"dent": 1}
    text(file, "filename, dent, good\na.png, 1, 1\nb.png, 0, 1\nc.png, 0, 2\n")
    with pytest.raises(BlemishError, match=r"line 4: good must be 0 or 1\. Received: '2'"):
        load_dataset(root)


def test_dota_turned_box_and_difficulty(tmp_path: Path) -> None:
    root = tool_builders.dota(tmp_path)
    text(root / "labelTxt" / "b.txt", "5 1 9 5 5 9 1 5 dent 1\n")
    (turned,) = of(load_dataset(root), "b")
    assert turned.polygons == (((5, 1), (9, 5), (5, 9), (1, 5)),)
    assert turned.difficult
    text(root / "labelTxt" / "b.txt", "5 1 9 5 5 9 1 dent 1\n")
    with pytest.raises(BlemishError, match=r"b, shape 1 must be (four corners|a number)"):
        load_dataset(root)


def test_openimages_groups_are_crowds_and_classes_known(tmp_path: Path) -> None:
    root = tool_builders.openimages(tmp_path)
    file = root / "train-annotations-bbox.csv"
    text(file, file.read_text().replace("0,0,0\n", "0,0,1\n", 1))
    assert [a.crowd for a in of(load_dataset(root), "a")] == [True, False]
    text(file, file.read_text().replace("/m/02", "/m/77"))
    with pytest.raises(BlemishError, match=r"LabelName must be a class of class-descriptions\*\.csv"):
        load_dataset(root)
