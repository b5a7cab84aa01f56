"""Patches of rejected images: places near one of them alarm, whatever the memory and the head say.

How near is decided by the good patches: a ball about each defective one that ends well before the nearest
good one, so that no good patch of the memory is in any. Letters: P patches, N defective ones, D dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.methods.memory.nearest import PatchMemory

Floats = NDArray[np.float32]
REACH = 0.5  # radius of a ball as a share of the distance to the nearest good patch


@dataclass(frozen=True, eq=False)
class Positives:
    """Defective patches. rows: [N, D]; radii: of the balls about them, [N]"""

    rows: Floats
    radii: Floats

    @classmethod
    def beside(cls, memory: PatchMemory, rows: Floats) -> Positives:
        """Defective patches [N, D] beside a memory of good ones."""
        nearest = PatchMemory(memory.rows, neighbours=1)
        radii = nearest.distances(rows) if len(rows) else np.zeros(0, np.float32)
        return cls(np.ascontiguousarray(rows), REACH * radii)

    def __len__(self) -> int:
        return len(self.rows)

    def alarms(self, patches: Floats) -> Floats:
        """Score in [0, 1] of each patch: 1 at a defective one, 1/2 at the edge of its ball, 0 outside all.

        patches: [P, D]
        """
        found = np.zeros(len(patches), np.float32)
        for row, radius in zip(self.rows, self.radii, strict=True):
            if radius > 0:
                shares = np.linalg.norm(patches - row, axis=1) / radius
                found = np.maximum(found, np.where(shares <= 1, 1 - shares / 2, 0).astype(np.float32))
        return found
