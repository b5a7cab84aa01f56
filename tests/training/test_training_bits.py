"""The bits of dataset.yaml on their way through training into the bundle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.methods.contract import MethodSettings
from blemish.progress import Reporter
from blemish.training.request import Request, with_scale
from blemish.training.trainer import RunTrainer


def camera_images(root: Path, settings: str) -> Dataset:
    """A good and a bad image of a 12-bit camera."""
    for name in ("good", "bad"):
        (root / name).mkdir()
        stored = np.random.default_rng(1).integers(0, 4096, (8, 9), dtype=np.uint16)
        cv2.imwrite(str(root / name / "a.png"), stored)
    (root / "dataset.yaml").write_text(settings)
    return load_dataset(root)


@pytest.mark.parametrize(("own", "expected"), [(None, 12), (16, 16)])
def test_settings_take_the_bits_of_the_dataset_unless_they_have_their_own(
    tmp_path: Path, own: int | None, expected: int
) -> None:
    dataset = camera_images(tmp_path, "bits: 12\nmm_per_px: 0.5\n")
    method = find_method("casae")
    request = with_scale(Request(method, dataset, method.settings_type(bits=own), tmp_path / "run"))
    assert (request.settings.bits, request.settings.mm_per_px) == (expected, 0.5)


def test_training_sees_the_whole_range_or_asks_which_it_is(tmp_path: Path) -> None:
    (sample, _) = camera_images(tmp_path, "").samples
    stored = cv2.imread(str(sample.image), cv2.IMREAD_UNCHANGED)
    for bits, factor in ((12, 65535 / 4095), (16, 1.0)):
        trainer = RunTrainer(
            tmp_path, MethodSettings(bits=bits, device="cpu"), seed=0, reporter=Reporter(quiet=True)
        )
        assert np.abs(trainer.read(sample, 1) - stored * factor).max() <= 0.5
    trainer = RunTrainer(tmp_path, MethodSettings(device="cpu"), seed=0, reporter=Reporter(quiet=True))
    with pytest.raises(BlemishError, match=r"a\.png holds 16-bit values but none above 4095"):
        trainer.read(sample, 1)
