from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks.tables.experiment import CHECKOUT, expanded, find_experiment, read_experiment
from benchmarks.tables.schema import Experiment
from blemish.errors import BlemishError

TABLES = sorted({file.stem for file in (CHECKOUT / "experiments").glob("*.yaml")} - {"order"})
SMALLEST = {
    "title": "T",
    "paper": "P",
    "dataset": "set",
    "rows": [{"name": "ours", "kind": "train"}],
    "columns": [{"path": "pixel.f1", "heading": "F1"}],
}


def write(folder: Path, name: str, **changes: object) -> None:
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / f"{name}.yaml").write_text(yaml.safe_dump({**SMALLEST, **changes}))


def fault(folder: Path, **changes: object) -> str:
    write(folder, "faulty", **changes)
    with pytest.raises(BlemishError) as error:
        read_experiment("faulty")
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_of_the_project_is_read_and_has_its_command_in_the_readme(name: str) -> None:
    experiment = read_experiment(name)
    assert isinstance(experiment, Experiment)
    assert f"blemish reproduce {name} " in (CHECKOUT / "experiments" / "README.md").read_text()


def test_the_tables_of_the_paper_are_there() -> None:
    assert set(TABLES) >= {
        "severity-crackforest", "severity-aiglern", "severity-magnetic-tile", "severity-synthetic-dagm",
        "severity-stability", "severity-speed",
    }  # fmt: skip


def test_the_working_folder_goes_before_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_experiment("severity-speed").parents[1] == CHECKOUT
    write(tmp_path, "severity-speed")
    assert find_experiment("severity-speed").parents[1] == tmp_path
    assert read_experiment("severity-speed").title == "T"


def test_an_unknown_name_is_told_with_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "mine")
    with pytest.raises(
        BlemishError, match=r"'severity-sped'.*Did you mean 'severity-speed'\?.*mine, outlines"
    ):
        read_experiment("severity-sped")
    with pytest.raises(BlemishError, match=r"Received: '\.\./experiments/mine'"):
        read_experiment("../experiments/mine")


def test_faults_of_a_file_name_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train = {"name": "ours", "kind": "train"}
    assert "unknown key 'colums'. Did you mean 'columns'?" in fault(tmp_path, colums=[])
    assert "row names must differ" in fault(tmp_path, rows=[train, train])
    assert "unknown column: 'pixel.f2'" in fault(
        tmp_path, goals=[{"row": "ours", "column": "pixel.f2", "at_least": 1}]
    )
    assert "exactly one of" in fault(tmp_path, goals=[{"row": "ours", "column": "pixel.f1"}])
    off = {"name": "off", "kind": "types-off", "of": "their"}
    assert "unknown trained row above off: 'their'. There is: ours" in fault(tmp_path, rows=[train, off])
    assert "'of' belongs to" in fault(tmp_path, rows=[{**train, "of": "ours"}])
    assert "one of dataset, synthetic and collection" in fault(tmp_path, dataset=None)
    assert "one of dataset, synthetic and collection" in fault(tmp_path, collection={})
    assert "targets belong to a table with rows of one product" in fault(tmp_path, targets=["a"])
    product = {"name": "ours", "kind": "product"}
    assert "targets belong to a table with rows of one product" in fault(tmp_path, rows=[product])
    assert "unknown row that is to be reached: 'other'" in fault(
        tmp_path, rows=[{**product, "reach": "other"}], targets=["a"]
    )
    assert "unknown kind 'trainn'. Did you mean 'train'?" in fault(
        tmp_path, rows=[{"name": "ours", "kind": "trainn"}]
    )
    assert "rows.0.name" in fault(tmp_path, rows=[{"name": "Our row", "kind": "train"}])


def test_environment_variables_in_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLEMISH_WEIGHTS", "/elsewhere")
    assert expanded({"types_backbone_weights": "${BLEMISH_WEIGHTS}/w", "steps": 3}) == {
        "types_backbone_weights": "/elsewhere/w",
        "steps": 3,
    }
    monkeypatch.delenv("BLEMISH_WEIGHTS")
    with pytest.raises(
        BlemishError, match=r"^types_backbone_weights: .* variable BLEMISH_WEIGHTS, which is not set"
    ):
        expanded({"types_backbone_weights": "${BLEMISH_WEIGHTS}/w"})
    with pytest.raises(BlemishError, match=r"weights: '\$\{' must name variables"):
        expanded({"weights": "${"})
