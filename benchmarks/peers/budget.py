"""A process held to its wall clock: at its end everything that it started is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0  # seconds between being asked to end and being ended


@dataclass(frozen=True)
class Ended:
    """How a process ended. stopped: by the clock; code: its exit status, negative for a signal"""

    seconds: float
    stopped: bool
    code: int


def run_within(command: Sequence[str], seconds: float, *, env: Mapping[str, str], log: Path) -> Ended:
    """Run a command for at most `seconds` of wall clock; what it prints goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(env),
            start_new_session=True,
        )
        try:
            code, stopped = process.wait(seconds), False
        except subprocess.TimeoutExpired:
            code, stopped = stop(process), True
        except BaseException:
            stop(process)
            raise
    return Ended(time.monotonic() - start, stopped, code)


def stop(process: subprocess.Popen[bytes]) -> int:
    """End the process and what it started: they are one session, so one group."""
    for way in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, way)
            return process.wait(GRACE)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    return process.wait()
