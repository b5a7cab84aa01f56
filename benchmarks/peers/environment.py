"""The environment of a peer: its own, made from its lock with hashes on first use, never the project's.

A peer without a lock needs nothing but what the project has, and runs on the project's interpreter.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from blemish.errors import BlemishError
from blemish.progress import Reporter

HOME = Path(__file__).parent
LOCK, READY = "requirements.lock", ".ready"
REFERENCE = "-r "  # how a lock begins that is another peer's, whose environment is then shared


def folder_of(peer: str) -> Path:
    """The peer's folder. Raises BlemishError where there is none."""
    folder = HOME / peer.replace("-", "_")
    if not (folder / "run.py").is_file():
        there = sorted(file.parent.name.replace("_", "-") for file in HOME.glob("*/run.py"))
        raise BlemishError(
            f"setting peer must be one of {', '.join(there)}. Received: '{peer}'. Correct the table."
        )
    return folder


def interpreter_of(peer: str, environments: Path, reporter: Reporter) -> Path:
    """The Python that runs the peer, its environment made first where it is not there.

    Raises BlemishError where it cannot be made.
    """
    lock = folder_of(peer) / LOCK
    if not lock.is_file():
        return Path(sys.executable)
    text = lock.read_text(encoding="utf-8")
    if text.startswith(REFERENCE):
        lock = (lock.parent / text.removeprefix(REFERENCE).strip()).resolve()
    place = (
        environments.resolve() / f"{lock.parent.name}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    )
    if not (place / READY).is_file():
        reporter.line(f"Making the environment {place}")
        make(place, lock)
    return place / "bin" / "python"


def make(place: Path, lock: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    python = str(place / "bin" / "python")
    for command in (
        [str(uv), "venv", "--quiet", "--python", sys.executable, str(place)],
        [str(uv), "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            reason = " ".join((getattr(error, "stderr", "") or str(error)).split())[:300]
            raise BlemishError(
                f"{place} could not be made from {lock}. Received: {reason}. Check the network, or the pins."
            ) from error
    (place / READY).touch()


def variables(cores: int) -> Mapping[str, str]:
    """The environment variables of a run: threads as allowed, no sources of the project, no downloads."""
    own = {
        **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(cores)),
        "PYTHONPATH": str(HOME.parents[1]),
        "PYTHONNOUSERSITE": "1",
        "HF_HUB_OFFLINE": "1",
    }
    return {**os.environ, **own}
