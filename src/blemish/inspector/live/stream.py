"""Frames of a stream or a camera as items: always the newest, with an account of all others.

A thread reads every frame as it comes. One that nobody has taken when the next comes is dropped and counted.
A connection that is lost is made again, at longer and longer intervals; one that is lost again at once does
not count as back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Condition, Thread
from time import monotonic

from blemish.errors import BlemishError
from blemish.inspector.live.address import without_secrets
from blemish.inspector.live.readers import LostError, Reader, ReadPixels, connect
from blemish.inspector.live.source import Ending, Losses
from blemish.inspector.sources import Item, Note

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a connection is made again, doubled each time
STEADY_SECONDS = 5.0  # after which a connection that was made again counts as back
JOIN_SECONDS = 1.0
UNFIT = re.compile(r"[^\w.-]+")


@dataclass
class FrameCounts:
    """Frames received, and what became of them: received = taken + dropped + skipped.

    dropped: as a newer one came before they could be inspected; skipped: by --every
    interruptions, seconds_lost: of the connection; missed: frames that would have come meanwhile, estimated
        by the rate before
    """

    received: int = 0
    taken: int = 0
    dropped: int = 0
    skipped: int = 0
    interruptions: int = 0
    seconds_lost: float = 0.0
    missed: int = 0


class LiveStream:
    """A `LiveSource` of the frames of an address. every: n, for every n-th frame that is received"""

    def __init__(
        self,
        address: str,
        *,
        every: int = 1,
        ending: Ending,
        note: Note,
        connecting: Callable[[str], Reader] = connect,
    ) -> None:
        self.address, self.every, self.ending, self.note = address, every, ending, note
        self.connecting = connecting
        self.name = without_secrets(address)
        self.counts = FrameCounts()
        self.change = Condition()
        self.newest: tuple[int, ReadPixels] | None = None
        self.reader: Reader | None = None
        self.thread: Thread | None = None
        self.closed = False
        self.fault: BaseException | None = None
        self.since = 0.0  # time at which the connection was asked for, as frames may wait from then on
        self.connected_seconds = 0.0
        self.pause = FIRST_PAUSE
        self.away: float | None = None  # seconds without a connection, until it is back and that is told

    def open(self) -> None:
        """Connect for the first time. Raises BlemishError where nothing answers."""
        self.since = monotonic()
        try:
            self.reader = self.connecting(self.address)
        except LostError as error:
            raise BlemishError(
                f"{self.name} cannot be opened: {error}. Check the address, and that it sends video."
            ) from None
        self.ending.begin()
        self.thread = Thread(target=self.run, daemon=True)
        self.thread.start()

    def items(self) -> Iterator[Item]:
        while not self.ending.reached(self.counts.taken):
            with self.change:
                self.change.wait_for(
                    lambda: self.newest or self.closed or self.fault, timeout=self.ending.seconds_left
                )
                if self.fault is not None:
                    raise self.fault
                if self.newest is None:
                    continue
                (number, read), self.newest = self.newest, None
                self.counts.taken += 1
            stem = f"{UNFIT.sub('_', self.name).strip('._')}__{number:06d}"
            yield Item(f"{self.name}#{number:06d}", stem, read)
        self.stop()

    def stop(self) -> None:
        self.ending.stopped.set()
        with self.change:
            if not self.closed and self.newest is not None:
                self.counts.dropped += 1
                self.newest = None
            self.closed = True
            self.change.notify_all()
        if self.thread is not None:
            self.thread.join(JOIN_SECONDS)  # it may be waiting for a frame that does not come

    def run(self) -> None:
        """Read frames until the source is stopped: the thread's work. A fault is left to `items`."""
        try:
            self.read_on()
        except BaseException as error:
            with self.change:
                self.fault = error
                self.change.notify_all()

    def read_on(self) -> None:
        """Read frames, and connect again where the connection is lost, until the source is stopped."""
        reader, last = self.reader, monotonic()
        while reader is not None and not self.closed:
            try:
                read = reader.read()
            except LostError as error:
                reader.close()
                self.connected_seconds += last - self.since
                reader, last = self.connected_again(str(error), last), monotonic()
                continue
            last = monotonic()
            self.tell_back(last)
            self.offer(read)
        if reader is not None:
            reader.close()

    def tell_back(self, now: float) -> None:
        """Tell that a connection is back once it is steady."""
        if self.away is not None and now - self.since >= STEADY_SECONDS:
            self.note(f"{self.name}: back after {self.away:.1f} s.")
            self.away = None

    def offer(self, read: ReadPixels) -> None:
        """Make a frame the newest one."""
        with self.change:
            if self.closed:
                return
            number = self.counts.received
            self.counts.received += 1
            if number % self.every:
                self.counts.skipped += 1
                return
            self.counts.dropped += self.newest is not None
            self.newest = number, read
            self.change.notify_all()

    def connected_again(self, reason: str, last: float) -> Reader | None:
        """Connect again after a pause, as often as it takes; None where the source was stopped meanwhile.

        last: time of the last frame
        """
        if self.closed:
            return None
        self.counts.interruptions += 1
        again = self.away is not None
        self.pause = min(2 * self.pause, LONGEST_PAUSE) if again else FIRST_PAUSE
        when = f"again in {self.pause:g} s" if again else "again"
        self.note(f"{self.name}: lost{' again' if again else ''}, {reason}. Connecting {when}.")
        reader = None
        while reader is None and not self.closed:
            self.ending.wait(self.pause)
            if self.ending.stopped.is_set() or self.ending.seconds_left == 0:
                break
            self.since = monotonic()
            try:
                reader = self.connecting(self.address)
            except LostError:
                self.pause = min(2 * self.pause, LONGEST_PAUSE)
        self.away = monotonic() - last
        rate = self.counts.received / self.connected_seconds if self.connected_seconds > 0 else 0.0
        self.counts.seconds_lost += self.away
        self.counts.missed += round(self.away * rate)
        return reader

    def losses(self, judged: int) -> Losses:
        counts = self.counts
        unfinished = counts.taken - judged
        parts = [
            f"{counts.received} frames received, {judged} inspected, {counts.dropped} dropped for newer ones"
        ]
        if counts.skipped:
            parts.append(f"{counts.skipped} skipped by --every")
        if unfinished:
            parts.append(f"{unfinished} not finished at the end")
        if counts.interruptions:
            times = "once" if counts.interruptions == 1 else f"{counts.interruptions} times"
            about = f", about {counts.missed} frames" if counts.missed else ""
            parts.append(f"connection lost {times}, for {counts.seconds_lost:.1f} s in all{about}")
        return Losses(
            f"{self.name}: {', '.join(parts)}",
            {
                "source": self.name,
                "received": counts.received,
                "dropped": counts.dropped,
                "skipped": counts.skipped,
                "unfinished": unfinished,
                "interruptions": counts.interruptions,
                "seconds_lost": round(counts.seconds_lost, 1),
                "frames_lost_estimate": counts.missed,
            },
        )
