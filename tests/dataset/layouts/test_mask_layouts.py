"""Layouts with masks, and of labelled folders: each public form read with its truth, and what goes wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset, MaskFile
from blemish.errors import BlemishError
from tests.dataset import builders, mask_builders
from tests.dataset.mask_builders import AREAS, CUT, TREES


def labels_by_id(dataset: Dataset) -> dict[str, list[str]]:
    return {sample.id: [a.label for a in sample.annotations] for sample in dataset}


def areas(dataset: Dataset) -> list[int]:
    """Marked pixels of each defective image, in ascending order."""
    maps = [class_map(s, dataset.class_names, builders.SIZE) for s in dataset if s.is_defective]
    return sorted(int((classes > 0).sum()) for classes in maps)


@pytest.mark.parametrize("form", TREES)
def test_every_form_is_read_with_its_truth(tmp_path: Path, form: str) -> None:
    dataset = load_dataset(TREES[form](tmp_path / "set"))
    assert areas(dataset) == AREAS
    assert sum(not sample.is_defective for sample in dataset) == 2
    assert len(dataset) == 4
    used, left_out = dataset.account.used, set(dataset.account.left_out)
    files = {p.relative_to(tmp_path / "set").as_posix() for p in (tmp_path / "set").rglob("*") if p.is_file()}
    assert used | left_out | set(dataset.account.notes) == files
    expected = {"can/test_private/000_mixed.png"} if form == "mvtec-ad-2" else set()
    assert left_out == expected


@pytest.mark.parametrize(
    ("form", "classes"),
    [
        ("kinds", ("cut", "dent")),
        ("kinds-beside", ("defect",)),
        ("aitex", ("defect",)),
        ("btad", ("defect",)),
        ("mvtec-loco", ("cut", "dent")),
        ("realiad", ("cut", "dent")),
        ("visa", ("defect",)),
        ("voc-segmentation", ("cut", "dent")),
        ("roboflow", ("cut", "dent")),
        ("magnetic-tile", ("cut", "dent")),
        ("kolektor", ("defect",)),
    ],
)
def test_classes_are_those_that_the_form_names(tmp_path: Path, form: str, classes: tuple[str, ...]) -> None:
    assert load_dataset(TREES[form](tmp_path)).class_names == classes


@pytest.mark.parametrize(
    ("form", "splits"),
    [
        ("mvtec-ad-2", {"test": 2, "train": 1, "val": 1}),
        ("visa", {"train": 1, "test": 3}),
        ("realiad", {"train": 1, "test": 3}),
        ("voc-segmentation", {"train": 2, "val": 2}),
        ("roboflow", {"test": 1, "train": 2, "val": 1}),
        ("split-folders", {"train": 4}),
    ],
)
def test_splits_are_those_that_the_form_has(tmp_path: Path, form: str, splits: dict[str, int]) -> None:
    assert load_dataset(TREES[form](tmp_path)).splits == splits


def test_items_of_kolektor_and_views_of_real_iad_are_groups(tmp_path: Path) -> None:
    items = load_dataset(mask_builders.kolektor(tmp_path / "a"))
    assert [sample.group for sample in items] == ["kos01", "kos01", "kos02", "kos02"]
    parts = load_dataset(mask_builders.realiad(tmp_path / "b"))
    assert len({sample.group for sample in parts}) == 4


@pytest.mark.parametrize("form", ["visa", "realiad", "mvtec-loco"])
def test_several_categories_are_products(tmp_path: Path, form: str) -> None:
    """The second category is the first under another name."""
    TREES[form](tmp_path / "one")
    names = {
        "visa": ("candle", "fryum"),
        "realiad": ("audiojack", "bottle_cap"),
        "mvtec-loco": ("pins", "juice"),
    }
    first, second = names[form]
    root = tmp_path / "set"
    for name in (first, second):
        TREES[form](tmp_path / name if form != "mvtec-loco" else root / name)
        if form == "visa":
            (tmp_path / name / "candle").rename(tmp_path / f"{name}-category")
            root.mkdir(exist_ok=True)
            (tmp_path / f"{name}-category").rename(root / name)
        if form == "realiad":
            (root / "realiad_jsons").mkdir(parents=True, exist_ok=True)
            (root / "realiad_256").mkdir(exist_ok=True)
            (tmp_path / name / "realiad_256" / "audiojack").rename(root / "realiad_256" / name)
            listed = (tmp_path / name / "realiad_jsons" / "audiojack.json").read_text()
            (root / "realiad_jsons" / f"{name}.json").write_text(listed.replace("audiojack", name))
    dataset = load_dataset(root)
    assert dataset.products == tuple(sorted((first, second)))
    assert len(dataset) == 8
    assert all(a.label.startswith(f"{s.product}-") for s in dataset for a in s.annotations)


def test_a_mask_of_a_clean_folder_must_be_empty(tmp_path: Path) -> None:
    root = mask_builders.kinds(tmp_path)
    builders.mask(root / "mask" / "good" / "0.png")
    assert areas(load_dataset(root)) == AREAS
    builders.mask(root / "mask" / "good" / "0.png", CUT)
    with pytest.raises(BlemishError, match=r"mask/good/0\.png must be empty, as its image lies in 'good'"):
        load_dataset(root)


@pytest.mark.parametrize("build", [mask_builders.kinds, mask_builders.kinds_beside])
def test_a_defect_whose_mask_is_gone_stays_a_defect_and_is_told_of(
    tmp_path: Path, build: Callable[[Path], Path]
) -> None:
    root = build(tmp_path)
    next(path for path in sorted(root.rglob("*.png")) if "mask" in str(path.relative_to(root))).unlink()
    dataset = load_dataset(root)
    assert sum(sample.is_defective for sample in dataset) == 2
    assert any("with no mask" in line for line in dataset.account.warnings)


def test_an_empty_mask_in_a_folder_of_defects_is_told_of(tmp_path: Path) -> None:
    root = mask_builders.mvtec(tmp_path)
    builders.mask(root / "ground_truth" / "cut" / "000_mask.png")
    dataset = load_dataset(root)
    assert dataset.class_counts == {"cut": 1, "dent": 1}
    assert any("with an empty mask (test/cut/000.png)" in line for line in dataset.account.warnings)


def test_masks_without_an_image_are_left_out_by_name(tmp_path: Path) -> None:
    root = mask_builders.in_folder(tmp_path)
    builders.mask(root / "Ground_Truth" / "x.png", CUT)
    account = load_dataset(root).account
    assert list(account.left_out) == ["Ground_Truth/x.png"]
    assert "these masks fit no image" in account.warnings[0]


def test_a_mask_that_fits_two_images_is_refused(tmp_path: Path) -> None:
    root = mask_builders.kinds(tmp_path)
    (root / "mask" / "cut" / "0.png").rename(root / "mask" / "0.png")
    with pytest.raises(BlemishError, match=r"mask/0\.png must be the mask of one image\. Received: "):
        load_dataset(root)


def test_a_second_mask_of_an_image_is_refused(tmp_path: Path) -> None:
    root = mask_builders.kinds(tmp_path)
    builders.mask(root / "mask" / "cut" / "0_mask.png", CUT)
    with pytest.raises(BlemishError, match=r"cut/0\.png must have one mask, or a folder of masks"):
        load_dataset(root)


def test_masks_in_a_folder_of_another_name_are_not_photographs(tmp_path: Path) -> None:
    root = mask_builders.kinds(tmp_path)
    for kind in ("cut", "dent"):
        (root / "mask" / kind).rename(root / f"{kind}_drawn")
    (root / "mask").rmdir()
    with pytest.raises(BlemishError, match=r"must be a photograph\. Received: black and white drawings"):
        load_dataset(root)


def test_photographs_taken_as_masks_are_refused(tmp_path: Path) -> None:
    for number in range(3):
        builders.write_image(tmp_path / f"{number}.jpg")
        builders.write_image(tmp_path / f"{number}.png")
    with pytest.raises(BlemishError, match=r"masks must have few values\. Received: 3 masks .* photograph"):
        load_dataset(tmp_path)


def test_a_lone_mask_in_a_clean_folder_is_no_clean_image(tmp_path: Path) -> None:
    root = mask_builders.magnetic_tile(tmp_path)
    (root / "MT_Free" / "Imgs" / "c.jpg").unlink()
    with pytest.raises(BlemishError, match=r"c\.png must lie beside an image of its name"):
        load_dataset(root)


def test_a_copy_of_the_image_is_no_mask(tmp_path: Path) -> None:
    """Drawings of few values, which are no photographs either."""
    root = mask_builders.in_folder(tmp_path)
    for path in (root / "scans").iterdir():
        drawing = builders.mask(path.with_suffix(".png"), CUT)
        path.unlink()
    (root / "Ground_Truth" / "a.png").write_bytes(drawing.read_bytes())
    with pytest.raises(BlemishError, match=r"a\.png must be a mask of .* a copy of the image itself"):
        load_dataset(root)


def test_voc_s_object_numbers_and_unlisted_images_are_left_out_by_name(tmp_path: Path) -> None:
    root = mask_builders.voc_segmentation(tmp_path)
    builders.mask(root / "SegmentationObject" / "a.png", CUT, value=1)
    builders.write_image(root / "JPEGImages" / "unlisted.jpg")
    dataset = load_dataset(root)
    assert areas(dataset) == AREAS
    assert set(dataset.account.left_out) == {"SegmentationObject/a.png", "JPEGImages/unlisted.jpg"}
    builders.text(root / "ImageSets" / "Segmentation" / "val.txt", "c\nd\nmissing\n")
    with pytest.raises(BlemishError, match=r"val\.txt must name images that are there.*missing"):
        load_dataset(root)


def test_visa_s_split_table_is_held_against_the_images(tmp_path: Path) -> None:
    root = mask_builders.visa(tmp_path)
    builders.write_image(root / "candle" / "Data" / "Images" / "Normal" / "0002.JPG")
    (root / "candle" / "Data" / "Images" / "Normal" / "0001.JPG").unlink()
    lines = " ".join(load_dataset(root).account.warnings)
    assert "does not list 1 images, first candle/Data/Images/Normal/0002.JPG" in lines
    assert "lists 1 images that are not there, first candle/Data/Images/Normal/0001.JPG" in lines


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_path": "OK/none.jpg"}, r"test entry 0 must name one file that is there"),
        ({"image_path": 7}, r"test entry 0 must have category, anomaly_class, image_path"),
        ({"mask_path": 7}, r"test entry 0: mask_path must be a path or null"),
    ],
)
def test_wrong_entries_of_real_iad_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    path = mask_builders.realiad(tmp_path) / "realiad_jsons" / "audiojack.json"
    content = json.loads(path.read_text())
    content["test"][0] |= change
    path.write_text(json.dumps(content))
    with pytest.raises(BlemishError, match=message):
        load_dataset(tmp_path)


def test_real_iad_s_normal_class_and_masks_are_held_against_the_entries(tmp_path: Path) -> None:
    path = mask_builders.realiad(tmp_path) / "realiad_jsons" / "audiojack.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"meta": {"normal_class": "ok", "prefix": "audiojack/"}}))
    with pytest.raises(BlemishError, match=r"must list images of its normal_class\. Received: none of 'ok'"):
        load_dataset(tmp_path)
    content["test"][1]["mask_path"] = None
    path.write_text(json.dumps(content))
    assert any("as an anomaly without a mask" in line for line in load_dataset(tmp_path).account.warnings)


def test_private_tests_and_loose_images_of_mvtec_are_left_out_by_name(tmp_path: Path) -> None:
    root = mask_builders.mvtec(tmp_path)
    builders.write_image(root / "test" / "loose.png")
    builders.write_image(root / "test_private_mixed" / "000.png")
    assert set(load_dataset(root).account.left_out) == {"test/loose.png", "test_private_mixed/000.png"}


def test_the_list_of_dagm_is_held_against_images_and_masks(tmp_path: Path) -> None:
    root = mask_builders.dagm(tmp_path)
    labels = root / "Class1" / "Train" / "Label"
    builders.mask(labels / "0001_label.PNG", CUT)
    with pytest.raises(BlemishError, match=r"0001_label\.PNG must be empty, as Labels\.txt says"):
        load_dataset(root)
    builders.mask(labels / "0001_label.PNG")
    assert areas(load_dataset(root)) == AREAS
    listed = (labels / "Labels.txt").read_text()
    (labels / "Labels.txt").write_text(listed.replace("0002\t0", "0009\t0"))
    with pytest.raises(BlemishError, match=r"Labels\.txt must hold lines .* Received: '0009 0"):
        load_dataset(root)
    (labels / "Labels.txt").unlink()
    (labels / "0003_label.PNG").rename(labels / "0033_label.PNG")
    with pytest.raises(BlemishError, match=r"images without a mask count as clean\. Received: .*0033_label"):
        load_dataset(root)


def test_masks(tmp_path: Path) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    assert dataset.class_names == ("Crack", "Hole")
    assert labels_by_id(dataset) == {
        "MT_Crack/Imgs/a.jpg": ["Crack"],
        "MT_Crack/Imgs/b.jpg": [],
        "MT_Free/Imgs/d.jpg": [],
        "MT_Hole/Imgs/c.jpg": ["Hole"],
    }


def test_masks_image_without_mask_is_not_taken_for_clean(tmp_path: Path) -> None:
    root = builders.masks_layout(tmp_path)
    builders.write_image(root / "MT_Crack" / "Imgs" / "e.jpg")
    with pytest.raises(BlemishError, match=r"e\.jpg must have a mask beside it"):
        load_dataset(root)
    assert list(load_dataset(root, skip_broken=True).skipped) == ["MT_Crack/Imgs/e.jpg"]


def test_masks_marked_in_a_clean_folder_is_refused(tmp_path: Path) -> None:
    root = builders.masks_layout(tmp_path)
    builders.mask(root / "MT_Free" / "Imgs" / "d.png", (0, 0, 3, 3))
    with pytest.raises(BlemishError, match=r"d\.png must be empty, as its folder"):
        load_dataset(root)


def test_faint_masks_do_not_pass_as_clean(tmp_path: Path) -> None:
    for name in "ab":
        builders.write_image(tmp_path / "image" / f"{name}.jpg")
        builders.mask(tmp_path / "mask" / f"{name}.png", (2, 2, 8, 8), value=1)
    dataset = load_dataset(tmp_path)
    assert [class_map(s, dataset.class_names, builders.SIZE).sum() for s in dataset] == [36, 36]
    builders.text(tmp_path / "dataset.yaml", "above: 0\n")
    assert load_dataset(tmp_path).class_counts == {"defect": 2}
    builders.text(tmp_path / "dataset.yaml", "above: 1\n")
    with pytest.raises(BlemishError, match=r"above 1\. Received: values up to 1\. Put 'above: 0'"):
        load_dataset(tmp_path)


def test_pairs(tmp_path: Path) -> None:
    dataset = load_dataset(builders.pairs_layout(tmp_path))
    assert labels_by_id(dataset) == {"image/a.jpg": ["defect"], "image/b.jpg": [], "image/c.jpg": ["defect"]}
    builders.text(tmp_path / "dataset.yaml", "classes: [crack]\n")
    assert load_dataset(tmp_path).class_names == ("crack",)


def test_pairs_image_without_mask_is_named(tmp_path: Path) -> None:
    builders.write_image(builders.pairs_layout(tmp_path) / "image" / "z.jpg")
    with pytest.raises(BlemishError, match=r"image/z\.jpg must have a mask"):
        load_dataset(tmp_path)


def test_pairs_with_colours_as_classes(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[5:15, 5:25] = (255, 0, 0)
    pixels[20:35, 30:55] = (255, 255, 0)
    pixels[20, 30:55] = (0, 255, 0)  # a false colour along an edge, as dithering leaves it
    builders.write_image(tmp_path / "images" / "a.jpg", size=(40, 60))
    builders.save(tmp_path / "masks" / "a.png", pixels)
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("colour-ff0000", "colour-ffff00")
    classes = class_map(dataset.samples[0], dataset.class_names, (40, 60))
    assert (classes == 1).sum() == 10 * 20
    assert (classes == 2).sum() == 14 * 25
    builders.text(tmp_path / "dataset.yaml", "colours: {stain: '#ffff00', dent: '#ff0000'}\n")
    assert load_dataset(tmp_path).class_names == ("stain", "dent")
    builders.text(tmp_path / "dataset.yaml", "colours: {stain: '#ffff00'}\n")
    with pytest.raises(BlemishError, match=r"a\.png must show known colours only .*Received: \(255, 0, 0\)"):
        load_dataset(tmp_path)


def test_labels(tmp_path: Path) -> None:
    dataset = load_dataset(builders.labels_layout(tmp_path))
    assert dataset.class_counts == {"defect": 2}
    assert [sample.id for sample in dataset if sample.is_defective] == ["bad/b0.png", "bad/b1.png"]
    assert not any(a.has_place for s in dataset for a in s.annotations)


def test_labels_in_split_folders(tmp_path: Path) -> None:
    for split in ("train", "test"):
        builders.write_image(tmp_path / split / "0" / "a.png")
        builders.write_image(tmp_path / split / "scratch" / "b.png")
    dataset = load_dataset(tmp_path)
    assert dataset.splits == {"test": 2, "train": 2}
    assert dataset.class_names == ("scratch",)


def test_mvtec(tmp_path: Path) -> None:
    dataset = load_dataset(builders.mvtec_layout(tmp_path))
    assert dataset.splits == {"train": 1, "test": 2}
    assert dataset.class_counts == {"crack": 1}
    (tmp_path / "ground_truth" / "crack" / "000_mask.png").rename(
        tmp_path / "ground_truth" / "crack" / "1.png"
    )
    with pytest.raises(BlemishError, match=r"test/crack/000\.png must have a mask"):
        load_dataset(tmp_path)


def test_mvtec_with_several_categories(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        builders.mvtec_layout(tmp_path / name)
    assert load_dataset(tmp_path).class_names == ("bottle-crack", "cable-crack")


def test_dagm(tmp_path: Path) -> None:
    dataset = load_dataset(builders.dagm_layout(tmp_path))
    assert dataset.splits == {"test": 2, "train": 2}
    assert dataset.class_counts == {"Class1": 2}
    (tmp_path / "Class1" / "Train" / "Label" / "0002_label.PNG").unlink()
    with pytest.raises(
        BlemishError, match=r"Train/0002\.PNG must have a mask, Labels\.txt says it is defective"
    ):
        load_dataset(tmp_path)


def test_crackforest(tmp_path: Path) -> None:
    dataset = load_dataset(builders.crackforest_layout(tmp_path))
    assert labels_by_id(dataset) == {"image/001.jpg": ["crack"], "image/002.jpg": []}
    assert class_map(dataset.samples[0], ("crack",), builders.SIZE).sum() == 2 * 17
    (tmp_path / "groundTruth" / "001.mat").write_bytes(b"no mat file")
    with pytest.raises(BlemishError, match=r"001\.mat must be a MATLAB file"):
        load_dataset(tmp_path)


def test_truncated_mask_is_named_and_skipped_on_request(tmp_path: Path) -> None:
    path = builders.pairs_layout(tmp_path) / "mask" / "a.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BlemishError, match=r"a\.png must be a whole image"):
        load_dataset(tmp_path)
    assert list(load_dataset(tmp_path, skip_broken=True).skipped) == ["image/a.jpg"]


def test_masks_are_references_not_pixels(tmp_path: Path) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    assert all(isinstance(a.mask, MaskFile) for sample in dataset for a in sample.annotations)


def test_folders_whose_names_could_be_classes_are_told_of(tmp_path: Path) -> None:
    for number, kind in enumerate(("cut", "dent")):
        builders.write_image(tmp_path / kind / f"{number}.png")
        builders.mask(tmp_path / "masks" / kind / f"{number}.png", CUT)
    dataset = load_dataset(tmp_path)
    assert dataset.class_names == ("defect",)
    assert "the folders cut, dent are not read as classes" in dataset.account.warnings[0]
    builders.text(tmp_path / "dataset.yaml", "layout: pairs\n")
    assert load_dataset(tmp_path).account.warnings == ()
    builders.text(tmp_path / "dataset.yaml", "layout: labels\nclean: []\n")
    dataset = load_dataset(tmp_path)
    assert (dataset.class_names, dataset.account.warnings) == (("cut", "dent"), ())
    assert [int((class_map(s, dataset.class_names, builders.SIZE) > 0).sum()) for s in dataset] == [35, 35]
