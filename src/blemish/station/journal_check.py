"""Verification of a whole journal: the chain of its records, their numbers, and those of the inspections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blemish.station.journal import FIRST_PREV, JournalDamagedError, read_journal, segment_file


@dataclass(frozen=True)
class JournalFacts:
    """Facts on a journal that is whole.

    records: number of all; kinds: of each kind; seq: number of the last inspection
    head: SHA-256 of the last record, 64 zeros without one. Kept elsewhere, it also tells whether records were
        removed from the end, which a chain alone cannot
    """

    records: int
    kinds: Mapping[str, int]
    seq: int
    head: str


def verify_journal(folder: Path) -> JournalFacts:
    """Read every record of a journal, and check the chain and the numbers.

    Raises JournalDamagedError, which names the file and the byte, at the first fault.
    """
    kinds: Counter[str] = Counter()
    records, seq, head = 0, 0, FIRST_PREV
    for entry in read_journal(folder):
        kinds[entry.record["kind"]] += 1
        if entry.record["kind"] == "inspection":
            if entry.record.get("seq") != seq + 1:
                raise JournalDamagedError(
                    f"{segment_file(folder, entry.segment)}: the record at byte {entry.offset} must be "
                    f"inspection {seq + 1}. Received: {entry.record.get('seq')}. Records were changed. "
                    "Restore the journal from a backup."
                )
            seq += 1
        records, head = entry.n, entry.digest
    return JournalFacts(records, dict(kinds), seq, head)
