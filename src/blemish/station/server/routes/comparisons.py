"""Comparisons of two bundles: on a frozen data set by a job, or on what a shadow saw on a line."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import model_validator
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.comparison import Pair, compared
from blemish.station.database.base import utc_now
from blemish.station.database.records import current_reviews, shadow_pairs
from blemish.station.database.work import ComparisonRow
from blemish.station.jobs.arguments import BundleId, CompareArguments
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, Cursor, Limit, Moment, Page, RowId, number_of, page
from blemish.station.server.identity import Identity, Who, role
from blemish.station.server.routes.bundles import known_bundle
from blemish.station.server.routes.jobs import Job, queued
from blemish.station.server.routes.lines import line_row
from blemish.station.server.state import Reading, Station, TheStation

router = APIRouter(tags=["comparisons"])
MAX_PAIRS = 200_000


class ComparisonBody(Body):
    """Two bundles, and a frozen data set or a stretch of a line on which b was the shadow of a."""

    a: BundleId
    b: BundleId
    dataset_id: RowId | None = None
    split: Literal["val", "test"] = "test"
    line_id: RowId | None = None
    from_seq: RowId | None = None
    to_seq: RowId | None = None

    @model_validator(mode="after")
    def has_one_place(self) -> ComparisonBody:
        if (self.dataset_id is None) == (self.line_id is None):
            raise ValueError("give dataset_id, or line_id with from_seq and to_seq")
        if self.line_id is not None and (self.from_seq is None or self.to_seq is None):
            raise ValueError("line_id needs from_seq and to_seq")
        return self


class Comparison(Answer):
    """A comparison. doc: `table` of who is right, `p_value` (exact McNemar), rates with bounds, `flips`"""

    id: int
    a: str
    b: str
    dataset_id: int | None
    line_id: int | None
    from_seq: int | None
    to_seq: int | None
    doc: dict[str, Any]
    job_id: int | None
    at: Moment


class ComparisonMade(Answer):
    """A comparison that is done, or the job that makes it."""

    comparison: Comparison | None
    job: Job | None


@router.get("/comparisons", openapi_extra=role("viewer"))
def comparisons(reading: Reading, cursor: Cursor = None, limit: Limit = 20) -> Page[Comparison]:
    """Comparisons, the newest first."""
    query = select(ComparisonRow).order_by(ComparisonRow.id.desc()).limit(limit)
    before = number_of(cursor)
    rows = reading.scalars(query.where(ComparisonRow.id < before) if before is not None else query).all()
    return page([Comparison.model_validate(row) for row in rows], limit, rows[-1].id if rows else None)


@router.get("/comparisons/{comparison_id}", openapi_extra=role("viewer"))
def comparison(comparison_id: RowId, reading: Reading) -> Comparison:
    """One comparison."""
    row = reading.get(ComparisonRow, comparison_id)
    if row is None:
        raise not_found("comparison", comparison_id)
    return Comparison.model_validate(row)


@router.post("/comparisons", status_code=201, openapi_extra=role("engineer"))
def compare(body: ComparisonBody, response: Response, station: TheStation, who: Who) -> ComparisonMade:
    """Compare two bundles: on a data set by a job (202), on a line at once."""
    if body.dataset_id is not None:
        arguments = CompareArguments(
            kind="compare", a=body.a, b=body.b, dataset_id=body.dataset_id, split=body.split
        )
        response.status_code = 202
        return ComparisonMade(comparison=None, job=queued(station, who, arguments))
    made = station.write(lambda session: on_line(session, station, who, body))
    return ComparisonMade(comparison=made, job=None)


def on_line(session: Session, station: Station, who: Identity, body: ComparisonBody) -> Comparison:
    """Compare what a line and its shadow said of the same parts. What people have reviewed is labelled."""
    assert body.line_id is not None and body.from_seq is not None and body.to_seq is not None
    line_row(session, body.line_id)
    for name in (body.a, body.b):
        known_bundle(session, name)
    stretch = (body.from_seq, body.to_seq)
    found = shadow_pairs(session, body.line_id, body.a, body.b, stretch, limit=MAX_PAIRS)
    if not found:
        raise ApiError(409, f"{body.b} was not the shadow of {body.a} on any part of that stretch.")
    reviews = current_reviews(session, [champion.id for champion, _ in found])
    pairs = [
        Pair(
            champion.image_id or "",
            reviews[champion.id].verdict == "NG" if champion.id in reviews else None,
            champion.verdict,
            shadow.verdict,
            champion.score,
            shadow.score,
        )
        for champion, shadow in found
    ]
    row = ComparisonRow(
        a=body.a,
        b=body.b,
        line_id=body.line_id,
        from_seq=body.from_seq,
        to_seq=body.to_seq,
        doc=compared(pairs),
        at=utc_now(),
    )
    station.add(session, who.actor, "comparison", row)
    return Comparison.model_validate(row)
