"""Messages of the LINE's socket: a line of JSON each, and behind some of them a block of bytes.

{"do": "inspect", "serial": "A7", "lot": null, "name": "a7.png", "bytes": 48211}\\n<48211 bytes>
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from blemish.errors import BlemishError

MAX_MESSAGE = 1 << 16  # bytes of a request's line
MAX_ANSWER = 1 << 28  # of an answer's line, which holds outlines
MAX_PATH = 100  # bytes of a socket's path that every system takes
BLOCK = 1 << 18


class ChannelClosedError(BlemishError):
    """The other end is gone."""


class Channel:
    """One end of a connection. longest: bytes of a line that is read"""

    def __init__(self, connection: socket.socket, *, longest: int = MAX_MESSAGE) -> None:
        self.connection, self.longest = connection, longest
        self.buffer = bytearray()

    def read_message(self) -> dict[str, Any] | None:
        """Next message; None at the end. Raises BlemishError for what is no JSON object, or is too long."""
        searched = 0
        while (end := self.buffer.find(b"\n", searched)) < 0:
            searched = len(self.buffer)
            if searched > self.longest:
                raise BlemishError(f"A message must have at most {self.longest} bytes. Received: more.")
            if not self.receive():
                return None
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise BlemishError("A message must be a JSON object on one line. Received: something else.")
        return message

    def read_block(self, size: int) -> bytes:
        """Block of so many bytes. Raises ChannelClosedError where the other end stops before."""
        while len(self.buffer) < size:
            if not self.receive():
                raise ChannelClosedError(f"A block must have {size} bytes. Received: {len(self.buffer)}.")
        block = bytes(self.buffer[:size])
        del self.buffer[:size]
        return block

    def receive(self) -> bool:
        try:
            data = self.connection.recv(BLOCK)
        except OSError:
            return False
        self.buffer += data
        return bool(data)

    def send(self, message: Mapping[str, Any], block: bytes = b"") -> None:
        """Send a message and a block. Raises ChannelClosedError where nobody takes them."""
        line = json.dumps(message, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        try:
            self.connection.sendall(line + block)
        except OSError as error:
            raise ChannelClosedError(f"The connection is lost: {error.strerror or error}.") from error

    def close(self) -> None:
        """End the connection, and whatever waits on it."""
        with suppress(OSError):  # the other end was first
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def listen(path: Path) -> socket.socket:
    """Socket that listens under a path, for the owner of the process alone. Raises OSError"""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)
        with_address(path, listening.bind)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.listen(16)
    return listening


def connect(path: Path, *, seconds: float | None = 10.0) -> Channel:
    """Channel to whoever listens under a path. seconds: for each answer; None waits without an end

    Raises BlemishError where nobody does.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(seconds)
    try:
        with_address(path, connection.connect)
    except OSError as error:
        connection.close()
        raise BlemishError(
            f"{path}: no line answers there ({error.strerror or error}). See that the station runs."
        ) from error
    return Channel(connection, longest=MAX_ANSWER)


def with_address(path: Path, use: Callable[[str], None]) -> None:
    """Call with the address of a socket's path: systems take some 100 bytes, and a folder may lie deeper."""
    address = str(path)
    if len(os.fsencode(address)) <= MAX_PATH:
        use(address)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        use(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
