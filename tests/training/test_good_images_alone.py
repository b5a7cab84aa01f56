"""Training on good images alone, all the way: a toy method, thresholds by overkill, a bundle, a verdict."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import blemish.methods
from blemish.bundle import load_bundle
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict
from blemish.inspector.loading import inspector_of
from blemish.methods import find_method, method_names
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the toy beside the methods, where it is found by looking."""
    places = [*blemish.methods.__path__, str(Path(__file__).parent)]
    monkeypatch.setattr(blemish.methods, "__path__", places)
    monkeypatch.delitem(sys.modules, "blemish.methods.toy", raising=False)


@pytest.fixture
def good(tmp_path: Path) -> Dataset:
    """100 good images, whose means lie between 100 and 150 of 255, and beside them a bad one in no split."""
    folder = tmp_path / "parts" / "good"
    folder.mkdir(parents=True)
    (tmp_path / "parts" / "bad").mkdir()
    for number in range(100):
        pixels = np.full((8, 8), 100 + number // 2, np.uint8)
        pixels[0, 0] += number % 2
        (folder / f"{number:03}.png").write_bytes(png_bytes(pixels))
    (tmp_path / "parts" / "bad" / "0.png").write_bytes(png_bytes(np.full((8, 8), 250, np.uint8)))
    dataset = load_dataset(tmp_path / "parts").where(lambda sample: not sample.is_defective)
    return dataset.with_splits({s.id: "val" if i % 2 else "train" for i, s in enumerate(dataset)})


@pytest.mark.usefixtures("toy")
def test_a_method_that_can_learns_from_good_images_alone(good: Dataset, tmp_path: Path) -> None:
    assert "toy" in method_names()
    method = find_method("toy")
    settings = method.settings_type(device="cpu", precision="fp32")
    assert (settings.ng_rule, settings.review_rule) == ("auto", "auto")
    bundle = train(Request(method, good, settings, tmp_path / "run"), Reporter(quiet=True))
    point = bundle.manifest.operating_point
    assert point is not None and point.rule == "overkill<=0.02@95%"
    assert (point.escapes.of, point.overkill.of) == (0, 50)
    assert point.overkill.n == 0, "149 images would be needed to show 2 %"
    assert point.review.n == 5, "10 % of 50"
    assert 0 < point.review_threshold < point.threshold < 1
    assert "No defective image: nothing is known about escapes." in point.notes
    inspector = inspector_of(load_bundle(bundle.path), device="cpu")
    assert inspector.inspect(good.samples[50].image).verdict is Verdict.OK
    bad = inspector.inspect(tmp_path / "parts" / "bad" / "0.png")
    assert bad.verdict is Verdict.NG
    assert bad.score == pytest.approx((250 - 124.5) / 255, abs=0.02)


@pytest.mark.usefixtures("toy")
def test_validation_images_are_held_out_of_good_images_too(good: Dataset, tmp_path: Path) -> None:
    method = find_method("toy")
    settings = method.settings_type(device="cpu", precision="fp32")
    whole = good.with_splits({sample.id: None for sample in good})
    bundle = train(Request(method, whole, settings, tmp_path / "run"), Reporter(quiet=True))
    assert bundle.manifest.data["splits"] == {"train": 80, "val": 20}
    assert bundle.manifest.operating_point.overkill.n == 0
    assert np.isfinite(bundle.manifest.thresholds["ng"]) and bundle.manifest.thresholds["ng"] < 1
