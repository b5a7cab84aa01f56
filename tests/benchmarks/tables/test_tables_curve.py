"""The key `curves` of a table's file: what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.tables.experiment import read_experiment
from benchmarks.tables.schema import Experiment
from blemish.errors import BlemishError

BY_SETTING: dict[str, Any] = {
    "file": "f1.svg", "title": "F1", "x_name": "steps", "y_name": "F1",
    "setting": "steps", "column": "pixel.f1", "lines": {"ours": ["short", "long"]},
}  # fmt: skip
BY_EPOCH = {key: BY_SETTING[key] for key in ("title", "x_name", "y_name")} | {
    "file": "recall.svg", "look": "recall", "lines": {"ours": ["short"]},
}  # fmt: skip
TABLE: dict[str, Any] = {
    "title": "T",
    "paper": "P",
    "dataset": "set",
    "settings": {"rate": 0.1, "precision": "fp32"},
    "rows": [
        {"name": "short", "kind": "train", "settings": {"steps": 10}},
        {"name": "long", "kind": "train", "settings": {"steps": 20}},
    ],
    "columns": [{"path": "pixel.f1", "heading": "F1"}, {"path": "ap.*", "heading": "*"}],
}


@pytest.fixture
def fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The message on a table with these curves."""
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()

    def told(*curves: dict[str, Any]) -> str:
        Path("experiments/t.yaml").write_text(yaml.safe_dump({**TABLE, "curves": list(curves)}))
        with pytest.raises(BlemishError) as error:
            read_experiment("t")
        assert "\n" not in str(error.value) and "t.yaml: " in str(error.value)
        return str(error.value).split("t.yaml: ")[1]

    return told


def test_both_kinds_of_curve_are_read() -> None:
    curves = Experiment.model_validate({**TABLE, "curves": [BY_SETTING, BY_EPOCH]}).curves
    assert [curve.row_names for curve in curves] == [["short", "long"], ["short"]]


def test_keys_and_values_that_are_none_are_refused(fault: Any) -> None:
    assert "unknown key 'curves.0.rows'" in fault({**BY_SETTING, "rows": ["short"]})
    assert "'curves.0.file'" in fault({**BY_SETTING, "file": "../f1.svg"})
    assert "'curves.0.file'" in fault({**BY_SETTING, "file": "f1.png"})
    assert "'curves.0.look'" in fault({**BY_EPOCH, "look": "recal"})
    assert "'curves.0.lines'" in fault({**BY_SETTING, "lines": {}})
    assert "'curves.0.y_name'" in fault({key: BY_SETTING[key] for key in BY_SETTING if key != "y_name"})


def test_x_and_y_belong_together(fault: Any) -> None:
    rule = "curve f1.svg must have setting and column, or look"
    assert rule in fault({**BY_SETTING, "column": None})
    assert rule in fault({**BY_SETTING, "look": "recall"})
    assert rule in fault({**BY_SETTING, "setting": None, "column": None})
    assert "levels go with setting, under names that no line has" in fault(
        {**BY_SETTING, "levels": {"ours": "long"}}
    )
    assert "unknown row of curve f1.svg: 'none'" in fault({**BY_SETTING, "levels": {"most": "none"}})
    assert "limits must ascend. Received: [1.0, 0.0]" in fault({**BY_SETTING, "limits": [1, 0]})
    assert "line 'ours' must be one row. Received: ['short', 'long']" in fault(
        {**BY_EPOCH, "lines": BY_SETTING["lines"]}
    )
    assert "line 'ours' must have rows. Received: []" in fault({**BY_SETTING, "lines": {"ours": []}})


def test_rows_and_columns_must_be_the_tables(fault: Any) -> None:
    unknown = fault({**BY_EPOCH, "lines": {"ours": ["shrt"]}})
    assert "unknown row of curve recall.svg: 'shrt'. Did you mean 'short'? There is: short, long" in unknown
    assert "unknown column of curve f1.svg: 'pixel.f2'" in fault({**BY_SETTING, "column": "pixel.f2"})
    assert "unknown column of curve f1.svg: 'ap.*'" in fault({**BY_SETTING, "column": "ap.*"})
    assert "files of curves must differ. Received: f1.svg, f1.svg" in fault(BY_SETTING, BY_SETTING)


@pytest.mark.parametrize(
    ("setting", "received"), [("rate", "0.1, 0.1"), ("precision", "fp32, fp32"), ("stepz", "None, None")]
)
def test_each_row_of_a_line_has_a_place_of_its_own(fault: Any, setting: str, received: str) -> None:
    text = fault({**BY_SETTING, "setting": setting})
    assert f"must each have another number as setting '{setting}'. Received: {received}" in text
