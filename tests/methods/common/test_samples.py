"""Samples read with their class maps, each made once by the trainer's cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset, Sample
from blemish.images.decode import read_image
from blemish.methods.common.samples import SampleReader

Bytes = NDArray[np.uint8]


class Cache:
    """As much of a trainer as reading needs, and the titles of what it tracked."""

    def __init__(self) -> None:
        self.maps: dict[str, Bytes] = {}
        self.computed = 0
        self.titles: list[str] = []

    def read(self, sample: Sample, channels: int | None) -> Any:
        return read_image(sample.image, channels=channels)

    def remember(self, sample: Sample, compute: Callable[[], Bytes]) -> Bytes:
        if sample.id not in self.maps:
            self.maps[sample.id], self.computed = compute(), self.computed + 1
        return self.maps[sample.id]

    def track(self, items: Iterable[Any], title: str) -> Iterable[Any]:
        self.titles.append(title)
        return items


def test_pixels_and_class_map_of_a_sample(tiny_dataset: Dataset) -> None:
    cache = Cache()
    reader = SampleReader(cache, tiny_dataset.class_names, 3)
    sample = next(sample for sample in tiny_dataset if sample.is_defective)
    for _ in range(2):
        pixels, classes = reader.read(sample)
    assert pixels.shape == (*classes.shape, 3)
    np.testing.assert_array_equal(classes, class_map(sample, tiny_dataset.class_names, classes.shape))
    assert cache.computed == 1
    np.testing.assert_array_equal(reader.pixels(sample), pixels)


def test_maps_come_with_the_masks_of_their_samples(tiny_dataset: Dataset) -> None:
    cache = Cache()
    reader = SampleReader(cache, tiny_dataset.class_names, 1)
    pairs = list(
        reader.maps_and_masks(tiny_dataset, lambda pixels: pixels.astype(np.float32), title="reading")
    )
    assert cache.titles == ["reading"]
    for sample, (values, mask) in zip(tiny_dataset, pairs, strict=True):
        pixels, classes = reader.read(sample)
        np.testing.assert_array_equal(values, pixels)
        np.testing.assert_array_equal(mask, classes > 0)
