"""The supervisor: starts what is to run, starts again what has ended, and lets no second station in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from stand_in_line import asked, new_line, opened, png, records, wait_for

from blemish.station.layout import LineFolder, StationFolder
from blemish.station.supervisor import start_time

PROGRAM = """
import sys
from pathlib import Path
from blemish.errors import BlemishError
from blemish.station import supervisor

root, stand_in = sys.argv[1:]

def command(station, name):
    return [sys.executable, stand_in, str(station.root), name, "--supervised"]

supervisor.line_command = command
try:
    supervisor.supervise(Path(root), beside={}, say=lambda line: print(line, flush=True))
except BlemishError as error:
    sys.exit(f"blemish: {error}")
"""


class Station:
    """A station that runs as a process of its own."""

    def __init__(self, root: Path) -> None:
        stand_in = Path(__file__).with_name("stand_in_line.py")
        self.folder = StationFolder(root)
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(root), str(stand_in)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def pids(self) -> dict[str, Any]:
        try:
            children = json.loads(self.folder.supervisor.read_text())["children"]
        except (OSError, ValueError):
            return {}
        return {name: child["pid"] for name, child in children.items()}

    def stop(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)[0]


def answers(line: LineFolder) -> bool:
    try:
        return asked(opened(line), png(10))["result"] == "OK"
    except Exception:
        return False


def test_lines_are_started_found_started_again_and_ended(tmp_path: Path) -> None:
    root = tmp_path / "station"
    line = new_line(root)
    station = Station(root)
    try:
        wait_for(lambda: answers(line))
        first = station.pids()["line L1"]
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: station.pids().get("line L1") not in (None, first))
        wait_for(lambda: answers(line))
        other = StationFolder(root).line("L2")
        other.root.mkdir()
        other.settings.write_text(line.settings.read_text().replace('"L1"', '"L2"'))
        wait_for(lambda: answers(other))
        second = station.pids()["line L2"]
        other.settings.unlink()
        wait_for(lambda: start_time(second) is None)
        last = station.pids()["line L1"]
    finally:
        said = station.stop()
    assert station.process.returncode == 0
    assert start_time(last) is None
    assert "killed by SIGKILL" in said and said.count("starts again") == 1
    assert records(line, "state")[-1].record["state"] == "stopping"


def test_a_second_station_on_the_folder_is_refused_in_one_line(tmp_path: Path) -> None:
    station = Station(tmp_path)
    try:
        wait_for(station.folder.lock.exists)
        wait_for(station.folder.lock.read_text)
        second = Station(tmp_path)
        said = second.process.communicate(timeout=60)[0]
        assert second.process.returncode == 1
        assert said.count("\n") == 1
        assert f"{tmp_path} runs already" in said and str(station.process.pid) in said
        assert station.process.poll() is None
    finally:
        station.stop()


def test_a_line_that_cannot_start_is_tried_again_later_and_later(tmp_path: Path) -> None:
    line = new_line(tmp_path)
    line.settings.write_text('{"name": "other"}')
    station = Station(tmp_path)
    try:
        said = [station.process.stdout.readline() for _ in range(5)]  # type: ignore[union-attr]
    finally:
        station.stop()
    assert sum("name must be that of its folder" in each for each in said) == 2
    pauses = [each.split(" again in ")[1] for each in said if "again" in each]
    assert pauses == ["0.5 s.\n", "1 s.\n"]


def test_processes_of_a_station_that_was_killed_end(tmp_path: Path) -> None:
    line = new_line(tmp_path)
    station = Station(tmp_path)
    wait_for(lambda: answers(line))
    left = station.pids()["line L1"]
    station.process.kill()
    station.process.wait()
    again = Station(tmp_path)
    try:
        wait_for(lambda: again.pids().get("line L1") not in (None, left))
        assert start_time(left) is None
        wait_for(lambda: answers(line))
    finally:
        again.stop()


def test_neither_blemish_nor_its_commands_import_what_the_extra_brings() -> None:
    packages = {"fastapi", "uvicorn", "sqlalchemy", "alembic", "argon2", "httpx", "pg8000", "websockets"}
    program = (
        "import sys, blemish, blemish.cli.commands, blemish.station.line.process\n"
        f"print(*sorted({packages!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
