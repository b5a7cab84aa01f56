"""Replaying a record: whether the same bundle gives, on the same images, the answers that were recorded.

Images are found by the SHA-256 of their bytes, whatever they are called now. Each is inspected again by the
bundle and under the decision that its line names, in the recorded number of threads and on the recorded
device where there is one. Ids, times, timings and the names of files are not compared; all else is.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from blemish.bundle.store import Bundle, load_bundle, sha256_of
from blemish.dataset.hashing import file_hash, in_threads, pixel_hash
from blemish.decision.store import read_decision
from blemish.errors import BlemishError, WrongUseError
from blemish.images.decode import SUFFIXES, with_channels
from blemish.images.video import SUFFIXES as VIDEO_SUFFIXES
from blemish.inspection import Inspection, failed
from blemish.inspector.chain import Judge, as_judge, stages_of
from blemish.inspector.inspector import BundleInspector, or_failed
from blemish.inspector.loading import inspector_of, used_bundle
from blemish.inspector.sources import Item, items_of
from blemish.progress import Reporter
from blemish.provenance import blemish_version
from blemish.record import InspectionRecord, UsedBundle
from blemish.threads import set_threads

RECORD = "inspections.jsonl"
# Of a line: what differs from inspection to inspection, and what is compared in its own way.
NOT_COMPARED = frozenset(
    {"schema_version", "id", "at", "image", "timings_ms", "software", "bundles", "error"}
    | {"image_sha256", "pixels_sha256"}
)


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


class NotReplayedError(BlemishError):
    """A line that cannot be replayed, and why."""


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
    lines = file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
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
        found, pixels = answer_of(judge, item, recorded.image)
    except BlemishError as error:
        yield Finding(number, name, "", str(error))
        return
    if pixels != history.digests.pixels_sha256:
        yield Finding(number, name, "pixels_sha256", values(history.digests.pixels_sha256, pixels))
    for key, pair in differences(fields, found.to_json()):
        yield Finding(number, name, key, pair)


def parsed(text: str) -> tuple[Mapping[str, Any], Inspection]:
    """The line as plain values and as an inspection. Raises NotReplayedError for what is none."""
    try:
        fields = json.loads(text)
        return fields, Inspection.from_json(fields)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise NotReplayedError(f"is no inspection as `blemish inspect` writes it: {reason}") from error


def replayable(recorded: Inspection) -> InspectionRecord:
    """The line's record. Raises NotReplayedError where there is none, or the image was part of a web."""
    if recorded.record is None:
        raise NotReplayedError("was written by blemish 0.1, without the hashes that a replay needs")
    if recorded.rows is not None:
        raise NotReplayedError("is a piece of a line scan, which is judged by the rows above it, too")
    if not recorded.record.bundles:
        raise NotReplayedError("names no bundle")
    return recorded.record


@dataclass
class Images:
    """The images and videos of a folder by the SHA-256 of their bytes, hashed when first asked for."""

    folder: Path
    playing: dict[Path, Iterator[Item]] = field(default_factory=dict)

    @cached_property
    def files(self) -> list[Path]:
        known = SUFFIXES | VIDEO_SUFFIXES
        return sorted(
            path for path in self.folder.rglob("*") if path.suffix.lower() in known and path.is_file()
        )

    @cached_property
    def by_digest(self) -> dict[str, Path]:
        return dict(zip(in_threads(file_hash, self.files), self.files, strict=True))

    def find(self, name: str, digest: str | None) -> tuple[Item, str]:
        """The image with those bytes; else one of that name, and how its bytes differ.

        name: as recorded, of a video's frame with "#" and its number
        Raises NotReplayedError where there is neither.
        """
        path, _, frame = name.rpartition("#")
        if Path(path).suffix.lower() not in VIDEO_SUFFIXES:
            path, frame = name, ""
        file = self.by_digest.get(digest or "")
        if file is not None:
            return self.item_of(file, frame), ""
        of_digest = {path: digest for digest, path in self.by_digest.items()}
        named = [one for one in self.files if one.name == Path(path).name]
        if not named:
            raise NotReplayedError(
                f"no image in {self.folder} has the recorded SHA-256 {short(digest)}, and none is called "
                f"{Path(path).name}"
            )
        nearest = max(named, key=lambda one: shared_end(one, Path(path)))
        differs = f"{nearest}: {values(short(digest), short(of_digest.get(nearest)))}"
        return self.item_of(nearest, frame), differs

    def item_of(self, file: Path, frame: str) -> Item:
        """The image, or that frame of a video; a video whose frames are asked for in order is read once."""
        if not frame:
            return next(items_of(file, 1))
        for _ in range(2):
            for item in self.playing.get(file, ()):
                if item.name.endswith(f"#{frame}"):
                    return item
            self.playing[file] = items_of(file, 1)
        raise NotReplayedError(f"{file} has no frame {int(frame)}")


def shared_end(file: Path, other: Path) -> int:
    """How many of the last parts of two paths agree."""
    pairs = zip(reversed(file.parts), reversed(other.parts), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), len(other.parts))


@dataclass
class Judges:
    """Opened bundles and chains by what records say of them.

    given: bundles to look among; none: they are where each record says
    """

    given: Mapping[Path, Bundle]
    loaded: dict[Path, Bundle] = field(default_factory=dict)
    opened: dict[str, tuple[Judge, tuple[str, ...]]] = field(default_factory=dict)

    def find(self, history: InspectionRecord) -> tuple[Judge, tuple[str, ...]]:
        """The judge that the record names, and how its decisions differ from the recorded ones.

        Raises NotReplayedError for a bundle that is not there, or is another one than recorded.
        """
        key = json.dumps([used.__dict__ for used in history.bundles], sort_keys=True, default=dict)
        if key not in self.opened:
            stages, reasons = zip(*(self.stage(used) for used in history.bundles), strict=True)
            self.opened[key] = as_judge(stages), tuple(reason for reason in reasons if reason)
        return self.opened[key]

    def stage(self, used: UsedBundle) -> tuple[BundleInspector, str]:
        """One bundle under its recorded decision, and "" or how that differs now."""
        bundle = self.bundle(used)
        threads = used.runtime.get("threads")
        set_threads(threads if isinstance(threads, int) else None)
        device = str(used.runtime.get("device", "auto"))
        try:
            plain = inspector_of(bundle, device=device, mm_per_px=used.mm_per_px, decided=False)
        except BlemishError:
            if device != "cuda":
                raise
            device = "auto"  # the answer is compared all the same; a note says that the device is another
            plain = inspector_of(bundle, device=device, mm_per_px=used.mm_per_px, decided=False)
        if used.decision is None:
            return plain, ""
        file, reason = decision_file(bundle, used)
        decided = replace(plain, decision=read_decision(file, bundle=bundle.id))
        return replace(decided, used=used_bundle(bundle, decided, file, device=device)), reason

    def bundle(self, used: UsedBundle) -> Bundle:
        """The bundle with the recorded digest."""
        if not self.given and Path(used.path) not in self.loaded:
            try:
                self.loaded[Path(used.path)] = load_bundle(Path(used.path))
            except BlemishError as error:
                raise NotReplayedError(f"{error} Or name the bundle: --bundle.") from error
        among = self.given or {Path(used.path): self.loaded[Path(used.path)]}
        for bundle in among.values():
            if bundle.digest == used.digest:
                return bundle
        there = [f"{folder} is {bundle.id} ({short(bundle.digest)})" for folder, bundle in among.items()]
        raise NotReplayedError(
            f"bundle: recorded {used.id} ({short(used.digest)}), {'; '.join(there)}. Give the recorded one "
            "by --bundle"
        )


def decision_file(bundle: Bundle, used: UsedBundle) -> tuple[Path, str]:
    """The stored revision of the decision, and "" or that it is not as recorded any more.

    Raises NotReplayedError where no such revision is stored.
    """
    files = sorted(bundle.path.glob("decision*.yaml"))
    digests = {file: sha256_of(file) for file in files}
    same = next((file for file in files if digests[file] == used.decision_sha256), None)
    if same is not None:
        return same, ""
    revisions = {read_decision(file, bundle=bundle.id).revision: file for file in files}
    if used.decision not in revisions:
        raise NotReplayedError(
            f"decision: {bundle.path} holds no revision {used.decision}; it has "
            f"{', '.join(map(str, sorted(revisions))) or 'none'}"
        )
    file = revisions[used.decision]
    return file, f"{file}: {values(short(used.decision_sha256), short(digests[file]))}"


def runtime_notes(history: InspectionRecord, judge: Judge) -> Iterator[str]:
    """A sentence for each part of what runs the bundle that is another than recorded."""
    if history.software != blemish_version():
        yield f"blemish: {values(history.software, blemish_version())}"
    for used, stage in zip(history.bundles, stages_of(judge), strict=True):
        here = stage.used.runtime if stage.used else {}
        for name in sorted({*used.runtime, *here}):
            if used.runtime.get(name) != here.get(name):
                of = f" of {used.id}" if len(history.bundles) > 1 else ""
                yield f"runtime{of}: {name}: {values(used.runtime.get(name), here.get(name))}"


def answer_of(judge: Judge, item: Item, name: str) -> tuple[Inspection, str | None]:
    """The answer on an image under its recorded name, and the hash of its pixels; None: not decoded."""
    try:
        pixels = item.read()
    except BlemishError as error:
        return failed(name, str(error), bundle=judge.bundle), None
    own = with_channels(pixels, judge.inference.channels)
    return or_failed(lambda: judge.judge(own, name), name, judge.bundle), pixel_hash(pixels)


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field that is not the same, and both values."""
    if bool(recorded.get("error")) != bool(found.get("error")):
        yield "error", values(recorded.get("error"), found.get("error"))
    for key in dict.fromkeys((*recorded, *found)):
        if key not in NOT_COMPARED:
            yield from inside(key, recorded.get(key), found.get(key))


def inside(place: str, recorded: Any, found: Any) -> Iterator[tuple[str, str]]:
    """The places at which two plain values differ, the innermost ones. place: of these two"""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*recorded, *found)):
            yield from inside(f"{place}.{key}", recorded.get(key), found.get(key))
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield place, f"recorded {len(recorded)} entries, now {len(found)}"
        for number, (one, other) in enumerate(zip(recorded, found, strict=False)):
            yield from inside(f"{place}[{number}]", one, other)
    elif recorded != found:
        yield place, values(recorded, found)


def values(recorded: Any, found: Any) -> str:
    """ "recorded 0.5, now 0.6" """
    return f"recorded {said(recorded)}, now {said(found)}"


def said(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
