"""Journals: what was acknowledged is read back, whatever was cut, changed or removed meanwhile."""

from __future__ import annotations

import hashlib
import json
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from blemish.station.journal import (
    Journal,
    JournalDamagedError,
    JournalWriteError,
    last_seq,
    place_behind,
    place_of,
    read_journal,
)
from blemish.station.journal_check import verify_journal

TEXTS = st.text(max_size=20)
STEPS = st.lists(st.one_of(TEXTS, st.just("reopen")), max_size=25)
MORE = settings(max_examples=40, deadline=None)


def filled(folder: Path, count: int, *, max_bytes: int = 600) -> None:
    journal = Journal(folder, max_bytes=max_bytes)
    for seq in range(1, count + 1):
        journal.append("inspection", seq=seq, durable=False)
    journal.close()


def lines_of(folder: Path) -> list[bytes]:
    """Lines of all segments, read as any other program would."""
    files = sorted(folder.glob("*.jsonl"))
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]


@MORE
@given(steps=STEPS, max_bytes=st.integers(1, 2000))
def test_records_come_back_in_order_over_segments_and_openings(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], max_bytes: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal, said = Journal(folder, max_bytes=max_bytes), []
    for step in steps:
        if step == "reopen":
            journal.close()
            journal = Journal(folder, max_bytes=max_bytes)
            assert journal.cut_bytes == 0
        else:
            journal.append("state", why=step, durable=False)
            said.append(step)
    journal.close()
    assert [entry.record["why"] for entry in read_journal(folder)] == said
    previous = "0" * 64
    for number, line in enumerate(lines_of(folder), start=1):
        record = json.loads(line)
        assert (record["n"], record["prev"]) == (number, previous)
        previous = hashlib.sha256(line).hexdigest()
    assert verify_journal(folder).head == previous


@MORE
@given(count=st.integers(1, 12), cut=st.integers(1, 10_000), garbage=st.binary(max_size=40))
def test_a_torn_line_is_cut_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, count: int, cut: int, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    filled(folder, count)
    last = sorted(folder.glob("*.jsonl"))[-1]
    content = last.read_bytes()
    kept = max(0, len(content) - cut)
    rest = garbage.replace(b"\n", b"") if kept == 0 or content[kept - 1 : kept] == b"\n" else b""
    last.write_bytes(content[:kept] + rest)
    whole = [line for line in lines_of(folder) if line.endswith(b"\n")]
    journal = Journal(folder)
    assert journal.n == len(whole)
    journal.append("inspection", seq=last_seq(folder) + 1)
    journal.close()
    assert verify_journal(folder).records == len(whole) + 1
    assert lines_of(folder)[:-1] == whole


@MORE
@given(data=st.data())
def test_a_changed_byte_is_told(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("journal")
    filled(folder, 12)
    files = sorted(folder.glob("*.jsonl"))
    file = data.draw(st.sampled_from(files[:-1]))
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    with pytest.raises(JournalDamagedError, match="jsonl"):
        verify_journal(folder)


@pytest.mark.parametrize("change", ["remove a line", "swap two lines", "remove a segment", "renumber"])
def test_records_that_were_removed_or_moved_are_told(tmp_path: Path, change: str) -> None:
    filled(tmp_path, 12)
    first, *_ = files = sorted(tmp_path.glob("*.jsonl"))
    lines = first.read_bytes().splitlines(keepends=True)
    if change == "remove a segment":
        files[1].unlink()
    elif change == "remove a line":
        first.write_bytes(b"".join(lines[1:]))
    elif change == "swap two lines":
        first.write_bytes(b"".join([lines[1], lines[0], *lines[2:]]))
    else:
        first.write_bytes(b"".join(lines).replace(b'"seq": 2', b'"seq": 7'))
    with pytest.raises(JournalDamagedError):
        verify_journal(tmp_path)


def test_damage_before_sound_records_is_not_cut(tmp_path: Path) -> None:
    filled(tmp_path, 6, max_bytes=10_000)
    (file,) = tmp_path.glob("*.jsonl")
    content = file.read_bytes().replace(b'"seq": 3', b'"seq": \x003')
    file.write_bytes(content)
    with pytest.raises(JournalDamagedError, match="byte"):
        Journal(tmp_path)
    assert file.read_bytes() == content


def test_reading_goes_on_from_a_place_while_records_come(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=500)
    seen: list[int] = []
    place = place_behind(tmp_path, 0)
    for number in range(1, 30):
        journal.append("state", durable=False, why="x" * (number % 7))
        if number % 3 == 0:
            for entry in read_journal(tmp_path, place):
                seen.append(entry.n)
                place = place_of(entry)
    assert seen == list(range(1, 28))
    assert [entry.n for entry in read_journal(tmp_path, place_behind(tmp_path, 11))] == list(range(12, 30))
    with pytest.raises(JournalDamagedError, match="record 99"):
        place_behind(tmp_path, 99)


def test_threads_leave_no_gap(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=2000)

    def write() -> None:
        for _ in range(50):
            journal.append("state", durable=False)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert verify_journal(tmp_path).records == 200


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Inside, no file of this process may grow beyond a size, as on a disk without room."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_on_a_full_disk_nothing_is_half_written_and_the_next_record_follows(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append("state", why="before")
    (file,) = tmp_path.glob("*.jsonl")
    size = file.stat().st_size
    with largest_file(size + 100), pytest.raises(JournalWriteError, match="Free some space"):
        journal.append("state", why="y" * 1000)
    assert file.stat().st_size == size
    journal.append("state", why="after")
    assert [entry.record["why"] for entry in read_journal(tmp_path)] == ["before", "after"]


def test_a_record_must_be_finite(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError):
        journal.append("inspection", score=float("nan"))
    journal.append("state")
    assert verify_journal(tmp_path).records == 1


@pytest.mark.parametrize(
    "text", ["<b>&amp;</b>", "a\nb\u2028c\x85d\r", "\x00\x1b[31m", "\u202egpj.exe", "\udcff"]
)
def test_any_text_is_one_line_and_comes_back(tmp_path: Path, text: str) -> None:
    journal = Journal(tmp_path)
    fields: dict[str, Any] = {"serial": text}
    journal.append("inspection", seq=1, **fields)
    journal.append("state")
    assert [entry.record.get("serial") for entry in read_journal(tmp_path)] == [text, None]
    assert (tmp_path / "00000001.jsonl").read_bytes().count(b"\n") == 2
