"""Support sets: nested, seeded, independent of each other, and files that refuse other data."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import builders
import pytest

from blemish.dataset.boxes import Boxed
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.splits.support_sets import (
    SupportSet,
    load_support_set,
    sample_support_set,
    save_support_set,
)
from blemish.errors import BlemishError

DATASET = Dataset(Path("data"), (), ("dent", "scratch", "spot"))
BOXES = [
    Boxed(label, (0, 0, 4, 4), f"{label}{number}.png#0")
    for label, count in (("dent", 30), ("scratch", 3), ("spot", 12))
    for number in range(count)
]


def support_set(shots: int, seed: int = 0, classes: tuple[str, ...] = ("dent", "spot")) -> SupportSet:
    return sample_support_set(DATASET, classes, shots, seed, boxes=BOXES, data_fingerprint="f" * 64)


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
            builders.write_image(tmp_path / f"{name}.png"),
            f"{name}.png",
            marked,
            split="test" if name == "c" else "train",
        )
        for name, marked in marks.items()
    )
    return Dataset(tmp_path, samples, ("dent", "spot"))


def test_support_sets_of_one_seed_contain_each_other() -> None:
    sets = [support_set(shots) for shots in (1, 3, 5, 10)]
    for fewer, more in pairwise(sets):
        for name in fewer.classes:
            assert more.classes[name][: fewer.shots] == fewer.classes[name]
    assert [len(each.classes["dent"]) for each in sets] == [1, 3, 5, 10]


def test_a_support_set_holds_different_boxes_of_the_class() -> None:
    for name, ids in support_set(10).classes.items():
        assert len(set(ids)) == 10
        assert all(id.startswith(name) for id in ids)


def test_seeds_differ_and_cover_every_box() -> None:
    seen = {id for seed in range(60) for id in support_set(5, seed).classes["dent"]}
    assert len(seen) == 30
    assert support_set(5, 1) == support_set(5, 1) != support_set(5, 2)


def test_neither_the_order_of_boxes_nor_other_classes_matter() -> None:
    turned = sample_support_set(DATASET, ("spot",), 5, 0, boxes=BOXES[::-1], data_fingerprint="f" * 64)
    assert turned.classes["spot"] == support_set(5).classes["spot"]


def test_a_class_with_fewer_examples_gives_what_there_is_and_says_so() -> None:
    few = support_set(5, classes=("dent", "scratch"))
    assert len(few.classes["scratch"]) == 3
    assert few.notes == ("class 'scratch': 3 examples for 5 shots",)
    assert support_set(3, classes=("dent", "scratch")).notes == ()


def test_digest_is_the_hash_of_canonical_json() -> None:
    each = SupportSet("ab", 2, 1, {"b": ("x#0",), "a": ("y#1",)})
    text = '{"classes":{"a":["y#1"],"b":["x#0"]},"dataset_fingerprint":"ab","schema":1,"seed":2,"shots":1}'
    assert each.digest == hashlib.sha256(text.encode()).hexdigest()
    assert replace(each, classes={"a": ("y#1",), "b": ("x#0",)}).digest == each.digest
    assert replace(each, classes={"a": ("y#1",), "b": ("x#1",)}).digest != each.digest


def test_only_training_boxes_are_sampled_and_a_file_reads_back(on_disk: Dataset) -> None:
    sampled = sample_support_set(on_disk, ("dent", "spot"), 2, 0)
    assert sampled.ids == {"a.png#0", "a.png#1", "b.png#0"}
    save_support_set(sampled, on_disk.root / "support_set.json")
    read = load_support_set(on_disk.root / "support_set.json", on_disk)
    assert (read, read.digest) == (sampled, sampled.digest)


def test_other_data_is_refused(on_disk: Dataset) -> None:
    save_support_set(sample_support_set(on_disk, ("dent",), 1, 0), path := on_disk.root / "support_set.json")
    builders.write_image(on_disk.root / "a.png")
    with pytest.raises(
        BlemishError,
        match=r"\.json must be a support set of .* Received: one of other data.*Sample it again",
    ):
        load_support_set(path, on_disk)


@pytest.mark.parametrize("name", ["a.png#7", "a.png#1", "c.png#0"])
def test_a_box_that_is_not_there_of_another_class_or_of_test_is_refused(on_disk: Dataset, name: str) -> None:
    sampled = sample_support_set(on_disk, ("dent",), 1, 0)
    save_support_set(replace(sampled, classes={"dent": (name,)}), path := on_disk.root / "support_set.json")
    with pytest.raises(
        BlemishError, match=rf"support_set\.json must name boxes .* Received: '{name}' for class 'dent'"
    ) as caught:
        load_support_set(path, on_disk)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", ["[]", '{"schema": 1}', '{"schema": 2}', "null", '{"schema": 1, "classes": 3}']
)
def test_what_is_no_support_set_is_refused(tmp_path: Path, content: str) -> None:
    path = builders.text(tmp_path / "support_set.json", content)
    with pytest.raises(BlemishError, match=r"support_set\.json must be a support set, schema 1. Received: "):
        load_support_set(path, DATASET, boxes=BOXES, data_fingerprint="f" * 64)
    with pytest.raises(BlemishError, match="no such file"):
        load_support_set(tmp_path / "none.json", DATASET, boxes=BOXES, data_fingerprint="f" * 64)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = builders.text(tmp_path / "support_set.json", json.dumps({**support_set(5).to_json(), "schema": 2}))
    with pytest.raises(BlemishError, match="schema 1"):
        load_support_set(path, DATASET, boxes=BOXES, data_fingerprint="f" * 64)


def test_a_class_without_boxes_and_no_shots_are_refused() -> None:
    with pytest.raises(BlemishError, match=r"Received: 'scrach', which has none\. Did you mean 'scratch'\?"):
        support_set(5, classes=("scrach",))
    with pytest.raises(BlemishError, match=r"shots must be at least 1\. Received: 0"):
        support_set(0)


def test_neu_det_gives_five_of_each_class(data_root: Path) -> None:
    dataset = load_dataset(data_root / "neu-det")
    sampled = sample_support_set(dataset, dataset.class_names, 5, 0, data_fingerprint="-")
    sample_of = {sample.id: sample for sample in dataset}
    for name, ids in sampled.classes.items():
        assert len(ids) == 5
        for id in ids:
            image, _, number = id.rpartition("#")
            assert sample_of[image].split == "train"
            assert sample_of[image].annotations[int(number)].label == name
