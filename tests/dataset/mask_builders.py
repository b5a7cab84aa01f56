"""Tiny datasets with masks, a builder for each form: two clean images, two of 35 and 24 marked pixels.

A defect's kind is `cut` for the first and `dent` for the second, where the form has kinds.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.dataset.builders import SIZE, mask, text, write_image

CUT, DENT = (2, 3, 9, 8), (12, 10, 18, 14)  # boxes of 35 and 24 pixels
AREAS = [24, 35]


def beside(root: Path, ending: str = "_mask") -> Path:
    """Masks beside the images, such as KolektorSDD2's `_GT`."""
    for name, boxes in (("a", [CUT]), ("b", []), ("c", [DENT]), ("d", [])):
        write_image(root / f"{name}.jpg")
        mask(root / f"{name}{ending}.png", *boxes)
    return root


def in_folder(root: Path, images: str = "scans", masks: str = "Ground_Truth", ending: str = "") -> Path:
    for name, boxes in (("a", [CUT]), ("b", []), ("c", [DENT]), ("d", [])):
        write_image(root / images / f"{name}.jpg")
        mask(root / masks / f"{name}{ending}.png", *boxes)
    return root


def kolektor(root: Path) -> Path:
    """KolektorSDD: a folder for each item."""
    for item in ("kos01", "kos02"):
        for part, boxes in (("Part0", []), ("Part1", [CUT] if item == "kos01" else [DENT])):
            write_image(root / item / f"{part}.jpg")
            mask(root / item / f"{part}_label.bmp", *boxes)
    return root


def kinds(root: Path, *, masks: str = "mask", ending: str = "", clean: str = "good") -> Path:
    """Folders of labels, with masks under the same names in a folder of their own, as anomalib reads them."""
    for name in ("0", "1"):
        write_image(root / clean / f"{name}.png")
    for kind, box in (("cut", CUT), ("dent", DENT)):
        write_image(root / kind / "0.png")
        mask(root / masks / kind / f"0{ending}.png", box)
    return root


def kinds_beside(root: Path) -> Path:
    for name in ("0", "1"):
        write_image(root / "good" / f"{name}.png")
    for name, box in (("0", CUT), ("1", DENT)):
        write_image(root / "bad" / f"{name}.png")
        mask(root / "bad" / f"{name}_mask.png", box)
    return root


def aitex(root: Path) -> Path:
    for name in ("3", "4"):
        write_image(root / "NODefect_images" / "2306881-210020u" / f"000{name}_000_00.png")
    for name, box in (("1", CUT), ("2", DENT)):
        write_image(root / "Defect_images" / f"000{name}_002_00.png")
        mask(root / "Mask_images" / f"000{name}_002_00_mask.png", box)
    return root


def btad(root: Path) -> Path:
    write_image(root / "train" / "ok" / "0000.bmp")
    write_image(root / "test" / "ok" / "0000.bmp")
    for name, box in (("0000", CUT), ("0001", DENT)):
        write_image(root / "test" / "ko" / f"{name}.bmp")
        mask(root / "ground_truth" / "ko" / f"{name}.png", box)
    return root


def mvtec_ad_2(root: Path) -> Path:
    write_image(root / "can" / "train" / "good" / "000_regular.png")
    write_image(root / "can" / "validation" / "good" / "000_regular.png")
    for name, box in (("000", CUT), ("001", DENT)):
        write_image(root / "can" / "test_public" / "bad" / f"{name}_regular.png")
        mask(root / "can" / "test_public" / "ground_truth" / "bad" / f"{name}_regular_mask.png", box)
    write_image(root / "can" / "test_private" / "000_mixed.png")
    return root


def mvtec_loco(root: Path) -> Path:
    write_image(root / "train" / "good" / "000.png")
    write_image(root / "test" / "good" / "000.png")
    for kind, box in (("cut", CUT), ("dent", DENT)):
        write_image(root / "test" / kind / "000.png")
        mask(root / "ground_truth" / kind / "000" / "000.png", box)
    return root


def visa(root: Path) -> Path:
    rows = [["object", "split", "label", "image", "mask"]]
    images = root / "candle" / "Data" / "Images"
    for name, split in (("0000", "train"), ("0001", "test")):
        write_image(images / "Normal" / f"{name}.JPG")
        rows.append(["candle", split, "normal", f"candle/Data/Images/Normal/{name}.JPG", ""])
    for value, (name, box) in enumerate((("000", CUT), ("001", DENT)), start=1):
        write_image(images / "Anomaly" / f"{name}.JPG")
        mask(root / "candle" / "Data" / "Masks" / "Anomaly" / f"{name}.png", box, value=value)
        paths = [f"candle/Data/{part}/Anomaly/{name}" for part in ("Images", "Masks")]
        rows.append(["candle", "test", "anomaly", f"{paths[0]}.JPG", f"{paths[1]}.png"])
    table(root / "split_csv" / "1cls.csv", rows)
    return root


def table(path: Path, rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def realiad(root: Path) -> Path:
    folder = root / "realiad_256" / "audiojack"
    lists: dict[str, list[dict[str, str | None]]] = {"train": [], "test": []}
    for number, (kind, box) in enumerate((("OK", None), ("OK", None), ("cut", CUT), ("dent", DENT))):
        place = f"{'OK' if box is None else f'NG/{kind}'}/S{number:04d}/part_{number}_{kind}_C1"
        write_image(folder / f"{place}.jpg")
        if box is not None:
            mask(folder / f"{place}.png", box)
        lists["test" if number else "train"].append(
            {
                "category": "audiojack",
                "anomaly_class": kind,
                "image_path": f"{place}.jpg",
                "mask_path": f"{place}.png" if box else None,
            }
        )
    meta = {"normal_class": "OK", "prefix": "audiojack/"}
    text(root / "realiad_jsons" / "audiojack.json", json.dumps({"meta": meta, **lists}))
    return root


def voc_segmentation(root: Path) -> Path:
    palette = [0, 0, 0, 128, 0, 0, 0, 128, 0, *[0] * 759]
    for name, boxes, value in (("a", [CUT], 1), ("b", [], 0), ("c", [DENT], 2), ("d", [], 0)):
        write_image(root / "JPEGImages" / f"{name}.jpg")
        path = mask(root / "SegmentationClass" / f"{name}.png", *boxes, value=value)
        gray = Image.open(path)
        indices = Image.frombytes("P", gray.size, gray.tobytes())
        indices.putpalette(palette)
        indices.save(path)
    text(
        root / "labelmap.txt",
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncut:128,0,0::\ndent:0,128,0::\n",
    )
    text(root / "ImageSets" / "Segmentation" / "train.txt", "a\nb\n")
    text(root / "ImageSets" / "Segmentation" / "val.txt", "c\nd\n")
    return root


def roboflow(root: Path) -> Path:
    for split, name, boxes, value in (
        ("train", "a", [CUT], 1),
        ("train", "b", [], 0),
        ("valid", "c", [DENT], 2),
        ("test", "d", [], 0),
    ):
        write_image(root / split / f"{name}.jpg")
        mask(root / split / f"{name}_mask.png", *boxes, value=value)
        text(root / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, cut\n2, dent\n")
    return root


def magnetic_tile(root: Path) -> Path:
    for folder, name, boxes in (
        ("MT_cut", "a", [CUT]),
        ("MT_dent", "b", [DENT]),
        ("MT_Free", "c", []),
        ("MT_Free", "d", []),
    ):
        write_image(root / folder / "Imgs" / f"{name}.jpg")
        mask(root / folder / "Imgs" / f"{name}.png", *boxes)
    return root


def mvtec(root: Path) -> Path:
    write_image(root / "train" / "good" / "000.png")
    write_image(root / "test" / "good" / "000.png")
    for kind, box in (("cut", CUT), ("dent", DENT)):
        write_image(root / "test" / kind / "000.png")
        mask(root / "ground_truth" / kind / "000_mask.png", box)
    return root


def dagm(root: Path) -> Path:
    lines = "1\n" + "".join(f"000{n}\t{int(n > 2)}\t000{n}.PNG\t0\t\n" for n in (1, 2, 3, 4))
    for number, boxes in ((1, []), (2, []), (3, [CUT]), (4, [DENT])):
        write_image(root / "Class1" / "Train" / f"000{number}.PNG")
        if boxes:
            mask(root / "Class1" / "Train" / "Label" / f"000{number}_label.PNG", *boxes)
    text(root / "Class1" / "Train" / "Label" / "Labels.txt", lines)
    return root


def painted(*regions: tuple[tuple[int, int, int, int], int], dtype: type = np.uint8) -> NDArray[Any]:
    """Values [H, W] with boxes of these values."""
    values: NDArray[Any] = np.zeros(SIZE, dtype)
    for (left, top, right, bottom), value in regions:
        values[top:bottom, left:right] = value
    return values


TREES: dict[str, Callable[[Path], Path]] = {
    "beside": beside,
    "gt-beside": lambda root: beside(root, "_GT"),
    "in-folder": in_folder,
    "split-folders": lambda root: in_folder(root, "images/train", "masks/train"),
    "ended-folder": lambda root: in_folder(root, "train_images", "train_masks", "_mask"),
    "kolektor": kolektor,
    "kinds": kinds,
    "kinds-beside": kinds_beside,
    "aitex": aitex,
    "mvtec": mvtec,
    "btad": btad,
    "mvtec-ad-2": mvtec_ad_2,
    "mvtec-loco": mvtec_loco,
    "visa": visa,
    "realiad": realiad,
    "voc-segmentation": voc_segmentation,
    "roboflow": roboflow,
    "magnetic-tile": magnetic_tile,
    "dagm": dagm,
}
