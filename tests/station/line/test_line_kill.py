"""A LINE that is killed at random moments under load: what was acknowledged is stored, and no part twice.

`make test-station` gives more kills: BLEMISH_STATION_KILLS=100.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

from stand_in_line import asked, inspections, new_line, opened, png, wait_for

from blemish.errors import BlemishError
from blemish.station.journal_check import verify_journal
from blemish.station.layout import LineFolder

KILLS = int(os.environ.get("BLEMISH_STATION_KILLS", "3"))
PARTS_A_KILL = 100
STAND_IN = Path(__file__).with_name("stand_in_line.py")


def started(line: LineFolder) -> subprocess.Popen[bytes]:
    """Start the LINE process, and wait until it takes parts or has ended."""
    process = subprocess.Popen([sys.executable, str(STAND_IN), str(line.root.parent.parent), line.name])
    before = len(inspections(line))
    wait_for(lambda: process.poll() is not None or len(inspections(line)) > before)
    assert process.poll() is None
    return process


class Asking:
    """A thread that sends request after request, over every kill, and keeps what was acknowledged."""

    def __init__(self, line: LineFolder) -> None:
        self.line, self.over = line, threading.Event()
        self.acknowledged: dict[str, int] = {}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            with suppress(BlemishError, OSError, AssertionError):
                channel = opened(self.line)
                while not self.over.is_set():
                    number += 1
                    serial = f"asked-{number}"
                    reply: dict[str, Any] = asked(channel, png(10, mark=number), serial=serial)
                    if "seq" in reply:
                        self.acknowledged[serial] = reply["seq"]
                    time.sleep(0.01)
            time.sleep(0.05)

    def end(self) -> None:
        self.over.set()
        self.thread.join()


class Filling:
    """A thread that renames image after image into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.over, self.count = folder, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set() and self.count < PARTS_A_KILL * KILLS:
            draft = self.folder / f".{self.count}"
            draft.write_bytes(png(10 if self.count % 5 else 200, mark=self.count))
            draft.rename(self.folder / f"{self.count:06d}.png")
            self.count += 1
            time.sleep(0.005)

    def end(self) -> None:
        self.over.set()
        self.thread.join()


def test_killed_at_random_nothing_acknowledged_is_lost_and_no_part_comes_twice(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    line = new_line(tmp_path / "station", source={"kind": "folder", "path": parts, "renamed": True})
    generator = random.Random(7)
    filling, asking = Filling(parts), Asking(line)
    try:
        for _ in range(KILLS):
            process = started(line)
            time.sleep(generator.uniform(0, 1.0))
            process.send_signal(signal.SIGKILL)
            process.wait()
        filling.end()
        process = started(line)

        def names() -> Counter[str]:
            return Counter(
                Path(r["doc"]["image"]).name for r in inspections(line) if r["source"]["via"] == "folder"
            )

        wait_for(lambda: len(names()) == filling.count, 600)
    finally:
        filling.end()
        asking.end()
        process.terminate()
        process.wait()
    assert set(names().values()) == {1}
    stored = {record["seq"]: record["serial"] for record in inspections(line)}
    assert asking.acknowledged, "requests were answered between the kills"
    assert {serial: stored.get(seq) for serial, seq in asking.acknowledged.items()} == {
        serial: serial for serial in asking.acknowledged
    }
    facts = verify_journal(line.journal)
    assert facts.seq == len(stored)
    for record in inspections(line):
        if record["image"]["file"]:
            file = line.root.parent.parent / "images" / record["image"]["file"]
            assert file.stat().st_size == record["image"]["bytes"]
    print(f"{KILLS} kills, {facts.seq} inspections, {len(asking.acknowledged)} acknowledged requests")
