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
from operator import eq
from pathlib import Path
from typing import Any

from blemish.bundle.store import Bundle, load_bundle, sha256_of
from blemish.dataset.hashing import file_hash, in_threads, pixel_hash
from blemish.decision.store import read_decision
from blemish.errors import BlemishError, WrongUseError
from blemish.images.bit_depth import full_range
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.chain import Judge, as_judge, stages_of, unlimited
from blemish.inspector.found_files import RECORD, files_below, is_inspected
from blemish.inspector.inspector import BundleInspector, or_failed
from blemish.inspector.loading import inspector_of, used_bundle
from blemish.inspector.sources import Item, items_of
from blemish.progress import Reporter
from blemish.provenance import blemish_version
from blemish.record import InspectionRecord, UsedBundle
from blemish.threads import set_threads

LIMITED_SINCE = 3  # schema of the lines whose findings under the limit are no defects
NO_INSPECTION = "must be an inspection as `blemish inspect` writes it. Received: {}"
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


@dataclass
class Images:
    """The images and videos of a folder by the SHA-256 of their bytes, hashed when first asked for."""

    folder: Path
    playing: dict[Path, Iterator[Item]] = field(default_factory=dict)

    @cached_property
    def files(self) -> list[Path]:
        return [path for path in files_below(self.folder).images if path.is_file()]

    @cached_property
    def by_digest(self) -> dict[str, Path]:
        digests = zip(in_threads(readable_hash, self.files), self.files, strict=True)
        return {digest: file for digest, file in digests if digest is not None}

    def find(self, name: str, digest: str | None) -> tuple[Item, str]:
        """Find the image with those bytes, else one of that name; returns also how its bytes differ, or "".

        name: as recorded, of a page or a video's frame with "#" and its number
        Raises NotReplayedError where there is neither.
        """
        path, _, frame = name.rpartition("#")
        if not is_inspected(path):
            path, frame = name, ""
        file = self.by_digest.get(digest or "")
        if file is not None:
            return self.item_of(file, frame), ""
        named = [file for file in self.files if file.name == Path(path).name]
        if not named:
            raise NotReplayedError(
                f"no image in {self.folder} has the recorded SHA-256 {short(digest)}, and none is called "
                f"{Path(path).name}"
            )
        ending = Path(path).parts[::-1]
        # That with the most names alike, from the last on.
        nearest = max(named, key=lambda file: [*map(eq, file.parts[::-1], ending)])
        differs = f"{nearest}: {values(short(digest), short(readable_hash(nearest)))}"
        return self.item_of(nearest, frame), differs

    def item_of(self, file: Path, frame: str) -> Item:
        """Item of an image, or of a page or frame; those of a file are read once where they come in order."""
        if not frame:
            return next(items_of(file, 1))
        for _ in range(2):
            for item in self.playing.get(file, ()):
                if item.name.endswith(f"#{frame}"):
                    return item
            self.playing[file] = items_of(file, 1)
        raise NotReplayedError(f"{file} has no frame {frame}")


def readable_hash(file: Path) -> str | None:
    """SHA-256 of a file; None where it cannot be read, as it may not be a recorded one."""
    try:
        return file_hash(file)
    except BlemishError:
        return None


@dataclass
class Judges:
    """Inspectors for the bundles that records name, each opened once.

    candidates: the user's bundles by folder; without any, bundles are loaded from their recorded paths
    """

    candidates: Mapping[Path, Bundle]
    loaded: dict[Path, Bundle] = field(default_factory=dict)
    opened: dict[str, tuple[Judge, tuple[str, ...]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)  # why, so that each is tried once

    def find(self, history: InspectionRecord) -> tuple[Judge, tuple[str, ...]]:
        """Open the inspector or chain of a record; returns also how its decisions differ now.

        Raises NotReplayedError for a bundle that is not there, or is another one than recorded.
        """
        key = json.dumps([used.__dict__ for used in history.bundles], sort_keys=True, default=dict)
        if key in self.refused:
            raise NotReplayedError(self.refused[key])
        if key not in self.opened:
            try:
                stages, reasons = zip(*(self.stage(used) for used in history.bundles), strict=True)
                self.opened[key] = as_judge(stages), tuple(reason for reason in reasons if reason)
            except BlemishError as error:
                self.refused[key] = str(error)
                raise
        set_recorded_threads(history.bundles[-1])  # another record may have set another number
        return self.opened[key]

    def stage(self, used: UsedBundle) -> tuple[BundleInspector, str]:
        """Open a bundle under its recorded decision; returns also "" or how that decision differs now."""
        bundle = self.bundle(used)
        set_recorded_threads(used)
        device = str(used.runtime.get("device", "auto"))

        def opened(device: str) -> BundleInspector:
            return inspector_of(
                bundle,
                device=device,
                mm_per_px=used.mm_per_px,
                decided=False,
                input_check=used.input_check,
            )

        try:
            plain = opened(device)
        except BlemishError:
            if device != "cuda":
                raise
            device = "auto"  # the answer is compared all the same; a note says that the device is another
            plain = opened(device)
        if used.decision is None:
            return plain, ""
        file, reason = decision_file(bundle, used)
        decided = replace(plain, decision=read_decision(file, bundle=bundle.id))
        return replace(decided, used=used_bundle(bundle, decided, file, device=device)), reason

    def bundle(self, used: UsedBundle) -> Bundle:
        """Load the bundle with the recorded digest. Raises NotReplayedError where it is not to be found."""
        if not self.candidates and Path(used.path) not in self.loaded:
            try:
                self.loaded[Path(used.path)] = load_bundle(Path(used.path))
            except BlemishError as error:
                raise NotReplayedError(
                    f"bundle: recorded {used.id} in {used.path}; {error} "
                    "If it has moved, name it with --bundle."
                ) from error
        among = self.candidates or {Path(used.path): self.loaded[Path(used.path)]}
        for bundle in among.values():
            if bundle.digest == used.digest:
                return bundle
        there = [f"{folder} is {bundle.id} ({short(bundle.digest)})" for folder, bundle in among.items()]
        raise NotReplayedError(
            f"bundle: recorded {used.id} ({short(used.digest)}), {'; '.join(there)}. Name the recorded one "
            "with --bundle."
        )


def set_recorded_threads(used: UsedBundle) -> None:
    threads = used.runtime.get("threads")
    set_threads(threads if isinstance(threads, int) and threads > 0 else None)


def decision_file(bundle: Bundle, used: UsedBundle) -> tuple[Path, str]:
    """Find the recorded revision of the decision; returns its file, and "" or how its content differs now.

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
    """Sentences on each part of software and runtime that is not as recorded."""
    if history.software != blemish_version():
        yield f"blemish: {values(history.software, blemish_version())}"
    for used, stage in zip(history.bundles, stages_of(judge), strict=True):
        here = stage.used.runtime if stage.used else {}
        for name in sorted({*used.runtime, *here}):
            if used.runtime.get(name) != here.get(name):
                of = f" of {used.id}" if len(history.bundles) > 1 else ""
                yield f"runtime{of}: {name}: {values(used.runtime.get(name), here.get(name))}"


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


def differences(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Fields in which two lines differ: the key, and a text with both values."""
    if bool(recorded.get("error")) != bool(found.get("error")):
        yield "error", values(recorded.get("error"), found.get("error"))
    for key in dict.fromkeys((*recorded, *found)):
        if key not in NOT_COMPARED:
            yield from inside(key, recorded.get(key), found.get(key))


def inside(place: str, recorded: Any, found: Any) -> Iterator[tuple[str, str]]:
    """Innermost places at which two plain values differ, and both values. place: key of these two"""
    if isinstance(recorded, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*recorded, *found)):
            yield from inside(f"{place}.{key}", recorded.get(key), found.get(key))
    elif isinstance(recorded, list) and isinstance(found, list):
        if len(recorded) != len(found):
            yield place, f"recorded {len(recorded)} entries, now {len(found)}"
        for number, (before, now) in enumerate(zip(recorded, found, strict=False)):
            yield from inside(f"{place}[{number}]", before, now)
    elif recorded != found:
        yield place, values(recorded, found)


def values(recorded: Any, found: Any) -> str:
    """Text with both values: "recorded 0.5, now 0.6"."""
    return f"recorded {shown(recorded)}, now {shown(found)}"


def shown(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
