"""Parts on their way to the inspector: what is known of each, who waits for it, and how many may wait."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from time import monotonic
from typing import Any

from blemish.inspector.sources import Item

MAX_REQUESTS = 8  # that wait; the next is refused as busy
PARTS_AHEAD = 2  # of a source, read while the inspector is busy
Reply = Mapping[str, Any]


class Waiter:
    """Somebody who waits for the answer to a part, for so long at most."""

    def __init__(self) -> None:
        self.change = Condition()
        self.reply: Reply | None = None
        self.gave_up = False

    def answer(self, reply: Reply) -> bool:
        """Hand over the answer; False where nobody waits for it any longer, or another one was first."""
        with self.change:
            if self.gave_up or self.reply is not None:
                return False
            self.reply = reply
            self.change.notify_all()
            return True

    def wait(self, seconds: float | None) -> Reply | None:
        """Answer, or None after so many seconds: from then on nobody waits. seconds: None has no end"""
        with self.change:
            self.change.wait_for(lambda: self.reply is not None, seconds)
            self.gave_up = self.reply is None
            return self.reply


@dataclass(frozen=True, eq=False)
class Part:
    """An image to be inspected, and what is known of the part on it.

    origin: where it came from, as the journal has it; via: "request" or the kind of the source
    content: bytes of the image's file as received; None for a frame or a page, which is kept as PNG
    decode_ms: of an item whose pixels were decoded before; received: by the monotonic clock
    recorded: called with the part of a source once its record is on the disk
    """

    item: Item
    via: str
    serial: str | None = None
    lot: str | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    content: bytes | None = field(default=None, repr=False)
    decode_ms: float | None = None
    waiter: Waiter | None = field(default=None, repr=False)
    recorded: Callable[[Part], None] | None = field(default=None, repr=False)
    received: float = field(default_factory=monotonic)


class Inbox:
    """Parts that wait for the inspector: some requests, the next of which is refused, and few of the source.

    Requests and source take turns where both have parts.
    """

    def __init__(self, *, max_requests: int = MAX_REQUESTS, ahead: int = PARTS_AHEAD) -> None:
        self.max_requests, self.ahead = max_requests, ahead
        self.requests: deque[Part] = deque()
        self.sourced: deque[Part] = deque()
        self.change = Condition()
        self.closed = self.requested_last = False

    def __len__(self) -> int:
        return len(self.requests) + len(self.sourced)

    def offer(self, part: Part) -> bool:
        """Take a request in; False where too many wait, or none is taken any more."""
        with self.change:
            if self.closed or len(self.requests) >= self.max_requests:
                return False
            self.requests.append(part)
            self.change.notify_all()
            return True

    def feed(self, part: Part) -> bool:
        """Take a part of the source in as soon as there is room; False where none is taken any more."""
        with self.change:
            self.change.wait_for(lambda: self.closed or len(self.sourced) < self.ahead)
            if self.closed:
                return False
            self.sourced.append(part)
            self.change.notify_all()
            return True

    def take(self, seconds: float) -> Part | None:
        """Next part, or None where none comes within so many seconds."""
        with self.change:
            if not self.change.wait_for(lambda: self.requests or self.sourced, seconds):
                return None
            self.requested_last = bool(self.requests) and not (self.sourced and self.requested_last)
            part = (self.requests if self.requested_last else self.sourced).popleft()
            self.change.notify_all()
            return part

    def drain_requests(self) -> list[Part]:
        """Take out every request that waits."""
        with self.change:
            waiting = list(self.requests)
            self.requests.clear()
            return waiting

    def close(self) -> list[Part]:
        """Take nothing in any more; returns the requests that still wait."""
        with self.change:
            self.closed = True
            self.sourced.clear()
            self.change.notify_all()
        return self.drain_requests()
