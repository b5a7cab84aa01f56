"""The socket of a LINE process: requests to inspect, the state, pictures for a live view, and events.

Each connection has a thread. No request goes without an answer, and one that is not inspected is recorded as
missed: the line is busy or on hold, the deadline has passed, or the process ends.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any

import cv2

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import read_image, to_bytes
from blemish.images.opening import EncodedImage
from blemish.inspector.sources import Item
from blemish.station.line.channel import Channel, ChannelClosedError, listen
from blemish.station.line.parts import Part, Waiter
from blemish.station.line.recorder import refusal

if TYPE_CHECKING:
    from blemish.station.line.process import LineProcess

MAX_CONNECTIONS = 32
MAX_IMAGE_BYTES = 1 << 28
MAX_NAME = 1024  # characters of a name, serial number or lot
BLOCK_SECONDS = 30  # for the bytes of an image, and for whoever takes an answer
ALIVE_SECONDS = 5.0  # between signs of life to who follows
PICTURE_SIDE = 1280
JPEG_QUALITY = 85
Message = dict[str, Any]


class Connections:
    """Threads that answer on a line's socket. Raises OSError where the socket cannot be made"""

    def __init__(self, line: LineProcess, path: Path) -> None:
        self.line, self.path = line, path
        self.listening = listen(path)
        self.free = BoundedSemaphore(MAX_CONNECTIONS)
        self.channels: set[Channel] = set()
        self.thread = Thread(target=self.accept, name="socket", daemon=True)
        self.thread.start()

    def close(self) -> None:
        """End every connection."""
        with suppress(OSError):
            self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.path.unlink(missing_ok=True)
        for channel in list(self.channels):
            channel.close()

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            # Whoever asks and does not take the answer must not keep a thread for ever.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", BLOCK_SECONDS, 0))
            channel = Channel(connection)
            if not self.free.acquire(blocking=False):
                with suppress(ChannelClosedError):
                    channel.send(refusal("too many connections", retry_after=1.0))
                channel.close()
                continue
            self.channels.add(channel)
            Thread(target=self.serve, args=[channel], daemon=True).start()

    def serve(self, channel: Channel) -> None:
        """Answer one connection until it ends."""
        try:
            while (message := channel.read_message()) is not None:
                self.answer(channel, message)
        except ChannelClosedError:
            pass
        except (BlemishError, OSError) as error:  # what follows on the connection has no meaning
            with suppress(ChannelClosedError):
                channel.send(refusal(str(error)))
        finally:
            self.channels.discard(channel)
            channel.close()
            self.free.release()

    def answer(self, channel: Channel, message: Message) -> None:
        """Do what a message asks for. Raises BlemishError where the connection must end."""
        actions: dict[str, Callable[[Channel, Message], None]] = {
            "inspect": self.inspect,
            "status": self.status,
            "hold": self.hold,
            "resume": self.resume,
            "reload": self.reload,
            "picture": self.picture,
            "follow": self.follow,
        }
        action = actions.get(str(message.get("do")))
        if action is None:
            raise BlemishError(
                f"'do' must be one of {', '.join(actions)}. Received: {message.get('do')!r:.100}."
            )
        action(channel, message)

    def inspect(self, channel: Channel, message: Message) -> None:
        """Inspect an image whose bytes follow."""
        received, line = monotonic(), self.line
        size = message.get("bytes")
        if type(size) is not int or not 0 < size <= MAX_IMAGE_BYTES:
            raise BlemishError(f"'bytes' must be in 1 … {MAX_IMAGE_BYTES}. Received: {size!r:.100}.")
        serial, lot, name = (text_of(message, key) for key in ("serial", "lot", "name"))
        channel.connection.settimeout(BLOCK_SECONDS)
        content = channel.read_block(size)
        channel.connection.settimeout(None)
        waiter = Waiter()
        part = Part(
            request_item(content, name or serial or "request"),
            "request",
            serial=serial,
            lot=lot,
            content=content,
            waiter=waiter,
            received=received,
        )
        line.offer(part)
        deadline_ms = line.settings.deadline_ms
        left = None if deadline_ms is None else max(0.0, received + 1e-3 * deadline_ms - monotonic())
        reply = waiter.wait(left)
        if reply is None:
            why = f"No answer within the deadline of {deadline_ms} ms."
            line.recorder.missed(part, "deadline", why)
            reply = refusal(why)
        channel.send(reply)
        if "seq" in reply:
            ms = round(1e3 * (monotonic() - received), 3)
            line.recorder.note("answered", seq=reply["seq"], via="request", ms=ms)

    def status(self, channel: Channel, message: Message) -> None:
        channel.send(self.line.status())

    def hold(self, channel: Channel, message: Message) -> None:
        self.line.folder.hold.write_text(text_of(message, "why") or "On hold.", encoding="utf-8")
        self.line.look_at_hold()
        channel.send(self.line.status())

    def resume(self, channel: Channel, message: Message) -> None:
        self.line.folder.hold.unlink(missing_ok=True)
        self.line.look_at_hold()
        channel.send(self.line.status())

    def reload(self, channel: Channel, message: Message) -> None:
        self.line.look_again.set()
        channel.send(self.line.status())

    def picture(self, channel: Channel, message: Message) -> None:
        """Send the last part as a JPEG, which is encoded in this thread, for whoever looks alone."""
        side, latest = message.get("max", PICTURE_SIDE), self.line.recorder.latest
        if type(side) is not int or not 16 <= side <= 4096:
            raise BlemishError(f"'max' must be in 16 … 4096. Received: {side!r:.100}.")
        pixels = latest[1].pixels if latest else None
        if latest is None or pixels is None:
            channel.send({"seq": latest[0]["seq"] if latest else None, "bytes": 0})
            return
        data, scale = jpeg(pixels, side)
        channel.send({"seq": latest[0]["seq"], "scale": scale, "bytes": len(data)}, data)

    def follow(self, channel: Channel, message: Message) -> None:
        """Send events until the other end has enough."""
        follower = self.line.recorder.events.follow()
        try:
            channel.send({"kind": "alive", **self.line.status()})
            for event in follower.coming(ALIVE_SECONDS):
                channel.send({"kind": "alive", **self.line.status()} if event is None else event)
        finally:
            follower.close()


def text_of(message: Message, key: str) -> str | None:
    """Text of a message, kept as it is; None without one. Raises BlemishError for anything else."""
    text = message.get(key)
    if text is not None and not (isinstance(text, str) and len(text) <= MAX_NAME):
        raise BlemishError(
            f"'{key}' must be a text of at most {MAX_NAME} characters. Received: {text!r:.100}."
        )
    return text or None


def request_item(content: bytes, name: str) -> Item:
    """Item of an image's bytes."""
    return Item(
        name,
        name,
        partial(read_image, EncodedImage(content, name)),
        digest=lambda: hashlib.sha256(content).hexdigest(),
    )


def jpeg(pixels: Pixels, side: int) -> tuple[bytes, float]:
    """JPEG of an image whose longer side is at most so many pixels, and its scale in (0, 1]."""
    scale = min(1.0, side / max(pixels.shape[:2]))
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shown = to_bytes(pixels)
    stored = shown if shown.ndim == 2 else cv2.cvtColor(shown, cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return bytes(data.tobytes()), scale
