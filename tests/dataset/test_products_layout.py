"""Folders of products: when they are taken as such, when they are not, and what each sample then says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from builders import (
    coco_layout,
    dagm_layout,
    labels_layout,
    masks_layout,
    mvtec_layout,
    products_layout,
    text,
    voc_layout,
    write_image,
    yolo_layout,
)

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError


def test_samples_carry_their_product_in_id_group_and_field(tmp_path: Path) -> None:
    root = products_layout(tmp_path)
    text(root / "cap" / "dataset.yaml", "group: '([gb])[0-9]'\n")
    dataset = load_dataset(root)
    assert dataset.products == ("cap", "tile")
    assert dataset.class_names == ("defect", "Crack", "Hole")
    samples = {sample.id: sample for sample in dataset}
    assert samples["cap/bad/b1.png"].group == "cap/b"
    assert samples["cap/bad/b1.png"].split is None
    assert samples["tile/MT_Hole/Imgs/c.jpg"].group is None
    assert {i: s.split for i, s in samples.items() if s.product == "tile"} == {
        "tile/MT_Crack/Imgs/a.jpg": "train",
        "tile/MT_Free/Imgs/d.jpg": "train",
        "tile/MT_Crack/Imgs/b.jpg": "test",
        "tile/MT_Hole/Imgs/c.jpg": "test",
    }


def test_reason_names_products_and_their_layouts(tmp_path: Path) -> None:
    reason = load_dataset(products_layout(tmp_path)).reason
    assert reason == (
        "each of cap, tile is a dataset by itself (labels, masks), so a product; "
        "'layout: lots' in dataset.yaml makes them one set"
    )


@pytest.mark.parametrize("build", [labels_layout, coco_layout, voc_layout, yolo_layout])
def test_whole_sets_side_by_side_are_products(tmp_path: Path, build: Callable[[Path], Path]) -> None:
    """Each of these layouts also matches the folder of both, which would mix their classes."""
    alone = build(tmp_path / "one" / "cap")
    build(tmp_path / "several" / "cap")
    build(tmp_path / "several" / "tile")
    dataset = load_dataset(tmp_path / "several")
    assert dataset.layout == "products"
    assert dataset.products == ("cap", "tile")
    expected = {f"cap/{s.id}": (s.split, len(s.annotations)) for s in load_dataset(alone)}
    assert {s.id: (s.split, len(s.annotations)) for s in dataset if s.product == "cap"} == expected


@pytest.mark.parametrize(
    ("build", "names", "layout"),
    [
        (mvtec_layout, ("bottle", "cable"), "mvtec"),
        (dagm_layout, ("one", "two"), "dagm"),
        (labels_layout, ("train", "lot2"), "labels"),
        (labels_layout, ("images", "more"), "labels"),
    ],
)
def test_parts_of_one_dataset_are_not_taken_apart(
    tmp_path: Path, build: Callable[[Path], Path], names: tuple[str, ...], layout: str
) -> None:
    for name in names:
        build(tmp_path / name)
    assert load_dataset(tmp_path).layout == layout


def test_class_folders_with_masks_stay_one_dataset_and_sets_of_them_are_products(tmp_path: Path) -> None:
    assert load_dataset(masks_layout(tmp_path / "one")).layout == "masks"
    for name in ("cap", "tile"):
        masks_layout(tmp_path / "two" / name)
    assert load_dataset(tmp_path / "two").products == ("cap", "tile")


def test_categories_of_mvtec_and_classes_of_dagm_are_products(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        mvtec_layout(tmp_path / "mvtec" / name)
    mvtec = load_dataset(tmp_path / "mvtec")
    assert mvtec.products == ("bottle", "cable")
    assert mvtec.class_names == ("bottle-crack", "cable-crack")
    assert "each of 2 categories is a product" in mvtec.reason
    assert load_dataset(tmp_path / "mvtec" / "bottle").products == ()
    root = dagm_layout(tmp_path / "dagm")
    assert load_dataset(root).products == ()
    (root / "Class1").rename(root / "Class2")
    dagm_layout(root)
    dagm = load_dataset(root)
    assert dagm.products == ("Class1", "Class2")
    assert "each of 2 classes is a product" in dagm.reason


def test_naming_the_layout_takes_categories_as_products(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        mvtec_layout(tmp_path / name)
    text(tmp_path / "dataset.yaml", "layout: products\n")
    dataset = load_dataset(tmp_path)
    assert dataset.products == ("bottle", "cable")
    assert dataset.class_names == ("crack",)


def test_products_of_a_product_keep_both_names(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        mvtec_layout(tmp_path / "mvtec" / name)
    labels_layout(tmp_path / "cap")
    dataset = load_dataset(tmp_path)
    assert dataset.products == ("cap", "mvtec/bottle", "mvtec/cable")
    assert all(sample.id.startswith(f"{sample.product}/") for sample in dataset)


def test_a_product_may_lie_elsewhere(tmp_path: Path) -> None:
    labels_layout(tmp_path / "photographs")
    for name in ("cap", "tile"):
        text(tmp_path / "out" / name / "dataset.yaml", "root: ../../photographs\n")
    dataset = load_dataset(tmp_path / "out")
    assert dataset.products == ("cap", "tile")
    assert len(dataset) == 10
    assert all(sample.image.is_file() for sample in dataset)
    assert dataset.samples[0].id == "cap/bad/b0.png"


def test_splits_of_the_folder_go_before_those_of_its_products(tmp_path: Path) -> None:
    root = products_layout(tmp_path)
    text(root / "splits" / "train.txt", "tile/MT_Hole/Imgs/c.jpg\ncap/good/g0.png\n")
    dataset = load_dataset(root)
    assert sorted(s.id for s in dataset.split("train")) == ["cap/good/g0.png", "tile/MT_Hole/Imgs/c.jpg"]
    assert dataset.split("test").samples == ()


def test_unreadable_product_is_named_or_left_out(tmp_path: Path) -> None:
    root = products_layout(tmp_path)
    write_image(root / "spare" / "x.png")
    text(root / "dataset.yaml", "layout: products\n")
    with pytest.raises(BlemishError, match=r"spare must have a known layout"):
        load_dataset(root)
    dataset = load_dataset(root, skip_broken=True)
    assert dataset.products == ("cap", "tile")
    assert "must have a known layout" in dataset.skipped["spare"]


def test_broken_image_of_a_product_is_skipped_under_its_name(tmp_path: Path) -> None:
    root = products_layout(tmp_path)
    (root / "tile" / "MT_Hole" / "Imgs" / "c.png").unlink()
    (root / "tile" / "splits" / "test.txt").write_text("b\n")
    assert list(load_dataset(root, skip_broken=True).skipped) == ["tile/MT_Hole/Imgs/c.jpg"]


def test_product_around_its_own_folder_is_refused(tmp_path: Path) -> None:
    root = products_layout(tmp_path)
    text(root / "cap" / "dataset.yaml", "root: ..\n")
    with pytest.raises(BlemishError, match=r"cap/dataset.yaml: 'root' must be a folder of one product"):
        load_dataset(root)


def test_folder_of_products_without_pictures_is_refused(tmp_path: Path) -> None:
    text(tmp_path / "dataset.yaml", "layout: products\n")
    with pytest.raises(BlemishError, match=r"must hold images. Received: no image, 1 \.yaml"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("missing", ["good", "bad"])
def test_a_product_of_one_kind_stays_a_product(tmp_path: Path, missing: str) -> None:
    """A product of one kind is not a lot of a dataset that its neighbours would be mixed with."""
    for name in ("cap", "lid", "tile"):
        for kind in ("good", "bad"):
            if (name, kind) != ("lid", missing):
                write_image(tmp_path / name / kind / "a.png")
    dataset = load_dataset(tmp_path)
    assert dataset.products == ("cap", "lid", "tile")
    assert [s.is_defective for s in dataset if s.product == "lid"] == [missing == "good"]
    assert load_dataset(tmp_path, layout="products").products == dataset.products


def test_lots_of_one_kind_each_are_one_dataset(tmp_path: Path) -> None:
    write_image(tmp_path / "lot1" / "good" / "a.png")
    write_image(tmp_path / "lot2" / "bad" / "a.png")
    dataset = load_dataset(tmp_path)
    assert (dataset.layout, dataset.products, len(dataset)) == ("labels", (), 2)
