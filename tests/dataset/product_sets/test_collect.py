"""The collection of products: what is in each, that nothing serves two, and that crops are what they say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import mask, text, voc_file, write_image

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import defect_instances
from blemish.dataset.product_sets import makers
from blemish.dataset.product_sets.collect import collect_products, without_copies
from blemish.dataset.product_sets.crops import CropPlan, cut_crops, free_corners, window_sums
from blemish.dataset.product_sets.makers import PRODUCTS
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.quality.leaks import refuse_leaks
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.images.decode import read_image

STEEL_BOXES = {"a": (20, 30, 60, 150), "b": (1, 1, 200, 60), "c": (90, 100, 95, 104)}


def steel_set(root: Path) -> Path:
    """Three images of crazing, one of which also shows a scratch, and one of scratches."""
    for name, box in STEEL_BOXES.items():
        write_image(root / "neu-det" / "IMAGES" / f"crazing_{name}.jpg", size=(200, 200))
        more = [("scratches", 150, 150, 160, 190)] if name == "a" else []
        marks = [("crazing", *box), ("crazing", 170, 180, 199, 199), *more]
        voc_file(root / "neu-det" / "ANNOTATIONS" / f"crazing_{name}.xml", f"crazing_{name}.jpg", marks)
    write_image(root / "neu-det" / "IMAGES" / "scratches_1.jpg", size=(200, 200))
    voc_file(
        root / "neu-det" / "ANNOTATIONS" / "scratches_1.xml", "scratches_1.jpg", [("scratches", 5, 5, 50, 60)]
    )
    return root


def tile_set(root: Path, *, free: int = 20, marked: int = 5) -> Path:
    folder = root / "magnetic-tile"
    for number in range(free):
        write_image(folder / "MT_Free" / "Imgs" / f"f{number}.jpg")
    for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven"):
        for number in range(marked):
            write_image(folder / f"MT_{kind}" / "Imgs" / f"{kind}{number}.jpg")
            mask(folder / f"MT_{kind}" / "Imgs" / f"{kind}{number}.png", (number, 3, 12, 9))
    return root


def board_set(root: Path, *, boards: int = 6) -> Path:
    """Boards with a box of defect 1 in the middle, templates, and noise on both."""
    lines = []
    for number in range(boards):
        stem = root / "deeppcb" / "PCBData" / "group1" / "1" / f"{number}"
        write_image(stem.with_name(f"{number}_test.jpg"), size=(300, 300))
        write_image(stem.with_name(f"{number}_temp.jpg"), size=(300, 300))
        text(root / "deeppcb" / "PCBData" / "group1" / "1_not" / f"{number}.txt", "140 140 160 165 1\n")
        lines.append(f"group1/1/{number}.jpg group1/1_not/{number}.txt\n")
    text(root / "deeppcb" / "PCBData" / "trainval.txt", "".join(lines))
    return root


def place_of(sample: Sample) -> tuple[str, int, int]:
    """(stem of the image, x, y), from a crop's name."""
    found = re.fullmatch(r".*images/(.+)-x(\d+)-y(\d+)\.png", sample.id)
    assert found
    return found[1], int(found[2]), int(found[3])


def collection(data: Path, out: Path, *only: str, seed: int = 0) -> Dataset:
    collect_products(out, data, only=only, size=64, seed=seed)
    return load_dataset(out)


def test_free_tiles_are_shared_out_and_nothing_is_copied(tmp_path: Path) -> None:
    dataset = collection(tile_set(tmp_path / "data"), tmp_path / "out", "magnetic-tile")
    assert dataset.products == tuple(sorted(PRODUCTS["magnetic-tile"]))
    free = [sample.image.resolve() for sample in dataset if not sample.is_defective]
    assert len(free) == len(set(free)) == 20
    for name in dataset.products:
        product = of_product(dataset, name)
        assert sum(not sample.is_defective for sample in product) == 4
        assert {a.label.lower() for s in product for a in s.annotations} == {name.rpartition("-")[2]}
        assert product.splits["test"] in (2, 3)
    assert not list((tmp_path / "out").rglob("*.jpg"))
    refuse_leaks(dataset)


def test_masks_by_reference_are_those_of_the_source(tmp_path: Path) -> None:
    root = tile_set(tmp_path / "data")
    dataset = collection(root, tmp_path / "out", "magnetic-tile-fray")
    source = {s.image.resolve(): s for s in load_dataset(root / "magnetic-tile")}
    for sample in dataset:
        own, theirs = (defect_instances(s, (20, 30)) for s in (sample, source[sample.image.resolve()]))
        assert [i.box_xyxy for i in own] == [i.box_xyxy for i in theirs]
        assert all((a.mask == b.mask).all() for a, b in zip(own, theirs, strict=True))


def test_doubtful_tile_with_an_empty_mask_is_no_normal_one(tmp_path: Path) -> None:
    root = tile_set(tmp_path / "data")
    mask(root / "magnetic-tile" / "MT_Uneven" / "Imgs" / "Uneven0.png")
    dataset = collection(root, tmp_path / "out", "magnetic-tile")
    assert not any("Uneven0" in sample.id for sample in dataset)


def test_part_of_a_collection_is_the_same_as_in_the_whole(tmp_path: Path) -> None:
    root = steel_set(tile_set(tmp_path / "data"))
    names = ("magnetic-tile-crack", "neu-det-crazing")
    part = collection(root, tmp_path / "part", *names)
    whole = collection(root, tmp_path / "whole", "magnetic-tile", "neu-det-crazing")
    other = collection(root, tmp_path / "other", *names, seed=1)
    for name in names:
        assert fingerprint(of_product(part, name)) == fingerprint(of_product(whole, name))
        assert fingerprint(of_product(part, name)) != fingerprint(of_product(other, name))


def test_normal_crops_touch_no_box_and_defective_ones_hold_a_defect(tmp_path: Path) -> None:
    root = steel_set(tmp_path / "data")
    for seed in range(4):
        dataset = collection(root, tmp_path / str(seed), "neu-det-crazing", seed=seed)
        assert any(not sample.is_defective for sample in dataset)
        assert any(sample.is_defective for sample in dataset)
        for sample in dataset:
            stem, left, top = place_of(sample)
            source = root / "neu-det" / "IMAGES" / f"{stem}.jpg"
            pixels = read_image(sample.image)
            assert (pixels == read_image(source)[top : top + 64, left : left + 64]).all()
            assert sample.group == f"neu-det-crazing/IMAGES/{stem}.jpg"
            name = stem.removeprefix("crazing_")
            x1, y1, x2, y2 = STEEL_BOXES[name]  # VOC counts from 1, and its corners are inclusive
            boxes = [(x1 - 1, y1 - 1, x2, y2), (169, 179, 199, 199)]
            boxes += [(149, 149, 160, 190)] if name == "a" else []
            seen = [
                (max(a - left, 0), max(b - top, 0), min(c - left, 64), min(d - top, 64))
                for a, b, c, d in boxes
            ]
            expected = sorted(box for box in seen if box[0] < box[2] and box[1] < box[3])
            assert sorted(a.box_xyxy for a in sample.annotations) == expected


def test_crops_of_one_picture_stay_in_one_split(tmp_path: Path) -> None:
    dataset = collection(board_set(tmp_path / "data"), tmp_path / "out", "deeppcb")
    splits: dict[str | None, set[str | None]] = {}
    for sample in dataset:
        splits.setdefault(sample.group, set()).add(sample.split)
    assert len(splits) == 6
    assert all(len(found) == 1 for found in splits.values())


def test_boards_have_the_same_place_of_the_template_as_reference(tmp_path: Path) -> None:
    root = board_set(tmp_path / "data")
    dataset = collection(root, tmp_path / "out", "deeppcb")
    folder = root / "deeppcb" / "PCBData" / "group1" / "1"
    assert {sample.is_defective for sample in dataset} == {True, False}
    for sample in dataset:
        stem, left, top = place_of(sample)
        assert sample.reference is not None
        for path, name in ((sample.image, stem), (sample.reference, stem.replace("test", "temp"))):
            whole = read_image(folder / f"{name}.jpg")
            assert (read_image(path) == whole[top : top + 128, left : left + 128]).all()


def test_reference_of_another_size_is_refused(tmp_path: Path) -> None:
    root = board_set(tmp_path / "data", boards=2)
    write_image(root / "deeppcb" / "PCBData" / "group1" / "1" / "1_temp.jpg", size=(300, 310))
    with pytest.raises(BlemishError, match=r"1_temp\.jpg must be as large as .*1_test\.jpg. .* 310×300 for"):
        collect_products(tmp_path / "out", root, only=["deeppcb"])


def test_mask_of_a_crop_is_that_part_of_the_mask(tmp_path: Path) -> None:
    pixels = np.zeros((90, 120), np.uint8)
    cv2.line(pixels, (5, 40), (115, 60), 255, 3)
    write_image(tmp_path / "image" / "a.png", size=(90, 120))
    cv2.imwrite(str(write_image(tmp_path / "mask" / "a.png", size=(90, 120))), pixels)
    source = load_dataset(tmp_path)
    crops = cut_crops(source, CropPlan(side=32, normal=3, defective=2), tmp_path / "out", seed=5)
    assert sum(sample.is_defective for sample in crops) >= 1
    for sample in crops:
        _, left, top = place_of(sample)
        shown = np.zeros((32, 32), np.bool_)
        for instance in defect_instances(sample, (32, 32)):
            assert instance.mask is not None
            x1, y1, x2, y2 = map(int, instance.box_xyxy)
            shown[y1:y2, x1:x2] |= instance.mask
        assert (shown == (pixels[top : top + 32, left : left + 32] > 0)).all()


def test_window_sums_count_marked_pixels() -> None:
    marked = np.random.default_rng(0).random((11, 14)) < 0.3
    counted = [[marked[y : y + 4, x : x + 4].sum() for x in range(11)] for y in range(8)]
    assert (window_sums(marked, 4) == np.array(counted)).all()
    assert window_sums(marked, 12).size == 0


def test_free_windows_do_not_overlap() -> None:
    for seed in range(20):
        corners = free_corners(np.zeros((50, 60), np.bool_), 16, 4, np.random.default_rng(seed))
        covered = np.zeros((50, 60), np.int64)
        for top, left in corners:
            covered[top : top + 16, left : left + 16] += 1
        assert covered.max() == 1
        assert covered.sum() == len(corners) * 256


def test_picture_smaller_than_a_crop_or_full_of_marks_gives_none(tmp_path: Path) -> None:
    small = Sample(write_image(tmp_path / "small.png"), "small.png", (Annotation("dent", (1, 1, 9, 9)),))
    full = Sample(
        write_image(tmp_path / "full.png", size=(40, 40)), "full.png", (Annotation("dent", (0, 0, 40, 40)),)
    )
    crops = cut_crops(
        Dataset(tmp_path, (small, full), ("dent",)), CropPlan(32, 2, 1), tmp_path / "out", seed=0
    )
    assert [sample.is_defective for sample in crops] == [True]


def test_copies_go_and_contradictions_go_with_them(tmp_path: Path) -> None:
    for name in ("0/a", "0/b", "0/c", "1/d"):
        write_image(tmp_path / f"{name}.png")
    shutil.copy(tmp_path / "0" / "a.png", tmp_path / "0" / "a2.png")
    shutil.copy(tmp_path / "0" / "b.png", tmp_path / "1" / "b2.png")
    single, gone = without_copies(load_dataset(tmp_path))
    assert [sample.id for sample in single] == ["0/a.png", "0/c.png", "1/d.png"]
    assert gone == 3


def test_missing_sets_are_noted_unless_they_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(makers, "IMAGES_PER_TEXTURE", 9)
    root = tile_set(tmp_path / "data")
    collected = collect_products(tmp_path / "out", root, size=64)
    names = {made.counts.product for made in collected.made}
    assert names == {*PRODUCTS["magnetic-tile"], *PRODUCTS["synthetic"]}
    assert f"deeppcb is not in {root}: deeppcb left out" in collected.notes
    with pytest.raises(BlemishError, match=r"must hold the folder 'neu-det'"):
        collect_products(tmp_path / "more", root, only=["neu-det-crazing"])
    with pytest.raises(BlemishError, match=r"must hold the folder 'bc-defects'"):
        collect_products(tmp_path / "more", tmp_path / "out")


def test_drawn_products_have_both_kinds_in_every_split_and_differ(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    dataset = collection(tmp_path / "data", tmp_path / "out", "synthetic-leather", "synthetic-concrete")
    for name in dataset.products:
        product = of_product(dataset, name)
        assert sum(sample.is_defective for sample in product) == 50
        for split in ("train", "val", "test"):
            assert {sample.is_defective for sample in product.split(split)} == {True, False}
    assert all(a.has_outline for sample in dataset for a in sample.annotations)
    layouts = [json.loads((tmp_path / "out" / n / "annotations.json").read_text()) for n in dataset.products]
    assert layouts[0]["annotations"] != layouts[1]["annotations"]


def test_folder_in_use_and_small_size_are_refused(tmp_path: Path) -> None:
    write_image(tmp_path / "out" / "x.png")
    with pytest.raises(BlemishError, match=r"out must be a new or empty folder"):
        collect_products(tmp_path / "out", tmp_path)
    with pytest.raises(BlemishError, match=r"size must be at least 64 pixels. Received: 8"):
        collect_products(tmp_path / "new", tmp_path, size=8)


def test_real_sets(tmp_path: Path, data_root: Path) -> None:
    """Free tiles are shared out, caps lose their 52 copies, and no image is on both sides."""
    collected = collect_products(tmp_path / "out", data_root, only=["bc-defects", "magnetic-tile"])
    counts = {m.counts.product: (m.counts.normal, m.counts.defective) for m in collected.made}
    assert counts == {
        "bc-defects": (548, 184),
        "magnetic-tile-blowhole": (64, 92),
        "magnetic-tile-break": (64, 68),
        "magnetic-tile-crack": (64, 46),
        "magnetic-tile-fray": (64, 26),
        "magnetic-tile-uneven": (64, 80),
    }
    dataset = load_dataset(tmp_path / "out")
    refuse_leaks(dataset)
    for name in dataset.products:
        share = len(of_product(dataset, name).split("test")) / len(of_product(dataset, name))
        assert share == pytest.approx(0.3, abs=0.03)


def test_crops_that_show_the_same_are_kept_once(tmp_path: Path) -> None:
    """Else a test image could also be a training image, or the reference of one."""
    paths = [write_image(tmp_path / f"{name}.png", size=(32, 32), seed=name == "c") for name in "abcd"]
    alone = Sample(paths[0], "a.png")
    copy, own = Sample(paths[1], "b.png"), Sample(paths[2], "c.png", reference=paths[3])
    dataset = Dataset(tmp_path, (alone, copy, own), ())
    crops = cut_crops(dataset, CropPlan(32, 1, 1), tmp_path / "out", seed=0)
    assert [sample.group for sample in crops] == ["a.png"]


def test_sliver_of_a_defect_makes_neither_kind_of_crop(tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", size=(64, 64))
    sample = Sample(path, "a.png", (Annotation("dent", (40, 20, 42, 22)),))
    for seed in range(10):
        out = tmp_path / str(seed)
        for crop in cut_crops(Dataset(tmp_path, (sample,), ("dent",)), CropPlan(24, 2, 1), out, seed=seed):
            _, left, top = place_of(crop)
            assert not crop.is_defective
            assert left >= 42 or left + 24 <= 40 or top >= 22 or top + 24 <= 20
