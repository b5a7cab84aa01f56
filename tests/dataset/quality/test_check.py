"""Checking a dataset: each kind of fault planted once, and found with its file named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import builders
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import CheckReport, check_dataset
from blemish.dataset.quality.problems import ERROR
from blemish.dataset.samples import Annotation, Dataset, MaskFile


def problems(report: CheckReport, severity: str) -> list[str]:
    return [problem.message for problem in report.problems if problem.severity == severity]


def found(report: CheckReport, *words: str) -> bool:
    """True where the line of a problem holds all the words."""
    return any(all(word in problem.message for word in words) for problem in report.problems)


def with_mark(dataset: Dataset, number: int, *marks: Annotation) -> Dataset:
    samples = list(dataset.samples)
    samples[number] = replace(samples[number], annotations=marks)
    return replace(dataset, samples=tuple(samples))


def test_counts_by_class_and_split(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    builders.text(tmp_path / "splits" / "train.txt", "a\nb\nc\n")
    builders.text(tmp_path / "splits" / "test.txt", "d\n")
    report = check_dataset(load_dataset(tmp_path))
    assert report.images == {"Crack": {"train": 1}, "Hole": {"train": 1}}
    assert report.annotations == {"Crack": {"train": 1}, "Hole": {"train": 1}}
    assert report.clean == {"train": 1, "test": 1}
    assert report.imbalance == 1
    assert (report.smallest, report.largest, report.modes) == ((20, 30), (20, 30), {"gray": 4})
    (warning,) = report.problems
    assert "no image of 'test' shows Crack, Hole: nothing tells how many" in warning.message
    assert report.usable
    assert json.loads(json.dumps(report.to_json()))["usable"] is True


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_broken_image_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = builders.labels_layout(tmp_path) / "bad" / "b0.png"
    path.write_bytes(path.read_bytes()[:-30] if content is None else content)
    report = check_dataset(load_dataset(tmp_path))
    assert not report.usable
    (message,) = problems(report, "error")
    assert str(path) in message
    assert "\n" not in message


def test_mask_of_another_size_is_an_error(tmp_path: Path) -> None:
    builders.mask(builders.pairs_layout(tmp_path) / "mask" / "a.png", (0, 0, 3, 3), size=(10, 11))
    report = check_dataset(load_dataset(tmp_path))
    (message,) = problems(report, "error")
    assert "a.png of 11×10" in message
    assert "a.jpg of 30×20" in message


def test_duplicates_within_and_across_splits_and_in_conflict(tmp_path: Path) -> None:
    builders.labels_layout(tmp_path)
    for name in ("good/x1.png", "good/x2.png", "bad/x3.png"):
        builders.write_image(tmp_path / name, seed=5)
    whole = check_dataset(load_dataset(tmp_path))
    assert found(whole, "x1.png", "x2.png", "x3.png", "are the same picture. Keep one")
    assert found(whole, "marked as defect and clean")
    builders.text(tmp_path / "splits" / "train.txt", "x1\ng0\nb0\n")
    builders.text(tmp_path / "splits" / "test.txt", "x2\nx3\nb1\n")
    split = check_dataset(load_dataset(tmp_path))
    assert found(split, "are the same picture, in test and train: figures would be too good")
    assert found(split, "2 images are in no split", "g1.png", "g2.png")
    assert split.usable


def test_the_same_picture_in_two_file_types_is_found(tmp_path: Path) -> None:
    builders.labels_layout(tmp_path)
    builders.write_image(tmp_path / "good" / "x.png", seed=3)
    builders.write_image(tmp_path / "good" / "y.bmp", seed=3)
    assert found(check_dataset(load_dataset(tmp_path)), "x.png", "y.bmp", "same picture")


@pytest.mark.parametrize(
    ("box", "severity", "words"),
    [
        ((31.0, 2.0, 40.0, 9.0), "error", "a box must lie in the image"),
        ((5.0, 5.0, 5.0, 9.0), "error", "a box must have an area"),
        ((9.0, 5.0, 5.0, 9.0), "error", "a box must have an area"),
        ((-2.0, 5.0, 5.0, 9.0), "warning", "a box should end in the image"),
        ((25.0, 5.0, 33.0, 9.0), "warning", "a box should end in the image"),
        ((0.0, 0.0, 30.0, 20.0), None, ""),
    ],
)
def test_boxes(
    tmp_path: Path, box: tuple[float, float, float, float], severity: str | None, words: str
) -> None:
    dataset = with_mark(load_dataset(builders.voc_layout(tmp_path)), 0, Annotation("dent", box))
    lines = [p for p in check_dataset(dataset).problems if "dent box" in p.message]
    assert [line.severity for line in lines] == ([severity] if severity else [])
    assert all(words in line.message and "a.png" in line.message for line in lines)


def test_empty_mask_of_an_annotation_and_unknown_class(tmp_path: Path) -> None:
    dataset = load_dataset(builders.pairs_layout(tmp_path))
    empty = Annotation("defect", mask=MaskFile(tmp_path / "mask" / "b.png"))
    report = check_dataset(with_mark(dataset, 1, empty))
    assert found(report, "b.jpg", "an empty mask")
    assert report.usable
    report = check_dataset(with_mark(dataset, 1, Annotation("defekt")))
    assert found(report, "b.jpg", "Received: 'defekt'. Did you mean 'defect'?")
    assert not report.usable


def test_imbalance_unmarked_and_missing_classes(tmp_path: Path) -> None:
    for number in range(10):
        builders.write_image(tmp_path / "scratch" / f"s{number}.png")
    builders.write_image(tmp_path / "dent" / "d.png")
    builders.write_image(tmp_path / "good" / "g.png")
    dataset = load_dataset(tmp_path)
    report = check_dataset(replace(dataset, class_names=(*dataset.class_names, "stain")))
    assert report.imbalance == 10
    assert found(report, "10 images show 'scratch' and 1 show 'dent'")
    assert found(report, "no image shows class 'stain'")
    clean = dataset.where(lambda sample: not sample.is_defective)
    assert found(check_dataset(clean), "has no annotation at all")
    assert not found(report, "has no clean image")
    defective = dataset.where(lambda sample: sample.is_defective)
    assert found(check_dataset(defective), "has no clean image: nothing will tell how many good parts")


def test_a_class_that_a_split_lacks_is_named(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    plain = load_dataset(tmp_path)
    splits = {"Crack": "train", "Hole": "val"}
    labels = {sample.id: sorted({each.label for each in sample.annotations}) for sample in plain}
    report = check_dataset(
        plain.with_splits({name: splits[own[0]] if own else "train" for name, own in labels.items()})
    )
    assert found(report, "no image of 'train' shows Hole: it cannot be learned")
    assert found(report, "no image of 'val' shows Crack: no threshold is chosen with it")
    assert not found(report, "no image of 'test'"), "there is no such split"


def test_groups_across_splits_reference_and_skipped(tmp_path: Path) -> None:
    builders.deeppcb_layout(tmp_path)
    builders.write_image(tmp_path / "PCBData" / "group1" / "1" / "00001_temp.jpg", size=(5, 5))
    builders.text(tmp_path / "PCBData" / "test.txt", "group1/1/00002.jpg group1/1_not/00002.txt\na b\n")
    seen: list[None] = []
    report = check_dataset(load_dataset(tmp_path, skip_broken=True), on_image=lambda: seen.append(None))
    assert found(report, "1 of 1 groups lie in several splits (group1)")
    assert found(report, "00001_temp.jpg must be as large as")
    assert found(report, "left out:", "'a b'")
    assert len(seen) == 2


def test_what_was_left_out_is_an_error_unless_asked_for(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    for name in ("a", "c"):
        next(tmp_path.rglob(f"{name}.png")).unlink()
    dataset = load_dataset(tmp_path, skip_broken=True)
    assert check_dataset(dataset).usable
    report = check_dataset(dataset, skipped=ERROR)
    assert not report.usable
    first, second = problems(report, "error")
    assert "a.jpg must have a mask" in first
    assert "c.jpg must have a mask" in second


@pytest.mark.parametrize(
    ("mark", "outlined", "placed"),
    [
        (Annotation("defect", polygons=(((1.0, 1.0), (9.0, 1.0), (9.0, 9.0)),)), 2, 2),
        (Annotation("defect", box_xyxy=(1.0, 1.0, 9.0, 9.0)), 1, 2),
        (Annotation("defect"), 1, 1),
    ],
)
def test_how_exactly_images_are_marked(tmp_path: Path, mark: Annotation, outlined: int, placed: int) -> None:
    dataset = load_dataset(builders.pairs_layout(tmp_path))  # one of the three is clean
    report = check_dataset(with_mark(dataset, 0, mark))
    assert (report.defective, report.outlined, report.placed) == (2, outlined, placed)
    assert report.to_json()["outlined"] == outlined
