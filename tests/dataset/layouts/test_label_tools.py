"""Every label tool's files read to one truth, whatever their encoding; refused where they do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.boxes import boxed_instances
from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Annotation, Dataset
from blemish.errors import BlemishError
from tests.dataset import tool_builders
from tests.dataset.builders import SIZE, text, write_image
from tests.dataset.tool_builders import BOX, BUILDERS, LISTS_DEFECTS_ALONE, OUTLINES, TRIANGLE, TRIANGLE_BOX

WITHOUT_PLACES = frozenset({"csv-labels", "csv-classes"})
WITH_SIZE = ("labelme", "labelstudio", "labelstudio-min", "supervisely", "v7", "cvat", "csv-boxes")
ONE_FILE_AN_IMAGE = ("labelme", "supervisely", "v7", "dota")
LABEL_SUFFIXES = (".json", ".csv", ".xml", ".txt")


def label_files(root: Path) -> list[Path]:
    return [file for file in sorted(root.rglob("*")) if file.suffix in LABEL_SUFFIXES]


def by_name(dataset: Dataset) -> dict[str, tuple[Annotation, ...]]:
    return {Path(sample.id).name: sample.annotations for sample in dataset}


def boxes(dataset: Dataset) -> dict[str, list[tuple[float, ...]]]:
    found = {Path(sample.id).name: boxed_instances(sample, SIZE) for sample in dataset}
    return {name: [tuple(round(v, 6) for v in box.box_xyxy) for box in each] for name, each in found.items()}


@pytest.fixture(params=BUILDERS)
def tool(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_shape_of_every_image_is_read(tmp_path: Path, tool: str) -> None:
    dataset = load_dataset(BUILDERS[tool](tmp_path))
    found = by_name(dataset)
    assert {*found} == {"a.png", "b.png", "c.png"}
    names = {"1": "scratch", "2": "dent"} if tool == "severstal" else {}
    truth = tool_builders.MARKS
    if tool in {"csv-labels", "csv-classes"}:
        truth = {name: sorted(labels) for name, labels in truth.items()}
        found = {name: tuple(sorted(marks, key=lambda a: a.label)) for name, marks in found.items()}
    labels = {name[0]: [names.get(a.label, a.label) for a in marks] for name, marks in found.items()}
    assert labels == truth
    if tool not in WITHOUT_PLACES:
        assert boxes(dataset) == {"a.png": [BOX, TRIANGLE_BOX], "b.png": [], "c.png": [TRIANGLE_BOX]}
    assert dataset.account.annotations == 3
    assert not dataset.account.dropped
    assert not dataset.account.left_out
    assert bool(dataset.account.warnings) == (tool in LISTS_DEFECTS_ALONE)


@pytest.mark.parametrize("tool", sorted(OUTLINES))
def test_outlines_keep_their_corners(tmp_path: Path, tool: str) -> None:
    scratch, dent = by_name(load_dataset(BUILDERS[tool](tmp_path)))["a.png"]
    assert scratch.box_xyxy == pytest.approx(BOX)
    assert np.asarray(dent.polygons) == pytest.approx(np.asarray([TRIANGLE]))


def test_pixels_lie_where_the_shapes_are(tmp_path: Path) -> None:
    dataset = load_dataset(BUILDERS["severstal"](tmp_path))
    sample = next(sample for sample in dataset if sample.id.endswith("a.png"))
    expected = np.zeros(SIZE, np.uint8)
    expected[3:8, 2:10] = 1
    expected[4:12, 12:20] = 2
    assert np.array_equal(class_map(sample, ("1", "2"), SIZE), expected)


def rewritten(change: Callable[[str], bytes]) -> Callable[[Path], None]:
    def rewrite(root: Path) -> None:
        for file in label_files(root):
            file.write_bytes(change(file.read_text()))

    return rewrite


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(rewritten(lambda t: b"\xef\xbb\xbf" + t.encode()), id="byte-order-mark"),
        pytest.param(rewritten(lambda t: t.replace("\n", "\r\n").encode()), id="crlf"),
        pytest.param(rewritten(lambda t: (t + "\n\n").encode()), id="blank-lines-behind"),
    ],
)
def test_encodings_change_nothing(tmp_path: Path, tool: str, change: Callable[[Path], None]) -> None:
    root = BUILDERS[tool](tmp_path)
    before = load_dataset(root)
    change(root)
    after = load_dataset(root)
    assert (after.layout, after.samples) == (before.layout, before.samples)
    assert after.account.line() == before.account.line()


def test_upright_size_counts_for_a_turned_image(tmp_path: Path) -> None:
    from PIL import Image

    root = BUILDERS["cvat"](tmp_path)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.fromarray(np.zeros((30, 20), np.uint8))
    stored.save(root / "images" / "a.jpg", exif=exif)  # upright: 20 high, 30 wide, as the file says
    (root / "images" / "a.png").unlink()
    found = by_name(load_dataset(root))
    assert found["a.jpg"][0].box_xyxy == BOX
    exif[0x0112] = 1
    stored.save(root / "images" / "a.jpg", exif=exif)
    with pytest.raises(
        BlemishError, match=r"30×20 \(width×height\)\. Received: an image of 20×30\. It was turned"
    ):
        load_dataset(root)


@pytest.mark.parametrize("tool", WITH_SIZE)
def test_resized_image_is_refused(tmp_path: Path, tool: str) -> None:
    root = BUILDERS[tool](tmp_path)
    write_image(next(root.rglob("a.png")), size=(40, 60))
    with pytest.raises(BlemishError, match=r"a\.png must be of the size .*Received: an image of 60×40"):
        load_dataset(root)
    assert [Path(name).name for name in load_dataset(root, skip_broken=True).skipped] == ["a.png"]


def test_annotation_outside_its_image_is_refused(tmp_path: Path) -> None:
    root = BUILDERS["via"](tmp_path)
    write_image(root / "c.png", size=(4, 8))
    with pytest.raises(BlemishError, match=r"c\.png, shape 1 must lie in its image of 8×4"):
        load_dataset(root)


def test_annotation_that_reaches_out_is_warned_of(tmp_path: Path) -> None:
    root = BUILDERS["createml"](tmp_path)
    write_image(root / "c.png", size=(10, 18))
    warnings = load_dataset(root).account.warnings
    assert warnings == (
        "1 annotation (c.png shape 1): reaching beyond the image, of which the part inside counts.",
    )


def test_missing_image_is_named(tmp_path: Path, tool: str) -> None:
    root = BUILDERS[tool](tmp_path)
    next(root.rglob("a.png")).unlink()
    with pytest.raises(BlemishError, match=r"must hold the image '.*a(\.png)?'"):
        load_dataset(root)
    assert {Path(s.id).name for s in load_dataset(root, skip_broken=True)} <= {"b.png", "c.png"}


def test_image_without_annotation_follows_the_rule(tmp_path: Path, tool: str) -> None:
    root = BUILDERS[tool](tmp_path)
    write_image(next(root.rglob("a.png")).with_name("z.png"))
    if tool in LISTS_DEFECTS_ALONE:
        assert by_name(load_dataset(root))["z.png"] == ()
    else:
        with pytest.raises(BlemishError, match=r"z\.png must have an annotation.*Put 'unlabelled: clean'"):
            load_dataset(root)
        assert [Path(name).name for name in load_dataset(root, skip_broken=True).skipped] == ["z.png"]
    text(root / "dataset.yaml", "unlabelled: leave-out\n")
    left = load_dataset(root)
    assert "z.png" not in by_name(left)
    assert any(name.endswith("z.png") for name in left.account.left_out)
    assert any("unlabelled: leave-out" in line for line in left.account.warnings)
    text(root / "dataset.yaml", "unlabelled: clean\n")
    clean = load_dataset(root)
    assert by_name(clean)["z.png"] == ()
    assert any("taken as clean" in line for line in clean.account.warnings)
    text(root / "dataset.yaml", "unlabelled: error\n")
    with pytest.raises(BlemishError, match=r"must have an annotation"):
        load_dataset(root)


@pytest.mark.parametrize("tool", ONE_FILE_AN_IMAGE)
def test_image_of_a_broken_file_is_not_clean(tmp_path: Path, tool: str) -> None:
    root = BUILDERS[tool](tmp_path)
    text(root / "dataset.yaml", "unlabelled: clean\n")
    label = next(file for file in label_files(root) if file.name.startswith("a."))
    label.write_bytes(label.read_bytes()[:40] + b"\xff")
    with pytest.raises(BlemishError, match=label.name):
        load_dataset(root)
    dataset = load_dataset(root, skip_broken=True)
    assert "a.png" not in by_name(dataset)
    assert {Path(name).name for name in dataset.skipped} == {label.name, "a.png"}


@pytest.mark.parametrize("tool", ["labelme", "supervisely"])
def test_empty_file_is_no_clean_image(tmp_path: Path, tool: str) -> None:
    root = BUILDERS[tool](tmp_path)
    next(file for file in label_files(root) if file.name.startswith("a.")).write_bytes(b"")
    with pytest.raises(BlemishError, match=r"must be a JSON file"):
        load_dataset(root)


def test_image_described_twice_is_refused_unless_alike(tmp_path: Path) -> None:
    root = BUILDERS["cvat"](tmp_path)
    content = (root / "annotations.xml").read_text()
    text(root / "second.xml", content)
    alike = load_dataset(root)
    assert alike.account.annotations == 3
    assert any("described twice" in line for line in alike.account.warnings)
    text(root / "second.xml", content.replace('xtl="2.00"', 'xtl="1.00"'))
    with pytest.raises(BlemishError, match=r"a\.png must be described once\. Received: annotations\.xml"):
        load_dataset(root)


def test_names_with_the_folders_of_another_computer(tmp_path: Path) -> None:
    for number, name in enumerate(
        ["C:\\\\Users\\\\me\\\\a.png", "/home/me/a.png", "./a.png", "../set/a.png"]
    ):
        root = BUILDERS["labelme"](tmp_path / str(number))
        content = (root / "a.json").read_text()
        text(root / "a.json", content.replace('"imagePath": "a.png"', f'"imagePath": "{name}"'))
        assert len(by_name(load_dataset(root))["a.png"]) == 2


def test_classes_that_differ_in_case_are_warned_of(tmp_path: Path) -> None:
    root = BUILDERS["labelme"](tmp_path)
    text(root / "c.json", (root / "c.json").read_text().replace('"dent"', '"Dent"'))
    assert any("Dent and dent differ in letter case" in w for w in load_dataset(root).account.warnings)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e21, True, None, "x", "1,5", [1]])
def test_wrong_coordinates_are_refused(tmp_path: Path, value: object) -> None:
    root = BUILDERS["labelme"](tmp_path)
    content = json.loads((root / "a.json").read_text())
    content["shapes"][0]["points"][0][0] = value
    tool_builders.save_json(root / "a.json", content)
    with pytest.raises(BlemishError, match=r"a\.json: a\.png, shape 1: points must be a number"):
        load_dataset(root)


@pytest.mark.parametrize("label", ["", "  ", None, 1.5, True, [], {}])
def test_wrong_labels_are_refused(tmp_path: Path, label: object) -> None:
    root = BUILDERS["labelme"](tmp_path)
    content = json.loads((root / "a.json").read_text())
    content["shapes"][0]["label"] = label
    tool_builders.save_json(root / "a.json", content)
    with pytest.raises(BlemishError, match=r"label must be a name\. Received: "):
        load_dataset(root)
