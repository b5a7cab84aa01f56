"""What a line runs: promoted with evidence and a reason, rolled back by one call, challenged by a shadow."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body
from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.database.base import utc_now
from blemish.station.database.datasets import last_label
from blemish.station.database.lines import BundleRow, DecisionRow, LineRow, PromotionRow
from blemish.station.database.people import UserRow
from blemish.station.database.work import ComparisonRow
from blemish.station.jobs.arguments import BundleId
from blemish.station.server import fields
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Moment, Page, Reason, RowId
from blemish.station.server.identity import Identity, Who, role
from blemish.station.server.line_files import ANSWERING, newest_decision, newest_promotion, publish
from blemish.station.server.routes.annotations import name_of
from blemish.station.server.routes.bundles import known_bundle
from blemish.station.server.routes.lines import line_row
from blemish.station.server.state import Reading, Station, TheStation

router = APIRouter(tags=["promotions"])


class PromoteBody(fields.Body):
    bundle_id: BundleId
    decision_id: RowId | None = None
    """Default: the bundle's newest."""
    comparison_id: RowId | None = None
    """Of the bundle that runs (a) with this one (b), and newer than the last label; the first needs none."""
    approved_by: Annotated[str, Field(max_length=64)] | None = None
    """Name of a second person who has agreed."""
    why: Reason


class RollbackBody(fields.Body):
    why: Reason


class ShadowBody(fields.Body):
    bundle_id: BundleId | None
    """None ends the shadow."""
    why: Reason


class Promotion(Answer):
    """What a line runs from a moment on. bundle_id: None where a shadow ended"""

    id: int
    line_id: int
    bundle_id: str | None
    decision_id: int | None
    decision_revision: int | None
    kind: Literal["promote", "rollback", "shadow"]
    by: str | None
    approved_by: str | None
    why: str
    comparison_id: int | None
    at: Moment


@router.get("/lines/{line_id}/promotions", openapi_extra=role("viewer"))
def promotions(line_id: RowId, reading: Reading) -> Page[Promotion]:
    """What a line has run, the newest first."""
    query = select(PromotionRow).where(PromotionRow.line_id == line_row(reading, line_id).id)
    rows = reading.scalars(query.order_by(PromotionRow.id.desc())).all()
    return Page(items=[described(reading, row) for row in rows])


@router.post("/lines/{line_id}/promote", status_code=201, openapi_extra=role("engineer"))
def promote(line_id: RowId, body: Annotated[PromoteBody, Body()], station: TheStation, who: Who) -> Promotion:
    """Have a line run a bundle. 409 without the evidence that it needs.

    An exported bundle needs a certificate that passed; where another bundle runs, a comparison with it that
    is newer than the last label of what it was made on.
    """

    def change(session: Session) -> Promotion:
        line_row(session, line_id)
        bundle = known_bundle(session, body.bundle_id)
        refuse_unproven(bundle)
        running = newest_promotion(session, line_id, ANSWERING)
        decision = decision_for(session, bundle, body.decision_id)
        if running is not None and running.bundle_id not in (None, bundle.id):
            refuse_uncompared(session, running.bundle_id or "", bundle.id, body.comparison_id)
        row = PromotionRow(
            line_id=line_id,
            bundle_id=bundle.id,
            decision_id=decision.id if decision else None,
            kind="promote",
            by=who.user_id,
            approved_by=second_person(session, who, body.approved_by),
            why=body.why,
            comparison_id=body.comparison_id,
            at=utc_now(),
        )
        return added(session, station, who, row)

    return told(station, line_id, station.write(change))


@router.post("/lines/{line_id}/rollback", status_code=201, openapi_extra=role("engineer"))
def roll_back(line_id: RowId, body: RollbackBody, station: TheStation, who: Who) -> Promotion:
    """Have a line run again what it ran before, under the decision of then. 409 where there was nothing."""

    def change(session: Session) -> Promotion:
        line_row(session, line_id)
        before = bundle_before(session, line_id)
        if before is None:
            raise ApiError(409, "This line ran nothing else before. Promote another bundle.")
        row = PromotionRow(
            line_id=line_id,
            bundle_id=before.bundle_id,
            decision_id=before.decision_id,
            kind="rollback",
            by=who.user_id,
            why=body.why,
            at=utc_now(),
        )
        return added(session, station, who, row)

    return told(station, line_id, station.write(change))


@router.post("/lines/{line_id}/shadow", status_code=201, openapi_extra=role("engineer"))
def shadow(line_id: RowId, body: ShadowBody, station: TheStation, who: Who) -> Promotion:
    """Have a bundle judge the same parts without answering, or end that."""

    def change(session: Session) -> Promotion:
        line_row(session, line_id)
        bundle = known_bundle(session, body.bundle_id) if body.bundle_id is not None else None
        decision = newest_decision(session, bundle.id) if bundle else None
        row = PromotionRow(
            line_id=line_id,
            bundle_id=bundle.id if bundle else None,
            decision_id=decision.id if decision else None,
            kind="shadow",
            by=who.user_id,
            why=body.why,
            at=utc_now(),
        )
        return added(session, station, who, row)

    return told(station, line_id, station.write(change))


def refuse_unproven(bundle: BundleRow) -> None:
    """Raise ApiError for a retired bundle, and an exported one whose certificate did not pass."""
    if bundle.retired_at is not None:
        raise ApiError(409, f"{bundle.id} is retired. Choose another bundle.")
    if bundle.manifest.get("runtime") and not (bundle.certificate or {}).get("passed"):
        raise ApiError(409, f"{bundle.id} has no certificate that passed. Export it again.")


def refuse_uncompared(session: Session, running: str, challenger: str, comparison_id: int | None) -> None:
    """Raise ApiError without a comparison of the two that is newer than the labels it rests on."""
    if comparison_id is None:
        raise ApiError(409, f"comparison_id: compare {challenger} with {running}, which runs, first.")
    found = session.get(ComparisonRow, comparison_id)
    if found is None:
        raise not_found("comparison", comparison_id)
    if (found.a, found.b) != (running, challenger):
        raise ApiError(
            409, f"comparison_id: must be of {running} with {challenger}. Received: {found.a} with {found.b}."
        )
    newest = last_label(session, found.dataset_id) if found.dataset_id is not None else None
    if newest is not None and newest > found.at:
        raise ApiError(409, "Labels have changed since the comparison. Freeze a data set, and compare again.")


def decision_for(session: Session, bundle: BundleRow, decision_id: int | None) -> DecisionRow | None:
    """Decision that a bundle is promoted with. Raises ApiError for one of another bundle."""
    if decision_id is None:
        return newest_decision(session, bundle.id)
    found = session.get(DecisionRow, decision_id)
    if found is None or found.bundle_id != bundle.id:
        raise ApiError(409, f"decision_id: must be a decision of {bundle.id}.")
    return found


def second_person(session: Session, who: Identity, name: str | None) -> int | None:
    """Number of the second person. Raises ApiError where it is nobody, the same one, or has no say."""
    if name is None:
        return None
    user = session.scalars(select(UserRow).where(UserRow.name == name, UserRow.active)).one_or_none()
    if user is None or user.role not in ("engineer", "admin") or user.id == who.user_id:
        raise ApiError(409, "approved_by: must be another engineer or admin.")
    return user.id


def bundle_before(session: Session, line_id: int) -> PromotionRow | None:
    """Promotion of what a line ran before: a rollback takes the place of what it undoes."""
    query = select(PromotionRow).where(PromotionRow.line_id == line_id, PromotionRow.kind.in_(ANSWERING))
    stack: list[PromotionRow] = []
    for row in session.scalars(query.order_by(PromotionRow.id)):
        if row.kind == "rollback":
            stack.pop()
        else:
            stack.append(row)
    return stack[-2] if len(stack) > 1 else None


def added(session: Session, station: Station, who: Identity, row: PromotionRow) -> Promotion:
    """Add a promotion, and count up the revision of its line's settings."""
    station.add(session, who.actor, f"line.{row.kind}", row, why=row.why)
    line = session.get(LineRow, row.line_id)
    assert line is not None, "the line was just read"
    line.revision += 1
    return described(session, row)


def told(station: Station, line_id: int, promotion: Promotion) -> Promotion:
    """Promotion, with the line told of it."""
    publish(station, line_id)
    return promotion


def described(session: Session, row: PromotionRow) -> Promotion:
    """Promotion as the API gives it."""
    decision = session.get(DecisionRow, row.decision_id) if row.decision_id is not None else None
    return Promotion(
        id=row.id,
        line_id=row.line_id,
        bundle_id=row.bundle_id,
        decision_id=row.decision_id,
        decision_revision=decision.revision if decision else None,
        kind=row.kind,
        by=name_of(session, row.by) if row.by is not None else None,
        approved_by=name_of(session, row.approved_by) if row.approved_by is not None else None,
        why=row.why,
        comparison_id=row.comparison_id,
        at=row.at,
    )
