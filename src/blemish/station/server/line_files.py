"""line.json of each line, written from the database; and lines that stand in the folder alone, taken in."""

from __future__ import annotations

import logging
import re
from contextlib import suppress
from functools import partial
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.bundle_rows import bundle_row, decided_folder, register
from blemish.station.database.audit import STATION
from blemish.station.database.base import utc_now
from blemish.station.database.lines import BundleRow, DecisionRow, LineRow, PromotionRow
from blemish.station.layout import LineFolder, StationFolder
from blemish.station.line.settings import DecisionOf, LineSettings, read_settings, write_settings
from blemish.station.server.line_socket import LineAwayError, ask
from blemish.station.server.state import Station

log = logging.getLogger("blemish.station")
BUNDLE_NAME = re.compile(r"[a-z][a-z0-9]*-[0-9a-f]{12}")
RUNNING, HELD, STOPPED = "running", "held", "stopped"
ANSWERING = ("promote", "rollback")  # kinds of promotion that change what answers


def newest_promotion(session: Session, line_id: int, kinds: tuple[str, ...]) -> PromotionRow | None:
    """Newest promotion of those kinds of a line."""
    query = select(PromotionRow).where(PromotionRow.line_id == line_id, PromotionRow.kind.in_(kinds))
    return session.scalars(query.order_by(PromotionRow.id.desc()).limit(1)).one_or_none()


def settings_of(session: Session, station: StationFolder, line: LineRow) -> LineSettings:
    """Settings that a line's process is told; the folders of its bundles are there."""
    promotion, shadow = (newest_promotion(session, line.id, kinds) for kinds in (ANSWERING, ("shadow",)))
    decision = (
        session.get(DecisionRow, promotion.decision_id) if promotion and promotion.decision_id else None
    )
    return LineSettings.model_validate(
        {
            "name": line.name,
            "bundle": folder_of(session, station, promotion),
            "decision": decision and DecisionOf(revision=decision.revision, sha256=decision.digest),
            "source": line.source,
            "deadline_ms": line.deadline_ms,
            "keep": line.keep,
            "audit_share": line.audit_share,
            "review_is_ng": line.review_is_ng,
            "shadow": folder_of(session, station, shadow),
            "link": line.link,
            "revision": line.revision,
        }
    )


def folder_of(session: Session, station: StationFolder, promotion: PromotionRow | None) -> Path | None:
    """Folder of a promoted bundle under its decision, relative to the station's."""
    bundle = session.get(BundleRow, promotion.bundle_id) if promotion and promotion.bundle_id else None
    return None if bundle is None else decided_folder(station, bundle, decision_of(session, promotion))


def decision_of(session: Session, promotion: PromotionRow | None) -> DecisionRow | None:
    """Decision of a promotion."""
    if promotion is None or promotion.decision_id is None:
        return None
    return session.get(DecisionRow, promotion.decision_id)


def publish(station: Station, line_id: int) -> None:
    """Write a line's line.json, or remove that of a stopped line, and tell its process to read it."""
    with station.database.reading() as session:
        line = session.get(LineRow, line_id)
        assert line is not None, "the line was just written"
        settings, stopped = settings_of(session, station.folder, line), line.state == STOPPED
    folder = station.folder.line(settings.name)
    if stopped:
        folder.settings.unlink(missing_ok=True)
        return
    folder.root.mkdir(parents=True, exist_ok=True)
    write_settings(folder, settings)
    with suppress(LineAwayError):  # the process reads the file when it starts, and looks at it every second
        ask(folder, {"do": "reload"}, seconds=1.0)


def hold(folder: LineFolder, why: str) -> None:
    """Keep a line on hold, over restarts too."""
    folder.root.mkdir(parents=True, exist_ok=True)
    write_atomically(folder.hold, why)


def state_of(folder: LineFolder, line: LineRow) -> str:
    """State of a line: the file is what holds it, whoever wrote it."""
    if line.state == STOPPED:
        return STOPPED
    return HELD if folder.hold.exists() else RUNNING


def publish_all(station: Station) -> None:
    """Write every line.json again, as a server may have been killed between a change and its file."""
    with station.database.reading() as session:
        numbers = session.scalars(select(LineRow.id)).all()
    for number in numbers:
        publish(station, number)


def take_in_lines(station: Station) -> None:
    """Add a row for each bundle and line that stands in the folder alone, as the command line makes them."""
    take_in_bundles(station)
    for folder in station.folder.line_folders():
        with station.database.reading() as session:
            known = session.scalars(select(LineRow.id).where(LineRow.name == folder.name)).one_or_none()
        if known is None:
            take_in(station, folder)


def take_in_bundles(station: Station) -> None:
    """Add a row for each bundle that stands in the folder alone. One that does not read is left out."""
    with station.database.reading() as session:
        known = set(session.scalars(select(BundleRow.id)))
    for folder in sorted(station.folder.bundles.iterdir()):
        if BUNDLE_NAME.fullmatch(folder.name) and folder.name not in known | station.refused_bundles:
            path = folder.relative_to(station.folder.root)
            try:
                station.write(partial(take_in_bundle, station=station, path=path))
            except BlemishError as error:
                log.error("%s", error)
                station.refused_bundles.add(folder.name)


def take_in_bundle(session: Session, station: Station, path: Path) -> None:
    """Add the row of a bundle in the folder."""
    row, new = bundle_row(session, station.folder, path)
    if new:
        register(session, station.audit_key, STATION, row, station.folder)


def take_in(station: Station, folder: LineFolder) -> None:
    """Add the row of a line from its line.json, and what it runs. A file that does not read waits."""
    try:
        settings = read_settings(folder)
    except BlemishError as error:
        station.faults[folder.name] = str(error)
        return

    def add(session: Session) -> None:
        fields = settings.model_dump(mode="json")
        kept = ("name", "source", "link", "deadline_ms", "keep", "audit_share", "review_is_ng", "revision")
        state = HELD if folder.hold.exists() else RUNNING
        line = LineRow(**{key: fields[key] for key in kept}, state=state, created_at=utc_now())
        station.add(session, STATION, "line.found", line)
        for kind, path in (("promote", settings.bundle), ("shadow", settings.shadow)):
            bundle = bundle_at(session, path)
            if bundle is not None:
                decision = newest_decision(session, bundle.id)
                promotion = PromotionRow(
                    line_id=line.id,
                    bundle_id=bundle.id,
                    decision_id=decision.id if decision else None,
                    kind=kind,
                    why="stood in line.json",
                    at=utc_now(),
                )
                station.add(session, STATION, f"line.{kind}", promotion)

    station.write(add)


def bundle_at(session: Session, path: Path | None) -> BundleRow | None:
    """Bundle of a folder, relative to the station's."""
    if path is None:
        return None
    return session.scalars(select(BundleRow).where(BundleRow.path == path.as_posix())).one_or_none()


def newest_decision(session: Session, bundle_id: str) -> DecisionRow | None:
    """Newest revision of a bundle's decision."""
    query = select(DecisionRow).where(DecisionRow.bundle_id == bundle_id)
    return session.scalars(query.order_by(DecisionRow.revision.desc()).limit(1)).one_or_none()
