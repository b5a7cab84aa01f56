"""The command line inside this process, and as a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.tlsdd_bundles import examples, make_bundle, modern_parent, parent

__all__ = ["examples", "make_bundle", "modern_parent", "parent"]  # fixtures


class Answer(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def blemish(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """`blemish ARGUMENTS` without a new process."""
    from blemish.cli import main

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["blemish", *map(str, arguments)])
        monkeypatch.setattr(main.Debug, "on", False)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capsys.readouterr()
        return Answer(ended.value.code or 0, out, err)

    return call


@pytest.fixture
def tiny_bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny bundle: evaluations count in it that test images were looked at."""
    return shutil.copytree(tiny_run / "bundle", tmp_path_factory.mktemp("own") / "bundle")


@pytest.fixture
def blemish_process() -> Callable[..., Answer]:
    """`blemish ARGUMENTS` as a user starts it."""

    def call(*arguments: object) -> Answer:
        command = [sys.executable, "-c", "from blemish.cli.main import run; run()", *map(str, arguments)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return Answer(done.returncode, done.stdout, done.stderr)

    return call
