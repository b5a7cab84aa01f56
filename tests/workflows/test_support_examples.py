from __future__ import annotations

from pathlib import Path

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.workflows.support_examples import read_examples, training_set


def test_examples_are_those_of_the_name_and_of_train(tiny_dataset: Dataset) -> None:
    found = read_examples(tiny_dataset.root, "spot")
    training = tiny_dataset.split("train")
    assert len(found.boxes) == sum(a.label == "spot" for s in training for a in s.annotations)
    assert {one.image for one in found.boxes} <= {sample.id for sample in training}
    assert any("all are used" in note for note in found.notes) == (len(found.boxes) > 10)


def test_a_training_set_has_no_other_box_of_the_class(tiny_dataset: Dataset, examples: Path) -> None:
    found = read_examples(examples, "spot")
    merged = training_set(tiny_dataset, found, "spot")
    marked = [s.id for s in merged.split("train") if any(a.label == "spot" for a in s.annotations)]
    assert sorted(marked) == sorted(f"examples/{sample.id}" for sample in found.samples)
    assert merged.split("test").samples == tiny_dataset.split("test").samples


def test_examples_of_a_dataset_with_one_class_bear_its_new_name(examples: Path) -> None:
    assert load_dataset(examples).class_names == ("thing",)
    assert {a.label for s in read_examples(examples, "fray").samples for a in s.annotations} == {"fray"}
    assert read_examples(examples, "fray").notes == (
        f"'thing', the only class marked in {examples}, is taken for 'fray'.",
    )
    assert read_examples(examples, "thing").notes == ()
