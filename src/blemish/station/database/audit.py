"""The audit trail: a chain of rows, each with the hash of the one before, and a sealed head.

A row's hash covers its values and the hash before it, so a changed or deleted row breaks the chain at its
place. The head holds count and hash of the last row under a key that is not in the database, so that rows
cut off at the end show as well. `after` of an action that adds to an append-only table is the row itself;
`verify` reads that row again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import inspect as inspect_row
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.database.base import Base, Numbered, utc_now
from blemish.station.database.people import AuditHeadRow, AuditRow
from blemish.station.database.schema import APPEND_ONLY

FIRST = "0" * 64
SECRET_COLUMNS = frozenset({"password_hash", "secret_hash", "csrf"})
HASHED = ("id", "at", "who", "address", "action", "object", "before", "after", "why", "previous_hash")


@dataclass(frozen=True)
class Actor:
    """Who acts. name: of the user, "token NAME", or "station"; address: of the client, "" for the station"""

    name: str
    address: str = ""
    user_id: int | None = None


STATION = Actor("station")


@dataclass(frozen=True)
class AuditFault:
    """A place at which the trail is not whole. number: of the audit row, None for the head"""

    number: int | None
    object: str
    fault: str


def record(
    session: Session,
    key: bytes,
    actor: Actor,
    action: str,
    object_name: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    why: str = "",
) -> AuditRow:
    """Append an action to the trail, in the transaction of the change itself. key: the head's secret"""
    head = session.get(AuditHeadRow, 1)
    count, previous = (head.count, head.hash) if head else (0, FIRST)
    row = AuditRow(
        id=count + 1,
        at=utc_now(),
        who=actor.name,
        address=actor.address,
        action=action,
        object=object_name,
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        why=why,
        previous_hash=previous,
    )
    row.hash = row_hash(row)
    session.add(row)
    if head is None:
        head = AuditHeadRow(id=1)
        session.add(head)
    head.count, head.hash, head.seal = row.id, row.hash, seal(key, row.id, row.hash)
    session.flush()
    return row


def row_hash(row: AuditRow) -> str:
    """SHA-256 of a row's values, in canonical JSON, the hash of the row before among them."""
    values = {name: plain(getattr(row, name)) for name in HASHED}
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal(key: bytes, count: int, last_hash: str) -> str:
    """HMAC-SHA256 of a head."""
    return hmac.new(key, f"{count}:{last_hash}".encode(), hashlib.sha256).hexdigest()


def row_values(row: Base) -> dict[str, Any]:
    """Values of a row as plain JSON, without secrets; bytes as their SHA-256."""
    columns = inspect_row(row).mapper.column_attrs
    return {each.key: plain(getattr(row, each.key)) for each in columns if each.key not in SECRET_COLUMNS}


def name_of_row(row: Numbered) -> str:
    """Name of a row in the trail: its table and its number."""
    return f"{row.__tablename__}/{row.id}"


def row_digest(row: Base) -> str:
    """SHA-256 of a row's values, in canonical JSON."""
    text = json.dumps(row_values(row), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def plain(value: Any) -> Any:
    """Value as JSON holds it: a time as ISO 8601 in UTC with microseconds, bytes as their SHA-256."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    return value


def verify(session: Session, key: bytes, *, noted: tuple[int, str] | None = None) -> Iterator[AuditFault]:
    """Faults of the whole trail, in its order; none where it is whole.

    noted: count and hash of a head that somebody wrote down earlier, which must still be in the chain
    """
    number, previous = 0, FIRST
    for row in session.scalars(select(AuditRow).order_by(AuditRow.id).execution_options(yield_per=500)):
        number += 1
        while number < row.id:
            yield AuditFault(number, "", "is missing")
            number += 1
        if row.previous_hash != previous or row_hash(row) != row.hash:
            changed = row_hash(row) != row.hash
            yield AuditFault(
                row.id, row.object, "was changed" if changed else "does not follow the row before"
            )
        if noted is not None and row.id == noted[0] and row.hash != noted[1]:
            yield AuditFault(row.id, row.object, "is not the row that was noted")
        previous = row.hash
        yield from changed_object(session, row)
    yield from head_faults(session, key, number, previous)
    if noted is not None and number < noted[0]:
        yield AuditFault(noted[0], "", "was noted and is missing")


def head_faults(session: Session, key: bytes, count: int, last_hash: str) -> Iterator[AuditFault]:
    """Fault of the head, where it does not stand for the last row that was found."""
    head = session.get(AuditHeadRow, 1)
    if head is None:
        if count:
            yield AuditFault(None, "", "the head is missing")
        return
    if not hmac.compare_digest(head.seal, seal(key, head.count, head.hash)):
        yield AuditFault(None, "", "the head's seal is not this station's")
    for number in range(count + 1, head.count + 1):
        yield AuditFault(number, "", "is missing")
    if head.count < count or (head.count == count and head.hash != last_hash):
        yield AuditFault(None, "", "the head is not that of the last row")


def changed_object(session: Session, row: AuditRow) -> Iterator[AuditFault]:
    """Fault where the append-only row that an audit row added is another one now, or gone."""
    after = dict(row.after or {})
    for name, digest in after.pop("rows", {}).items():
        there = stored_row(session, name)
        if there is None or row_digest(there) != digest:
            yield AuditFault(row.id, name, "its row is missing" if there is None else "its row was changed")
    if row.object.partition("/")[0] not in APPEND_ONLY or "id" not in after:
        return
    there = stored_row(session, row.object)
    if there is None:
        yield AuditFault(row.id, row.object, "its row is missing")
    elif (now := row_values(there)) != after:
        names = [name for name in after if now.get(name) != after[name]]
        yield AuditFault(row.id, row.object, f"its row was changed: {', '.join(names)}")


def stored_row(session: Session, name: str) -> Base | None:
    """Append-only row of that name; None where it is gone."""
    table, _, key = name.partition("/")
    return session.get(APPEND_ONLY[table], int(key))
