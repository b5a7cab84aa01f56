"""Frames of a connection, one after the other: Motion JPEG over HTTP, and what OpenCV reads.

No redirection of HTTP is followed and no proxy is used: nothing is connected to but the host that the user
has named. A JPEG is kept as bytes and decoded only if it is inspected.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from email.message import Message
from email.parser import BytesHeaderParser
from functools import partial
from http.client import HTTPException, HTTPResponse
from typing import Any, Protocol, cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlunsplit
from urllib.request import (
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    HTTPRedirectHandler,
    OpenerDirector,
    ProxyHandler,
    build_opener,
)

import cv2

from blemish.arrays import Pixels
from blemish.images.decode import read_image
from blemish.images.opening import EncodedImage
from blemish.inspector.live.address import CAMERA, camera_index, parsed, without_secrets

SECONDS = 10.0  # without an answer or a frame, after which a connection counts as lost
MAX_FRAME, MAX_LINE, MAX_HEADERS = 1 << 27, 1 << 16, 100
PORTS = {"rtsp": 554, "rtsps": 322}
# OpenCV and FFmpeg write to standard error by themselves; faults are told here, in one line.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

ReadPixels = Callable[[], Pixels]


class LostError(Exception):
    """A connection that could not be made, or has ended. Its text gives the reason, without secrets."""


class Reader(Protocol):
    """A connection that is open."""

    def read(self) -> ReadPixels:
        """Wait for the next frame; returns what decodes it. Raises LostError where there is none."""

    def close(self) -> None:
        """End the connection."""


def connect(address: str) -> Reader:
    """Connect to an address. Raises LostError where nothing answers, WrongUseError for one that is none."""
    if address.lower().startswith(CAMERA):
        return CaptureReader(camera_index(address), "no such camera, or another program uses it")
    parts = parsed(address)
    if parts.scheme.lower() in ("http", "https"):
        return MjpegReader(address)
    try:
        port = parts.port or PORTS[parts.scheme.lower()]
        socket.create_connection((parts.hostname, port), SECONDS).close()
    except (OSError, UnicodeError) as error:
        raise LostError(reason_of(error)) from error
    return CaptureReader(address, "no video at this path, or another user name or password")


def reason_of(error: BaseException) -> str:
    """Reason why a connection failed, in words."""
    if isinstance(error, HTTPError):
        if error.code in (401, 403):
            return f"the user name or password was refused, HTTP {error.code}"
        moved = ", which leads to another address; name that" if 300 <= error.code < 400 else ""
        return f"HTTP {error.code}{moved}"
    if isinstance(error, URLError) and isinstance(error.reason, BaseException):
        return reason_of(error.reason)
    if isinstance(error, UnicodeError):
        return "no such host or path can be asked for"
    if isinstance(error, TimeoutError):
        return f"no answer for {SECONDS:.0f} s"
    return getattr(error, "strerror", None) or type(error).__name__


# Motion JPEG


class NoRedirect(HTTPRedirectHandler):
    """Makes an error of a redirection."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class MjpegReader:
    """Motion JPEG over HTTP: a response of parts, each a JPEG."""

    def __init__(self, address: str) -> None:
        self.name = without_secrets(address)
        try:
            self.response = cast(
                HTTPResponse, self.opener(address).open(self.plain(address), timeout=SECONDS)
            )
        except (OSError, HTTPException, ValueError) as error:
            raise LostError(reason_of(error)) from None  # whose text may hold the password
        kind, boundary = self.response.headers.get_content_type(), self.response.headers.get_boundary()
        if kind != "multipart/x-mixed-replace" or not boundary:
            self.close()
            raise LostError(f"it sends {kind} in place of Motion JPEG, multipart/x-mixed-replace")
        self.boundary = b"--" + boundary.encode("latin-1").removeprefix(b"--")

    @staticmethod
    def plain(address: str) -> str:
        """Address without user and password, as it is asked for."""
        parts = parsed(address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))

    def opener(self, address: str) -> OpenerDirector:
        parts, passwords = parsed(address), HTTPPasswordMgrWithDefaultRealm()
        if parts.username is not None:
            user, password = unquote(parts.username), unquote(parts.password or "")
            passwords.add_password(None, self.plain(address), user, password)
        signing_in = HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords)
        return build_opener(ProxyHandler({}), NoRedirect(), *signing_in)

    def read(self) -> ReadPixels:
        try:
            while not (line := self.line()).startswith(self.boundary):
                pass
            if line.startswith(self.boundary + b"--"):
                raise LostError("the stream has ended")
            length = self.headers().get("Content-Length", "")
            data = self.exactly(int(length)) if length.isdigit() else self.to_boundary()
        except (OSError, HTTPException, ValueError) as error:
            raise LostError(reason_of(error)) from error
        return partial(frame_pixels, data, self.name)

    def line(self) -> bytes:
        line = self.response.readline(MAX_LINE)
        if not line:
            raise LostError("the stream has ended")
        return line

    def headers(self) -> Message:
        lines = []
        while (line := self.line()).strip():
            lines.append(line)
            if len(lines) > MAX_HEADERS:
                raise LostError("a part of the stream has headers without end")
        return BytesHeaderParser().parsebytes(b"".join(lines))

    def exactly(self, length: int) -> bytes:
        if length > MAX_FRAME:
            raise LostError(f"a frame of {length} bytes is too large")
        data = self.response.read(length)
        if len(data) < length:
            raise LostError("the stream has ended within a frame")
        return data

    def to_boundary(self) -> bytes:
        """Content up to the end mark of a JPEG, of a server that does not tell its length."""
        data = bytearray()
        while not data.rstrip(b"\r\n").endswith(b"\xff\xd9"):
            data += self.line()
            if len(data) > MAX_FRAME:
                raise LostError(f"a frame of more than {MAX_FRAME} bytes is too large")
        return bytes(data)

    def close(self) -> None:
        self.response.close()


def frame_pixels(data: bytes, name: str) -> Pixels:
    """Pixels of a frame, [H, W] or [H, W, 3]. Raises BlemishError for a damaged one."""
    return read_image(EncodedImage(data, f"{name}: a frame"))


# OpenCV


class CaptureReader:
    """A camera by its number, or a stream that FFmpeg reads. lack: reason where it cannot be opened"""

    def __init__(self, source: int | str, lack: str) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        if isinstance(source, int):
            self.capture = cv2.VideoCapture(source)
            self.capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        else:
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * int(SECONDS)]
            limits += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * int(SECONDS)]
            self.capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, limits)
        if not self.capture.isOpened():
            raise LostError(lack)

    def read(self) -> ReadPixels:
        found, frame = self.capture.read()
        if not found or frame is None:
            raise LostError(f"no frame for {SECONDS:.0f} s, or the stream has ended")
        pixels: Pixels = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) if frame.ndim == 3 else frame
        return lambda: pixels

    def close(self) -> None:
        self.capture.release()
