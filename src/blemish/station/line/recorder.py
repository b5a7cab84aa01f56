"""The record before the answer: images and journal onto the disk, and only then is anybody told.

Work goes on in a thread of its own. Inspections that wait together are written together, and one flush to the
disk serves them all. Where the disk is full, the line is on hold: who asked is told ERROR, and what a source
gave waits here until it can be written.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Condition, Event, RLock, Thread
from time import monotonic
from typing import Any

from blemish.errors import BlemishError
from blemish.inspection import Verdict
from blemish.station.journal import Journal, JournalWriteError, Record
from blemish.station.layout import StationFolder
from blemish.station.line.events import Events
from blemish.station.line.hold import Hold
from blemish.station.line.images import draw, frame_file, keep_image, reason_to_keep
from blemish.station.line.judging import Judgement
from blemish.station.line.parts import Part, Reply
from blemish.station.line.rates import Rates
from blemish.station.line.settings import LineSettings

MAX_JUDGED = 8  # inspections that wait to be written
RETRY_SECONDS = 1.0  # between tries on a full disk
SYNC_SECONDS = 0.5  # at the latest a record that nobody waits for is on the disk
MAX_UNWRITTEN = 1000  # records that wait for the disk; more are counted


@dataclass
class Tally:
    """Numbers since the start of the process. unrecorded: records that a full disk has not taken yet"""

    missed: int = 0
    unrecorded: int = 0


class Recorder:
    """Writer of a line's record.

    settings: of the moment, which the line replaces; key: of the draws
    taken: called with each part of a source whose record is on the disk
    ending: set when the line is to end; what a full disk does not take is then left to the source
    """

    def __init__(
        self,
        station: StationFolder,
        journal: Journal,
        settings: LineSettings,
        *,
        seq: int,
        key: bytes,
        taken: Callable[[Part], None],
        ending: Event,
    ) -> None:
        self.station, self.journal, self.settings = station, journal, settings
        self.seq, self.key, self.taken, self.ending = seq, key, taken, ending
        self.events, self.rates, self.tally = Events(), Rates(), Tally()
        self.hold = Hold(lambda state, why: self.note("state", state=state, why=why))
        self.judged: deque[Judgement] = deque()
        self.unwritten: deque[tuple[str, dict[str, Any]]] = deque()
        self.notes = RLock()  # around what is unwritten
        self.change, self.stopping = Condition(), Event()
        self.busy = self.unsynced = False
        self.last_image: dict[str, Any] = {}
        self.latest: tuple[Record, Judgement] | None = None
        self.thread = Thread(target=self.run, name="recorder", daemon=True)

    def put(self, judgement: Judgement) -> None:
        """Hand an inspection over, as soon as there is room; refuse it where the line ends on a full disk."""
        with self.change:
            while not self.change.wait_for(lambda: len(self.judged) < MAX_JUDGED, RETRY_SECONDS):
                if self.ending.is_set():
                    self.refuse(judgement.part, "stopping", "The line stops.")
                    return
            self.judged.append(judgement)
            self.change.notify_all()

    def note(self, kind: str, **fields: Any) -> None:
        """Write a record that nobody waits for; where the disk is full, later."""
        with self.notes:
            self.tally.missed += kind == "missed"
            try:
                self.flush_unwritten()
                self.events.publish(self.journal.append(kind, durable=False, **fields))
                self.unsynced = True
            except JournalWriteError:
                if len(self.unwritten) < MAX_UNWRITTEN:
                    self.unwritten.append((kind, fields))
                else:
                    self.tally.unrecorded += 1

    def stop(self) -> None:
        """Write what waits, as far as the disk takes it, and end."""
        with self.change:
            self.stopping.set()
            self.change.notify_all()
        if self.thread.ident is not None:
            self.thread.join()

    def run(self) -> None:
        """Write until `stop` is called: the thread's work."""
        while True:
            with self.change:
                self.change.wait_for(lambda: self.judged or self.stopping.is_set(), SYNC_SECONDS)
                batch = list(self.judged)
                self.judged.clear()
                self.busy = bool(batch)
                self.change.notify_all()
            if batch:
                self.record(deque(batch))
            elif self.unsynced:
                self.unsynced = False
                self.retried(self.journal.sync)
            with self.change:
                self.busy = False
                self.change.notify_all()
            if self.stopping.is_set() and not self.judged:
                return

    def wait_idle(self, seconds: float) -> bool:
        """Wait until everything that was handed over is written; False where that takes longer."""
        with self.change:
            return self.change.wait_for(lambda: not (self.judged or self.busy), seconds)

    def record(self, waiting: deque[Judgement]) -> None:
        """Write inspections, have them on the disk, and answer; on a full disk, try until it takes them."""
        while waiting:
            written: list[tuple[Judgement, Record]] = []
            full: BlemishError | None = None
            try:
                self.flush_unwritten()
                while waiting:
                    written.append((waiting[0], self.append(waiting[0])))
                    waiting.popleft()
            except BlemishError as error:
                full = error
            if written and not self.retried(self.journal.sync, [each for each, _ in written]):
                return
            for judgement, record in written:
                self.answer(judgement, record)
            if full is not None:
                self.wait_for_space(waiting, full)
                if self.stopping.is_set():
                    return
        if self.hold.reasons.get("disk") and self.retried(self.flush_unwritten):
            self.hold.clear("disk", "The disk takes records again.")

    def append(self, judgement: Judgement) -> Record:
        """Write the image, where it is kept, and the record of an inspection. Raises BlemishError"""
        settings, part, doc, seq = self.settings, judgement.part, judgement.doc, self.seq + 1
        audit = (
            not judgement.shadow
            and judgement.verdict is Verdict.OK
            and draw(self.key, "audit", settings.name, seq) < settings.audit_share
        )
        image = self.last_image if judgement.shadow else self.image_of(judgement, seq, audit=audit)
        runtime = judgement.used.runtime
        record = self.journal.append(
            "inspection",
            durable=False,
            seq=seq,
            serial=part.serial,
            lot=part.lot,
            image=image,
            bundle=judgement.inspection.bundle,
            decision_revision=judgement.used.decision,
            runtime={
                "blemish": doc["software"],
                "runtime": f"{runtime['name']} {runtime['version']}",
                "threads": runtime["threads"],
                "processor": runtime["processor"],
            },
            shadow=judgement.shadow,
            audit=audit,
            ms={"decode": round(judgement.decode_ms, 3), "inspect": round(judgement.inspect_ms, 3)},
            source={"via": part.via, **part.origin},
            settings_revision=settings.revision,
            doc=doc,
        )
        self.seq, self.last_image = seq, image
        return record

    def image_of(self, judgement: Judgement, seq: int, *, audit: bool) -> dict[str, Any]:
        """Facts on a part's image, which is stored where the rules keep it. Raises BlemishError"""
        pixels, content = judgement.pixels, judgement.part.content
        drawn = draw(self.key, "keep", self.settings.name, seq)
        because = reason_to_keep(self.settings.keep, judgement.verdict, audit=audit, drawn=drawn)
        if content is None and pixels is None:
            because = None  # a frame that cannot be decoded has nothing to keep
        facts = {
            "sha256": judgement.image_sha256 if content is not None else None,
            "pixels_sha256": judgement.pixels_sha256,
            "height": None if pixels is None else pixels.shape[0],
            "width": None if pixels is None else pixels.shape[1],
            "channels": None if pixels is None else (1 if pixels.ndim == 2 else pixels.shape[2]),
            "dtype": None if pixels is None else str(pixels.dtype),
            "bytes": None if content is None else len(content),
            "file": None,
            "kept_because": because,
        }
        if because is None:
            return facts
        if content is None:
            assert pixels is not None, "a frame that cannot be decoded is not kept"
            content = frame_file(pixels)
        kept = keep_image(self.station, content)
        return {**facts, "sha256": kept.sha256, "bytes": kept.bytes, "file": kept.file}

    def answer(self, judgement: Judgement, record: Record) -> None:
        """Tell whoever waits for a recorded inspection, and whoever follows."""
        part, ms = judgement.part, 1e3 * (monotonic() - judgement.part.received)
        self.events.publish(record)
        if judgement.shadow:
            return
        self.rates.add(ms)
        self.latest = record, judgement
        if part.waiter is not None:
            part.waiter.answer(reply_of(record, ms, review_is_ng=self.settings.review_is_ng))
        else:
            self.note("answered", seq=record["seq"], via=part.via, ms=round(ms, 3))
            self.taken(part)

    def retried(self, work: Callable[[], None], of: list[Judgement] | None = None) -> bool:
        """Do it until the disk lets it be done; False where the line stops before. of: what waits for it"""
        while True:
            try:
                work()
                return True
            except JournalWriteError as error:
                full = error
            self.wait_for_space(deque(of or ()), full)
            if self.stopping.is_set():
                return False

    def wait_for_space(self, waiting: deque[Judgement], full: BlemishError) -> None:
        """Hold the line for a while; requests among what waits are told ERROR, and wait no longer."""
        self.hold.set("disk", str(full))
        for judgement in [each for each in waiting if each.part.waiter is not None]:
            waiting.remove(judgement)
            self.refuse(judgement.part, "disk", str(full))
        self.stopping.wait(RETRY_SECONDS)

    def refuse(self, part: Part, reason: str, why: str, **more: Any) -> None:
        """Record a request as missed, and answer it with ERROR. more: of the answer"""
        if part.waiter is not None and part.waiter.answer(refusal(why, **more)):
            self.missed(part, reason, why)

    def missed(self, part: Part, reason: str, why: str) -> None:
        """Record a part that nobody has inspected in time. reason: one word; why: a sentence"""
        self.note(
            "missed",
            reason=reason,
            why=why,
            via=part.via,
            name=part.item.name,
            serial=part.serial,
            lot=part.lot,
        )

    def flush_unwritten(self) -> None:
        """Write records that have waited for the disk. Raises JournalWriteError"""
        with self.notes:
            while self.unwritten:
                kind, fields = self.unwritten[0]
                self.events.publish(self.journal.append(kind, durable=False, **fields))
                self.unwritten.popleft()
            if self.tally.unrecorded:
                why = "Parts that were refused while the disk was full."
                self.journal.append(
                    "missed", durable=False, reason="disk", why=why, count=self.tally.unrecorded
                )
                self.tally.unrecorded = 0


def reply_of(record: Record, ms: float, *, review_is_ng: bool) -> Reply:
    """Answer to a request. result: what a controller is told, OK or NG"""
    doc = record["doc"]
    verdict = Verdict(doc["verdict"])
    passes = verdict is Verdict.OK or (verdict is Verdict.REVIEW and not review_is_ng)
    return {
        "seq": record["seq"],
        "verdict": str(verdict),
        "result": "OK" if passes else "NG",
        **({"error": doc["error"]} if verdict is Verdict.ERROR else {}),
        "doc": doc,
        "ms": round(ms, 3),
    }


def refusal(why: str, **more: Any) -> Reply:
    """Answer to a request that is not inspected: an ERROR, which a controller takes for NG."""
    return {"error": why, "verdict": str(Verdict.ERROR), "result": "NG", **more}
