"""Questions to the record: parts, inspections with filters and a cursor, what waits for a review."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from blemish.station.database.labels import ReviewLeaseRow, ReviewRow
from blemish.station.database.lines import DecisionRow
from blemish.station.database.parts import (
    AnswerRow,
    DefectRow,
    ImageRow,
    InspectionRow,
    LineEventRow,
    PartRow,
)

AUDITS = and_(InspectionRow.audit, InspectionRow.verdict == "OK")


@dataclass(frozen=True)
class Filter:
    """What inspections are asked for; None and () take all. until: exclusive; part: text within the serial"""

    line_id: int | None = None
    verdicts: Sequence[str] = ()
    class_name: str | None = None
    lot: str | None = None
    serial: str | None = None
    bundle_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    reviewed: bool | None = None
    shadow: bool = False
    audit: bool | None = None


def find_part(session: Session, line_id: int, serial: str, lot: str) -> PartRow | None:
    """Part of a line with that serial in that lot."""
    chosen = select(PartRow).where(PartRow.line_id == line_id, PartRow.serial == serial, PartRow.lot == lot)
    return session.scalars(chosen).one_or_none()


def filtered(chosen: Filter) -> Select[Any]:
    """Inspections that a filter takes, in no order."""
    query: Select[Any] = select(InspectionRow).where(InspectionRow.shadow == chosen.shadow)
    if chosen.line_id is not None:
        query = query.where(InspectionRow.line_id == chosen.line_id)
    if chosen.verdicts:
        query = query.where(InspectionRow.verdict.in_(chosen.verdicts))
    if chosen.bundle_id is not None:
        query = query.where(InspectionRow.bundle_id == chosen.bundle_id)
    if chosen.since is not None:
        query = query.where(InspectionRow.at >= chosen.since)
    if chosen.until is not None:
        query = query.where(InspectionRow.at < chosen.until)
    if chosen.audit is not None:
        query = query.where(InspectionRow.audit == chosen.audit)
    if chosen.class_name is not None:
        of_class = DefectRow.inspection_id == InspectionRow.id, DefectRow.class_name == chosen.class_name
        query = query.where(exists().where(*of_class))
    if chosen.lot is not None or chosen.serial is not None:
        query = query.join(PartRow, PartRow.id == InspectionRow.part_id)
    if chosen.lot is not None:
        query = query.where(PartRow.lot == chosen.lot)
    if chosen.serial is not None:
        query = query.where(PartRow.serial == chosen.serial)
    if chosen.reviewed is not None:
        is_reviewed = exists().where(ReviewRow.inspection_id == InspectionRow.id)
        query = query.where(is_reviewed if chosen.reviewed else ~is_reviewed)
    return query


def page_of(session: Session, chosen: Filter, *, before: int | None, limit: int) -> Sequence[InspectionRow]:
    """Inspections that a filter takes, the newest first. before: id of the last one of the page before"""
    query = filtered(chosen).order_by(InspectionRow.id.desc()).limit(limit)
    if before is not None:
        query = query.where(InspectionRow.id < before)
    return session.scalars(query).all()


def neighbours(session: Session, chosen: Filter, inspection_id: int) -> tuple[int | None, int | None]:
    """Ids of the next newer and the next older inspection that a filter takes; None at either end."""
    found = filtered(chosen).with_only_columns(InspectionRow.id)
    newer = found.where(InspectionRow.id > inspection_id).order_by(InspectionRow.id).limit(1)
    older = found.where(InspectionRow.id < inspection_id).order_by(InspectionRow.id.desc()).limit(1)
    return session.scalar(newer), session.scalar(older)


def verdict_counts(session: Session, chosen: Filter) -> dict[str, int]:
    """Number of inspections of each verdict that a filter takes."""
    found = filtered(chosen).with_only_columns(InspectionRow.verdict, func.count())
    return {row[0]: row[1] for row in session.execute(found.group_by(InspectionRow.verdict))}


def current_review(session: Session, inspection_id: int) -> ReviewRow | None:
    """Review of an inspection that holds."""
    query = select(ReviewRow).where(ReviewRow.inspection_id == inspection_id).order_by(ReviewRow.id.desc())
    return session.scalars(query.limit(1)).one_or_none()


def current_reviews(session: Session, inspection_ids: Sequence[int]) -> dict[int, ReviewRow]:
    """Reviews that hold, by inspection."""
    query = select(ReviewRow).where(ReviewRow.inspection_id.in_(inspection_ids)).order_by(ReviewRow.id)
    return {row.inspection_id: row for row in session.scalars(query)}


def waiting(line_id: int | None, of: ColumnElement[bool]) -> Select[Any]:
    """Inspections of a kind that wait for a review, with an image that is kept, in no order."""
    query: Select[Any] = (
        select(InspectionRow)
        .join(ImageRow, ImageRow.id == InspectionRow.image_id)
        .where(of, ImageRow.file.is_not(None), ~InspectionRow.shadow)
        .where(~exists().where(ReviewRow.inspection_id == InspectionRow.id))
    )
    return query if line_id is None else query.where(InspectionRow.line_id == line_id)


def count_waiting(session: Session, line_id: int | None, verdicts: Sequence[str]) -> int:
    """Number of inspections that wait for a review, lent ones among them."""
    kinds = [InspectionRow.verdict.in_(verdicts), *([] if "OK" in verdicts else [AUDITS])]
    counts = (waiting(line_id, kind).with_only_columns(func.count()) for kind in kinds)
    return sum(session.scalar(count) or 0 for count in counts)


def waiting_for_review(
    session: Session,
    user_id: int,
    now: datetime,
    *,
    line_id: int | None,
    verdicts: Sequence[str],
    skip: int | None = None,
) -> InspectionRow | None:
    """Inspection that a reviewer gets next: one that is theirs already, else REVIEW, audits, the rest.

    Of each, the oldest first. skip: the one that they gave back, which is followed by those behind it
    None where nothing waits that nobody else has.
    """
    lent = select(ReviewLeaseRow.inspection_id).where(ReviewLeaseRow.until > now)
    others = InspectionRow.id.in_(lent.where(ReviewLeaseRow.user_id != user_id))
    mine = InspectionRow.id.in_(lent.where(ReviewLeaseRow.user_id == user_id))
    wanted = InspectionRow.verdict.in_(verdicts)
    first = InspectionRow.verdict.in_({"REVIEW"}.intersection(verdicts))
    for kind in (and_(mine, or_(wanted, AUDITS)), first, AUDITS, wanted):
        query = waiting(line_id, kind).where(~others)
        query = query if skip is None else query.where(InspectionRow.id != skip)
        oldest = query.order_by(InspectionRow.id).limit(1)
        found: InspectionRow | None = session.scalars(oldest).one_or_none()
        if found is not None:
            return found
    return None


def lease(session: Session, inspection_id: int) -> ReviewLeaseRow | None:
    """Lease of an inspection, over or not."""
    query = select(ReviewLeaseRow).where(ReviewLeaseRow.inspection_id == inspection_id)
    return session.scalars(query).one_or_none()


def defects_of(session: Session, inspection_ids: Sequence[int]) -> Sequence[DefectRow]:
    """Defects of inspections, in their order."""
    query = select(DefectRow).where(DefectRow.inspection_id.in_(inspection_ids))
    return session.scalars(query.order_by(DefectRow.inspection_id, DefectRow.n)).all()


def answers_of(session: Session, inspections: Sequence[InspectionRow]) -> dict[tuple[int, int], AnswerRow]:
    """Answers that the line took, by line and sequence number."""
    by_line: dict[int, list[int]] = {}
    for row in inspections:
        by_line.setdefault(row.line_id, []).append(row.seq)
    found: dict[tuple[int, int], AnswerRow] = {}
    for line_id, numbers in by_line.items():
        query = select(AnswerRow).where(AnswerRow.line_id == line_id, AnswerRow.seq.in_(numbers))
        found |= {(row.line_id, row.seq): row for row in session.scalars(query)}
    return found


def parts_by_id(session: Session, part_ids: Sequence[int]) -> dict[int, PartRow]:
    """Parts by their ids."""
    return {row.id: row for row in session.scalars(select(PartRow).where(PartRow.id.in_(part_ids)))}


def images_by_id(session: Session, image_ids: Sequence[str]) -> dict[str, ImageRow]:
    """Images by their ids."""
    return {row.id: row for row in session.scalars(select(ImageRow).where(ImageRow.id.in_(image_ids)))}


def events_of(session: Session, line_id: int, *, before: int | None, limit: int) -> Sequence[LineEventRow]:
    """Events of a line, the newest first."""
    query = select(LineEventRow).where(LineEventRow.line_id == line_id).order_by(LineEventRow.number.desc())
    if before is not None:
        query = query.where(LineEventRow.number < before)
    return session.scalars(query.limit(limit)).all()


def shadow_pairs(
    session: Session, line_id: int, champion: str, challenger: str, stretch: tuple[int, int], *, limit: int
) -> list[tuple[InspectionRow, InspectionRow]]:
    """Inspections of the same image of the same part by the bundle that answers and by its shadow.

    stretch: first and last sequence number of the bundle that answers
    """
    shadow = aliased(InspectionRow)
    same = and_(
        shadow.part_id == InspectionRow.part_id,
        shadow.image_id == InspectionRow.image_id,
        shadow.line_id == InspectionRow.line_id,
        shadow.shadow,
        shadow.bundle_id == challenger,
    )
    query = (
        select(InspectionRow, shadow)
        .join(shadow, same)
        .where(InspectionRow.line_id == line_id, ~InspectionRow.shadow, InspectionRow.bundle_id == champion)
        .where(InspectionRow.seq.between(*stretch))
        .order_by(InspectionRow.id, shadow.id)
        .limit(limit)
    )
    found = {row[0].id: (row[0], row[1]) for row in session.execute(query)}  # the last, of a part seen twice
    return list(found.values())


def decision_of_revision(session: Session, bundle_id: str, revision: int | None) -> DecisionRow | None:
    """Decision of a bundle by its revision."""
    query = select(DecisionRow).where(DecisionRow.bundle_id == bundle_id, DecisionRow.revision == revision)
    return None if revision is None else session.scalars(query).one_or_none()
