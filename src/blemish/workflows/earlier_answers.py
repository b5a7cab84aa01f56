"""Answers of an inspection that did not end: gone on from, or kept under another name.

A kill or a power cut leaves inspections.jsonl.part, whose last line may be cut; a stop leaves an
inspections.jsonl whose summary says that it is not complete.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY, unfinished_name
from blemish.inspector.pipeline import file_digest
from blemish.inspector.sources import Item
from blemish.record import UsedBundle
from blemish.untrusted import read_json, regular_file
from blemish.workflows.replay import parsed

MAX_SUMMARY_BYTES = 2**28


@dataclass
class EarlierAnswers:
    """Answers in a file that is gone on with.

    size: bytes of its whole lines; verdicts, labels: of each line, the latter of its defects
    places: where an image's lines begin, by its name and the SHA-256 of its file; each is taken once
    """

    file: Path
    size: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    labels: list[tuple[str, ...]] = field(default_factory=list)
    first_error: str = ""
    places: dict[str, dict[str | None, deque[int]]] = field(default_factory=dict)

    def add(self, inspection: Inspection, image_sha256: str | None, length: int) -> None:
        """Count the answer of the next line, which has so many bytes."""
        by_content = self.places.setdefault(inspection.image, {})
        by_content.setdefault(image_sha256, deque()).append(self.size)
        self.size += length
        self.verdicts.append(inspection.verdict)
        self.labels.append(tuple(defect.label for defect in inspection.defects))
        self.first_error = self.first_error or inspection.error or ""

    def place_of(self, item: Item) -> int | None:
        """Take the place of an item's answer; None where it has none, or its file has changed since."""
        by_content = self.places.get(item.name)
        places = by_content.get(file_digest(item)) if by_content else None
        return places.popleft() if places else None


@dataclass
class NewItems:
    """Items that have no answer yet. taken: their number so far

    drawn: also those that have one, with it, as pictures may be made of them
    """

    items: Iterable[Item]
    earlier: EarlierAnswers | None
    drawn: bool
    taken: int = 0

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            place = self.earlier.place_of(item) if self.earlier else None
            if self.earlier is None or place is None:
                self.taken += 1
                yield item
            elif self.drawn:
                yield replace(item, earlier=answer_at(self.earlier.file.with_name(DRAFT), place))


def answer_at(file: Path, place: int) -> Inspection:
    """Answer whose line begins at that byte of a file."""
    with file.open("rb") as opened:
        opened.seek(place)
        return Inspection.from_json(json.loads(opened.readline()))


def earlier_answers(out: Path, bundles: Sequence[UsedBundle]) -> EarlierAnswers | None:
    """Answers that the last inspection into a folder has given; None where there are none.

    bundles: that go on. Raises BlemishError for answers by other ones or under another decision, and for a
    file that is damaged anywhere but in a last line that was cut.
    """
    file = next((out / name for name in (DRAFT, RECORD) if (out / name).exists()), None)
    if file is None:
        return None
    if file.is_symlink():
        raise BlemishError(f"{file} must be a file. Received: a link. Copy the file there.")
    earlier = EarlierAnswers(regular_file(file))
    wanted = [judging(bundle) for bundle in bundles]
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                inspection = parsed(line.decode(errors="surrogateescape"))[1]
            except BlemishError as error:
                raise BlemishError(
                    f"{file}, line {number} {error}. Remove that line, or choose another --out."
                ) from error
            record = inspection.record
            if record is None or [judging(bundle) for bundle in record.bundles] != wanted:
                by = names(record.bundles) if record else "a version without records"
                raise BlemishError(
                    "--resume goes on with the same bundle, decision and options. "
                    f"Received: {names(bundles)}; {file}, line {number}: {by}. "
                    "Give what was given then, or choose another --out."
                )
            earlier.add(inspection, record.digests.image_sha256, len(line))
    return earlier


def judging(bundle: UsedBundle) -> tuple[object, ...]:
    """What two bundles share that give the same answers, but for what runs them."""
    return bundle.digest, bundle.decision_sha256, bundle.mm_per_px, bundle.input_check


def names(bundles: Sequence[UsedBundle]) -> str:
    """Words on bundles as they judge: "severity-0123456789ab, decision 2, 0.05 mm/px"."""
    return " then ".join(map(name_of, bundles))


def name_of(bundle: UsedBundle) -> str:
    decision = "" if bundle.decision is None else f", decision {bundle.decision}"
    if bundle.decision_sha256:
        decision += f" ({bundle.decision_sha256[:12]})"
    scale = "" if bundle.mm_per_px is None else f", {bundle.mm_per_px:g} mm/px"
    return f"{bundle.id}{decision}{scale}{'' if bundle.input_check else ', without the input check'}"


def keep_aside(file: Path) -> Path | None:
    """Give the answers of an inspection that did not end a name of their own; None where there are none."""
    if file.is_symlink() or not file.is_file():
        return None
    with file.open("rb") as lines:
        if not lines.readline().endswith(b"\n"):
            return None
    free = (file.with_name(unfinished_name(number)) for number in count(1))
    kept = next(path for path in free if not path.exists())
    file.rename(kept)
    return kept


def is_unfinished(record: Path) -> bool:
    """True for an inspections.jsonl whose summary says that the inspection was stopped."""
    try:
        summary = read_json(record.with_name(SUMMARY), max_bytes=MAX_SUMMARY_BYTES)
    except BlemishError:
        return False
    return isinstance(summary, dict) and summary.get("complete") is False
