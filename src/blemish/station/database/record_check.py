"""Comparison of the record in the database with the journals that it was read from, row by row."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from blemish.station.database.audit import AuditFault
from blemish.station.database.lines import IngestPlaceRow, LineRow
from blemish.station.database.parts import AnswerRow, DefectRow, InspectionRow, LineEventRow
from blemish.station.journal import JournalDamagedError, Record, read_journal
from blemish.station.layout import StationFolder


def record_faults(session: Session, station: StationFolder) -> Iterator[AuditFault]:
    """Rows of the record that are not as the journals have them, or are gone; and faults of the journals."""
    for line in session.scalars(select(LineRow).order_by(LineRow.id)):
        place = session.get(IngestPlaceRow, line.id)
        if place is None:
            continue
        try:
            for entry in read_journal(station.line(line.name).journal):
                if entry.n > place.number:
                    break
                fault = row_fault(session, line.id, entry.n, entry.record)
                if fault:
                    yield AuditFault(None, f"line {line.name}, record {entry.n}", fault)
                session.expunge_all()
        except JournalDamagedError as error:
            yield AuditFault(None, f"line {line.name}", str(error))


def row_fault(session: Session, line_id: int, number: int, record: Record) -> str:
    """Difference between a record and its row; "" where there is none."""
    kinds: dict[str, type[InspectionRow | AnswerRow | LineEventRow]] = {
        "inspection": InspectionRow,
        "answered": AnswerRow,
        "missed": LineEventRow,
        "state": LineEventRow,
    }
    table = kinds[record["kind"]]
    row = session.scalars(select(table).where(table.line_id == line_id, table.number == number)).one_or_none()
    if row is None:
        return "its row is missing"
    if isinstance(row, InspectionRow):
        return inspection_fault(session, row, record)
    if isinstance(row, AnswerRow):
        same = (row.seq, row.ms) == (record["seq"], record["ms"])
        return "" if same else "its row was changed"
    assert isinstance(row, LineEventRow), "the other kinds"
    return "" if row.kind == record["kind"] else "its row was changed"


def inspection_fault(session: Session, row: InspectionRow, record: Record) -> str:
    """Difference between the record of an inspection and its rows; "" where there is none."""
    doc = record["doc"]
    now = {
        "seq": (row.seq, record["seq"]),
        "verdict": (row.verdict, doc["verdict"]),
        "score": (row.score, doc["score"]),
        "doc": (row.doc, doc),
        "bundle_id": (row.bundle_id, record["bundle"] or ""),
        "decision_revision": (row.decision_revision, record["decision_revision"]),
        "image_id": (row.image_id, (record["image"] or {}).get("sha256")),
        "audit": (row.audit, bool(record["audit"])),
        "shadow": (row.shadow, bool(record["shadow"])),
    }
    changed = [name for name, (here, there) in now.items() if here != there]
    query = select(func.count()).select_from(DefectRow).where(DefectRow.inspection_id == row.id)
    if (session.scalar(query) or 0) != len(doc["defects"]):
        changed.append("defects")
    return f"its row was changed: {', '.join(changed)}" if changed else ""
