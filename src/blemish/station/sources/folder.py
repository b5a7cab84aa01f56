"""A watched folder: each image file that comes into it is a part, once, and not before it is whole.

The folder is listed again and again, which works on network shares as well. A file counts when its size and
time have not changed for a moment, or at once where its writer renames it in; then its bytes are read, once,
and what is hashed, inspected and kept are these. One that does not decode is waited for longer, as its writer
may only have paused, and is then an ERROR. A file that was renamed, or written again with the same bytes, is
the part that it was; one that vanished or was overwritten unread is recorded as missed.
The serial number of a part is the name of its file without the suffix, its lot the folder that it lies in
below the watched one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic, perf_counter, time

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import SUFFIXES, page_count, read_image
from blemish.images.opening import EncodedImage
from blemish.inspector.found_files import FoundFiles, folders_below, is_written
from blemish.inspector.sources import Item, refused, stem_of
from blemish.station.line.parts import Part
from blemish.station.line.settings import FolderSource
from blemish.station.sources.taken import Identity, Taken
from blemish.untrusted import regular_file

POLL_SECONDS = 0.1
SETTLED_SECONDS = 0.3  # without a change, before a file is read
PATIENCE_SECONDS = 10.0  # without a change, before a file that does not decode counts as damaged
REST = 10.0  # times as long as listing took, before the folder is listed again
MAX_FILE_BYTES = 1 << 30
FORGET_EVERY = 1000  # looks
Missed = Callable[[str, str, str], None]  # name, reason in a word, and a sentence


@dataclass
class Waiting:
    """A file that was not taken yet. since: of its last change, by the monotonic clock

    tried: to read it in this state; looks: that have seen it in this state
    """

    identity: Identity
    since: float
    tried: bool = False
    looks: int = 1

    def is_overwritten(self, by: Identity) -> bool:
        """True where another content has taken the place of this one, which was not just written on."""
        (inode, size, modified), (new_inode, new_size, new_modified) = self.identity, by
        if not size:
            return False
        if inode != new_inode or new_size < size:
            return True
        return self.looks > 1 and size == new_size and new_modified > modified


class FolderParts:
    """Parts of a watched folder. missed: told of files that nobody can inspect any more

    note: told when the folder is lost and when it is back
    """

    def __init__(
        self, settings: FolderSource, taken: Taken, *, missed: Missed, note: Callable[[str], None]
    ) -> None:
        self.settings, self.taken, self.missed, self.note = settings, taken, missed, note
        self.folder = Path(os.path.abspath(settings.path))  # noqa: PTH100 - links stay
        self.waiting: dict[Path, Waiting] = {}
        self.given: dict[Path, tuple[Identity, str]] = {}  # by this process; a record may not be written yet
        self.present = {Path(path) for path in taken.digests if path.startswith(f"{self.folder}{os.sep}")}
        self.stopped = Event()
        self.away = False
        self.looks = 0
        self.rest = POLL_SECONDS

    def parts(self) -> Iterator[Part]:
        """Parts as their files come, until `stop` is called."""
        while not self.stopped.is_set():
            self.look()
            for path in self.settled():
                if self.stopped.is_set():
                    return
                yield from self.parts_of(path)
            self.stopped.wait(self.rest)

    def stop(self) -> None:
        """End the parts, from any thread."""
        self.stopped.set()

    def look(self) -> None:
        """List the folder: files that are new, have changed, or have vanished."""
        start = monotonic()
        try:
            present = dict(self.listed())
        except OSError as error:
            if not self.away:
                self.note(f"{self.folder}: lost, {error.strerror}. Looking for it again.")
            self.away = True
            return
        if self.away:
            self.note(f"{self.folder}: back.")
        self.away = False
        there = set(present.values())  # also under another name
        for path in [path for path in self.waiting if path not in present]:
            if self.waiting.pop(path).identity not in there:
                self.missed(
                    str(path), "vanished", "The file vanished before it could be read. Remove files later."
                )
        for path, identity in present.items():
            known = self.waiting.get(path)
            if known is not None and known.identity not in there and known.is_overwritten(identity):
                why = "The file was overwritten before it could be read. Give each image a name of its own."
                self.missed(str(path), "overwritten", why)
            if self.was_taken(path, identity):
                self.waiting.pop(path, None)
                self.remove_left(path, identity)
            elif known is not None and known.identity == identity:
                known.looks += 1
            else:
                self.waiting[path] = Waiting(identity, last_change(identity))
        for path in self.present - present.keys():
            self.taken.vanished(str(path))
            self.given.pop(path, None)
        self.present = set(present)
        self.looks += 1
        if self.looks % FORGET_EVERY == 0:
            self.taken.forget(there)
        self.rest = max(POLL_SECONDS, REST * (monotonic() - start))

    def listed(self) -> Iterator[tuple[Path, Identity]]:
        """Images below the folder. Raises OSError where the folder itself cannot be read."""
        next(self.folder.iterdir(), None)
        for place, names, drawn in folders_below(self.folder, FoundFiles()):
            for name in () if drawn else names:
                if name.startswith(".") or is_written(name, names) or not is_image(name):
                    continue
                try:
                    yield place / name, identity_of(place / name)
                except OSError:  # it vanished just now
                    continue

    def was_taken(self, path: Path, identity: Identity) -> bool:
        return identity in self.taken.identities or self.given.get(path, ((), ""))[0] == identity

    def settled(self) -> list[Path]:
        """Files that have not changed for a while, by the time of their last change."""
        now = monotonic()
        return sorted(
            (
                path
                for path, file in self.waiting.items()
                if file.identity[1] and now - file.since >= self.patience(file)
            ),
            key=lambda path: (self.waiting[path].identity[2], path),
        )

    def patience(self, file: Waiting) -> float:
        """Seconds without a change before a file is read."""
        if self.settings.renamed:
            return 0.0
        return PATIENCE_SECONDS if file.tried else SETTLED_SECONDS

    def parts_of(self, path: Path) -> Iterator[Part]:
        """Parts of a file if it is whole, or has not changed for so long that it will not be; else none."""
        file = self.waiting[path]
        last_try, file.tried = file.tried or self.settings.renamed, True
        try:
            content = read_whole(path)
            if identity_of(path) != file.identity:
                return
        except OSError:
            return  # it is looked at again, or has vanished
        except BlemishError as error:
            del self.waiting[path]
            self.given[path] = file.identity, ""
            yield self.part(
                path, Item(str(path), stem_of(path), partial(refused, str(error))), None, "", 0, True
            )
            return
        sha256 = hashlib.sha256(content).hexdigest()
        if sha256 in (self.given.get(path, ((), ""))[1], self.taken.digests.get(str(path))):
            del self.waiting[path]  # written again with the same content
            self.given[path] = file.identity, sha256
            return
        image = EncodedImage(content, str(path))
        try:
            count = page_count(image)
            start = perf_counter()
            first: Pixels | None = read_image(image, page=0 if count > 1 else None)
            decode_ms = 1e3 * (perf_counter() - start)
        except BlemishError:
            if not last_try:
                return
            count, first, decode_ms = 1, None, 0.0
        del self.waiting[path]
        self.given[path] = file.identity, sha256
        for page in range(count):
            name = f"{path}#{page:06d}" if count > 1 else str(path)
            if page == 0 and first is not None:
                read: Callable[[], Pixels] = partial(identical, first)
            else:
                read, decode_ms = partial(read_image, image, page=page if count > 1 else None), 0.0
            item = Item(name, stem_of(path), read, digest=lambda: sha256)
            alone = content if count == 1 else None
            yield self.part(path, item, alone, sha256, page, page + 1 == count, decode_ms or None)

    def part(
        self,
        path: Path,
        item: Item,
        content: bytes | None,
        sha256: str,
        page: int,
        last: bool,
        decode_ms: float | None = None,
    ) -> Part:
        lot = path.parent.relative_to(self.folder).as_posix()
        origin = {
            "path": str(path),
            "identity": list(self.given[path][0]),
            "sha256": sha256,
            "item": page,
            "last": last,
        }
        serial = path.stem if last and page == 0 else f"{path.stem}#{page:06d}"
        return Part(
            item,
            "folder",
            serial=serial,
            lot=None if lot == "." else lot,
            origin=origin,
            content=content,
            decode_ms=decode_ms,
            recorded=self.recorded,
        )

    def recorded(self, part: Part) -> None:
        """Remove the file of a part whose record is on the disk, where the settings say so."""
        if part.origin["last"]:
            inode, size, changed = part.origin["identity"]
            self.remove(Path(part.origin["path"]), (inode, size, changed))

    def remove_left(self, path: Path, identity: Identity) -> None:
        """Remove a recorded file that is left by a process which was killed before it could remove it."""
        if path not in self.given:
            self.remove(path, identity)

    def remove(self, path: Path, identity: Identity) -> None:
        """Remove a file that is recorded, where the settings say so and it is still the same."""
        if self.settings.after != "delete":
            return
        try:
            if identity_of(path) == identity:
                self.taken.vanished(str(path))
                self.given.pop(path, None)
                path.unlink()
        except FileNotFoundError:
            pass
        except OSError as error:
            self.given[path] = identity, ""  # once is enough
            self.note(f"{path} cannot be removed: {error.strerror}. Check the folder's permissions.")


def is_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - many, and quick


def identity_of(path: Path) -> Identity:
    """Content of a file, as the file system tells it; it stays when the file is renamed. Raises OSError"""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


def last_change(identity: Identity) -> float:
    """Time of a file's last change by the monotonic clock; now where the file's own time lies ahead."""
    return monotonic() - max(0.0, time() - identity[2] / 1e9)


def read_whole(path: Path) -> bytes:
    """Bytes of a regular file. Raises OSError; BlemishError for one of another sort, or that is too large."""
    size = regular_file(path).stat().st_size
    if size > MAX_FILE_BYTES:
        raise BlemishError(
            f"{path} must have at most {MAX_FILE_BYTES} bytes. Received: {size}. Cut the image."
        )
    return path.read_bytes()


def identical(pixels: Pixels) -> Pixels:
    return pixels
