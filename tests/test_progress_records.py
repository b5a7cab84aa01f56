"""Progress as lines of JSON on a file descriptor, for programs that start `blemish`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from blemish.progress import ProgressRecords, Reporter


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    reading, writing = os.pipe()
    monkeypatch.setattr(ProgressRecords, "descriptor", writing)

    def read() -> list[dict[str, Any]]:
        os.close(writing)
        with open(reading, "rb", closefd=False) as file:
            return [json.loads(line) for line in file]

    yield read
    os.close(reading)


def test_begin_end_and_lines_are_told(records: Any) -> None:
    reporter = Reporter(quiet=True)
    assert list(reporter.track(range(5), "counting", done=2)) == [0, 1, 2, 3, 4]
    reporter.line("a\x1b[31mline")
    first, *_, last, line = records()
    assert first == {"title": "counting", "done": 2, "total": 7, "left_s": None}
    assert last == {"title": "counting", "done": 7, "total": 7, "left_s": None}
    assert line == {"line": "a\\x1b[31mline"}


def test_reader_that_is_gone_does_not_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    monkeypatch.setattr(ProgressRecords, "descriptor", writing)
    assert len(list(Reporter(quiet=True).track(range(3), "counting"))) == 3
    assert ProgressRecords.descriptor is None
    os.close(writing)


def test_without_a_descriptor_nothing_is_written() -> None:
    assert ProgressRecords.descriptor is None
    assert list(Reporter(quiet=True).track(range(3), "counting")) == [0, 1, 2]


@pytest.mark.parametrize("given", [["973"], ["x"], []])
def test_closed_descriptor_is_refused_in_one_line(given: list[str]) -> None:
    command = [sys.executable, "-c", "from blemish.cli.main import run; run()", "--progress-fd", *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    received = given[0] if given else ""
    assert f"--progress-fd must be an open file descriptor. Received: '{received}'." in done.stderr


def test_command_writes_to_the_descriptor_it_is_given(tmp_path: Any) -> None:
    reading, writing = os.pipe()
    command = [sys.executable, "-c", "from blemish.cli.main import run; run()", "--progress-fd", str(writing)]
    command += ["data", "check", str(tmp_path)]
    done = subprocess.run(command, pass_fds=[writing], capture_output=True, check=False)
    os.close(writing)
    os.close(reading)
    assert b"progress-fd" not in done.stderr
