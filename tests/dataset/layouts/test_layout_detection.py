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
from blemish.dataset.layouts.tools import TOOLS
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
        ("train.parquet", "x", "Parquet"),
        ("images.zip", "x", "archive"),
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
    assert looks.call_count <= 7 * tools.LOOKS


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
