"""What a source has given already: read from the journal, so that a restart neither loses nor repeats a part.

The journal is the truth: a part counts as taken when its record is on the disk. taken.json only saves reading
all of it: it holds what was taken up to a place, and the records behind that are read again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.journal import START, Place, place_behind, read_journal
from blemish.untrusted import read_json

Identity = tuple[int, int, int]  # inode, size, and time of the last change in ns
MAX_BYTES = 1 << 30
MAX_REMEMBERED = 100_000  # files that are not there any more; 0.4 kB each


class Taken:
    """Parts that a line's source has given. Its methods may be called from any thread.

    identities: of files of watched folders; digests: SHA-256 of the last file under a path
    places: of lists and videos, number of items by what they are of
    """

    def __init__(self) -> None:
        self.identities: dict[Identity, None] = {}
        self.digests: dict[str, str] = {}
        self.places: dict[str, int] = {}
        self.lock = Lock()

    @classmethod
    def load(cls, snapshot: Path, journal: Path) -> Taken:
        """Read what was taken. Raises JournalDamagedError for a journal that cannot be read."""
        taken = cls()
        place = taken.read_snapshot(snapshot, journal)
        for entry in read_journal(journal, place):
            if entry.record["kind"] == "inspection" and not entry.record["shadow"]:
                taken.add(entry.record["source"])
        return taken

    def read_snapshot(self, file: Path, journal: Path) -> Place:
        """Take over a snapshot; returns its place in the journal, which is the start without one."""
        if not file.exists():
            return START
        try:
            content = read_json(file, max_bytes=MAX_BYTES)
            place = place_behind(journal, content["n"])
            if place.prev != content["prev"]:  # of another journal
                return START
            identities = dict.fromkeys(
                (inode, size, changed) for inode, size, changed in content["identities"]
            )
            digests, places = dict(content["digests"]), dict(content["places"])
        except (BlemishError, KeyError, TypeError, ValueError):
            return START
        self.identities, self.digests, self.places = identities, digests, places
        return place

    def save(self, file: Path, place: Place) -> None:
        """Write a snapshot of what was taken up to a place in the journal. Raises BlemishError"""
        with self.lock:
            content = {
                "n": place.n,
                "prev": place.prev,
                "places": self.places,
                "digests": self.digests,
                "identities": list(self.identities),
            }
            text = json.dumps(content, ensure_ascii=False) + "\n"
        write_atomically(file, text)

    def add(self, source: Mapping[str, Any]) -> None:
        """Note a part whose record is on the disk. source: of the record"""
        with self.lock:
            if "of" in source:
                self.places[source["of"]] = max(self.places.get(source["of"], 0), source["item"] + 1)
            elif source.get("last"):
                inode, size, changed = source["identity"]
                self.identities[inode, size, changed] = None
                self.digests[source["path"]] = source["sha256"]

    def vanished(self, path: str) -> None:
        """Note that a file is gone: another that comes under its path is another part, whatever it holds."""
        with self.lock:
            self.digests.pop(path, None)

    def forget(self, present: set[Identity]) -> None:
        """Bound what is remembered of files that are not there. present: those that are"""
        with self.lock:
            gone = [identity for identity in self.identities if identity not in present]
            for identity in gone[: max(0, len(gone) - MAX_REMEMBERED)]:
                del self.identities[identity]
