"""The parts of a running station that routes use, in one object."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends
from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from blemish.station.database.audit import Actor, name_of_row, record, row_digest, row_values
from blemish.station.database.base import Numbered
from blemish.station.database.engine import Database
from blemish.station.database.writer import Writer
from blemish.station.images.worker import ImageWorker
from blemish.station.layout import StationFolder

Result = TypeVar("Result")


@dataclass
class Station:
    """A running station. audit_key: seals the audit trail; setup_code: makes the first admin, None after that

    has_admin: until then only this computer is answered; faults: of the ingest, by name of line
    refused_bundles: names of folders of bundles that do not read
    """

    folder: StationFolder
    database: Database
    writer: Writer
    images: ImageWorker
    audit_key: bytes
    setup_code: str | None = None
    has_admin: bool = False
    behind_proxy: bool = False
    faults: dict[str, str] = field(default_factory=dict)
    refused_bundles: set[str] = field(default_factory=set)

    def write(self, change: Callable[[Session], Result]) -> Result:
        """Run a change on the writing thread; returns when it is on the disk."""
        return self.writer.write(change)

    def note(
        self,
        session: Session,
        actor: Actor,
        action: str,
        object_name: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        why: str = "",
    ) -> None:
        """Append to the audit trail, in the transaction of the change."""
        record(session, self.audit_key, actor, action, object_name, before=before, after=after, why=why)

    def add(
        self,
        session: Session,
        actor: Actor,
        action: str,
        row: Numbered,
        *,
        why: str = "",
        rows: Sequence[Numbered] = (),
    ) -> None:
        """Add a row, and to the audit trail that it was added, and by whom.

        rows: further rows in the session that belong to it; the trail holds their hashes
        """
        session.add(row)
        session.flush()
        after = row_values(row)
        if rows:
            after["rows"] = {name_of_row(each): row_digest(each) for each in rows}
        self.note(session, actor, action, name_of_row(row), after=after, why=why)


def station_of(connection: HTTPConnection) -> Station:
    """Station that a request is for."""
    found: Station = connection.app.state.station
    return found


def reading_session(station: Annotated[Station, Depends(station_of)]) -> Iterator[Session]:
    """Session that reads, for the time of a request."""
    with station.database.reading() as session:
        yield session


TheStation = Annotated[Station, Depends(station_of)]
Reading = Annotated[Session, Depends(reading_session)]
