"""A watched folder as a source: each image that comes into it, once, and not before it is whole.

The folder is listed again and again, which works on network shares as well. A file is taken when its size
and time have not changed for a while and it decodes; one that does not decode is waited for longer, as its
writer may only have paused, and is then an ERROR. A file that was judged is not judged again under another
name; one whose content has changed is another image. One that is overwritten before it was read is lost, and
counted where that can be told from a file that is still being written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock
from time import monotonic

from blemish.dataset.hashing import file_hash
from blemish.errors import BlemishError
from blemish.inspector.found_files import (
    FoundFiles,
    LeftOut,
    Why,
    files_below,
    folders_below,
    is_inspected,
    is_written,
)
from blemish.inspector.live.source import Ending, Losses
from blemish.inspector.sources import Item, Note, is_video, items_of

POLL_SECONDS = 0.25
SETTLED_SECONDS = 1.0  # without a change, before a file is read
PATIENCE_SECONDS = 10.0  # without a change, before a file that does not decode counts as damaged
REST = 10.0  # times as long as listing took, before the folder is listed again
MAX_REMEMBERED = 1_000_000  # files that were judged


@dataclass(frozen=True)
class Identity:
    """Content of a file, as the file system tells it; it stays when the file is renamed."""

    device: int
    inode: int
    size: int
    modified_ns: int


@dataclass
class Waiting:
    """A file that is not judged yet. since: time of its last change that was seen

    tried: to read it in this state; unchanged: it was seen in this state more than once
    """

    identity: Identity
    since: float
    tried: bool = False
    unchanged: bool = False

    @property
    def patience(self) -> float:
        """Seconds without a change before the file is read."""
        return PATIENCE_SECONDS if self.tried else SETTLED_SECONDS

    def is_overwritten(self, by: Identity) -> bool:
        """True where another content has taken the place of this one, which was not just written on."""
        before = self.identity
        if not before.size:
            return False
        if (before.device, before.inode) != (by.device, by.inode) or by.size < before.size:
            return True
        return self.unchanged and by.size == before.size and by.modified_ns > before.modified_ns


class WatchedFolder:
    """A `LiveSource` of the images and videos below a folder. every: n, for every n-th frame of a video"""

    def __init__(self, folder: Path, *, every: int = 1, ending: Ending, note: Note) -> None:
        self.folder, self.every, self.ending, self.note = folder, every, ending, note
        self.waiting: dict[Path, Waiting] = {}
        self.judged: dict[Identity, None] = {}
        self.digests: dict[Path, str] = {}
        self.vanished: dict[Path, None] = {}
        self.overwritten: Counter[Path] = Counter()
        self.taken = self.interruptions = 0
        self.away = False
        self.rest = POLL_SECONDS
        self.lock = RLock()  # between the thread that takes items and whoever asks for the losses

    def open(self) -> None:
        """Begin. Raises BlemishError where there is no such folder."""
        if not self.folder.is_dir():
            raise BlemishError(f"--watch must have a folder that is there. Received: {self.folder}.")
        self.ending.begin()

    def stop(self) -> None:
        self.ending.stopped.set()

    def items(self) -> Iterator[Item]:
        while not self.ending.reached(self.taken):
            with self.lock:
                self.refresh()
                settled = self.settled()
            for path in settled:
                with self.lock:  # it may have been looked at meanwhile, for the losses at the end
                    items = self.whole(path) if path in self.waiting else ()
                for item in items:
                    self.taken += 1
                    yield item
                    if self.ending.reached(self.taken):
                        return
            self.ending.wait(self.rest)

    def refresh(self) -> None:
        """List the folder: files that are new, have changed, or have vanished."""
        start = monotonic()
        try:
            present = dict(self.listed())
        except OSError as error:
            if not self.away:
                self.interruptions += 1
                self.note(f"{self.folder}: lost, {error.strerror}. Looking for it again.")
            self.away = True
            return
        if self.away:
            self.note(f"{self.folder}: back.")
        self.away, now = False, monotonic()
        there = set(present.values())  # also under another name
        for path in [path for path in self.waiting if path not in present]:
            if self.waiting.pop(path).identity not in there:
                self.vanished[path] = None
        for path, identity in present.items():
            self.vanished.pop(path, None)
            known = self.waiting.get(path)
            if known is not None and known.identity not in there and known.is_overwritten(identity):
                self.overwritten[path] += 1
            if identity in self.judged:
                self.waiting.pop(path, None)
            elif known is not None and known.identity == identity:
                known.unchanged = True
            else:
                self.waiting[path] = Waiting(identity, now)
        self.forget(present)
        self.rest = max(POLL_SECONDS, REST * (monotonic() - start))

    def listed(self) -> Iterator[tuple[Path, Identity]]:
        """Images and videos below the folder. Raises OSError where the folder itself cannot be read."""
        next(self.folder.iterdir(), None)
        for place, names, drawn in folders_below(self.folder, FoundFiles()):
            for name in () if drawn else names:
                if name.startswith(".") or is_written(name, names) or not is_inspected(name):
                    continue
                try:
                    state = (place / name).stat()
                except OSError:  # it vanished just now
                    continue
                yield place / name, Identity(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)

    def forget(self, present: dict[Path, Identity]) -> None:
        """Bound what is remembered, files that are still there excepted."""
        if len(self.judged) > MAX_REMEMBERED:
            there = set(present.values())
            self.judged = {identity: None for identity in self.judged if identity in there}
            self.digests = {path: digest for path, digest in self.digests.items() if path in present}

    def settled(self) -> list[Path]:
        """Files that have not changed for a while, by the time of their last change."""
        now = monotonic()
        ready = [
            path
            for path, file in self.waiting.items()
            if file.identity.size and now - file.since >= file.patience
        ]
        return sorted(ready, key=lambda path: (self.waiting[path].identity.modified_ns, path))

    def whole(self, path: Path) -> Iterable[Item]:
        """Items of a file if it is whole, or has not changed for so long that it will not be; else none."""
        file = self.waiting[path]
        last_try, file.tried = file.tried, True
        digest = None
        items: Iterable[Item] = items_of(path, self.every)
        try:
            digest = file_hash(path)
            if not is_video(path):
                items = read_now(list(items))
            if identity_of(path) != file.identity:
                return ()
        except (BlemishError, OSError):
            if not last_try or not path.exists():
                return ()  # it is looked at again, or has vanished
            items = items_of(path, self.every)
        del self.waiting[path]
        self.judged[file.identity] = None
        if digest is not None and self.digests.get(path) == digest:
            return ()  # written again with the same content
        if digest is not None:
            self.digests[path] = digest
        return items

    def losses(self, judged: int) -> Losses:
        with self.lock:
            self.stop()
            self.refresh()
        found = files_below(self.folder) if self.folder.is_dir() else FoundFiles()
        left_out = [*found.left_out, *(LeftOut(str(path), Why.VANISHED) for path in self.vanished)]
        left_out += [LeftOut(str(path), Why.OVERWRITTEN) for path in self.overwritten.elements()]
        left_out += [LeftOut(str(path), Why.UNREADY) for path in sorted(self.waiting)]
        unfinished = self.taken - judged
        parts = [f"{judged} images inspected"]
        for number, what in (
            (unfinished, "not finished at the end"),
            (len(self.vanished), "vanished before they could be read"),
            (self.overwritten.total(), "overwritten before they could be read"),
            (len(self.waiting), "still being written, or not read at the end"),
        ):
            parts += [f"{number} {what}"] if number else []
        if self.interruptions:
            parts.append(f"folder lost {self.interruptions} times")
        fields = {
            "source": str(self.folder),
            "vanished": len(self.vanished),
            "overwritten": self.overwritten.total(),
            "not_ready": len(self.waiting),
            "unfinished": unfinished,
            "interruptions": self.interruptions,
        }
        return Losses(f"{self.folder}: {', '.join(parts)}", fields, tuple(left_out))


def identity_of(path: Path) -> Identity:
    state = path.stat()
    return Identity(state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)


def read_now(items: list[Item]) -> list[Item]:
    """Items of a file that is whole: of a single picture its pixels, of several the first and the last read.

    Raises BlemishError where they cannot be read.
    """
    first, *_ = pixels = [item.read() for item in dict.fromkeys([items[0], items[-1]])]
    return items if len(pixels) > 1 else [replace(items[0], read=lambda: first)]
