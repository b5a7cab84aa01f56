"""Logging in, users, tokens."""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import Field, SecretStr, StringConstraints
from sqlalchemy import select
from sqlalchemy.orm import Session

from blemish.station.database.audit import Actor, row_values
from blemish.station.database.base import utc_now
from blemish.station.database.lines import LineRow
from blemish.station.database.people import SessionRow, TokenRow, UserRow
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Answer, Body, Moment, Name, Page, RowId
from blemish.station.server.identity import COOKIE, ROLES, SESSION_LENGTH, Role, Who, address_of, role
from blemish.station.server.passwords import (
    LONGEST,
    SHORTEST,
    digest,
    hash_password,
    is_password,
    new_secret,
)
from blemish.station.server.state import Reading, Station, TheStation

router = APIRouter(tags=["people"])
MAX_FAILURES, LOCKED = 5, timedelta(minutes=15)
UserName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
Password = Annotated[SecretStr, Field(min_length=SHORTEST, max_length=LONGEST)]


class LoginBody(Body):
    name: Annotated[str, Field(max_length=64, examples=["anna"])]
    password: Annotated[SecretStr, Field(max_length=LONGEST, examples=["correct horse battery"])]


class SetupBody(Body):
    code: Annotated[str, Field(max_length=64)]
    """One-time code, printed on the station's console."""
    name: UserName
    password: Password


class Me(Answer):
    """Who is logged in. csrf: to be sent as X-CSRF-Token with every change"""

    name: str
    role: Role
    csrf: str


class NewUser(Body):
    name: UserName
    password: Password
    role: Role


class UserChange(Body):
    role: Role | None = None
    active: bool | None = None
    password: Password | None = None


class User(Answer):
    id: int
    name: str
    role: Role
    active: bool
    locked_until: Moment | None
    created_at: Moment


class NewToken(Body):
    name: Name
    role: Role
    line_id: RowId | None = None
    """The only line that it may use."""
    days: Annotated[int, Field(ge=1, le=3650)] | None = 365


class Token(Answer):
    id: int
    name: str
    role: Role
    line_id: int | None
    created_at: Moment
    expires_at: Moment | None
    last_used: Moment | None
    revoked_at: Moment | None


class TokenMade(Token):
    secret: str
    """Shown this once; the station keeps its SHA-256 alone."""


@router.post("/setup", openapi_extra=role("anyone"))
def set_up(body: SetupBody, request: Request, response: Response, station: TheStation) -> Me:
    """Make the first admin by the one-time code of the console, and log in."""
    right = station.setup_code is not None and hmac.compare_digest(
        body.code.strip().upper().encode(), station.setup_code.encode()
    )
    if not right:
        raise ApiError(403, "The code must be that on the console, and there must be no admin yet.")
    password_hash = hash_password(body.password.get_secret_value())

    def change(session: Session) -> int:
        if admins(session):
            raise ApiError(403, "There is an admin already. Log in.")
        user = new_user(body.name, password_hash, "admin")
        station.add(session, Actor(body.name, address_of(request)), "user.setup", user)
        return user.id

    user_id = station.write(change)
    station.setup_code, station.has_admin = None, True
    return opened(station, request, response, user_id)


@router.post("/login", openapi_extra=role("anyone"))
def log_in(body: LoginBody, request: Request, response: Response, station: TheStation) -> Me:
    """Log in by name and password. Five failures in a row lock the user for a quarter of an hour."""
    now, actor = utc_now(), Actor(body.name[:64], address_of(request))
    with station.database.reading() as session:
        user = session.scalars(select(UserRow).where(UserRow.name == body.name)).one_or_none()
    right = is_password(user.password_hash if user else None, body.password.get_secret_value())
    if user is None:
        raise ApiError(401, "Name or password is wrong.")
    if user.locked_until is not None and user.locked_until > now:
        raise ApiError(429, "Too many failures. Try again later.", headers={"Retry-After": "900"})
    if not right or not user.active:
        station.write(lambda session: note_failure(station, session, user.id, actor))
        raise ApiError(401, "Name or password is wrong.")
    return opened(station, request, response, user.id)


@router.post("/logout", status_code=204, openapi_extra=role("viewer"))
def log_out(request: Request, response: Response, station: TheStation, who: Who) -> None:
    """End this session."""
    secret = digest(request.cookies.get(COOKIE, ""))

    def change(session: Session) -> None:
        row = session.scalars(select(SessionRow).where(SessionRow.secret_hash == secret)).one_or_none()
        if row is not None:
            session.delete(row)
            station.note(session, who.actor, "logout", f"user/{who.user_id}")

    station.write(change)
    response.delete_cookie(COOKIE, path="/")


@router.get("/me", openapi_extra=role("viewer"))
def me(who: Who) -> Me:
    """Name, role and CSRF token of whoever asks."""
    return Me(name=who.name, role=who.role, csrf=who.csrf)


@router.get("/users")
def users(reading: Reading) -> Page[User]:
    """All users, by name."""
    rows = reading.scalars(select(UserRow).order_by(UserRow.name)).all()
    return Page(items=[User.model_validate(row) for row in rows])


@router.post("/users", status_code=201)
def add_user(body: NewUser, station: TheStation, who: Who) -> User:
    """Add a user."""
    password_hash = hash_password(body.password.get_secret_value())

    def change(session: Session) -> UserRow:
        if session.scalars(select(UserRow).where(UserRow.name == body.name)).one_or_none():
            raise ApiError(409, f"There is a user {body.name} already. Choose another name.")
        user = new_user(body.name, password_hash, body.role)
        station.add(session, who.actor, "user.add", user)
        return user

    return User.model_validate(station.write(change))


@router.patch("/users/{user_id}")
def change_user(user_id: RowId, body: UserChange, station: TheStation, who: Who) -> User:
    """Change a user's role, password, or whether they may log in. Their sessions end."""
    password_hash = hash_password(body.password.get_secret_value()) if body.password else None

    def change(session: Session) -> UserRow:
        user = session.get(UserRow, user_id)
        if user is None:
            raise not_found("user", user_id)
        before = row_values(user)
        user.role = body.role or user.role
        user.active = user.active if body.active is None else body.active
        if password_hash is not None:
            user.password_hash, user.failed_logins, user.locked_until = password_hash, 0, None
        session.flush()
        if not admins(session):
            raise ApiError(409, "One active admin must stay. Make another one first.")
        for row in session.scalars(select(SessionRow).where(SessionRow.user_id == user_id)):
            session.delete(row)
        action = "user.change" if password_hash is None else "user.password"
        station.note(
            session, who.actor, action, f"site_user/{user_id}", before=before, after=row_values(user)
        )
        return user

    return User.model_validate(station.write(change))


@router.get("/tokens")
def tokens(reading: Reading) -> Page[Token]:
    """All tokens, the newest first; never their secrets."""
    rows = reading.scalars(select(TokenRow).order_by(TokenRow.id.desc())).all()
    return Page(items=[Token.model_validate(row) for row in rows])


@router.post("/tokens", status_code=201)
def add_token(body: NewToken, station: TheStation, who: Who) -> TokenMade:
    """Make a bearer token for a machine."""
    secret, now = new_secret("blemish_"), utc_now()
    row = TokenRow(
        name=body.name,
        secret_hash=digest(secret),
        user_id=who.user_id,
        role=min(body.role, who.role, key=ROLES.index),
        line_id=body.line_id,
        created_at=now,
        expires_at=None if body.days is None else now + timedelta(days=body.days),
    )

    def change(session: Session) -> None:
        refuse_unknown_line(session, body.line_id)
        station.add(session, who.actor, "token.add", row)

    station.write(change)
    return TokenMade(**Token.model_validate(row).model_dump(), secret=secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke_token(token_id: RowId, station: TheStation, who: Who) -> None:
    """Revoke a token; it stays in the list."""

    def change(session: Session) -> None:
        row = session.get(TokenRow, token_id)
        if row is None:
            raise not_found("token", token_id)
        row.revoked_at = row.revoked_at or utc_now()
        station.note(session, who.actor, "token.revoke", f"token/{token_id}", after=row_values(row))

    station.write(change)


def new_user(name: str, password_hash: str, role_name: Role) -> UserRow:
    """Row of a user who is active."""
    return UserRow(
        name=name,
        password_hash=password_hash,
        role=role_name,
        active=True,
        failed_logins=0,
        created_at=utc_now(),
    )


def admins(session: Session) -> int:
    """Number of active admins."""
    return len(session.scalars(select(UserRow.id).where(UserRow.role == "admin", UserRow.active)).all())


def note_failure(station: Station, session: Session, user_id: int, actor: Actor) -> None:
    """Count a failed login, and lock the user at the fifth."""
    user = session.get(UserRow, user_id)
    assert user is not None, "users are never deleted"
    user.failed_logins += 1
    if user.failed_logins >= MAX_FAILURES:
        user.failed_logins, user.locked_until = 0, utc_now() + LOCKED
    station.note(session, actor, "login.failed", f"site_user/{user_id}")


def opened(station: Station, request: Request, response: Response, user_id: int) -> Me:
    """Open a session for a user and set its cookie."""
    secret, csrf, now = new_secret(), new_secret(), utc_now()

    def change(session: Session) -> Me:
        user = session.get(UserRow, user_id)
        assert user is not None, "users are never deleted"
        user.failed_logins, user.locked_until = 0, None
        for old in session.scalars(select(SessionRow).where(SessionRow.expires_at <= now)):
            session.delete(old)
        session.add(
            SessionRow(
                secret_hash=digest(secret),
                user_id=user_id,
                csrf=csrf,
                created_at=now,
                expires_at=now + SESSION_LENGTH,
                last_used=now,
            )
        )
        station.note(session, Actor(user.name, address_of(request)), "login", f"site_user/{user_id}")
        return Me(name=user.name, role=user.role, csrf=csrf)

    known = station.write(change)
    response.set_cookie(
        COOKIE, secret, path="/", httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return known


def refuse_unknown_line(session: Session, line_id: int | None) -> None:
    """Raise ApiError for the number of a line that is not there."""
    if line_id is not None and session.get(LineRow, line_id) is None:
        raise not_found("line", line_id)
