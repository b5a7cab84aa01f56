"""Jobs: trainings, exports, added classes, evaluations; their progress, log, and end."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import FileResponse, PlainTextResponse
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.database.annotations import annotations_at, version_of
from blemish.station.database.base import utc_now
from blemish.station.database.labels import AnnotationRow
from blemish.station.database.lines import BundleRow
from blemish.station.database.people import UserRow
from blemish.station.database.work import JobRow
from blemish.station.jobs.arguments import (
    AddClassArguments,
    AnyArguments,
    ExportArguments,
    bundles_in,
    dataset_in,
)
from blemish.station.jobs.folder import class_name
from blemish.station.jobs.process import log_of
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Cursor, Limit, Moment, Page, RowId, number_of, page
from blemish.station.server.identity import Identity, Who, role
from blemish.station.server.routes.datasets import frozen_row
from blemish.station.server.state import Reading, Station, TheStation
from blemish.threads import usable_cores

router = APIRouter(tags=["jobs"])
State = Literal["queued", "running", "done", "failed", "cancelled"]
REPORTS = ("evaluation/report.html", "bundle-report/report.html")
# A report is one file with its own styles and pictures; it can run nothing and reach nothing.
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


class Job(Answer):
    """A job. progress, total: of what `message` names; result: bundle_id, comparison_id or metrics

    attempt: how often it was begun; it is begun again where its process was killed, three times in all
    """

    id: int
    kind: Literal["train", "add_class", "export", "evaluate", "compare"]
    args: dict[str, Any]
    state: State
    attempt: int
    progress: int | None
    total: int | None
    message: str | None
    result: dict[str, Any] | None
    by: str | None
    has_report: bool
    created_at: Moment
    started_at: Moment | None
    ended_at: Moment | None


@router.get("/jobs", openapi_extra=role("viewer"))
def jobs(
    reading: Reading,
    station: TheStation,
    state: Annotated[State | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page[Job]:
    """Jobs, the newest first."""
    query = select(JobRow).order_by(JobRow.id.desc()).limit(limit)
    query = query.where(JobRow.state == state) if state is not None else query
    before = number_of(cursor)
    rows = reading.scalars(query.where(JobRow.id < before) if before is not None else query).all()
    return page([described(reading, station, row) for row in rows], limit, rows[-1].id if rows else None)


@router.get("/jobs/{job_id}", openapi_extra=role("viewer"))
def job(job_id: RowId, reading: Reading, station: TheStation) -> Job:
    """One job."""
    return described(reading, station, job_row(reading, job_id))


@router.post("/jobs", status_code=201, openapi_extra=role("engineer"))
def add_job(body: Annotated[AnyArguments, Body()], station: TheStation, who: Who) -> Job:
    """Put a job into the queue; one runs at a time."""
    return queued(station, who, body)


@router.post("/jobs/{job_id}/cancel", openapi_extra=role("engineer"))
def cancel(job_id: RowId, station: TheStation, who: Who) -> Job:
    """Cancel a job. One that runs ends within some seconds; what it has written stays in its folder."""

    def change(session: Session) -> None:
        row = job_row(session, job_id)
        if row.state not in ("queued", "running"):
            raise ApiError(409, f"The job is {row.state} already.")
        row.cancel_asked = True
        if row.state == "queued":
            row.state, row.ended_at, row.message = "cancelled", utc_now(), "It was cancelled."
        station.note(session, who.actor, "job.cancel", f"job/{job_id}")

    station.write(change)
    with station.database.reading() as session:
        return described(session, station, job_row(session, job_id))


@router.get("/jobs/{job_id}/log", openapi_extra=role("engineer"), response_class=PlainTextResponse)
def job_log(
    job_id: RowId,
    reading: Reading,
    station: TheStation,
    offset: Annotated[int, Query(ge=-(2**40), le=2**40, description="Negative: from the end.")] = -65536,
) -> PlainTextResponse:
    """Piece of a job's log; the header X-Next-Offset says where the next one begins."""
    row = job_row(reading, job_id)
    piece, behind = log_of(station.folder.root / row.folder, offset)
    text = piece.decode(errors="replace").replace(f"{station.folder.root}/", "")
    return PlainTextResponse(text, headers={"X-Next-Offset": str(behind)})


@router.get("/jobs/{job_id}/report", openapi_extra=role("viewer"), response_class=FileResponse)
def job_report(job_id: RowId, reading: Reading, station: TheStation) -> FileResponse:
    """Report that a job wrote, as a page of its own."""
    folder = station.folder.root / job_row(reading, job_id).folder
    for name in REPORTS:
        if (folder / name).is_file():
            policy = {"Content-Security-Policy": REPORT_POLICY}
            return FileResponse(folder / name, media_type="text/html", headers=policy)
    raise not_found("report of job", job_id)


def queued(station: Station, who: Identity, arguments: AnyArguments) -> Job:
    """Put a job into the queue. Raises ApiError for what it names and is not there."""
    threads = arguments.threads or max(1, usable_cores() - 1)
    arguments = arguments.model_copy(update={"threads": threads})

    def change(session: Session) -> Job:
        refuse_unknown(session, arguments)
        row = JobRow(
            kind=arguments.kind,
            args=arguments.model_dump(mode="json"),
            state="queued",
            attempt=0,
            cancel_asked=False,
            folder="",
            by=who.user_id,
            created_at=utc_now(),
        )
        session.add(row)
        session.flush()
        row.folder = f"{station.folder.jobs.relative_to(station.folder.root)}/{row.id}"
        station.note(session, who.actor, "job.add", f"job/{row.id}", after={"args": row.args})
        return described(session, station, row)

    return station.write(change)


def refuse_unknown(session: Session, arguments: AnyArguments) -> None:
    """Raise ApiError for a bundle, data set, class or box that is not there, and for int8 without data."""
    for name in bundles_in(arguments):
        if session.get(BundleRow, name) is None:
            raise not_found("bundle", name)
    dataset_id = dataset_in(arguments)
    if dataset_id is not None:
        frozen_row(session, dataset_id)
    if isinstance(arguments, ExportArguments) and arguments.precision == "int8" and dataset_id is None:
        raise ApiError(422, "dataset_id: int8 needs a frozen data set to calibrate on.")
    if isinstance(arguments, AddClassArguments):
        class_name(session, arguments)
        for number in arguments.annotation_ids:
            refuse_no_example(session, number, arguments.class_id)


def refuse_no_example(session: Session, number: int, class_id: int) -> None:
    """Raise ApiError for an annotation that holds no more, or is of another class or of no place."""
    row = session.get(AnnotationRow, number)
    if row is None:
        raise not_found("annotation", number)
    newest = annotations_at(session, row.image_id, version_of(session, row.image_id))
    if row.class_id != class_id or row.kind == "whole_image" or number not in {each.id for each in newest}:
        raise ApiError(
            422, f"annotation_ids: {number} must be a box or outline of class {class_id} that holds."
        )


def job_row(session: Session, job_id: int) -> JobRow:
    """Row of a job. Raises ApiError 404 where there is none."""
    row = session.get(JobRow, job_id)
    if row is None:
        raise not_found("job", job_id)
    return row


def described(session: Session, station: Station, row: JobRow) -> Job:
    """Job as the API gives it."""
    user = session.get(UserRow, row.by) if row.by is not None else None
    folder = station.folder.root / row.folder
    fields = (
        "id", "kind", "args", "state", "attempt", "progress", "total", "message", "result", "created_at",
        "started_at", "ended_at",
    )  # fmt: skip
    return Job(
        by=user.name if user else None,
        has_report=bool(row.folder) and any((folder / name).is_file() for name in REPORTS),
        **{name: getattr(row, name) for name in fields},
    )
