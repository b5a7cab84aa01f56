"""The Pascal VOC layout: which image a file describes, sizes, boxes and lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from tests.dataset import builders

OBJECT = (
    "<object><name>dent</name><difficult>0</difficult><bndbox><xmin>3</xmin><ymin>4</ymin><xmax>9</xmax>"
    "<ymax>8</ymax></bndbox></object>"
)


def written(
    root: Path, *objects: str, size: str = "", name: str = "a.png", path: str = "Annotations/a.xml"
) -> Path:
    """The image a, and a file that describes it."""
    builders.write_image(root / "JPEGImages" / "a.png")
    builders.text(
        root / path, f"<annotation><filename>{name}</filename>{size}{''.join(objects)}</annotation>"
    )
    return root


def size(width: object, height: object) -> str:
    return f"<size><width>{width}</width><height>{height}</height><depth>1</depth></size>"


def test_voc_counts_from_one_and_inclusive(tmp_path: Path) -> None:
    dataset = load_dataset(builders.voc_layout(tmp_path))
    first, second = dataset.samples[0].annotations
    assert (first.label, first.box_xyxy) == ("scratch", (0, 0, 30, 20))
    assert second.box_xyxy == (2, 4, 10, 12)
    assert dataset.splits == {"train": 1, "test": 1}


def test_voc_image_without_annotation_is_not_taken_for_clean(tmp_path: Path) -> None:
    builders.write_image(builders.voc_layout(tmp_path) / "JPEGImages" / "z.png")
    with pytest.raises(BlemishError, match=r"z\.png must have an annotation"):
        load_dataset(tmp_path)
    assert list(load_dataset(tmp_path, skip_broken=True).skipped) == ["JPEGImages/z.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object>", "must be an XML file"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>", "a DOCTYPE, which can hold entities"),
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


@pytest.mark.parametrize("declared", ["", size(30, 20), size(0, 0), size("", ""), size(" 30 ", "20")])
def test_own_size_none_and_zero_pass(tmp_path: Path, declared: str) -> None:
    (sample,) = load_dataset(written(tmp_path, OBJECT, size=declared))
    assert sample.annotations[0].box_xyxy == (2, 3, 9, 8)


@pytest.mark.parametrize("declared", [size(60, 40), size(20, 30), size("x", 20), size(-30, 20)])
def test_other_size_is_refused(tmp_path: Path, declared: str) -> None:
    with pytest.raises(BlemishError, match=r"a\.xml must give a\.png its own size, 30×20\. Received: "):
        load_dataset(written(tmp_path, OBJECT, size=declared))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<xmax>9</xmax>", "<xmax>2</xmax>", "without an area"),
        ("<xmax>9</xmax>", "<xmax>nan</xmax>", "'nan', which is no coordinate"),
        ("<xmax>9</xmax>", "<xmax>1e21</xmax>", "'1e21', which is no coordinate"),
        ("<xmax>9</xmax>", "<xmax>9,5</xmax>", "'9,5', which is no coordinate"),
        ("<xmax>9</xmax>", "<xmax>1_0</xmax>", "'1_0', which is no coordinate"),
        ("<xmax>9</xmax>", "", "'', which is no coordinate"),
        ("<name>dent</name>", "<name> </name>", "must have a name and a bndbox"),
        ("<name>dent</name>", "<name>dent</name><name>x</name>", "must have a name and a bndbox"),
        ("<difficult>0</difficult>", "<difficult>7</difficult>", "<difficult> must be 0 or 1"),
        ("object>", "objekt>", "must have its boxes in <object>"),
        ("annotation>", "annotations>", "must be a Pascal VOC annotation"),
    ],
)
def test_faults_name_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = written(tmp_path, OBJECT) / "Annotations" / "a.xml"
    builders.write_image(tmp_path / "JPEGImages" / "b.png")
    builders.text(tmp_path / "Annotations" / "b.xml", "<annotation/>")
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(BlemishError, match=rf"a\.xml.*{message}"):
        load_dataset(tmp_path)


def test_difficult_is_read(tmp_path: Path) -> None:
    hard = OBJECT.replace("<difficult>0", "<difficult>1").replace("<xmin>3", "<xmin>5")
    (sample,) = load_dataset(written(tmp_path, OBJECT, hard))
    assert [a.difficult for a in sample.annotations] == [False, True]


def test_boxes_from_zero_are_told_and_stay_in_the_image(tmp_path: Path) -> None:
    dataset = load_dataset(written(tmp_path, OBJECT.replace("<xmin>3", "<xmin>0")))
    assert dataset.samples[0].annotations[0].box_xyxy == (0, 3, 9, 8)
    (warning,) = dataset.account.warnings
    assert "Annotations/a.xml object 1" in warning
    assert "VOC counts pixels from 1" in warning


def test_outline_beside_the_box_is_told(tmp_path: Path) -> None:
    outlined = OBJECT.replace("</object>", "<polygon><x1>3</x1></polygon></object>")
    assert "outline beside the box" in load_dataset(written(tmp_path, outlined)).account.warnings[0]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_encodings_and_suffix_case(tmp_path: Path, encoding: str) -> None:
    file = written(tmp_path, OBJECT) / "Annotations" / "a.xml"
    text = f'<?xml version="1.0"?>\n{file.read_text()}'
    file.unlink()
    file.with_suffix(".XML").write_bytes(text.encode(encoding))
    assert len(load_dataset(tmp_path).samples[0].annotations) == 1


def test_name_inside_counts_where_no_image_has_the_file_s_name(tmp_path: Path) -> None:
    (sample,) = load_dataset(written(tmp_path, OBJECT, name="a.png", path="Annotations/0001.xml"))
    assert sample.id == "JPEGImages/a.png"


def test_stale_name_inside_is_told_and_a_plausible_one_refused(tmp_path: Path) -> None:
    written(tmp_path, OBJECT, name="b.png")
    builders.write_image(tmp_path / "JPEGImages" / "b.png")
    builders.text(tmp_path / "Annotations" / "b.xml", "<annotation><filename>b.png</filename></annotation>")
    dataset = load_dataset(tmp_path)
    assert [len(sample.annotations) for sample in dataset] == [1, 0]
    assert "1 XML file (Annotations/a.xml: JPEGImages/b.png)" in dataset.account.warnings[0]
    builders.text(tmp_path / "Annotations" / "b.xml", "<annotation><filename>a.png</filename></annotation>")
    with pytest.raises(
        BlemishError, match=r"a\.xml must name its own image\. Received: <filename> JPEGImages/b\.png"
    ):
        load_dataset(tmp_path)


def test_two_files_of_one_image_are_refused(tmp_path: Path) -> None:
    written(tmp_path, OBJECT)
    builders.text(tmp_path / "old" / "a.xml", "<annotation/>")
    with pytest.raises(BlemishError, match=r"one XML file\. Received: Annotations/a\.xml and old/a\.xml"):
        load_dataset(tmp_path)


def test_images_without_a_file_follow_the_setting(tmp_path: Path) -> None:
    builders.write_image(written(tmp_path, OBJECT) / "JPEGImages" / "z.png")
    builders.text(tmp_path / "dataset.yaml", "unlabelled: clean\n")
    dataset = load_dataset(tmp_path)
    assert [len(sample.annotations) for sample in dataset] == [1, 0]
    assert "taken as clean" in dataset.account.warnings[0]


def test_other_xml_files_are_left_out_by_name(tmp_path: Path) -> None:
    builders.text(written(tmp_path, OBJECT) / "project.xml", "<project/>")
    assert "project.xml" in load_dataset(tmp_path).account.left_out
    assert "no <annotation>" in load_dataset(tmp_path).account.warnings[0]


def test_lists_of_two_years_with_the_same_names_stay_apart(tmp_path: Path) -> None:
    for year, split in (("VOC2007", "train"), ("VOC2012", "test")):
        written(tmp_path / year, OBJECT)
        builders.text(tmp_path / year / "ImageSets" / "Main" / f"{split}.txt", "a\n")
    found = {sample.id: sample.split for sample in load_dataset(tmp_path, layout="voc")}
    assert found == {"VOC2007/JPEGImages/a.png": "train", "VOC2012/JPEGImages/a.png": "test"}


def test_lists_with_unknown_names_are_told_and_contradictions_refused(tmp_path: Path) -> None:
    written(tmp_path, OBJECT)
    builders.text(tmp_path / "ImageSets" / "Main" / "train.txt", "a\nz\n")
    builders.text(tmp_path / "ImageSets" / "Main" / "trainval.txt", "a\n")
    dataset = load_dataset(tmp_path)
    assert dataset.splits == {"train": 1}
    assert "ImageSets/Main/train.txt line 2" in dataset.account.warnings[0]
    builders.text(tmp_path / "ImageSets" / "Main" / "test.txt", "a\n")
    with pytest.raises(BlemishError, match=r"test\.txt line 1: an image must be in one split"):
        load_dataset(tmp_path)
