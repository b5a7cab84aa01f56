"""The audit trail."""

from __future__ import annotations

from itertools import chain, islice
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy import select

from blemish.station.database.audit import verify
from blemish.station.database.people import AuditHeadRow, AuditRow
from blemish.station.database.record_check import record_faults
from blemish.station.server.fields import Answer, Cursor, Limit, Moment, Page, Sha256, number_of, page
from blemish.station.server.identity import role
from blemish.station.server.state import Reading, TheStation

router = APIRouter(tags=["audit"])


class AuditEntry(Answer):
    """An action. before, after: the row that was changed; of a new row `after` alone"""

    id: int
    at: Moment
    who: str
    address: str
    action: str
    object: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    why: str
    hash: str


class Fault(Answer):
    """A place at which the trail is not whole. number: of the entry, None for the head"""

    number: int | None
    object: str
    fault: str


class AuditOutcome(Answer):
    """Outcome of a verification. count, head: number and hash of the last entry; note them elsewhere"""

    whole: bool
    count: int
    head: str
    faults: list[Fault]


@router.get("/audit", openapi_extra=role("engineer"))
def audit(
    reading: Reading,
    who: Annotated[str | None, Query(max_length=80)] = None,
    action: Annotated[str | None, Query(max_length=64)] = None,
    object: Annotated[str | None, Query(max_length=160)] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[AuditEntry]:
    """Who did what, the newest first."""
    query = select(AuditRow).order_by(AuditRow.id.desc()).limit(limit)
    for column, value in ((AuditRow.who, who), (AuditRow.action, action), (AuditRow.object, object)):
        query = query.where(column == value) if value is not None else query
    before = number_of(cursor)
    rows = reading.scalars(query.where(AuditRow.id < before) if before is not None else query).all()
    return page([AuditEntry.model_validate(row) for row in rows], limit, rows[-1].id if rows else None)


@router.get("/audit/verify", openapi_extra=role("engineer"))
def verify_audit(
    reading: Reading,
    station: TheStation,
    count: Annotated[int | None, Query(ge=1, description="Of a head that was noted earlier.")] = None,
    head: Annotated[Sha256 | None, Query(description="Hash of that head.")] = None,
) -> AuditOutcome:
    """Verify the trail, every row that it says was added, and the record against the journals.

    At most 100 faults are named.
    """
    noted = (count, head) if count is not None and head is not None else None
    every = chain(verify(reading, station.audit_key, noted=noted), record_faults(reading, station.folder))
    faults = [Fault.model_validate(fault) for fault in islice(every, 100)]
    last = reading.get(AuditHeadRow, 1)
    return AuditOutcome(
        whole=not faults,
        count=last.count if last else 0,
        head=last.hash if last else "0" * 64,
        faults=faults,
    )
