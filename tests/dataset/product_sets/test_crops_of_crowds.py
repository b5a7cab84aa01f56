"""Crops of images with crowd and difficult regions: normal ones lie beside, and the regions stay so."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from blemish.dataset.product_sets.crops import CropPlan, crops_of
from blemish.dataset.samples import Annotation, Sample


def test_no_normal_crop_lies_in_a_crowd_and_no_crowd_becomes_a_defect(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    cv2.imwrite(str(tmp_path / "a.png"), random.integers(0, 255, (64, 128), dtype=np.uint8))
    crowd = Annotation("dent", (0, 0, 64, 64), crowd=True)
    box = Annotation("dent", (60, 30, 70, 40))
    difficult = Annotation("dent", (100, 0, 104, 4), difficult=True)
    sample = Sample(tmp_path / "a.png", "a.png", (crowd, box, difficult))
    crops = list(
        crops_of(sample, "a", CropPlan(16, normal=50, defective=5, flat=0.0), np.random.default_rng(1))
    )
    normal = [crop for crop in crops if not crop.annotations]
    assert normal
    lefts = [int(crop.file.split("-x")[1].split("-")[0]) for crop in normal]
    assert min(lefts) >= 64
    about = [crop for crop in crops if crop.annotations]
    assert len(about) == 1, "of the only defect that is marked singly"
    assert [mark.crowd for mark in about[0].annotations] == [False, True]
