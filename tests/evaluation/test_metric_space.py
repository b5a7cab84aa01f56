"""The metric space as a table and an image, on regions laid out by hand."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.metric_space import (
    EmbeddedRegion,
    MetricSpace,
    metric_space,
    overlap_sentences,
    principal_axes,
    regions_of,
    table,
    write_space,
)
from blemish.evaluation.projector import HEIGHT, WIDTH, draw_space, write_projector
from blemish.images.palette import ON_PAPER, class_colours
from blemish.inspection import Inspection
from blemish.methods.capabilities import Embedded
from blemish.progress import Reporter

BOX, OTHER = (0.0, 0.0, 10.0, 10.0), (20.0, 20.0, 30.0, 30.0)
PROTOTYPES = np.array([[1, 0, 0], [0, 1, 0]], np.float32)


def region(label: str, kind: str = "true") -> EmbeddedRegion:
    return EmbeddedRegion(f"{label}#{kind}", "a.png", kind, label, BOX, None if kind == "true" else 0.75)


def space(points: list[list[float]], regions: list[EmbeddedRegion]) -> MetricSpace:
    own = np.array(points, np.float32)
    distances = np.square(own[:, None] - PROTOTYPES).sum(-1)
    return MetricSpace(("dent", "spot"), tuple(regions), own, own, distances, PROTOTYPES)


MIXED = space(
    [[0.9, 0.1, 0], [0.2, 0.8, 0], [0, 0.9, 0.1], [0, 1, 0.2]],
    [region("dent"), region("dent"), region("spot"), region("dent", "false")],
)


def test_overlap_counts_true_regions_nearer_to_another_prototype() -> None:
    (sentence,) = overlap_sentences(MIXED)
    assert sentence.startswith("'dent' overlaps 'spot': 1 of 2 regions (50%)")


def test_classes_apart_are_said_to_be() -> None:
    assert overlap_sentences(space([[1, 0, 0]], [region("dent")])) == [
        "No two classes overlap: every region lies nearest to the prototype of its own class."
    ]


def test_axes_are_those_of_a_reference() -> None:
    points = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32) * [5, 1, 3, 0.2, 0.1]
    centre, axes, share = principal_axes(points.astype(np.float32))
    reference = PCA(2).fit(points)
    ours, theirs = (points - centre) @ axes.T, reference.transform(points)
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-4)
    assert share == pytest.approx(reference.explained_variance_ratio_.sum(), abs=1e-5)
    np.testing.assert_allclose(axes[np.arange(2), np.abs(axes).argmax(1)], np.abs(axes).max(1))


def test_one_point_has_axes_too() -> None:
    centre, axes, share = principal_axes(np.ones((1, 3), np.float32))
    assert axes.shape == (2, 3)
    assert np.isfinite(centre).all() and np.isfinite(share)


def test_the_table_names_the_nearest_class() -> None:
    rows = list(csv.DictReader(io.StringIO(table(MIXED))))
    assert [row["nearest"] for row in rows] == ["dent", "spot", "spot", "spot"]
    assert [row["kind"] for row in rows] == ["true", "true", "true", "false"]
    assert rows[0]["confidence"] == "" and rows[3]["confidence"] == "0.7500"
    assert float(rows[1]["distance spot"]) == pytest.approx(0.2**2 + 0.2**2)


def test_no_name_in_the_table_is_run_as_a_formula() -> None:
    odd = EmbeddedRegion("=1+1.png#0", "@a.png", "true", "-dent", BOX)
    (row,) = csv.DictReader(io.StringIO(table(space([[1, 0, 0]], [odd]))))
    assert (row["id"], row["image"], row["class"]) == ("'=1+1.png#0", "'@a.png", "'-dent")


def test_vectors_are_in_the_order_of_the_table(tmp_path: Path) -> None:
    write_space(tmp_path, MIXED)
    with np.load(tmp_path / "embeddings.npz") as stored:
        np.testing.assert_array_equal(stored["own"], MIXED.own)
        assert stored["class_names"].tolist() == ["dent", "spot"]
    assert (tmp_path / "embeddings.csv").read_text(encoding="utf-8") == table(MIXED)


def test_the_picture_shows_each_class_in_its_colour(tmp_path: Path) -> None:
    write_projector(tmp_path / "space.png", MIXED, title="a title")
    image = cv2.cvtColor(cv2.imread(str(tmp_path / "space.png")), cv2.COLOR_BGR2RGB)
    assert image.shape == (HEIGHT, WIDTH, 3)
    for colour in ON_PAPER[:2]:
        assert (image == colour).all(-1).sum() > 300, "prototype, regions and key"
    assert not (image == ON_PAPER[2]).all(-1).any()


def test_what_lies_apart_is_drawn_apart() -> None:
    apart = space([[1, 0, 0], [0, 1, 0]], [region("dent"), region("spot")])
    plot = draw_space(apart)[60 : HEIGHT - 70, 60 : WIDTH - 320]
    centres = [np.argwhere((plot == colour).all(-1)).mean(0) for colour in ON_PAPER[:2]]
    assert np.hypot(*(centres[0] - centres[1])) > 400


def test_many_classes_have_many_colours() -> None:
    assert len(set(class_colours(20, ON_PAPER))) == 20


class Flat:
    """Embeds a box by its left edge."""

    prototypes = PROTOTYPES

    def embed(self, pixels: Any, boxes: NDArray[np.float32]) -> Embedded:
        per_class = np.zeros((len(boxes), 2, 3), np.float32)
        per_class[:, 0, 0], per_class[:, 1, 1] = boxes[:, 0], -boxes[:, 0]
        return Embedded(per_class, np.zeros((len(boxes), 3), np.float32))


class Finder:
    """An inspector that finds the same in every image."""

    bits = None

    class inference:  # noqa: N801
        channels = 3

    def __init__(self, inspection: Inspection) -> None:
        self.inspection = inspection

    def judge(self, pixels: Any, name: str) -> Inspection:
        return self.inspection


def dataset(tmp_path: Path, *labels: str) -> Dataset:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 40, 3), np.uint8))
    annotations = tuple(Annotation(label, box_xyxy=BOX) for label in labels)
    return Dataset(tmp_path, (Sample(tmp_path / "a.png", "a.png", annotations),), ("dent", "spot"))


def test_a_region_is_embedded_under_its_own_class(
    tmp_path: Path, inspected: Callable[..., Inspection], found_defect: Any
) -> None:
    finder: Any = Finder(inspected([found_defect("spot", OTHER, confidence=0.6)]))
    found = metric_space(finder, Flat(), ("dent", "spot"), dataset(tmp_path, "dent"), Reporter(quiet=True))
    assert [(each.kind, each.label) for each in found.regions] == [("true", "dent"), ("false", "spot")]
    np.testing.assert_allclose(found.own, [[0, 0, 0], [0, -20, 0]])
    np.testing.assert_allclose(found.squared_distances[1], [19**2, 21**2])


def test_nothing_to_embed_is_one_line(tmp_path: Path, inspected: Callable[..., Inspection]) -> None:
    finder: Any = Finder(inspected([]))
    with pytest.raises(BlemishError, match="no defect of dent, spot is marked or found"):
        metric_space(finder, Flat(), ("dent", "spot"), dataset(tmp_path), Reporter(quiet=True))


def test_a_detection_of_the_right_class_is_no_false_one(found_defect: Any) -> None:
    sample = Sample(Path("a.png"), "a.png", (Annotation("dent", box_xyxy=BOX), Annotation("else", BOX)))
    found = [found_defect("dent", BOX), found_defect("spot", BOX), found_defect("dent", BOX)]
    regions = regions_of(sample, (40, 40), found, ("dent", "spot"))
    assert [(each.id, each.kind, each.label) for each in regions] == [
        ("a.png#0", "true", "dent"),
        ("a.png!1", "false", "spot"),
        ("a.png!2", "false", "dent"),
    ]
