"""Bundles of the station, their uploads, and the decisions that they are used with."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from pydantic import StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.bundle.store import DECISION, sha256_of
from blemish.decision.store import read_decision
from blemish.station.bundle_rows import bundle_row, register
from blemish.station.bundles import add_bundle
from blemish.station.database.base import utc_now
from blemish.station.database.lines import BundleRow, DecisionRow
from blemish.station.jobs.arguments import BundleId
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, Moment, Page, Reason
from blemish.station.server.identity import Who, role
from blemish.station.server.line_files import newest_decision
from blemish.station.server.state import Reading, TheStation
from blemish.station.upload import unpack

router = APIRouter(tags=["bundles"])
MAX_UPLOAD = 8 << 30
Yaml = Annotated[str, StringConstraints(min_length=1, max_length=200_000)]


class Bundle(Answer):
    """A bundle. has_certificate: of an export, that it answers as the bundle it was made from

    parent_id: bundle that it was made from; job_id, dataset_id: by which job, of which data set
    """

    id: str
    method: str
    class_names: list[str]
    runtime: str
    precision: str | None
    has_certificate: bool
    certificate_passed: bool | None
    decision_revision: int | None
    parent_id: str | None
    job_id: int | None
    dataset_id: int | None
    bytes: int
    created_at: Moment
    retired_at: Moment | None


class BundleInFull(Bundle):
    manifest: dict[str, Any]
    certificate: dict[str, Any] | None


class Decision(Answer):
    id: int
    bundle_id: str
    revision: int
    digest: str
    yaml: str
    why: str
    at: Moment


class NewDecision(Body):
    yaml: Yaml
    """Text of decision.yaml; its revision must be one more than the newest."""
    why: Reason


@router.get("/bundles", openapi_extra=role("viewer"))
def bundles(reading: Reading) -> Page[Bundle]:
    """All bundles, the newest first."""
    rows = reading.scalars(select(BundleRow).order_by(BundleRow.created_at.desc(), BundleRow.id)).all()
    return Page(items=[described(reading, row) for row in rows])


@router.get("/bundles/{bundle_id}", openapi_extra=role("viewer"))
def bundle(bundle_id: BundleId, reading: Reading) -> BundleInFull:
    """One bundle, with its manifest and its certificate."""
    row = known_bundle(reading, bundle_id)
    whole = described(reading, row).model_dump()
    return BundleInFull(**whole, manifest=row.manifest, certificate=row.certificate)


@router.post("/bundles", status_code=201, openapi_extra=role("engineer"), max_body_size=MAX_UPLOAD)
def upload(
    file: Annotated[UploadFile, File(description="ZIP of a bundle's files.")], station: TheStation, who: Who
) -> Bundle:
    """Add a bundle. It is checked before and after it is unpacked, and no network of it is run."""
    draft = Path(tempfile.mkdtemp(prefix=".upload-", dir=station.folder.bundles))
    try:
        folder = draft / "bundle"
        folder.mkdir()
        unpack(file.file, folder)
        path = add_bundle(station.folder, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)

    def change(session: Session) -> Bundle:
        row, new = bundle_row(session, station.folder, path)
        if new:
            register(session, station.audit_key, who.actor, row, station.folder)
        return described(session, row)

    return station.write(change)


@router.post("/bundles/{bundle_id}/retire", openapi_extra=role("engineer"))
def retire(bundle_id: BundleId, station: TheStation, who: Who) -> Bundle:
    """Have a bundle offered no more. Its files stay, for replay and rollback."""

    def change(session: Session) -> Bundle:
        row = known_bundle(session, bundle_id)
        row.retired_at = row.retired_at or utc_now()
        station.note(session, who.actor, "bundle.retire", f"bundle/{bundle_id}")
        return described(session, row)

    return station.write(change)


@router.get("/bundles/{bundle_id}/decisions", openapi_extra=role("viewer"))
def decisions(bundle_id: BundleId, reading: Reading) -> Page[Decision]:
    """Revisions of a bundle's decision, the newest first."""
    query = select(DecisionRow).where(DecisionRow.bundle_id == known_bundle(reading, bundle_id).id)
    rows = reading.scalars(query.order_by(DecisionRow.revision.desc())).all()
    return Page(items=[Decision.model_validate(row) for row in rows])


@router.post("/bundles/{bundle_id}/decisions", status_code=201, openapi_extra=role("engineer"))
def decide(bundle_id: BundleId, body: NewDecision, station: TheStation, who: Who) -> Decision:
    """Write the next revision of a bundle's decision. A line follows it when the bundle is promoted again."""

    with tempfile.TemporaryDirectory(dir=station.folder.jobs) as draft:
        file = Path(draft) / DECISION
        file.write_text(body.yaml, encoding="utf-8")
        decision = read_decision(file, bundle=bundle_id)
        digest = sha256_of(file)

    def change(session: Session) -> DecisionRow:
        known_bundle(session, bundle_id)
        newest = newest_decision(session, bundle_id)
        if newest is not None and decision.revision != newest.revision + 1:
            raise ApiError(409, f"revision: must be {newest.revision + 1}. Received: {decision.revision}.")
        row = DecisionRow(
            bundle_id=bundle_id,
            revision=decision.revision,
            digest=digest,
            yaml=body.yaml,
            by=who.user_id,
            why=body.why,
            at=utc_now(),
        )
        station.add(session, who.actor, "decision.add", row, why=body.why)
        return row

    return Decision.model_validate(station.write(change))


def known_bundle(session: Session, bundle_id: str) -> BundleRow:
    """Row of a bundle. Raises ApiError 404 where there is none."""
    row = session.get(BundleRow, bundle_id)
    if row is None:
        raise not_found("bundle", bundle_id)
    return row


def described(session: Session, row: BundleRow) -> Bundle:
    """Bundle as the API gives it."""
    runtime = row.manifest.get("runtime")
    decision = newest_decision(session, row.id)
    return Bundle(
        id=row.id,
        method=row.method,
        class_names=list(row.manifest.get("class_names", ())),
        runtime=runtime["kind"] if runtime else "torch",
        precision=runtime["precision"] if runtime else None,
        has_certificate=row.certificate is not None,
        certificate_passed=None if row.certificate is None else row.certificate.get("passed"),
        decision_revision=decision.revision if decision else None,
        parent_id=row.parent_id,
        job_id=row.job_id,
        dataset_id=row.dataset_id,
        bytes=row.bytes,
        created_at=row.created_at,
        retired_at=row.retired_at,
    )
