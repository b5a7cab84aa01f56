"""Reading journals into the database: each record once, in order, whatever is killed in between.

How far a journal was read is moved in the transaction of the rows that it stands for, so a record is neither
left out nor taken twice. A record that was changed is refused by the journal's chain, and ingest of that line
stops there and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any

from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.database.lines import IngestPlaceRow
from blemish.station.database.parts import (
    AnswerRow,
    DefectRow,
    ImageRow,
    InspectionRow,
    LineEventRow,
    PartRow,
)
from blemish.station.database.records import find_part
from blemish.station.database.writer import Writer
from blemish.station.journal import START, Entry, Place, Record, place_of, read_journal, sync_segment
from blemish.station.layout import LineFolder

BATCH = 100  # of a transaction; what people change waits for it
MAX_NAME = 200


class RecordRefusedError(BlemishError):
    """A record of the journal that is none which this version knows."""


@dataclass(frozen=True)
class Ingested:
    """How far a journal was read. number: of the last record; inspections, others: read just now"""

    number: int
    inspections: int
    others: int


def ingest(writer: Writer, line_id: int, folder: LineFolder, *, batch: int = BATCH) -> Ingested:
    """Read what is new in a line's journal into the database, a hundred records a transaction.

    Raises JournalDamagedError for a record that was changed, RecordRefusedError for one that is unknown,
    JournalWriteError where a flush to the disk fails.
    """
    with writer.database.reading() as session:
        place = stored_place(session, line_id)
    inspections = others = 0
    entries = read_journal(folder.journal, place)
    while group := list(islice(entries, batch)):
        # Read, a record may not be on the disk yet: the database must not know what a power cut takes back.
        sizes = [
            sync_segment(folder.journal, segment) for segment in sorted({each.segment for each in group})
        ]
        if sizes[-1] < place_of(group[-1]).offset:  # taken out again, as the line could not flush it
            break
        place = writer.write(partial(store, line_id=line_id, entries=group))
        judged = sum(entry.record["kind"] == "inspection" for entry in group)
        inspections, others = inspections + judged, others + len(group) - judged
    return Ingested(place.n, inspections, others)


def stored_place(session: Session, line_id: int) -> Place:
    """Place up to which a line's journal is in the database."""
    row = session.get(IngestPlaceRow, line_id)
    return START if row is None else Place(row.number, row.segment, row.offset, row.last_hash)


def store(session: Session, line_id: int, entries: Sequence[Entry]) -> Place:
    """Add the rows of records that follow each other, and move the line's place behind them.

    Records that are in the database already are left out: another reader was faster.
    """
    known = stored_place(session, line_id).n
    new = [entry for entry in entries if entry.n > known]
    if new and new[0].n != known + 1:
        raise RecordRefusedError(
            f"Record {known + 1} must come next. Received: record {new[0].n}. Read again."
        )
    for entry in new:
        try:
            ROWS[entry.record["kind"]](session, line_id, entry.n, entry.record)
        except (KeyError, TypeError, ValueError) as error:
            raise RecordRefusedError(
                f"Segment {entry.segment}, byte {entry.offset}: record {entry.n} must be of this version. "
                f"Received: kind '{entry.record['kind']}', fault: {error}. Update blemish."
            ) from error
    place = place_of(entries[-1]) if new else stored_place(session, line_id)
    row = session.get(IngestPlaceRow, line_id) or IngestPlaceRow(line_id=line_id)
    row.segment, row.offset, row.number, row.last_hash = place.segment, place.offset, place.n, place.prev
    session.add(row)
    return place


def add_inspection(session: Session, line_id: int, number: int, record: Record) -> None:
    """Add the rows of an inspection: part, image, inspection, defects."""
    at, doc = moment(record["at"]), record["doc"]
    image = record.get("image")
    inspection = InspectionRow(
        line_id=line_id,
        seq=record["seq"],
        number=number,
        part_id=part_of(session, line_id, record, at).id,
        image_id=None if image is None else image_of(session, image).id,
        at=at,
        verdict=str(doc["verdict"]),
        score=doc["score"],
        grade=doc.get("grade"),
        bundle_id=text(record.get("bundle"), 80) or "",
        decision_revision=record.get("decision_revision"),
        runtime=record.get("runtime") or {},
        ms=record.get("ms") or {},
        doc=doc,
        shadow=bool(record.get("shadow", False)),
        audit=bool(record.get("audit", False)),
    )
    session.add(inspection)
    session.flush()
    session.add_all(defect_row(inspection.id, n, defect) for n, defect in enumerate(doc["defects"]))


def part_of(session: Session, line_id: int, record: Record, at: datetime) -> PartRow:
    """Part of an inspection, added where it is new.

    Without a serial each inspection is a part of its own, and a shadow's is that of the inspection before.
    """
    number = record["seq"] - 1 if record.get("shadow") else record["seq"]
    serial = text(record.get("serial"), MAX_NAME) or f"#{number}"
    lot = text(record.get("lot"), MAX_NAME) or ""
    found = find_part(session, line_id, serial, lot)
    if found is None:
        found = PartRow(line_id=line_id, serial=serial, lot=lot, first_at=at)
        session.add(found)
        session.flush()
    return found


def image_of(session: Session, image: Mapping[str, Any]) -> ImageRow:
    """Image of an inspection, added where it is new; one that is kept now has its file from here on."""
    row = session.get(ImageRow, image["sha256"])
    if row is None:
        row = ImageRow(
            id=image["sha256"],
            pixels_sha256=image.get("pixels_sha256"),
            height=image.get("height"),
            width=image.get("width"),
            channels=image.get("channels"),
            dtype=image.get("dtype"),
            bytes=image.get("bytes") or 0,
            tiles="none",
        )
        session.add(row)
    if row.file is None and image.get("file") is not None:
        row.file, row.kept_because = image["file"], text(image.get("kept_because"), 40)
    session.flush()
    return row


def defect_row(inspection_id: int, n: int, defect: Mapping[str, Any]) -> DefectRow:
    """Row of a defect as an inspection's doc has it."""
    x0, y0, x1, y1 = defect["box_xyxy"]
    return DefectRow(
        inspection_id=inspection_id,
        n=n,
        class_name=text(defect["label"], MAX_NAME) or "",
        confidence=defect["confidence"],
        x0=x0,
        y0=y0,
        x1=x1,
        y1=y1,
        area=defect["area"],
        length=defect["rectangle"]["length"],
        width=defect["rectangle"]["width"],
        severity=(defect.get("severity") or {}).get("max"),
        mm=defect.get("mm"),
    )


def add_answer(session: Session, line_id: int, number: int, record: Record) -> None:
    """Add the row of an answer that the line took."""
    session.add(
        AnswerRow(
            line_id=line_id,
            seq=record["seq"],
            number=number,
            at=moment(record["at"]),
            via=text(record["via"], 80) or "",
            ms=record["ms"],
        )
    )


def add_event(session: Session, line_id: int, number: int, record: Record) -> None:
    """Add the row of a missed trigger or of a change of state."""
    missed = record["kind"] == "missed"
    session.add(
        LineEventRow(
            line_id=line_id,
            number=number,
            kind=record["kind"],
            at=moment(record["at"]),
            value=text(record.get("source" if missed else "state"), MAX_NAME) or "",
            text=text(record.get("reason" if missed else "why"), 2000) or "",
        )
    )


ROWS = {"inspection": add_inspection, "answered": add_answer, "missed": add_event, "state": add_event}


def moment(value: str) -> datetime:
    """Time of a record, in UTC. Raises ValueError for other text."""
    read = datetime.fromisoformat(value)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def text(value: Any, longest: int) -> str | None:
    """Text for a column: cut to its length, without what PostgreSQL or UTF-8 cannot hold; None stays."""
    if value is None:
        return None
    return str(value).replace("\0", "�").encode(errors="replace").decode()[:longest]
