"""Addresses of live sources, and how they are written without secrets."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from blemish.errors import WrongUseError

SCHEMES = ("rtsp", "rtsps", "http", "https")
CAMERA = "camera:"
LIVE = re.compile(rf"(?:{'|'.join(SCHEMES)})://|{CAMERA}", re.IGNORECASE)
VALUE = re.compile(r"=[^&/;]+")  # cameras take passwords as ?pwd=…, and some as /user=…&password=…


def is_live(text: str) -> bool:
    """True for the address of a stream or a camera, in place of a path."""
    return LIVE.match(text) is not None


def without_secrets(address: str) -> str:
    """Address without user, password and values: "rtsp://host:554/live?channel=…"."""
    if address.lower().startswith(CAMERA):
        return address
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    path, query = (VALUE.sub("=…", text) for text in (parts.path, parts.query))
    return urlunsplit((parts.scheme, host, path, query, ""))


def parsed(address: str) -> SplitResult:
    """Parts of a stream's address. Raises WrongUseError, without secrets, for one that has no host.

    An @ behind the host is refused, too, as what stands before it may be the rest of a password.
    """
    try:
        parts = urlsplit(address)
        behind = f"{parts.path}{parts.query}{parts.fragment}"
        if parts.hostname and parts.port != 0 and "@" not in behind:
            return parts
    except ValueError:  # whose text may hold the password
        pass
    raise WrongUseError(
        "An address must be such as rtsp://host:554/path or http://user:password@host/path, with a host and "
        "a port of 1 to 65535; write @, :, /, ? and # in a password as %40, %3A, %2F, %3F and %23, and @ "
        "behind the host as %40. Received: another form."
    )


def camera_index(address: str) -> int:
    """Number of a camera. Raises WrongUseError for none."""
    number = address[len(CAMERA) :]
    if not (number.isascii() and number.isdigit() and len(number) < 5):
        raise WrongUseError(
            f"A camera must be camera: and its number, such as camera:0. Received: {address}."
        )
    return int(number)
