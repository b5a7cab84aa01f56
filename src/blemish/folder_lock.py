"""Locks on output folders: one process at a time writes into a folder, and the next is told which.

A lock is the operating system's, on a file in the folder, so that it ends with its process however that ends.
Between computers it is only as good as the network file system: some versions of NFS keep locks from each
other's clients, and where a file system has none at all, a line says so and the work goes on.
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from blemish.errors import BlemishError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]
    import msvcrt

P = ParamSpec("P")
R = TypeVar("R")

LOCK_NAME = ".blemish.lock"
BUSY = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL})
LOCKED_BYTE = 1 << 30  # behind the text, which others read: Windows keeps them from a locked byte


class FolderBusyError(BlemishError):
    """Another process writes into the folder."""


@contextmanager
def folder_lock(
    folder: Path, *, beside: bool = False, note: Callable[[str], None] = lambda line: None
) -> Iterator[None]:
    """Keep every other process that takes this lock out of a folder while the block runs.

    The folder is made where it is not there, and removed again if it stays empty.
    beside: lock by a file beside the folder, which may then be replaced as a whole
    note: called with a line where the file system has no locks
    Raises FolderBusyError, which names the process, its start and its command, where the folder is locked;
    BlemishError where it cannot be written, and for a folder in a bundle, which any other file would spoil.
    """
    file = lock_file(folder, beside=beside)
    refuse_bundle(folder, file.parent)
    made = [parent for parent in (file.parent, *file.parent.parents) if not parent.exists()]
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle = locked_handle(file, folder)
    except OSError as error:
        raise BlemishError(f"{folder} cannot be written: {error.strerror}. Choose another --out.") from error
    if handle is None:
        note(f"warning: {folder} lies on a file system without locks. Let nothing else write there.")
    try:
        yield
    finally:
        release(handle, file)
        for parent in made:  # the innermost first
            if not parent.exists() or any(parent.iterdir()):
                break
            parent.rmdir()


def refuse_bundle(folder: Path, real: Path) -> None:
    """Raise BlemishError where files of a folder would lie in a bundle. real: the folder, links followed"""
    for place in (real, *real.parents):
        manifest, start = place / "manifest.json", b""
        with suppress(OSError):
            if manifest.is_file():
                with manifest.open("rb") as file:
                    start = file.read(4096)
        if b'"schema_version"' in start and b'"method"' in start:
            raise BlemishError(
                f"{folder} must not lie in a bundle, which opens only with its own files. "
                f"Received: a folder in {place}. Choose another --out."
            )


def locks_out(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function that writes into the folder `out`: it runs under `folder_lock`, if there is one."""
    signature = inspect.signature(work)

    @wraps(work)
    def locked(*args: P.args, **kwargs: P.kwargs) -> R:
        out = signature.bind(*args, **kwargs).arguments.get("out")
        if out is None:
            return work(*args, **kwargs)
        with folder_lock(Path(out), note=lambda line: print(line, file=sys.stderr)):
            return work(*args, **kwargs)

    return locked


@contextmanager
def one_at_a_time(file: Path, *, seconds: float = 10.0) -> Iterator[None]:
    """Keep other processes from changing a file while the block runs, and wait for those that do.

    Raises FolderBusyError where another process holds it longer than so many seconds.
    """
    lock = file.with_name(f".{file.name}.lockfile")  # a bundle takes it for one of its own
    deadline = time.monotonic() + seconds
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            handle = locked_handle(lock, file)
            break
        except FolderBusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        except OSError as error:
            raise BlemishError(f"{file} cannot be written: {error.strerror}. Check its folder.") from error
    try:
        yield
    finally:
        release(handle, lock)


def lock_file(folder: Path, *, beside: bool) -> Path:
    """Path of a folder's lock: one for all names of the folder."""
    real = Path(os.path.realpath(folder))
    return real.with_name(f".{real.name}{LOCK_NAME}") if beside else real / LOCK_NAME


def is_empty_folder(folder: Path) -> bool:
    """True where a folder holds nothing but the lock on it."""
    return folder.is_dir() and all(path.name == LOCK_NAME for path in folder.iterdir())


def locked_handle(file: Path, folder: Path) -> int | None:
    """Open the lock's file, locked; None where its file system has no locks. folder: for messages"""
    while True:
        # A link in place of the file is not followed: it is written to.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        handle = os.open(file, flags, 0o666)
        try:
            lock(handle)
        except OSError as error:
            holder = read_holder(handle)
            os.close(handle)
            if error.errno in BUSY:
                raise FolderBusyError(
                    f"{folder} is being written by another process{holder}. Wait for its end, or choose "
                    "another --out."
                ) from error
            if error.errno not in NO_LOCKS:
                raise
            file.unlink(missing_ok=True)
            return None
        if is_still(file, handle):
            with suppress(OSError):  # the lock holds without its text, too
                write_holder(handle)
            return handle
        os.close(handle)  # the holder before removed it in between


def is_still(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(follow_symlinks=False), os.fstat(handle))
    except FileNotFoundError:
        return False


def lock(handle: int) -> None:
    """Lock an open file without waiting. Raises OSError where another process has it."""
    if fcntl is not None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    else:
        os.lseek(handle, LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)


def write_holder(handle: int) -> None:
    """Write into the lock's file who holds it, for whoever finds it locked."""
    command = shlex.join([Path(sys.argv[0] or "python").name, *sys.argv[1:]])
    holder = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": datetime.now(UTC).isoformat(sep=" ", timespec="seconds").replace("+00:00", " UTC"),
        "command": command[:500],
    }
    os.lseek(handle, 0, os.SEEK_SET)
    os.ftruncate(handle, 0)
    os.write(handle, json.dumps(holder).encode())


def read_holder(handle: int) -> str:
    """Words on who holds a lock; "" where its file does not say, as in the moment before it is written."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        holder: Any = json.loads(os.read(handle, 4096))
        return f" (PID {holder['process']} on {holder['host']}, since {holder['since']}: {holder['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def release(handle: int | None, file: Path) -> None:
    """Remove the lock's file while it is still locked, and close it."""
    if handle is None:
        return
    if fcntl is not None and is_still(file, handle):
        file.unlink(missing_ok=True)
    os.close(handle)
    if fcntl is None:  # Windows removes no open file; where the next holder has it open, it stays
        with suppress(OSError):
            file.unlink(missing_ok=True)
