"""A LINE that is killed at random moments under load: what was acknowledged is stored, and no part twice.

`make test-station` gives more kills: BLEMISH_STATION_KILLS=100.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from blemish.station.journal_check import verify_journal
from blemish.station.layout import LineFolder
from tests.station.line.line_load import Asking, Filling
from tests.station.line.stand_in_line import inspections, new_line, wait_for

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


def test_killed_at_random_nothing_acknowledged_is_lost_and_no_part_comes_twice(tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    line = new_line(tmp_path / "station", source={"kind": "folder", "path": parts, "renamed": True})
    generator = random.Random(7)
    filling, asking = Filling(parts, PARTS_A_KILL * KILLS), Asking(line)
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
