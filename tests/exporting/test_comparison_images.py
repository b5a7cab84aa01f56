from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from blemish.bundle.store import sha256
from blemish.dataset.samples import Dataset
from blemish.exporting.comparison_images import IMAGES, comparison_images
from blemish.images.decode import read_image

TILE = 160


def test_the_synthetic_ones_are_of_every_kind(tmp_path: Path) -> None:
    made = comparison_images(tmp_path, None, tile=TILE, fixed=False, seed=0)
    assert len(made) == IMAGES == 32
    kinds, heights = set(), set()
    for image in made:
        pixels = read_image(image.file)
        kinds.add((image.file.suffix, pixels.ndim, str(pixels.dtype)))
        heights.add(pixels.shape[0])
        assert image.size == pixels.shape[:2]
        assert image.sha256 == sha256(image.file.read_bytes())
    assert kinds == {
        (suffix, dimensions, dtype)
        for suffix in (".png", ".tiff")
        for dimensions in (2, 3)
        for dtype in ("uint8", "uint16")
    }
    assert any(height % 2 for height in heights)
    assert any(max(image.size) > TILE for image in made)
    assert any(max(image.size) < TILE for image in made)


def test_sixteen_bits_hold_more_than_eight(tmp_path: Path) -> None:
    deep = [
        pixels
        for image in comparison_images(tmp_path, None, tile=None, fixed=False, seed=0)
        if (pixels := read_image(image.file)).dtype == np.uint16
    ]
    assert all((pixels % 257).any() and pixels.max() > 10_000 for pixels in deep)


def test_a_seed_draws_the_same_and_another_others(tmp_path: Path) -> None:
    first, again, other = (
        [each.sha256 for each in comparison_images(tmp_path / name, None, tile=None, fixed=False, seed=seed)]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert not set(first) & set(other)


def test_of_a_dataset_validation_and_defective_images_go_first_and_test_images_never(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    made = comparison_images(tmp_path, tiny_dataset, tile=None, fixed=False, seed=0)
    own = [image for image in made if image.origin != "synthetic"]
    assert len(made) == IMAGES
    assert len(own) == len(tiny_dataset) - len(tiny_dataset.split("test"))
    validation = tiny_dataset.split("val")
    defective = sum(sample.is_defective for sample in validation)
    by_name = {sample.id: sample for sample in tiny_dataset}
    assert [image.origin for image in own[: len(validation)]] == ["val"] * len(validation)
    assert all(by_name[image.name].is_defective for image in own[:defective])
    assert {image.origin for image in own} == {"val", "train"}


def test_a_large_dataset_leaves_room_for_every_kind(tiny_dataset: Dataset, tmp_path: Path) -> None:
    many = tuple(replace(each, id=f"{n}/{each.id}") for n in range(3) for each in tiny_dataset)
    made = comparison_images(tmp_path, replace(tiny_dataset, samples=many), tile=TILE, fixed=False, seed=0)
    assert len(made) == IMAGES
    assert {each.file.suffix for each in made if each.origin == "synthetic"} == {".png", ".tiff"}


def test_with_graphs_of_one_size_no_image_is_smaller(tiny_dataset: Dataset, tmp_path: Path) -> None:
    made = comparison_images(tmp_path, tiny_dataset, tile=TILE, fixed=True, seed=0)
    assert len(made) == IMAGES
    assert min(min(image.size) for image in made) == TILE, "those of the dataset are 96×96"
