"""Names of the files of a station's folder; no other module knows them.

DIR/station.db, secrets, lock, supervisor.json
DIR/images/ab/<sha256>.<suffix>     images as they were received, or a frame as PNG
DIR/tiles/<sha256>.zip, bundles/<id>/, jobs/<id>/
DIR/lines/<name>/line.json, hold, socket, lock, taken.json, journal/00000001.jsonl, …
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blemish.errors import BlemishError

LINE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class LineFolder:
    """Files of one line. root: its folder, named as the line"""

    root: Path

    @property
    def name(self) -> str:
        return self.root.name

    @property
    def settings(self) -> Path:
        """File that says what the line does; the server writes it, the LINE process watches it."""
        return self.root / "line.json"

    @property
    def journal(self) -> Path:
        return self.root / "journal"

    @property
    def socket(self) -> Path:
        return self.root / "socket"

    @property
    def lock(self) -> Path:
        """Held by the one LINE process that writes the journal."""
        return self.root / "lock"

    @property
    def hold(self) -> Path:
        """File that keeps the line on hold while it is there, over restarts too; its text says why."""
        return self.root / "hold"

    @property
    def taken(self) -> Path:
        """File on which parts the source has given already, up to a place in the journal."""
        return self.root / "taken.json"


@dataclass(frozen=True)
class StationFolder:
    """Files of a station. root: DIR of `blemish station run DIR`"""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "station.db"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def images(self) -> Path:
        return self.root / "images"

    @property
    def tiles(self) -> Path:
        return self.root / "tiles"

    @property
    def bundles(self) -> Path:
        return self.root / "bundles"

    @property
    def jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def lines(self) -> Path:
        return self.root / "lines"

    @property
    def demo(self) -> Path:
        """Folder of what `station demo` draws and trains."""
        return self.root / "demo"

    @property
    def lock(self) -> Path:
        """Held by the supervisor: one station runs on a folder."""
        return self.root / "lock"

    @property
    def supervisor(self) -> Path:
        """File that names the running processes."""
        return self.root / "supervisor.json"

    def line(self, name: str) -> LineFolder:
        """Folder of a line, whether it is there or not. Raises BlemishError for a name that is refused."""
        if not LINE_NAME.fullmatch(name):
            raise BlemishError(
                "The name of a line must be 1 to 64 letters without accents, digits, '.', '_' or '-', and "
                f"begin with a letter or digit. Received: {name!r}. Choose another name."
            )
        return LineFolder(self.lines / name)

    def line_folders(self) -> Iterator[LineFolder]:
        """Folders of the lines that have settings, by name."""
        for file in sorted(self.lines.glob("*/line.json")):
            if LINE_NAME.fullmatch(file.parent.name):
                yield LineFolder(file.parent)

    def image(self, sha256: str, suffix: str) -> Path:
        """Path of a stored image. suffix: with its dot"""
        return self.images / image_name(sha256, suffix)

    def tile_file(self, sha256: str) -> Path:
        """Path of an image's pyramid."""
        return self.tiles / f"{checked_digest(sha256)}.zip"


def image_name(sha256: str, suffix: str) -> str:
    """Name of a stored image below the folder `images`, as the journal has it: "ab/ab12….png"."""
    return f"{checked_digest(sha256)[:2]}/{sha256}{suffix}"


def checked_digest(sha256: str) -> str:
    """The digest itself. Raises BlemishError for any other text, of which no path may be made."""
    if not SHA256.fullmatch(sha256):
        raise BlemishError(f"A SHA-256 must be 64 hexadecimal digits. Received: {sha256!r}. Correct it.")
    return sha256
