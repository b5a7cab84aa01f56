"""Writing files so that a reader, a full disk or a kill never sees half of one."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from blemish.errors import BlemishError

ESCAPING = frozenset({".json", ".html", ".csv"})


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to a temporary file beside `path`, flush it to disk, then rename it
    into place.

    Raises BlemishError that names the path when the disk is full or not writable, or for a file name that is
    not UTF-8 in a text that cannot hold it; the old file is then untouched.
    """
    data = encoded(content, path) if isinstance(content, str) else content
    with atomic_file(path) as file:
        file.write(data)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`, which is flushed to disk and renamed into place at the end.

    Where the block raises, it goes, and what was there before stays. Raises BlemishError as above.
    """
    # A name may be as long as the file system takes: the temporary one must not be longer.
    begin = os.fsencode(path.name)[:200].decode(errors="ignore")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{begin}.", dir=path.parent)
    except OSError as error:
        raise BlemishError(f"{path} cannot be written: {error.strerror}. Choose another folder.") from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)  # there is no way to read it alone
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        remedy = "Free some space and try again" if full else "Choose another folder"
        raise BlemishError(f"{path} cannot be written: {error.strerror}. {remedy}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def encoded(text: str, path: Path) -> bytes:
    """UTF-8 of a text; bytes of file names that are not UTF-8 become escapes, which JSON reads back.

    path: that is to be written; lists and settings would name another file by an escape, and are refused
    """
    if path.suffix in ESCAPING:
        return text.encode(errors="backslashreplace")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        line = next(line for line in text.splitlines() if text[error.start] in line)
        raise BlemishError(
            f"{path} holds UTF-8 alone. Received: {line.strip()!r}, a name in another encoding. Rename that "
            "file."
        ) from error
