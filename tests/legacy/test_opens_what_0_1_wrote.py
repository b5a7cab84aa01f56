"""Files written by version 0.1 go on working: bundles, a run, decisions, records, settings, rows of tables.

`make.py` beside this file made it, and recorded what 0.1 answered.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from blemish.bundle import load_bundle
from blemish.bundle.migrations import comparable_settings, rename_settings
from blemish.cli.training import parsed_settings
from blemish.dataset.layouts import load_dataset
from blemish.dataset.splits.support_sets import load_support_set
from blemish.decision.store import read_decision, stored_decision
from blemish.inspection import Inspection
from blemish.methods import find_method
from blemish.workflows.train import read_settings

Command = Callable[..., Any]
Line = dict[str, Any]

HERE = Path(__file__).parent / "v0_1"
CHAINS: Mapping[str, Sequence[str]] = {
    "severity": ["severity"],
    "casae": ["casae"],
    "casae-onnx": ["casae-onnx"],
    "tlsdd": ["tlsdd"],
    "tlsdd-stain": ["tlsdd-stain"],
    "medetection": ["medetection"],
    "chain": ["casae", "tlsdd"],
}
SETTINGS: Mapping[str, Mapping[str, Any]] = json.loads((HERE / "settings.json").read_text())
RESUMED = (
    "preset=tiny", "size=96", "width=1", "batch=2", "steps=8", "second_steps=9", "types=false",
    "checkpoint_every=3", "device=cpu", "precision=fp32",
    # Defaults of 0.1 that are others now.
    "defect_share=0.5", "area_balance=0", "hard_clean_weight=0", "noise=0.02",
    "illumination=0.1", "contrast=0.2", "image_score=max",
)  # fmt: skip
CPU = ("--device", "cpu", "--threads", 1, "--quiet")


def lines(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def numbers(texts: Sequence[str]) -> list[str]:
    """The numbers in sentences whose words may change."""
    return [number for text in texts for number in re.findall(r"\d+(?:\.\d+)?", text)]


# Bundles


@pytest.mark.parametrize("name", CHAINS)
def test_a_bundle_opens_and_answers_as_recorded(
    blemish: Command, legacy: Path, tmp_path: Path, name: str
) -> None:
    first, *later = CHAINS[name]
    recorded = lines(legacy / "answers" / f"{name}.jsonl")
    images = [line["image"] for line in recorded]
    then = [word for bundle in later for word in ("--then", f"bundles/{bundle}")]
    answer = blemish("inspect", f"bundles/{first}", *images, *then, "--out", tmp_path, *CPU)
    assert answer.code == 0, answer.err
    found = lines(tmp_path / "inspections.jsonl")
    assert len(found) == len(recorded) >= 5
    for one, old in zip(found, recorded, strict=True):
        same_answer(one, old)


def same_answer(found: Line, recorded: Line) -> None:
    """Raise where an answer is another than 0.1's, but for three rules.

    Findings of an image that is OK are no defects, only such an image is accepted, and what a later bundle of
    a chain finds under its own limit sends no image to a person.
    """
    for key in ("image", "size", "decision", "bundle", "mm_per_px", "error"):
        assert found.get(key) == recorded.get(key), key
    if "+" not in found["bundle"] or not found.get("under_limit"):
        assert found["verdict"] == recorded["verdict"]
    accepted = found["verdict"] != "OK" and recorded.get("grade") == "accept"
    assert found.get("grade") == (None if accepted else recorded.get("grade"))
    if found["verdict"] == "OK":
        assert not found["defects"]
        found = {**found, "defects": found.get("under_limit", [])}
    assert found["score"] == pytest.approx(recorded["score"], abs=1e-5)
    assert found.get("spread") == pytest.approx(recorded.get("spread"), abs=1e-5)
    if found["verdict"] != "OK":
        assert numbers(found.get("reasons", ())) == numbers(recorded.get("reasons", ()))
    assert [one["label"] for one in found["defects"]] == [one["label"] for one in recorded["defects"]]
    for one, old in zip(found["defects"], recorded["defects"], strict=True):
        assert one["confidence"] == pytest.approx(old["confidence"], abs=1.1e-4)
        assert one["box_xyxy"] == pytest.approx(old["box_xyxy"], abs=0.5)
        assert one["area"] == pytest.approx(old["area"], rel=0.01, abs=1)
        assert one["rectangle"]["length"] == pytest.approx(old["rectangle"]["length"], abs=0.5)
        assert one.get("severity") == pytest.approx(old.get("severity"), abs=2e-3)


def test_the_recorded_answers_hold_all_that_is_compared() -> None:
    """So that none of the checks above is about nothing."""
    recorded = [line for name in CHAINS for line in lines(HERE / "answers" / f"{name}.jsonl")]
    defects = [defect for line in recorded for defect in line["defects"]]
    assert {"OK", "REVIEW", "NG"} == {line["verdict"] for line in recorded}
    assert {"scratch", "spot", "stain", "defect"} == {defect["label"] for defect in defects}
    assert any("severity" in defect for defect in defects)
    for key in ("spread", "grade", "decision"):
        assert any(line.get(key) is not None for line in recorded), key
    assert len({line["bundle"] for line in recorded}) == len(CHAINS)


def test_a_training_goes_on_from_a_start(blemish: Command, legacy: Path, tmp_path: Path) -> None:
    settings = ("target=caps", "steps=2", "check_every=1")
    sets = [word for one in settings for word in ("--set", one)]
    start = ("--from", "bundles/medetection-start")
    answer = blemish(
        "train", "medetection", "--data", "products", "--out", tmp_path / "run", *start, *sets, "--quiet"
    )
    assert answer.code == 0, answer.err
    assert load_bundle(tmp_path / "run" / "bundle").manifest.memory["product"] == "caps"


def test_a_class_is_added_to_a_bundle(blemish: Command, legacy: Path, tmp_path: Path) -> None:
    arguments = ("--name", "stain", "--examples", "stains", "--out", tmp_path / "larger", *CPU)
    answer = blemish("add-class", "bundles/tlsdd", *arguments)
    assert answer.code == 0, answer.err
    old, new = load_bundle(legacy / "bundles" / "tlsdd-stain"), load_bundle(tmp_path / "larger")
    assert new.manifest.class_names == old.manifest.class_names
    for name, tensor in old.networks["bank"].items():
        assert np.allclose(new.networks["bank"][name], tensor, atol=1e-5), name


# A run


def test_a_stopped_run_resumes_to_the_weights_that_0_1_reached(
    blemish: Command, legacy: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(legacy / "run", tmp_path / "run")
    sets = [word for one in RESUMED for word in ("--set", one)]
    options = (*sets, "--seed", 3, "--threads", 1, "--quiet", "--resume")
    answer = blemish("train", "casae", "--data", "surfaces", "--out", run, *options)
    assert answer.code == 0, answer.err
    assert [entry["step"] for entry in lines(run / "log.jsonl") if "loss" in entry] == [8, 9]
    reached, expected = load_bundle(run / "bundle"), load_bundle(legacy / "resumed")
    assert reached.manifest.thresholds == pytest.approx(expected.manifest.thresholds, abs=1e-4)
    tensors = expected.networks["cascade"]
    differences = np.concatenate(
        [np.abs(reached.networks["cascade"][name] - tensor).ravel() for name, tensor in tensors.items()]
    )
    assert np.quantile(differences, 0.9) < 1e-6
    # Adam moves a weight whose gradient is about 0 by the sign of a rounding error, in which processors
    # differ.
    assert differences.max() < 1e-3


def test_a_run_is_not_resumed_with_other_settings(blemish: Command, legacy: Path, tmp_path: Path) -> None:
    run = shutil.copytree(legacy / "run", tmp_path / "run")
    sets = [word for one in (*RESUMED, "learning_rate=0.5") for word in ("--set", one)]
    answer = blemish("train", "casae", "--data", "surfaces", "--out", run, *sets, "--seed", 3, "--resume")
    assert answer.code == 1
    assert "learning_rate=0.5" in answer.err


# Decisions and records


def test_both_revisions_of_a_decision_are_read(legacy: Path) -> None:
    bundle = load_bundle(legacy / "bundles" / "severity")
    now = stored_decision(bundle.path, bundle=bundle.id)
    before = read_decision(bundle.path / "decision-1.yaml", bundle=bundle.id)
    assert now is not None
    assert (before.revision, now.revision) == (1, 2)
    assert (len(before.limits), len(before.grades), len(before.ignore)) == (1, 0, 0)
    assert (len(now.limits), len(now.grades), len(now.ignore)) == (1, 1, 1)


def test_the_count_of_evaluations_goes_on(blemish: Command, legacy: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(legacy / "bundles" / "severity", tmp_path / "bundle")
    answer = blemish("evaluate", bundle, "--data", "surfaces", "--out", tmp_path / "out", "--device", "cpu")
    assert answer.code == 0, answer.err
    (counted,) = (
        one for one in json.loads((bundle / "usage.json").read_text()).values() if type(one) is list
    )
    assert [entry["revision"] for entry in counted] == [1, 2, 2]


@pytest.mark.parametrize("name", CHAINS)
def test_a_record_is_read_whole(name: str) -> None:
    for line in lines(HERE / "answers" / f"{name}.jsonl"):
        written = Inspection.from_json(line).to_json()
        assert {key: written[key] for key in line} == line


def test_a_record_is_measured_as_predictions(blemish: Command, legacy: Path, tmp_path: Path) -> None:
    predictions = ("--predictions", "answers/severity.jsonl", "--data", "surfaces", "--out", tmp_path)
    answer = blemish("evaluate", *predictions, "--quiet")
    assert answer.code == 0, answer.err
    recorded = json.loads((legacy / "metrics-of-predictions.json").read_text())
    measured = json.loads((tmp_path / "metrics.json").read_text())
    assert recorded["defect"]["truth"] > 0
    del measured["image"]["auroc_interval95"]  # 0.1 had none
    for part in ("pixel", "defect", "image", "type"):
        assert measured[part] == recorded[part], part


# Datasets


def test_splits_by_reference_are_read(legacy: Path) -> None:
    listed = {file.stem: len(file.read_text().split()) for file in (legacy / "split" / "splits").iterdir()}
    dataset = load_dataset(legacy / "split")
    assert {name: dataset.splits[name] for name in listed} == listed
    assert min(listed.values()) > 0
    assert all(sample.image.is_file() for sample in dataset)


def test_a_draw_of_supports_is_read(legacy: Path) -> None:
    written = json.loads((legacy / "draw.json").read_text())
    draw = load_support_set(legacy / "draw.json", load_dataset(legacy / "surfaces"))
    assert {name: list(ids) for name, ids in draw.classes.items()} == written["classes"]
    assert (draw.seed, draw.shots) == (7, 2)


# Settings


def changed(method: str, assignments: Sequence[str], config: Path | None = None) -> list[str]:
    """The values that differ from the defaults, sorted: names may be others by now, meanings not."""
    known = find_method(method)
    plain = known.settings_type().model_dump(mode="json")
    settings = read_settings(known, config, parsed_settings(list(assignments))).model_dump(mode="json")
    return sorted(json.dumps(value) for name, value in settings.items() if plain[name] != value)


WITH_PAPER_NETWORKS = {"encoder": "paper", "tiled": False, "patch": 512, "area_balance": 0.5}
IMPLIED: dict[tuple[str, str], dict[str, Any]] = {  # by settings that mean others now, in place of defaults
    ("casae", "network"): WITH_PAPER_NETWORKS,
    ("casae", "norm"): {"tiled": False},
    ("casae", "size"): {"tiled": False},
    ("casae", "second_sees_image"): {"cascade": True},
    ("severity", "network"): {"encoder": "paper"},
}


@pytest.mark.parametrize(
    ("method", "key"), [(method, key) for method in SETTINGS for key in SETTINGS[method]]
)
def test_a_setting_is_known_and_means_what_it_meant(method: str, key: str) -> None:
    recorded, known = SETTINGS[method][key], find_method(method)
    plain = known.settings_type().model_dump(mode="json")
    settings = read_settings(known, None, parsed_settings(recorded["set"])).model_dump(mode="json")
    expected = rename_settings(method, recorded["changes"], source="0.1")
    assert {name: settings[name] for name in expected} == expected
    if key != "preset":  # which says more where a default has changed
        implied = IMPLIED.get((method, key), {})
        assert {**settings, **expected} == {**plain, **expected, **implied}


@pytest.mark.parametrize("method", ["casae", "severity"])
def test_the_preset_paper_keeps_what_the_defaults_were(method: str) -> None:
    known = find_method(method)
    before = {key: recorded["default"] for key, recorded in SETTINGS[method].items()}
    before |= SETTINGS[method].get("preset", {"changes": {}})["changes"]
    now = known.settings_type.model_validate({"preset": "paper"}).model_dump(mode="json")
    expected = rename_settings(method, before, source="0.1")
    assert comparable_settings({**now, **expected}) == comparable_settings(now)


@pytest.mark.parametrize("method", SETTINGS)
def test_all_settings_of_0_1_together_are_its_defaults(method: str, tmp_path: Path) -> None:
    defaults = {key: recorded["default"] for key, recorded in SETTINGS[method].items()}
    config = tmp_path / "all.yaml"
    config.write_text(yaml.safe_dump(defaults))
    known = find_method(method)
    values = [json.dumps(value) for value in read_settings(known, config).model_dump(mode="json").values()]
    for value in map(json.dumps, defaults.values()):
        values.remove(value)  # raises where one is missing


def test_a_config_is_read(legacy: Path) -> None:
    config = legacy / "config.yaml"
    written = yaml.safe_load(config.read_text())
    found = changed("medetection", [], config)
    for key in written:
        assert json.dumps(written[key]) in found, key


# Tables


def test_rows_of_tables_show_the_figures_that_they_showed(
    blemish: Command, legacy: Path, tmp_path: Path
) -> None:
    results = shutil.copytree(legacy / "results", tmp_path / "results")
    tables = {file: figures(file) for file in results.glob("*/table.md")}
    assert len(tables) >= 6
    answer = blemish("results", "--from", results, "--out", tmp_path / "RESULTS.md")
    assert answer.code == 0, answer.err
    for file, before in tables.items():
        assert before
        assert before <= figures(file), file


def figures(file: Path) -> set[str]:
    """The numbers with a point in the rows of a Markdown table."""
    rows = [line for line in file.read_text().splitlines() if line.startswith("|")]
    return {number for number in numbers(rows) if "." in number}
