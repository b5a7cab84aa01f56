"""The events of a line for whoever follows it: short forms of the journal's records, as they are written.

Nobody who follows holds the line up: one who reads too slowly misses events, and is told how many.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from threading import Condition, Lock
from typing import Any

from blemish.station.journal import Record

MAX_WAITING = 256  # events for one follower
MAX_DEFECTS = 200  # of an event
Event = Mapping[str, Any]


class Events:
    """Followers of a line."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.followers: set[Follower] = set()

    def publish(self, record: Record) -> None:
        """Tell every follower of a record."""
        with self.lock:
            followers = list(self.followers)
        if followers:
            event = short_form(record)
            for follower in followers:
                follower.add(event)

    def follow(self) -> Follower:
        """Begin to follow; the follower must be closed."""
        follower = Follower(self)
        with self.lock:
            self.followers.add(follower)
        return follower

    def close(self) -> None:
        """End every follower's events."""
        with self.lock:
            followers = list(self.followers)
        for follower in followers:
            follower.close()


class Follower:
    """Events for one who follows."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self.waiting: deque[Event] = deque()
        self.left_out = 0
        self.closed = False
        self.change = Condition()

    def add(self, event: Event) -> None:
        with self.change:
            if len(self.waiting) == MAX_WAITING:
                self.waiting.popleft()
                self.left_out += 1
            self.waiting.append(event)
            self.change.notify_all()

    def coming(self, seconds: float) -> Iterator[Event | None]:
        """Events as they come, and None after so many seconds without one, until the follower is closed."""
        while True:
            with self.change:
                self.change.wait_for(lambda: self.waiting or self.closed, seconds)
                if self.closed:
                    return
                left_out, self.left_out = self.left_out, 0
                event = self.waiting.popleft() if self.waiting else None
            if left_out:
                yield {"kind": "left_out", "events": left_out}
            yield event

    def close(self) -> None:
        with self.events.lock:
            self.events.followers.discard(self)
        with self.change:
            self.closed = True
            self.change.notify_all()


def short_form(record: Record) -> Event:
    """Short form of a record: of an inspection, what a live view shows; of any other, all but the chain."""
    if record["kind"] != "inspection":
        return {key: value for key, value in record.items() if key != "prev"}
    doc, image = record["doc"], record["image"]
    return {
        **{key: record[key] for key in ("n", "kind", "at", "seq", "serial", "lot", "bundle", "shadow")},
        "verdict": doc["verdict"],
        "score": doc["score"],
        "grade": doc.get("grade"),
        "error": doc["error"],
        "defects": [
            {key: defect[key] for key in ("label", "confidence", "box_xyxy", "contour")}
            for defect in doc["defects"][:MAX_DEFECTS]
        ],
        "num_defects": len(doc["defects"]),
        "image": {key: image[key] for key in ("sha256", "height", "width", "file")},
        "ms": record["ms"],
    }
