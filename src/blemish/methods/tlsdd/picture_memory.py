"""What was computed of a picture, kept while there is room. A picture is known by its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

LARGEST = 4 << 30  # bytes kept; beyond, results are computed anew


class Sized(Protocol):
    """A tensor or an array."""

    @property
    def nbytes(self) -> int: ...


Results = TypeVar("Results", bound=Mapping[str, Sized])


class PictureMemory(Generic[Results]):
    """Results by picture, up to `LARGEST` bytes in all."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Results] = {}
        self.bytes = 0

    def of(self, picture: NDArray[np.float32], compute: Callable[[], Results]) -> Results:
        """What `compute` makes of the picture, or made of it before."""
        key = hashlib.blake2b(np.ascontiguousarray(picture).data, digest_size=16).digest()
        key += repr(picture.shape).encode()  # plain pictures of several shapes have the same pixels
        if key in self.kept:
            return self.kept[key]
        results = compute()
        size = sum(one.nbytes for one in results.values())
        if self.bytes + size <= LARGEST:
            self.kept[key] = results
            self.bytes += size
        return results
