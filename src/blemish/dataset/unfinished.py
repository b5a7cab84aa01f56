"""Folders that are written as a whole: what a stopped writer left is told from a finished dataset.

A hidden file, written before anything else, names the files without which the folder is not whole. They are
its settings and lists, whose loss would silently be another dataset: classes, splits, annotations.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.folder_lock import LOCK_NAME, is_empty_folder
from blemish.untrusted import inside, read_json

MARKER = ".blemish-dataset.json"
PARTS = ("*.yaml", "*.json", "splits/*.txt", "ImageSets/Main/*.txt", "annotations/*.json")
MAX_BYTES = 2**20


@contextmanager
def whole_folder(folder: Path, *, by: str) -> Iterator[None]:
    """Write a dataset to a new or empty folder inside the block; nothing of it stays where the block raises.

    by: the command, for whoever finds the folder unfinished
    Raises BlemishError where the folder holds anything.
    """
    refuse_content(folder)
    is_new = not folder.exists()
    try:
        with marked(folder, by=by):
            yield
    except BaseException:
        clear(folder)
        if is_new and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        raise


@contextmanager
def marked(folder: Path, *, by: str) -> Iterator[None]:
    """Mark a folder as unfinished, until the block has ended and the files that make it whole are known."""
    write_marker(folder, by, [SETTINGS_NAME])
    yield
    found = (file.relative_to(folder).as_posix() for part in PARTS for file in folder.glob(part))
    write_marker(folder, by, sorted(name for name in found if name != MARKER))


def refuse_content(folder: Path) -> None:
    """Raise BlemishError unless the folder is new or empty."""
    if not folder.exists() or is_empty_folder(folder):
        return
    what = "one with content"
    if (folder / MARKER).exists() and missing_files(folder):
        what = "what an earlier command left unfinished; delete it"
    elif not folder.is_dir():
        what = "a file"
    raise BlemishError(f"{folder} must be a new or empty folder. Received: {what}. Name another.")


def refuse_unfinished(folder: Path) -> None:
    """Raise BlemishError for a folder of which its writer left but a part."""
    marker = folder / MARKER
    if not marker.exists():
        return
    if missing := missing_files(folder):
        by = read_json(marker, max_bytes=MAX_BYTES).get("written_by")
        named = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise BlemishError(
            f"{folder} must be whole. Received: one without {named}, which `{by}` did not finish, or "
            f"which has lost them since. Make it again, or delete {MARKER} in it to use it as it is."
        )


def missing_files(folder: Path) -> list[str]:
    """Names of files that the folder's marker lists and that are not there.

    Lists of splits beside the annotations may be removed all together, to split anew; one of them may not.
    """
    marker = folder / MARKER
    content = read_json(marker, max_bytes=MAX_BYTES)
    names = content.get("whole_with") if isinstance(content, dict) else None
    if not isinstance(names, list):
        raise BlemishError(f"{marker} must list 'whole_with'. Received: none. Delete it.")
    missing = [str(name) for name in names if not inside(folder, name, f"{marker}: 'whole_with'").is_file()]
    lists = {str(name) for name in names if str(name).startswith("splits/")}
    beside = {*map(str, names)} - lists - {SETTINGS_NAME}
    removed = bool(beside) and lists <= {*missing}
    return [name for name in missing if not (removed and name in lists)]


def write_marker(folder: Path, by: str, names: Sequence[str]) -> None:
    """Name the files without which a folder is not whole, before they are written."""
    content = {"written_by": by, "whole_with": list(names)}
    write_atomically(folder / MARKER, json.dumps(content, indent=1) + "\n")


def clear(folder: Path) -> None:
    """Remove all that a folder holds but the lock on it; links are removed, not what they lead to."""
    found = folder.iterdir() if folder.is_dir() else ()
    for path in (path for path in found if path.name != LOCK_NAME):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
