"""Replay of recorded decisions."""

from __future__ import annotations

import threading

from fastapi import APIRouter

from blemish.station.replay import replay_inspection
from blemish.station.server.errors import ApiError
from blemish.station.server.fields import Answer, RowId
from blemish.station.server.identity import Who, role
from blemish.station.server.routes.inspections import inspection_row
from blemish.station.server.routes.lines import line_row
from blemish.station.server.state import Reading, TheStation

router = APIRouter(tags=["inspections"])
one_at_a_time = threading.Lock()


class Difference(Answer):
    """A field that is not as recorded. field: "" where nothing could be replayed"""

    field: str
    text: str


class Replayed(Answer):
    """Outcome of a replay. same: the answer is that of then; notes: on another runtime or version"""

    same: bool
    differences: list[Difference]
    notes: list[str]


@router.post("/inspections/{inspection_id}/replay", openapi_extra=role("operator"))
def replay(inspection_id: RowId, reading: Reading, station: TheStation, who: Who) -> Replayed:
    """Judge a recorded image again by the recorded bundle and decision, and name what differs.

    One runs at a time: 429 with Retry-After for a second one.
    """
    row = inspection_row(reading, inspection_id)
    line = station.folder.line(line_row(reading, row.line_id).name)
    if not one_at_a_time.acquire(blocking=False):
        raise ApiError(429, "Another replay runs. Try again in some seconds.", headers={"Retry-After": "5"})
    try:
        outcome = replay_inspection(reading, station.folder, line, row)
    finally:
        one_at_a_time.release()
    station.write(
        lambda session: station.note(
            session, who.actor, "replay", f"inspection/{inspection_id}", after={"same": outcome.same}
        )
    )
    return Replayed.model_validate(outcome)
