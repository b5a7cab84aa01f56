"""The review queue: a part at a time, lent to one reviewer."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from blemish.station.database.base import utc_now
from blemish.station.database.labels import ReviewLeaseRow
from blemish.station.database.parts import InspectionRow
from blemish.station.database.records import count_waiting, defects_of, lease, waiting_for_review
from blemish.station.server.fields import Answer, Moment, RowId, Verdicts
from blemish.station.server.identity import Who, role
from blemish.station.server.routes.inspections import Defect, Inspection, defect_answer, summaries
from blemish.station.server.state import TheStation

router = APIRouter(tags=["queue"])
LEASE = timedelta(minutes=5)


class QueueItem(Answer):
    """A part to review. until: it is lent till then; blind: say what you see, the line's answer is hidden

    inspection: without verdict, score, grade and classes where `blind`; waiting: parts in the queue
    """

    inspection: Inspection
    defects: list[Defect]
    blind: bool
    until: Moment
    waiting: int


class QueueAnswer(Answer):
    """item: None where nothing waits"""

    item: QueueItem | None


@router.get("/queue/next", openapi_extra=role("operator"))
def next_in_queue(
    station: TheStation,
    who: Who,
    line: Annotated[RowId | None, Query()] = None,
    verdict: Annotated[list[Verdicts] | None, Query(max_length=4)] = None,
    skip: Annotated[RowId | None, Query(description="Inspection to give back, unreviewed.")] = None,
) -> QueueAnswer:
    """Lend the next part that waits for a review: REVIEW first, then the blind audit, then NG.

    Whoever asks again before a verdict gets the part that is theirs already. verdict: default REVIEW and NG
    """
    wanted = verdict or ["REVIEW", "NG"]

    def change(session: Session) -> QueueAnswer:
        now = utc_now()
        if skip is not None:
            put_off(session, skip, who.user_id)
        row = waiting_for_review(session, who.user_id, now, line_id=line, verdicts=wanted, skip=skip)
        if row is None:
            return QueueAnswer(item=None)
        lent = lease(session, row.id) or ReviewLeaseRow(inspection_id=row.id)
        lent.user_id, lent.until = who.user_id, now + LEASE
        session.add(lent)
        session.flush()
        return QueueAnswer(item=item(session, row, lent, count_waiting(session, line, wanted)))

    return station.write(change)


def put_off(session: Session, inspection_id: int, user_id: int) -> None:
    """Give a part back to the queue."""
    lent = lease(session, inspection_id)
    if lent is not None and lent.user_id == user_id:
        session.delete(lent)
        session.flush()


def item(session: Session, row: InspectionRow, lent: ReviewLeaseRow, waiting: int) -> QueueItem:
    """Part as a reviewer gets it; of a blind audit without what the line said."""
    blind = row.audit and row.verdict == "OK"
    summary = summaries(session, [row])[0]
    if blind:
        hidden: dict[str, Any] = {
            "verdict": None,
            "score": None,
            "grade": None,
            "classes": [],
            "num_defects": 0,
        }
        summary = summary.model_copy(update=hidden)
    defects = [] if blind else [defect_answer(each) for each in defects_of(session, [row.id])]
    return QueueItem(inspection=summary, defects=defects, blind=blind, until=lent.until, waiting=waiting)
