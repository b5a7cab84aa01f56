"""Tables filled end to end on 15 tiny images: the bookkeeping, not how good the figures are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from benchmarks.tables import fill as table_module
from benchmarks.tables.by_image import BY_IMAGE, RATIOS
from benchmarks.tables.experiment import CHECKOUT, read_experiment, table_names
from benchmarks.tables.fill import fill_table
from benchmarks.tables.lines import value_at
from benchmarks.tables.results import read_result
from benchmarks.tables.table import open_table
from blemish.bundle.store import load_bundle
from blemish.errors import BlemishError
from blemish.evaluation.run import evaluate_samples
from blemish.inspector.loading import inspector_of
from blemish.progress import Reporter

SETTINGS = {
    "encoder": "paper", "cell": 4, "steps": 4, "patch": 64, "batch": 2, "checkpoint_every": 2,
    "device": "cpu", "precision": "fp32",
    "types_backbone": "resnet18", "types_backbone_weights": "none", "types_steps": 2, "types_batch": 4,
}  # fmt: skip
TINY: dict[str, Any] = {
    "title": "Tiny",
    "paper": "none",
    "synthetic": {
        "images": 15, "seed": 0, "size": [64, 64],
        "pairing": "dagm", "surfaces": ["woven_fabric", "concrete"],
    },
    "settings": SETTINGS,
    "rows": [
        {"name": "otsu", "kind": "otsu"},
        {"name": "ours", "kind": "train"},
        {"name": "types-off", "kind": "types-off", "of": "ours"},
    ],
    "columns": [{"path": "pixel.f1", "heading": "F1"}],
}  # fmt: skip
SHAKEN = {
    "title": "Shaken",
    "paper": "none",
    "rows": [{"name": "tiny", "kind": "stability", "of": "tiny/ours"}],
    "columns": [{"path": "stability.noise", "heading": "noise"}],
}


def write(folder: Path, name: str, experiment: dict[str, Any]) -> None:
    (folder / "experiments").mkdir(exist_ok=True)
    (folder / "experiments" / f"{name}.yaml").write_text(yaml.safe_dump(experiment, sort_keys=False))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with the tables tiny and shaken, tiny filled in out/."""
    folder = tmp_path_factory.mktemp("reproduce")
    write(folder, "tiny", TINY)
    write(folder, "shaken", SHAKEN)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("BLEMISH_ROWS", raising=False)
        fill_table("tiny", Path("out"), data=None, seeds=1, quiet=True)
    return folder


@pytest.fixture(autouse=True)
def in_folder(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts with the tables as they are in TINY and SHAKEN."""
    monkeypatch.chdir(filled)
    monkeypatch.delenv("BLEMISH_ROWS", raising=False)
    write(filled, "tiny", TINY)


def fill(name: str = "tiny", *, seeds: int = 1) -> Path:
    return fill_table(name, Path("out"), data=None, seeds=seeds, quiet=True)


def stored(name: str) -> dict[str, Any]:
    return json.loads(Path("out", "tiny", f"{name}.json").read_text())


def test_each_row_has_its_file_and_the_table_is_written(filled: Path) -> None:
    files = {file.name for file in Path("out/tiny").iterdir()}
    assert files == {"otsu.json", "ours-seed0.json", "types-off-seed0.json", "table.md", "runs"}
    ours = stored("ours-seed0")
    assert (ours["seed"], ours["kind"], ours["dataset"]) == (0, "train", TINY["synthetic"])
    assert ours["settings"]["steps"] == 4
    assert ours["settings"]["join_distance"] == 4.0  # defaults are written too
    assert ours["provenance"]["hardware"]
    assert len(ours["data_fingerprint"]) == 64
    assert f"{ours['figures']['pixel']['f1']:.3f}" in Path("out/tiny/table.md").read_text()


def test_the_figures_are_those_of_evaluating_the_bundle_on_the_test_images() -> None:
    table = open_table("tiny", Path("out"), data=None, reporter=Reporter(quiet=True))
    bundle = load_bundle(Path("out/tiny/runs/ours-seed0/bundle"))
    test = table.dataset.split("test")
    metrics = (
        evaluate_samples(inspector_of(bundle), test, table.reporter)
        .result(method="severity", split="test", seed=0)
        .metrics
    )
    figures = stored("ours-seed0")["figures"]
    assert figures["images"] == len(test) == 3
    for part in ("defect", "image", "type", "severity"):
        assert figures.get(part) == metrics.get(part)
    assert figures["seconds_training"] > 0
    assert figures["cpu_seconds_training"] > 0


@pytest.mark.parametrize("row", ["ours-seed0", "types-off-seed0"])
def test_what_is_stored_of_each_image_adds_up_to_the_metrics(row: str) -> None:
    figures = stored(row)["figures"]
    images = figures[BY_IMAGE]
    assert len(images["groups"]) == figures["images"] == 3
    sums = {name: np.array(sum(values)) for name, values in images.items()}
    measured = {path: value_at(figures, path) for path in RATIOS}
    overkill = measured["operating_point.overkill"]
    measured["operating_point.overkill"] = overkill["n"] / overkill["of"] if overkill["of"] else None
    assert measured["pixel.iou"] is not None
    for path, value in measured.items():
        found = float(RATIOS[path](sums))
        assert found == pytest.approx(value) if value is not None else np.isnan(found), path


def test_types_off_uses_the_same_bundle_without_stage_4() -> None:
    off = stored("types-off-seed0")
    assert "type" not in off["figures"]
    assert not any(key.endswith("_with_type") for key in off["figures"]["defect"])
    assert off["figures"]["defect"]["found"] >= stored("ours-seed0")["figures"]["defect"]["found"]
    assert off["settings"]["of.steps"] == 4


def test_a_second_call_measures_nothing_and_writes_the_same_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "fill", lambda *_: pytest.fail("a stored row was measured again"))
    before = Path("out/tiny/table.md").read_text()
    Path("out/tiny/table.md").unlink()
    assert fill() == Path("out/tiny/table.md")
    assert Path("out/tiny/table.md").read_text() == before


def test_other_settings_are_refused_before_anything_runs(filled: Path) -> None:
    write(filled, "tiny", {**TINY, "settings": {**SETTINGS, "floor": 3.0}})
    with pytest.raises(
        BlemishError, match=r"ours-seed0\.json: .* floor=6\.0\. Received: floor=3\.0\. Use anoth"
    ):
        fill()


def test_other_data_are_refused(filled: Path) -> None:
    write(filled, "tiny", {**TINY, "synthetic": {**TINY["synthetic"], "seed": 1}})
    with pytest.raises(BlemishError, match=r"otsu\.json: .*dataset="):
        fill()


def test_a_setting_that_does_not_exist_is_told_with_table_and_row(filled: Path) -> None:
    rows = [TINY["rows"][1] | {"settings": {"stepz": 1}}]
    write(filled, "wrong", {**TINY, "rows": rows})
    with pytest.raises(
        BlemishError, match=r"table wrong, row ours: settings: unknown key 'stepz'\. Did you mean"
    ):
        fill("wrong")


def test_an_interrupted_training_goes_on_from_its_checkpoint(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the first stage: it is not trained again, and the time adds up."""
    write(filled, "resumed", {**TINY, "rows": TINY["rows"][1:2]})
    with monkeypatch.context() as patch:
        patch.setattr("blemish.methods.severity.training.run.SeverityTraining.train_types", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill("resumed")
    run = Path("out/resumed/runs/ours-seed0")
    assert not (run / "bundle").exists()
    first, spent = (run / "log.jsonl").read_text(), float((run / "seconds").read_text())
    monkeypatch.setattr("blemish.training.trainer.RunTrainer.advance", only("types"))
    fill("resumed")
    assert (run / "log.jsonl").read_text().startswith(first)
    result = read_result(Path("out/resumed/ours-seed0.json"))
    assert result.figures["seconds_training"] > spent
    assert result.figures["defect"] == stored("ours-seed0")["figures"]["defect"]


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def only(name: str) -> Any:
    """The trainer's step, which fails for any other stage."""
    from blemish.training.trainer import RunTrainer

    step = RunTrainer.advance

    def advance(self: Any, stage: Any, *rest: Any) -> float:
        assert stage.name == name
        return step(self, stage, *rest)

    return advance


def test_a_row_can_measure_another_tables_bundle() -> None:
    fill("shaken")
    result = read_result(Path("out/shaken/tiny-seed0.json"))
    assert result.figures["stability"]["noise"]["of"] == 3
    assert result.data_fingerprint == stored("ours-seed0")["data_fingerprint"]
    assert "of 3 (≤ " in Path("out/shaken/table.md").read_text()


def test_rows_wait_for_a_bundle_that_is_not_there(filled: Path) -> None:
    with pytest.raises(
        BlemishError, match=r"tiny-seed1 must have the bundle.*`blemish reproduce tiny --out out`"
    ):
        fill("shaken", seeds=2)
    assert Path("out/shaken/table.md").is_file()


def test_only_the_named_rows_are_filled(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(filled, "partly", TINY)
    monkeypatch.setenv("BLEMISH_ROWS", "otsu")
    fill("partly", seeds=3)
    assert [file.name for file in Path("out/partly").glob("*.json")] == ["otsu.json"]
    assert "| ours | not run | – |" in Path("out/partly/table.md").read_text()
    monkeypatch.setenv("BLEMISH_ROWS", "otzu")
    with pytest.raises(BlemishError, match=r"BLEMISH_ROWS must name rows.*'otzu'.*Did you mean 'otsu'\?"):
        fill("partly")


def test_a_missing_dataset_is_told(filled: Path) -> None:
    write(filled, "lost", {**TINY, "synthetic": None, "dataset": "nowhere"})
    with pytest.raises(BlemishError, match=r"empty/nowhere must be the dataset of table lost.*BLEMISH_DATA"):
        fill_table("lost", Path("out"), data=Path("empty"), seeds=1, quiet=True)


def test_data_are_named_by_option_variable_or_the_tables_file(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BLEMISH_DATA", raising=False)
    fields = {**TINY, "synthetic": None, "dataset": "nowhere"}
    write(filled, "lost", fields)
    quiet = Reporter(quiet=True)
    table = open_table("lost", Path("out"), data=None, reporter=quiet)
    assert not table.has_data
    with pytest.raises(
        BlemishError,
        match=r"^table lost .*'nowhere'.*by --data, .*BLEMISH_DATA, or as 'data' in .*lost\.yaml",
    ):
        _ = table.dataset
    write(filled, "lost", {**fields, "data": "of the file"})
    monkeypatch.chdir(filled)
    assert open_table("lost", Path("out"), data=None, reporter=quiet).data_folder == Path("of the file")
    monkeypatch.setenv("BLEMISH_DATA", "of the environment")
    assert open_table("lost", Path("out"), data=None, reporter=quiet).data_folder == Path(
        "of the environment"
    )
    assert open_table("lost", Path("out"), data=Path("given"), reporter=quiet).data_folder == Path("given")


def test_stored_rows_of_the_project_are_those_of_todays_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table pins what its rows were measured with where a default is another one now."""
    monkeypatch.setenv("BLEMISH_DATA", "nowhere")
    for name in table_names():
        table = open_table(name, CHECKOUT / "experiments/results", data=None, reporter=Reporter(quiet=True))
        table_module.refuse_unlike(table)
        table_module.refuse_stale(table)


def test_every_column_of_the_projects_tables_is_a_figure_that_its_rows_have() -> None:
    """A path that leads nowhere would only ever print a dash."""
    fill("shaken")
    of_peers = {"weights": "random weights"}  # what the rows of other tools have beside
    figures = {
        "train": stored("ours-seed0")["figures"] | {"severity": {"spearman": 0.5}, "peer": of_peers},
        "stability": read_result(Path("out/shaken/tiny-seed0.json")).figures,
    }
    os.chdir(CHECKOUT)
    for name in table_names():
        experiment = read_experiment(name)
        kind = next((row.kind for row in experiment.rows if row.kind in figures), None)
        for column in experiment.columns if kind else ():
            value: Any = figures[kind]
            for part in column.path.split("."):
                any_class = next(iter(value)) if part == "*" else part
                assert any_class in value, f"{name}: {column.path}"
                value = value[any_class]
