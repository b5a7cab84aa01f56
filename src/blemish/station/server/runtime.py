"""Opening a station and what runs beside its routes: the ingest of journals, and the jobs."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI
from sqlalchemy import select

from blemish.errors import BlemishError
from blemish.station.database.engine import database_url, open_database
from blemish.station.database.lines import LineRow
from blemish.station.database.migrate import migrate
from blemish.station.database.people import UserRow
from blemish.station.database.writer import Writer
from blemish.station.images.worker import ImageWorker
from blemish.station.ingest import ingest
from blemish.station.jobs.runner import Runner
from blemish.station.layout import StationFolder
from blemish.station.retention import make_room
from blemish.station.secrets import secret
from blemish.station.server.line_files import publish_all, take_in_lines
from blemish.station.server.state import Station

log = logging.getLogger("blemish.station")
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that looks like another
INGEST_SECONDS, LOOK_SECONDS, JOB_SECONDS, ROOM_SECONDS = 0.2, 2.0, 0.5, 30.0


def open_station(
    folder: StationFolder, *, database: str | None = None, behind_proxy: bool = False
) -> Station:
    """Open a station's database, brought up to date, and start its writer.

    database: address of PostgreSQL; None takes SQLite in the folder
    Raises BlemishError for a database that cannot be opened, or that a newer blemish has made.
    """
    folder.root.mkdir(parents=True, exist_ok=True)
    for needed in (folder.images, folder.tiles, folder.bundles, folder.jobs, folder.lines):
        needed.mkdir(exist_ok=True)
    url = database_url(folder.root, database)
    migrate(url)
    opened = open_database(url)
    writer = Writer(opened)
    writer.start()
    with opened.reading() as session:
        admin = select(UserRow.id).where(UserRow.role == "admin", UserRow.active).limit(1)
        has_admin = session.scalars(admin).one_or_none() is not None
    return Station(
        folder=folder,
        database=opened,
        writer=writer,
        images=ImageWorker(),
        audit_key=secret(folder.secrets, "audit"),
        setup_code=None if has_admin else new_code(),
        has_admin=has_admin,
        behind_proxy=behind_proxy,
    )


def close_station(station: Station) -> None:
    """Write what waits, and close everything."""
    station.writer.close()
    station.images.close()
    station.database.close()


def new_code() -> str:
    """One-time code for the first admin: 60 bits, in groups of four."""
    letters = [secrets.choice(LETTERS) for _ in range(12)]
    return "-".join("".join(letters[start : start + 4]) for start in (0, 4, 8))


@dataclass
class Repeated:
    """Work that a thread repeats until it is stopped; a failure is logged and does not end it."""

    name: str
    work: Callable[[], object]
    seconds: float

    def __post_init__(self) -> None:
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run, name=self.name, daemon=True)

    def run(self) -> None:
        """Repeat the work."""
        while not self.stopping.is_set():
            try:
                self.work()
            except Exception:
                log.exception("%s failed and goes on", self.name)
            self.stopping.wait(self.seconds)

    def stop(self) -> None:
        """Let the work end, and wait for it."""
        self.stopping.set()
        self.thread.join()


def ingest_all(station: Station) -> None:
    """Read what is new in every line's journal; a fault of one is noted and keeps no other back."""
    with station.database.reading() as session:
        lines = [(row.id, row.name) for row in session.scalars(select(LineRow))]
    for line_id, name in lines:
        try:
            ingest(station.writer, line_id, station.folder.line(name))
            station.faults.pop(name, None)
        except BlemishError as error:
            if station.faults.get(name) != str(error):
                log.error("line %s: %s", name, error)
            station.faults[name] = str(error)


def beside(station: Station) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """Lifespan of the application: what is repeated while it serves; the station is closed at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        take_in_lines(station)
        publish_all(station)
        retention = partial(make_room, station.writer, station.folder, station.audit_key)
        repeated = [
            Repeated("ingest", lambda: ingest_all(station), INGEST_SECONDS),
            Repeated("look-out", lambda: take_in_lines(station), LOOK_SECONDS),
            Repeated("jobs", Runner(station).tend, JOB_SECONDS),
            Repeated("retention", retention, ROOM_SECONDS),
        ]
        for each in repeated:
            each.thread.start()
        try:
            yield
        finally:
            for each in repeated:
                each.stop()
            close_station(station)

    return lifespan
