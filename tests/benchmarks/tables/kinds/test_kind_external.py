"""Rows of other tools: `reproduce` says what fills them, and prints them once they are there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables.experiment import read_experiment
from benchmarks.tables.fill import fill_table, result_of, wanted_jobs, write_table
from benchmarks.tables.kinds.external import ExternalSettings
from benchmarks.tables.results import RowJob, read_result, write_result
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table, open_table
from blemish.errors import BlemishError
from blemish.evaluation.fewshot import mean_interval
from blemish.progress import Reporter
from blemish.provenance import provenance

TABLE: dict[str, Any] = {
    "title": "Peers", "paper": "none", "method": "tlsdd",
    "synthetic": {
        "images": 24, "seed": 3, "size": [96, 96], "class_weights": {"scratch": 1, "spot": 1, "stain": 1},
    },
    "classes": {"common": ["scratch", "spot"], "rare": ["stain"]},
    "rows": [
        {
            "name": "yolo-1", "kind": "external-few-shot",
            "settings": {"peer": "yolo", "minutes": 2, "shots": 1},
        },
        {
            "name": "yolo-5", "kind": "external-few-shot", "against": "yolo-1",
            "settings": {"peer": "yolo", "minutes": 2, "shots": 5, "weights": "${BLEMISH_WEIGHTS}/y.pt"},
        },
    ],
    "columns": [
        {"path": "few_shot.nap50", "heading": "nAP50", "paired": True},
        {"path": "peer.weights", "heading": "starts from"},
    ],
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write()


def settings_of(table: Table, row: TableRow) -> dict[str, Any]:
    return row.traits.settings(table, row)


def write(**changes: Any) -> None:
    Path("experiments").mkdir(exist_ok=True)
    Path("experiments", "peers.yaml").write_text(yaml.safe_dump({**TABLE, **changes}, sort_keys=False))


def opened() -> Table:
    return open_table("peers", Path("out"), data=None, reporter=Reporter(quiet=True))


def store(table: Table, job: RowJob, nap50: float) -> Path:
    figures = {
        "few_shot": {"nap50": nap50},
        "draw": {"digest": f"draw {job.seed}"},
        "peer": {"weights": "random weights"},
    }
    settings = settings_of(table, job.row)
    return write_result(
        table.folder, result_of(table, job, figures, 130.0, settings, "make peers", provenance())
    )


def test_what_is_not_there_is_named_with_the_command_that_fills_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill_table("peers", Path("out"), data=None, seeds=2, quiet=False)
    printed = " ".join(capsys.readouterr().err.split())
    assert "yolo-1-seed0, yolo-5-seed0, yolo-1-seed1, yolo-5-seed1 are other tools'" in printed
    assert "`make peers TABLE=peers ROWS=yolo-1,yolo-5 SEEDS=2`" in printed
    assert not list(Path("out/peers").glob("*.json"))


def test_stored_rows_are_read_and_printed_over_draws(capsys: pytest.CaptureFixture[str]) -> None:
    table = opened()
    values = {"yolo-1": [0.1, 0.2], "yolo-5": [0.3, 0.5]}
    for job in wanted_jobs(table, 2):
        assert job.seed is not None
        file = store(table, job, values[job.row.name][job.seed])
        result = read_result(file)
        assert (result.kind, result.seconds, result.data_fingerprint) == (
            "external-few-shot", 130.0, table.fingerprint,
        )  # fmt: skip
    text = fill_table("peers", Path("out"), data=None, seeds=2, quiet=False).read_text()
    half = mean_interval(values["yolo-5"]).half_width
    assert f"| yolo-5 | 2 | 0.400 ± {half:.3f} | random weights |" in text
    assert "Difference to yolo-1 on the same draws" in text
    assert "+0.250" in text
    assert "other tools'" not in capsys.readouterr().err


def test_a_row_of_another_budget_is_refused() -> None:
    store(opened(), next(wanted_jobs(opened(), 1)), 0.1)
    rows = [
        {**TABLE["rows"][0], "settings": {**TABLE["rows"][0]["settings"], "minutes": 3}},
        TABLE["rows"][1],
    ]
    write(rows=rows)
    with pytest.raises(BlemishError, match=r"measured with minutes=2.* Received: minutes=3"):
        fill_table("peers", Path("out"), data=None, seeds=1, quiet=True)


def test_settings_say_where_weights_are_from_as_the_table_has_it() -> None:
    table = opened()
    settings = settings_of(table, table.experiment.row("yolo-5"))
    assert (settings["weights"], settings["cores"]) == ("${BLEMISH_WEIGHTS}/y.pt", 1)
    write_table(table)


def test_a_misspelt_setting_is_told() -> None:
    write(rows=[{"name": "yolo", "kind": "external-few-shot", "settings": {"peer": "yolo", "minute": 2}}])
    table = opened()
    with pytest.raises(BlemishError, match=r"table peers, row yolo: settings: .*minute"):
        settings_of(table, table.experiment.rows[0])


def test_a_budget_is_positive() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        ExternalSettings(peer="yolo", minutes=0)


def test_a_row_trains_a_method_of_its_own_with_its_own_settings_alone() -> None:
    other = {"name": "severity", "kind": "train", "method": "severity", "settings": {"cell": 4}}
    write(rows=[other, *TABLE["rows"]], settings={"shots": 3})
    table = opened()
    settings = settings_of(table, table.experiment.row("severity"))
    assert settings["cell"] == 4
    assert "shots" not in settings


def test_a_method_of_its_own_belongs_to_a_training_row() -> None:
    write(rows=[{**TABLE["rows"][0], "method": "casae"}])
    with pytest.raises(BlemishError, match="a method of its own belongs to the kind train"):
        read_experiment("peers")
