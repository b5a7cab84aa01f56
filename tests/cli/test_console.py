"""Output of commands: on consoles of any encoding, with names that hold anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.progress import Reporter

Command = Callable[..., Any]


def dataset_of(folder: Path, name: str, image: str = "0.png") -> Path:
    """A COCO dataset of one image with one defect of a class of that name."""
    folder.mkdir()
    cv2.imwrite(str(folder / "0.png"), np.full((48, 64), 90, np.uint8))
    if image != "0.png":
        (folder / "0.png").rename(folder / image)
    content = {
        "images": [{"id": 1, "file_name": image, "width": 64, "height": 48}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 9, 9]}],
        "categories": [{"id": 1, "name": name}],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii", "utf-8", "shift-jis"])
def test_a_report_is_printed_in_the_encoding_that_the_console_has(tmp_path: Path, encoding: str) -> None:
    """Not for the fixture: the streams are those that Python opens for a process."""
    data = dataset_of(tmp_path / "data", "划痕 ×")
    command = [sys.executable, "-c", "from blemish.cli.main import run; run()", "data", "check", str(data)]
    environment = {**os.environ, "PYTHONIOENCODING": f"{encoding}:strict", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    out = done.stdout.decode(encoding)
    name = {
        "utf-8": "划痕 ×",
        "shift-jis": "划痕 ×".encode("shift-jis", "backslashreplace").decode("shift-jis"),
    }
    assert name.get(encoding, r"\u5212\u75d5") in out


NASTY = "\x1b]0;owned\x07\x1b[31mred\nerror: \u202eno"


def test_no_name_from_a_file_steers_the_terminal(blemish: Command, tmp_path: Path) -> None:
    data = dataset_of(tmp_path / "data", NASTY, image=f"{NASTY}.png".replace("/", ""))
    for command in (
        ("data", "check", data),
        ("data", "split", data, tmp_path / "split"),
        ("data", "convert", data, tmp_path / "converted", "--to", "masks"),
        ("data", "convert", data, tmp_path / "other", "--to", NASTY),
        ("evaluate", data / f"{NASTY}.png", "--data", data, "--out", tmp_path / "out"),
        (NASTY,),
    ):
        answer = blemish(*command)
        for text in (answer.out, answer.err):
            assert not set(text) & {"\x1b", "\x07", "\u202e", "\r"}, command
            assert not any(line.startswith("error: ") for line in text.splitlines()), command


def test_files_hold_names_as_they_are(blemish: Command, tmp_path: Path) -> None:
    data = dataset_of(tmp_path / "data", "划痕\x1b×")
    assert blemish("data", "check", data, "--json", tmp_path / "found.json").code == 0
    assert "划痕\x1b×" in json.loads((tmp_path / "found.json").read_text())["images"]


def test_progress_is_printable_and_its_bars_are_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from blemish.cli.console import printable_streams

    with printable_streams():
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        reporter = Reporter()
        reporter.line("\x1b[31mred")
        assert list(reporter.track([1, 2], "\x1b]0;owned\x07")) == [1, 2]
        print("\x1b[31mred", file=sys.stderr)
    err = capsys.readouterr().err
    assert r"\x1b[31mred" in err and "\x1b]0;" not in err
    assert "\x1b[" in err, "of the bar"
    assert err.endswith("\\x1b[31mred\n")


def test_the_streams_are_as_before_behind_a_command(blemish: Command) -> None:
    before = sys.stdout, sys.stderr
    assert blemish("--version").code == 0
    assert (sys.stdout, sys.stderr) == before
