"""Tables of people and machines that log in, and of what they did."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from blemish.station.database.base import BigId, Numbered


class UserRow(Numbered):
    """A person. role: viewer, operator, engineer or admin; password_hash: argon2id"""

    __tablename__ = "site_user"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(256))
    role: Mapped[str] = mapped_column(String(16))
    active: Mapped[bool] = mapped_column(default=True)
    failed_logins: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class SessionRow(Numbered):
    """A login of a browser. secret_hash: SHA-256 of the cookie; csrf: what the header must repeat"""

    __tablename__ = "session"

    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used: Mapped[datetime]


class TokenRow(Numbered):
    """A machine's bearer token. line_id: the only line that it may use, None for all"""

    __tablename__ = "token"

    name: Mapped[str] = mapped_column(String(64))
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[int] = mapped_column(BigId, ForeignKey("site_user.id"), index=True)
    role: Mapped[str] = mapped_column(String(16))
    line_id: Mapped[int | None] = mapped_column(BigId, ForeignKey("line.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AuditRow(Numbered):
    """An action, append-only. hash: of this row's values and of the hash of the row before"""

    __tablename__ = "audit"

    at: Mapped[datetime]
    who: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(64))
    object: Mapped[str] = mapped_column(String(160), index=True)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]
    why: Mapped[str] = mapped_column(String(2000))
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))


class AuditHeadRow(Numbered):
    """The last audit row, sealed with the station's secret, so that a cut end of the chain shows."""

    __tablename__ = "audit_head"

    count: Mapped[int] = mapped_column(BigId)
    hash: Mapped[str] = mapped_column(String(64))
    seal: Mapped[str] = mapped_column(String(64))
