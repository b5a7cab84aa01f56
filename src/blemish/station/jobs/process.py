"""Processes of jobs: started in a group of their own, told by number and start time, ended as a group."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.files import write_atomically
from blemish.station.jobs.child import COMMANDS, EXIT, LOG, PROGRESS
from blemish.station.supervisor import start_time

BLEMISH = [sys.executable, "-c", "from blemish.cli.main import run; run()"]
GRACE_SECONDS = 10.0
TAIL_BYTES = 1 << 16


@dataclass(frozen=True)
class JobProcess:
    """A process by its number and start, which together are no other's. started: "" where unknown"""

    pid: int
    started: str

    def lives(self) -> bool:
        """True while the process runs."""
        with suppress(ChildProcessError, OSError):
            os.waitpid(self.pid, os.WNOHANG)  # of a child of ours that has ended; an adopted one is none
        now = start_time(self.pid)
        return now is not None and str(now) == self.started

    def end(self) -> None:
        """Ask the whole group to end, and kill it where it does not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)
            deadline = time.monotonic() + GRACE_SECONDS
            while self.group_lives() and time.monotonic() < deadline:
                time.sleep(0.05)

    def group_lives(self) -> bool:
        """True while a process of the group runs."""
        self.lives()
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def start(folder: Path, commands: Sequence[Sequence[str]]) -> JobProcess:
    """Start the process of a job in its folder, for its commands, without the word `blemish`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EXIT).unlink(missing_ok=True)
    asked = {"program": BLEMISH, "commands": [list(command) for command in commands]}
    write_atomically(folder / COMMANDS, json.dumps(asked))
    child = subprocess.Popen(
        [sys.executable, "-m", "blemish.station.jobs.child", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return JobProcess(child.pid, str(start_time(child.pid) or ""))


def exit_code(folder: Path) -> int | None:
    """Exit code of a job's commands; None where they were cut off."""
    try:
        return int((folder / EXIT).read_text())
    except (OSError, ValueError):
        return None


def progress_of(folder: Path) -> dict[str, Any]:
    """Newest progress of a job: title, done, total, left_s, line, step and steps, where they are known."""
    found: dict[str, Any] = {}
    for line in tail(folder / PROGRESS).splitlines():
        with suppress(ValueError):
            found |= json.loads(line)
    return found


def log_of(folder: Path, offset: int, longest: int = TAIL_BYTES) -> tuple[bytes, int]:
    """Piece of a job's log from a byte on, and the byte behind it. offset: negative counts from the end"""
    try:
        with (folder / LOG).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            at = max(0, size + offset) if offset < 0 else min(offset, size)
            file.seek(at)
            piece = file.read(longest)
    except OSError:
        return b"", 0
    return piece, at + len(piece)


def tail(file: Path) -> bytes:
    """End of a file, from a whole line on."""
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - TAIL_BYTES))
            data = opened.read()
    except OSError:
        return b""
    return data if size <= TAIL_BYTES else data.partition(b"\n")[2]
