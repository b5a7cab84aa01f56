"""--help is quick, and what is heavy stays out of it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.processor_time import assert_takes_less

LIST_MODULES = """
import sys
from blemish.cli.main import run
try:
    run()
finally:
    print("|".join(sys.modules), file=sys.stderr)
"""
HEAVY = {"torch", "torchvision", "accelerate", "cv2", "numpy", "scipy", "matplotlib", "pydantic"}
PAGES = [
    ["--help"],
    ["data", "--help"],
    ["train", "--help"],
    ["data", "split", "--help"],
    ["data", "agree", "--help"],
    ["evaluate", "--help"],
    ["add-class", "--help"],
    ["remove-class", "--help"],
    ["decide", "--help"],
    ["data", "scale", "--help"],
    ["inspect", "--help"],
    ["export", "--help"],
]


def printed(program: str, *arguments: str) -> str:
    """Output of a new process."""
    command, environment = [sys.executable, "-c", program, *arguments], {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_takes_less_than_three_times_the_import_of_typer(page: list[str]) -> None:
    """It takes 2.0 to 2.5 times that, numpy alone takes 1.3; of lighter ones, see `HEAVY`."""

    def show_help() -> None:
        assert "Usage: " in printed("from blemish.cli.main import run; run()", *page)

    assert_takes_less(show_help, lambda: printed("import typer"), times=3)


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_imports_nothing_heavy(page: list[str]) -> None:
    command = [sys.executable, "-c", LIST_MODULES, *page]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {module.split(".")[0] for module in done.stderr.strip().split("|")}
    assert "typer" in loaded, "the list of modules is there"
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("command", ["inspect", "evaluate"])
def test_help_tells_the_order_of_a_chain(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from blemish.cli.main import run; run()", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert "--then BUNDLE" in done.stdout
    assert "gate, segmenter, detector" in " ".join(done.stdout.split())
