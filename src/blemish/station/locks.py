"""Locks of a station: one supervisor on a folder, and one process on the journal of a line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from blemish.errors import BlemishError
from blemish.folder_lock import FolderBusyError, locked_handle, read_holder, release


class RunningError(BlemishError):
    """Another process does this already."""


@contextmanager
def only_one(file: Path, what: str) -> Iterator[None]:
    """Keep every other process that asks for the same lock out while the block runs.

    file: made where it is not there; what: runs, as the first words of a message
    Raises RunningError, which names the process, where another one holds it; BlemishError where the file
    cannot be written, and where its file system has no locks.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = locked_handle(file, file.parent)
    except FolderBusyError as error:
        raise RunningError(f"{what} runs already{holder_of(file)}. Stop that process first.") from error
    except OSError as error:
        raise BlemishError(f"{file} cannot be written: {error.strerror}. Check its folder.") from error
    if handle is None:
        raise BlemishError(
            f"{file.parent} lies on a file system without locks, where two processes could write one record. "
            "Choose a folder on a disk of this computer."
        )
    try:
        yield
    finally:
        release(handle, file)


def holder_of(file: Path) -> str:
    """Words on who holds a lock; "" where its file does not say."""
    try:
        handle = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return read_holder(handle)
    finally:
        os.close(handle)
