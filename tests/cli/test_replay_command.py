"""The command `replay`: exit codes and lines."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

Command = Callable[..., Any]


@pytest.fixture
def record(blemish: Command, unpacked: Path, tmp_path: Path) -> Path:
    images = sorted((unpacked / "surfaces" / "images").glob("cast_metal*.png"))[:3]
    bundle = shutil.copytree(unpacked / "bundles" / "casae-onnx", tmp_path / "bundle")
    assert blemish("inspect", bundle, *images, "--out", tmp_path / "out", "--quiet").code == 0
    return tmp_path / "out"


def test_the_same_answers_end_with_0(blemish: Command, record: Path, unpacked: Path) -> None:
    answer = blemish("replay", record, "--images", unpacked / "surfaces", "--quiet")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == "3 of 3 answers are as recorded\n"


def test_a_difference_ends_with_1_and_is_a_line(blemish: Command, record: Path, unpacked: Path) -> None:
    file = record / "inspections.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    score, lines[1]["score"] = lines[1]["score"], 0.5
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    answer = blemish("replay", file, "--images", unpacked / "surfaces", "--quiet")
    assert answer.code == 1
    assert f"line 2, {lines[1]['image']}: score: recorded 0.5, now {score}" in answer.out.splitlines()
    assert answer.err.startswith("blemish: 1 of 3 lines") and answer.err.count("\n") == 1


def test_wrong_use_ends_with_2(blemish: Command, record: Path, tmp_path: Path) -> None:
    answer = blemish("replay", tmp_path / "gone", "--images", record)
    assert answer.code == 2
    assert "gone" in answer.err


def test_an_empty_record_ends_with_1_and_is_no_success(
    blemish: Command, record: Path, unpacked: Path
) -> None:
    (record / "inspections.jsonl").write_text("")
    answer = blemish("replay", record, "--images", unpacked / "surfaces", "--quiet")
    assert (answer.code, answer.out) == (1, "")
    assert "must hold inspections. Received: an empty file." in answer.err


def test_a_name_that_no_terminal_can_show_is_printed_escaped(
    blemish_process: Command, record: Path, tmp_path: Path
) -> None:
    file = record / "inspections.jsonl"
    line = json.loads(file.read_text().splitlines()[0])
    file.write_text(json.dumps({**line, "image": os.fsdecode(b"bad\xff.png")}) + "\n")
    (tmp_path / "none").mkdir()
    answer = blemish_process("replay", record, "--images", tmp_path / "none", "--quiet")
    assert answer.code == 1
    assert "none is called bad\\udcff.png" in answer.out
    assert "Traceback" not in answer.err
