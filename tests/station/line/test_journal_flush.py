"""Flushes that fail: what was acknowledged is on the disk, though the kernel drops what was not written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stand_in_line import asked, inspections, new_line, opened, png, records, running, wait_for

from blemish.station.journal import Journal, JournalWriteError, read_journal
from blemish.station.journal_check import verify_journal
from blemish.station.layout import StationFolder
from blemish.station.line import recorder as recorder_module
from blemish.station.line.images import keep_image

FAULT = OSError(errno.EIO, "Input/output error")


class Disk:
    """What a power cut leaves of files: bytes written by pwrite reach it by a flush, and by that flush alone.

    A flush that fails drops them, and the next one knows nothing of them. failing: next flushes that fail
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.stored: dict[int, bytearray] = {}  # by inode
        self.dirty: dict[int, list[tuple[int, bytes]]] = {}
        self.failing = 0
        self.pwrite, self.fsync, self.ftruncate = os.pwrite, os.fsync, os.ftruncate
        for name in ("pwrite", "fsync", "ftruncate"):
            patch.setattr(os, name, getattr(self, f"fake_{name}"))

    def fake_pwrite(self, handle: int, data: Any, at: int) -> int:
        self.dirty.setdefault(os.fstat(handle).st_ino, []).append((at, bytes(data)))
        return self.pwrite(handle, data, at)

    def fake_ftruncate(self, handle: int, size: int) -> None:
        inode = os.fstat(handle).st_ino
        del self.stored.setdefault(inode, bytearray())[size:]
        cut = [(at, data[: max(0, size - at)]) for at, data in self.dirty.pop(inode, [])]
        self.dirty[inode] = [(at, data) for at, data in cut if data]
        self.ftruncate(handle, size)

    def fake_fsync(self, handle: int) -> None:
        inode = os.fstat(handle).st_ino
        dirty = self.dirty.pop(inode, [])
        if self.failing and dirty:
            self.failing -= 1
            raise FAULT
        stored = self.stored.setdefault(inode, bytearray())
        for at, data in dirty:
            stored.extend(bytes(max(0, at + len(data) - len(stored))))
            stored[at : at + len(data)] = data

    def after_power_cut(self, folder: Path) -> Path:
        """Folder of the files as the disk has them."""
        copy = folder.with_name(f"{folder.name}-after")
        copy.mkdir()
        for file in folder.glob("*.jsonl"):
            (copy / file.name).write_bytes(self.stored.get(file.stat().st_ino, b""))
        return copy


STEPS = st.lists(st.sampled_from(["append", "append durably", "sync", "fail", "fail twice"]), max_size=30)


@settings(max_examples=100, deadline=None)
@given(steps=STEPS, max_bytes=st.sampled_from([400, 1000, 1 << 20]))
def test_acknowledged_records_are_on_the_disk_whatever_flush_failed(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("journal") / "journal"
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch)
        journal, acknowledged = Journal(folder, max_bytes=max_bytes), 0
        for number, step in enumerate(steps):
            try:
                if step.startswith("append"):
                    journal.append("state", why=str(number), durable=step.endswith("durably"))
                elif step == "sync":
                    journal.sync()
                else:
                    disk.failing = 2 if step.endswith("twice") else 1
                    continue
                acknowledged = acknowledged if step == "append" else journal.n
            except JournalWriteError as error:
                assert "Input/output error" in str(error)
        stored = disk.after_power_cut(folder)
        assert len(list(read_journal(stored))) >= acknowledged
        disk.failing = 0
        journal.close()
        assert verify_journal(folder).records == journal.n
        assert [file.read_bytes() for file in sorted(folder.iterdir())] == [
            bytes(disk.stored[file.stat().st_ino]) for file in sorted(folder.iterdir())
        ]


def test_a_journal_that_changed_while_a_flush_failed_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    journal = Journal(tmp_path)
    journal.append("state", why="stored")
    journal.append("state", why="lost", durable=False)
    disk.failing = 1
    with pytest.raises(JournalWriteError, match="Input/output error"):
        journal.sync()
    (file,) = tmp_path.glob("*.jsonl")
    assert [entry.record["why"] for entry in read_journal(tmp_path)] == ["stored"]
    file.write_bytes(file.read_bytes().replace(b"stored", b"storex"))
    for _ in range(2):
        with pytest.raises(JournalWriteError, match="after a flush to the disk that failed"):
            journal.sync()
    with pytest.raises(JournalWriteError, match="after a flush"):
        journal.append("state")


def test_an_opening_writes_again_what_an_earlier_process_could_not_flush(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    folder = tmp_path / "journal"
    Journal(folder).append("state", why="never flushed", durable=False)
    disk.failing = 1
    journal = Journal(folder)
    journal.append("state", why="after")
    stored = read_journal(disk.after_power_cut(folder))
    assert [entry.record["why"] for entry in stored] == ["never flushed", "after"]


def test_a_line_holds_while_flushes_fail_and_nothing_acknowledged_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_SECONDS", 0.1)
    disk = Disk(monkeypatch)
    line = new_line(tmp_path / "station")
    with running(line, monkeypatch) as process:
        channel = opened(line)
        assert asked(channel, png(10), serial="before")["result"] == "OK"
        disk.failing = 3
        refused = asked(channel, png(10), serial="during")
        assert refused["result"] == "NG" and "Input/output error" in refused["error"]
        wait_for(lambda: process.status()["state"] == "ready")
        assert asked(channel, png(10), serial="after")["result"] == "OK"
        stored = disk.after_power_cut(line.journal)
    serials = [
        entry.record["serial"] for entry in read_journal(stored) if entry.record["kind"] == "inspection"
    ]
    assert serials == ["before", "during", "after"] == [record["serial"] for record in inspections(line)]
    assert [entry.record["serial"] for entry in records(line, "missed")] == ["during"]
    verify_journal(line.journal)


def test_an_image_whose_name_is_not_on_the_disk_is_stored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    station, content = StationFolder(tmp_path), png(10)
    with monkeypatch.context() as patch:
        patch.setattr("blemish.station.line.images.sync_folder", failing)
        with pytest.raises(Exception, match="Input/output error"):
            keep_image(station, content)
    assert not [file for file in station.images.rglob("*") if file.is_file()]
    assert (station.images / keep_image(station, content).file).read_bytes() == content


def failing(_: Path) -> None:
    raise FAULT
