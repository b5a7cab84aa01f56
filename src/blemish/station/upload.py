"""Unpacking an uploaded bundle: regular files alone, flat, within caps, before anything reads them.

An archive may lie: about its sizes, by links, by names that lead out of the folder, by a few bytes that
become terabytes. Each of these is refused before the bundle's own hashes are checked.
"""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from blemish.errors import BlemishError

MAX_FILES = 64
MAX_BYTES = 8 << 30
MAX_RATIO = 200  # weights shrink by a tenth; a manifest of a thousand classes by twenty
SMALL = 1 << 20  # below, any ratio may be
CHUNK = 1 << 20


class UploadRefusedError(BlemishError):
    """An archive that is no bundle, or would do harm."""


def unpack(archive: BinaryIO, out: Path) -> None:
    """Unpack a ZIP of a bundle, flat or in one folder, into a folder that must be empty.

    Raises UploadRefusedError for anything but regular files, a foreign name, and sizes beyond the caps.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = checked_entries(opened.infolist())
            total = 0
            for name, entry in entries.items():
                total = copy_entry(opened, entry, out / name, total)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError) as error:
        raise UploadRefusedError(
            f"The upload must be a ZIP of a bundle's files. Received: {error}. Zip the bundle's folder again."
        ) from error


def checked_entries(entries: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Files of an archive by their names in the bundle. Raises UploadRefusedError."""
    files = [entry for entry in entries if not entry.is_dir()]
    if not files or len(entries) > MAX_FILES:
        raise UploadRefusedError(
            f"A bundle has 1 to {MAX_FILES} files. Received: {len(files)}. Zip it again."
        )
    folders = {PurePosixPath(entry.filename).parent for entry in files}
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in files:
        path = PurePosixPath(entry.filename)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        flat = (
            len(folders) == 1 and len(path.parts) <= 2 and ".." not in path.parts and not path.is_absolute()
        )
        if not flat or "\\" in entry.filename or "\0" in entry.filename or path.name in ("", ".", ".."):
            raise UploadRefusedError(
                "A bundle's files must lie side by side, at the top of the ZIP or in one folder. Received: "
                f"'{entry.filename[:80]}'. Zip the bundle's folder again."
            )
        if kind not in (0, stat.S_IFREG):
            raise UploadRefusedError(
                f"'{entry.filename[:80]}' must be a regular file. Received: a link or device."
            )
        if entry.flag_bits & 1:
            raise UploadRefusedError(
                f"'{entry.filename[:80]}' is encrypted. Zip the bundle without a password."
            )
        if path.name in found:
            raise UploadRefusedError(f"'{entry.filename[:80]}' is in the ZIP twice. Zip the bundle again.")
        found[path.name] = entry
    if sum(entry.file_size for entry in files) > MAX_BYTES:
        raise UploadRefusedError(f"A bundle has at most {MAX_BYTES >> 30} GiB. Received: more.")
    return found


def copy_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, total: int) -> int:
    """Copy a file out of an archive, counting its real bytes; returns those of all so far.

    Raises UploadRefusedError where they are more than the archive says, or out of proportion.
    """
    written = 0
    limit = max(SMALL, MAX_RATIO * max(1, entry.compress_size))
    with archive.open(entry) as source, target.open("xb") as file:
        while piece := source.read(CHUNK):
            written += len(piece)
            if written > entry.file_size or written > limit or total + written > MAX_BYTES:
                raise UploadRefusedError(
                    f"'{entry.filename[:80]}' is far more than its {entry.compress_size} bytes, as no "
                    "bundle does."
                )
            file.write(piece)
    return total + written
