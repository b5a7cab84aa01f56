"""Two label sets of equal images whose differences are known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset
from blemish.errors import BlemishError
from blemish.evaluation.annotators.raters import matched, rated
from blemish.evaluation.annotators.study import Study, study
from blemish.inspection import Inspection, Verdict
from blemish.regions.filled_boxes import defect_of_box
from blemish.workflows.annotator_agreement import compare_annotators, notes_on

Boxes = dict[str, list[tuple[str, tuple[int, int, int, int]]]]
CLASSES = {1: "dent", 2: "scratch"}
FIRST: Boxes = {
    "a": [("dent", (2, 2, 10, 10))],
    "b": [("dent", (2, 2, 10, 10)), ("scratch", (15, 2, 8, 4))],
    "c": [],
    "d": [("scratch", (5, 5, 10, 4))],
    "e": [],
    "f": [("dent", (1, 1, 6, 6))],
}
# a: half as high; b: a place less of a kind and another more; c: a mark more; d: another kind.
SECOND: Boxes = {
    **FIRST,
    "a": [("dent", (2, 2, 10, 5))],
    "b": [("dent", (2, 2, 10, 10)), ("scratch", (15, 12, 8, 4))],
    "c": [("dent", (3, 3, 4, 4))],
    "d": [("dent", (5, 5, 10, 4))],
}


def labelled(root: Path, boxes: Boxes, *, rename: str = "") -> Path:
    """COCO boxes on images that depend on their letter alone."""
    images, rows = [], []
    number_of = {name: number for number, name in CLASSES.items()}
    for number, (name, marks) in enumerate(boxes.items()):
        pixels = np.random.default_rng(ord(name)).integers(0, 256, (20, 30), dtype=np.uint8)
        root.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / f"{rename}{name}.png"), pixels)
        images.append({"id": number, "file_name": f"{rename}{name}.png"})
        rows += [
            {"id": 10 * number + i, "image_id": number, "category_id": number_of[label], "bbox": list(place)}
            for i, (label, place) in enumerate(marks)
        ]
    categories = [{"id": number, "name": name} for number, name in CLASSES.items()]
    content = {"images": images, "annotations": rows, "categories": categories}
    (root / "labels.json").write_text(json.dumps(content))
    return root


def studied(one: Path, other: Path) -> Study:
    pairs, alone = matched(load_dataset(one), load_dataset(other))
    return study(list(rated(pairs)), first="A", second="B", alone=alone)


@pytest.fixture
def raters(tmp_path: Path) -> tuple[Path, Path]:
    return labelled(tmp_path / "anna", FIRST), labelled(tmp_path / "bert", SECOND)


def test_every_level_by_hand(raters: tuple[Path, Path]) -> None:
    found = studied(*raters)
    assert (found.images, found.alone) == (6, 0)
    assert found.verdict.counts.tolist() == [[1, 1], [0, 4]]
    assert found.verdict.kappa.agreed.n == 5
    table = found.classes.to_json()["table"]
    assert table["scratch"]["dent"] == 1 and table["clean"]["dent"] == 1 and table["dent"]["dent"] == 2
    assert table["dent and scratch"]["dent and scratch"] == 1
    assert found.kinds["scratch"].agreed.n == 5 and found.kinds["dent"].agreed.n == 4
    assert found.places is not None
    # In common: a, b's dent, d, f; else b's two scratches and c's dent.
    assert (found.places.met.n, found.places.met.of) == (4, 7)
    assert sorted(found.places.iou) == pytest.approx([0.5, 1, 1, 1])
    assert (found.places.same_kind.n, found.places.same_kind.of) == (3, 4)
    assert not found.places.by_pixels
    assert found.to_json()["places"]["table"] == {
        "dent": {"dent": 3, "scratch": 0, "not marked": 0},
        "scratch": {"dent": 1, "scratch": 0, "not marked": 1},
        "not marked": {"dent": 1, "scratch": 1, "not marked": 0},
    }


def test_where_they_differ_is_listed_verdicts_first(raters: tuple[Path, Path]) -> None:
    text = [(each.image.sample.id, each.sentence) for each in studied(*raters).differences]
    assert text == [
        ("c.png", "A: clean; B: dent."),
        ("d.png", "A: scratch; B: dent."),
        ("b.png", "1 place in common; 1 marked by A only, 1 by B only."),
    ]


def test_pictures_are_matched_by_content_where_names_differ(tmp_path: Path) -> None:
    first, second = labelled(tmp_path / "one", FIRST), labelled(tmp_path / "two", SECOND, rename="x_")
    (second / "x_f.png").unlink()
    content = json.loads((second / "labels.json").read_text())
    content["images"] = content["images"][:-1]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] != 5]
    (second / "labels.json").write_text(json.dumps(content))
    found = studied(first, second)
    assert (found.images, found.alone) == (5, 1)
    assert [first.image.sample.id for first in found.differences] == ["c.png", "d.png", "b.png"]


def test_outlines_are_compared_by_their_pixels(tmp_path: Path) -> None:
    """Masks of an upper and a lower triangle share a box, and the diagonal."""
    for rater, mask in (("one", np.tri(12, dtype=bool)), ("two", np.tri(12, dtype=bool).T)):
        folder = tmp_path / rater / "MT_Dent"
        folder.mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 256, (20, 20), dtype=np.uint8)
        cv2.imwrite(str(folder / "a.jpg"), pixels)
        truth = np.zeros((20, 20), np.uint8)
        truth[4:16, 4:16] = 255 * mask
        cv2.imwrite(str(folder / "a.png"), truth)
    found = studied(tmp_path / "one", tmp_path / "two")
    assert found.places is not None and found.places.by_pixels
    assert found.places.iou == (), "12 of 144 pixels are below the least overlap"
    shutil.copy(tmp_path / "one" / "MT_Dent" / "a.png", tmp_path / "two" / "MT_Dent" / "a.png")
    assert studied(tmp_path / "one", tmp_path / "two").places.iou == (1.0,)  # type: ignore[union-attr]


def test_three_raters_give_three_studies_and_a_report(raters: tuple[Path, Path], tmp_path: Path) -> None:
    lines = [
        {
            "image": f"{name}.png",
            "size": [20, 30],
            "verdict": "NG" if marks else "OK",
            "score": 0.9 if marks else 0.1,
            "defects": [machine_defect(label, *place) for label, place in marks],
            "bundle": "b",
            "timings_ms": {},
            "error": None,
        }
        for name, marks in FIRST.items()
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    result = compare_annotators([*raters, tmp_path / "m.jsonl"], tmp_path / "out")
    assert (result.studies[1].second, result.studies[1].images) == ("m.jsonl", 6)
    assert result.report == tmp_path / "out" / "report.html"
    told_json = json.loads((tmp_path / "out" / "agreement.json").read_text())
    first, machine, other = told_json["studies"]
    assert machine["raters"] == ["anna", "m.jsonl"] and machine["differences"] == []
    assert machine["verdict"]["agreed"]["n"] == 6 and machine["places"]["places_of_both"]["n"] == 5
    assert [each["image"] for each in first["differences"]] == ["c.png", "d.png", "b.png"]
    assert len(other["differences"]) == 3
    page = (tmp_path / "out" / "report.html").read_text()
    assert "anna: clean; bert: dent." in page and page.count("<figure") == 6
    assert "Nowhere." in page


def machine_defect(label: str, x: int, y: int, w: int, h: int) -> dict[str, Any]:

    return defect_of_box((x, y, x + w, y + h), label, 0.9).to_json()


def test_what_cannot_be_compared_is_one_line(raters: tuple[Path, Path], tmp_path: Path) -> None:
    strange = labelled(tmp_path / "strange", {"q": [], "r": [("dent", (1, 1, 4, 4))]})
    with pytest.raises(BlemishError, match=r"must rate the same images\. Received: none in common"):
        compare_annotators([raters[0], strange], None)
    (tmp_path / "m.jsonl").write_text("")
    with pytest.raises(BlemishError, match="The first rater must be a dataset"):
        compare_annotators([tmp_path / "m.jsonl", raters[0]], None)
    with pytest.raises(BlemishError, match="must rate the same images"):
        compare_annotators([raters[0], tmp_path / "m.jsonl"], tmp_path / "out")
    cv2.imwrite(str(raters[1] / "a.png"), np.zeros((9, 9), np.uint8))
    with pytest.raises(BlemishError, match=r"a.png must be the same image as .*Received: 9×9 for 30×20"):
        compare_annotators(list(raters), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_other_pictures_of_the_same_names_are_not_compared(tmp_path: Path) -> None:
    first, second = labelled(tmp_path / "one", FIRST), labelled(tmp_path / "two", SECOND)
    for name in "ab":
        strange = np.random.default_rng(100 + ord(name)).integers(0, 256, (20, 30), dtype=np.uint8)
        cv2.imwrite(str(second / f"{name}.png"), strange)
    brighter = cv2.imread(str(first / "d.png"), cv2.IMREAD_GRAYSCALE) // 2 + 60
    cv2.imwrite(str(second / "d.png"), brighter.astype(np.uint8))
    found = studied(first, second)
    assert (found.images, found.alone) == (4, 4), "d is stored again, a and b show something else"
    (study,) = compare_annotators([first, second], None).studies
    assert (study.images, study.alone) == (4, 4)
    for name in "cdef":
        strange = np.random.default_rng(100 + ord(name)).integers(0, 256, (20, 30), dtype=np.uint8)
        cv2.imwrite(str(second / f"{name}.png"), strange)
    with pytest.raises(BlemishError, match="none in common, by path or content"):
        compare_annotators([first, second], None)


def test_a_machine_without_names_is_not_asked_for_kinds(tmp_path: Path) -> None:
    each = labelled(tmp_path / "one", FIRST)
    lines = []
    for name, marks in FIRST.items():
        corners = [(x, y, x + w, y + h) for _, (x, y, w, h) in marks]
        defects = tuple(defect_of_box(box, "defect", 0.9) for box in corners)
        verdict = Verdict.NG if marks else Verdict.OK
        lines.append(json.dumps(Inspection(f"{name}.png", (20, 30), verdict, 0.5, defects, "m").to_json()))
    file = tmp_path / "machine.jsonl"
    file.write_text("\n".join(lines))
    (study,) = compare_annotators([each, file], tmp_path / "out").studies
    assert (study.verdict.kappa.agreed.n, study.verdict.kappa.agreed.of) == (6, 6)
    assert (study.classes.kappa.agreed.n, study.classes.kappa.agreed.of) == (6, 6)
    assert study.differences == ()
    (found,) = json.loads((tmp_path / "out" / "agreement.json").read_text())["studies"]
    assert list(found["each_class"]) == ["defective"]


def marked(root: Path, name: str, *annotations: Annotation) -> Dataset:
    """A label set of the images of `FIRST` with other marks on one of them."""
    dataset = load_dataset(labelled(root, FIRST))
    samples = (replace(s, annotations=annotations) if s.id == f"{name}.png" else s for s in dataset)
    return replace(dataset, samples=tuple(samples))


def test_places_are_not_compared_where_a_rater_marked_a_crowd(tmp_path: Path) -> None:
    crowd = Annotation("dent", (0.0, 0.0, 30.0, 20.0), crowd=True)
    first, second = load_dataset(labelled(tmp_path / "a", FIRST)), marked(tmp_path / "b", "a", crowd)
    pairs, _ = matched(first, second)
    found = study(list(rated(pairs)), first="A", second="B")
    assert found.verdict.kappa.agreed.n == found.classes.kappa.agreed.n == 6, "a crowd of dents is dented"
    assert found.places is not None
    assert (found.places.met.n, found.places.met.of) == (4, 4), "of b, d and f; a is not compared"
    assert found.differences == ()
    (note,) = notes_on(second)
    assert "1 crowd region in 1 image are ignored" in note


def test_an_image_of_difficult_defects_alone_is_not_compared(tmp_path: Path) -> None:
    difficult = Annotation("dent", (2.0, 2.0, 12.0, 12.0), difficult=True)
    first, second = load_dataset(labelled(tmp_path / "a", FIRST)), marked(tmp_path / "b", "a", difficult)
    pairs, _ = matched(first, second)
    assert [image.sample.id for image in rated(pairs)] == [f"{name}.png" for name in "bcdef"]


def test_a_mark_given_twice_is_one_mark(tmp_path: Path) -> None:
    box = Annotation("dent", (2.0, 2.0, 12.0, 12.0))
    first, second = load_dataset(labelled(tmp_path / "a", FIRST)), marked(tmp_path / "b", "a", box, box)
    assert study(list(rated(matched(first, second)[0])), first="A", second="B").differences == ()
