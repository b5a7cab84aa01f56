"""`inspect` and `evaluate` with bundles behind each other: three real, barely trained ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import load_bundle, save_bundle
from blemish.dataset.samples import Dataset
from blemish.inspection import Inspection, Verdict
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train

Command = Callable[..., Any]
Stages = Mapping[str, Path]
QUICK: Mapping[str, Mapping[str, Any]] = {
    "medetection": {"preset": "tiny", "backbone": "paper", "steps": 2, "check_every": 2},
    "tlsdd": {
        "preset": "tiny", "variant": "fr-ff-joint", "common": ["scratch", "spot"], "steps": 2, "batch": 2,
        "threshold": 0.0,
    },
}  # fmt: skip
MACHINE = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def stages(tiny_run: Path, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Stages:
    """A bundle of each kind. "passing" is the gate that lets everything pass, "gate" the one that nothing."""
    segmenter = shutil.copytree(tiny_run / "bundle", tmp_path_factory.mktemp("own") / "bundle")
    made = {"segmenter": segmenter}
    for name, quick in QUICK.items():
        method = find_method(name)
        run = tmp_path_factory.mktemp(name) / "run"
        settings = method.settings_type.model_validate({**quick, **MACHINE})
        train(Request(method, tiny_dataset, settings, run), Reporter(quiet=True))
        made[name] = run / "bundle"
    folder = tmp_path_factory.mktemp("chain")
    named = {"detector": made["tlsdd"], "segmenter": made["segmenter"]}
    for gate, threshold in (("gate", 0.0), ("passing", 1.0)):
        named[gate] = with_thresholds(made["medetection"], folder / gate, threshold)
    return named


def with_thresholds(bundle: Path, out: Path, threshold: float) -> Path:
    loaded = load_bundle(bundle)
    thresholds = {**loaded.manifest.thresholds, "review": threshold, "ng": threshold}
    manifest = loaded.manifest.model_copy(update={"thresholds": thresholds})
    return save_bundle(out, manifest, loaded.networks).path


@pytest.fixture
def images(tiny_dataset: Dataset, tmp_path: Path) -> Path:
    """One clean image, three defective ones and one that is broken."""
    folder = tmp_path / "images"
    folder.mkdir()
    clean = [sample for sample in tiny_dataset if not sample.annotations][:1]
    marked = [sample for sample in tiny_dataset if sample.annotations][:3]
    for number, sample in enumerate((*clean, *marked)):
        shutil.copy(sample.image, folder / f"{number}.png")
    (folder / "9.png").write_bytes(b"nothing")
    return folder


def lines(out: Path) -> list[Inspection]:
    text = (out / "inspections.jsonl").read_text(encoding="utf-8")
    return [Inspection.from_json(json.loads(line)) for line in text.splitlines()]


def then(*bundles: Path) -> list[Any]:
    return [word for bundle in bundles for word in ("--then", bundle)]


def test_three_bundles_give_one_answer_an_image(
    blemish: Command, stages: Stages, images: Path, tmp_path: Path
) -> None:
    """Outlines are those of the segmenter alone, the score is the gate's alone, both to the last digit."""
    order = stages["gate"], stages["segmenter"], stages["detector"]
    places = ("--device", "cpu", "--quiet")
    answer = blemish(
        "inspect", order[0], images, "--out", tmp_path / "all", *then(*order[1:]), "--overlay", *places
    )
    assert answer.code == 1 and "1 image could not be judged" in answer.err, "the broken one"
    alone = {}
    for name in ("gate", "segmenter", "detector"):
        blemish("inspect", stages[name], images, "--out", tmp_path / name, *places)
        alone[name] = lines(tmp_path / name)
    chained = lines(tmp_path / "all")
    ids = "+".join(load_bundle(bundle).id for bundle in order)
    assert {one.bundle for one in chained} == {ids}
    for one, gate, segmenter, detector in zip(chained[:-1], *alone.values(), strict=False):
        assert one.score == gate.score and one.spread == gate.spread
        regions, boxes = ((*each.defects, *each.under_limit) for each in (segmenter, detector))
        assert [(d.box_xyxy, d.contour, d.severity_max) for d in one.defects[: len(regions)]] == [
            (d.box_xyxy, d.contour, d.severity_max) for d in regions
        ]
        assert {(d.box_xyxy, d.label) for d in one.defects[len(regions) :]} <= {
            (d.box_xyxy, d.label) for d in boxes
        }
        assert {step.split(".")[0] for step in one.timings_ms} == {"decode", "gate", "segmenter", "detector"}
        assert one.verdict is (Verdict.NG if one.defects else Verdict.REVIEW)
        assert bool(one.reasons) == (not one.defects)
    assert chained[-1].verdict is Verdict.ERROR and "9.png" in str(chained[-1].error)
    assert len(list((tmp_path / "all" / "overlays").iterdir())) == 4


def test_behind_a_gate_that_passes_nothing_is_asked(
    blemish: Command, stages: Stages, images: Path, tmp_path: Path
) -> None:
    (images / "9.png").unlink()
    later = then(stages["segmenter"], stages["detector"])
    answer = blemish("inspect", stages["passing"], images, "--out", tmp_path / "out", *later, "--overlay")
    assert answer.code == 0, answer.err
    for one in lines(tmp_path / "out"):
        assert (one.verdict, one.defects) == (Verdict.OK, ())
        assert set(one.timings_ms) == {"decode", "gate.network", "gate.decide"}


def test_a_chain_is_evaluated_with_the_segmenters_pixels_and_the_gates_score(
    blemish: Command, stages: Stages, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    data = ("--data", tiny_dataset.root, "--device", "cpu", "--quiet")
    metrics = {}
    for name, order in {
        "chain": ("gate", "segmenter", "detector"),
        "gate": ("gate",),
        "segmenter": ("segmenter",),
        "passing": ("passing", "segmenter", "detector"),
    }.items():
        first, *rest = (stages[one] for one in order)
        answer = blemish("evaluate", first, "--out", tmp_path / name, *then(*rest), *data)
        assert answer.code == 0, answer.err
        metrics[name] = json.loads((tmp_path / name / "metrics.json").read_text())
    chain = metrics["chain"]
    assert chain["method"] == "medetection+severity+tlsdd"
    assert chain["image"]["auroc"] == metrics["gate"]["image"]["auroc"]
    assert chain["pixel"]["auprc"] == pytest.approx(metrics["segmenter"]["pixel"]["auprc"])
    assert chain["defect"]["found"] >= metrics["segmenter"]["defect"]["found"]
    assert set(chain["type"]["confusion"]) >= {"scratch", "spot"}
    assert chain["pointing"] == {**metrics["gate"]["pointing"], "ng": chain["pointing"]["ng"]}
    point = chain["operating_point"]
    assert point["escapes"]["n"] == 0 and point["rule"] == metrics["gate"]["operating_point"]["rule"]
    passing = metrics["passing"]
    assert (passing["pixel"]["recall"], passing["defect"]["found"]) == (0.0, 0)
    assert passing["operating_point"]["escapes"]["n"] == passing["image"]["defective"]
    report = (tmp_path / "chain" / "report.html").read_text(encoding="utf-8")
    assert all(load_bundle(stages[name]).id in report for name in ("gate", "segmenter", "detector"))
    assert "AUROC and thresholds are the first one" in report


def test_a_look_is_counted_under_each_stages_own_decision(
    blemish: Command, stages: Stages, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    unseen = shutil.ignore_patterns("usage.json")
    order = [shutil.copytree(stages[one], tmp_path / one, ignore=unseen) for one in ("gate", "segmenter")]
    ids = [load_bundle(bundle).id for bundle in order]
    limits = [{"measure": "length", "unit": "px", "ng": 9}]
    decision = {"schema_version": 1, "revision": 1, "bundle": ids[1], "score": {}, "limits": limits}
    (order[1] / "decision.yaml").write_text(json.dumps(decision))
    data = ("--data", tiny_dataset.root, "--device", "cpu", "--quiet", "--out", tmp_path / "out")
    assert blemish("evaluate", order[1], *data).code == 0
    assert blemish("evaluate", order[0], *data, *then(order[1])).code == 0
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert f"{ids[0]}: This is the bundle&#39;s first evaluation" in report
    assert f"{ids[1]}: This is the bundle&#39;s evaluation no. 2" in report
    assert "decision was changed after an evaluation" not in report
    assert f"{ids[1]} has a decision of its own" in report and "length: NG from 9 px" in report


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
@pytest.mark.parametrize(
    ("order", "message"),
    [
        (("gate", "gate"), "must have each bundle once. Received: medetection-"),
        (("gate", "passing"), "Leave out one gate."),
        (("segmenter", "gate"), "Put the gate before the segmenter."),
        (("detector", "segmenter"), "Put the segmenter before the detector."),
        (("gate", "nowhere"), "nowhere is not a bundle"),
    ],
)
def test_what_makes_no_chain_is_one_line_and_writes_nothing(
    blemish: Command,
    stages: Stages,
    tiny_dataset: Dataset,
    tmp_path: Path,
    command: str,
    order: tuple[str, ...],
    message: str,
) -> None:
    first, *rest = (stages.get(name, tmp_path / name) for name in order)
    given = [tiny_dataset.root] if command == "inspect" else ["--data", tiny_dataset.root]
    answer = blemish(command, first, *given, "--out", tmp_path / "out", *then(*rest), "--quiet")
    assert answer.code == 1
    assert message in answer.err
    assert answer.err.startswith("blemish: ") and answer.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_other_scales_and_a_gate_that_judges_nothing_are_refused(
    blemish: Command, stages: Stages, images: Path, tmp_path: Path
) -> None:
    for name, key in (("gate", 0.5), ("segmenter", 0.25)):
        loaded = load_bundle(stages[name])
        settings = {**loaded.manifest.settings, "mm_per_px": key}
        changed = loaded.manifest.model_copy(update={"settings": settings})
        save_bundle(tmp_path / name, changed, loaded.networks)
    answer = blemish(
        "inspect", tmp_path / "gate", images, "--out", tmp_path / "out", *then(tmp_path / "segmenter")
    )
    assert answer.code == 1
    assert "one scale, in mm per pixel. Received: 0.5 of medetection-" in answer.err
    loaded = load_bundle(stages["gate"])
    memory = {**loaded.manifest.memory, "product": None}
    start = save_bundle(
        tmp_path / "start", loaded.manifest.model_copy(update={"memory": memory}), loaded.networks
    )
    answer = blemish("inspect", start.path, images, "--out", tmp_path / "out", *then(stages["segmenter"]))
    assert answer.code == 1
    assert f"{start.path}: this is a starting point, which knows no product yet." in answer.err
