"""Rows that two tables have: measured once, shown in both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables import fill as table_module
from benchmarks.tables.experiment import CHECKOUT, for_targets, table_names
from benchmarks.tables.fill import fill_table, refuse_unlike, results_of, shared_rows
from benchmarks.tables.results import read_result
from benchmarks.tables.schema import Experiment
from benchmarks.tables.table import Table, open_table
from blemish.errors import BlemishError
from blemish.progress import Reporter

SURFACES = {"images": 15, "seed": 0, "size": [64, 64]}
HOME: dict[str, Any] = {
    "title": "Home",
    "paper": "none",
    "synthetic": SURFACES,
    "rows": [{"name": "otsu", "kind": "otsu"}, {"name": "kittler", "kind": "kittler"}],
    "columns": [{"path": "pixel.f1", "heading": "F1", "decimals": 6}],
}
BESIDE = {
    **HOME,
    "title": "Beside",
    "rows": [{"name": "gray", "kind": "otsu", "same_as": "home/otsu"}, {"name": "own", "kind": "kittler"}],
}


@pytest.fixture(autouse=True)
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write(home=HOME, beside=BESIDE)


def write(**experiments: dict[str, Any]) -> None:
    Path("experiments").mkdir(exist_ok=True)
    for name, experiment in experiments.items():
        Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump(experiment))


def fill(name: str) -> str:
    return fill_table(name, Path("out"), data=None, seeds=1, quiet=True).read_text()


def opened(name: str) -> Table:
    return open_table(name, Path("out"), data=None, reporter=Reporter(quiet=True))


def test_it_is_measured_where_it_is_at_home_and_shown_here() -> None:
    page = fill("beside")
    assert {file.name for file in Path("out").glob("*/*.json")} == {"otsu.json", "own.json"}
    stored = read_result(Path("out/home/otsu.json"))
    assert f"| gray | – | {stored.figures['pixel']['f1']:.6f} |" in page
    assert stored.command.startswith("blemish reproduce home ")
    assert stored.command in page


def test_it_is_measured_once_whichever_table_is_filled_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fill("home")
    fill_row = table_module.fill
    filled_rows: list[str] = []

    def watched(table: Table, job: Any, seeds: int) -> None:
        filled_rows.append(f"{table.name}/{job.name}")
        fill_row(table, job, seeds)

    monkeypatch.setattr(table_module, "fill", watched)
    fill("beside")
    assert filled_rows == ["beside/own"]


def test_a_row_of_other_data_or_settings_is_refused_before_anything_runs() -> None:
    write(beside={**BESIDE, "synthetic": {**SURFACES, "seed": 1}})
    with pytest.raises(BlemishError, match="beside, row gray: same_as must name a row of the same data"):
        fill("beside")
    write(beside={**BESIDE, "rows": [{**BESIDE["rows"][0], "settings": {"smooth": 3.0}}]})
    with pytest.raises(BlemishError, match="settings"):
        fill("beside")
    assert not Path("out").exists() or not list(Path("out").glob("*/*.json"))


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("home/otzu", r"'same_as' must name a row of kind otsu that is measured in its table.* has otsu\."),
        ("home/kittler", r"Received: 'home/kittler'. Table home has otsu\."),
        ("beside/gray", r"Table beside has none\."),
        ("nowhere/otsu", "NAME must be a table"),
        ("otsu", "same_as"),
    ],
)
def test_what_is_no_such_row_is_refused(named: str, message: str) -> None:
    write(beside={**BESIDE, "rows": [{"name": "gray", "kind": "otsu", "same_as": named}]})
    with pytest.raises(BlemishError, match=message):
        fill("beside")


def test_a_file_of_its_own_beside_the_shared_one_is_refused() -> None:
    fill("beside")
    own = read_result(Path("out/home/otsu.json")).model_copy(update={"table": "beside", "row": "gray"})
    Path("out/beside/gray.json").write_text(own.model_dump_json())
    with pytest.raises(BlemishError, match=r"gray\.json: row gray is measured as home/otsu\. Remove"):
        fill("beside")


def test_the_overview_does_not_count_such_a_file_twice() -> None:
    fill("beside")
    stored = read_result(Path("out/home/otsu.json"))
    own = stored.model_copy(update={"table": "beside", "row": "gray", "figures": {"pixel": {"f1": 0.25}}})
    Path("out/beside/gray.json").write_text(own.model_dump_json())
    (shown,) = [one for one in results_of(opened("beside")) if one.row == "gray"]
    assert shown.figures == stored.figures


def test_the_home_tables_page_is_written_too() -> None:
    page = fill("beside")
    home = Path("out/home/table.md").read_text()
    (line,) = [line for line in home.splitlines() if line.startswith("| otsu |")]
    assert line.removeprefix("| otsu") in page
    assert "| kittler | not run |" in home


def test_rows_of_products_name_the_row_of_their_product() -> None:
    rows = [{"name": "ours", "kind": "product", "same_as": "other/theirs"}]
    fields = {**HOME, "synthetic": None, "dataset": "parts", "targets": ["A b"], "rows": rows}
    (row,) = for_targets(Experiment.model_validate(fields), ["A b"]).rows
    assert (row.name, row.same_as) == ("ours-a-b", "other/theirs-a-b")


def test_the_projects_shared_rows_are_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    having = [table for name in table_names() if shared_rows(table := in_results(name))]
    assert len(having) >= 5
    for table in having:
        refuse_unlike(table)
    (ours,) = [one for one in results_of(in_results("tl-sdd-ablations")) if one.seed == 0]
    assert (ours.table, ours.row) == ("tl-sdd-ablations", "default")


def in_results(name: str) -> Table:
    return open_table(name, CHECKOUT / "experiments/results", data=None, reporter=Reporter(quiet=True))
