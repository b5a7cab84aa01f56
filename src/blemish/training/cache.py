"""Cache of decoded arrays, bounded in bytes; the least recently used ones go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from time import perf_counter
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from blemish.methods.contract import CacheUse

LIMIT_BYTES = 1 << 30
Array = TypeVar("Array", bound=NDArray[np.generic])


class ArrayCache:
    """Maps keys to arrays; safe to use from several threads. limit: bytes of all arrays together."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.use = CacheUse(limit, views=1)
        self.arrays: OrderedDict[Hashable, NDArray[np.generic]] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], Array]) -> Array:
        """Get the array of a key, computed where it is not cached. Callers must not change it."""
        with self.lock:
            self.use.requests += 1
            if key in self.arrays:
                self.arrays.move_to_end(key)
                return cast(Array, self.arrays[key])
        began = perf_counter()
        array = compute()
        with self.lock:
            self.use.seconds += perf_counter() - began
            self.use.computed += 1
            self.add(key, array)
        return array

    def add(self, key: Hashable, array: NDArray[np.generic]) -> None:
        """Keep an array, in place of the oldest where there is no room."""
        if key in self.arrays or array.nbytes > self.use.max_bytes:
            return
        while not self.use.keep(array.nbytes):
            _, oldest = self.arrays.popitem(last=False)
            self.use.drop(oldest.nbytes)
        self.arrays[key] = array
