"""The server's side of a LINE's socket: one request, one answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blemish.errors import BlemishError
from blemish.station.layout import LineFolder
from blemish.station.line.channel import connect


class LineAwayError(BlemishError):
    """The LINE process does not answer: it is not running, or it hangs."""


def ask(
    folder: LineFolder, request: Mapping[str, Any], *, body: bytes = b"", seconds: float = 5.0
) -> dict[str, Any]:
    """Answer of a line to a request. body: the bytes of an image that follow it

    Raises LineAwayError where there is none.
    """
    return asked(folder, request, body=body, seconds=seconds)[0]


def asked(
    folder: LineFolder, request: Mapping[str, Any], *, body: bytes = b"", seconds: float = 5.0
) -> tuple[dict[str, Any], bytes]:
    """Answer of a line, and the block of bytes behind it where the answer names one."""
    try:
        channel = connect(folder.socket, seconds=seconds)
        try:
            channel.send(request, body)
            answer = channel.read_message()
            if answer is None:
                raise LineAwayError(away(folder))
            return answer, channel.read_block(answer["bytes"]) if request["do"] == "picture" else b""
        finally:
            channel.close()
    except (BlemishError, OSError) as error:
        raise LineAwayError(away(folder)) from error


def away(folder: LineFolder) -> str:
    """Message on a line that does not answer."""
    return f"The line {folder.name} does not answer. Its process is starting or stopped; try again."
