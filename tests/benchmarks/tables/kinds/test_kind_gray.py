from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from benchmarks.tables.kinds.gray import (
    CRITERIA,
    GrayInference,
    brighter_is_better,
    gray_inspector,
    gray_mask,
    otsu_level,
    separability,
)
from blemish.dataset.samples import Annotation, Dataset, RunLengths, Sample
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict


def two_sided(seed: int, *, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    generator = np.random.default_rng(seed)
    image = generator.normal(150, 20, shape)
    image[10:14, 5:40] = generator.normal(60, 15, (4, 35))
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(5))
def test_the_mask_is_scikit_images(seed: int) -> None:
    image = two_sided(seed)
    above = image > threshold_otsu(image)
    assert np.array_equal(gray_mask(image, otsu_level, bright=True), above)
    assert np.array_equal(gray_mask(image, otsu_level, bright=False), ~above)


@pytest.mark.parametrize("kind", CRITERIA)
def test_sixteen_bits_are_parted_as_eight(kind: str) -> None:
    image, level = two_sided(0), CRITERIA[kind]
    deep = gray_mask(image.astype(np.uint16) * 257, level, bright=True)
    assert np.array_equal(deep, gray_mask(image, level, bright=True))
    assert 0 < deep.mean() < 1


def test_separability_is_the_share_of_variance_between_the_sides() -> None:
    image = np.array([[10, 10, 20, 40]], np.uint8)
    mask = image > 15
    between = 0.5 * 0.5 * (30 - 10) ** 2
    assert separability(image, mask) == pytest.approx(between / image.var())
    assert separability(np.full((3, 3), 7, np.uint8), np.zeros((3, 3), bool)) == 0.0


def test_the_side_of_the_defects_is_the_one_with_the_higher_f1() -> None:
    image = two_sided(0)
    truth = np.zeros(image.shape, bool)
    truth[10:14, 5:40] = True
    assert not brighter_is_better([(image, truth)], otsu_level)
    assert brighter_is_better([(255 - image, truth)], otsu_level)


@pytest.mark.parametrize("kind", CRITERIA)
def test_defects_are_the_joined_components_of_the_mask(kind: str) -> None:
    image = np.full((30, 30), 200, np.uint8)
    image[2:4, 2:8] = image[2:4, 10:12] = 20  # 2 px of surface between: one defect
    image[20:25, 20:22] = 20
    inference = GrayInference(CRITERIA[kind], bright=False)
    findings = inference.decide(inference.forward(image, {}), image, {}, with_maps=True)
    assert [defect.box_xyxy for defect in findings.defects] == [(2, 2, 12, 4), (20, 20, 22, 25)]
    assert [defect.area for defect in findings.defects] == [16, 10]
    assert np.array_equal(findings.maps["defects"] > 0, image == 20)
    assert findings.score == pytest.approx(1.0)


@pytest.mark.parametrize("kind", CRITERIA)
def test_an_image_without_contrast_is_no_error(kind: str) -> None:
    image = np.full((8, 8), 9, np.uint8)
    for bright in (True, False):
        inference = GrayInference(CRITERIA[kind], bright)
        findings = inference.decide(inference.forward(image, {}), image, {}, with_maps=False)
        assert (findings.defects, findings.score) == ((), 0.0)


@pytest.mark.parametrize("kind", CRITERIA)
def test_the_inspector_learns_its_side_from_validation_images(tmp_path: Path, kind: str) -> None:
    image = np.full((4, 5), 180, np.uint8)
    image[0, 0] = 30
    (tmp_path / "a.png").write_bytes(png_bytes(image))
    mask = RunLengths((0, 1, 19), (4, 5))
    sample = Sample(tmp_path / "a.png", "a.png", (Annotation("crack", mask=mask),), split="val")
    inspector = gray_inspector(kind, Dataset(tmp_path, (sample,), ("crack",)), join_distance=4)
    inspection = inspector.inspect(sample.image, with_maps=True)
    assert inspection.verdict is Verdict.OK  # it finds something in every image, so it gives no verdict
    assert [defect.label for defect in inspection.defects] == ["crack"]
    assert inspection.defects[0].box_xyxy == (0, 0, 1, 1)
