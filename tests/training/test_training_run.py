"""Whole trainings: the same weights twice, after a kill, and what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from blemish.bundle import Bundle, load_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.methods.contract import Fitted
from blemish.progress import Reporter
from blemish.training.request import RUN_FILE, Request, claim_folder, remove_empty_run
from blemish.training.run import train, with_validation

SHORT: Mapping[str, Any] = {
    "steps": 10,
    "batch": 2,
    "types_steps": 7,
    "types_batch": 4,
    "checkpoint_every": 3,
}
KILLED = """
import json, os, signal, sys
from pathlib import Path
from blemish.dataset.layouts import load_dataset
from blemish.methods import find_method
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train
from blemish.training.trainer import RunTrainer

root, run, settings, stage, step = sys.argv[1:]
record = RunTrainer.record

def record_or_die(self, current, number, *rest, **options):
    record(self, current, number, *rest, **options)
    if (current.name, number) == (stage, int(step)):
        os.kill(os.getpid(), signal.SIGKILL)

RunTrainer.record = record_or_die
method = find_method("severity")
chosen = method.settings_type.model_validate(json.loads(settings))
train(Request(method, load_dataset(Path(root)), chosen, Path(run), resume=True), Reporter(quiet=True))
"""


@pytest.fixture
def short_settings(tiny_settings: dict[str, Any]) -> dict[str, Any]:
    return {**tiny_settings, **SHORT}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bits are compared between processes, so all must share the work of a sum in the same way."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def request(dataset: Dataset, settings: Mapping[str, Any], run: Path, **changes: Any) -> Request:
    method = find_method("severity")
    return Request(method, dataset, method.settings_type.model_validate(settings), run, **changes)


def trained(dataset: Dataset, settings: Mapping[str, Any], run: Path, **changes: Any) -> Bundle:
    return train(request(dataset, settings, run, **changes), Reporter(quiet=True))


def refusal(asked: Request) -> str:
    with pytest.raises(BlemishError) as caught:
        train(asked, Reporter(quiet=True))
    message = str(caught.value)
    assert "\n" not in message
    return message


def differing(one: Bundle, other: Bundle) -> list[str]:
    """Names of the tensors that are not equal bit for bit."""
    assert {name: set(net) for name, net in one.networks.items()} == {
        name: set(net) for name, net in other.networks.items()
    }
    return [
        f"{name}.{key}"
        for name, tensors in one.networks.items()
        for key, tensor in tensors.items()
        if not np.array_equal(tensor, other.networks[name][key])
    ]


def test_a_run_killed_in_both_stages_resumes_to_the_weights_of_an_unbroken_one(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path
) -> None:
    for stage, step in (("regression", 8), ("types", 5)):
        arguments = [
            str(tiny_dataset.root),
            str(tmp_path / "killed"),
            json.dumps(short_settings),
            stage,
            str(step),
        ]
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *arguments],
            env=os.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "killed" / "bundle").exists()
    resumed = trained(tiny_dataset, short_settings, tmp_path / "killed", resume=True)
    unbroken = trained(tiny_dataset, short_settings, tmp_path / "unbroken")
    assert set(resumed.networks) == {"severity", "types"}
    assert differing(resumed, unbroken) == []
    assert resumed.manifest.thresholds == unbroken.manifest.thresholds
    assert resumed.manifest.curves == unbroken.manifest.curves
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("killed", "unbroken")]
    steps = [[line for line in log if "step" in json.loads(line)] for log in logs]
    assert steps[0] == steps[1] != []


def test_the_seed_alone_decides_the_weights(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path
) -> None:
    """With all its random patches and augmentation; the second stage is part of tests/contract."""
    settings = {**short_settings, "types": False}
    first, second = (trained(tiny_dataset, settings, tmp_path / name) for name in ("a", "b"))
    other = trained(tiny_dataset, settings, tmp_path / "c", seed=1)
    assert differing(first, second) == []
    assert first.id == second.id, "how long it took and when it was done are no part of it"
    assert "severity.conv1.weight" in differing(first, other)
    assert other.id != first.id


def test_a_learning_rate_beyond_reason_stops_with_one_line(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path
) -> None:
    wild = {**short_settings, "learning_rate": 1e30, "types": False}
    message = refusal(request(tiny_dataset, wild, tmp_path / "run"))
    assert "the loss became" in message
    assert "stage 'regression'" in message
    assert not (tmp_path / "run" / "bundle").exists()


def test_weights_that_break_in_the_very_last_step_give_no_bundle(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path
) -> None:
    wild = {**short_settings, "steps": 1, "learning_rate": 1e30, "types": False}
    assert "finite" in refusal(request(tiny_dataset, wild, tmp_path / "run"))
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_failed_training_leaves_an_earlier_bundle_whole(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    settings = {**short_settings, "types": False}
    first = trained(tiny_dataset, settings, tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full_disk)
        assert "No space left on device" in refusal(
            request(tiny_dataset, settings, tmp_path / "run", resume=True)
        )
    assert load_bundle(tmp_path / "run" / "bundle").id == first.id


@pytest.mark.parametrize("key", ["ng_rule", "review_rule"])
def test_a_rule_that_is_none_is_refused_before_training(
    tiny_dataset: Dataset,
    short_settings: dict[str, Any],
    tmp_path: Path,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rule is needed after hours of training only; the mistake must not cost them."""
    method = find_method("severity")
    monkeypatch.setattr(type(method), "fit", lambda *_: pytest.fail("trained before the rules were read"))
    message = refusal(request(tiny_dataset, {**short_settings, key: "best"}, tmp_path / "run"))
    assert "Received: 'best'" in message
    assert not (tmp_path / "run").exists()


def test_a_training_refused_before_its_first_step_leaves_the_folder_as_it_was(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = find_method("severity")

    def refused(_: Any, dataset: Dataset, settings: Any, trainer: Any) -> Fitted:
        trainer.note("looked at the data")
        raise BlemishError("no.")

    monkeypatch.setattr(type(method), "fit", refused)
    assert refusal(request(tiny_dataset, short_settings, tmp_path / "run")) == "no."
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    refusal(request(tiny_dataset, short_settings, tmp_path / "mine"))
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    claim_folder(request(tiny_dataset, short_settings, tmp_path / "begun"), "digest")
    (tmp_path / "begun" / "checkpoints").mkdir()
    (tmp_path / "begun" / "checkpoints" / "regression.safetensors").touch()
    remove_empty_run(tmp_path / "begun")
    assert (tmp_path / "begun" / RUN_FILE).is_file()


def test_changed_data_is_another_run(
    tiny_dataset: Dataset, short_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One annotation less is enough."""
    method = find_method("severity")
    monkeypatch.setattr(type(method), "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        trained(tiny_dataset, short_settings, tmp_path / "run")
    (tmp_path / "run" / "checkpoints").mkdir()
    (tmp_path / "run" / "checkpoints" / "regression.safetensors").touch()
    marked = next(index for index, sample in enumerate(tiny_dataset) if sample.annotations)
    samples = list(tiny_dataset.samples)
    samples[marked] = replace(samples[marked], annotations=samples[marked].annotations[1:])
    changed = replace(tiny_dataset, samples=tuple(samples))
    message = refusal(request(changed, short_settings, tmp_path / "run", resume=True))
    assert "--resume needs the same images" in message


def test_validation_images_are_held_out_where_there_are_none(tiny_dataset: Dataset) -> None:
    without = tiny_dataset.with_splits({s.id: "test" if s.split == "test" else "train" for s in tiny_dataset})
    cut = with_validation(without, 0, Reporter(quiet=True))
    assert cut.split("test").samples == without.split("test").samples
    assert len(cut.split("val")) == pytest.approx(0.2 * len(without.split("train")), abs=1)
    assert len(cut.split("val")) + len(cut.split("train")) == len(without.split("train"))
    assert with_validation(tiny_dataset, 0, Reporter(quiet=True)) is tiny_dataset


def test_a_dataset_of_test_images_alone_is_refused_with_its_splits(tiny_dataset: Dataset) -> None:
    with pytest.raises(BlemishError, match=r"no training images: splits are \{'test': 5\}"):
        with_validation(tiny_dataset.split("test"), 0, Reporter(quiet=True))
