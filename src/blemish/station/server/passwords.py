"""Passwords and secrets: argon2id for what people choose, SHA-256 for what the station draws."""

from __future__ import annotations

import hashlib
import secrets
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 10, 200
SECRET_BYTES = 32
hasher = PasswordHasher()  # argon2id, RFC 9106's low-memory parameters


def hash_password(password: str) -> str:
    """Hash of a password by argon2id, with its salt and parameters."""
    return hasher.hash(password)


def is_password(stored: str | None, password: str) -> bool:
    """True where a password is the stored one. stored: None for a user that is not there, in the same time"""
    try:
        right = hasher.verify(stored or dummy_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return right and stored is not None


@lru_cache
def dummy_hash() -> str:
    return hasher.hash(secrets.token_hex(16))


def new_secret(prefix: str = "") -> str:
    """Random secret of 256 bits as text for a cookie or a header."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def digest(secret: str) -> str:
    """SHA-256 of a secret that the station drew, which the database holds in its place."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
