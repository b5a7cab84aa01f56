"""Verification of a station's audit trail and record from outside, also while it runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from blemish.errors import BlemishError, WrongUseError
from blemish.station.database.audit import FIRST, AuditFault, verify
from blemish.station.database.engine import database_url, open_database
from blemish.station.database.people import AuditHeadRow
from blemish.station.database.record_check import record_faults
from blemish.station.layout import StationFolder
from blemish.station.secrets import secret


@dataclass(frozen=True)
class AuditCheck:
    """Outcome of a verification. faults: a line each; count, head: number and hash of the last entry"""

    faults: list[str]
    count: int
    head: str


def check_station(root: Path, *, database: str | None = None, head: str | None = None) -> AuditCheck:
    """Verify a station. database: address of PostgreSQL; head: COUNT:HASH that was noted earlier

    Raises WrongUseError for a head that is none, BlemishError where there is no station.
    """
    folder, noted = StationFolder(root), noted_head(head)
    if not folder.secrets.is_file() or (database is None and not folder.database.is_file()):
        raise BlemishError(f"{root} holds no station that has run. Check the path.")
    opened = open_database(database_url(root, database))
    try:
        with opened.reading() as session:
            key = secret(folder.secrets, "audit")
            found = chain(verify(session, key, noted=noted), record_faults(session, folder))
            faults = [line_of(fault) for fault in found]
            last = session.get(AuditHeadRow, 1)
        return AuditCheck(faults, last.count if last else 0, last.hash if last else FIRST)
    finally:
        opened.close()


def noted_head(text: str | None) -> tuple[int, str] | None:
    """Count and hash of a head. Raises WrongUseError for anything else."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,15}):([0-9a-f]{64})", text)
    if found is None:
        raise WrongUseError(f"--head must be COUNT:HASH, as this command prints it. Received: '{text}'.")
    return int(found[1]), found[2]


def line_of(fault: AuditFault) -> str:
    """Fault as a line."""
    place = f"entry {fault.number}" if fault.number is not None else ""
    return f"{', '.join(each for each in (place, fault.object) if each) or 'the trail'}: {fault.fault}"
