"""The journal of a line: every decision as a line of JSON, on the disk before it is answered.

A journal is a folder of segments, 00000001.jsonl and so on, each of about 64 MB. A record is one line:

    {"n": 8, "kind": "inspection", "at": "2026-11-30T15:09:40.123Z", "prev": "<SHA-256>", …}

n counts from 1 without a gap over all segments. `prev` is the SHA-256 of the line before, its line end
included, as `sha256sum` prints it, and 64 zeros in the first; so nobody changes or removes a record without
every later one telling. A line that a kill has cut off was never answered: it is cut when the journal is
opened. Damage with sound records behind it is refused: those were answered.

After a flush that failed, the kernel may take the pages for written, and the next flush then says nothing
(fsync(2), EIO). So records whose flush failed are taken out of the segment, and written again from memory.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

from blemish.errors import BlemishError

SEGMENT_BYTES = 64 << 20
FIRST_PREV = "0" * 64
READ_BYTES = 1 << 20
Record = Mapping[str, Any]


class JournalDamagedError(BlemishError):
    """Stored records do not read, or are not those that were written."""


class JournalWriteError(BlemishError):
    """A record cannot be written, as on a full disk. Nothing of it is left in the journal."""


@dataclass(frozen=True)
class Entry:
    """A record as it stands in the journal. line: its bytes, line end included; offset: of its segment"""

    n: int
    segment: int
    offset: int
    line: bytes
    record: Record

    @property
    def digest(self) -> str:
        """SHA-256 that the next record has as `prev`."""
        return hashlib.sha256(self.line).hexdigest()


@dataclass(frozen=True)
class Place:
    """Place behind a record, from which reading goes on. n: of that record, 0 at the beginning"""

    n: int = 0
    segment: int = 1
    offset: int = 0
    prev: str = FIRST_PREV


START = Place()


class Journal:
    """Writer of a journal; one at a time, see `LineFolder.lock`. Its methods may be called from any thread.

    max_bytes: of a segment, before the next is begun
    Raises JournalDamagedError for stored records that do not read; BlemishError where it cannot be written.
    """

    def __init__(self, folder: Path, *, max_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.max_bytes = folder, max_bytes
        self.lock = Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.place, self.cut_bytes = self.mend()
            self.handle = self.open_segment(self.place.segment)
            self.flush_earlier()
        except OSError as error:
            raise JournalWriteError(
                f"{folder} cannot be written: {error.strerror}. Check the disk and its permissions."
            ) from error
        self.flushed, self.unflushed, self.taken_out = self.place, bytearray(), False

    @property
    def n(self) -> int:
        """Number of the last record; 0 without one."""
        return self.place.n

    def append(self, kind: str, *, durable: bool = True, **fields: Any) -> Record:
        """Write a record; returns it. durable: it is on the disk on return, with all that stand before it

        Raises JournalWriteError where it cannot be written; ValueError for a number that is not finite.
        """
        with self.lock:
            place = self.place
            head = {"n": place.n + 1, "kind": kind, "at": utc_now(), "prev": place.prev}
            record = {**head, **fields}
            line = line_of(record)
            try:
                if place.offset and place.offset + len(line) > self.max_bytes:
                    place = self.begin_segment()
                self.put_back()
                self.write(line, place.offset)
                digest = hashlib.sha256(line).hexdigest()
                behind = Place(place.n + 1, place.segment, place.offset + len(line), digest)
                if durable:
                    self.flush(behind)
            except OSError as error:
                with suppress(OSError):  # an opening cuts it, too
                    os.ftruncate(self.handle, (self.flushed if self.taken_out else place).offset)
                raise JournalWriteError(explained(error, self.folder)) from error
            if not durable:
                self.unflushed += line
            self.place = behind
            return record

    def sync(self) -> None:
        """Have every record on the disk. Raises JournalWriteError"""
        with self.lock:
            try:
                self.flush(self.place)
            except OSError as error:
                raise JournalWriteError(explained(error, self.folder)) from error

    def close(self) -> None:
        """Have every record on the disk, and write no more."""
        self.sync()
        os.close(self.handle)

    def flush_earlier(self) -> None:
        """Have on the disk what an earlier process left. Raises OSError"""
        try:
            os.fsync(self.handle)
        except OSError:  # it may be lost, though it can be read
            content = segment_file(self.folder, self.place.segment).read_bytes()
            self.write(content, 0)
            os.fsync(self.handle)

    def write(self, lines: bytes | bytearray, offset: int) -> None:
        rest, at = memoryview(lines), offset
        while rest:
            written = os.pwrite(self.handle, rest, at)
            rest, at = rest[written:], at + written

    def flush(self, place: Place) -> None:
        """Have all that stands before a place on the disk; where that fails, take out what may be lost.

        Raises OSError, and JournalWriteError as `put_back` does.
        """
        self.put_back()
        try:
            os.fsync(self.handle)
        except OSError:
            self.taken_out = True
            with suppress(OSError):  # `put_back` writes over it
                os.ftruncate(self.handle, self.flushed.offset)
            raise
        self.flushed, self.unflushed = place, bytearray()

    def put_back(self) -> None:
        """Write records that were taken out again, behind those that are on the disk.

        Raises OSError; JournalWriteError where those on the disk do not read as they were written.
        """
        if self.taken_out:
            try:
                refuse_changed(self.folder, self.flushed)
            except JournalDamagedError as error:
                raise JournalWriteError(str(error)) from error
            self.write(self.unflushed, self.flushed.offset)
            self.taken_out = False

    def begin_segment(self) -> Place:
        """Open the next segment, with the last one on the disk. Raises OSError and JournalWriteError"""
        self.flush(self.place)
        handle = self.open_segment(self.place.segment + 1)
        os.close(self.handle)
        self.handle = handle
        self.place = self.flushed = Place(self.place.n, self.place.segment + 1, 0, self.place.prev)
        return self.place

    def open_segment(self, number: int) -> int:
        file = segment_file(self.folder, number)
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            sync_folder(self.folder)
        except OSError:
            if os.fstat(handle).st_size == 0:
                file.unlink()  # its name is then written again, too
            os.close(handle)
            raise
        return handle

    def mend(self) -> tuple[Place, int]:
        """Find the end of the sound records and cut a torn line off; returns also how many bytes were cut."""
        numbers = segment_numbers(self.folder)
        if not numbers:
            return START, 0
        place = START
        for number in reversed(numbers):  # the last one may have been begun and not written
            place = last_place(self.folder, number)
            if place.n or number == numbers[0]:
                break
            if (size := segment_file(self.folder, number).stat().st_size) > 0:
                refuse_sound_behind(segment_file(self.folder, number), 0, size)
        cut = 0
        for number in numbers:
            file = segment_file(self.folder, number)
            size = file.stat().st_size
            if number == place.segment and size > place.offset:
                cut += size - place.offset
                os.truncate(file, place.offset)
            elif number > place.segment:
                cut += size
                file.unlink()
        return place, cut


def read_journal(folder: Path, after: Place = START) -> Iterator[Entry]:
    """Entries behind a place, in their order, to the last whole line; that of a torn line is the end.

    Call it again with `place_of` the last entry to go on. A writer may be at work meanwhile.
    Raises JournalDamagedError for a line that is no record, or whose number or `prev` is not the next one.
    """
    place = after
    numbers = [number for number in segment_numbers(folder) if number >= after.segment]
    for index, number in enumerate(numbers):
        file = segment_file(folder, number)
        offset = after.offset if number == after.segment else 0
        for line in whole_lines(file, offset):
            entry = entry_of(line, file, number, offset)
            if entry.n != place.n + 1 or entry.record["prev"] != place.prev:
                raise JournalDamagedError(
                    f"{file}: the record at byte {offset} must be number {place.n + 1}, after that with the "
                    f"SHA-256 {place.prev[:12]}…. Received: number {entry.n}, after "
                    f"{entry.record['prev'][:12]}…. Records were changed or removed. Restore the journal "
                    "from a backup."
                )
            yield entry
            offset, place = offset + len(line), place_of(entry)
        if index + 1 < len(numbers) and offset != file.stat().st_size:
            raise damaged(file, offset, "a line without an end, and a later segment")


def place_of(entry: Entry) -> Place:
    """Place behind an entry."""
    return Place(entry.n, entry.segment, entry.offset + len(entry.line), entry.digest)


def place_behind(folder: Path, n: int) -> Place:
    """Place behind record n, to read on from. Raises JournalDamagedError where there is no such record."""
    if n == 0:
        return START
    for number in reversed(segment_numbers(folder)):
        file = segment_file(folder, number)
        first = next(whole_lines(file, 0), None)
        if first is None or entry_of(first, file, number, 0).n > n:
            continue
        offset = 0
        for line in whole_lines(file, 0):
            if line.startswith(b'{"n": %d,' % n):
                return place_of(entry_of(line, file, number, offset))
            offset += len(line)
    raise JournalDamagedError(f"{folder} must have a record {n}. Received: none. Restore it from a backup.")


def last_seq(folder: Path) -> int:
    """Number of the last inspection in a journal; 0 without one."""
    for number in reversed(segment_numbers(folder)):
        lines = whole_lines(segment_file(folder, number), 0)
        last = None
        for line in lines:
            last = line if b'"kind": "inspection"' in line[:64] else last
        if last is not None:
            return int(json.loads(last)["seq"])
    return 0


def segment_numbers(folder: Path) -> list[int]:
    """Numbers of the segments that are there, sorted. Raises JournalDamagedError where one is missing."""
    names = (file.stem for file in folder.glob("*.jsonl"))
    numbers = sorted(int(name) for name in names if len(name) == 8 and name.isdecimal())
    if numbers and numbers != list(range(1, numbers[-1] + 1)):
        missing = min(set(range(1, numbers[-1] + 1)) - set(numbers))
        raise JournalDamagedError(
            f"{segment_file(folder, missing)} is missing, and later segments are there. Restore it from a "
            "backup."
        )
    return numbers


def segment_file(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.jsonl"


def line_of(record: Record) -> bytes:
    """Bytes of a record, line end included. Raises ValueError for a number that is not finite."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    # Bytes of a file name that are not UTF-8 become escapes, which JSON reads back as they were.
    return text.encode(errors="backslashreplace")


def whole_lines(file: Path, offset: int) -> Iterator[bytes]:
    """Lines of a segment from a byte on, line ends included; what stands behind the last line end is left."""
    with file.open("rb") as stream:
        stream.seek(offset)
        rest = b""
        while block := stream.read(READ_BYTES):
            *lines, rest = (rest + block).split(b"\n")
            yield from (line + b"\n" for line in lines)


def entry_of(line: bytes, file: Path, segment: int, offset: int) -> Entry:
    """Entry of a whole line. Raises JournalDamagedError for what is no record."""
    record = record_in(line)
    if record is None:
        raise damaged(file, offset, "something else")
    return Entry(record["n"], segment, offset, line, record)


def record_in(line: bytes) -> Record | None:
    """Record of a line; None for what is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or type(record.get("n")) is not int:
        return None
    return record if all(isinstance(record.get(key), str) for key in ("kind", "at", "prev")) else None


def last_place(folder: Path, number: int) -> Place:
    """Place behind the last sound record of a segment.

    Raises JournalDamagedError where damage has sound records behind it.
    """
    file, offset = segment_file(folder, number), 0
    place = Place(0, number, 0)
    for line in whole_lines(file, 0):
        record = record_in(line)
        if record is None or (place.n and (record["n"], record["prev"]) != (place.n + 1, place.prev)):
            refuse_sound_behind(file, offset, file.stat().st_size)
            break
        offset += len(line)
        place = Place(record["n"], number, offset, hashlib.sha256(line).hexdigest())
    return place


def refuse_changed(folder: Path, place: Place) -> None:
    """Raise JournalDamagedError where a segment does not read, up to a place, as it was written."""
    file, offset, digest = segment_file(folder, place.segment), 0, place.prev if place.offset == 0 else ""
    for line in whole_lines(file, 0):
        record = record_in(line)
        if offset >= place.offset or record is None or digest not in ("", record["prev"]):
            break
        offset, digest = offset + len(line), hashlib.sha256(line).hexdigest()
    if (offset, digest) != (place.offset, place.prev):
        raise damaged(file, offset, "something else, after a flush to the disk that failed")


def refuse_sound_behind(file: Path, offset: int, size: int) -> None:
    """Raise JournalDamagedError where a segment has a record behind the damage at a byte."""
    if any(record_in(line) is not None for line in whole_lines(file, offset)):
        raise damaged(file, offset, f"damage, with records behind it up to byte {size}")


def damaged(file: Path, offset: int, received: str) -> JournalDamagedError:
    return JournalDamagedError(
        f"{file}: byte {offset} must begin a record. Received: {received}. Restore the journal from a "
        "backup, or set its folder aside, and the line begins a new one."
    )


def sync_segment(folder: Path, number: int) -> int:
    """Have all that stands in a segment on the disk, whoever wrote it; returns its size in bytes then.

    Raises JournalWriteError
    """
    try:
        handle = os.open(segment_file(folder, number), os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
            return os.fstat(handle).st_size
        finally:
            os.close(handle)
    except OSError as error:
        raise JournalWriteError(explained(error, folder)) from error


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def explained(error: OSError, folder: Path) -> str:
    """One line on a record that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    remedy = "Free some space" if full else "Check the disk and its permissions"
    return f"{folder} cannot be written: {error.strerror}. {remedy}; the line is on hold until then."


def utc_now() -> str:
    """Time as ISO 8601 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
