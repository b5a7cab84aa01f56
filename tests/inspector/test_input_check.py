"""Images unlike those of the training are for a person, with a plain reason; images like them are not."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.bundle import load_bundle, save_bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.images.bit_depth import full_range
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.chain import Chain
from blemish.inspector.image_statistics import DIMENSIONS, statistics_of
from blemish.inspector.input_check import KEY, KnownInputs, reviewed, stored_input_check
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of, open_inspector
from blemish.methods.contract import ImageFindings
from blemish.training.input_statistics import known_inputs

Gray = NDArray[np.uint8]


def surface(seed: int, *, size: tuple[int, int] = (96, 128), mean: float = 120.0, wave: float = 9.0) -> Gray:
    """Noisy surface with a fine structure, lit evenly within 2 %."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    structure = 15 * np.sin(columns / wave * 6) * np.cos(rows / wave * 5)
    light = mean * generator.uniform(0.98, 1.02)
    return np.clip(light + structure + generator.normal(0, 8, size), 0, 255).astype(np.uint8)


TRAINING = [surface(seed) for seed in range(40)]
KNOWN = known_inputs(TRAINING)
NEW = surface(1000)
UNLIKE: dict[str, tuple[NDArray[np.generic], str]] = {
    "black": (np.zeros_like(NEW), "all pixels are alike (0 of full scale)"),
    "white": (np.full_like(NEW, 255), "all pixels are alike (1 of full scale)"),
    "15 % brighter": (cv2.convertScaleAbs(NEW, alpha=1.15), "brighter than any training image (mean "),
    "15 % darker": (cv2.convertScaleAbs(NEW, alpha=0.85), "darker than any training image (mean "),
    "blurred": (cv2.blur(NEW, (5, 5)), "weaker in contrast than any training image"),
    "blurred along rows": (cv2.blur(NEW, (3, 1)), "less sharp"),
    "blurred along columns": (cv2.blur(NEW, (1, 3)), "less sharp"),
    "another size": (
        surface(1, size=(96, 160)),
        "of another size than any training image (160×96 px; training",
    ),
    "16 bits": (NEW.astype(np.uint16) * 257, "stored in 16 bits, training images in 8"),
    "colour": (cv2.applyColorMap(NEW, cv2.COLORMAP_HOT), "in colour, training images gray"),
    "one pixel": (NEW[:1, :1], "all pixels are alike"),
    "another product": (surface(2, wave=40.0), ""),
}


class Clean:
    """A stand-in for a method that finds every image clean, or as bad as it is told."""

    channels = 1
    mm_per_px = None
    classifies = segments = False
    threshold_score = pixel_threshold = score_map_max = None

    def __init__(self, score: float = 0.0) -> None:
        self.score = score

    def forward(self, pixels: Gray, networks: object) -> NDArray[np.float32]:
        assert pixels.ndim == 2, "the method gets its own channels"
        return np.zeros((1, 1), np.float32)

    def decide(self, *_: object, with_maps: bool) -> ImageFindings:
        return ImageFindings(self.score, ())


def stage(check: KnownInputs | None, score: float = 0.0) -> BundleInspector:
    return BundleInspector(Clean(score), {}, 0.5, 0.9, "bundle", input_check=check)  # type: ignore[arg-type]


def judged(pixels: NDArray[np.generic], check: KnownInputs | None = KNOWN, score: float = 0.0) -> Inspection:
    return stage(check, score).judge(pixels, "a.png")  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", UNLIKE)
def test_an_image_unlike_those_of_the_training_is_for_a_person(kind: str) -> None:
    pixels, reason = UNLIKE[kind]
    inspection = judged(pixels)
    assert inspection.verdict is Verdict.REVIEW
    assert any(each.startswith(reason) for each in inspection.reasons), inspection.reasons
    assert judged(pixels, score=1.0).verdict is Verdict.NG and judged(pixels, score=1.0).reasons
    assert judged(pixels, None).verdict is Verdict.OK and not judged(pixels, None).reasons
    assert Chain((stage(KNOWN),)).judge(pixels, "a").verdict is Verdict.REVIEW  # type: ignore[arg-type]


def test_new_images_of_the_same_kind_are_judged_as_before() -> None:
    unlike = [judged(surface(seed)).reasons for seed in range(2000, 2200)]
    assert sum(map(bool, unlike)) <= 4, [each for each in unlike if each]
    as_three_channels = cv2.cvtColor(NEW, cv2.COLOR_GRAY2RGB)
    assert judged(as_three_channels).verdict is Verdict.OK


def test_no_training_image_is_outside_the_range_that_a_reason_names() -> None:
    (reason,) = judged(cv2.convertScaleAbs(NEW, alpha=1.15)).reasons[:1]
    value, low, high = map(float, re.findall(r"0\.\d+", reason))
    means = [image.mean() / 255 for image in TRAINING]
    assert low == pytest.approx(min(means), abs=2e-3) and high == pytest.approx(max(means), abs=2e-3)
    assert value > high


def test_light_that_varies_in_training_may_vary_later() -> None:
    varied = known_inputs(cv2.convertScaleAbs(surface(seed), alpha=0.7 + seed / 60) for seed in range(40))
    for factor in (0.85, 1.15):
        assert not varied.reasons(cv2.convertScaleAbs(NEW, alpha=factor))
    assert varied.reasons(cv2.convertScaleAbs(NEW, alpha=0.2))


def test_part_of_an_image_may_have_any_size() -> None:
    part = np.concatenate([surface(1), surface(2)])
    assert KNOWN.reasons(part) and not KNOWN.reasons(part, whole=False)


def test_a_later_stage_of_a_chain_that_knows_no_such_image_sends_it_to_a_person() -> None:
    bright = cv2.convertScaleAbs(NEW, alpha=1.15)

    class Segmenting(Clean):
        segments = True

    first = BundleInspector(Segmenting(), {}, 0.5, 0.9, "a")  # type: ignore[arg-type]
    later = BundleInspector(Clean(), {}, 0.5, 0.9, "b", input_check=KNOWN)  # type: ignore[arg-type]
    inspection = Chain((first, later)).judge(bright, "a")
    assert inspection.verdict is Verdict.REVIEW and any("brighter" in each for each in inspection.reasons)
    assert Chain((first, later)).judge(NEW, "a").verdict is Verdict.OK


def test_an_error_stays_an_error() -> None:
    error = failed("a", "unreadable", bundle="b")
    assert reviewed(error, ("darker",)) is error


def test_what_is_stored_is_read_again_as_it_was() -> None:
    stored = stored_input_check({KEY: KNOWN.model_dump(mode="json")}, "bundle")
    assert stored == KNOWN


@pytest.mark.parametrize(
    "change", [{"images": 0}, {"brightness": [0.1]}, {"sharp": 1}, {"spread": {"mean": [1]}}]
)
def test_statistics_that_are_none_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(BlemishError, match=f"bundle: data: {KEY}: .*Train it again"):
        stored_input_check({KEY: {**KNOWN.model_dump(mode="json"), **change}}, "bundle")


def test_a_spread_of_another_dimension_is_refused() -> None:
    fields = KNOWN.model_dump(mode="json")
    fields["spread"]["mean"] = fields["spread"]["mean"][1:]
    with pytest.raises(BlemishError, match=f"must be of {DIMENSIONS} dimensions"):
        stored_input_check({KEY: fields}, "bundle")


def test_a_trained_bundle_knows_its_images_and_tells_others(
    tiny_bundle: Path, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    inspector = open_inspector(tiny_bundle, device="cpu")
    samples = [*tiny_dataset.split("train"), *tiny_dataset.split("val")]
    check = inspector.input_check
    assert isinstance(check, KnownInputs) and check.images == len(samples)
    for sample in samples[:6]:
        assert not any("training image" in reason for reason in inspector.inspect(sample.image).reasons)
    pixels = cv2.imread(str(samples[0].image), cv2.IMREAD_UNCHANGED)
    for number, odd in enumerate((pixels // 16, pixels[:40], pixels.astype(np.uint16) * 257)):
        file = tmp_path / f"{number}.png"
        cv2.imwrite(str(file), odd)
        inspection = inspector.inspect(file)
        assert inspection.verdict in (Verdict.REVIEW, Verdict.NG) and inspection.reasons
        unchecked = inspector_of(load_bundle(tiny_bundle), device="cpu", input_check=False).inspect(file)
        assert not any("training image" in reason for reason in unchecked.reasons)


def test_a_bundle_with_damaged_statistics_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    bundle = load_bundle(tiny_bundle)
    odd = bundle.manifest.model_copy(update={"data": {**bundle.manifest.data, KEY: {"images": 3}}})
    save_bundle(tmp_path / "odd", odd, bundle.networks)
    with pytest.raises(BlemishError, match=f"data: {KEY}: "):
        open_inspector(tmp_path / "odd", device="cpu")


# Statistics


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_statistics_are_those_of_the_whole_image(channels: int, dtype: type) -> None:
    top = np.iinfo(dtype).max
    noise = np.random.default_rng(0).normal(0.5, 0.15, (700, 900) if channels == 1 else (700, 900, 3))
    pixels = np.clip(cv2.GaussianBlur(noise, (3, 3), 0) * top, 0, top).astype(dtype)
    found = statistics_of(pixels)
    gray = (pixels if channels == 1 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)) / top
    assert found.brightness == pytest.approx(gray.mean(), abs=0.005)
    assert found.contrast == pytest.approx(gray.std(), rel=0.05)
    single = (pixels if channels == 1 else pixels[..., 1]) / top
    near, far = (np.sqrt(((single[:, lag:] - single[:, :-lag]) ** 2).mean()) for lag in (1, 4))
    assert found.sharpness_rows == pytest.approx(near / far, rel=0.08)
    assert found.size == (700, 900) and found.bits == 8 * np.dtype(dtype).itemsize
    assert found.colour == (channels == 3)


@pytest.mark.parametrize("shape", [(1, 1), (300, 1), (1, 300), (9, 1, 3), (1, 2, 3), (17, 16), (600, 1, 3)])
def test_any_image_has_statistics(shape: tuple[int, ...]) -> None:
    found = statistics_of(np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8))
    assert found.descriptor.shape == (DIMENSIONS,) and np.isfinite(found.descriptor).all()
    assert known_inputs([np.zeros(shape, np.uint8)]).reasons(np.zeros(shape, np.uint8)) == ()


def test_a_single_pixel_that_differs_is_seen() -> None:
    spot = np.full((1000, 1000), 7, np.uint8)
    assert statistics_of(spot).uniform == pytest.approx(7 / 255)
    spot[501, 501] = 8
    assert statistics_of(spot).uniform is None
    red = np.zeros((20, 20, 3), np.uint8)
    red[..., 0] = 9
    assert statistics_of(red).uniform is not None and statistics_of(red).colour


def test_bits_of_a_camera_that_are_not_those_of_the_training_are_told() -> None:
    twelve = [full_range(image.astype(np.uint16) * 16, 12, "a") for image in TRAINING]
    known = known_inputs(twelve)
    assert not known.reasons(full_range(NEW.astype(np.uint16) * 16, 12, "a"))
    assert known.reasons(NEW)[0] == "stored in 8 bits, training images in 16"
    with pytest.raises(BlemishError, match="must hold values up to 4095, as `bits: 12` says"):
        full_range(NEW.astype(np.uint16) * 257, 12, "a")
    with pytest.raises(BlemishError, match="holds 16-bit values but none above 4095"):
        full_range(NEW.astype(np.uint16) * 16, None, "a")
    dark = full_range(NEW.astype(np.uint16) * 4, 12, "a")  # a camera of 10 bits
    assert any("darker than any training image" in reason for reason in known.reasons(dark))
