"""Small COCO datasets on disk, of boxes or outlines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHT, WIDTH = 20, 30
CLASSES = {7: "dent", 3: "scratch"}
Marks = Mapping[str, Sequence[Mapping[str, Any]]]


def write_dataset(root: Path, splits: Mapping[str, Marks]) -> Path:
    """One annotation file a split, each counting its images from 1; image 'a' is stored as a.png."""
    categories = [{"id": number, "name": name} for number, name in CLASSES.items()]
    generator = np.random.default_rng(0)
    for split, marks in splits.items():
        images, rows = [], []
        for number, (name, of_image) in enumerate(marks.items(), start=1):
            image = generator.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
            (root / "images").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / "images" / f"{name}.png"), image)
            images.append({"id": number, "file_name": f"{name}.png"})
            rows += [{"id": len(rows) + i + 1, "image_id": number, **mark} for i, mark in enumerate(of_image)]
        content = {"images": images, "annotations": rows, "categories": categories}
        (root / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def box(category: int, *bbox: float, **more: Any) -> dict[str, Any]:
    return {"category_id": category, "bbox": list(bbox), **more}


def outlined(category: int, x: float, y: float, w: float, h: float, **more: Any) -> dict[str, Any]:
    polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
    return box(category, x, y, w, h, segmentation=[polygon], **more)
