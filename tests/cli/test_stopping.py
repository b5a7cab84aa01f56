"""A stopped command says what it has kept and how to go on: its own work, not another command's."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from blemish.cli.commands import app
from blemish.cli.stopping import AFTER, Command
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

# The command, with a function of it that says when it is reached and then takes its time.
PAUSED = """
import importlib, sys, time
module, name = sys.argv.pop(1).split(":")
def pause(*arguments, **options):
    print("reached", flush=True)
    time.sleep(60)
*holders, last = name.split(".")
holder = importlib.import_module(module)
for each in holders:
    holder = getattr(holder, each)
setattr(holder, last, pause)
from blemish.cli.main import run
run()
"""


def stopped(function: str, *arguments: object) -> str:
    """Start the command, send it Ctrl-C where it reaches the function, and return its last line."""
    command = [sys.executable, "-c", PAUSED, function, *map(str, arguments)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if line != "reached\n":
        pytest.fail(process.communicate(timeout=120)[1])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err
    return err.splitlines()[-1]


def test_a_stopped_evaluation_writes_nothing(unpacked: Path, tmp_path: Path) -> None:
    bundle, data, out = unpacked / "bundles" / "casae-onnx", unpacked / "surfaces", tmp_path / "out"
    line = stopped("blemish.workflows.evaluate:measured", "evaluate", bundle, "--data", data, "--out", out)
    assert line == "blemish: stopped. No report was finished. Run the same command again."
    assert not out.exists()


def test_a_stopped_conversion_leaves_nothing(unpacked: Path, tmp_path: Path) -> None:
    data, out = unpacked / "surfaces", tmp_path / "out"
    line = stopped(
        "blemish.dataset.convert.coco:annotation_entries", "data", "convert", data, out, "--to", "coco"
    )
    assert line == f"blemish: stopped. Nothing is kept in {out}. Run the same command again."
    assert not out.exists()


def test_a_stopped_set_of_drawn_images_leaves_nothing(tmp_path: Path) -> None:
    line = stopped(
        "blemish.dataset.synthetic.generate:_write_truth", "data", "synth", tmp_path / "out", "--images", 2
    )
    assert line == f"blemish: stopped. Nothing is kept in {tmp_path / 'out'}. Run the same command again."
    assert not (tmp_path / "out").exists()


def test_a_stopped_check_speaks_of_no_training(unpacked: Path) -> None:
    line = stopped("blemish.dataset.quality.check:check_dataset", "data", "check", unpacked / "surfaces")
    assert line == "blemish: stopped. Nothing was written. Run the same command again."


def test_a_stopped_decision_is_as_it_was(unpacked: Path, tmp_path: Path) -> None:
    bundle = shutil.copytree(unpacked / "bundles" / "severity", tmp_path / "bundle")
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    line = stopped(
        *("blemish.workflows.decide:write_decision", "decide", bundle, "--data", unpacked / "calibration"),
        *("--rule", "f1", "--quiet"),
    )
    assert line == "blemish: stopped. The decision is as it was. Run the same command again."
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before


def test_a_stopped_export_leaves_what_was_there(unpacked: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    out = shutil.copytree(unpacked / "bundles" / "casae-onnx", tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    line = stopped(
        *("blemish.exporting.run:certificate_rows", "export", unpacked / "bundles" / "casae"),
        *("--to", "onnx", "--out", out, "--quiet"),
    )
    assert line == (
        "blemish: stopped. No bundle was written, and what was there before stays. "
        "Run the same command again."
    )
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_training_without_a_checkpoint_starts_again(unpacked: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = [word for each in ("steps=4", "types=false", "device=cpu") for word in ("--set", each)]
    line = stopped(
        *("blemish.training.trainer:RunTrainer.record", "train", "severity", "--data", unpacked / "surfaces"),
        *("--out", run, *settings, "--quiet"),
    )
    assert line == "blemish: stopped. There is no checkpoint yet to go on from. Run the same command again."
    assert not (run / "checkpoints").exists()


def commands(group: Any, *path: str) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= commands(command, *path, name)
        else:
            found[(*path, name)] = command
    return found


def test_every_command_that_writes_a_folder_says_what_it_leaves() -> None:
    for path, command in commands(typer.main.get_command(app)).items():
        assert isinstance(command, Command), f"{path} is of a typer app that is no App"
        writes = any(option.name == "out" for option in command.params)
        assert not writes or path[-1] in AFTER or path[-1] in {"scale", "results", "describe"}, path
