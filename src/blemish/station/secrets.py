"""Secrets of a station: random keys in one file that its owner alone reads, made when first asked for."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.folder_lock import one_at_a_time
from blemish.untrusted import read_json

KEY_BYTES = 32


def secret(file: Path, name: str) -> bytes:
    """Secret of that name, 32 random bytes; made and kept in the file where there is none.

    Raises BlemishError for a file that others may read, or that holds anything else.
    """
    with one_at_a_time(file):
        known = stored(file)
        if name not in known:
            known[name] = secrets.token_hex(KEY_BYTES)
            before = os.umask(0o077)
            try:
                write_atomically(file, json.dumps(known, indent=1) + "\n")
            finally:
                os.umask(before)
        return bytes.fromhex(known[name])


def stored(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    if file.stat().st_mode & 0o077:
        raise BlemishError(f"{file} must be readable by its owner alone. Run: chmod 600 {file}")
    known = read_json(file)
    try:
        for value in known.values():
            bytes.fromhex(value)
    except (AttributeError, TypeError, ValueError):
        raise BlemishError(
            f"{file} must hold names and hexadecimal digits. Restore it from a backup."
        ) from None
    return dict(known)
