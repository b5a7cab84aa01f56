"""What more than one folder of tests uses: real data where it is, a tiny synthetic set, a tiny trained
bundle.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from blemish.dataset.samples import Dataset
from tests.fuzz.outcomes import OUTCOMES, outcome_lines

# Before torch is first imported, and for every process started by a test.
os.environ.setdefault("OMP_NUM_THREADS", str(len(os.sched_getaffinity(0))))

# The same examples each time: a change is judged by itself, not by what chance tries against it.
# `pytest --hypothesis-profile=default` looks for new ones.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the outcomes of the fuzz tests from a process of xdist to the one that started it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["outcomes"] = dict(OUTCOMES)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    OUTCOMES.update(getattr(node, "workeroutput", {}).get("outcomes", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if OUTCOMES:
        terminalreporter.section("fuzzed")
        for line in outcome_lines(OUTCOMES):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real datasets. Skips where it is not."""
    default = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    root = Path(os.environ.get("BLEMISH_DATA", default))
    if not root.is_dir():
        pytest.skip(f"no real datasets: {root} is not a folder; set BLEMISH_DATA to where they are")
    return root


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A socket that nobody must connect to."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.2)
        yield listening
        with pytest.raises(TimeoutError):
            listening.accept()


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, Any]:
    """Settings of a severity training that takes seconds."""
    from blemish.methods.quick import quick_of

    return {**quick_of("severity").tiny, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """24 images of 96×96 on two surfaces with strong scratches and spots, split into train, val and test."""
    from blemish.dataset.synthetic import synthesise

    return synthesise(
        tmp_path_factory.mktemp("tiny") / "data",
        surfaces=["cast_metal", "brushed_metal"],
        images=24,
        seed=0,
        size=(96, 96),
        class_weights={"scratch": 1, "spot": 1},
        contrast=(70, 120),
    )


@pytest.fixture(scope="session")
def tiny_run(
    tiny_dataset: Dataset, tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The run folder of a severity training on the tiny set. Tests must not change what is in it."""
    from blemish.methods import find_method
    from blemish.progress import Reporter
    from blemish.training.request import Request
    from blemish.training.run import train

    method = find_method("severity")
    settings = method.settings_type.model_validate(tiny_settings)
    run = tmp_path_factory.mktemp("tiny_run") / "run"
    train(Request(method, tiny_dataset, settings, run), Reporter(quiet=True))
    return run


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path) -> Path:
    """The bundle in it. Copy it before changing anything."""
    return tiny_run / "bundle"
