"""Backup of a station into a folder, and a station restored from one.

A backup holds a copy of the database made while it runs, the journals, bundles, secrets, and a list with the
SHA-256 of every file. Tiles and the folders of jobs are left out: they can be made again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from blemish.bundle.store import sha256_of
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.station.layout import StationFolder
from blemish.untrusted import inside, read_json

LIST = "backup.json"
SCHEMA = 1
COPIED = ("secrets", "bundles", "lines", "images")
LEFT_OUT = frozenset({"socket", "lock"})


def back_up(station: StationFolder, out: Path, *, with_images: bool = True) -> int:
    """Write a backup; the station may run meanwhile. Returns the number of files.

    out: a folder that is new or empty
    Raises BlemishError where there is no station, a full disk, or something in the way.
    """
    if not station.database.is_file():
        raise BlemishError(
            f"{station.root} holds no database of a station. Check the path. PostgreSQL has pg_dump for this."
        )
    if out.exists() and any(out.iterdir()):
        raise BlemishError(f"{out} must be new or empty. Received: a folder with files. Choose another.")
    try:
        out.mkdir(parents=True, exist_ok=True)
        copy_database(station.database, out / station.database.name)
        for name in COPIED if with_images else COPIED[:-1]:
            for source in files_below(station.root / name):
                copy_stable(source, out / source.relative_to(station.root))
        hashes = {path.relative_to(out).as_posix(): sha256_of(path) for path in files_below(out)}
    except OSError as error:
        raise BlemishError(f"{out} cannot be written: {error.strerror}. Free some space.") from error
    content = {"schema": SCHEMA, "images": with_images, "files": hashes}
    write_atomically(out / LIST, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return len(hashes)


def restore(backup: Path, root: Path) -> int:
    """Make a station of a backup; every file is checked first. Returns the number of files.

    root: a folder that is new or empty
    Raises BlemishError for a backup with a file that is missing or was changed.
    """
    hashes = checked_list(backup)
    if root.exists() and any(root.iterdir()):
        raise BlemishError(f"{root} must be new or empty. Received: a folder with files. Choose another.")
    for name, digest in hashes.items():
        source = inside(backup, name, f"{backup / LIST}: files")
        if not source.is_file() or sha256_of(source) != digest:
            raise BlemishError(f"{source} is missing or was changed. Take another backup.")
    try:
        for name in hashes:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(backup / name, target)
        secrets = root / "secrets"
        if secrets.exists():
            secrets.chmod(0o600)
    except OSError as error:
        raise BlemishError(f"{root} cannot be written: {error.strerror}. Free some space.") from error
    return len(hashes)


def checked_list(backup: Path) -> dict[str, str]:
    """SHA-256 of every file of a backup by its name. Raises BlemishError for anything else."""
    content: Any = read_json(backup / LIST)
    if (
        not isinstance(content, dict)
        or content.get("schema") != SCHEMA
        or not isinstance(content.get("files"), dict)
    ):
        raise BlemishError(
            f"{backup / LIST} must be the list of a backup of this version. Take another backup."
        )
    return dict(content["files"])


def copy_database(source: Path, target: Path) -> None:
    """Copy a SQLite database while it is written to, by SQLite's own backup."""
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)
        new.execute("PRAGMA journal_mode=DELETE").close()


def copy_stable(source: Path, target: Path) -> None:
    """Copy a file with its rights. A journal may grow meanwhile: its torn end is cut on opening."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    shutil.copymode(source, target)


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files of a folder, or the file itself, without sockets and locks."""
    if folder.is_file():
        yield folder
    for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not path.is_symlink() and path.name not in LEFT_OUT and not hidden:
            yield path
