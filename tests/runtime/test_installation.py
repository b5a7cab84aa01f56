"""What a line PC installs: no torch, under 400 MB, and all that needs no bundle works."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blemish.dataset.samples import Dataset

Run = Callable[..., Any]

MOST_BYTES = 400e6
COMMANDS = [
    *(
        [name]
        for name in (
            "inspect",
            "evaluate",
            "decide",
            "add-class",
            "train",
            "embed",
            "export",
            "reproduce",
            "demo",
        )
    ),
    ["results"],
    *(["data", name] for name in ("check", "convert", "split", "agree", "scale", "synth", "tasks")),
]


def size_on_disk(folder: Path) -> int:
    """Bytes of the blocks that the files take, each file once, as `du` counts them."""
    blocks: dict[int, int] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            stored = os.lstat(Path(place) / name)
            blocks[stored.st_ino] = 512 * stored.st_blocks
    return sum(blocks.values())


def test_it_takes_less_than_400_mb(line_pc: Path) -> None:
    assert 50e6 < size_on_disk(line_pc) < MOST_BYTES


@pytest.mark.parametrize(
    "package", ["torch", "torchvision", "accelerate", "tensorboard", "scipy", "openvino"]
)
def test_what_training_needs_is_not_there(on_line_pc: Run, package: str) -> None:
    done = on_line_pc("python", "-c", f"import {package}")
    assert f"No module named '{package}'" in done.stderr


def test_it_is_the_wheel_that_runs(on_line_pc: Run, line_pc: Path) -> None:
    done = on_line_pc("python", "-c", "import blemish, onnxruntime; print(blemish.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(line_pc), done.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(on_line_pc: Run, command: list[str]) -> None:
    done = on_line_pc("blemish", *command, "--help")
    assert (done.returncode, "Usage: " in done.stdout) == (0, True), done.stderr


def test_data_is_checked_split_and_converted(on_line_pc: Run, tiny_dataset: Dataset, tmp_path: Path) -> None:
    data = tiny_dataset.root
    for arguments in (
        ("data", "check", data),
        ("data", "split", data, tmp_path / "splits", "--test", "0.3"),
        ("data", "convert", data, tmp_path / "masks", "--to", "masks"),
    ):
        done = on_line_pc("blemish", *arguments)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "splits" / "splits" / "test.txt").is_file()


def test_predictions_are_measured(
    on_line_pc: Run, on_training_machine: Run, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    """To the same figures as where torch and scipy are."""
    scores = tmp_path / "scores.csv"
    test = tiny_dataset.split("test")
    scores.write_text(
        "image,score\n" + "".join(f"{one.id},{0.9 if one.is_defective else 0.1}\n" for one in test)
    )
    command = ("evaluate", "--predictions", scores, "--data", tiny_dataset.root, "--out")
    done = on_line_pc("blemish", *command, tmp_path / "line")
    assert done.returncode == 0, done.stderr
    on_training_machine(*command, tmp_path / "lab")
    line, lab = (tmp_path / place / "metrics.json" for place in ("line", "lab"))
    assert line.read_text() == lab.read_text()
    assert (tmp_path / "line" / "report.html").is_file()


def test_a_bundle_of_tensors_is_refused_in_one_line(
    on_line_pc: Run, tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    done = on_line_pc("blemish", "inspect", tiny_bundle, tiny_dataset.root, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "was not exported, needs PyTorch" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_tests_themselves_have_torch() -> None:
    """Else the environment above would prove nothing."""
    import torch

    assert torch.__name__ in sys.modules
