"""A process held to its budget of wall clock, or of processor time: at its end everything that it started is
stopped.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE = 5.0  # seconds between being asked to end and being ended


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    seconds, cpu_seconds: of wall clock, and of processor time with that of what it started
    stopped: by the clock; code: its exit status, negative for a signal
    """

    seconds: float
    cpu_seconds: float
    stopped: bool
    code: int


def run_within(
    command: Sequence[str],
    seconds: float,
    *,
    env: Mapping[str, str],
    log: Path,
    cpu_seconds: float | None = None,
) -> Ended:
    """Run a command for at most `seconds` of wall clock; what it prints goes to `log`.

    cpu_seconds: of processor time, after which it is stopped as well, and so is what it started
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start, used = time.monotonic(), cpu_seconds_of_children()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(env),
            start_new_session=True,
        )
        if cpu_seconds is not None:
            limit_cpu(process.pid, cpu_seconds)
        try:
            code = process.wait(seconds)
            stopped = code == -signal.SIGXCPU
        except subprocess.TimeoutExpired:
            code, stopped = stop(process), True
        except BaseException:
            stop(process)
            raise
    return Ended(time.monotonic() - start, cpu_seconds_of_children() - used, stopped, code)


def limit_cpu(pid: int, seconds: float) -> None:
    """Let Linux stop a process, or what it starts from now on, at so much processor time."""
    whole = max(1, math.ceil(seconds))
    resource.prlimit(pid, resource.RLIMIT_CPU, (whole, whole + 1))


def cpu_seconds_of_children() -> float:
    """Processor time of all processes that this one started and that have ended."""
    times = os.times()
    return times.children_user + times.children_system


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
