"""The LINE process: takes parts from a source and its socket, and inspects one after the other.

Settings, free space and the file that holds the line are watched; changes take effect between two parts.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import disk_usage
from threading import Event, Thread
from time import monotonic
from typing import Any

from blemish.errors import BlemishError
from blemish.station.journal import Journal, last_seq
from blemish.station.layout import LineFolder, StationFolder
from blemish.station.line.connections import Connections
from blemish.station.line.judging import PartJudge, decoded_part
from blemish.station.line.parts import Inbox, Part
from blemish.station.line.promotion import Bundles
from blemish.station.line.recorder import Recorder
from blemish.station.line.settings import FolderSource, LineSettings, read_settings
from blemish.station.secrets import secret
from blemish.station.sources.folder import FolderParts
from blemish.station.sources.items import ItemParts
from blemish.station.sources.taken import Taken
from blemish.threads import set_threads

LOOK_SECONDS = 1.0  # between looks at settings, hold and free space
IDLE_SECONDS = 0.1
SOURCE_RETRY_SECONDS = 5.0


class LineProcess:
    """One line at work. supervised: it ends with its standard input, the pipe of a supervisor

    Raises BlemishError for settings or a journal that cannot be read.
    """

    def __init__(self, station: StationFolder, folder: LineFolder, *, supervised: bool = False) -> None:
        self.station, self.folder, self.supervised = station, folder, supervised
        self.settings = read_settings(folder)
        self.settings_state = state_of(folder.settings)
        self.journal = Journal(folder.journal)
        self.taken = Taken.load(folder.taken, folder.journal)
        self.saved_segment = self.journal.place.segment
        self.stopping, self.look_again, self.source_over = Event(), Event(), Event()
        self.recorder = Recorder(
            station,
            self.journal,
            self.settings,
            seq=last_seq(folder.journal),
            key=secret(station.secrets, "draws"),
            taken=self.part_taken,
            ending=self.stopping,
        )
        self.inbox = Inbox()
        self.bundles = Bundles(station.root, self.recorder)
        self.source: FolderParts | ItemParts | None = None
        self.looked = 0.0

    def run(self) -> None:
        """Inspect parts until `stopping` is set."""
        set_threads()
        recorder = self.recorder
        recorder.thread.start()
        cut = self.journal.cut_bytes
        why = f"A line of {cut} bytes was cut off; it was never answered." if cut else ""
        recorder.note("state", state="starting", why=f"Process {os.getpid()} has begun. {why}".strip())
        self.look_at_hold()
        self.bundles.begin(self.settings)  # which holds the line, before anybody can ask
        connections = Connections(self, self.folder.socket)
        try:
            self.start_source()
            while not self.stopping.is_set():
                self.work()
        finally:
            self.end(connections)

    def work(self) -> None:
        """Look whether anything has changed, and inspect the next part if there is one."""
        if self.look_again.is_set() or monotonic() - self.looked >= LOOK_SECONDS:
            self.look_again.clear()
            self.looked = monotonic()
            self.look()
        self.bundles.follow(self.settings)
        if self.recorder.hold or self.bundles.judge is None:
            self.stopping.wait(IDLE_SECONDS)
        elif (part := self.inbox.take(IDLE_SECONDS)) is not None:
            self.inspect(part, self.bundles.judge)

    def inspect(self, part: Part, judge: PartJudge) -> None:
        """Inspect a part, and have it recorded and answered; then the shadow inspects it, too."""
        if part.waiter is not None and part.waiter.gave_up:
            return  # it is recorded as missed
        image = decoded_part(part)
        self.recorder.put(judge.judge(part, image))
        if self.bundles.shadow is not None:
            self.recorder.put(self.bundles.shadow.judge(part, image, shadow=True))

    def offer(self, part: Part) -> None:
        """Take a request in, or refuse it, and record that."""
        if self.stopping.is_set():
            self.recorder.refuse(part, "stopping", "The line stops.")
        elif self.recorder.hold:
            self.recorder.refuse(part, "hold", self.recorder.hold.why)
        elif not self.inbox.offer(part):
            self.recorder.refuse(part, "busy", "busy", retry_after=self.retry_after())

    def retry_after(self) -> float:
        """Seconds until there may be room for a request."""
        return round(max(0.01, 1e-3 * (self.recorder.rates.percentile_ms(0.5) or 1000.0)), 3)

    def status(self) -> dict[str, Any]:
        """State and figures, as the socket gives them."""
        recorder, judge, shadow = self.recorder, self.bundles.judge, self.bundles.shadow
        return {
            "state": "stopping" if self.stopping.is_set() else recorder.hold.state,
            "why": recorder.hold.why,
            "seq": recorder.seq,
            "n": self.journal.n,
            "bundle": judge.bundle if judge else None,
            "decision_revision": judge.used.decision if judge else None,
            "shadow": shadow.bundle if shadow else None,
            "revision": self.settings.revision,
            "parts_per_s": recorder.rates.parts_per_s,
            "p50_ms": recorder.rates.percentile_ms(0.5),
            "p99_ms": recorder.rates.percentile_ms(0.99),
            "queue": len(self.inbox),
            "missed": recorder.tally.missed,
            "pid": os.getpid(),
        }

    def look(self) -> None:
        """Look at the settings, at hold, at the free space, and whether the supervisor is there."""
        if self.supervised and select.select([0], [], [], 0)[0] and not os.read(0, 1):
            self.stopping.set()
        self.look_at_hold()
        self.look_at_space()
        state = state_of(self.folder.settings)
        if state != self.settings_state:
            self.settings_state = state
            self.take_settings()
        if self.recorder.hold:
            for part in self.inbox.drain_requests():
                self.recorder.refuse(part, "hold", self.recorder.hold.why)
        if self.journal.place.segment != self.saved_segment:
            self.save_taken()

    def look_at_hold(self) -> None:
        """Hold the line while there is a file that says so."""
        try:
            why = self.folder.hold.read_text(encoding="utf-8", errors="replace").strip()
            self.recorder.hold.set("operator", why or "On hold.")
        except FileNotFoundError:
            self.recorder.hold.clear("operator", "Resumed.")
        except OSError as error:
            self.recorder.hold.set("operator", f"{self.folder.hold} cannot be read: {error.strerror}.")

    def look_at_space(self) -> None:
        """Hold the line before the disk is too full for an image."""
        free_mb, min_mb = disk_usage(self.station.root).free / 1e6, self.settings.min_free_mb
        if free_mb < min_mb:
            why = f"The disk has {free_mb:.0f} MB free, and must have {min_mb}. Free some space."
            self.recorder.hold.set("space", why)
        else:
            self.recorder.hold.clear("space", f"The disk has {free_mb:.0f} MB free.")

    def take_settings(self) -> None:
        """Follow the settings that were written; those that cannot be read change nothing."""
        try:
            settings = read_settings(self.folder)
        except BlemishError as error:
            self.recorder.note("state", state=self.recorder.hold.state, why=f"Settings refused: {error}")
            return
        new_source = settings.source != self.settings.source
        self.settings = self.recorder.settings = settings
        self.bundles.refused.clear()
        if new_source:
            self.stop_source()
            self.start_source()

    def start_source(self) -> None:
        """Begin to take parts from the source of the settings."""
        if self.settings.source is not None:
            over = self.source_over = Event()
            Thread(target=self.feed, args=[self.settings, over], name="source", daemon=True).start()

    def stop_source(self) -> None:
        self.source_over.set()
        if self.source is not None:
            self.source.stop()

    def feed(self, settings: LineSettings, over: Event) -> None:
        """Take parts from a source until it is over: the thread's work. After a fault it is tried again."""
        told = ""
        while not over.is_set():
            try:
                self.source = source = self.source_of(settings)
                if over.is_set():
                    return
                for part in source.parts():
                    if not self.inbox.feed(part) or over.is_set():
                        return
                if not over.is_set():
                    self.note_source("The source has no more parts.")
                return
            except Exception as error:
                why = " ".join(str(error).split()) or type(error).__name__
                if why != told:
                    self.note_source(why)
                told = why
            over.wait(SOURCE_RETRY_SECONDS)

    def source_of(self, settings: LineSettings) -> FolderParts | ItemParts:
        source = settings.source
        assert source is not None, "a line without a source does not feed"
        if isinstance(source, FolderSource):
            return FolderParts(source, self.taken, missed=self.file_missed, note=self.note_source)
        return ItemParts(source, self.taken)

    def note_source(self, why: str) -> None:
        self.recorder.note("state", state=self.recorder.hold.state, why=f"Source: {why}")

    def file_missed(self, name: str, reason: str, why: str) -> None:
        self.recorder.note("missed", reason=reason, why=why, via="folder", name=name, serial=None, lot=None)

    def part_taken(self, part: Part) -> None:
        """Note a part of the source whose record is on the disk."""
        self.taken.add(part.origin)
        if part.recorded is not None:
            part.recorded(part)

    def save_taken(self) -> None:
        """Write down what was taken, so that a start need not read the whole journal."""
        place = self.journal.place
        if not self.recorder.wait_idle(1.0):  # what stands before the place is noted as taken
            return
        with suppress(BlemishError):  # it only saves time
            self.taken.save(self.folder.taken, place)
        self.saved_segment = place.segment

    def end(self, connections: Connections) -> None:
        """Answer who waits, write what was inspected, and close everything."""
        self.stopping.set()
        self.stop_source()
        for part in self.inbox.close():
            self.recorder.refuse(part, "stopping", "The line stops.")
        self.recorder.note("state", state="stopping", why=f"Process {os.getpid()} ends.")
        self.recorder.stop()
        self.save_taken()
        self.recorder.events.close()
        connections.close()
        self.bundles.close()
        self.journal.close()


def state_of(file: Path) -> tuple[int, int, int] | None:
    """State that tells a file that was written again; None where it is not there."""
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_ino, state.st_size, state.st_mtime_ns


def on_stop(line: LineProcess) -> Callable[..., None]:
    """Handler of a signal that ends the line."""
    return lambda *_: line.stopping.set()
