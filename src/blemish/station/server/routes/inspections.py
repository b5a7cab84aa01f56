"""The record: inspections with filters, one in full, and a person's review of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from sqlalchemy.orm import Session

from blemish.station.database.base import utc_now
from blemish.station.database.labels import ReviewRow
from blemish.station.database.parts import DefectRow, ImageRow, InspectionRow
from blemish.station.database.people import UserRow
from blemish.station.database.records import (
    Filter,
    answers_of,
    current_review,
    current_reviews,
    defects_of,
    images_by_id,
    lease,
    neighbours,
    page_of,
    parts_by_id,
)
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import (
    Answer,
    Body,
    Cursor,
    Limit,
    LongName,
    Moment,
    Name,
    Page,
    RowId,
    Text,
    Verdicts,
    number_of,
    page,
)
from blemish.station.server.identity import Who, role
from blemish.station.server.state import Reading, TheStation

router = APIRouter(tags=["inspections"])


class Image(Answer):
    """An image. sha256: of its file; kept: its pixels can be asked for; size: pixels, None if undecodable"""

    sha256: str
    height: int | None
    width: int | None
    channels: int | None
    dtype: str | None
    kept: bool
    kept_because: str | None
    tiles: Literal["none", "ready"]


class Defect(Answer):
    """A defect, in pixels of the image as decoded. n: place in the inspection's doc, from 0"""

    n: int
    class_name: str
    confidence: float
    box_xyxy: tuple[float, float, float, float]
    area: float
    length: float
    width: float
    severity: float | None
    mm: dict[str, float] | None


class Review(Answer):
    """A person's verdict. seconds: from the part's being shown to the verdict; blind: without the line's"""

    id: int
    inspection_id: int
    by: str
    at: Moment
    verdict: Literal["OK", "NG"]
    reason_code: str | None
    comment: str | None
    seconds: float | None
    blind: bool
    supersedes: int | None


class Inspection(Answer):
    """An inspection. answered: through whom the line took the answer, and ms after the trigger

    answered_via: None where the line never took the answer; review: that which holds
    audit: an OK part that goes to a blind review; shadow: by the challenger, which answers nothing
    verdict: None in the queue's blind items alone
    """

    id: int
    line_id: int
    seq: int
    at: Moment
    serial: str
    lot: str
    verdict: Verdicts | None
    score: float | None
    grade: str | None
    bundle_id: str
    decision_revision: int | None
    num_defects: int
    classes: list[str]
    image: Image | None
    answered_ms: float | None
    answered_via: str | None
    shadow: bool
    audit: bool
    review: Review | None


class InspectionInFull(Inspection):
    """An inspection with its defects and the doc as the line wrote it. newer, older: ids in the filter"""

    defects: list[Defect]
    doc: dict[str, Any]
    runtime: dict[str, Any]
    ms: dict[str, Any]
    newer: int | None
    older: int | None


class ReviewBody(Body):
    verdict: Literal["OK", "NG"]
    reason_code: Name | None = None
    comment: Text | None = None
    seconds: Annotated[float, Field(ge=0, le=86400)] | None = None
    blind: bool = False
    supersedes: RowId | None = None
    """Id of the review that holds, where there is one: an undo is a review that supersedes it."""


def chosen(  # noqa: PLR0913, PLR0917 - a field of the filter each
    line: Annotated[RowId | None, Query()] = None,
    verdict: Annotated[list[Verdicts] | None, Query(max_length=4)] = None,
    class_name: Annotated[LongName | None, Query(alias="class")] = None,
    lot: Annotated[LongName | None, Query()] = None,
    serial: Annotated[LongName | None, Query()] = None,
    bundle: Annotated[str | None, Query(max_length=80)] = None,
    since: Annotated[Moment | None, Query(alias="from")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Exclusive.")] = None,
    reviewed: bool | None = None,
    shadow: bool = False,
) -> Filter:
    """Filter of inspections from a query."""
    return Filter(
        line_id=line,
        verdicts=verdict or (),
        class_name=class_name,
        lot=lot,
        serial=serial,
        bundle_id=bundle,
        since=since,
        until=until,
        reviewed=reviewed,
        shadow=shadow,
    )


Chosen = Annotated[Filter, Depends(chosen)]


@router.get("/inspections", openapi_extra=role("viewer"))
def inspections(
    reading: Reading, chosen: Chosen, cursor: Cursor = None, limit: Limit = 50
) -> Page[Inspection]:
    """Inspections, the newest first. Give `next` of a page as `cursor` for the one that follows."""
    rows = page_of(reading, chosen, before=number_of(cursor), limit=limit)
    return page(summaries(reading, rows), limit, rows[-1].id if rows else None)


@router.get("/inspections/{inspection_id}", openapi_extra=role("viewer"))
def inspection(inspection_id: RowId, reading: Reading, chosen: Chosen) -> InspectionInFull:
    """One inspection in full. A filter's parameters tell which are next to it."""
    row = inspection_row(reading, inspection_id)
    newer, older = neighbours(reading, chosen, inspection_id)
    summary = summaries(reading, [row])[0]
    defects = [defect_answer(defect) for defect in defects_of(reading, [row.id])]
    return InspectionInFull(
        **summary.model_dump(),
        defects=defects,
        doc=without_paths(row.doc),
        runtime=row.runtime,
        ms=row.ms,
        newer=newer,
        older=older,
    )


@router.get("/inspections/{inspection_id}/reviews", openapi_extra=role("viewer"))
def reviews(inspection_id: RowId, reading: Reading) -> Page[Review]:
    """All reviews of an inspection, the newest first."""
    found, row = [], current_review(reading, inspection_row(reading, inspection_id).id)
    while row is not None:
        found.append(review_answer(reading, row))
        row = reading.get(ReviewRow, row.supersedes) if row.supersedes else None
    return Page(items=found)


@router.post("/inspections/{inspection_id}/review", status_code=201, openapi_extra=role("operator"))
def review(inspection_id: RowId, body: ReviewBody, station: TheStation, who: Who) -> Review:
    """Give a verdict. 409 with the review that holds, where `supersedes` is not its id."""

    def change(session: Session) -> Review:
        inspection_row(session, inspection_id)
        holds = current_review(session, inspection_id)
        if body.supersedes != (holds.id if holds else None):
            there = review_answer(session, holds).model_dump(mode="json") if holds else None
            raise ApiError(
                409,
                "Somebody else has reviewed this part. Look at their verdict, then supersede it.",
                extra={"current": there, "yours": body.model_dump(mode="json")},
            )
        row = ReviewRow(inspection_id=inspection_id, by=who.user_id, at=utc_now(), **body.model_dump())
        station.add(session, who.actor, "review", row)
        lent = lease(session, inspection_id)
        if lent is not None:
            session.delete(lent)
        return review_answer(session, row)

    return station.write(change)


def inspection_row(session: Session, inspection_id: int) -> InspectionRow:
    """Row of an inspection. Raises ApiError 404 where there is none."""
    row = session.get(InspectionRow, inspection_id)
    if row is None:
        raise not_found("inspection", inspection_id)
    return row


def summaries(session: Session, rows: Sequence[InspectionRow]) -> list[Inspection]:
    """Inspections with part, image, classes, answer and review, in a few queries for all."""
    ids = [row.id for row in rows]
    parts = parts_by_id(session, [row.part_id for row in rows])
    images = images_by_id(session, [row.image_id for row in rows if row.image_id is not None])
    answers, held = answers_of(session, rows), current_reviews(session, ids)
    classes: dict[int, list[str]] = {number: [] for number in ids}
    for defect in defects_of(session, ids):
        classes[defect.inspection_id].append(defect.class_name)
    found = []
    for row in rows:
        answer = None if row.shadow else answers.get((row.line_id, row.seq))
        image = images.get(row.image_id) if row.image_id is not None else None
        found.append(
            Inspection(
                id=row.id,
                line_id=row.line_id,
                seq=row.seq,
                at=row.at,
                serial=parts[row.part_id].serial,
                lot=parts[row.part_id].lot,
                verdict=row.verdict,
                score=row.score,
                grade=row.grade,
                bundle_id=row.bundle_id,
                decision_revision=row.decision_revision,
                num_defects=len(classes[row.id]),
                classes=sorted(set(classes[row.id])),
                image=image_answer(image) if image else None,
                answered_ms=answer.ms if answer else None,
                answered_via=answer.via if answer else None,
                shadow=row.shadow,
                audit=row.audit,
                review=review_answer(session, held[row.id]) if row.id in held else None,
            )
        )
    return found


def image_answer(row: ImageRow) -> Image:
    """Image as the API gives it."""
    return Image(
        sha256=row.id,
        height=row.height,
        width=row.width,
        channels=row.channels,
        dtype=row.dtype,
        kept=row.file is not None,
        kept_because=row.kept_because,
        tiles=row.tiles,
    )


def defect_answer(row: DefectRow) -> Defect:
    """Defect as the API gives it."""
    return Defect(
        n=row.n,
        class_name=row.class_name,
        confidence=row.confidence,
        box_xyxy=(row.x0, row.y0, row.x1, row.y1),
        area=row.area,
        length=row.length,
        width=row.width,
        severity=row.severity,
        mm=row.mm,
    )


def review_answer(session: Session, row: ReviewRow) -> Review:
    """Review as the API gives it."""
    user = session.get(UserRow, row.by)
    assert user is not None, "users are never deleted"
    fields = (
        "id",
        "inspection_id",
        "at",
        "verdict",
        "reason_code",
        "comment",
        "seconds",
        "blind",
        "supersedes",
    )
    return Review(by=user.name, **{name: getattr(row, name) for name in fields})


def without_paths(doc: dict[str, Any]) -> dict[str, Any]:
    """Doc of an inspection with names of files in place of paths."""
    bundles = [{**each, "path": PurePath(each["path"]).name} for each in doc.get("bundles", ())]
    return {
        **doc,
        "image": PurePath(doc["image"]).name,
        **({"bundles": bundles} if "bundles" in doc else {}),
    }
