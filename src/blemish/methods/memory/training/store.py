"""Whitened features of the dataset's images, kept in half precision while there is room.

Letters: D dimensions, h, w places.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.samples import Sample
from blemish.methods.contract import CacheUse, Networks, Trainer
from blemish.methods.memory.inference import MemoryInference

MAX_BYTES = 400 << 20


@dataclass(frozen=True)
class FeatureStore:
    """Features of samples, as inspection sees them. networks: with that of the features"""

    inference: MemoryInference
    networks: Networks
    trainer: Trainer
    kept: dict[str, NDArray[np.float16]] = field(default_factory=dict)
    use: CacheUse = field(default_factory=lambda: CacheUse(max_bytes=MAX_BYTES))

    def of(self, sample: Sample) -> NDArray[np.float32]:
        """Features [D, h, w] of a sample, each rounded to half precision whether it was kept or not."""
        halves = self.kept.get(sample.id)
        if halves is None:
            pixels = self.trainer.read(sample, 3)
            halves = self.inference.features(pixels, self.networks)[0].astype(np.float16)
            if self.use.keep(halves.nbytes):
                self.kept[sample.id] = halves
        return halves.astype(np.float32)
