"""Bundles that know the appearance of their training images alone: they judge as they did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from blemish.bundle import load_bundle, save_bundle
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.appearance import FACTOR, KEY, Appearance, KnownAppearance, appearance_of
from blemish.inspector.chain import Chain
from blemish.inspector.input_check import KEY as INPUT_STATISTICS
from blemish.inspector.input_check import InputCheck, stored_input_check
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import open_inspector
from blemish.methods.contract import ImageFindings

PLAIN = Appearance(brightness=0.45, contrast=0.1, side=64, sharpness=0.05)


def known(*images: Appearance) -> KnownAppearance:
    """Looks of these images, as bundles have stored them."""
    ranges = {
        name: (min(values), max(values))
        for name in ("brightness", "contrast", "sharpness")
        for values in [[getattr(appearance, name) for appearance in images]]
    }
    return KnownAppearance(images=len(images), side=min(appearance.side for appearance in images), **ranges)


KNOWN = known(replace(PLAIN, brightness=0.4), replace(PLAIN, brightness=0.5, contrast=0.2))


def surface(
    *, mean: float = 115.0, deviation: float = 25.0, size: tuple[int, int] = (64, 80)
) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(mean, deviation, size)
    return np.clip(noise, 0, 255).astype(np.uint8)


class Clean:
    """A stand-in for a method that finds every image clean, or as bad as it is told."""

    channels = 1
    mm_per_px = None
    classifies = False
    segments = False
    threshold_score = None
    pixel_threshold = None

    def __init__(self, score: float = 0.0) -> None:
        self.score = score

    def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        return np.zeros((1, 1), np.float32)

    def decide(self, *_: object, with_maps: bool) -> ImageFindings:
        return ImageFindings(self.score, ())


def judged(pixels: NDArray[np.generic], check: InputCheck, score: float = 0.0) -> Inspection:
    inspector = BundleInspector(Clean(score), {}, 0.5, 0.9, "bundle", input_check=check)  # type: ignore[arg-type]
    return inspector.judge(pixels, "a.png")  # type: ignore[arg-type]


OWN = known(appearance_of(surface()))
UNLIKE = {
    "black": np.zeros((64, 80), np.uint8),
    "white": np.full((64, 80), 255, np.uint8),
    "one gray": np.full((64, 80), 115, np.uint8),
    "one pixel": surface()[:1, :1],
    "12 bits in 16": surface().astype(np.uint16) * 16,
    "8 bits in 16": surface().astype(np.uint16),
    "a lamp that is out": (surface() * 0.2).astype(np.uint8),
    "overexposed": surface(mean=320, deviation=60),
    "covered lens": surface(deviation=5),
    "stripes": np.tile(np.array([0, 255], np.uint8), (64, 40)),
    "a crop": surface()[:8, :8],
    "out of focus": cv2.GaussianBlur(surface(deviation=120), (0, 0), 2),
}


@pytest.mark.parametrize("kind", UNLIKE)
def test_an_image_unlike_those_of_the_training_is_for_a_person(kind: str) -> None:
    inspection = judged(UNLIKE[kind], OWN)
    assert inspection.verdict is Verdict.REVIEW
    assert inspection.reasons and inspection.to_json()["reasons"] == list(inspection.reasons)
    assert judged(UNLIKE[kind], OWN, score=1.0).verdict is Verdict.NG, "what is NG stays so"
    assert judged(UNLIKE[kind], OWN, score=1.0).reasons


@pytest.mark.parametrize(
    "pixels",
    [surface(), surface(mean=90), surface(mean=140), surface(deviation=40), surface(size=(640, 80))],
    ids=["itself", "darker", "brighter", "more contrast", "longer"],
)
def test_an_image_like_them_is_judged_as_before(pixels: NDArray[np.uint8]) -> None:
    assert judged(pixels, OWN).verdict is Verdict.OK and not judged(pixels, OWN).reasons
    as_16_bits = pixels.astype(np.uint16) * 257
    assert judged(as_16_bits, OWN).verdict is Verdict.OK


@pytest.mark.parametrize("kind", ["black", "white", "one gray", "one pixel"])
def test_a_bundle_that_remembers_nothing_still_knows_these(kind: str) -> None:
    assert judged(UNLIKE[kind], KnownAppearance()).verdict is Verdict.REVIEW
    for other in ("a lamp that is out", "overexposed", "stripes", "a crop"):
        assert judged(UNLIKE[other], KnownAppearance()).verdict is Verdict.OK


def test_what_was_in_the_training_is_no_surprise() -> None:
    blank = np.full((64, 80), 200, np.uint8)
    dark = surface().astype(np.uint16) * 16
    learned = known(appearance_of(blank), appearance_of(dark), appearance_of(surface()))
    for pixels in (blank, dark, surface()):
        assert judged(pixels, learned).verdict is Verdict.OK


def test_the_reason_names_the_value_and_the_range() -> None:
    (reason,) = KNOWN.ways_unlike(whole=True, appearance=replace(PLAIN, brightness=0.1))
    assert reason == "darker than every training image: mean 25.5, training 102 to 128"
    (reason,) = KNOWN.ways_unlike(whole=True, appearance=replace(PLAIN, brightness=0.9))
    assert reason.startswith("brighter than every training image: mean 230, training 102 to 128")
    (reason,) = KNOWN.ways_unlike(whole=True, appearance=replace(PLAIN, sharpness=0.01))
    assert reason == "less sharp than every training image: step between pixels 2.55, training 12.8 to 12.8"
    (reason,) = KNOWN.ways_unlike(whole=True, appearance=replace(PLAIN, contrast=0.02))
    assert "weaker in contrast" in reason and "deviation 5.1, training 25.5 to 51" in reason


shares = st.floats(0.02, 0.5)
LOOKS = st.lists(st.builds(Appearance, shares, shares, st.integers(1, 99), shares), min_size=1)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(LOOKS)
def test_no_image_of_the_training_is_unlike_it(images: list[Appearance]) -> None:
    for appearance in images:
        assert not list(known(*images).ways_unlike(appearance, whole=True))


@given(shares, shares)
def test_darkness_is_a_factor_below_the_darkest(brightness: float, dark: float) -> None:
    learned = known(replace(PLAIN, brightness=dark))
    reasons = list(learned.ways_unlike(replace(PLAIN, brightness=brightness), whole=True))
    assert any("darker" in reason for reason in reasons) == (brightness * FACTOR < dark)


def test_appearance_is_those_of_the_whole_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1300, 3), np.uint8)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) / 255
    appearance = appearance_of(pixels)
    assert appearance.brightness == pytest.approx(gray.mean(), abs=0.01)
    assert appearance.contrast == pytest.approx(gray.std(), abs=0.01)
    assert appearance.side == 900
    steps = np.abs(np.diff(gray, axis=1)).mean()
    assert appearance.sharpness == pytest.approx(steps, abs=0.01)
    spot = np.full((1000, 1000), 7, np.uint8)
    spot[501, 501] = 8
    assert appearance_of(spot).side == 1000 and KnownAppearance().reasons(spot - spot)


def test_a_chain_passes_no_image_that_its_first_stage_has_not_seen_the_like_of() -> None:
    stage = BundleInspector(Clean(), {}, 0.5, 0.9, "gate", input_check=OWN)  # type: ignore[arg-type]
    assert Chain((stage,)).judge(UNLIKE["black"], "a").verdict is Verdict.REVIEW
    assert Chain((stage,)).judge(surface(), "a").verdict is Verdict.OK


@pytest.mark.parametrize(
    "stored", [[], {"brightness": [0.1]}, {"side": 0}, {"bright": [0, 1]}, {"images": -1}]
)
def test_stored_looks_that_are_none_are_refused(stored: object, tiny_bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="data: looks: "):
        stored_input_check({KEY: stored}, "bundle")
    bundle = load_bundle(tiny_bundle)
    data = {key: value for key, value in bundle.manifest.data.items() if key != INPUT_STATISTICS}
    odd = bundle.manifest.model_copy(update={"data": {**data, KEY: stored}})
    save_bundle(tmp_path / "odd", odd, bundle.networks)
    with pytest.raises(BlemishError, match="data: looks: "):
        open_inspector(tmp_path / "odd", device="cpu")


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).integers(16, 18, (64, 80)).astype(np.uint8),  # no signal but noise
        np.random.default_rng(0).integers(3000, 3200, (64, 80)).astype(np.uint16),
        surface()[:3],
        surface()[:, :7],
    ],
)
def test_an_image_that_shows_nothing_is_for_a_person_whatever_the_bundle_knows(
    pixels: NDArray[np.generic],
) -> None:
    assert judged(pixels, KnownAppearance()).verdict is Verdict.REVIEW
    assert judged(surface(deviation=4), KnownAppearance()).verdict is Verdict.OK


@pytest.mark.parametrize("width", [1, 2, 3, 257, 2000])
def test_a_ramp_is_as_sharp_as_it_is_steep(width: int) -> None:
    ramp = np.tile((np.arange(width) % 128 * 2).astype(np.uint8), (300, 1))
    steps = np.abs(np.diff(ramp[0].astype(float)))
    assert appearance_of(ramp).sharpness == pytest.approx((steps.mean() if width > 1 else 0) / 255, rel=0.6)


def test_looks_stored_before_sharpness_was_known_say_nothing_of_it() -> None:
    older = OWN.model_dump(exclude={"sharpness"})
    stored = stored_input_check({KEY: older}, "bundle")
    blurred = cv2.GaussianBlur(surface(deviation=120), (0, 0), 2)
    assert judged(blurred, stored).verdict is Verdict.OK and judged(blurred, OWN).verdict is Verdict.REVIEW


@pytest.mark.parametrize("shape", [(1, 1), (300, 1), (1, 300), (9, 1, 3), (1, 2, 3), (600, 1, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_any_image_has_an_appearance(shape: tuple[int, ...], dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(dtype)
    appearance = appearance_of(pixels)
    assert appearance.side == 1
    assert 0 <= appearance.sharpness <= 1
    assert (appearance.sharpness > 0) == (shape[1] > 1)
