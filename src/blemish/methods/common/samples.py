"""Reading samples for training: pixels with their class map, and predicted maps with their true masks.

Letters: H, W of an image, C channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Sample
from blemish.methods.contract import Trainer

ClassMap = NDArray[np.uint8]  # [H, W]: 0 on the surface, 1 + number of the class on defects
ReadSample = Callable[[int], tuple[Pixels, ClassMap]]  # from the number of a sample


@dataclass(frozen=True)
class SampleReader:
    """Reads samples through the trainer's cache.

    class_names: of the dataset; channels: 1 for luminance, 3 for colour, None as stored
    """

    trainer: Trainer
    class_names: tuple[str, ...]
    channels: int | None

    def pixels(self, sample: Sample) -> Pixels:
        """Decoded image of a sample, [H, W] or [H, W, C]."""
        return self.trainer.read(sample, self.channels)

    def read(self, sample: Sample) -> tuple[Pixels, ClassMap]:
        """Decoded image of a sample and its class map, [H, W]."""
        pixels = self.pixels(sample)
        size = (pixels.shape[0], pixels.shape[1])
        return pixels, self.trainer.remember(sample, lambda: class_map(sample, self.class_names, size))

    def maps_and_masks(
        self, samples: Iterable[Sample], predict: Callable[[Pixels], NDArray[np.float32]], *, title: str
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
        """Predicted map and true mask of each sample, [H, W] each, as `Trainer.sweep` takes them.

        predict: pixels to the map; title: of the progress bar
        """
        for sample in self.trainer.track(samples, title):
            pixels, classes = self.read(sample)
            yield predict(pixels), classes > 0
