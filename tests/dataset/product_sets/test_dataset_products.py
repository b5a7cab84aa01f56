"""Taking one product out of several, and naming those that nothing can be learned from."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import products_layout, write_image

from blemish.dataset.convert import convert
from blemish.dataset.layouts import load_dataset
from blemish.dataset.product_sets.products import (
    ProductCounts,
    counts_of_products,
    defectives,
    normals,
    of_product,
    refuse_one_sided,
    without_product,
)
from blemish.dataset.quality.check import check_dataset
from blemish.dataset.splits.split import split_dataset
from blemish.errors import BlemishError


def test_product_keeps_its_samples_and_classes(tmp_path: Path) -> None:
    dataset = load_dataset(products_layout(tmp_path))
    tile = of_product(dataset, "tile")
    assert tile.samples == tuple(sample for sample in dataset if sample.id.startswith("tile/"))
    assert tile.class_names == ("Crack", "Hole")
    assert without_product(dataset, "tile").products == ("cap",)
    assert {*normals(dataset).samples, *defectives(dataset).samples} == set(dataset.samples)
    assert counts_of_products(dataset) == (ProductCounts("cap", 3, 2), ProductCounts("tile", 2, 2))


def test_unknown_product_names_the_nearest(tmp_path: Path) -> None:
    dataset = load_dataset(products_layout(tmp_path))
    with pytest.raises(BlemishError, match=r"Received: 'tiles'. Did you mean 'tile'\?"):
        of_product(dataset, "tiles")
    with pytest.raises(BlemishError, match=r"Received: 'screw'. Use one of cap, tile."):
        without_product(dataset, "screw")
    with pytest.raises(BlemishError, match=r"must be a folder of products to take 'cap' from"):
        of_product(load_dataset(tmp_path / "cap"), "cap")


@pytest.mark.parametrize(("clean", "bad", "kind"), [(3, 0, "defective"), (0, 3, "normal")])
def test_product_of_one_kind_of_image_is_named(tmp_path: Path, clean: int, bad: int, kind: str) -> None:
    root = products_layout(tmp_path, clean=clean, bad=bad)
    write_image(root / "cap" / "ok" / "x.png") if clean else write_image(root / "cap" / "ng" / "x.png")
    dataset = load_dataset(root)
    with pytest.raises(BlemishError, match=rf"product 'cap' must have .* Received: no {kind} image"):
        refuse_one_sided(dataset)
    report = check_dataset(dataset)
    assert [p.product for p in report.products] == ["cap", "tile"]
    assert any(f"no {kind} image" in problem.message for problem in report.problems)


def test_both_kinds_in_every_product_pass(tmp_path: Path) -> None:
    dataset = load_dataset(products_layout(tmp_path))
    refuse_one_sided(dataset)
    assert not any("must have normal and" in problem.message for problem in check_dataset(dataset).problems)


def test_every_product_gets_its_share_of_every_split(tmp_path: Path) -> None:
    """Stratified by class alone, the few clean images of one product could all land in training."""
    root = products_layout(tmp_path, clean=40, bad=20)
    for number in range(8):
        write_image(root / "tile" / "MT_Free" / "Imgs" / f"f{number}.jpg")
    for seed in range(5):
        cut = split_dataset(load_dataset(root), test=0.25, val=0, seed=seed)
        clean = [s for s in cut if s.product == "tile" and not s.is_defective]
        assert sum(sample.split == "test" for sample in clean) in (2, 3)


def test_products_survive_conversion_to_coco_and_are_named_lost_elsewhere(tmp_path: Path) -> None:
    dataset = load_dataset(products_layout(tmp_path / "data"))
    convert(dataset, tmp_path / "coco", "coco")
    again = load_dataset(tmp_path / "coco")
    assert {s.id: s.product for s in again} == {s.id: s.product for s in dataset}
    lost = convert(of_product(dataset, "tile"), tmp_path / "masks", "masks").warnings
    assert "masks cannot hold everything: 4 products are left out" in lost
