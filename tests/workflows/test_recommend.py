"""Recommendations: a test for each rule, and for what they say."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.cli.training import parsed_settings
from blemish.dataset.product_sets.products import ProductCounts
from blemish.dataset.quality.facts import DataFacts
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.methods.severity.geometry import default_tiling
from blemish.workflows.recommend import (
    RULES,
    WIDE,
    Choice,
    boxes,
    choices,
    few_examples,
    good_alone,
    improvements,
    labels,
    other_outlines,
    outlines,
    recommend,
    several_products,
    unseen_kinds,
    wide_outlines,
)

NOTHING = DataFacts(0, 0, 0, 0, {}, (), (), {}, None)
LABELLED = replace(NOTHING, good=60, defective=40, classes={"defect": 40})
BOXED = replace(LABELLED, placed=40, classes={"scratch": 30, "dent": 30})
OUTLINED = replace(BOXED, outlined=40, widths={"scratch": (3.0, 5.0, 20.0), "dent": (20.0, 40.0, 60.0)})
PRODUCTS = replace(LABELLED, products=(ProductCounts("cap", 30, 30), ProductCounts("ring", 10, 5)))


def methods(facts: DataFacts) -> list[str]:
    return list(dict.fromkeys(choice.method for choice in choices(facts)))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (NOTHING, []),
        (replace(NOTHING, good=50), ["memory"]),
        (replace(NOTHING, good=1), ["memory"]),
        (replace(LABELLED, defective=4), ["memory", "medetection"]),
        (replace(NOTHING, defective=20), []),
        (LABELLED, ["medetection", "memory"]),
        (BOXED, ["tlsdd", "medetection", "memory"]),
        (replace(BOXED, good=0), ["tlsdd"]),
        (OUTLINED, ["severity", "casae", "medetection", "memory"]),
        (replace(OUTLINED, good=0), ["severity", "casae"]),
        (replace(OUTLINED, few=("dent",)), ["severity", "tlsdd", "casae", "medetection", "memory"]),
        (replace(OUTLINED, widths={"stain": (90.0,) * 5}), ["casae", "severity", "medetection", "memory"]),
        (PRODUCTS, ["medetection", "memory"]),
        (replace(OUTLINED, products=PRODUCTS.products), ["medetection", "severity", "casae", "memory"]),
    ],
)
def test_the_first_rules_that_hold_are_first_and_second_choice(facts: DataFacts, expected: list[str]) -> None:
    assert methods(facts) == expected


@pytest.mark.parametrize(
    ("rule", "holds", "does_not"),
    [
        (several_products, PRODUCTS, replace(PRODUCTS, products=PRODUCTS.products[1:])),
        (
            several_products,
            PRODUCTS,
            replace(PRODUCTS, products=(*PRODUCTS.products, ProductCounts("pin", 9, 4))),
        ),
        (
            wide_outlines,
            replace(OUTLINED, widths={"b": (90.0,) * 5}),
            replace(OUTLINED, widths={"b": (90.0,) * 4}),
        ),
        (wide_outlines, replace(OUTLINED, widths={"a": (1.0,), "b": (WIDE + 1,) * 5}), OUTLINED),
        (outlines, OUTLINED, replace(OUTLINED, outlined=19)),
        (few_examples, replace(BOXED, few=("dent",)), BOXED),
        (boxes, BOXED, OUTLINED),
        (other_outlines, OUTLINED, BOXED),
        (labels, LABELLED, replace(LABELLED, good=0)),
        (good_alone, replace(NOTHING, good=1), LABELLED),
        (unseen_kinds, LABELLED, replace(LABELLED, good=0)),
    ],
)
def test_each_rule_holds_for_its_data_alone(
    rule: Callable[[DataFacts], Choice | None], holds: DataFacts, does_not: DataFacts
) -> None:
    choice = rule(holds)
    assert choice is not None and choice.reason.startswith("as ")
    assert rule(does_not) is None
    assert rule(NOTHING) is None


def test_every_rule_is_tested_and_gives_settings_that_the_method_takes() -> None:
    assert {rule.__name__ for rule in RULES} == {
        "good_alone", "several_products", "wide_outlines", "outlines", "few_examples", "boxes",
        "other_outlines", "labels", "unseen_kinds",
    }  # fmt: skip
    for facts in (replace(OUTLINED, few=("dent",), widths={"a": (3.0,)}), PRODUCTS, BOXED, LABELLED):
        for choice in choices(facts):
            find_method(choice.method).settings_type.model_validate(dict(choice.settings))


def test_settings_follow_the_data() -> None:
    product = several_products(PRODUCTS)
    assert product is not None and product.settings == {"target": "ring"}, "the one with the fewest images"
    several = labels(PRODUCTS)
    assert several is not None and several.settings == product.settings
    half = outlines(OUTLINED)
    assert half is not None and "at most 20 px wide" in half.reason and half.settings == {}
    few = few_examples(replace(BOXED, few=("dent",)))
    assert few is not None and few.settings == {"rare": ["dent"]} and "dent (30)" in few.reason


def test_wide_is_what_severity_does_not_see_around() -> None:
    assert default_tiling(4).halo == WIDE


def test_what_would_be_better_is_said() -> None:
    lines = "\n".join(improvements(replace(BOXED, good=5, few=("dent",))))
    # 0 of 12 missed: 1 − 0.05^(1/12) = 22.1 %; 0.99^299 = 0.0495.
    assert "misses none of its 12 only proves that at most 22 % of defective parts are missed" in lines
    assert "to prove 1 % takes 299." in lines
    assert "more images of rare classes: dent." in lines
    assert "outlines in the 40 defective images without" in lines
    assert "more than 5 good images" in lines
    tested = "\n".join(improvements(replace(OUTLINED, tested=299)))
    assert tested == ""


def dataset(root: Path, samples: list[Sample]) -> Dataset:
    return Dataset(root, tuple(samples), ("dent", "scratch"))


def sample(name: str, *labels: str, split: str | None = None) -> Sample:
    marks = tuple(Annotation(label, box_xyxy=(1, 2, 30, 40)) for label in labels)
    return Sample(Path(name), name, marks, split=split)


def test_commands_write_to_folders_that_do_not_exist_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("splits", "run", "run-2"):
        (tmp_path / name).mkdir()
    boxed = [sample(f"{i}.png", "dent") for i in range(8)]
    split, train = map(shlex.split, recommend(Path("d"), dataset(tmp_path, boxed)).commands)
    assert split[4] == "splits-2" == train[train.index("--data") + 1]
    assert train[train.index("--out") + 1] == "run-3"


def test_commands_are_those_that_the_data_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    boxed = [sample(f"{i}.png", "scratch") for i in range(60)] + [
        sample(f"d{i}.png", "dent") for i in range(5)
    ]
    found = recommend(tmp_path / "my data", dataset(tmp_path, boxed))
    split, train = map(shlex.split, found.commands)
    assert split == ["blemish", "data", "split", str(tmp_path / "my data"), "splits", "--by", "similarity"]
    assert train[:7] == ["blemish", "train", "tlsdd", "--data", "splits", "--out", "run"]
    assert train[7] == "--set" and parsed_settings(train[8:]) == {"rare": ["dent"]}
    assert (
        found.second is None
        and found.lines[-1] == "Second choice: none; no other method can learn from these data."
    )
    assert "5 images" not in found.seen and "dent (5), scratch (60)" in found.seen

    in_splits = [replace(each, split="test" if i % 3 else "train") for i, each in enumerate(boxed)]
    (train_alone,) = recommend(tmp_path / "d", dataset(tmp_path, in_splits)).commands
    assert f"--data {tmp_path / 'd'} " in train_alone
    grouped = [replace(each, group="lot1") for each in boxed]
    assert "--by group" in recommend(tmp_path / "d", dataset(tmp_path, grouped)).commands[0]


@pytest.mark.parametrize(
    ("samples", "received"),
    [
        (
            [replace(sample("a.png"), annotations=(Annotation("dent"),))],
            "1 defective image without a place, and no good one. Add good images",
        ),
    ],
)
def test_data_from_which_nothing_learns_are_refused_with_what_is_missing(
    tmp_path: Path, samples: list[Sample], received: str
) -> None:
    with pytest.raises(BlemishError, match="must hold good images, or marked defects") as caught:
        recommend(tmp_path, dataset(tmp_path, samples))
    assert received in str(caught.value)
    assert "\n" not in str(caught.value)


def test_real_masks_are_measured(tiny_dataset: Dataset) -> None:
    found = recommend(tiny_dataset.root, tiny_dataset)
    assert found.method == "severity"
    assert found.second is not None and found.second.method == "casae"
    assert len(found.commands) == 1, "it has splits"


def test_auto_takes_the_recommendation_and_the_run_its_name(
    tiny_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from blemish.bundle.store import load_bundle
    from blemish.workflows.train import train_bundle

    found = recommend(tiny_dataset.root, tiny_dataset)
    short: dict[str, Any] = {"steps": 2, "batch": 2, "patch": 64, "types": False, "device": "cpu"}
    bundle = train_bundle("auto", tiny_dataset.root, tmp_path / "run", settings=short)
    assert f"auto: {found.method}" in capsys.readouterr().err
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    assert stored["method"] == load_bundle(bundle).manifest.method == "severity"
    assert {**stored["settings"], **found.settings} == stored["settings"]
    resumed = train_bundle("auto", None, tmp_path / "run", resume=True)
    assert load_bundle(resumed).id == load_bundle(bundle).id
