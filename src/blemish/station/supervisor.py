"""The supervisor: starts the server and the lines of a station, and starts again what has ended.

It has no thread and no database. Lines are those with a line.json; the folder is looked at once a second.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.layout import StationFolder
from blemish.station.locks import only_one
from blemish.station.server.__main__ import ServerOptions
from blemish.untrusted import read_json

LOOK_SECONDS = 1.0  # between looks at the folder
TICK_SECONDS = 0.1
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a process that has ended is started again
STEADY_SECONDS = 60.0  # that a process runs until the pause is the first one again
STOP_SECONDS = 20.0  # for a process to end by itself
SERVER = "server"
Say = Callable[[str], None]


@dataclass
class Child:
    """A process that is to run. start_at: by the monotonic clock, when it is started (again)"""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    start_at: float = 0.0
    pause: float = 0.0

    def tend(self, say: Say) -> bool:
        """Start the process, or see that it has ended; True where that changed who runs."""
        now = time.monotonic()
        if self.process is None:
            if now < self.start_at:
                return False
            # Ctrl-C reaches the supervisor alone, and the end of the pipe tells a line that it is gone.
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, process_group=0)
            self.started = now
            return True
        code = self.process.poll()
        if code is None:
            return False
        self.close()
        steady = now - self.started >= STEADY_SECONDS
        self.pause = FIRST_PAUSE if steady or not self.pause else min(2 * self.pause, LONGEST_PAUSE)
        self.start_at = now + self.pause
        say(f"{self.name}: ended ({ending(code)}). It starts again in {self.pause:g} s.")
        return True

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def close(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None


def supervise(root: Path, *, beside: Mapping[str, Sequence[str]], say: Say) -> None:
    """Run a station until SIGTERM or SIGINT, then end its processes.

    root: folder of the station, made where it is not there
    beside: commands of the processes beside its lines, by name, such as that of the server
    say: called with each line for the user
    Raises RunningError where a station runs on the folder already; BlemishError where it cannot be written.
    """
    station = StationFolder(root.absolute())
    with only_one(station.lock, f"A station on {root}"):
        for folder in (station.images, station.bundles, station.lines):
            folder.mkdir(parents=True, exist_ok=True)
        end_left_behind(station, say)
        say(f"The station in {root} runs. Ctrl-C stops it.")
        Supervisor(station, beside, say).run()


class Supervisor:
    """Children of a station by their names."""

    def __init__(self, station: StationFolder, beside: Mapping[str, Sequence[str]], say: Say) -> None:
        self.station, self.beside, self.say = station, beside, say
        self.children = {name: Child(name, command) for name, command in beside.items()}
        self.stops = 0
        self.looked = float("-inf")

    def run(self) -> None:
        """Tend the children until a signal comes."""
        before = {number: signal.signal(number, self.stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self.stops:
                changed = self.look()
                for child in list(self.children.values()):
                    changed |= child.tend(self.say)
                if changed:
                    self.write_down()
                time.sleep(TICK_SECONDS)
        finally:
            self.end(list(self.children.values()))
            self.station.supervisor.unlink(missing_ok=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self, *_: object) -> None:
        self.stops += 1

    def look(self) -> bool:
        """Find lines that are new, and end those that are gone; True where there were some."""
        if time.monotonic() - self.looked < LOOK_SECONDS:
            return False
        self.looked = time.monotonic()
        there = {f"line {folder.name}": folder.name for folder in self.station.line_folders()}
        stay = {*self.beside, *there}
        gone = [child for name, child in self.children.items() if name not in stay]
        self.end(gone)
        for child in gone:
            del self.children[child.name]
        new = [name for name in there if name not in self.children]
        for name in new:
            self.children[name] = Child(name, line_command(self.station, there[name]))
        return bool(gone or new)

    def end(self, children: Sequence[Child]) -> None:
        """Ask processes to end; those that do not in time, or when a second signal comes, are killed."""
        for child in children:
            child.signal(signal.SIGTERM)
        deadline, stops = time.monotonic() + STOP_SECONDS, self.stops
        while any(child.process and child.process.poll() is None for child in children):
            if time.monotonic() > deadline or self.stops > stops:
                for child in children:
                    child.signal(signal.SIGKILL)
            time.sleep(TICK_SECONDS)
        for child in children:
            child.close()

    def write_down(self) -> None:
        """Name the processes that run, for the next supervisor and for whoever looks."""
        running = {
            name: {"pid": child.process.pid, "since": start_time(child.process.pid)}
            for name, child in self.children.items()
            if child.process is not None
        }
        try:
            content = {"pid": os.getpid(), "since": start_time(os.getpid()), "children": running}
            write_atomically(self.station.supervisor, json.dumps(content, indent=1) + "\n")
        except BlemishError as error:  # a full disk must not end the station
            self.say(f"warning: {error}")


def server_command(options: ServerOptions) -> list[str]:
    """Command of the SERVER process."""
    words = {
        "--host": options.host,
        "--port": options.port,
        "--database": options.database,
        "--behind-proxy": options.proxy,
        "--certificate": options.certificate,
        "--key": options.key,
    }
    given = [str(part) for word, value in words.items() if value is not None for part in (word, value)]
    program = [sys.executable, "-m", "blemish.station.server", str(options.root)]
    return [*program, *given, "--supervised"]


def line_command(station: StationFolder, name: str) -> list[str]:
    """Command of a LINE process."""
    return [sys.executable, "-m", "blemish.station.line", str(station.root), name, "--supervised"]


def end_left_behind(station: StationFolder, say: Say) -> None:
    """End processes of a supervisor that was killed, which are told by their number and start."""
    try:
        content: Any = read_json(station.supervisor)
        left = {name: (child["pid"], child["since"]) for name, child in content["children"].items()}
    except (BlemishError, KeyError, TypeError, AttributeError):
        return
    alive = {
        name: pid for name, (pid, since) in left.items() if since is not None and start_time(pid) == since
    }
    for number in (signal.SIGTERM, signal.SIGKILL):
        for name, pid in alive.items():
            say(f"{name}: process {pid} of a station that was killed is ended.")
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while alive and time.monotonic() < deadline:
            alive = {name: pid for name, pid in alive.items() if start_time(pid) == left[name][1]}
            time.sleep(TICK_SECONDS)


def start_time(pid: int) -> int | None:
    """Start of a process, in ticks since the computer's own; None where there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def ending(code: int) -> str:
    """Words on how a process has ended."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
