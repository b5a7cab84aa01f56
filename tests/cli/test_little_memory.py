"""Too little memory, wherever it ends the work, shows no trace."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.cli.main import outside_fault
from tests.legacy.conftest import unpacked

__all__ = ["unpacked"]  # a fixture

RUN = "from blemish.cli.main import run; run()"


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are others elsewhere")
@pytest.mark.parametrize("megabytes", [60, 120, 250, 400, 900])
def test_a_limit_on_memory_shows_no_trace(megabytes: int, unpacked: Path, tmp_path: Path) -> None:
    """First the command's own libraries have no room, then the runtime, then the image; 900 MB suffice."""
    cv2.imwrite(str(tmp_path / "a.png"), np.full((96, 96), 90, np.uint8))
    command = [sys.executable, "-c", RUN, "inspect", str(unpacked / "bundles" / "casae-onnx")]
    size = megabytes * 2**20
    done = subprocess.run(
        [*command, str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--quiet"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if megabytes == 900:
        assert done.returncode == 0, done.stderr
    elif done.returncode == 1:  # below that, a library may end the process by itself
        assert done.stderr.splitlines()[-1].startswith("blemish: ")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("libx.so.1: failed to map segment from shared object"), "A library cannot be loaded"),
        (OSError("libtorch.so: cannot open shared object file: Cannot allocate memory"), "A library cannot"),
        (MemoryError(), "There is too little memory"),
        (SystemError("error return without exception set"), "A library failed without a reason"),
        (RuntimeError("can't start new thread"), "too many threads"),
        (OSError(28, "No space left on device", "out/a"), "out/a: No space left on device"),
    ],
)
def test_what_the_computer_lacks_is_said(error: Exception, words: str) -> None:
    message = outside_fault(error)
    assert message is not None and words in message and "\n" not in message


@pytest.mark.parametrize("error", [ImportError("cannot import name 'x'"), RuntimeError("a bug")])
def test_a_fault_of_the_program_is_none_of_the_computer(error: Exception) -> None:
    assert outside_fault(error) is None
