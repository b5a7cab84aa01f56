"""Bundles exported on a machine with torch answer alike on a line PC, whatever the method."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import load_bundle
from blemish.dataset.convert import convert
from blemish.dataset.samples import Annotation, Dataset, Sample

Run = Callable[..., Any]

SCORE = 1e-3  # how far scores may be apart, as the certificate of an export says
PIXELS = 1.0  # and the sides of boxes
METHODS: Mapping[str, Mapping[str, Any]] = {
    "severity": {"cell": 2, "patch": 64, "batch": 2, "steps": 6, "types_backbone": "resnet18",
                 "types_backbone_weights": "none", "types_steps": 2, "types_batch": 8},
    "casae": {"preset": "tiny", "size": 96, "width": 6, "batch": 2, "steps": 4, "second_steps": 2,
              "types_steps": 2},
    "medetection": {"preset": "tiny", "backbone": "paper", "steps": 2, "check_every": 2, "references": 3},
    "memory": {"preset": "tiny", "head_steps": 2},
    "tlsdd": {"preset": "tiny", "common": ["scratch", "spot"], "steps": 2, "batch": 2,
              "score_floor": 0.0},
}  # fmt: skip


@pytest.fixture(scope="session", params=METHODS)
def trained(request: pytest.FixtureRequest, tiny_dataset: Dataset, tmp_path_factory: Any) -> Path:
    """A bundle of each method, trained for seconds."""
    from blemish.methods import find_method
    from blemish.progress import Reporter
    from blemish.training.request import Request
    from blemish.training.run import train

    method = find_method(request.param)
    machine = {"device": "cpu", "precision": "fp32"}
    settings = method.settings_type.model_validate({**METHODS[method.name], **machine})
    run = tmp_path_factory.mktemp(method.name) / "run"
    return train(Request(method, tiny_dataset, settings, run), Reporter(quiet=True)).path


@pytest.fixture(scope="session", params=["onnx"])
def exported(request: pytest.FixtureRequest, trained: Path, on_training_machine: Run) -> Path:
    out = trained.parent / f"bundle-{request.param}"
    on_training_machine("export", trained, "--to", request.param, "--out", out, "--quiet")
    return out


@pytest.fixture
def own(exported: Path, tmp_path: Path) -> Path:
    """A copy: evaluations and decisions leave files in a bundle's folder."""
    return shutil.copytree(exported, tmp_path / "own")


@pytest.fixture(scope="session")
def calib(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images like the tiny set's, none of them the same, in no split."""
    from blemish.dataset.synthetic import synthesise

    root = tmp_path_factory.mktemp("calib") / "data"
    surfaces, weights = ["cast_metal", "brushed_metal"], {"scratch": 1, "spot": 1}
    synthesise(root, surfaces=surfaces, images=20, seed=77, size=(96, 96), class_weights=weights)
    shutil.rmtree(root / "splits")
    return root


def inspections(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "inspections.jsonl").read_text().splitlines()]


def assert_alike(ours: list[dict[str, Any]], theirs: list[dict[str, Any]], *, limits: list[float]) -> None:
    """Scores and defects are the same within what the certificate allows, verdicts but at a threshold."""
    assert [one["image"] for one in ours] == [one["image"] for one in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=SCORE)
        if min(abs(other["score"] - limit) for limit in limits) > SCORE:
            assert one["verdict"] == other["verdict"]
            assert len(one["defects"]) == len(other["defects"])
            rest = list(other["defects"])
            for defect in one["defects"]:  # of nearly the same confidence, they may stand in another order
                twins = [twin for twin in rest if is_twin(defect, twin)]
                assert twins, (defect, rest)
                rest.remove(twins[0])


def is_twin(defect: dict[str, Any], other: dict[str, Any]) -> bool:
    """The same defect within what the certificate allows."""
    return (
        defect["label"] == other["label"]
        and defect["confidence"] == pytest.approx(other["confidence"], abs=SCORE)
        and defect["box_xyxy"] == pytest.approx(other["box_xyxy"], abs=PIXELS)
    )


def test_inspections_are_those_of_torch(
    trained: Path, exported: Path, on_line_pc: Run, on_training_machine: Run, tiny_dataset: Dataset,
    tmp_path: Path,
) -> None:  # fmt: skip
    images = [sample.image for sample in tiny_dataset.split("test")]
    done = on_line_pc("blemish", "inspect", exported, *images, "--out", tmp_path / "line", "--overlay")
    assert done.returncode == 0, done.stderr
    on_training_machine("inspect", trained, *images, "--out", tmp_path / "lab", "--device", "cpu")
    limits = list(load_bundle(trained).manifest.thresholds.values())
    assert_alike(inspections(tmp_path / "line"), inspections(tmp_path / "lab"), limits=limits)
    assert len(list((tmp_path / "line" / "overlays").iterdir())) == len(images)


def test_evaluations_are_those_of_torch(
    trained: Path, own: Path, on_line_pc: Run, on_training_machine: Run, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    options = ("--data", tiny_dataset.root, "--split", "val", "--out")
    done = on_line_pc("blemish", "evaluate", own, *options, tmp_path / "line")
    assert done.returncode == 0, done.stderr
    on_training_machine("evaluate", trained, *options, tmp_path / "lab")
    line, lab = (json.loads((tmp_path / one / "metrics.json").read_text()) for one in ("line", "lab"))
    assert line["image"]["auroc"] == pytest.approx(lab["image"]["auroc"], abs=0.02)
    assert line["method"] == lab["method"]
    assert (tmp_path / "line" / "report.html").is_file()


def test_a_line_pc_decides(own: Path, on_line_pc: Run, calib: Path, tmp_path: Path) -> None:
    done = on_line_pc("blemish", "decide", own, "--data", calib, "--rule", "f1")
    assert done.returncode == 0, done.stderr
    assert (own / "decision.yaml").is_file()
    image = next(calib.rglob("*.png"))
    done = on_line_pc("blemish", "inspect", own, image, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert inspections(tmp_path / "out")[0]["decision"] == 1


@pytest.fixture(scope="session")
def examples(tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three boxes in three images, called "thing" there."""
    box = Annotation("thing", box_xyxy=(10.0, 20.0, 50.0, 60.0))
    chosen = [sample for sample in tiny_dataset if sample.annotations][:3]
    boxed: list[Sample] = [replace(one, split=None, annotations=(box,)) for one in chosen]
    out = tmp_path_factory.mktemp("examples") / "data"
    convert(replace(tiny_dataset, samples=tuple(boxed), class_names=("thing",)), out, "coco")
    return out


@pytest.mark.parametrize("trained", ["tlsdd"], indirect=True)
def test_a_line_pc_adds_a_class(
    trained: Path, exported: Path, examples: Path, on_line_pc: Run, on_training_machine: Run, tmp_path: Path
) -> None:
    """The same class as with torch: what is then inspected is alike."""
    options = ("--name", "fray", "--examples", examples, "--out")
    done = on_line_pc("blemish", "add-class", exported, *options, tmp_path / "line")
    assert done.returncode == 0, done.stderr
    assert "fray" in load_bundle(tmp_path / "line").manifest.class_names
    on_training_machine("add-class", trained, *options, tmp_path / "lab", "--device", "cpu")
    images = sorted(examples.rglob("*.png"))
    done = on_line_pc("blemish", "inspect", tmp_path / "line", *images, "--out", tmp_path / "ours")
    assert done.returncode == 0, done.stderr
    on_training_machine("inspect", tmp_path / "lab", *images, "--out", tmp_path / "theirs", "--device", "cpu")
    limits = list(load_bundle(trained).manifest.thresholds.values())
    assert_alike(inspections(tmp_path / "ours"), inspections(tmp_path / "theirs"), limits=limits)
