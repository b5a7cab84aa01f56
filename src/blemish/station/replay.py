"""Replay of a recorded decision: the recorded bundle, decision and threads on the recorded image.

The server starts `python -m blemish.station.replay FOLDER BUNDLE` for it: FOLDER holds inspections.jsonl with
the one line, and the image; what differs comes back as JSON. Images and networks stay out of the server.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from blemish.errors import BlemishError
from blemish.station.bundle_rows import decided_folder, link_or_copy
from blemish.station.database.lines import BundleRow, DecisionRow
from blemish.station.database.parts import ImageRow, InspectionRow
from blemish.station.database.records import decision_of_revision
from blemish.station.journal import JournalDamagedError, place_behind, read_journal
from blemish.station.layout import LineFolder, StationFolder

SECONDS = 300.0


@dataclass(frozen=True)
class Difference:
    """A field that is not as recorded. field: its name, "" where nothing could be replayed"""

    field: str
    text: str


@dataclass(frozen=True)
class ReplayOutcome:
    """same: nothing differs; notes: on another runtime, processor or version, which may be the cause"""

    same: bool
    differences: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def replay_inspection(
    session: Session, station: StationFolder, line: LineFolder, row: InspectionRow
) -> ReplayOutcome:
    """Replay an inspection in a child process, after its record was compared with the journal.

    Raises BlemishError where its image was not kept, or its bundle is not there.
    """
    found = record_differences(line, row)
    image = session.get(ImageRow, row.image_id) if row.image_id is not None else None
    if image is None or image.file is None:
        raise BlemishError("The pixels of this image were not kept, so it cannot be replayed.")
    bundle = session.get(BundleRow, row.bundle_id)
    if bundle is None:
        raise BlemishError(f"There is no bundle {row.bundle_id} here. Upload it, then replay again.")
    decision = decision_of_revision(session, bundle.id, row.decision_revision)
    with tempfile.TemporaryDirectory(prefix=".replay-", dir=station.jobs) as draft:
        folder = Path(draft)
        prepare(folder, station, row.doc, station.images / image.file)
        command = bundle_folder(station, bundle, decision)
        outcome = run_child(folder, command)
    found += [Difference(each["field"], each["text"]) for each in outcome["differences"]]
    return ReplayOutcome(not found, found, outcome["notes"])


def record_differences(line: LineFolder, row: InspectionRow) -> list[Difference]:
    """Differences between the row of an inspection and its record in the journal."""
    try:
        entry = next(read_journal(line.journal, place_behind(line.journal, row.number - 1)), None)
    except JournalDamagedError as error:
        return [Difference("record", str(error))]
    if entry is None:
        return [Difference("record", f"The journal has no record {row.number}.")]
    recorded = entry.record
    names = [key for key in {**recorded["doc"], **row.doc} if recorded["doc"].get(key) != row.doc.get(key)]
    found = [Difference(f"record.doc.{name}", "The database and the journal differ.") for name in names]
    columns = {"seq": row.seq, "bundle": row.bundle_id, "decision_revision": row.decision_revision}
    columns["verdict"], verdict = row.verdict, recorded["doc"]["verdict"]
    for name, value in columns.items():
        if (verdict if name == "verdict" else recorded.get(name)) != value:
            found.append(Difference(f"record.{name}", "The database and the journal differ."))
    return found


def bundle_folder(station: StationFolder, bundle: BundleRow, decision: DecisionRow | None) -> Path:
    """Folder of a bundle under the decision of then."""
    return station.root / decided_folder(station, bundle, decision)


def prepare(folder: Path, station: StationFolder, doc: dict[str, Any], image: Path) -> None:
    """Put the record and its image into a folder. Raises BlemishError where the image's file is gone."""
    (folder / "inspections.jsonl").write_text(json.dumps(doc, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "images").mkdir()
    if not image.is_file():
        raise BlemishError("The file of this image is gone, so it cannot be replayed.")
    link_or_copy(image, folder / "images" / image.name)


def run_child(folder: Path, bundle: Path) -> dict[str, Any]:
    """Outcome that the child gives. Raises BlemishError where it ends without one."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "blemish.station.replay", str(folder), str(bundle)],
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BlemishError("The replay took too long and was given up. Try again.") from error
    with suppress(ValueError, IndexError):
        outcome: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
        return outcome
    reason = done.stderr.decode(errors="replace").strip().splitlines()
    raise BlemishError(f"The replay failed: {reason[-1] if reason else 'its process ended'}")


def main(folder: Path, bundle: Path) -> None:
    """Replay the record in a folder and print the outcome as a line of JSON."""
    from blemish.workflows.replay import Finding, replay

    try:
        outcome = replay(folder / "inspections.jsonl", folder / "images", bundles=[bundle], quiet=True)
        findings, notes = outcome.findings, outcome.notes
    except BlemishError as error:  # of a bundle that does not open
        findings, notes = [Finding(1, "", "bundle", str(error))], []
    found = [{"field": finding.key, "text": finding.text} for finding in findings]
    print(json.dumps({"differences": found, "notes": notes}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
