"""The server's side of a LINE's socket: one request, one answer; and the stream that follows its journal."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from typing import Any

from blemish.errors import BlemishError
from blemish.station.layout import LineFolder

MAX_LINE = 64 << 20


class LineAwayError(BlemishError):
    """The LINE process does not answer: it is not running, or it hangs."""


def ask(folder: LineFolder, request: Mapping[str, Any], *, body: bytes = b"", seconds: float = 5.0) -> Any:
    """Answer of a line to a request. body: the bytes of an image that follow it

    Raises LineAwayError where there is none.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(str(folder.socket))
            connection.sendall(json.dumps(request).encode() + b"\n" + body)
            with connection.makefile("rb") as answers:
                return json.loads(answers.readline(MAX_LINE))
    except (OSError, ValueError) as error:
        raise LineAwayError(
            f"The line {folder.name} does not answer. Its process is starting, stopped or busy; try again."
        ) from error


async def follow(folder: LineFolder) -> AsyncIterator[dict[str, Any]]:
    """Short forms of a line's records as they are written. Raises LineAwayError where the line ends."""
    try:
        reader, writer = await asyncio.open_unix_connection(str(folder.socket), limit=MAX_LINE)
    except OSError as error:
        raise LineAwayError(f"The line {folder.name} does not answer.") from error
    try:
        writer.write(b'{"do": "follow"}\n')
        await writer.drain()
        while line := await reader.readline():
            yield json.loads(line)
    except (OSError, ValueError) as error:
        raise LineAwayError(f"The line {folder.name} has ended.") from error
    finally:
        writer.close()
