"""Hashes of files and images by their content, so that names, paths and dates do not matter."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.decode import read_image

T = TypeVar("T")
R = TypeVar("R")


def file_hash(path: Path) -> str:
    """SHA-256 of the file's bytes. Raises BlemishError that names a file that cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise BlemishError(f"{path} must be readable. Received: {error.strerror}. Check the path.") from error


def pixel_hash(pixels: NDArray[Any]) -> str:
    """SHA-256 of an image: type, shape and values."""
    head = f"{pixels.dtype.str} {pixels.shape} ".encode()
    digest = hashlib.sha256(head)
    digest.update(np.ascontiguousarray(pixels).reshape(-1).view(np.uint8).data)  # not copied
    return digest.hexdigest()


def content_hash(path: Path) -> str:
    """SHA-256 of an image's pixels, however compressed; of what is no whole image, of the file's bytes."""
    try:
        return pixel_hash(read_image(path))
    except BlemishError:
        return file_hash(path)


def contents_of(paths: Iterable[Path]) -> dict[Path, str]:
    """Content hash of each image, by several threads; hashes of unchanged files are remembered."""
    distinct = list(dict.fromkeys(paths))
    return dict(zip(distinct, in_threads(remembered_content, distinct), strict=True))


def remembered_content(path: Path) -> str:
    """Content hash of a file, which is read again only when its size or its time of change is another."""
    try:
        state = path.stat()
    except OSError:
        return content_hash(path)  # which says what is wrong
    return content_of_state(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=2**17)
def content_of_state(path: Path, size: int, changed_ns: int) -> str:
    """Content hash of a file. size, changed_ns: they tell a changed file from a known one"""
    return content_hash(path)


def in_threads(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in the items' order; decoding and hashing leave Python's lock, so threads help."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(work, items)
