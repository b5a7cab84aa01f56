"""A station as its users start it: `blemish station run` in a process of its own, its people and parts."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from blemish.station import Client
from blemish.station.layout import LineFolder, StationFolder

PASSWORD = "correct horse battery"
SECONDS = 500.0  # for anything to happen, on a machine that others use too
BLEMISH = [sys.executable, "-c", "from blemish.cli.main import run; run()"]
LONG = bool(os.environ.get("BLEMISH_STATION_LONG"))
Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, *, seconds: float = SECONDS) -> Found:
    """What `look` finds, when it finds something; fails where it does not in time."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)
    return found


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        number: int = opened.getsockname()[1]
    return number


@dataclass
class RunningStation:
    """A station's folder and process. console: file of what it has printed"""

    folder: StationFolder
    process: subprocess.Popen[bytes]
    port: int
    console: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def line(self, name: str = "press") -> LineFolder:
        return self.folder.line(name)

    def setup_code(self) -> str:
        """One-time code for the first admin, as the console shows it."""
        return wait_for(
            lambda: (found := re.search(r"the code is (\S+)", self.console.read_text())) and found[1],
            "the one-time code",
        )

    def answers(self) -> bool:
        with Client(self.address) as client:
            try:
                return bool(client.request("GET", "/health"))
            except Exception:
                return False

    def pids(self) -> Mapping[str, int]:
        """Numbers of the processes that the supervisor runs, by "server" and "line NAME"."""
        try:
            children = json.loads(self.folder.supervisor.read_text())["children"]
        except (OSError, ValueError):
            return {}
        return {name: child["pid"] for name, child in children.items()}


@contextmanager
def running(
    root: Path, *options: str, program: Sequence[str] = BLEMISH, command: str = "run"
) -> Iterator[RunningStation]:
    """Run a station until the end of the block, and see it end by itself on SIGTERM.

    program: the command line, or a test's form of it; command: run or demo
    """
    port, console = free_port(), root.with_name(f"{root.name}-console.txt")
    with console.open("ab") as out:
        words = [*program, "station", command, str(root), "--port", str(port), *options]
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT)
    station = RunningStation(StationFolder(root), process, port, console)
    try:
        wait_for(lambda: station.answers() or process.poll() is not None, "the server")
        assert process.poll() is None, console.read_text()
        yield station
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(SECONDS)
    assert code in (0, 128 + signal.SIGTERM), console.read_text()


def admin_of(station: RunningStation) -> Client:
    """Client of the first admin, "anna", made by the one-time code."""
    client = Client(station.address)
    body = {"code": station.setup_code(), "name": "anna", "password": PASSWORD}
    client.headers["X-CSRF-Token"] = client.request("POST", "/setup", json=body)["csrf"]
    return client


def drop(image: Path | bytes, folder: Path, name: str) -> None:
    """Rename an image into a watched folder, as a camera's program does. name: may have a lot before it"""
    content = image if isinstance(image, bytes) else image.read_bytes()
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{target.name}"
    draft.write_bytes(content)
    draft.rename(target)


def big_picture(height: int, width: int) -> bytes:
    """PNG of gray pixels with a scratch that only a large picture has room for."""
    pixels = np.full((height, width), 120, np.uint8)
    cv2.line(pixels, (6200, 3976), (6320, 4056), 250, 3)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()


def recorded(client: Client, serial: str) -> dict[str, Any]:
    """Inspection of a part, when the record has it."""

    def look() -> dict[str, Any] | None:
        found = [dict(each.fields) for each in client.inspections(serial=serial)]
        return found[0] if found else None

    return wait_for(look, f"part {serial} in the record")


def ended_job(client: Client, body: Mapping[str, Any], path: str = "/jobs") -> dict[str, Any]:
    """A job as it ended; fails with its log where it failed."""
    asked = client.request("POST", path, json=body)
    number = asked["job"]["id"] if "job" in asked else asked["id"]
    job = wait_for(lambda: ended(client, number), f"job {body}")
    assert job["state"] == "done", (job["message"], client.answer("GET", f"/jobs/{number}/log").text)
    return job


def ended(client: Client, number: int) -> dict[str, Any] | None:
    """A job that has ended; None before."""
    job = client.request("GET", f"/jobs/{number}")
    return job if job["state"] in ("done", "failed", "cancelled") else None
