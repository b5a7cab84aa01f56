"""Bundles of a station as rows: those that stand in its folder, a job's, and those that are uploaded."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy.orm import Session

from blemish.bundle.store import (
    CERTIFICATE,
    CHANGEABLE,
    DECISION,
    MANIFEST,
    load_bundle,
    replace_folder,
    sha256_of,
)
from blemish.decision.store import stored_decision
from blemish.station.database.audit import Actor, record, row_values
from blemish.station.database.base import utc_now
from blemish.station.database.lines import BundleRow, DecisionRow
from blemish.station.layout import StationFolder


def bundle_row(
    session: Session,
    station: StationFolder,
    path: Path,
    *,
    job_id: int | None = None,
    dataset_id: int | None = None,
    parent_id: str | None = None,
) -> tuple[BundleRow, bool]:
    """Row of the bundle in a folder below the station's, and whether it is new; not added to the session.

    path: relative to the station's folder
    Raises BlemishError for a bundle that is damaged.
    """
    bundle = load_bundle(station.root / path)
    known = session.get(BundleRow, bundle.id)
    if known is not None:
        return known, False
    folder = station.root / path
    certificate = folder / CERTIFICATE
    source = bundle.manifest.runtime.source if bundle.manifest.runtime else None
    parent = parent_id or source
    row = BundleRow(
        id=bundle.id,
        method=bundle.manifest.method,
        path=path.as_posix(),
        manifest=json.loads((folder / MANIFEST).read_text(encoding="utf-8")),
        certificate=json.loads(certificate.read_text(encoding="utf-8")) if certificate.is_file() else None,
        parent_id=parent if parent and session.get(BundleRow, parent) else None,
        job_id=job_id,
        dataset_id=dataset_id,
        bytes=sum(file.stat().st_size for file in folder.iterdir() if file.is_file()),
        created_at=utc_now(),
    )
    return row, True


def register(session: Session, key: bytes, actor: Actor, row: BundleRow, station: StationFolder) -> None:
    """Add the row of a new bundle, its decision, and both to the audit trail. key: of that trail

    Raises BlemishError for a decision that does not read.
    """
    session.add(row)
    session.flush()
    facts = {
        name: value for name, value in row_values(row).items() if name not in ("manifest", "certificate")
    }
    record(session, key, actor, "bundle.add", f"bundle/{row.id}", after=facts)
    note_decision(session, key, actor, row, station, why="came with the bundle")


def note_decision(
    session: Session, key: bytes, actor: Actor, row: BundleRow, station: StationFolder, *, why: str
) -> None:
    """Add the decision that came with a bundle. Raises BlemishError for one that does not read."""
    file = station.root / row.path / DECISION
    decision = stored_decision(file.parent, bundle=row.id)
    if decision is None:
        return
    made = DecisionRow(
        bundle_id=row.id,
        revision=decision.revision,
        digest=sha256_of(file),
        yaml=file.read_text(encoding="utf-8"),
        by=actor.user_id,
        why=why,
        at=utc_now(),
    )
    session.add(made)
    session.flush()
    record(session, key, actor, "decision.add", f"decision/{made.id}", after=row_values(made), why=why)


def decided_folder(station: StationFolder, row: BundleRow, decision: DecisionRow | None) -> Path:
    """Folder of a bundle under a decision, relative to the station's; made where it is not there.

    The bundle's own folder holds the decision that it came with. For any other there is a folder beside it,
    whose weights are links, so that two lines can follow two revisions and neither changes under a line.
    """
    own = Path(row.path)
    if decision is None or digest_at(station.root / own) == decision.digest:
        return own
    path = own.with_name(f"{own.name}.r{decision.revision}")
    target = station.root / path
    if digest_at(target) != decision.digest:
        draft = Path(tempfile.mkdtemp(prefix=".decided-", dir=station.bundles))
        try:
            for file in (station.root / own).iterdir():
                if file.is_file() and not CHANGEABLE.fullmatch(file.name):
                    link_or_copy(file, draft / file.name)
            (draft / DECISION).write_text(decision.yaml, encoding="utf-8")
            replace_folder(draft, target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return path


def digest_at(folder: Path) -> str | None:
    """SHA-256 of the decision in a bundle's folder; None without one."""
    file = folder / DECISION
    return sha256_of(file) if file.is_file() else None


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy it where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
