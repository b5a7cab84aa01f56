"""Rows that measure bundles of other tables as a chain, on 15 tiny images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.tables import fill as table_module
from benchmarks.tables.experiment import CHECKOUT, read_experiment
from benchmarks.tables.fill import fill_table
from benchmarks.tables.kinds.chain import ChainKind, chain_figures
from benchmarks.tables.results import RowJob
from benchmarks.tables.schema import Experiment
from benchmarks.tables.table import open_table
from blemish.bundle.store import load_bundle, save_bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import Chain
from blemish.inspector.inspector import BundleInspector
from blemish.progress import Reporter

DATA = {
    "images": 24, "seed": 3, "size": [64, 64], "pairing": "dagm",
    "surfaces": ["woven_fabric", "concrete"],
}  # fmt: skip
MACHINE = {"device": "cpu", "precision": "fp32"}
TABLES: dict[str, dict[str, Any]] = {
    "gates": {
        "method": "medetection",
        "settings": {
            "preset": "tiny", "backbone": "paper", "steps": 2, "check_every": 2, "maml": False, **MACHINE,
        },
        "rows": [{"name": "gate", "kind": "train"}],
    },
    "outlines": {
        "settings": {
            "cell": 4, "steps": 4, "patch": 64, "batch": 2, "types": False, "floor": 1.0, **MACHINE,
        },
        "rows": [{"name": "ours", "kind": "train"}],
    },
    "names": {
        "method": "tlsdd",
        "settings": {
            "preset": "tiny", "variant": "fr-ff-joint", "steps": 2, "batch": 2, "shots": 1, **MACHINE,
        },
        "classes": {"common": ["concrete_crack"], "rare": ["woven_fabric_missing_structure"]},
        "rows": [{"name": "few", "kind": "few-shot"}],
    },
    "chained": {
        "rows": [
            {"name": "gate", "kind": "chain", "stages": ["gates/gate"]},
            {"name": "two", "kind": "chain", "stages": ["gates/gate", "outlines/ours"]},
        ],
        "columns": [
            {"path": "image.auroc", "heading": "AUROC"},
            {"path": "chain.passed", "heading": "passed"},
            {"path": "chain.seconds.segmenter", "heading": "outlining, s", "decimals": 6},
        ],
    },
}  # fmt: skip


def write(name: str, **changes: Any) -> None:
    columns = [{"path": "image.auroc", "heading": "AUROC"}]
    experiment = {"title": name, "paper": "none", "synthetic": DATA, "columns": columns, **TABLES[name]}
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump({**experiment, **changes}))


def fill(name: str, **more: Any) -> Path:
    return fill_table(name, Path("out"), **{"data": None, "seeds": 1, "quiet": True, **more})


def stored(name: str) -> dict[str, Any]:
    return json.loads(Path("out", f"{name}-seed0.json").read_text())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder whose tables gates, outlines and chained are filled."""
    folder = tmp_path_factory.mktemp("chains")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BLEMISH_ROWS", raising=False)
        for name in ("gates", "outlines", "chained"):
            write(name)
            fill(name)
    return folder


@pytest.fixture(autouse=True)
def in_folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(filled)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    for name in ("gates", "outlines", "chained"):
        write(name)


def test_a_chain_is_measured_beside_its_bundle_alone() -> None:
    alone, two = stored("chained/gate")["figures"], stored("chained/two")["figures"]
    trained = stored("gates/gate")["figures"]
    assert alone["image"] == trained["image"], "one stage alone is that row's bundle"
    assert two["image"]["auroc"] == alone["image"]["auroc"], "the gate's score is the chain's"
    assert two["method"] == "medetection+severity"
    assert two["operating_point"]["escapes"] == alone["operating_point"]["escapes"]
    assert two["defect"]["found"] <= stored("outlines/ours")["figures"]["defect"]["found"]
    assert "passed" not in alone["chain"] and two["chain"]["passed"]["of"] == two["images"]


def test_the_seconds_of_the_stages_add_up_to_those_of_an_image() -> None:
    for name, stages in (("gate", {"decode", "gate"}), ("two", {"decode", "gate", "segmenter"})):
        figures = stored(f"chained/{name}")["figures"]
        assert set(figures["chain"]["seconds"]) == stages
        assert sum(figures["chain"]["seconds"].values()) == pytest.approx(figures["seconds_per_image"])


def test_what_a_gate_passes_and_where_stages_disagree_is_counted() -> None:
    """Four images behind a gate: passed, rejected, disagreed about, and one that could not be judged."""
    all_stages = {"gate.network": 1000.0, "segmenter.network": 3000.0, "segmenter.decide": 1000.0}
    answers: list[tuple[Verdict, dict[str, float], tuple[str, ...]]] = [
        (Verdict.OK, {"decode": 500.0, "gate.network": 1000.0}, ()),
        (Verdict.NG, all_stages, ()),
        (Verdict.REVIEW, all_stages, ("why",)),
        (Verdict.ERROR, {}, ()),
    ]
    records = [
        ImageRecord(
            Sample(Path("a"), "a"),
            Inspection("a", None, verdict, 0.5, (), "b", timings_ms=timings, reasons=reasons),
            (),
            np.zeros((0, 0), np.float32),
        )
        for verdict, timings, reasons in answers
    ]
    gate, segmenter = (
        BundleInspector(SimpleNamespace(classifies=False, segments=outlines), {}, 0.1, 0.5, str(outlines))
        for outlines in (False, True)
    )
    figures = chain_figures(Chain((gate, segmenter)), records)
    assert figures["seconds"] == {"decode": 0.125, "gate": 0.75, "segmenter": 2.0}
    assert [(figures[name]["n"], figures[name]["of"]) for name in ("passed", "disagreed")] == [(1, 3), (1, 3)]
    alone = chain_figures(segmenter, [replace(records[0], inspection=timed_alone())])
    assert alone == {"seconds": {"decode": 0.5, "segmenter": 3.0}}


def timed_alone() -> Inspection:
    timings = {"decode": 500.0, "network": 1000.0, "decide": 2000.0}
    return Inspection("a", None, Verdict.OK, 0.1, (), "b", timings_ms=timings)


def test_the_settings_of_every_stage_are_kept_and_the_row_is_measured_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = stored("chained/two")["settings"]
    assert settings["stages"] == ["gates/gate", "outlines/ours"]
    assert settings["gates/gate.steps"] == 2 and settings["outlines/ours.floor"] == 1.0
    monkeypatch.setattr(table_module, "fill", lambda *_: pytest.fail("a stored row was measured again"))
    text = fill("chained").read_text()
    assert f"{stored('chained/two')['figures']['image']['auroc']:.3f}" in text
    write("outlines", settings={**TABLES["outlines"]["settings"], "floor": 2.0})
    with pytest.raises(
        BlemishError, match=r"two-seed0\.json: .* outlines/ours\.floor=1\.0\. Received: .*=2\.0"
    ):
        fill("chained")


def test_a_row_waits_for_the_stage_that_is_not_trained() -> None:
    with pytest.raises(
        BlemishError, match=r"gate-seed1, two-seed1 must have .*gates/runs/gate-seed1/bundle.*reproduce gates"
    ):
        fill("chained", seeds=2)
    Path("out/gates/runs/gate-seed1").mkdir()
    copy = Path("out/gates/runs/gate-seed1/bundle")
    copy.symlink_to(Path("out/gates/runs/gate-seed0/bundle").resolve())
    try:
        with pytest.raises(
            BlemishError, match=r"table chained: two-seed1 must .*reproduce outlines --out out"
        ):
            fill("chained", seeds=2)
    finally:
        copy.unlink()
        Path("out/chained/gate-seed1.json").unlink()


def test_a_few_shot_row_is_a_stage_too() -> None:
    """Trained with the table's groups and a draw, which the chain does not ask for again."""
    write("names")
    fill("names")
    stages = ["gates/gate", "outlines/ours", "names/few"]
    row = {"name": "three", "kind": "chain", "stages": stages}
    write("chained", rows=[row], columns=[{"path": "type.accuracy", "heading": "types"}])
    table = open_table("chained", Path("out"), data=None, reporter=Reporter(quiet=True))
    three = table.experiment.row("three")
    figures = ChainKind().measure(table, RowJob(three, seed=0))
    assert figures["method"] == "medetection+severity+tlsdd" and "type" in figures
    assert ChainKind().settings(table, three)["names/few.shots"] == 1
    pair = three.model_copy(update={"stages": ("outlines/ours", "names/few")})
    figures = ChainKind().measure(table, RowJob(pair, seed=0))["chain"]
    assert set(figures) == {"seconds", "disagreed"}, "without a gate nothing is passed by it"
    write("names", settings={**TABLES["names"]["settings"], "steps": 3})
    table = open_table("chained", Path("out"), data=None, reporter=Reporter(quiet=True))
    with pytest.raises(BlemishError, match=r"was trained with steps=2\. Row few of table names has 3"):
        ChainKind().measure(table, RowJob(three, seed=0))


def test_a_bundle_that_has_seen_a_test_image_is_refused() -> None:
    table = open_table("chained", Path("out"), data=None, reporter=Reporter(quiet=True))
    place = Path("out/gates/runs/gate-seed7/bundle")
    bundle = load_bundle(Path("out/gates/runs/gate-seed0/bundle"))
    seen = image_digests(table.dataset.split("test"))[:2]
    for known in ("trained_on", "validated_on"):
        data = {**bundle.manifest.data, known: [*bundle.manifest.data[known], *seen]}
        save_bundle(place, bundle.manifest.model_copy(update={"data": data}), bundle.networks)
        with pytest.raises(
            BlemishError, match=r"row gate: test images must be new .* validated on 2 of \d+\. Tr"
        ):
            ChainKind().measure(table, RowJob(table.experiment.row("gate"), seed=7))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"name": "a", "kind": "chain"}], "'stages' belong to the kind chain, which has one or more"),
        ([{"name": "a", "kind": "train", "stages": ["b/c"]}], "'stages' belong to the kind chain"),
        ([{"name": "a", "kind": "chain", "stages": ["b"]}], "unknown stage above a: 'b'"),
    ],
)
def test_stages_belong_to_chains_alone(rows: list[dict[str, Any]], message: str) -> None:
    fields = {"title": "t", "paper": "p", "dataset": "d", "columns": [{"path": "a", "heading": "a"}]}
    with pytest.raises(ValueError, match=message):
        Experiment.model_validate({**fields, "rows": rows})


def test_a_stage_must_be_a_trained_row() -> None:
    row = {"name": "two", "kind": "chain", "stages": ["chained/two"]}
    write("chained", rows=[row], columns=[{"path": "image.auroc", "heading": "AUROC"}])
    table = open_table("chained", Path("out"), data=None, reporter=Reporter(quiet=True))
    with pytest.raises(BlemishError, match=r"'stages' must name a trained row\. Received: 'chained/two'"):
        ChainKind().settings(table, table.experiment.row("two"))


def test_the_stages_of_the_projects_chains_are_rows_that_can_be_trained(monkeypatch: Any) -> None:
    monkeypatch.chdir(CHECKOUT)
    experiment = read_experiment("chain-magnetic-tile")
    table = open_table("chain-magnetic-tile", Path("out"), data=None, reporter=Reporter(quiet=True))
    for row in experiment.rows:
        assert ChainKind().settings(table, row)["stages"] == list(row.stages)
