"""Strips to a web, and its finished pieces to answers.

A strip that cannot be read, or does not fit the ones before it, is an ERROR answer; the web ends above it, as
nobody knows what lay there, and the next strip begins a new one, whose rows are counted on. So it is where
rows cannot be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import cast

from blemish.dataset.hashing import pixel_hash
from blemish.errors import BlemishError
from blemish.inspection import Inspection, failed
from blemish.inspector.chain import Judge
from blemish.inspector.input_check import reviewed
from blemish.inspector.inspector import BundleInspector, or_failed
from blemish.inspector.limits import time_limit
from blemish.inspector.line_scan.boxes import BoxScan
from blemish.inspector.line_scan.outlines import OutlineScan
from blemish.inspector.line_scan.rows import RowWindow
from blemish.inspector.line_scan.scan import Piece, Scan
from blemish.inspector.line_scan.strips import fitting, frames_of, piece_name
from blemish.inspector.line_scan.web_check import WebCheck
from blemish.inspector.pipeline import (
    IMAGES_AHEAD,
    Answer,
    Answers,
    Decoded,
    answers_of,
    decoded,
    digests_of,
    with_record,
)
from blemish.inspector.prefetch import Prefetcher, running
from blemish.inspector.sources import Item
from blemish.methods.capabilities import StreamsBoxes, StreamsMasks
from blemish.record import ImageDigests
from blemish.threads import set_threads

DEFAULT_MAX_ROWS = 8192


@dataclass(frozen=True)
class Web:
    """Options for judging strips as a web.

    name: of the web, in its answers
    frame_rows: of frames that are judged as images by themselves; None judges the web without seams
    max_rows: held of a defect, without seams; a longer one is cut
    """

    name: str
    frame_rows: int | None = None
    max_rows: int = DEFAULT_MAX_ROWS


def web_answers(
    judge: Judge, items: Iterable[Item], web: Web, *, with_pixels: bool = False, recorded: bool = False
) -> AbstractContextManager[Answers]:
    """Answers for the pieces of the web that the items are strips of, in order.

    with_pixels: whether the answers are to be drawn; recorded: see `answers_of`
    Raises BlemishError where the judge cannot see a web without seams.
    """
    if web.frame_rows is not None:
        frames = frames_of(items, web.name, web.frame_rows)
        return answers_of(judge, frames, with_maps=with_pixels, recorded=recorded)
    return seamless(Scanner(judge_of_web(judge), web, with_pixels, recorded), items)


def judge_of_web(judge: Judge) -> BundleInspector:
    """Return the judge if it can judge a web without seams. Raises BlemishError for any other."""
    if isinstance(judge, BundleInspector) and judge.inference.streams:
        return judge
    what = (
        "looks at a whole image at once"
        if isinstance(judge, BundleInspector)
        else "are a chain, image by image"
    )
    raise BlemishError(
        "--line-scan must have a bundle that judges each place by the pixels around it. "
        f"Received: {judge.bundle}, which {what}. Add --frame-rows N to judge frames of N rows as images."
    )


@contextmanager
def seamless(scanner: Scanner, items: Iterable[Item]) -> Iterator[Answers]:
    """decode (thread) → scan (thread) → whoever takes the answers."""
    decoding = Prefetcher(decoded, items, max_ahead=IMAGES_AHEAD)
    answers = scanner.answers(decoding)
    scanning = Prefetcher(lambda answer: answer, answers, max_ahead=IMAGES_AHEAD, prepare=set_threads)
    with running(decoding, scanning):
        yield Answers(scanning, scanning.drain)


@dataclass
class WebSegment:
    """A web between strips that do not fit.

    first_row: of all; done: row to which there are answers; ms: of work since the last answer
    failed: whether it could not be judged, and ends there
    rows_pushed: of its highest strip; unhashed: rows without an answer yet, where a record is written
    check: of its rows, for those unlike the training images
    """

    scan: Scan
    first_row: int
    width: int
    done: int
    ms: float = 0.0
    failed: bool = False
    rows_pushed: int = 0
    unhashed: RowWindow = field(default_factory=RowWindow)
    check: WebCheck = field(default_factory=lambda: WebCheck(None))


@dataclass(frozen=True)
class Scanner:
    """Strips to answers, by a bundle that sees webs."""

    inspector: BundleInspector
    web: Web
    with_pixels: bool
    recorded: bool = False

    def answers(self, strips: Iterable[Decoded]) -> Iterator[Answer]:
        """In order of the rows; of a strip that does not fit, behind all rows above it."""
        row = 0
        segment: WebSegment | None = None
        for strip in fitting(strips, channels=self.inspector.inference.channels, bits=self.inspector.bits):
            if strip.pixels is None:
                yield from self.ended(segment)
                segment = None
                error = failed(strip.item.name, strip.error, bundle=self.inspector.bundle)
                digests = digests_of(strip.item, None) if self.recorded else None
                yield Answer(strip.item.stem, with_record(error, digests, self.inspector), None)
            else:
                width = strip.pixels.shape[1]
                check = WebCheck(self.inspector.input_check)
                segment = segment or WebSegment(self.scan(width), row, width, done=row, check=check)
                row += len(strip.pixels)
                segment.rows_pushed = max(segment.rows_pushed, len(strip.pixels))
                if self.recorded:
                    segment.unhashed.add(strip.pixels)
                assert strip.stored is not None, "it fits"
                segment.check.add(strip.stored)
                yield from self.answered(partial(segment.scan.push, strip.pixels), segment)
                segment = None if segment.failed else segment
        yield from self.ended(segment)

    def ended(self, segment: WebSegment | None) -> Iterator[Answer]:
        if segment is not None:
            yield from self.answered(segment.scan.finish, segment)

    def scan(self, width: int) -> Scan:
        inference, networks = self.inspector.inference, self.inspector.networks
        max_rows, with_pixels = self.web.max_rows, self.with_pixels
        if inference.streams == "masks":
            masks = cast(StreamsMasks, inference)
            return OutlineScan(masks, networks, max_rows=max_rows, with_pixels=with_pixels)
        assert inference.streams == "boxes", "checked by judge_of_web"
        boxes = cast(StreamsBoxes, inference)
        return BoxScan(boxes, networks, width=width, max_rows=max_rows, with_pixels=with_pixels)

    def answered(self, work: Callable[[], list[Piece]], segment: WebSegment) -> Iterator[Answer]:
        """Answers for the pieces that the work gives, the first with the time since the last answer.

        Of rows that are too many for the memory, or too few for a graph of one size, an ERROR answer.
        """
        name, stem = piece_name(self.web.name, segment.done)
        start = perf_counter()
        pixels = segment.width * max(segment.rows_pushed, 1)
        with time_limit(self.inspector.limits.seconds_for(pixels)):
            pieces = or_failed(work, name, self.inspector.bundle)
        segment.ms += 1e3 * (perf_counter() - start)
        if isinstance(pieces, Inspection):
            segment.failed = True
            digests = ImageDigests(None, None) if self.recorded else None
            yield Answer(stem, with_record(pieces, digests, self.inspector), None)
            return
        for piece in pieces:
            yield self.answer(piece, segment)
            segment.ms = 0.0

    def answer(self, piece: Piece, segment: WebSegment) -> Answer:
        down = segment.first_row
        start, stop = (row + down for row in piece.rows)
        segment.done = stop
        name, stem = piece_name(self.web.name, start)
        digests = None
        if self.recorded:
            digests = ImageDigests(None, pixel_hash(segment.unhashed.view(*piece.rows)))
            segment.unhashed.drop(piece.rows[1])
        if piece.findings is None:
            return Answer(stem, with_record(self.inspector.not_finite(name), digests, self.inspector), None)
        inspection = self.inspector.inspection(piece.findings, name, (stop - start, segment.width))
        inspection = reviewed(inspection, segment.check.unlike(*piece.rows, first_row=down))
        longer = f"one was longer than --max-rows {self.web.max_rows}"
        cuts = [f"defects that reach row {cut + down} are cut there: {longer}" for cut in piece.cuts]
        whole = replace(
            inspection.moved(down),
            reasons=(*inspection.reasons, *cuts),
            timings_ms={"scan": segment.ms},
            rows=(start, stop),
        )
        return Answer(stem, with_record(whole, digests, self.inspector), piece.pixels, piece.top + down)
