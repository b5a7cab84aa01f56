"""`train --resume --out RUN`, with nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.dataset.samples import Dataset
from blemish.training.trainer import RunTrainer

Command = Callable[..., Any]
CONFIG = "{encoder: paper, cell: 2, patch: 64, batch: 2, types: false, checkpoint_every: 3, device: cpu}\n"


@pytest.fixture
def begin(
    blemish: Command, tiny_dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """A training of ten steps in a folder, with its options spread over all ways to give them."""
    (tmp_path / "settings.yaml").write_text(CONFIG)
    monkeypatch.chdir(tiny_dataset.root.parent)

    def call(run: Path, *others: object) -> Any:
        options = (
            "--config",
            tmp_path / "settings.yaml",
            "--set",
            "steps=10",
            "--seed",
            3,
            "--mm-per-px",
            0.2,
        )
        return blemish("train", "severity", "--data", "data", "--out", run, *options, "--quiet", *others)

    return call


@pytest.fixture
def stopped(begin: Callable[..., Any], tmp_path: Path) -> Path:
    """Such a training that was stopped in its eighth step, two behind a checkpoint."""
    step = RunTrainer.record

    def record_or_stop(self: RunTrainer, stage: Any, number: int, *others: Any, **named: Any) -> None:
        if number == 7:
            raise KeyboardInterrupt
        step(self, stage, number, *others, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunTrainer, "record", record_or_stop)
        answer = begin(tmp_path / "run")
    assert answer.code == 130
    assert f"`blemish train --out {tmp_path / 'run'} --resume`" in answer.err
    return tmp_path / "run"


def test_a_stopped_run_goes_on_unasked_from_anywhere(
    blemish: Command,
    begin: Callable[..., Any],
    stopped: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert begin(tmp_path / "unbroken").code == 0
    (tmp_path / "settings.yaml").unlink()
    monkeypatch.chdir(tmp_path)
    steps: list[int] = []
    monkeypatch.setattr(RunTrainer, "record", lambda _, stage, number, *__, **___: steps.append(number))
    answer = blemish("train", "--resume", "--out", "run", "--quiet")
    assert answer.code == 0, answer.err
    bundle, unbroken = load_bundle(stopped / "bundle"), load_bundle(tmp_path / "unbroken" / "bundle")
    assert bundle.manifest.settings == unbroken.manifest.settings
    assert bundle.manifest.data == unbroken.manifest.data
    assert bundle.manifest.provenance["seed"] == 3
    for name, tensor in unbroken.networks["severity"].items():
        np.testing.assert_array_equal(tensor, bundle.networks["severity"][name], err_msg=name)
    assert steps == [7, 8, 9, 10], "from the checkpoint behind the sixth step"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--set", "floor=3"], "needs the same settings. Received: floor=3.0, the run has 6.0."),
        (["--mm-per-px", "1"], "needs the same settings. Received: mm_per_px=1.0, the run has 0.2."),
        (["--seed", "4"], "needs the same seed. Received: 4, the run has 3."),
        (["casae", "--data", "data"], "needs the same method. Received: casae, the run has severity."),
        (["--shots", "3"], "Method severity has no setting 'shots'. Leave --shots out."),
    ],
)
def test_what_is_given_again_must_agree(
    blemish: Command, stopped: Path, given: list[str], message: str
) -> None:
    answer = blemish("train", *given, "--resume", "--out", stopped)
    assert answer.code in (1, 2)
    assert message in answer.err
    assert blemish("train", "severity", "--resume", "--out", stopped, "--set", "floor=6").code == 0


def test_data_that_moved_are_named(blemish: Command, stopped: Path, tmp_path: Path) -> None:
    stored = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**stored, "data_path": str(tmp_path / "gone")}))
    answer = blemish("train", "--resume", "--out", stopped, "--quiet")
    assert answer.code == 1
    assert str(tmp_path / "gone") in answer.err
    assert blemish("train", "--resume", "--data", "data", "--out", stopped, "--quiet").code == 0
