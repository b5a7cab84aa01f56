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

    cpu_seconds: processor time, whole seconds, after which the command, or what it started, is stopped as well
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    limited = None if cpu_seconds is None else (lambda: limit_cpu(cpu_seconds))
    start, used = time.monotonic(), cpu_seconds_of_children()
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command,
            stdout=stream,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(env),
            start_new_session=True,
            preexec_fn=limited,
        )
        try:
            code = process.wait(seconds)
            stopped = code == -signal.SIGXCPU
        except subprocess.TimeoutExpired:
            code, stopped = stop(process), True
        except BaseException:
            stop(process)
            raise
    return Ended(time.monotonic() - start, cpu_seconds_of_children() - used, stopped, code)


def limit_cpu(seconds: float) -> None:
    """Let the system stop this process once it has used so much processor time."""
    whole = max(1, math.ceil(seconds))
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))


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
