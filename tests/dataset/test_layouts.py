"""Each layout found and read on a tiny folder of its kind, and what goes wrong with each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import builders
import numpy as np
import pytest

from blemish.dataset.layouts import LAYOUTS, load_dataset
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset, MaskFile
from blemish.errors import BlemishError

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "masks": builders.masks_layout,
    "pairs": builders.pairs_layout,
    "labels": builders.labels_layout,
    "voc": builders.voc_layout,
    "yolo": builders.yolo_layout,
    "coco": builders.coco_layout,
    "mvtec": builders.mvtec_layout,
    "dagm": builders.dagm_layout,
    "deeppcb": builders.deeppcb_layout,
    "crackforest": builders.crackforest_layout,
    "products": builders.products_layout,
}


def labels_by_id(dataset: Dataset) -> dict[str, list[str]]:
    return {sample.id: [a.label for a in sample.annotations] for sample in dataset}


def test_every_layout_has_a_builder() -> None:
    assert BUILDERS.keys() == LAYOUTS.keys()


@pytest.mark.parametrize("layout", BUILDERS)
def test_layout_is_found_with_a_reason_and_reads_the_same_when_named(tmp_path: Path, layout: str) -> None:
    root = BUILDERS[layout](tmp_path / "data")
    found = load_dataset(root)
    assert found.layout == layout
    assert len(found.reason.split()) > 3
    assert load_dataset(root, layout=layout).samples == found.samples
    assert all(sample.image == root / sample.id and sample.image.is_file() for sample in found)
    assert len({sample.id for sample in found}) == len(found)


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
    with pytest.raises(BlemishError, match=r"above 127\. Received: values up to 1\. Put 'above: 0'"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "dataset.yaml", "above: 0\n")
    dataset = load_dataset(tmp_path)
    assert [class_map(s, dataset.class_names, builders.SIZE).sum() for s in dataset] == [36, 36]


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


def test_deeppcb(tmp_path: Path) -> None:
    dataset = load_dataset(builders.deeppcb_layout(tmp_path))
    first = dataset.samples[0]
    assert (first.split, first.group) == ("train", "group1")
    assert first.reference == tmp_path / "PCBData" / "group1" / "1" / "00001_temp.jpg"
    assert [(a.label, a.box_xyxy) for a in first.annotations] == [
        ("open", (1, 2, 11, 12)),
        ("pin-hole", (5, 5, 9, 9)),
    ]
    builders.text(tmp_path / "PCBData" / "group1" / "1_not" / "00002.txt", "1 2 3 4 7\n")
    with pytest.raises(BlemishError, match=r"00002\.txt line 1 must name a known type .*Received: 7"):
        load_dataset(tmp_path)


def test_crackforest(tmp_path: Path) -> None:
    dataset = load_dataset(builders.crackforest_layout(tmp_path))
    assert labels_by_id(dataset) == {"image/001.jpg": ["crack"], "image/002.jpg": []}
    assert class_map(dataset.samples[0], ("crack",), builders.SIZE).sum() == 2 * 17
    (tmp_path / "groundTruth" / "001.mat").write_bytes(b"no mat file")
    with pytest.raises(BlemishError, match=r"001\.mat must be a MATLAB file"):
        load_dataset(tmp_path)


def test_most_particular_layout_wins(tmp_path: Path) -> None:
    builders.masks_layout(tmp_path)
    assert load_dataset(tmp_path).layout == "masks"
    builders.voc_file(tmp_path / "MT_Crack" / "Imgs" / "e.xml", "e.jpg", [])
    assert load_dataset(tmp_path, layout="masks").layout == "masks"
    with pytest.raises(BlemishError, match=r"must hold the image 'e\.jpg'"):  # voc comes before masks
        load_dataset(tmp_path)


def test_empty_folder_no_layout_and_unknown_layout(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match=r"must hold images\. Received: an empty folder"):
        load_dataset(tmp_path)
    builders.text(tmp_path / "note.txt", "nothing here")
    with pytest.raises(BlemishError, match="Received: 1 files, none of them an image"):
        load_dataset(tmp_path)
    builders.write_image(tmp_path / "a.png")
    with pytest.raises(BlemishError, match=r"must have a known layout.*deeppcb: .*labels: ") as caught:
        load_dataset(tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(
        BlemishError, match=r"layout must be a known name\. Received: 'coc'\. Did you mean 'coco'\?"
    ):
        load_dataset(tmp_path, layout="coc")
    with pytest.raises(BlemishError, match="must exist"):
        load_dataset(tmp_path / "absent")


def test_truncated_mask_is_named_and_skipped_on_request(tmp_path: Path) -> None:
    path = builders.pairs_layout(tmp_path) / "mask" / "a.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BlemishError, match=r"a\.png must be a whole image"):
        load_dataset(tmp_path)
    assert list(load_dataset(tmp_path, skip_broken=True).skipped) == ["image/a.jpg"]


def test_masks_are_references_not_pixels(tmp_path: Path) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    assert all(isinstance(a.mask, MaskFile) for sample in dataset for a in sample.annotations)
