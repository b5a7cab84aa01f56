"""The driver from table to stored row, with a peer of twenty lines in place of the real ones."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.peers import bench, environment, prepare
from benchmarks.tables.results import read_result
from benchmarks.tables.table import Table, open_table
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.progress import Reporter

HOME = Path(environment.__file__).parent
ORACLE = """
import json, sys, time
from pathlib import Path
from benchmarks.peers.answers import write_scores
from benchmarks.peers.job import main
from benchmarks.peers.task import read_task

def fit(job):
    (job.out / "model").write_text(json.dumps(sorted(one.id for one in read_task(job.data).train)))
    if "sleep" in job.options:
        time.sleep(float(job.options["sleep"]))
    return {"weights": "none at all", "cores": job.cores, "seed": job.seed}

def predict(job):
    (job.out / "model").read_text()
    truth = json.loads(Path(job.options["truth"]).read_text())
    write_scores(job.out, {one.id: truth[one.id] for one in read_task(job.data).predict})
    return {"seconds_per_image": 0.5}

main(fit, predict)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product in data/, and a peer "oracle" that is told the truth."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    for seed, surface in enumerate(("wood_grain", "cast_metal")):
        synthesise(
            Path("data", "tasks", surface), surfaces=[surface], images=24, seed=seed, size=(48, 48),
            defective_share=0.5,
        )  # fmt: skip
    home = tmp_path / "home" / "benchmarks" / "peers"
    (home / "oracle").mkdir(parents=True)
    for file in HOME.glob("*.py"):
        (home / file.name).write_bytes(file.read_bytes())
    (home.parent / "__init__.py").touch()
    (home / "oracle" / "run.py").write_text(ORACLE)
    monkeypatch.setattr(environment, "HOME", home)
    monkeypatch.setitem(prepare.KINDS, "oracle", "verdicts")
    return tmp_path


def opened(**settings: Any) -> Table:
    options = {"truth": str(Path("truth.json").resolve()), **settings.pop("options", {})}
    row = {
        "name": "oracle", "kind": "external-product",
        "settings": {"peer": "oracle", "minutes": 1, "options": options, **settings},
    }  # fmt: skip
    experiment = {
        "title": "Products", "paper": "none", "dataset": "tasks", "method": "medetection",
        "targets": ["wood_grain"], "rows": [row], "columns": [{"path": "image.auroc", "heading": "AUROC"}],
    }  # fmt: skip
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", "products.yaml").write_text(yaml.safe_dump(experiment))
    table = open_table("products", Path("out"), data=Path("data"), reporter=Reporter(quiet=True))
    truth = {sample.id: 50.0 * sample.is_defective - 3 for sample in table.dataset}
    Path("truth.json").write_text(json.dumps(truth))
    return table


def test_a_row_is_trained_answered_measured_and_stored() -> None:
    pytest.importorskip("blemish.evaluation.predictions", reason="predictions cannot be measured yet")
    table = opened(cores=2)
    text = bench.fill_external(table, 1, Path("environments")).read_text()
    result = read_result(Path("out/products/oracle-wood-grain-seed0.json"))
    assert result.figures["image"]["auroc"] == 1
    assert result.figures["image"]["f1"] == 1
    test = [sample for sample in table.dataset.split("test") if sample.product == "wood_grain"]
    assert result.figures["images"] == len(test)
    assert result.figures["seconds_per_image"] == 0.5
    assert 0 < result.figures["seconds_training"] < 60
    assert result.figures["peer"]["cores"] == 2
    assert result.figures["peer"]["stopped_by_the_clock"] is False
    assert (result.settings["minutes"], result.settings["peer"]) == (1, "oracle")
    assert result.command == "make peers TABLE=products ROWS=oracle SEEDS=1"
    assert "| 1.000 |" in text
    stored = Path("out/products/oracle-wood-grain-seed0.json").stat().st_mtime_ns
    bench.fill_external(table, 1, Path("environments"))
    assert Path("out/products/oracle-wood-grain-seed0.json").stat().st_mtime_ns == stored


def test_a_row_shared_with_an_unlike_one_is_refused_before_a_peer_runs() -> None:
    opened()
    file = Path("experiments/products.yaml")
    experiment = yaml.safe_load(file.read_text())
    own = {"name": "ours", "kind": "product"}
    Path("experiments/home.yaml").write_text(
        yaml.safe_dump({**experiment, "rows": [{**own, "settings": {"steps": 7}}]})
    )
    shared = {**own, "same_as": "home/ours"}
    file.write_text(yaml.safe_dump({**experiment, "rows": [*experiment["rows"], shared]}))
    table = open_table("products", Path("out"), data=Path("data"), reporter=Reporter(quiet=True))
    with pytest.raises(BlemishError, match="same_as must name a row of the same steps"):
        bench.fill_external(table, 1, Path("environments"))
    assert not Path("out").exists()


def test_one_that_is_stopped_by_the_clock_answers_with_what_it_left() -> None:
    pytest.importorskip("blemish.evaluation.predictions", reason="predictions cannot be measured yet")
    bench.fill_external(opened(minutes=0.1, options={"sleep": 60}), 1, Path("environments"))
    figures = read_result(Path("out/products/oracle-wood-grain-seed0.json")).figures
    assert figures["peer"] == {"weights": "random weights", "stopped_by_the_clock": True}
    assert 6 <= figures["seconds_training"] < 20


def test_one_that_leaves_no_answer_is_told_and_nothing_is_stored(folder: Path) -> None:
    table = opened()
    Path("truth.json").write_text("{}")
    with pytest.raises(BlemishError, match=r"peer oracle must end its phase 'predict' well.*KeyError"):
        bench.fill_external(table, 1, Path("environments"))
    assert not list(Path("out/products").glob("*.json"))


def test_an_unknown_peer_is_told_with_those_there_are() -> None:
    with pytest.raises(BlemishError, match=r"setting peer must be one of oracle\. Received: 'oracel'"):
        environment.folder_of("oracel")


def test_a_peer_without_a_lock_runs_on_the_projects_interpreter() -> None:
    assert environment.interpreter_of("oracle", Path("e"), Reporter(quiet=True)) == Path(sys.executable)


def test_a_lock_may_be_that_of_another_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "HOME", HOME)
    made = []
    monkeypatch.setattr(environment, "make", lambda place, lock: made.append((place.name, lock)))
    for peer in ("patchcore", "efficientad"):
        environment.interpreter_of(peer, Path("e"), Reporter(quiet=True))
    assert made[0] == made[1]
    assert made[0][1] == HOME / "patchcore" / "requirements.lock"


def test_a_run_imports_nothing_of_the_projects_sources_and_keeps_to_its_threads() -> None:
    own = environment.variables(3)
    assert own["OMP_NUM_THREADS"] == "3"
    assert own["PYTHONPATH"] == str(environment.HOME.parents[1])


def test_every_peer_of_the_tables_has_its_folder_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "HOME", HOME)
    for file in (HOME.parents[1] / "experiments").glob("peers-*.yaml"):
        for row in yaml.safe_load(file.read_text())["rows"]:
            if row["kind"].startswith("external"):
                assert environment.folder_of(row["settings"]["peer"]).is_dir()
                assert row["settings"]["peer"] in prepare.KINDS


def test_another_budget_than_the_tables_goes_to_another_folder() -> None:
    table = opened()
    assert bench.with_minutes(table, None) is table
    assert bench.with_minutes(table, 0.5).experiment.rows[0].settings["minutes"] == 0.5
    kept = Table(table.name, table.experiment, Path("experiments/results"), table.data, table.reporter)
    with pytest.raises(BlemishError, match="must be for a try"):
        bench.with_minutes(kept, 0.5)
