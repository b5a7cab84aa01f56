"""SIGKILL hits line, server and job of a running station in turn, under load, on both databases.

What was acknowledged is stored, nothing is there twice, and the record is whole. `make test-station`
gives more kills: BLEMISH_STATION_KILLS=100.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from blemish.errors import BlemishError
from blemish.station import Client
from blemish.station.audit_check import check_station
from blemish.station.bundles import add_bundle
from blemish.station.journal_check import verify_journal
from blemish.station.layout import StationFolder
from blemish.station.line.settings import FolderSource
from tests.station.line.line_load import Asking, Filling
from tests.station.line.stand_in_line import new_line, png
from tests.station.server.conftest import ENGINES
from tests.station.whole.running_station import RunningStation, admin_of, running, wait_for

KILLS = int(os.environ.get("BLEMISH_STATION_KILLS", "6"))
PARTS_A_KILL = 40
PROGRAM = [sys.executable, str(Path(__file__).with_name("stand_in_station.py"))]


class Working:
    """A thread that uses the API over every kill: adds classes, sends parts, keeps what was acknowledged."""

    def __init__(self, address: str, token: str) -> None:
        self.client, self.over = Client(address, token=token), threading.Event()
        self.classes: set[str] = set()
        self.parts: dict[str, int] = {}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        number = 0
        while not self.over.wait(0.02):
            number += 1
            name = f"class {number}"
            with suppress(BlemishError):
                self.client.request("POST", "/classes", json={"name": name, "colour": "#d62728"})
                self.classes.add(name)
            with suppress(BlemishError):
                part = self.client.inspect(1, png(10, mark=number), serial=f"sent-{number}")
                self.parts[f"sent-{number}"] = part.seq

    def end(self) -> None:
        self.over.set()
        self.thread.join()
        self.client.close()


def job_group(station: RunningStation) -> int | None:
    """Process group of the job that runs; None without one."""
    mark = f"blemish.station.jobs.child\0{station.folder.jobs}".encode()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if mark in file.read_bytes():
                return int(file.parent.name)
    return None


def kill_server(station: RunningStation, _: Client, __: str) -> None:
    kill_child(station, "server")
    wait_for(station.answers, "the server after its kill")


def kill_line(station: RunningStation, _: Client, __: str) -> None:
    kill_child(station, "line L1")


def kill_child(station: RunningStation, name: str) -> None:
    """Kill a process of the supervisor, and wait until another is in its place."""
    killed = wait_for(lambda: station.pids().get(name), name)
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: station.pids().get(name) not in (None, killed), f"{name} after its kill")


def kill_job(station: RunningStation, admin: Client, bundle: str) -> None:
    group = wait_for(lambda: job_group(station) or put_in_queue(admin, bundle), "a job")
    with suppress(ProcessLookupError):  # it may have ended just now
        os.killpg(group, signal.SIGKILL)


def put_in_queue(client: Client, bundle: str) -> None:
    """Put a job into the queue where none waits or runs; on a busy machine it may take another try."""
    with suppress(BlemishError):
        if not {"queued", "running"} & set(job_states(client).values()):
            client.request("POST", "/jobs", json={"kind": "export", "bundle_id": bundle, "to": "onnx"})


def job_states(client: Client) -> dict[int, str]:
    return {job["id"]: job["state"] for job in client.pages("/jobs")}


KILLED: tuple[Callable[[RunningStation, Client, str], None], ...] = (kill_line, kill_server, kill_job)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_process_is_killed_in_turn_and_the_record_is_whole(
    engine: str, tmp_path: Path, tiny_bundle: Path, request: pytest.FixtureRequest
) -> None:
    database = request.getfixturevalue("new_database") if engine == "postgresql" else None
    root, parts, generator = tmp_path / "station", tmp_path / "parts", random.Random(11)
    parts.mkdir()
    bundle = add_bundle(StationFolder(root), tiny_bundle).name
    line = new_line(root, bundle=bundle, source=FolderSource(path=parts, renamed=True, after="delete"))
    options = ["--database", database] if database else []
    with running(root, *options, program=PROGRAM) as station, admin_of(station) as admin:
        token = admin.request("POST", "/tokens", json={"name": "load", "role": "engineer"})["secret"]
        filling, asking = Filling(parts, PARTS_A_KILL * KILLS), Asking(line)
        working = Working(station.address, token)
        try:
            for kill in range(KILLS):
                time.sleep(generator.uniform(0, 1.0))
                KILLED[kill % len(KILLED)](station, admin, bundle)
        finally:
            for each in (filling, asking, working):
                each.end()
        wait_for(lambda: not any(parts.glob("*.png")), "every part to be recorded")
        wait_for(lambda: admin.line("L1").fields["behind"] == 0, "the record to be complete")
        stored = {each.serial: each.seq for each in admin.inspections(limit=200)}
        every = Counter(each.serial for each in admin.inspections(limit=200))
        classes = Counter(each["name"] for each in admin.pages("/classes"))
        wait_for(lambda: not {"queued", "running"} & set(job_states(admin).values()), "the jobs to end")
        jobs = job_states(admin)
        assert admin.request("GET", "/audit/verify")["faults"] == []
    assert set(every.values()) == {1} == set(classes.values())
    assert {f"{number:06d}" for number in range(filling.count)} <= stored.keys()
    for acknowledged in (asking.acknowledged, working.parts):
        assert acknowledged, "requests were answered between the kills"
        assert acknowledged == {serial: stored.get(serial) for serial in acknowledged}
    assert working.classes and working.classes <= classes.keys()
    counted = {number: root / "jobs" / str(number) / "counted.txt" for number in jobs}
    assert "done" in jobs.values() and set(jobs.values()) <= {"done", "failed"}
    assert {len(counted[number].read_text()) for number, state in jobs.items() if state == "done"} == {60}
    assert verify_journal(line.journal).seq == len(stored)
    assert check_station(root, database=database).faults == []
    if database is None:
        with sqlite3.connect(root / "station.db") as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    print(
        f"{engine}: {KILLS} kills, {len(stored)} inspections; acknowledged: "
        f"{len(asking.acknowledged) + len(working.parts)} requests, {len(working.classes)} changes"
    )
