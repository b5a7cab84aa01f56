"""Lines: their settings, their state, and parts that are sent to them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import Field, StringConstraints
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from blemish.station.database.audit import row_values
from blemish.station.database.base import utc_now
from blemish.station.database.lines import LineRow
from blemish.station.database.parts import InspectionRow
from blemish.station.database.records import Filter, events_of, verdict_counts
from blemish.station.layout import LINE_NAME
from blemish.station.line.settings import Keep, Source
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import (
    Answer,
    Body,
    Cursor,
    Limit,
    LongName,
    Moment,
    Page,
    RowId,
    number_of,
    page,
)
from blemish.station.server.identity import Who, may, refuse_other_line, role
from blemish.station.server.line_files import (
    ANSWERING,
    HELD,
    RUNNING,
    STOPPED,
    hold,
    newest_promotion,
    publish,
    state_of,
)
from blemish.station.server.line_socket import LineAwayError, ask
from blemish.station.server.state import Reading, Station, TheStation

router = APIRouter(tags=["lines"])
MAX_IMAGE_BYTES = (1 << 28) + (1 << 16)  # what a line takes, and the form around it
LineName = Annotated[str, StringConstraints(pattern=f"^{LINE_NAME.pattern}$")]


class LineBody(Body):
    source: Source | None = None
    deadline_ms: Annotated[int, Field(ge=1, le=3_600_000)] | None = None
    keep: Keep = Keep()
    audit_share: Annotated[float, Field(ge=0, le=1)] = 0.01
    review_is_ng: bool = True
    link: dict[str, Any] | None = None


class NewLine(LineBody):
    name: LineName


class LiveState(Answer):
    """State as the line's process tells it."""

    state: str
    seq: int
    bundle: str | None = None
    parts_per_s: float | None = None
    p99_ms: float | None = None
    queue: int | None = None


class Line(Answer):
    """A line. state: as it was set; live: as its process tells, None where it does not answer

    source: None in answers to others than admins, as it names folders; source_kind: folder, list, video
    behind: parts in the journal that the record does not have yet; fault: why the record stands still
    last_hour: number of parts of each verdict; audit_share: of OK parts that go to a blind review
    """

    id: int
    name: str
    state: Literal["running", "held", "stopped"]
    source: dict[str, Any] | None
    source_kind: str | None
    deadline_ms: int | None
    keep: dict[str, Any]
    audit_share: float
    review_is_ng: bool
    bundle_id: str | None
    shadow_bundle_id: str | None
    live: LiveState | None
    behind: int | None
    fault: str | None
    last_hour: dict[str, int]


class LineEvent(Answer):
    """A missed trigger or a change of state. value: name of the source, or the state"""

    number: int
    kind: Literal["missed", "state"]
    at: Moment
    value: str
    text: str


class Judged(Answer):
    """Answer of a line to a part that was sent to it. doc: the inspection as `inspections.jsonl` has it"""

    seq: int
    verdict: str
    ms: float | None
    doc: dict[str, Any]


@router.get("/lines", openapi_extra=role("viewer"))
def lines(reading: Reading, station: TheStation, who: Who) -> Page[Line]:
    """All lines, by name."""
    rows = reading.scalars(select(LineRow).order_by(LineRow.name)).all()
    return Page(items=[described(reading, station, row, may(who, "admin")) for row in rows])


@router.get("/lines/{line_id}", openapi_extra=role("viewer"))
def line(line_id: RowId, reading: Reading, station: TheStation, who: Who) -> Line:
    """One line."""
    return described(reading, station, line_row(reading, line_id), may(who, "admin"))


@router.post("/lines", status_code=201)
def add_line(body: NewLine, station: TheStation, who: Who) -> Line:
    """Add a line. It is held until a bundle is promoted and the line is started."""

    def change(session: Session) -> int:
        if session.scalars(select(LineRow).where(LineRow.name == body.name)).one_or_none():
            raise ApiError(409, f"There is a line {body.name} already. Choose another name.")
        row = LineRow(**body.model_dump(mode="json"), state=HELD, revision=1, created_at=utc_now())
        station.add(session, who.actor, "line.add", row)
        return row.id

    hold(station.folder.line(body.name), f"Added by {who.name}, and not started yet.")
    return published(station, station.write(change))


@router.patch("/lines/{line_id}")
def change_line(line_id: RowId, body: LineBody, station: TheStation, who: Who) -> Line:
    """Change what is given of a line's settings; the rest stays."""

    def change(session: Session) -> None:
        row = line_row(session, line_id)
        before = row_values(row)
        for key in body.model_fields_set:
            setattr(row, key, body.model_dump(mode="json")[key])
        row.revision += 1
        session.flush()
        station.note(
            session, who.actor, "line.change", f"line/{line_id}", before=before, after=row_values(row)
        )

    station.write(change)
    return published(station, line_id)


@router.post("/lines/{line_id}/start", openapi_extra=role("operator"))
def start_line(line_id: RowId, station: TheStation, who: Who) -> Line:
    """Let a line inspect. Raises 409 where no bundle is promoted."""
    return set_state(station, who, line_id, RUNNING)


@router.post("/lines/{line_id}/hold", openapi_extra=role("operator"))
def hold_line(line_id: RowId, station: TheStation, who: Who) -> Line:
    """Have a line inspect nothing; every part is an ERROR until it is started."""
    return set_state(station, who, line_id, HELD)


@router.post("/lines/{line_id}/stop", openapi_extra=role("engineer"))
def stop_line(line_id: RowId, station: TheStation, who: Who) -> Line:
    """End a line's process."""
    return set_state(station, who, line_id, STOPPED)


@router.get("/lines/{line_id}/events", openapi_extra=role("viewer"))
def events(line_id: RowId, reading: Reading, cursor: Cursor = None, limit: Limit = 50) -> Page[LineEvent]:
    """Missed triggers and changes of state, the newest first."""
    rows = events_of(reading, line_row(reading, line_id).id, before=number_of(cursor), limit=limit)
    return page([LineEvent.model_validate(row) for row in rows], limit, rows[-1].number if rows else None)


@router.post("/lines/{line_id}/inspect", openapi_extra=role("operator"), max_body_size=MAX_IMAGE_BYTES)
def inspect(
    line_id: RowId,
    station: TheStation,
    who: Who,
    image: Annotated[UploadFile, File(description="File of an image.")],
    serial: Annotated[LongName | None, Form()] = None,
    lot: Annotated[LongName | None, Form()] = None,
) -> Judged:
    """Have a part inspected: recorded first, then answered. 429 with Retry-After while the line is busy."""
    refuse_other_line(who, line_id)
    with station.database.reading() as session:
        row = line_row(session, line_id)
    content = image.file.read()
    request = {
        "do": "inspect",
        "serial": serial,
        "lot": lot,
        "name": (image.filename or "image")[-200:],
        "bytes": len(content),
    }
    seconds = 60.0 if row.deadline_ms is None else row.deadline_ms / 1000 + 10
    try:
        found = ask(station.folder.line(row.name), request, body=content, seconds=seconds)
    except LineAwayError as error:
        raise ApiError(503, str(error)) from error
    if "retry_after" in found:
        after = str(max(1, round(found["retry_after"])))
        raise ApiError(429, "The line is busy. Send the part again.", headers={"Retry-After": after})
    if "doc" not in found:
        raise ApiError(503, f"The line judged nothing, and the part counts as ERROR: {found.get('error')}")
    return Judged.model_validate(found)


def set_state(station: Station, who: Who, line_id: int, state: str) -> Line:
    """Set the state of a line and tell its process."""

    def change(session: Session) -> str:
        row = line_row(session, line_id)
        if state == RUNNING and newest_promotion(session, line_id, ANSWERING) is None:
            raise ApiError(409, "No bundle is promoted on this line. Promote one first.")
        before, row.state = {"state": row.state}, state
        row.revision += 1
        station.note(
            session, who.actor, f"line.{state}", f"line/{line_id}", before=before, after={"state": state}
        )
        return row.name

    refuse_other_line(who, line_id)
    folder = station.folder.line(station.write(change))
    if state == HELD:
        hold(folder, f"Held by {who.name}.")
    elif state == RUNNING:
        folder.hold.unlink(missing_ok=True)
    return published(station, line_id)


def published(station: Station, line_id: int) -> Line:
    """Line as it is now, with its line.json written."""
    publish(station, line_id)
    with station.database.reading() as session:
        return described(session, station, line_row(session, line_id), with_source=True)


def line_row(session: Session, line_id: int) -> LineRow:
    """Row of a line. Raises ApiError 404 where there is none."""
    row = session.get(LineRow, line_id)
    if row is None:
        raise not_found("line", line_id)
    return row


def described(session: Session, station: Station, row: LineRow, with_source: bool) -> Line:
    """Line with what it runs, its live state and its last hour."""
    promotion, shadow = (newest_promotion(session, row.id, kinds) for kinds in (ANSWERING, ("shadow",)))
    since = utc_now() - timedelta(hours=1)
    live = None if row.state == STOPPED else live_state(station, row.name)
    return Line(
        id=row.id,
        name=row.name,
        state=state_of(station.folder.line(row.name), row),
        source=row.source if with_source else None,
        source_kind=row.source["kind"] if row.source else None,
        deadline_ms=row.deadline_ms,
        keep=row.keep,
        audit_share=row.audit_share,
        review_is_ng=row.review_is_ng,
        bundle_id=promotion.bundle_id if promotion else None,
        shadow_bundle_id=shadow.bundle_id if shadow else None,
        live=live,
        behind=behind(session, row.id, live),
        fault=station.faults.get(row.name),
        last_hour=verdict_counts(session, Filter(line_id=row.id, since=since)),
    )


def live_state(station: Station, name: str) -> LiveState | None:
    """State that a line's process tells; None where it does not answer at once."""
    try:
        found = ask(station.folder.line(name), {"do": "status"}, seconds=0.5)
        return LiveState.model_validate(found)
    except (LineAwayError, ValueError):
        return None


def behind(session: Session, line_id: int, live: LiveState | None) -> int | None:
    """Number of inspections that the line has made and the record does not have yet; None if unknown."""
    if live is None:
        return None
    newest = session.scalar(select(func.max(InspectionRow.seq)).where(InspectionRow.line_id == line_id))
    return max(0, live.seq - (newest or 0))
