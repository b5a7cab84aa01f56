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
    for picture in made:
        pixels = read_image(picture.file)
        kinds.add((picture.file.suffix, pixels.ndim, str(pixels.dtype)))
        heights.add(pixels.shape[0])
        assert picture.size == pixels.shape[:2]
        assert picture.sha256 == sha256(picture.file.read_bytes())
    assert kinds == {
        (suffix, dimensions, dtype)
        for suffix in (".png", ".tiff")
        for dimensions in (2, 3)
        for dtype in ("uint8", "uint16")
    }
    assert any(height % 2 for height in heights)
    assert any(max(picture.size) > TILE for picture in made)
    assert any(max(picture.size) < TILE for picture in made)


def test_sixteen_bits_hold_more_than_eight(tmp_path: Path) -> None:
    deep = [
        pixels
        for picture in comparison_images(tmp_path, None, tile=None, fixed=False, seed=0)
        if (pixels := read_image(picture.file)).dtype == np.uint16
    ]
    assert all((pixels % 257).any() and pixels.max() > 10_000 for pixels in deep)


def test_a_seed_draws_the_same_and_another_others(tmp_path: Path) -> None:
    first, again, other = (
        [one.sha256 for one in comparison_images(tmp_path / name, None, tile=None, fixed=False, seed=seed)]
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again
    assert not set(first) & set(other)


def test_of_a_dataset_validation_and_defective_images_go_first_and_test_images_never(
    tiny_dataset: Dataset, tmp_path: Path
) -> None:
    made = comparison_images(tmp_path, tiny_dataset, tile=None, fixed=False, seed=0)
    own = [picture for picture in made if picture.origin != "synthetic"]
    assert len(made) == IMAGES
    assert len(own) == len(tiny_dataset) - len(tiny_dataset.split("test"))
    validation = tiny_dataset.split("val")
    defective = sum(sample.is_defective for sample in validation)
    by_name = {sample.id: sample for sample in tiny_dataset}
    assert [picture.origin for picture in own[: len(validation)]] == ["val"] * len(validation)
    assert all(by_name[picture.name].is_defective for picture in own[:defective])
    assert {picture.origin for picture in own} == {"val", "train"}


def test_a_large_dataset_leaves_room_for_every_kind(tiny_dataset: Dataset, tmp_path: Path) -> None:
    many = tuple(replace(one, id=f"{n}/{one.id}") for n in range(3) for one in tiny_dataset)
    made = comparison_images(tmp_path, replace(tiny_dataset, samples=many), tile=TILE, fixed=False, seed=0)
    assert len(made) == IMAGES
    assert {one.file.suffix for one in made if one.origin == "synthetic"} == {".png", ".tiff"}


def test_with_graphs_of_one_size_no_image_is_smaller(tiny_dataset: Dataset, tmp_path: Path) -> None:
    made = comparison_images(tmp_path, tiny_dataset, tile=TILE, fixed=True, seed=0)
    assert len(made) == IMAGES
    assert min(min(picture.size) for picture in made) == TILE, "those of the dataset are 96×96"
