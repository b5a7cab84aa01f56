"""A full disk: hold, ERROR and NG, nothing half-written, and recovery by itself."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stand_in_line import asked, inspections, new_line, opened, png, records, running, wait_for

from blemish.station.journal_check import verify_journal
from blemish.station.line import recorder as recorder_module


class FullDisk:
    """Writing of a journal, which fails while the disk is full. half: of each record is written before"""

    def __init__(self) -> None:
        self.full, self.pwrite = False, os.pwrite

    def __call__(self, handle: int, data: Any, at: int) -> int:
        if self.full and len(data) > 1:
            self.pwrite(handle, bytes(data[: len(data) // 2]), at)
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.pwrite(handle, data, at)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> FullDisk:
    disk = FullDisk()
    monkeypatch.setattr(os, "pwrite", disk)
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.1)
    return disk


def test_requests_are_ng_while_the_journal_cannot_be_written_and_are_recorded_later(
    tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = new_line(tmp_path / "station")
    with running(line, monkeypatch) as process:
        channel = opened(line)
        assert asked(channel, png(10), serial="before")["result"] == "OK"
        disk.full = True
        refused = [asked(channel, png(10), serial=f"during-{number}") for number in range(5)]
        assert all(reply["result"] == "NG" and "No space" in reply["error"] for reply in refused)
        assert process.status()["state"] == "hold"
        disk.full = False
        wait_for(lambda: process.status()["state"] == "ready")
        assert asked(channel, png(10), serial="after")["result"] == "OK"
    assert [record["serial"] for record in inspections(line)] == ["before", "after"]
    missed = [entry.record["serial"] for entry in records(line, "missed")]
    assert missed == [f"during-{number}" for number in range(5)]
    verify_journal(line.journal)


def test_parts_of_a_folder_wait_for_the_disk(
    tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    line = new_line(tmp_path / "station", source={"kind": "folder", "path": parts, "renamed": True})
    with running(line, monkeypatch) as process:
        disk.full = True
        for number in range(12):
            (parts / f".{number}").write_bytes(png(10, mark=number))
            (parts / f".{number}").rename(parts / f"{number:02d}.png")
        wait_for(lambda: process.status()["state"] == "hold")
        disk.full = False
        wait_for(lambda: len(inspections(line)) == 12)
    names = [Path(record["doc"]["image"]).name for record in inspections(line)]
    assert sorted(names) == [f"{number:02d}.png" for number in range(12)]
    assert len(records(line, "missed")) == 0


def test_a_line_ends_on_a_full_disk_and_its_parts_are_taken_again(
    tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = tmp_path / "parts"
    parts.mkdir()
    line = new_line(tmp_path / "station", source={"kind": "folder", "path": parts, "renamed": True})
    with running(line, monkeypatch) as process:
        disk.full = True
        (parts / "a.png").write_bytes(png(10))
        wait_for(lambda: process.status()["state"] == "hold")
    disk.full = False
    assert not inspections(line)
    with running(line, monkeypatch):
        wait_for(lambda: len(inspections(line)) == 1)


def test_a_line_holds_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = new_line(tmp_path / "station")
    free = 10_000_000_000

    class Usage:
        @property
        def free(self) -> int:
            return free

    monkeypatch.setattr("blemish.station.line.process.disk_usage", lambda _: Usage())
    with running(line, monkeypatch) as process:
        from stand_in_line import change

        change(line, min_free_mb=1000)
        free = 900_000_000
        wait_for(lambda: process.status()["state"] == "hold")
        assert "900 MB" in asked(opened(line), png(10))["error"]
        free = 1_100_000_000
        wait_for(lambda: process.status()["state"] == "ready")
        assert asked(opened(line), png(10))["result"] == "OK"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB. Skips where none can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"mount cannot be run: {error}")
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_on_a_disk_that_really_is_full(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.1)
    line = new_line(small_disk / "station", keep={"ok_share": 1.0})
    filler = small_disk / "filler"
    with running(line, monkeypatch) as process:
        channel = opened(line)
        accepted = [asked(channel, png(200, mark=number), serial=str(number)) for number in range(3)]
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
        for number in range(3, 200):
            reply = asked(channel, png(200, size=(200, 200), mark=number), serial=str(number))
            if "seq" not in reply:
                break
            accepted.append(reply)
        assert reply["result"] == "NG" and "seq" not in reply
        filler.unlink()
        wait_for(lambda: process.status()["state"] == "ready")
        accepted.append(asked(channel, png(200, size=(200, 200), mark=500), serial="after"))
    assert [reply["seq"] for reply in accepted] == list(range(1, len(accepted) + 1))
    for record in inspections(line):
        assert (small_disk / "station" / "images" / record["image"]["file"]).stat().st_size > 0
    assert verify_journal(line.journal).seq == len(accepted)
