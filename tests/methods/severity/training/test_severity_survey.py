from __future__ import annotations

import numpy as np
import pytest

from blemish.errors import BlemishError
from blemish.methods.severity.labels import raw_scores
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.training.survey import SCORES_PER_IMAGE, survey


def image(seed: int, size: tuple[int, int] = (40, 60)) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    pixels, classes = generator.integers(0, 256, size, dtype=np.uint8), np.zeros(size, np.uint8)
    classes[4:12, 8:20] = 1
    classes[20:32, 40:52] = 2
    return pixels, classes


def test_the_scale_is_the_quantile_of_all_raw_scores() -> None:
    images = [image(seed) for seed in range(3)]
    scores = np.concatenate(
        [raw_scores(pixels, classes > 0, cell=1)[classes > 0] for pixels, classes in images]
    )
    for quantile in (0.5, 0.99, 1.0):
        found = survey(images, SeveritySettings(cell=1, scale_quantile=quantile))
        assert found.scale == pytest.approx(np.quantile(scores, quantile))


def test_truncation_bounds_the_scale() -> None:
    assert survey([image(0)], SeveritySettings(cell=1, scale_quantile=1.0, truncation=40)).scale == 40


def test_every_defect_of_every_class_is_marked_where_it_is() -> None:
    clean = (np.zeros((10, 10), np.uint8), np.zeros((10, 10), np.uint8))
    found = survey([clean, image(0)], SeveritySettings())
    assert [(one.sample, one.label, one.box_xyxy) for one in found.marked] == [
        (1, 0, (8, 4, 20, 12)),
        (1, 1, (40, 20, 52, 32)),
    ]
    assert found.sizes == ((10, 10), (40, 60))


def test_odd_sizes_are_surveyed() -> None:
    assert survey([image(0, (41, 63))], SeveritySettings(cell=4)).scale > 1


def test_a_huge_defect_is_thinned_evenly() -> None:
    pixels, classes = image(0, (300, 400))
    classes[:, 1:] = 1
    pixels[:, 200:] = 255
    whole = raw_scores(pixels, classes > 0, cell=1)[classes > 0]
    assert whole.size > 10 * SCORES_PER_IMAGE
    found = survey([(pixels, classes)], SeveritySettings(cell=1, scale_quantile=0.3))
    assert found.scale == pytest.approx(np.quantile(whole, 0.3), rel=0.05)


def test_no_defect_pixel_at_all_is_refused_with_the_remedy() -> None:
    with pytest.raises(
        BlemishError, match=r"must have masks or polygons.*Received: none\. Annotate outlines"
    ):
        survey([(np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8))], SeveritySettings())


def test_defects_of_no_contrast_do_not_give_a_scale_of_zero() -> None:
    flat, classes = np.zeros((8, 8), np.uint8), np.zeros((8, 8), np.uint8)
    classes[2:4, 2:4] = 1
    assert survey([(flat, classes)], SeveritySettings(cell=1)).scale == 1.0
