"""Replaying a record: whether the same bundle gives, on the same images, the answers that were recorded.

Images are found by the SHA-256 of their bytes, whatever they are called now. Each is inspected again by the
bundle and under the decision that its line names, in the recorded number of threads and on the recorded
device where there is one. Ids, times, timings and the names of files are not compared; all else is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blemish.bundle.store import load_bundle
from blemish.dataset.hashing import pixel_hash
from blemish.errors import BlemishError, WrongUseError
from blemish.images.bit_depth import full_range
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.chain import Judge, unlimited
from blemish.inspector.found_files import RECORD
from blemish.inspector.inspector import or_failed
from blemish.inspector.sources import Item
from blemish.progress import Reporter
from blemish.record import InspectionRecord
from blemish.workflows.record_differences import NotReplayedError, differences, values
from blemish.workflows.recorded_bundles import Judges, runtime_notes
from blemish.workflows.recorded_images import Images

LIMITED_SINCE = 3  # schema of the lines whose findings under the limit are no defects
NO_INSPECTION = "must be an inspection as `blemish inspect` writes it. Received: {}"


@dataclass(frozen=True)
class Finding:
    """A line that does not replay.

    key: of the value that differs, "" where the line could not be replayed; text: both values, or the reason
    """

    line: int
    image: str
    key: str
    text: str

    def __str__(self) -> str:
        place = f"line {self.line}" + (f", {self.image}" if self.image else "")
        return f"{place}: {self.key}: {self.text}" if self.key else f"{place}: {self.text}"


@dataclass
class Replay:
    """Outcome of a replay. same: lines with the same answer, of all `lines`; notes: on runtime and version"""

    lines: int = 0
    same: int = 0
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def replay(record: Path, images: Path, *, bundles: Sequence[Path] = (), quiet: bool = False) -> Replay:
    """Inspect the images of a record again and compare the answers, line by line.

    record: inspections.jsonl, or the folder that holds it; images: folder, searched with all below it
    bundles: folders to look for the recorded bundles in; without any, where the record says that they were
    Raises WrongUseError for a record or a folder that is not there, BlemishError for a refused bundle.
    """
    file = record / RECORD if record.is_dir() else record
    if not file.is_file():
        raise WrongUseError(f"{record} must be an {RECORD}, or a folder with one. Received: none there.")
    if not images.is_dir():
        raise WrongUseError(f"--images must be a folder. Received: {images}. Check the path.")
    reporter = Reporter(quiet=quiet)
    outcome, stock, judges = Replay(), Images(images), Judges({path: load_bundle(path) for path in bundles})
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape").rstrip("\n")
    lines = text.split("\n") if text else []  # splitlines would cut a name that holds another line break
    for number, text in enumerate(reporter.track(lines, "replaying", total=len(lines)), start=1):
        outcome.lines += 1
        found = list(line_findings(number, text, stock, judges, outcome))
        outcome.findings += found
        outcome.same += not found
    return outcome


def line_findings(
    number: int, text: str, stock: Images, judges: Judges, outcome: Replay
) -> Iterator[Finding]:
    """Replay one line; yields what differs, or why it could not be replayed."""
    name = ""
    try:
        fields, recorded = parsed(text)
        name = recorded.image
        history = replayable(recorded)
        item, renamed = stock.find(recorded.image, history.digests.image_sha256)
        if renamed:
            yield Finding(number, name, "image_sha256", renamed)
        judge, changed = judges.find(history)
        for reason in changed:
            yield Finding(number, name, "decision_sha256", reason)
        for note in runtime_notes(history, judge):
            outcome.note(note)
        if fields["schema_version"] < LIMITED_SINCE:
            fields, judge = without_acceptance(fields), unlimited(judge)
        found, pixels = answer_of(judge, item, recorded.image)
    except BlemishError as error:
        yield Finding(number, name, "", str(error))
        return
    if pixels != history.digests.pixels_sha256:
        yield Finding(number, name, "pixels_sha256", values(history.digests.pixels_sha256, pixels))
    for key, pair in differences(fields, found.to_json()):
        yield Finding(number, name, key, pair)


def parsed(text: str) -> tuple[Mapping[str, Any], Inspection]:
    """Read a line as plain values and as an inspection. Raises NotReplayedError for anything else."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotReplayedError(NO_INSPECTION.format("text that is not JSON")) from error
    if not isinstance(fields, dict):
        raise NotReplayedError(NO_INSPECTION.format("JSON that is not an object"))
    try:
        recorded = Inspection.from_json(fields)
        if not isinstance(recorded.image, str):
            raise TypeError(f"'image' of a wrong type, {recorded.image!r}")
    except KeyError as error:
        raise NotReplayedError(NO_INSPECTION.format(f"a line without {error}")) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise NotReplayedError(NO_INSPECTION.format(" ".join(str(error).split()))) from error
    return fields, recorded


def replayable(recorded: Inspection) -> InspectionRecord:
    """Record of an inspection. Raises NotReplayedError without one, and for a piece of a web."""
    if recorded.record is None:
        raise NotReplayedError("written by blemish 0.1, which recorded no hashes to replay it by")
    if recorded.rows is not None:
        raise NotReplayedError("a piece of a line scan cannot be replayed: the rows above it count as well")
    if not recorded.record.bundles:
        raise NotReplayedError("the record names no bundle")
    return recorded.record


def without_acceptance(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """An older line without the grade "accept" where the verdict is not OK, which today has none there."""
    accepted = fields.get("grade") == "accept" and fields["verdict"] != Verdict.OK
    return {key: value for key, value in fields.items() if not (accepted and key == "grade")}


def answer_of(judge: Judge, item: Item, name: str) -> tuple[Inspection, str | None]:
    """Judge an image under its recorded name; returns the answer and the hash of the pixels.

    The hash is None where the image cannot be decoded.
    """
    try:
        pixels = item.read()
    except BlemishError as error:
        return failed(name, str(error), bundle=judge.bundle), None
    try:
        spread = full_range(pixels, judge.bits, name)
    except BlemishError as error:
        return failed(name, str(error), bundle=judge.bundle), pixel_hash(pixels)
    return or_failed(lambda: judge.judge(spread, name), name, judge.bundle), pixel_hash(pixels)
