"""Memory of good patches: a projection computed on some good images, a coreset of patches of all of them.

Each patch knows its image, so that an image can be judged by the patches of the others alone.
Letters: D dimensions, M patches in memory, P patches of an image.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from blemish.arrays import Pixels
from blemish.dataset.samples import Sample
from blemish.images.photometric import photometric_jitter
from blemish.images.tiling import planes
from blemish.methods.contract import Trainer
from blemish.methods.memory.inference import continued, patches_of, square
from blemish.methods.memory.network.features import FeatureNetwork
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.training.coreset import coreset
from blemish.methods.memory.training.store import FeatureStore
from blemish.methods.memory.training.whitening import whitening

WHITENED_IMAGES = 48  # at most, that the projection is computed on
WHITENED_PATCHES = 20_000
FAR_AWAY = 1e4  # in place of a patch that is left out: nothing is near it
QUARTERS = 4  # of a single image, which then take the place of images
WHITENING, VIEWS, POOL = range(3)  # kinds of random draws

Rows = NDArray[np.float32]
Numbers = NDArray[np.intp]


@dataclass(frozen=True)
class GoodPatches:
    """Memory of good patches. rows: [M, D]; owners: number of the good image that each is of, [M]"""

    rows: Rows
    owners: Numbers

    def of(self, owners: Sequence[int]) -> NDArray[np.bool_]:
        """Rows that are of some images, [M]."""
        return np.isin(self.owners, owners)

    def without(self, owners: Sequence[int]) -> Rows:
        """Rows [M, D] in which those of some images are so far away that they count for nothing."""
        left = self.rows.copy()
        left[self.of(owners)] = FAR_AWAY
        return left


def set_whitening(
    network: FeatureNetwork, samples: Sequence[Sample], settings: MemorySettings, trainer: Trainer
) -> None:
    """Compute the network's projection on patches of some good images, drawn by the seed."""
    generator = np.random.default_rng([trainer.seed, WHITENING])
    drawn = [samples[number] for number in generator.permutation(len(samples))[:WHITENED_IMAGES]]
    each = -(-WHITENED_PATCHES // len(drawn))
    found = []
    for sample in trainer.track(drawn, "principal components"):
        with torch.inference_mode():
            features = network.unprojected(network_input(trainer.read(sample, 3), settings))
        rows = features[0].flatten(1).T
        found.append(rows[torch.from_numpy(generator.permutation(len(rows))[:each])].clone())
    network.set_projection(*whitening(torch.cat(found), settings.dimensions, floor=settings.whitening_floor))


def network_input(pixels: Pixels, settings: MemorySettings) -> Tensor:
    """Image as the network takes it whole, [1, 3, H, W]."""
    image = continued(pixels, settings.multiple) if settings.size is None else square(pixels, settings.size)
    return torch.from_numpy(planes(image))[None].contiguous(memory_format=torch.channels_last)


def collect(samples: Sequence[Sample], store: FeatureStore, settings: MemorySettings) -> GoodPatches:
    """Choose the memory among as many patches of each good image and of its views.

    Of a single image, its quarters count as images.
    """
    trainer = store.trainer
    each = max(1, settings.pool // (len(samples) * (1 + settings.light_views)))
    rows, owners = [], []
    for number, sample in enumerate(trainer.track(samples, "patches of good images")):
        generator = np.random.default_rng([trainer.seed, POOL, number])
        for features in features_of_views(sample, number, store, settings):
            found = patches_of(features)
            drawn = generator.permutation(len(found))[:each]
            rows.append(found[drawn])
            owners.append(quarters(features)[drawn] if len(samples) == 1 else np.full(len(drawn), number))
    pool = np.concatenate(rows)
    chosen = coreset(torch.from_numpy(pool), settings.memory, torch.Generator().manual_seed(trainer.seed))
    return GoodPatches(pool[chosen], np.concatenate(owners)[chosen])


def features_of_views(
    sample: Sample, number: int, store: FeatureStore, settings: MemorySettings
) -> Iterator[Rows]:
    """Features of the image, and of copies under other light, as many as the settings ask for."""
    yield store.of(sample)
    generator = np.random.default_rng([store.trainer.seed, VIEWS, number])
    for _ in range(settings.light_views):
        jittered = photometric_jitter(store.trainer.read(sample, 3), generator, settings)
        view = np.rint(jittered.clip(0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
        yield store.inference.features(np.ascontiguousarray(view), store.networks)[0]


def quarters(features: Rows) -> Numbers:
    """Number of the quarter that each patch lies in, 0 … 3, row by row. features: [D, h, w]"""
    height, width = features.shape[1:]
    below, right = np.arange(height) >= height / 2, np.arange(width) >= width / 2
    return (2 * below[:, None] + right[None]).astype(np.intp).ravel()
