"""Cache of decoded arrays, bounded in bytes; the least recently used ones go first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import TypeVar, cast

import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = 1 << 30
Array = TypeVar("Array", bound=NDArray[np.generic])


class ArrayCache:
    """Maps keys to arrays; safe to use from several threads. limit: bytes of all arrays together."""

    def __init__(self, limit: int = LIMIT_BYTES) -> None:
        self.limit = limit
        self.size = 0
        self.arrays: OrderedDict[Hashable, NDArray[np.generic]] = OrderedDict()
        self.lock = Lock()

    def get(self, key: Hashable, compute: Callable[[], Array]) -> Array:
        """Get the array of a key, computed where it is not cached. Callers must not change it."""
        with self.lock:
            if key in self.arrays:
                self.arrays.move_to_end(key)
                return cast(Array, self.arrays[key])
        array = compute()
        with self.lock:
            self.add(key, array)
        return array

    def add(self, key: Hashable, array: NDArray[np.generic]) -> None:
        if key in self.arrays or array.nbytes > self.limit:
            return
        self.arrays[key] = array
        self.size += array.nbytes
        while self.size > self.limit:
            _, oldest = self.arrays.popitem(last=False)
            self.size -= oldest.nbytes
