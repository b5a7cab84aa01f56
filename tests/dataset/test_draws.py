"""Support draws: nested, seeded, independent of each other, and files that refuse other data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import builders
import pytest

from blemish.dataset.boxes import Boxed
from blemish.dataset.draws import Draw, draw_supports, read_draw, write_draw
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError

DATASET = Dataset(Path("data"), (), ("dent", "scratch", "spot"))
BOXES = [
    Boxed(label, (0, 0, 4, 4), f"{label}{number}.png#0")
    for label, count in (("dent", 30), ("scratch", 3), ("spot", 12))
    for number in range(count)
]


def draw(shots: int, seed: int = 0, classes: tuple[str, ...] = ("dent", "spot")) -> Draw:
    return draw_supports(DATASET, classes, shots, seed, boxes=BOXES, data_fingerprint="f" * 64)


@pytest.fixture
def on_disk(tmp_path: Path) -> Dataset:
    """Two training images with three boxes and one test image, with files."""
    marks = {
        "a": (Annotation("dent", (1, 1, 5, 5)), Annotation("spot", (8, 8, 12, 12))),
        "b": (Annotation("dent", (2, 2, 9, 9)),),
        "c": (Annotation("dent", (3, 3, 9, 9)),),
    }
    samples = tuple(
        Sample(
            builders.picture(tmp_path / f"{name}.png"),
            f"{name}.png",
            marked,
            split="test" if name == "c" else "train",
        )
        for name, marked in marks.items()
    )
    return Dataset(tmp_path, samples, ("dent", "spot"))


def test_draws_of_one_seed_contain_each_other() -> None:
    draws = [draw(shots) for shots in (1, 3, 5, 10)]
    for fewer, more in pairwise(draws):
        for name in fewer.classes:
            assert more.classes[name][: fewer.shots] == fewer.classes[name]
    assert [len(one.classes["dent"]) for one in draws] == [1, 3, 5, 10]


def test_a_draw_holds_different_boxes_of_the_class() -> None:
    for name, ids in draw(10).classes.items():
        assert len(set(ids)) == 10
        assert all(id.startswith(name) for id in ids)


def test_seeds_differ_and_cover_every_box() -> None:
    seen = {id for seed in range(60) for id in draw(5, seed).classes["dent"]}
    assert len(seen) == 30
    assert draw(5, 1) == draw(5, 1) != draw(5, 2)


def test_neither_the_order_of_boxes_nor_other_classes_matter() -> None:
    turned = draw_supports(DATASET, ("spot",), 5, 0, boxes=BOXES[::-1], data_fingerprint="f" * 64)
    assert turned.classes["spot"] == draw(5).classes["spot"]


def test_a_class_with_fewer_examples_gives_what_there_is_and_says_so() -> None:
    few = draw(5, classes=("dent", "scratch"))
    assert len(few.classes["scratch"]) == 3
    assert few.notes == ("class 'scratch': 3 examples for 5 shots",)
    assert draw(3, classes=("dent", "scratch")).notes == ()


def test_digest_is_the_hash_of_canonical_json() -> None:
    one = Draw("ab", 2, 1, {"b": ("x#0",), "a": ("y#1",)})
    text = '{"classes":{"a":["y#1"],"b":["x#0"]},"dataset_fingerprint":"ab","schema":1,"seed":2,"shots":1}'
    assert one.digest == hashlib.sha256(text.encode()).hexdigest()
    assert replace(one, classes={"a": ("y#1",), "b": ("x#0",)}).digest == one.digest
    assert replace(one, classes={"a": ("y#1",), "b": ("x#1",)}).digest != one.digest


def test_only_training_boxes_are_drawn_and_a_file_reads_back(on_disk: Dataset) -> None:
    drawn = draw_supports(on_disk, ("dent", "spot"), 2, 0)
    assert drawn.ids == {"a.png#0", "a.png#1", "b.png#0"}
    write_draw(drawn, on_disk.root / "draw.json")
    read = read_draw(on_disk.root / "draw.json", on_disk)
    assert (read, read.digest) == (drawn, drawn.digest)


def test_other_data_is_refused(on_disk: Dataset) -> None:
    write_draw(draw_supports(on_disk, ("dent",), 1, 0), path := on_disk.root / "draw.json")
    builders.picture(on_disk.root / "a.png")
    with pytest.raises(
        BlemishError, match=r"draw\.json must be a draw of .* Received: one of other data.*Draw again"
    ):
        read_draw(path, on_disk)


@pytest.mark.parametrize("name", ["a.png#7", "a.png#1", "c.png#0"])
def test_a_box_that_is_not_there_of_another_class_or_of_test_is_refused(on_disk: Dataset, name: str) -> None:
    drawn = draw_supports(on_disk, ("dent",), 1, 0)
    write_draw(replace(drawn, classes={"dent": (name,)}), path := on_disk.root / "draw.json")
    with pytest.raises(
        BlemishError, match=rf"draw\.json must name boxes .* Received: '{name}' for class 'dent'"
    ) as caught:
        read_draw(path, on_disk)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"schema": 1}', '{"schema": 2}', "null", '{"schema": 1, "classes": 3}']
)
def test_what_is_no_draw_is_refused(tmp_path: Path, content: str) -> None:
    path = builders.text(tmp_path / "draw.json", content)
    with pytest.raises(BlemishError, match=r"draw\.json must be a draw of supports, schema 1. Received: "):
        read_draw(path, DATASET, boxes=BOXES, data_fingerprint="f" * 64)
    with pytest.raises(BlemishError, match="No such file"):
        read_draw(tmp_path / "none.json", DATASET, boxes=BOXES, data_fingerprint="f" * 64)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = builders.text(tmp_path / "draw.json", json.dumps({**draw(5).to_json(), "schema": 2}))
    with pytest.raises(BlemishError, match="schema 1"):
        read_draw(path, DATASET, boxes=BOXES, data_fingerprint="f" * 64)


def test_a_class_without_boxes_and_no_shots_are_refused() -> None:
    with pytest.raises(BlemishError, match=r"Received: 'scrach', which has none\. Did you mean 'scratch'\?"):
        draw(5, classes=("scrach",))
    with pytest.raises(BlemishError, match=r"shots must be at least 1\. Received: 0"):
        draw(0)


def test_neu_det_draws_five_of_each_class(data_root: Path) -> None:
    dataset = load_dataset(data_root / "neu-det")
    drawn = draw_supports(dataset, dataset.class_names, 5, 0, data_fingerprint="-")
    sample_of = {sample.id: sample for sample in dataset}
    for name, ids in drawn.classes.items():
        assert len(ids) == 5
        for id in ids:
            image, _, number = id.rpartition("#")
            assert sample_of[image].split == "train"
            assert sample_of[image].annotations[int(number)].label == name
