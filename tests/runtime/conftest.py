"""A line PC: an environment of its own with what `pip install blemish[runtime]` brings, and no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "runtime.lock"
UNREACHED = ("dns error", "error sending request", "failed to fetch", "connect error", "timed out")

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def line_pc(made_once: Callable[..., Path]) -> Path:
    """The environment's folder, filled from the lock with hashes, then with a wheel of this tree.

    Skips where uv is missing or the registry cannot be reached.
    """
    beside = Path(sys.executable).parent / "uv"
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv is None:
        pytest.skip("no uv: `make setup` installs it")

    def install(folder: Path) -> None:
        python = str(folder / "venv" / "bin" / "python")
        run_or_skip(uv, "venv", "--quiet", "--python", sys.executable, str(folder / "venv"))
        run_or_skip(uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(LOCK))
        run_or_skip(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
        (wheel,) = folder.glob("*.whl")
        run_or_skip(uv, "pip", "install", "--quiet", "--python", python, "--no-deps", str(wheel))

    return made_once("line_pc", install) / "venv"


def run_or_skip(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode and any(words in done.stderr.lower() for words in UNREACHED):
        pytest.skip(f"the registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


@pytest.fixture(scope="session")
def on_line_pc(line_pc: Path) -> Run:
    """A program of the environment; nothing of this tree or of the tests' environment is in its way."""

    def call(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [str(line_pc / "bin" / program), *map(str, arguments)]
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment = {**kept, "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            command, env=environment, cwd=line_pc, capture_output=True, text=True, check=False
        )

    return call


@pytest.fixture(scope="session")
def on_training_machine() -> Callable[..., None]:
    """`blemish ARGUMENTS` in this process, which has torch."""
    from blemish.cli import main

    def call(*arguments: object) -> None:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["blemish", *map(str, arguments)])
            patch.setattr(main.Debug, "on", False)
            main.run()
        assert not ended.value.code, f"blemish {' '.join(map(str, arguments))}"

    return call
