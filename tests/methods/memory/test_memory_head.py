"""What the head is taught: targets by every kind of mark, and its losses by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from blemish.dataset.samples import Annotation, Sample
from blemish.methods.memory.network.head import DefectHead
from blemish.methods.memory.settings import MemorySettings
from blemish.methods.memory.training.head import blobs, crop, focal, truncated_l1
from blemish.methods.memory.training.targets import targets

SETTINGS = MemorySettings.model_validate({"size": 64, "box_share": 0.25})
SIZE = (128, 128)  # of the image: a patch is 16 pixels of it
FLAT = np.zeros((8, 8), np.float32)


def sample(*marks: Annotation) -> Sample:
    return Sample(Path("a.png"), "a.png", marks)


def test_outlined_pixels_are_defective_and_all_others_good() -> None:
    square = ((16.0, 32.0), (48.0, 32.0), (48.0, 48.0), (16.0, 48.0))
    found = targets(sample(Annotation("spot", polygons=(square,))), SIZE, FLAT, SETTINGS)
    expected = np.zeros((8, 8))
    expected[2, 1:3] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_speck_is_one_patch() -> None:
    speck = ((33.0, 33.0), (34.0, 33.0), (34.0, 34.0), (33.0, 34.0))
    found = targets(sample(Annotation("spot", polygons=(speck,))), SIZE, FLAT, SETTINGS)
    assert np.argwhere(found == 1).tolist() == [[2, 2]]


def test_in_a_box_the_farthest_patches_are_defective_and_the_others_unknown() -> None:
    distances = FLAT.copy()
    distances[3, 3] = 9
    found = targets(sample(Annotation("spot", box_xyxy=(32, 32, 64, 64))), SIZE, distances, SETTINGS)
    assert found[3, 3] == 1
    assert (found[2:4, 2:4] == -1).sum() == 3
    assert (np.delete(found.ravel(), [18, 19, 26, 27]) == 0).all()


def test_a_label_alone_leaves_every_patch_unknown() -> None:
    assert (targets(sample(Annotation("bad")), SIZE, FLAT, SETTINGS) == -1).all()


def test_a_difficult_defect_is_neither_good_nor_defective() -> None:
    mark = Annotation("spot", box_xyxy=(0, 0, 32, 32), difficult=True)
    assert set(targets(sample(mark), SIZE, FLAT, SETTINGS).ravel().tolist()) == {-1, 0}


def test_focal_loss_by_hand() -> None:
    """(1 − p)² · −ln p, p = 1/2 and p = σ(2); what is not known counts for nothing."""
    sure = 1 / (1 + math.exp(-2))
    expected = (0.25 * math.log(2) + (1 - sure) ** 2 * -math.log(sure)) / 2
    found = focal(torch.tensor([0.0, 2.0, 9.0]), torch.tensor([1, 1, -1]))
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_truncated_l1_by_hand() -> None:
    """Good places at −1 and 1 fall short by 0 and 1.5, the defective one at 0 by 0.5."""
    found = truncated_l1(torch.tensor([-1.0, 1.0, 0.0]), torch.tensor([0, 0, 1]))
    assert float(found) == pytest.approx(0.75 + 0.5)


@pytest.mark.parametrize("loss", [focal, truncated_l1])
def test_nothing_known_is_no_loss(loss) -> None:  # type: ignore[no-untyped-def]
    assert float(loss(torch.ones(3), torch.full((3,), -1))) == 0


def test_the_head_gives_one_word_on_the_image_everywhere() -> None:
    torch.manual_seed(0)
    head = DefectHead(8, 16).eval()
    found = head(torch.randn(2, 8, 5, 7))
    assert found.shape == (2, 2, 5, 7)
    assert (found[:, 1] == found[:, 1, :1, :1]).all()


def test_noise_covers_about_its_share() -> None:
    generator = np.random.default_rng(0)
    shares = [blobs((32, 32), 0.25, generator).mean() for _ in range(20)]
    np.testing.assert_allclose(shares, 0.25, atol=0.01)


def test_a_crop_shows_a_defective_place_and_is_of_one_size() -> None:
    generator = np.random.default_rng(0)
    for height, width in ((50, 40), (10, 70), (5, 5)):
        marks = np.zeros((height, width), np.int8)
        marks[-1, -1] = 1
        features, cut = crop(np.zeros((3, height, width), np.float32), marks, generator)
        assert (features.shape, cut.shape) == ((3, 32, 32), (32, 32))
        assert (cut == 1).any()
