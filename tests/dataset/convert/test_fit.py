"""A conversion refuses, leaves out or cuts annotations, and its account adds up."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as pycocotools_mask  # type: ignore[import-untyped]

from blemish.dataset.convert import WRITERS, convert
from blemish.dataset.convert.coco import area_of
from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import defect_instances, polygon_mask
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.run_lengths import encode
from blemish.dataset.samples import Annotation, Dataset, MaskFile, RunLengths, Sample
from blemish.errors import BlemishError
from tests.dataset import builders

HEIGHT, WIDTH = builders.SIZE
GOOD = Annotation("a", (1.0, 1.0, 9.0, 9.0))
NAN = float("nan")
SPECK = ((2.1, 2.1), (2.4, 2.1), (2.4, 2.3))  # encloses no pixel's centre


def square(left: float, top: float, right: float, bottom: float) -> tuple[tuple[float, float], ...]:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def dataset(root: Path, *images: tuple[Annotation, ...]) -> Dataset:
    samples = []
    for number, marks in enumerate(images):
        path = builders.write_image(root / f"{number}.png")
        samples.append(Sample(path, path.name, marks))
    return Dataset(root, tuple(samples), ("a", "b"))


FAULTS = {
    "inverted": (Annotation("a", (25.0, 5.0, 15.0, 15.0)), "its box must have an area"),
    "empty": (Annotation("a", (5.0, 5.0, 5.0, 15.0)), "its box must have an area"),
    "nan": (Annotation("a", (NAN, 5.0, 9.0, 15.0)), "its box must be of finite numbers"),
    "infinite": (Annotation("a", (1.0, 5.0, float("inf"), 15.0)), "its box must be of finite numbers"),
    "far": (Annotation("a", (1.0, 5.0, 1e21, 15.0)), "its box must be of finite numbers"),
    "outside": (Annotation("a", (30.0, 5.0, 40.0, 15.0)), "its box must lie in the image, 30×20"),
    "nan corner": (
        Annotation("a", polygons=(((NAN, 1.0), (5.0, 1.0), (5.0, 5.0)),)),
        "its outline must be of",
    ),
    "outline outside": (
        Annotation("a", polygons=(square(-9, -9, -1, -1),)),
        "its outline must lie in the image",
    ),
    "wrong runs": (Annotation("a", mask=RunLengths((0, 5), (HEIGHT, WIDTH))), "whole run-length masks"),
    "runs of another size": (Annotation("a", mask=encode(np.eye(5, dtype=np.bool_))), "of its image's size"),
    "no mask file": (Annotation("a", mask=MaskFile(Path("nowhere.png"))), "nowhere.png"),
    "unknown class": (Annotation("c", (1.0, 1.0, 9.0, 9.0)), "its class must be known"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("to", ["coco", "coco-rle", "voc", "yolo", "labelme"])
def test_what_check_calls_an_error_is_refused_or_left_out_and_counted(
    tmp_path: Path, name: str, to: str
) -> None:
    mark, reason = FAULTS[name]
    whole = dataset(tmp_path / "in", (GOOD, mark), (mark,), (GOOD,), ())
    assert not check_dataset(whole).usable
    with pytest.raises(BlemishError, match=r"Received: 2 faults \(0\.png annotation 2: ") as caught:
        convert(whole, tmp_path / "out", to)
    assert reason in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()
    result = convert(whole, tmp_path / "out", to, skip_broken=True)
    assert result.line() == "3 of 4 images and 2 of 4 annotations written"
    assert [*result.left_out] == ["0.png annotation 2", "1.png annotation 1"]
    assert "would pass as clean" in result.images_left_out["1.png"]
    assert any("2 annotations are left out (0.png annotation 2, 1.png" in line for line in result.warnings)
    again = load_dataset(tmp_path / "out")
    assert check_dataset(again).usable
    assert sorted(len(sample.annotations) for sample in again) == [0, 1, 1]


OVER_EDGE = {
    "box": (Annotation("a", (-5.0, 2.0, 9.0, 30.0)), "boxes cut to the image: 1 annotation"),
    "outline": (Annotation("a", polygons=(square(-5, 2, 9, 30),)), "outlines cut to the image: 1 annotation"),
}


@pytest.mark.parametrize("name", OVER_EDGE)
@pytest.mark.parametrize("to", ["coco", "coco-rle", "voc", "yolo", "yolo-seg", "labelme", "masks"])
def test_what_reaches_over_the_edge_is_cut_there(tmp_path: Path, name: str, to: str) -> None:
    mark, line = OVER_EDGE[name]
    if WRITERS[to].cannot_hold(mark):
        pytest.skip(f"{to} holds no boxes")
    whole = dataset(tmp_path / "in", (mark,))
    assert line in convert(whole, tmp_path / "out", to).warnings
    again = load_dataset(tmp_path / "out")
    assert not [p for p in check_dataset(again).problems if "end in the image" in p.message]
    (defect,) = defect_instances(again.samples[0], builders.SIZE)
    assert defect.box_xyxy == pytest.approx((0, 2, 9, HEIGHT), abs=1e-9)


@pytest.mark.parametrize("to", ["yolo", "yolo-seg"])
def test_shares_stay_from_0_to_1(tmp_path: Path, to: str) -> None:
    polygons = (
        square(-5, -5, 15, 15),
        square(27, 17, 33, 23),
        ((-9.0, 10.0), (15.0, -9.0), (40.0, 10.0), (15.0, 29.0)),
    )
    whole = dataset(tmp_path / "in", *((Annotation("a", polygons=(p,)),) for p in polygons))
    convert(whole, tmp_path / "out", to)
    files = sorted((tmp_path / "out" / "labels").rglob("*.txt"))
    lines = [line.split()[1:] for file in files for line in file.read_text().splitlines()]
    assert len(lines) == 3
    assert all(0 <= float(share) <= 1 for line in lines for share in line)


@pytest.mark.parametrize(
    ("mark", "left_out", "line"),
    [
        (Annotation("a", polygons=(SPECK,)), 0, "outlines without a pixel become boxes: 2 annotations"),
        (
            Annotation("a", (1.0, 1.0, 5.0, 5.0), (SPECK,)),
            0,
            "outlines without a pixel become boxes: 2 annotations",
        ),
        (
            Annotation("a", (9.0, 5.0, 5.0, 9.0), (square(1, 1, 5, 5),)),
            0,
            "boxes made anew from outlines: 2 annotations",
        ),
        (Annotation("a", polygons=(((1.0, 1.0), (9.0, 1.0), (5.0, 1.0)),)), 1, "it marks no pixel"),
        (Annotation("a", mask=encode(np.zeros((HEIGHT, WIDTH), np.bool_))), 1, "it marks no pixel"),
    ],
)
def test_outlines_without_a_pixel(tmp_path: Path, mark: Annotation, left_out: int, line: str) -> None:
    whole = dataset(tmp_path / "in", (GOOD, mark), (mark,), ())
    result = convert(whole, tmp_path / "out", "coco")
    assert len(result.left_out) == 2 * left_out and len(result.images_left_out) == left_out
    assert result.annotations + len(result.left_out) == 3
    assert any(line in warning for warning in result.warnings)
    assert check_dataset(load_dataset(tmp_path / "out")).usable


def test_a_broken_image_is_refused_or_left_out_with_its_annotations(tmp_path: Path) -> None:
    whole = dataset(tmp_path / "in", (GOOD,), (GOOD, GOOD))
    path = whole.samples[1].image
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BlemishError, match=r"1 fault \(1\.png: .*1\.png"):
        convert(whole, tmp_path / "out", "voc")
    result = convert(whole, tmp_path / "out", "voc", skip_broken=True)
    assert result.line() == "1 of 2 images and 1 of 3 annotations written"


def test_only_images_are_copied(tmp_path: Path) -> None:
    secret = builders.text(tmp_path / "secret.txt", "root:x:0:0\n")
    whole = dataset(tmp_path / "in", (GOOD,), (GOOD,))
    whole.samples[1].image.unlink()
    whole.samples[1].image.symlink_to(secret)
    convert(whole, tmp_path / "out", "coco", skip_broken=True)
    assert not [f for f in (tmp_path / "out").rglob("*") if f.is_file() and b"root:" in f.read_bytes()]


@pytest.mark.parametrize("of_folder", [False, True])
def test_images_behind_links_that_lead_out_are_copied_only_on_request(
    tmp_path: Path, of_folder: bool
) -> None:
    """A dataset from elsewhere could name any picture of this computer by a link."""
    root, elsewhere = tmp_path / "in", builders.write_image(tmp_path / "elsewhere" / "0.png", seed=9)
    builders.write_image(root / "good" / "0.png")
    builders.write_image(root / "good" / "1.png", seed=1)
    (root / "good" / "inside.png").symlink_to("1.png")
    if of_folder:
        (root / "bad").symlink_to(elsewhere.parent)
    else:
        (root / "bad").mkdir()
        (root / "bad" / "0.png").symlink_to(elsewhere)
    whole = load_dataset(root)
    assert len(whole) == 4
    secret = elsewhere.read_bytes()

    def copied(out: Path) -> bool:
        return any(file.is_file() and file.read_bytes() == secret for file in out.rglob("*"))

    with pytest.raises(
        BlemishError, match=r"bad.0\.png is a link that leads out of the dataset\. Copy the f"
    ):
        convert(whole, tmp_path / "out", "coco")
    assert not (tmp_path / "out").exists()
    assert convert(whole, tmp_path / "left", "coco", skip_broken=True).images == 3
    assert not copied(tmp_path / "left")
    assert convert(whole, tmp_path / "all", "coco", follow_links=True).images == 4
    assert copied(tmp_path / "all")


def test_a_folder_in_the_dataset_or_behind_a_link_into_it_is_refused(tmp_path: Path) -> None:
    whole = dataset(tmp_path / "in", (GOOD,))
    (tmp_path / "in" / "sub").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "in" / "sub")
    for out in (tmp_path / "in" / "new", tmp_path / "link"):
        with pytest.raises(BlemishError, match="must lie outside of"):
            convert(whole, out, "coco")
    assert not [*(tmp_path / "in" / "sub").iterdir()]


@pytest.mark.parametrize(
    "reference", ["../payload.png", "/etc/passwd", "a/../../payload.png", "link.png", "\0", ["x"]]
)
def test_a_reference_outside_the_dataset_is_refused(tmp_path: Path, reference: Any) -> None:
    root = tmp_path / "in"
    builders.write_image(root / "0.png")
    builders.write_image(tmp_path / "payload.png")
    (root / "link.png").symlink_to(tmp_path / "payload.png")
    content = {
        "images": [{"id": 1, "file_name": "0.png", "reference": reference}],
        "annotations": [],
        "categories": [{"id": 1, "name": "a"}],
    }
    builders.text(root / "annotations.json", json.dumps(content))
    with pytest.raises(BlemishError, match="reference") as caught:
        load_dataset(root)
    assert "\n" not in str(caught.value)


def test_samples_with_hostile_ids_stay_in_the_folder(tmp_path: Path) -> None:
    image = builders.write_image(tmp_path / "in" / "0.png")
    ids = ["../../evil.png", "/tmp/evil.png", "..\\evil.png", "a/../../b.png", "NUL.png", "x" * 300 + ".png"]
    whole = Dataset(tmp_path / "in", tuple(Sample(image, each, (GOOD,)) for each in ids), ("a", "b"))
    before = {*tmp_path.rglob("*")}
    for to in ("coco", "voc", "yolo", "labelme"):
        out = tmp_path / "outer" / "out" / to
        result = convert(whole, out, to)
        assert any("file names are made safe" in line for line in result.warnings)
        assert len(load_dataset(out)) == len(ids)
    made = set(tmp_path.rglob("*")) - before
    assert all(path.is_relative_to(tmp_path / "outer") for path in made)


CROWD, HARD = replace(GOOD, crowd=True), Annotation("b", (3.0, 3.0, 20.0, 15.0), difficult=True)


@pytest.mark.parametrize("to", WRITERS)
def test_crowds_and_difficult_are_kept_or_told(tmp_path: Path, to: str) -> None:
    outlined = tuple(replace(a, polygons=(square(*a.box_xyxy),)) for a in (GOOD, CROWD, HARD) if a.box_xyxy)
    whole = dataset(tmp_path / "in", outlined, outlined[1:2])
    result = convert(whole, tmp_path / "out", to)
    words = " ".join(result.warnings)
    again = [annotation for sample in load_dataset(tmp_path / "out") for annotation in sample.annotations]
    found = [(a.crowd, a.difficult) for a in again]
    if to.startswith("coco"):
        assert found == [(False, False), (True, False), (False, True), (True, False)]
        assert "1 have the key 'difficult'" in words
    elif to in ("voc", "labelme"):
        assert found == [(False, False), (False, True), (False, True), (False, True)]
        assert "2 become difficult" in words
    elif to == "masks":
        assert "3 difficult or crowd regions become ordinary defects" in words
    else:
        assert found == [(False, False)] * 2
        assert "a crowd, would be taken for a single one" in words
        assert "1 difficult or crowd regions become ordinary" in words
        assert result.line() == "1 of 2 images and 2 of 4 annotations written"


@pytest.mark.parametrize("to", ["yolo", "yolo-seg"])
def test_clean_images_alone_are_no_yolo_set(tmp_path: Path, to: str) -> None:
    whole = replace(dataset(tmp_path / "in", ()), class_names=())
    with pytest.raises(BlemishError, match=f"{to} must have a class at least"):
        convert(whole, tmp_path / "out", to)
    assert not (tmp_path / "out").exists()
    convert(whole, tmp_path / "out", "coco")
    assert len(load_dataset(tmp_path / "out")) == 1


def test_strict_writes_nothing_that_is_less_exact(tmp_path: Path) -> None:
    whole = dataset(tmp_path / "in", (GOOD, Annotation("b")))
    with pytest.raises(BlemishError, match=r"with --strict\. Received: coco has no image labels"):
        convert(whole, tmp_path / "out", "coco", strict=True)
    assert not (tmp_path / "out").exists()
    exact = dataset(tmp_path / "exact", (GOOD,))
    assert convert(exact, tmp_path / "out", "coco", strict=True).warnings == ()


def coco_marks(out: Path) -> list[dict[str, Any]]:
    (file,) = (out / "annotations").glob("*.json")
    marks: list[dict[str, Any]] = json.loads(file.read_text())["annotations"]
    return marks


WORKED = {  # outlines, and their areas by hand
    "crossing": ((((5.0, 5.0), (25.0, 15.0), (25.0, 5.0), (5.0, 15.0)),), 100),
    "overlapping": ((square(2, 2, 12, 12), square(7, 2, 17, 12)), 150),
    "over the edge": ((square(20, 10, 40, 30),), 100),
    "nested": ((square(2, 2, 12, 12), square(4, 4, 8, 8)), 100),
    "clockwise and back": ((square(2, 2, 12, 12), square(2, 2, 12, 12)[::-1]), 100),
    "figure of eight": (
        (
            (
                (2.0, 2.0),
                (10.0, 2.0),
                (10.0, 10.0),
                (18.0, 10.0),
                (18.0, 18.0),
                (10.0, 18.0),
                (10.0, 10.0),
                (2.0, 10.0),
            ),
        ),
        128,
    ),
}


@pytest.mark.parametrize("name", WORKED)
@pytest.mark.parametrize("to", ["coco", "coco-rle"])
def test_areas_by_hand_by_pycocotools_and_by_our_masks(tmp_path: Path, name: str, to: str) -> None:
    polygons, area = WORKED[name]
    convert(dataset(tmp_path / "in", (Annotation("a", polygons=polygons),)), tmp_path / "out", to)
    (mark,) = coco_marks(tmp_path / "out")
    runs = (
        pycocotools_mask.frPyObjects(mark["segmentation"], HEIGHT, WIDTH)
        if to == "coco"
        else mark["segmentation"]
    )
    merged = pycocotools_mask.merge(runs) if to == "coco" else runs
    (again,) = load_dataset(tmp_path / "out")
    ours = check_dataset(load_dataset(tmp_path / "out"))
    assert (
        mark["area"]
        == pycocotools_mask.area(merged)
        == pytest.approx(area, abs=0 if name != "crossing" else 10)
    )
    assert ours.usable and again.annotations[0].has_outline


@settings(deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(*(st.floats(0, side, width=32) for side in (WIDTH, HEIGHT))), min_size=3, max_size=7
        ),
        min_size=1,
        max_size=3,
    )
)
def test_areas_are_those_of_pycocotools(polygons: list[list[tuple[float, float]]]) -> None:
    flat = [[value for corner in polygon for value in corner] for polygon in polygons]
    merged = pycocotools_mask.merge(pycocotools_mask.frPyObjects(flat, HEIGHT, WIDTH))
    assert area_of(flat, (HEIGHT, WIDTH)) == pycocotools_mask.area(merged)


def test_compressed_run_lengths_are_those_of_pycocotools(tmp_path: Path) -> None:
    mask = np.random.default_rng(1).random((HEIGHT, WIDTH)) > 0.5
    polygon = square(2, 3, 9, 8)
    marks = (Annotation("a", mask=encode(mask)), Annotation("b", polygons=(polygon,)))
    convert(dataset(tmp_path / "in", marks), tmp_path / "out", "coco-rle")
    first, second = coco_marks(tmp_path / "out")
    for mark, pixels in ((first, mask), (second, polygon_mask([polygon], (HEIGHT, WIDTH)))):
        assert isinstance(mark["segmentation"]["counts"], str)
        assert np.array_equal(pycocotools_mask.decode([mark["segmentation"]])[..., 0], pixels)
        assert mark["area"] == pixels.sum()


def test_a_written_folder_is_readable_by_others(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        convert(dataset(tmp_path / "in", (GOOD,)), tmp_path / "out", "coco")
    finally:
        os.umask(before)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o755
