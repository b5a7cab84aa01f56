"""Tiny datasets on disk, one builder for each layout; every image differs, so contents are distinct."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (20, 30)
_seeds = count()


def write_image(path: Path, *, size: tuple[int, int] = SIZE, seed: int | None = None) -> Path:
    """Write a random gray image, another at every call unless seeded; returns its path."""
    generator = np.random.default_rng(next(_seeds) if seed is None else 10_000 + seed)
    return save(path, generator.integers(0, 256, size, dtype=np.uint8))


def mask(
    path: Path, *boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE, value: int = 255
) -> Path:
    """A mask with filled boxes (x1, y1, x2, y2), half-open."""
    pixels = np.zeros(size, np.uint8)
    for left, top, right, bottom in boxes:
        pixels[top:bottom, left:right] = value
    return save(path, pixels)


def save(path: Path, pixels: NDArray[Any]) -> Path:
    """Write gray or RGB pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])
    return path


def text(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def masks_layout(root: Path) -> Path:
    """Two images of Crack (one with an empty mask), one of Hole, one clean without a mask."""
    for name, boxes in (("a", [(2, 3, 9, 8)]), ("b", [])):
        write_image(root / "MT_Crack" / "Imgs" / f"{name}.jpg")
        mask(root / "MT_Crack" / "Imgs" / f"{name}.png", *boxes)
    write_image(root / "MT_Hole" / "Imgs" / "c.jpg")
    mask(root / "MT_Hole" / "Imgs" / "c.png", (0, 0, 4, 4), (20, 10, 25, 15))
    write_image(root / "MT_Free" / "Imgs" / "d.jpg")
    return root


def pairs_layout(root: Path) -> Path:
    for name, boxes in (("a", [(2, 3, 9, 8)]), ("b", []), ("c", [(0, 0, 5, 5)])):
        write_image(root / "image" / f"{name}.jpg")
        mask(root / "mask" / f"{name}.png", *boxes)
    return root


def labels_layout(root: Path, *, clean: int = 3, bad: int = 2) -> Path:
    for number in range(clean):
        write_image(root / "good" / f"g{number}.png")
    for number in range(bad):
        write_image(root / "bad" / f"b{number}.png")
    return root


def voc_layout(root: Path) -> Path:
    """a: two boxes; b: clean."""
    for name in ("a", "b"):
        write_image(root / "JPEGImages" / f"{name}.png")
    boxes = [("scratch", 1, 1, 30, 20), ("dent", 3, 5, 10, 12)]
    voc_file(root / "Annotations" / "a.xml", "a.png", boxes)
    voc_file(root / "Annotations" / "b.xml", "b.png", [])
    text(root / "ImageSets" / "Main" / "train.txt", "a\n")
    text(root / "ImageSets" / "Main" / "test.txt", "b\n")
    return root


def voc_file(path: Path, image: str, boxes: list[tuple[str, int, int, int, int]]) -> Path:
    """Corners as VOC writes them: from 1, inclusive."""
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        "</bndbox></object>"
        for label, a, b, c, d in boxes
    )
    return text(path, f"<annotation><filename>{image}</filename>{objects}</annotation>")


def yolo_layout(root: Path) -> Path:
    """train/a: a box and a polygon; val/b and val/c: empty text files, so clean."""
    write_image(root / "images" / "train" / "a.png")
    write_image(root / "images" / "val" / "b.png")
    write_image(root / "images" / "val" / "c.png")
    text(root / "labels" / "train" / "a.txt", "1 0.5 0.5 0.2 0.4\n0 0 0 0.5 0 0.5 0.5\n")
    text(root / "labels" / "val" / "b.txt", "")
    text(root / "labels" / "val" / "c.txt", "")
    text(root / "data.yaml", "path: .\ntrain: images/train\nval: images/val\nnames: {0: dent, 1: scratch}\n")
    return root


def coco_layout(root: Path) -> Path:
    """train: a box and a polygon, and run lengths; val: a clean image."""
    write_image(root / "images" / "a.png")
    write_image(root / "images" / "b.png")
    classes = [{"id": 7, "name": "dent"}, {"id": 3, "name": "scratch"}]
    runs = {"counts": [0, 20, 580], "size": [20, 30]}
    marks = [
        {
            "id": 1,
            "image_id": 5,
            "category_id": 3,
            "bbox": [2, 3, 4, 5],
            "segmentation": [[2, 3, 6, 3, 6, 8]],
        },
        {
            "id": 2,
            "image_id": 5,
            "category_id": 7,
            "bbox": [0, 0, 1, 20],
            "segmentation": runs,
            "contrast": -12.5,
        },
    ]
    train = {"images": [{"id": 5, "file_name": "a.png"}], "annotations": marks, "categories": classes}
    val = {"images": [{"id": 5, "file_name": "b.png"}], "annotations": [], "categories": classes}
    text(root / "annotations" / "instances_train.json", json.dumps(train))
    text(root / "annotations" / "instances_val.json", json.dumps(val))
    return root


def mvtec_layout(root: Path) -> Path:
    write_image(root / "train" / "good" / "000.png")
    write_image(root / "test" / "good" / "000.png")
    write_image(root / "test" / "crack" / "000.png")
    mask(root / "ground_truth" / "crack" / "000_mask.png", (1, 1, 5, 5))
    return root


def dagm_layout(root: Path) -> Path:
    for part in ("Train", "Test"):
        folder = root / "Class1" / part
        write_image(folder / "0001.PNG")
        write_image(folder / "0002.PNG")
        mask(folder / "Label" / "0002_label.PNG", (4, 4, 9, 9))
        text(
            folder / "Label" / "Labels.txt",
            "1\n0001\t0\t0001.PNG\t0\t\n0002\t1\t0002.PNG\t0\t0002_label.PNG\n",
        )
    return root


def deeppcb_layout(root: Path) -> Path:
    lines = {"trainval.txt": "00001", "test.txt": "00002"}
    for file, name in lines.items():
        stem = root / "PCBData" / "group1" / "1" / name
        write_image(stem.with_name(f"{name}_test.jpg"))
        write_image(stem.with_name(f"{name}_temp.jpg"))
        text(root / "PCBData" / "group1" / "1_not" / f"{name}.txt", "1 2 11 12 1\n5 5 9 9 6\n")
        text(root / "PCBData" / file, f"group1/1/{name}.jpg group1/1_not/{name}.txt\n")
    return root


def crackforest_layout(root: Path) -> Path:
    from scipy.io import savemat

    (root / "groundTruth").mkdir(parents=True)
    for name, segment in (("001", 2), ("002", 1)):
        write_image(root / "image" / f"{name}.jpg")
        segments = np.ones(SIZE, np.uint8)
        segments[4:6, 3:20] = segment
        truth = np.zeros((1, 1), [("Segmentation", "O"), ("Boundaries", "O")])
        truth[0, 0] = (segments, segments)
        savemat(root / "groundTruth" / f"{name}.mat", {"groundTruth": truth})
    return root


def products_layout(root: Path, *, clean: int = 3, bad: int = 2) -> Path:
    """Two products: 'cap' of named folders, 'tile' of masks; 'tile' has splits."""
    labels_layout(root / "cap", clean=clean, bad=bad)
    masks_layout(root / "tile")
    text(root / "tile" / "splits" / "train.txt", "a\nd\n")
    text(root / "tile" / "splits" / "test.txt", "c\nb\n")
    return root


def lots_layout(root: Path) -> Path:
    """Two lots of one set, of masks and of COCO."""
    pairs_layout(root / "lot1")
    coco_layout(root / "lot2")
    return root


LAYOUT_BUILDERS: dict[str, Callable[[Path], Path]] = {
    "masks": masks_layout,
    "pairs": pairs_layout,
    "labels": labels_layout,
    "voc": voc_layout,
    "yolo": yolo_layout,
    "coco": coco_layout,
    "mvtec": mvtec_layout,
    "dagm": dagm_layout,
    "deeppcb": deeppcb_layout,
    "crackforest": crackforest_layout,
    "products": products_layout,
    "lots": lots_layout,
}
