"""`reproduce order`: which rows are filled, in what order, and what a fault stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables.experiment import CHECKOUT, table_names
from benchmarks.tables.fill import chosen_rows, fill_order
from benchmarks.tables.order import read_order
from benchmarks.tables.results import read_result
from benchmarks.tables.table import open_table
from blemish.cli import tables
from blemish.errors import BlemishError
from blemish.progress import Reporter

TABLE: dict[str, Any] = {
    "title": "Tiny", "paper": "none",
    "synthetic": {
        "images": 12, "seed": 0, "size": [48, 48], "pairing": "dagm",
        "surfaces": ["woven_fabric", "concrete"],
    },
    "rows": [{"name": name, "kind": kind} for name, kind in (("low", "otsu"), ("high", "kittler"))],
    "columns": [{"path": "pixel.f1", "heading": "F1"}],
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    Path("experiments").mkdir()
    for name in ("one", "two"):
        Path("experiments", f"{name}.yaml").write_text(yaml.safe_dump(TABLE))
    return tmp_path


def ordered(*steps: dict[str, Any]) -> None:
    Path("experiments/order.yaml").write_text(yaml.safe_dump({"title": "Order", "steps": list(steps)}))


def test_rows_are_filled_in_the_order_of_the_file() -> None:
    ordered({"table": "two", "rows": ["high"], "seeds": 1}, {"table": "one"}, {"table": "two"})
    fill_order(Path("out"), data=None, quiet=True)
    files = sorted(Path("out").glob("*/*.json"), key=lambda file: file.stat().st_mtime_ns)
    names = [f"{file.parent.name}/{file.stem}" for file in files]
    assert names[0] == "two/high"
    assert {name.split("/")[0] for name in names[1:3]} == {"one"}
    assert names[3:] == ["two/low"]
    assert read_result(Path("out/one/low.json")).command.startswith("blemish reproduce one ")


def test_a_fault_in_one_table_is_told_when_the_others_are_filled() -> None:
    ordered({"table": "one", "rows": ["hihg"]}, {"table": "two", "rows": ["low"]})
    with pytest.raises(
        BlemishError, match=r"not all was filled in one\. The first fault: rows must name.*hihg"
    ):
        fill_order(Path("out"), data=None, quiet=True)
    assert Path("out/two/low.json").is_file()


def test_the_file_is_no_table() -> None:
    ordered({"table": "one"})
    assert "order" not in table_names()
    assert "one" in table_names()


@pytest.mark.parametrize(
    ("steps", "fault"),
    [([], "steps"), ([{"table": "one", "tabel": "two"}], "tabel"), ([{"table": "one", "seeds": 0}], "seeds")],
)
def test_a_fault_in_the_file_is_told(steps: list[dict[str, Any]], fault: str) -> None:
    ordered(*steps)
    with pytest.raises(BlemishError, match=rf"order\.yaml.*{fault}"):
        read_order()


def test_options_of_a_single_table_are_refused() -> None:
    with pytest.raises(BlemishError, match="--rare must be given for a single table"):
        tables.fill_table("order", Path("out"), data=None, quiet=True, rare="dent")


def test_the_checkouts_order_names_tables_and_rows_that_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    _, order = read_order()
    for step in order.steps:
        table = open_table(step.table, Path("out"), data=None, reporter=Reporter(quiet=True))
        assert chosen_rows(table.experiment, step.rows)
    assert "tl-sdd-table2" in {step.table for step in order.steps}
