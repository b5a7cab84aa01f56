"""--help is quick and torch stays out of it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

LIST_MODULES = """
import sys
from blemish.cli.main import run
try:
    run()
finally:
    print("|".join(sys.modules), file=sys.stderr)
"""
HEAVY = {"torch", "torchvision", "accelerate", "cv2", "numpy", "scipy", "matplotlib"}
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


def processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def best_of_three(program: str, *arguments: str) -> tuple[float, str]:
    """Processor time of a new process, and what it printed last."""
    seconds, printed = [], ""
    for _ in range(3):
        start = processor_seconds()
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        seconds.append(processor_seconds() - start)
        printed = done.stdout
    return min(seconds), printed


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_help_takes_less_than_half_a_second(page: list[str]) -> None:
    seconds, printed = best_of_three("from blemish.cli.main import run; run()", *page)
    assert "Usage: " in printed
    assert seconds < 0.5


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
