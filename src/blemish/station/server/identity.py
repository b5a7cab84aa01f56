"""Who asks, and whether they may: sessions, bearer tokens, roles that deny by default.

A route declares its role in its OpenAPI extra `x-role`, which is also what the table of rights is made from;
a route without one is admin's.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from sqlalchemy import select
from starlette.requests import HTTPConnection

from blemish.station.database.audit import Actor
from blemish.station.database.base import utc_now
from blemish.station.database.people import SessionRow, TokenRow, UserRow
from blemish.station.server.errors import ApiError
from blemish.station.server.passwords import digest
from blemish.station.server.state import Station, station_of

Role = Literal["viewer", "operator", "engineer", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "engineer", "admin")
ANYONE = "anyone"
COOKIE, CSRF_HEADER = "blemish_session", "X-CSRF-Token"
SESSION_LENGTH = timedelta(hours=12)
NOTED_EVERY = timedelta(minutes=1)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Identity:
    """Somebody who is known. csrf: of a session, "" of a token; line_id: the only line of a token, or None"""

    user_id: int
    name: str
    role: Role
    address: str
    csrf: str = ""
    line_id: int | None = None

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit trail."""
        return Actor(self.name, self.address, self.user_id)


def role(name: Role | Literal["anyone"]) -> dict[str, Any]:
    """Declaration of a route's role, as its `openapi_extra`."""
    return {"x-role": name}


def may(identity: Identity, needed: str) -> bool:
    """True where a role includes the one that is needed."""
    return needed == ANYONE or ROLES.index(identity.role) >= ROLES.index(needed)


def address_of(connection: HTTPConnection) -> str:
    """Address of the client; behind a proxy, uvicorn has put in what the proxy says."""
    return connection.client.host[:64] if connection.client else ""


def authorise(request: Request) -> Identity | None:
    """Identity of whoever asks, where they may use the route. None for a route that is anyone's.

    Raises ApiError: 401 without a valid session or token, 403 without the role or the CSRF header.
    """
    extra = getattr(request.scope.get("route"), "openapi_extra", None) or {}
    needed = extra.get("x-role", "admin")
    if needed == ANYONE:
        return None
    identity = identify(request, station_of(request))
    if identity.csrf and request.method not in SAFE_METHODS:
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), identity.csrf.encode()):
            raise ApiError(403, f"The header {CSRF_HEADER} must repeat the session's token. Log in again.")
    if not may(identity, needed):
        raise ApiError(403, f"This needs the role {needed}. Yours is {identity.role}; ask an admin.")
    return identity


def identify(connection: HTTPConnection, station: Station) -> Identity:
    """Identity by a bearer token or a session's cookie. Raises ApiError 401 without a valid one."""
    header = connection.headers.get("Authorization", "")
    now, address = utc_now(), address_of(connection)
    if header:
        scheme, _, secret = header.partition(" ")
        found = by_token(station, secret.strip(), now, address) if scheme.lower() == "bearer" else None
    else:
        found = by_session(station, connection.cookies.get(COOKIE, ""), now, address)
    if found is None:
        raise ApiError(401, "Log in, or give a valid token.", headers={"WWW-Authenticate": "Bearer"})
    return found


def by_session(station: Station, secret: str, now: datetime, address: str) -> Identity | None:
    """Identity of a session that lasts; one that is used lasts on."""
    if not secret:
        return None
    with station.database.reading() as session:
        query = select(SessionRow, UserRow).join(UserRow, UserRow.id == SessionRow.user_id)
        found = session.execute(query.where(SessionRow.secret_hash == digest(secret))).one_or_none()
    if found is None:
        return None
    row, user = found
    if row.expires_at <= now or not user.active:
        return None
    if now - row.last_used > NOTED_EVERY:
        station.write(lambda session: note_session(session.get(SessionRow, row.id), now))
    return Identity(user.id, user.name, known_role(user.role), address, csrf=row.csrf)


def note_session(row: SessionRow | None, now: datetime) -> None:
    """Have a session last on from its use."""
    if row is not None:
        row.last_used, row.expires_at = now, now + SESSION_LENGTH


def by_token(station: Station, secret: str, now: datetime, address: str) -> Identity | None:
    """Identity of a machine's token; it has never more rights than the user who made it."""
    with station.database.reading() as session:
        query = select(TokenRow, UserRow).join(UserRow, UserRow.id == TokenRow.user_id)
        found = session.execute(query.where(TokenRow.secret_hash == digest(secret))).one_or_none()
    if found is None:
        return None
    row, user = found
    over = row.expires_at is not None and row.expires_at <= now
    if over or row.revoked_at is not None or not user.active:
        return None
    if row.last_used is None or now - row.last_used > NOTED_EVERY:
        station.write(lambda session: note_token(session.get(TokenRow, row.id), now))
    least = min(known_role(row.role), known_role(user.role), key=ROLES.index)
    return Identity(user.id, f"token {row.name}", least, address, line_id=row.line_id)


def known_role(name: str) -> Role:
    """Role of a stored name; the least of all for one that is unknown."""
    return next((each for each in ROLES if each == name), ROLES[0])


def note_token(row: TokenRow | None, now: datetime) -> None:
    """Note the use of a token."""
    if row is not None:
        row.last_used = now


def known_identity(found: Annotated[Identity | None, Depends(authorise)]) -> Identity:
    """Identity of whoever uses a route that is not anyone's."""
    assert found is not None, "a route that is anyone's must not ask who"
    return found


Who = Annotated[Identity, Depends(known_identity)]


def refuse_other_line(identity: Identity, line_id: int) -> None:
    """Raise ApiError where a token is of another line."""
    if identity.line_id is not None and identity.line_id != line_id:
        raise ApiError(403, "This token is of another line.")
