"""Which layout is chosen, what is asked where two are as likely, and what is said where none fits."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from blemish.dataset.layouts import LAYOUTS, load_dataset, tools
from blemish.dataset.layouts.common import Tree, list_files
from blemish.dataset.layouts.detection import OF_LABEL_FILES
from blemish.dataset.layouts.tool_table import TOOLS
from blemish.errors import BlemishError
from tests.dataset import builders, tool_builders
from tests.dataset.builders import text, write_image

PAIR = [("labelme", "via"), ("labelme", "csv-labels"), ("cvat", "labelstudio"), ("createml", "csv-boxes")]
Builder = Callable[[Path], Path]


def merged(root: Path, *made: Builder) -> Path:
    for builder in made:
        builder(root)
    return root


def test_names_of_label_file_layouts_are_layouts() -> None:
    assert {*LAYOUTS} >= OF_LABEL_FILES
    assert {tool.name for tool in TOOLS if not tool.advice} <= LAYOUTS.keys()


@pytest.mark.parametrize(("first", "second"), PAIR)
def test_labels_of_two_tools_are_asked_about(tmp_path: Path, first: str, second: str) -> None:
    root = merged(tmp_path, tool_builders.BUILDERS[first], tool_builders.BUILDERS[second])
    with pytest.raises(BlemishError, match=r"must have the labels of one tool.*Put 'layout: \S+'") as caught:
        load_dataset(root)
    assert all(f"'{name}'" in str(caught.value) for name in (first, second))
    assert len(str(caught.value)) < 440 + len(str(tmp_path))


@pytest.mark.parametrize("other", [builders.voc_layout, builders.yolo_layout, builders.coco_layout])
def test_older_formats_are_asked_about_too(tmp_path: Path, other: Builder) -> None:
    root = merged(tmp_path, other, tool_builders.labelme)
    with pytest.raises(BlemishError, match=r"must have the labels of one tool"):
        load_dataset(root)


def test_named_layout_leaves_the_other_files_out_with_a_word(tmp_path: Path) -> None:
    root = merged(tmp_path, tool_builders.labelme, tool_builders.via)
    text(root / "dataset.yaml", "layout: via\n")
    dataset = load_dataset(root)
    assert dataset.layout == "via"
    assert set(dataset.account.left_out) == {"a.json", "b.json", "c.json"}
    assert len(dataset.account.warnings) == 1


def test_label_files_go_before_masks_with_a_word(tmp_path: Path) -> None:
    root = tool_builders.cvat(tmp_path)
    for name in "abc":
        builders.mask(root / "masks" / f"{name}_mask.png", (1, 1, 4, 4))
    dataset = load_dataset(root)
    assert dataset.layout == "cvat"
    assert any("read as the layout 'cvat', though 'pairs' fits too" in w for w in dataset.account.warnings)
    assert load_dataset(root, layout="pairs").layout == "pairs"


def test_folder_names_are_no_other_reading_but_may_contradict(tmp_path: Path) -> None:
    tool_builders.labelme(tmp_path / "good")
    tool_builders.labelme(tmp_path / "NG")
    assert set(load_dataset(tmp_path).account.warnings) == {
        "2 images (good/a.png, good/c.png): marked with a defect, in a folder whose name means clean.",
        "1 image (NG/b.png): clean by their labels, in a folder whose name means defective.",
    }


def test_defect_with_a_name_that_means_clean_is_warned_of(tmp_path: Path) -> None:
    root = tool_builders.cvat(tmp_path)
    text(root / "annotations.xml", (root / "annotations.xml").read_text().replace('"scratch"', '"OK"'))
    assert (
        "1 class name (OK): marked as a defect, though the name means clean."
        in load_dataset(root).account.warnings
    )


def test_file_that_the_settings_name_is_the_one_that_counts(tmp_path: Path) -> None:
    root = tool_builders.cvat(tmp_path / "data")
    content = (root / "annotations.xml").read_text()
    text(root / "anna.xml", content.replace('xtl="2.00"', 'xtl="1.00"'))
    text(tmp_path / "bert" / "dataset.yaml", "root: ../data\nannotations: ../data/anna.xml\n")
    dataset = load_dataset(tmp_path / "bert")
    assert dataset.samples[0].annotations[0].box_xyxy == (1, 3, 10, 8)
    assert list(dataset.account.left_out) == ["annotations.xml"]
    text(tmp_path / "elsewhere.xml", content)
    text(
        tmp_path / "bert" / "dataset.yaml",
        "root: ../data\nlayout: cvat\nannotations: {val: ../elsewhere.xml}\n",
    )
    assert load_dataset(tmp_path / "bert").splits == {"val": 3}


def test_one_file_for_all_is_refused_where_every_image_has_its_own(tmp_path: Path) -> None:
    text(tool_builders.labelme(tmp_path) / "dataset.yaml", "layout: labelme\nannotations: a.json\n")
    with pytest.raises(
        BlemishError,
        match=r"'annotations' must go with a layout of one label file, .*Received: layout 'labelme'",
    ):
        load_dataset(tmp_path)


FOREIGN: dict[str, tuple[str, Any]] = {
    "Datumaro": ("default.json", {"info": {}, "categories": {"label": {"labels": []}}, "items": []}),
    "Labelbox": (
        "export.json",
        [{"ID": "x", "DataRow ID": "y", "Labeled Data": "u", "Label": {"objects": []}}],
    ),
    "Scale": ("tasks.json", [{"task_id": "x", "response": {"annotations": []}, "params": {}}]),
    "Hasty": ("hasty.json", {"project_name": "x", "export_format_version": "1.1", "images": []}),
    "Encord": ("encord.json", [{"label_hash": "x", "data_title": "a.png", "data_units": {}}]),
    "Kili": ("kili.json", [{"id": "x", "externalId": "a", "labels": [{"jsonResponse": {}}]}]),
    "SuperAnnotate": ("a.png.json", {"metadata": {"name": "a.png"}, "instances": []}),
    "VoTT": ("a-asset.json", {"asset": {"format": "png"}, "regions": []}),
    "COCO panoptic": (
        "panoptic.json",
        {"images": [], "annotations": [{"segments_info": []}], "categories": []},
    ),
    "COCO captions": ("captions.json", {"images": [], "annotations": [{"image_id": 1, "caption": "x"}]}),
    "VIA 3": ("via3.json", {"project": {"pid": "x"}, "file": {}, "view": {}, "metadata": {}}),
    "Segments.ai": (
        "release.json",
        {"name": "v0.1", "dataset": {"name": "x", "task_type": "bboxes", "samples": [{"name": "a.png"}]}},
    ),
    "LabelU": ("r.json", [{"result": {"annotations": [{"toolName": "rectTool", "result": []}]}}]),
    "Scalabel": ("bdd.json", [{"name": "a.png", "labels": [{"category": "x", "box2d": {"x1": 1}}]}]),
}


@pytest.mark.parametrize("tool", FOREIGN)
def test_tools_without_a_reader_are_named_with_what_to_export(tmp_path: Path, tool: str) -> None:
    name, content = FOREIGN[tool]
    write_image(tmp_path / "a.png")
    text(tmp_path / name, json.dumps(content))
    with pytest.raises(
        BlemishError, match=rf"{name} looks like {tool}, which is not read\. (Export|Convert)"
    ):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "tool"),
    [
        ("export.ndjson", '{"data_row": {"id": "x"}}\n', "Labelbox"),
        ("output.manifest", '{"source-ref": "s3://x/a.png"}\n', "SageMaker"),
        ("LOC_train_solution.csv", "ImageId,PredictionString\na,n01 1 2 3 4\n", "ImageNet CLS-LOC"),
        ("a.txt", "# PASCAL Annotation Version 1.00\n", "PASCAL 1.00"),
        ("wider_face_train_bbx_gt.txt", "0--Parade/a.jpg\n1\n449 330 122 149 0 0 0 0 0 0\n", "WIDER FACE"),
        ("train.tfrecord", "x", "TFRecord"),
        ("set.h5", "x", "HDF5"),
        ("set.npz", "x", "NumPy"),
        ("export.jsonl", '{"imageGcsUri": "gs://b/a.png", "boundingBoxAnnotations": []}\n', "Vertex AI"),
        ("train.jsonl", '{"image_url": "azureml://x/a.png", "label": "dent"}\n', "Azure AutoML"),
        ("p.jsonl", '{"image": "a.png", "_input_hash": 1, "_task_hash": 2, "spans": []}\n', "Prodigy"),
        ("m.jsonl", '{"source-ref": "s3://b/a.png", "box": {"annotations": []}}\n', "SageMaker"),
        (
            "r.jsonl",
            '{"image": "a.png", "prefix": "detect", "suffix": "<loc1> x"}\n',
            "Roboflow's JSON lines",
        ),
        ("metadata.jsonl", '{"file_name": "a.png", "label": 1}\n', "Hugging Face ImageFolder"),
        ("t.csv", "TRAIN,gs://b/a.png,dent,0.1,0.1,,,0.2,0.2,,\n", "Google AutoML"),
        ("t.csv", "annotation_id,annotator,image,lead_time\n1,1,a.png,3\n", "Label Studio's CSV"),
        ("t.csv", "a.png,1,2,9,9,dent\n", "keras-retinanet"),
        ("t.csv", "dent,1,2,9,9,a.png,30,20\n", "makesense.ai's CSV"),
        ("t.csv", "Image ID,Image Name,GT_Class\n1,a.png,dent\n", "LandingLens"),
        ("q.txt", "Car 0.00 0 -1.57 614.24 181.78 727.31 284.77 1.6 1.7 4.2 1.0 1.7 13.2 -1.6\n", "KITTI"),
        ("set.hdict", "x", "HALCON"),
        ("ws.vsa", "x", "Cognex ViDi"),
        ("gTruth.mat", "MATLAB 5.0 MAT-file", "MATLAB"),
        ("data.mdb", "x", "LMDB"),
        ("q.geojson", "{}", "GeoJSON"),
        ("train.parquet", "x", "Parquet"),
    ],
)
def test_files_that_are_not_read_are_named(tmp_path: Path, name: str, content: str, tool: str) -> None:
    text(tmp_path / name, content)
    with pytest.raises(BlemishError, match=rf"{name} looks like {tool}"):
        load_dataset(tmp_path)  # without an image
    write_image(tmp_path / "b.png")
    with pytest.raises(
        BlemishError, match=rf"1 image \(first b\.png\), 1 .*{name} looks like {tool}"
    ) as caught:
        load_dataset(tmp_path)
    assert len(str(caught.value)) - len(str(tmp_path)) < 330


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("images.zip", "images.zip is an archive, which is not read. Unpack it."),
        ("labels.tar.gz", "labels.tar.gz is an archive"),
        ("labels.xlsx", "labels.xlsx is a spreadsheet, which is not read. Save it as CSV"),
        ("line.mp4", "line.mp4 is a video, which is not read. Save frames of it as PNG"),
        ("a.heic", "a.heic is an image of a type, which is not read. Save it as PNG or TIFF."),
    ],
)
def test_files_that_hold_the_data_are_named(tmp_path: Path, name: str, sentence: str) -> None:
    text(tmp_path / name, "x")
    with pytest.raises(BlemishError) as caught:
        load_dataset(tmp_path)
    assert "must hold images. Received: no image, 1 ." in str(caught.value) and sentence in str(caught.value)


def test_labels_of_a_tool_go_before_an_archive(tmp_path: Path) -> None:
    write_image(tmp_path / "x.png")
    text(tmp_path / "a.zip", "x")
    text(tmp_path / "via3.json", json.dumps(FOREIGN["VIA 3"][1]))
    with pytest.raises(BlemishError, match=r"via3\.json looks like VIA 3"):
        load_dataset(tmp_path)


def test_brush_masks_of_label_studio_are_told_by_their_names(tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "a.png")
    write_image(tmp_path / "brush" / "task-1-annotation-2-by-1-tag-dent-0.png")
    with pytest.raises(BlemishError, match=r"Label Studio's brush masks.*Export 'Brush labels to COCO'"):
        load_dataset(tmp_path)


def test_no_message_on_an_unknown_folder_takes_more_than_six_lines(tmp_path: Path) -> None:
    """At 80 columns, with a path of 100 letters and the longest names of the table."""
    for tool in (tool for tool in TOOLS if tool.advice):
        line = f"{'f' * 40} {tool.called or f'looks like {tool.name}'}, which is not read. {tool.advice}"
        frame = "blemish:  must have a known layout. Received: 1234 images (first ), 1234 .json, 12 .png. "
        end = " 'blemish data layouts' lists those that are read."
        assert len(frame) + 100 + 40 + len(line) + len(end) <= 6 * 80, tool.name


def test_nothing_known_is_said_in_a_few_lines(tmp_path: Path) -> None:
    for number in range(12):
        write_image(tmp_path / f"im{number:03}.png")
    for suffix in ("dat", "doc", "xyz", "log", "bin", "cfg"):
        text(tmp_path / f"note.{suffix}", "x")
    with pytest.raises(
        BlemishError, match=r"12 images \(first im000\.png\), 1 \..*'blemish data layouts'"
    ) as caught:
        load_dataset(tmp_path)
    assert len(str(caught.value)) - len(str(tmp_path)) < 330
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "t.csv",
            "picture;verdict\na;x\n",
            r"t\.csv has the columns picture, verdict; it is read with columns",
        ),
        ("t.json", '{"foo": [{"bar": 1}]}', r"t\.json has keys of no known tool \(foo, bar\)"),
        ("t.json", "[]", r"t\.json has keys of no known tool \(none\)"),
    ],
)
def test_unknown_label_files_are_shown(tmp_path: Path, name: str, content: str, words: str) -> None:
    write_image(tmp_path / "a.png")
    text(tmp_path / name, content)
    with pytest.raises(BlemishError, match=words):
        load_dataset(tmp_path)


def test_a_few_files_are_looked_at_however_many_there_are(tmp_path: Path) -> None:
    names = [
        f"{folder}/{n:05}.{suffix}" for folder in range(50) for n in range(100) for suffix in ("png", "json")
    ]
    tree = Tree(tmp_path, tuple(sorted(names)))
    with patch.object(tools, "head", return_value="{}") as looks:
        for name in ("labelme", "labelstudio", "supervisely", "v7", "via", "createml"):
            assert LAYOUTS[name].detect(tree) is None
        assert tools.nearest_guess(tree) == ""
    assert looks.call_count <= 7 * tools.MAX_FILES


def test_one_file_for_all_is_found_among_a_thousand_others(tmp_path: Path) -> None:
    for number in range(300):
        text(tmp_path / f"{number:03}.json", "{}")
        text(tmp_path / f"{number:03}.png", "")
    tool_builders.save_json(tmp_path / "150x.json", [{"image": "000.png", "annotations": []}])
    assert LAYOUTS["createml"].detect(list_files(tmp_path)) == "150x.json is a JSON file of Create ML"


@pytest.mark.timeout(20)
def test_odd_files_called_like_label_files_are_told_of(tmp_path: Path) -> None:
    root = tool_builders.labelme(tmp_path)
    (root / "0.json").mkdir()
    (root / "1.json").symlink_to("nowhere.json")
    os.mkfifo(root / "2.json")
    account = load_dataset(root).account
    assert account.annotations == 3
    assert set(account.left_out) == {"1.json", "2.json"}
