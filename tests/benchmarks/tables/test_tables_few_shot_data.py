from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.tables.data import few_shot_dataset, merged, with_few, with_test
from benchmarks.tables.schema import Experiment, SplitShares
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.splits.split import split_dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.progress import Reporter

RARE = ("stain",)


def experiment(**changes: Any) -> Experiment:
    fields = {
        "title": "t", "paper": "p", "dataset": "d", "method": "tlsdd", "classes": {"rare": ["stain"]},
        "rows": [{"name": "row", "kind": "few-shot"}], "columns": [{"path": "x", "heading": "x"}],
    }  # fmt: skip
    return Experiment.model_validate({**fields, **changes})


def marked(id: str, *labels: str, split: str | None = "train", group: str | None = None) -> Sample:
    boxes = tuple(Annotation(label, box_xyxy=(0, 0, 4, 4)) for label in labels)
    return Sample(Path(id), id, boxes, split=split, group=group)


def of(*samples: Sample) -> Dataset:
    names = dict.fromkeys(one.label for sample in samples for one in sample.annotations)
    return Dataset(Path("root"), samples, tuple(names))


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    weights = {"scratch": 2, "stain": 1}
    made = synthesise(
        tmp_path_factory.mktemp("plates") / "data", images=30, seed=1, size=(64, 64), class_weights=weights
    )
    return made.with_splits({})


def test_data_without_splits_is_split_the_same_way_twice_and_by_reference(
    plates: Dataset, tmp_path: Path
) -> None:
    made, again = (
        few_shot_dataset(plates, experiment(), tmp_path / name, Reporter(quiet=True)) for name in ("a", "b")
    )
    assert made == again
    assert made.splits == {"test": 9, "train": 18, "val": 3}
    there = load_dataset(tmp_path / "a" / "split")
    assert {sample.id: sample.split for sample in there} == {sample.id: sample.split for sample in made}


def test_splits_of_the_data_stay(plates: Dataset, tmp_path: Path) -> None:
    own = plates.with_splits({sample.id: ("train", "val", "test")[i % 3] for i, sample in enumerate(plates)})
    assert few_shot_dataset(own, experiment(), tmp_path, Reporter(quiet=True)) == own
    assert not list(tmp_path.iterdir())


def test_a_table_that_says_by_what_splits_anew(plates: Dataset) -> None:
    own = plates.with_splits({sample.id: ("train", "val", "test")[i % 3] for i, sample in enumerate(plates)})
    assert with_test(own, SplitShares()) == own
    anew = with_test(own, SplitShares(by="looks", test=0.4, seed=3))
    assert anew == split_dataset(plates, test=0.4, val=0.1, by="looks", seed=3) != own


def test_few_training_images_of_a_rare_class_stay_and_all_others() -> None:
    samples = [marked(f"r{i}", "stain") for i in range(9)] + [
        marked(f"b{i}", "stain", "spot") for i in range(3)
    ]
    samples += [marked("c", "spot"), marked("clean"), marked("t", "stain", split="test")]
    few = with_few(of(*samples), RARE, 4, seed=0)
    split_of = {sample.id: sample.split for sample in few}
    assert sum(split_of[name] == "train" for name in split_of if name[0] in "rb") == 4
    assert (split_of["c"], split_of["clean"], split_of["t"]) == ("train", "train", "test")
    fewer = with_few(of(*samples), RARE, 2, seed=0)
    kept = {sample.id for sample in fewer.split("train")}
    assert kept < {sample.id for sample in few.split("train")}
    assert {sample.id for sample in with_few(of(*samples), RARE, 4, seed=1).split("train")} != {
        sample.id for sample in few.split("train")
    }


def test_merged_data_keep_apart_what_has_the_same_name() -> None:
    first = of(marked("1.png", "crack"), marked("2.png", "crack", split="test", group="lot"))
    other = of(marked("1.png", "crack", "dent"), marked("2.png", "dent", split="test"))
    both = merged({"a": first, "b": other}, SplitShares())
    assert both.class_names == ("a/crack", "b/crack", "b/dent")
    assert [(one.id, one.split, one.group) for one in both] == [
        ("a/1.png", "train", None),
        ("a/2.png", "test", "a/lot"),
        ("b/1.png", "train", None),
        ("b/2.png", None, None),
    ]
    assert [one.label for one in both.samples[2].annotations] == ["b/crack", "b/dent"]


def test_a_class_that_is_not_there_is_told(plates: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"Received: 'scratchs'\. Did you mean 'scratch'\?"):
        few_shot_dataset(plates, experiment(classes={"rare": ["scratchs"]}), tmp_path, Reporter(quiet=True))
