"""Results computed from an image, kept while there is room. An image is known by its pixels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Generic, Protocol, TypeVar

import numpy as np

from blemish.arrays import Floats
from blemish.methods.contract import CacheUse

MAX_BYTES = 4 << 30  # kept; beyond, results are computed anew


class Sized(Protocol):
    """Tensor or array."""

    @property
    def nbytes(self) -> int: ...


Results = TypeVar("Results", bound=Mapping[str, Sized])


class ImageMemory(Generic[Results]):
    """Results by image, up to `MAX_BYTES` in all. views: see `CacheUse`"""

    def __init__(self, *, views: int | None = None) -> None:
        self.results: dict[bytes, Results] = {}
        self.use = CacheUse(MAX_BYTES, views)

    def get(self, image: Floats, compute: Callable[[], Results]) -> Results:
        """Results for the image, stored or else from `compute`."""
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        key += repr(image.shape).encode()  # plain images of several shapes have the same pixels
        self.use.requests += 1
        if key in self.results:
            return self.results[key]
        began = perf_counter()
        results = compute()
        self.use.seconds += perf_counter() - began
        self.use.computed += 1
        if self.use.keep(sum(result.nbytes for result in results.values())):
            self.results[key] = results
        return results
