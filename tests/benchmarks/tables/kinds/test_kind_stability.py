from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tables.kinds.stability import StabilitySettings, noisy, scaled, shifted, stability
from blemish.dataset.samples import Dataset, Sample
from blemish.images.encode import png_bytes
from blemish.inspector.inspector import BundleInspector
from blemish.methods.contract import ImageFindings
from blemish.progress import Reporter


class MeanGray:
    """Scores an image by its mean, so that what changes its verdict is known."""

    channels = 1
    threshold_score = None
    mm_per_px = None

    def forward(self, pixels, networks):
        return np.float32([[pixels.mean() / 255]])

    def decide(self, raw, pixels, networks, *, with_maps):
        return ImageFindings(float(raw[0, 0]), ())


def flips(tmp_path: Path, grays: list[int], *, ng: float) -> dict:
    samples = []
    for gray in grays:
        file = tmp_path / f"{gray}.png"
        file.write_bytes(png_bytes(np.full((40, 40), gray, np.uint8)))
        samples.append(Sample(file, file.name))
    inspector = BundleInspector(MeanGray(), {}, review=ng, ng=ng, bundle="b")
    dataset = Dataset(tmp_path, tuple(samples), ())
    return stability(inspector, dataset, StabilitySettings(), seed=0, reporter=Reporter(quiet=True))


def test_flips_are_those_that_gain_must_cause(tmp_path: Path) -> None:
    found = flips(tmp_path, [95, 105, 50, 200], ng=100 / 255)
    assert {name: found[name]["n"] for name in ("darker", "brighter")} == {"darker": 1, "brighter": 1}
    assert {found[f"shift_{distance}px"]["n"] for distance in (1, 2, 3)} == {0}
    assert found["noise"]["n"] == 0
    assert found["darker"]["of"] == 4
    assert found["flip_share"] == 2 / (4 * 6)
    assert found["darker"]["upper95"] == pytest.approx(0.7514, abs=1e-4)  # 1 of 4, by the tables
    assert found["verdicts"] == {"OK": 2, "REVIEW": 0, "NG": 2, "ERROR": 0}


@pytest.mark.parametrize("distance", [1, 2, 3])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_shift_moves_the_inside_by_whole_pixels_and_repeats_the_border(
    distance: int, channels: int
) -> None:
    shape = (12, 15) if channels == 1 else (12, 15, 3)
    image = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    seen = set()
    for seed in range(60):
        moved = shifted(distance, image, np.random.default_rng(seed))
        assert moved.shape == image.shape
        for down in (-distance, 0, distance):
            for right in (-distance, 0, distance):
                rows = np.clip(np.arange(12) - down, 0, 11)
                columns = np.clip(np.arange(15) - right, 0, 14)
                if np.array_equal(moved, image[np.ix_(rows, columns)]):
                    seen.add((down, right))
    assert len(seen) == 8
    assert (0, 0) not in seen


def test_gain_rounds_and_stays_in_range() -> None:
    assert scaled(np.array([[100, 240, 5]], np.uint8), 1.1).tolist() == [[110, 255, 6]]
    assert scaled(np.array([[60000, 100]], np.uint16), 1.1).tolist() == [[65535, 110]]


def test_noise_has_its_sigma_in_gray_levels_of_either_depth() -> None:
    for dtype, unit in ((np.uint8, 1), (np.uint16, 257)):
        image = np.full((200, 200), 128 * unit, dtype)
        noise = noisy(image, 5.0, np.random.default_rng(0)).astype(float) / unit - 128
        assert noise.std() == pytest.approx(5.0, rel=0.02)
        assert abs(noise.mean()) < 0.1
    once, again = (noisy(image, 5.0, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(once, again)
