"""What more than one folder of tests uses: real data where it is, a tiny synthetic set, a tiny trained
bundle.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from filelock import FileLock

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


@pytest.fixture(scope="session", autouse=True)
def unflushed() -> Iterator[None]:
    """No file of a test must outlast the machine's power, and to flush a bundle to disk takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _handle: None)
        yield


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
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder of that name, filled by whichever process of the run needs it first; others wait for it."""
    own = tmp_path_factory.getbasetemp()
    shared = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    shared.mkdir(exist_ok=True)

    def folder_of(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of an attempt that failed
                folder.mkdir()
                fill(folder)
                done.touch()
        return folder

    return folder_of


@pytest.fixture(scope="session")
def tiny_settings() -> dict[str, Any]:
    """Settings of a severity training that takes seconds."""
    from blemish.methods.quick import quick_of

    return {**quick_of("severity").tiny, "device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="session")
def tiny_dataset(made_once: Callable[..., Path]) -> Dataset:
    """24 images of 96×96 on two surfaces with strong scratches and spots, split into train, val and test.

    Tests must not change them.
    """
    from blemish.dataset.layouts import load_dataset
    from blemish.dataset.synthetic import synthesise

    def draw(folder: Path) -> None:
        synthesise(
            folder / "data",
            surfaces=["cast_metal", "brushed_metal"],
            images=24,
            seed=0,
            size=(96, 96),
            class_weights={"scratch": 1, "spot": 1},
            contrast=(70, 120),
        )

    return load_dataset(made_once("tiny", draw) / "data")


@pytest.fixture(scope="session")
def tiny_run(tiny_dataset: Dataset, tiny_settings: dict[str, Any], made_once: Callable[..., Path]) -> Path:
    """The run folder of a severity training on the tiny set. Tests must not change what is in it."""
    from blemish.methods import find_method
    from blemish.progress import Reporter
    from blemish.training.request import Request
    from blemish.training.run import train

    def trained(folder: Path) -> None:
        method = find_method("severity")
        settings = method.settings_type.model_validate(tiny_settings)
        train(Request(method, tiny_dataset, settings, folder / "run"), Reporter(quiet=True))

    return made_once("tiny_run", trained) / "run"


@pytest.fixture(scope="session")
def tiny_bundle(tiny_run: Path) -> Path:
    """The bundle in it. Copy it before changing anything."""
    return tiny_run / "bundle"


@pytest.fixture
def few_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Certificates of a few images, where the test is of something else."""
    monkeypatch.setattr("blemish.exporting.comparison_images.IMAGES", 8)
    monkeypatch.setattr("blemish.exporting.comparison_images.MIN_SYNTHETIC", 4)


@pytest.fixture
def graphs_once(made_once: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports of this process take graphs that the run wrote before, where a test is of something else."""
    from tests.graphs_once import read_or_written

    monkeypatch.setattr("blemish.exporting.run.onnx_model", lambda plan: read_or_written(plan, made_once))
