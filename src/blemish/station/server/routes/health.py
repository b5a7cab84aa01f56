"""Whether the server lives, and whether everything behind it does."""

from __future__ import annotations

from fastapi import APIRouter, Response
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from blemish.provenance import blemish_version
from blemish.station.database.lines import LineRow
from blemish.station.server.fields import Answer
from blemish.station.server.identity import role
from blemish.station.server.state import TheStation

router = APIRouter(tags=["health"])


class Health(Answer):
    """needs_setup: there is no admin yet"""

    status: str
    version: str
    needs_setup: bool


class Ready(Answer):
    """ready: the database answers, and every journal is read; faults: why not, a line each"""

    ready: bool
    faults: list[str]


@router.get("/health", openapi_extra=role("anyone"))
def health(station: TheStation) -> Health:
    """Say that the server lives, and whether it still waits for its first admin."""
    return Health(status="ok", version=blemish_version(), needs_setup=not station.has_admin)


@router.get("/ready", openapi_extra=role("anyone"))
def ready(station: TheStation, response: Response) -> Ready:
    """Say whether the database answers and every journal is read; 503 where not."""
    faults = [f"{name}: its record is not read" for name in sorted(station.faults)]
    try:
        with station.database.reading() as session:
            session.scalars(select(LineRow.id).limit(1)).all()
    except DBAPIError:
        faults.append("the database does not answer")
    if not station.writer.thread.is_alive():
        faults.append("the writer has ended")
    response.status_code = 503 if faults else 200
    return Ready(ready=not faults, faults=faults)
