from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from time import process_time
from typing import Any

import pytest

from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.methods.contract import StageSteps
from blemish.methods.severity import SeverityMethod
from blemish.progress import Reporter
from blemish.training.checkpoint import load_checkpoint
from blemish.training.clock import Clock
from blemish.training.planning import planned, steps_saved
from blemish.training.rehearsal import some_of_each
from blemish.training.request import Request, claim_folder
from blemish.training.run import train, trained
from blemish.training.time_plan import Budget, Part, StepCount, TimePlan
from blemish.training.trainer import RunTrainer

LONG = {"steps": 100_000, "types_steps": 20_000}


def steps_taken(run: Path) -> dict[str, int]:
    """Number of the last step of each stage."""
    entries = map(json.loads, (run / "log.jsonl").read_text().splitlines())
    return {entry["stage"]: entry["step"] for entry in entries if "loss" in entry}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock of processor time, for a rehearsal as well: others on the machine change nothing."""
    monkeypatch.setattr("blemish.training.rehearsal.perf_counter", process_time)
    return Clock(now=process_time)


@pytest.fixture
def from_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages that may be as short as one step, as their least steps take minutes."""
    stages = tuple(replace(each, least=1) for each in SeverityMethod.stage_steps)
    monkeypatch.setattr(SeverityMethod, "stage_steps", stages)


class Lines(Reporter):
    """Reporter whose lines are kept."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def line(self, message: str) -> None:
        self.lines.append(message)


def asked(dataset: Dataset, settings: dict[str, Any], run: Path, budget: Budget, **changes: Any) -> Request:
    method = find_method("severity")
    return Request(
        method, dataset, method.settings_type.model_validate(settings), run, budget=budget, **changes
    )


@pytest.mark.usefixtures("from_one_step")
def test_a_budget_is_kept_and_told(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, clock: Clock
) -> None:
    reporter = Lines()
    budget = Budget(15, "--time-budget", required=False)
    request = asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path / "run", budget)
    bundle = train(request, reporter, clock)
    assert clock.elapsed < 2 * 15  # all steps would take an hour
    stored = json.loads((tmp_path / "run" / "run.json").read_text())
    kept = TimePlan.model_validate_json((tmp_path / "run" / "plan.json").read_text())
    by_stage = {part.stage: part for part in kept.stages}
    assert stored["settings"]["steps"] == by_stage["regression"].steps < LONG["steps"]
    assert bundle.manifest.settings["types_steps"] == by_stage["types"].steps
    told = "\n".join(reporter.lines)
    assert re.search(r"^Training takes about \d+ (s|min) \(--time-budget allows 15 s\)", told, re.M), told
    assert re.search(r"^  training regression: \d+ of 100000 steps of \S+ s, ", told, re.M)
    taken = steps_taken(tmp_path / "run")
    assert bundle.manifest.notes[-1] == (
        "Not all steps were trained, as --time-budget allows 15 s: "
        f"regression {taken['regression']} of 100000, types {taken['types']} of 20000."
    )
    planned = {stage: part.steps for stage, part in by_stage.items()}
    for where in (stored, bundle.manifest.provenance):
        assert (where["steps_planned"], where["steps_taken"]) == (planned, taken)
    titles = [part.title for part in kept.parts]
    assert titles.index("training regression") < titles.index("choosing the threshold")
    assert "choosing the operating point" in titles


def test_a_budget_that_is_too_short_is_refused_before_anything_is_written(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    budget = Budget(0.5, "--time-budget", required=True)
    request = asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path / "run", budget)
    with pytest.raises(
        BlemishError, match=r"--time-budget must be time enough: severity needs at least .* Give"
    ):
        train(request, Reporter(quiet=True))
    assert not (tmp_path / "run").exists()


def test_steps_that_were_given_are_taken_whatever_the_preset_allows(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blemish.training.planning.FEW_STEPS", 0)
    given = {"steps": 20, "types_steps": 4}
    budget = Budget(0.5, "preset default", fixed=frozenset(given))
    bundle = train(
        asked(tiny_dataset, {**tiny_settings, **given}, tmp_path / "run", budget), Reporter(quiet=True)
    )
    assert {name: bundle.manifest.settings[name] for name in given} == given
    assert steps_taken(tmp_path / "run") == {"regression": 20, "types": 4}


def test_the_least_steps_are_taken_where_a_preset_allows_less(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = (StageSteps("regression", "steps", least=12), StageSteps("types", "types_steps", least=7))
    monkeypatch.setattr(SeverityMethod, "stage_steps", stages)
    train(
        asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path / "run", Budget(0.5, "preset default")),
        Reporter(quiet=True),
    )
    assert steps_taken(tmp_path / "run") == {"regression": 12, "types": 7}


def test_a_folder_that_holds_a_run_is_refused_before_anything_is_planned(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path, Budget(600, "preset default"))
    claim_folder(request, "digest")
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "regression.safetensors").touch()
    monkeypatch.setattr("blemish.training.planning.rehearse", lambda *_: pytest.fail("it was rehearsed"))
    with pytest.raises(BlemishError, match="already holds a run"):
        train(request, Reporter(quiet=True))


def test_a_planned_run_is_the_run_of_its_steps(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rehearsal leaves no trace: the same steps without one give the same weights."""
    monkeypatch.setattr("blemish.training.planning.FEW_STEPS", 0)
    settings = {**tiny_settings, "steps": 20, "types_steps": 4}
    budget = Budget(600, "--time-budget", required=True)
    planned = train(asked(tiny_dataset, settings, tmp_path / "a", budget), Reporter(quiet=True))
    plain = train(
        Request(
            find_method("severity"),
            tiny_dataset,
            find_method("severity").settings_type.model_validate(settings),
            tmp_path / "b",
        ),
        Reporter(quiet=True),
    )
    assert (tmp_path / "a" / "plan.json").is_file() and not (tmp_path / "b" / "plan.json").exists()
    assert all(
        (planned.networks[net][key] == plain.networks[net][key]).all()
        for net in plain.networks
        for key in plain.networks[net]
    )


def test_the_report_tells_the_steps_that_were_taken_not_those_planned() -> None:
    stage = Part(title="training first", seconds=60, stage="first", steps=600, full_steps=600)
    plan = TimePlan(parts=(stage,), budget=60, source="preset quick")
    assert steps_saved(plan, {"first": StepCount(600, 600)}) == ()
    assert steps_saved(plan, {"first": StepCount(600, 400, ended_early=True)}) == ()
    (sentence,) = steps_saved(plan, {"first": StepCount(500, 400)})
    assert sentence == "Not all steps were trained, as preset quick allows 1 min: first 400 of 600."


def test_a_rehearsal_shows_every_kind_of_image(tiny_dataset: Dataset) -> None:
    some = some_of_each(tiny_dataset)
    kinds = {
        (sample.split, frozenset(each.label for each in sample.annotations))
        for sample in tiny_dataset
        if sample.split in ("train", "val")
    }
    assert {(s.split, frozenset(each.label for each in s.annotations)) for s in some} == kinds


@pytest.mark.usefixtures("from_one_step")
def test_a_resumed_run_keeps_its_plan_and_the_time_it_has_used(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, clock: Clock
) -> None:
    budget = Budget(12, "--time-budget")
    settings = {**tiny_settings, **LONG, "checkpoint_every": 5}
    save = RunTrainer.save

    def save_and_stop(self: RunTrainer, *rest: Any) -> None:
        save(self, *rest)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunTrainer, "save", save_and_stop)
        train(asked(tiny_dataset, settings, tmp_path / "run", budget), Reporter(quiet=True), clock)
    plan = (tmp_path / "run" / "plan.json").read_bytes()
    planned = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    checkpoint = load_checkpoint(tmp_path / "run" / "checkpoints" / "regression.safetensors")
    assert checkpoint is not None and 0 < float(checkpoint.metadata["seconds"]) < 24

    other = Budget(60, "--time-budget", required=True)
    with pytest.raises(BlemishError, match=r"plan.json: --resume keeps the time that .* --time-budget 1m\. "):
        train(asked(tiny_dataset, planned, tmp_path / "run", other, resume=True), Reporter(quiet=True))

    clock = Clock(now=process_time)
    began = process_time()
    resumed = train(
        asked(tiny_dataset, planned, tmp_path / "run", budget, resume=True), Reporter(quiet=True), clock
    )
    assert (tmp_path / "run" / "plan.json").read_bytes() == plan
    assert clock.elapsed - (process_time() - began) == pytest.approx(
        float(checkpoint.metadata["seconds"]), abs=1
    )
    assert resumed.manifest.settings["steps"] == planned["steps"]


def test_a_resumed_run_that_had_no_plan_goes_on_without_one(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of version 0.1, whose settings a plan would change."""
    claim_folder(asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path, Budget(15, "preset default")), "")
    monkeypatch.setattr("blemish.training.planning.rehearse", lambda *_: pytest.fail("it was rehearsed"))
    for budget in (Budget(15, "preset default"), Budget(15, "--time-budget", required=True)):
        request = asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path, budget, resume=True)
        reporter = Lines()
        assert planned(request, tiny_dataset, trained, Clock(), reporter) == (request, None)
        assert len(reporter.lines) == budget.required


@pytest.mark.usefixtures("from_one_step")
def test_a_training_that_cannot_be_rehearsed_keeps_its_time_all_the_same(
    tiny_dataset: Dataset,
    tiny_settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    def refused(*_: Any) -> None:
        raise BlemishError("too few images")

    monkeypatch.setattr("blemish.training.planning.rehearse", refused)
    reporter = Lines()
    budget = Budget(10, "--time-budget", required=True)
    train(asked(tiny_dataset, {**tiny_settings, **LONG}, tmp_path / "run", budget), reporter, clock)
    assert clock.elapsed < 2 * 10
    assert "How long this training takes could not be measured beforehand." in reporter.lines
    assert any("steps in place of 100000, " in line for line in reporter.lines)
