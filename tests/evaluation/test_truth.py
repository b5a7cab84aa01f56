"""Truth of an image: annotations without a pixel, given twice, or with numbers that are no place."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.arrays import Box
from blemish.dataset.ignored import counted, without_repeats
from blemish.dataset.samples import Annotation, Dataset, MaskFile, RunLengths, Sample
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.evaluation.evaluator import Evaluator, metrics_json
from blemish.evaluation.image import is_defective
from blemish.evaluation.run import add, evaluate_samples
from blemish.evaluation.truth import sentences_on_lost_places
from blemish.inspection import Inspection, Verdict
from blemish.inspector.loading import open_inspector
from blemish.progress import Reporter
from blemish.regions.filled_boxes import defect_of_box

SIZE = (20, 30)
HERE: Box = (2.0, 3.0, 12.0, 11.0)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros(SIZE, np.uint8))
    return path


def evaluated(image: Path, annotations: tuple[Annotation, ...], found: tuple[Defect, ...] = ()) -> Evaluator:
    """Evaluator of one image, on boxes or, where nothing is found, on pixels too."""
    sample = Sample(image, "a.png", annotations)
    evaluator = Evaluator(["dent"])
    maps = {} if found else {"defects": np.zeros(SIZE, np.int32)}
    inspection = Inspection(str(image), SIZE, Verdict.NG, 0.9, found, "b", maps=maps)
    add(evaluator, sample, inspection, Dataset(image.parent, (sample,), ("dent",)))
    return evaluator


def empty_mask(folder: Path) -> MaskFile:
    cv2.imwrite(str(folder / "mask.png"), np.zeros(SIZE, np.uint8))
    return MaskFile(folder / "mask.png")


@pytest.mark.parametrize("kind", ["mask", "polygon", "runs", "box"])
def test_an_annotation_without_a_pixel_leaves_its_image_defective_in_an_unknown_place(
    image: Path, kind: str
) -> None:
    places: dict[str, dict[str, Any]] = {
        "mask": {"mask": empty_mask(image.parent)},
        "polygon": {"polygons": (((40.0, 40.0), (50.0, 40.0), (50.0, 50.0)),)},
        "runs": {"mask": RunLengths((600,), SIZE)},
        "box": {"box_xyxy": (40.0, 3.0, 50.0, 11.0)},
    }
    evaluator = evaluated(image, (Annotation("dent", **places[kind]),))
    (record,) = evaluator.records
    assert is_defective(record)
    assert record.pixels is None, "nobody knows which pixels are the defect's"
    metrics = evaluator.result(method="m", split="test", seed=0).metrics
    assert metrics["image"]["defective"] == 1
    assert "defect" not in metrics and "pixel" not in metrics
    (sentence,) = sentences_on_lost_places(evaluator.records)
    assert sentence.startswith(
        "1 annotation has a mask, outline or box without a pixel in the image, first in a.png"
    )


def test_a_box_counts_where_its_outline_is_too_thin_for_a_pixel(image: Path) -> None:
    thin = Annotation("dent", HERE, (((2.0, 3.0), (2.1, 3.0), (2.1, 3.1)),))
    (record,) = evaluated(image, (thin,)).records
    assert [truth.box_xyxy for truth in record.truth] == [HERE]
    assert record.lost_places == 0


def test_a_box_over_the_edge_counts(image: Path) -> None:
    (record,) = evaluated(image, (Annotation("dent", (25, 15, 40, 30)),)).records
    assert len(record.truth) == 1
    assert record.lost_places == 0


def test_the_same_place_thrice_is_one_defect(image: Path) -> None:
    box = Annotation("dent", HERE, id="1")
    thrice = (
        box,
        replace(box, id="2"),
        replace(box, id="3", contrast=5.0),
        Annotation("dent", (20, 1, 25, 6)),
    )
    evaluator = evaluated(image, thrice, (defect_of_box(HERE, "dent", 0.9),))
    defect = evaluator.result(method="m", split="test", seed=0).metrics["defect"]
    assert (defect["truth"], defect["recall_at_50"]) == (2, 0.5)


def test_repeats_keep_the_first_and_their_order() -> None:
    first, other = Annotation("dent", HERE, id="1"), Annotation("dent", (0, 0, 1, 1), id="2")
    again, crowd = replace(first, id="3"), replace(first, id="4", crowd=True)
    assert without_repeats((first, other, again, crowd)) == (first, other, crowd)
    sample = Sample(Path("a.png"), "a.png", (first, other))
    assert counted(sample) is sample


@pytest.mark.parametrize(
    ("place", "received"),
    [
        ({"box_xyxy": (1.0, 2.0, math.nan, 4.0)}, "1, 2, nan, 4"),
        ({"box_xyxy": (1.0, 2.0, math.inf, 4.0)}, "1, 2, inf, 4"),
        ({"box_xyxy": (5.0, 2.0, 1.0, 4.0)}, "5, 2, 1, 4"),
        ({"polygons": (((0.0, 0.0), (5.0, math.nan), (5.0, 5.0)),)}, "NaN or infinity"),
    ],
)
def test_a_place_that_is_none_is_one_line(image: Path, place: dict[str, Any], received: str) -> None:
    with pytest.raises(BlemishError) as caught:
        evaluated(image, (Annotation("dent", **place, id="17"),))
    assert str(image) in str(caught.value) and "annotation 17 ('dent')" in str(caught.value)
    assert f"Received: {received}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_metrics_are_json_whatever_is_ignored(image: Path) -> None:
    marks = (Annotation("dent", HERE), Annotation("dent", (15, 1, 29, 19), crowd=True))
    evaluator = evaluated(image, marks, (defect_of_box((16, 2, 20, 9), "dent", 0.9),))
    metrics = json.loads(metrics_json(evaluator.result(method="m", split="test", seed=0)))
    assert metrics["ignored"] == {"crowd": 1, "difficult": 0, "doubtful_images": 0}
    assert metrics["detection"]["map50"] == 0 and metrics["defect"]["precision_at_50"] is None


def test_a_bundle_is_not_asked_for_the_pixels_of_a_crowd(tiny_bundle: Path, tiny_dataset: Dataset) -> None:
    """Every mark of an image is said to be of a crowd: nothing of it is missed, and no pixel of it counts."""
    tests = tiny_dataset.split("test")
    changed = next(sample for sample in tests if sample.annotations)
    marks = tuple(replace(mark, crowd=True) for mark in changed.annotations)
    samples = tuple(replace(s, annotations=marks) if s is changed else s for s in tests)
    inspector = open_inspector(tiny_bundle, device="cpu")
    whole = evaluate_samples(inspector, tests, Reporter(quiet=True))
    in_crowd = 0
    crowded = evaluate_samples(inspector, replace(tests, samples=samples), Reporter(quiet=True))
    for before, after in zip(whole.records, crowded.records, strict=True):
        assert before.pixels is not None and after.pixels is not None
        if before.sample.id == changed.id:
            assert is_defective(after) and not after.truth and len(after.ignored) == len(before.truth)
            marked = before.pixels.tp + before.pixels.fn
            assert after.pixels.tp == after.pixels.fn == 0
            assert before.pixels.tn == after.pixels.tn and before.pixels.fp == after.pixels.fp
            assert sum(asdict(before.pixels).values()) - sum(asdict(after.pixels).values()) == marked
            in_crowd = len(after.ignored)
        else:
            assert asdict(before.pixels) == asdict(after.pixels)
    ours, theirs = (each.result(method="m", split="test", seed=0).metrics for each in (crowded, whole))
    assert ours["image"] == theirs["image"], "a part with a crowd of defects is defective"
    assert ours["ignored"] == {"crowd": in_crowd, "difficult": 0, "doubtful_images": 0}
    assert ours["defect"]["truth"] == theirs["defect"]["truth"] - in_crowd
