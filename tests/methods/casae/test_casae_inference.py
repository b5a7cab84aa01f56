from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from blemish.images.tiling import Tiling
from blemish.inspector.torch_backend import as_network
from blemish.methods.casae.inference import CasaeInference, inference_from, tells_types
from blemish.methods.casae.network.cascade import Cascade
from blemish.methods.casae.settings import CasaeSettings

Map = NDArray[np.float32]
Bytes = NDArray[np.uint8]
NAMES = ("bright", "dark")


def inference(**changes: object) -> CasaeInference:
    plain = inference_from(CasaeSettings(size=64, types=False), NAMES, threshold=0.5)
    return replace(plain, crop_size=32, **changes)


def brightness(inputs: Map) -> Map:
    """A stand-in for the cascade: the mean of the channels of each pixel."""
    return inputs.mean(axis=1, keepdims=True)


def refuse(_: Map) -> Map:
    raise AssertionError("not to be called")


def by_tone(crops: Map) -> Map:
    """A stand-in for the type classifier: the logit of "bright" is the crop's middle tone."""
    middle = crops[:, 0, 16, 16]
    return np.stack([8 * middle, 8 * (1 - middle)], axis=1)


def decide(half: CasaeInference, raw: Map, types: Callable[[Map], Map] = refuse, pixels: Bytes | None = None):
    image = np.zeros(raw.shape, np.uint8) if pixels is None else pixels
    return half.decide(raw, image, {"types": types}, with_maps=True)


# The map


@pytest.mark.parametrize("size", [(40, 200), (300, 130), (64, 64), (9, 13)])
def test_a_squeezed_image_gives_a_map_in_its_own_pixels(size: tuple[int, int]) -> None:
    """A bright block lies in the map where it lies in the image, whatever the two scales are."""
    pixels = np.zeros(size, np.uint8)
    rows, columns = slice(size[0] // 4, size[0] // 2), slice(size[1] // 3, 2 * size[1] // 3)
    pixels[rows, columns] = 255
    shapes = []

    def network(inputs: Map) -> Map:
        shapes.append(inputs.shape)
        return brightness(inputs)

    raw = inference().forward(pixels, {"cascade": network})
    assert shapes == [(1, 1, 64, 64)]
    assert (raw.shape, raw.dtype) == (size, np.float32)
    found, truth = raw >= 0.5, pixels > 0
    slack = truth.any(axis=1).sum() * (1 + size[1] // 64) + truth.any(axis=0).sum() * (1 + size[0] // 64)
    assert (found != truth).sum() <= 2 * slack
    assert (found & truth).sum() / (found | truth).sum() > 0.6


def test_a_map_stays_in_the_range_of_probabilities() -> None:
    generator = np.random.default_rng(0)

    def network(inputs: Map) -> Map:
        return generator.choice(np.float32([0, 1]), inputs.shape)

    raw = inference().forward(np.zeros((301, 187), np.uint8), {"cascade": network})
    assert 0 <= raw.min() < 0.1
    assert 0.9 < raw.max() <= 1


def test_depth_does_not_matter() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (50, 70), np.uint8)
    networks = {"cascade": brightness}
    deep = inference().forward(pixels.astype(np.uint16) * 257, networks)
    np.testing.assert_allclose(deep, inference().forward(pixels, networks), atol=1 / 255)


def test_colour_reaches_the_network_in_three_channels() -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[..., 1] = 255

    def green(inputs: Map) -> Map:
        assert inputs.shape == (1, 3, 64, 64)
        return inputs[:, 1:2]

    assert inference(channels=3).forward(pixels, {"cascade": green}).min() == 1


@pytest.fixture(scope="module")
def sharp() -> tuple[CasaeSettings, Callable[[Map], Map]]:
    """One plain autoencoder with weights so large that its map swings between 0 and 1."""
    chosen = CasaeSettings(preset="tiny", width=2, atrous=False, cascade=False, tiled=True, tile=256)
    torch.manual_seed(0)
    network = Cascade(chosen)
    with torch.no_grad():
        network.first.output.weight.mul_(30)
    return chosen, as_network(network, device="cpu", bfloat16=False)


@pytest.mark.parametrize("size", [(333, 300), (40, 500), (256, 256), (5, 3), (1, 1)])
def test_tiles_show_no_seam(sharp: tuple[CasaeSettings, Callable[[Map], Map]], size: tuple[int, int]) -> None:
    """The tiled map is the one of the whole image, also at sides that are no multiple of 16."""
    chosen, network = sharp
    pixels = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    half = inference_from(chosen, NAMES, threshold=0.5)
    assert half.tiling == Tiling(tile=256, halo=112, stride=1)
    tiled = half.forward(pixels, {"cascade": network})
    at_once = replace(half, tiling=Tiling(tile=512, halo=0, stride=1))
    np.testing.assert_allclose(tiled, at_once.forward(pixels, {"cascade": network}), atol=1e-4)


def test_without_a_halo_tiles_do_show_a_seam(sharp: tuple[CasaeSettings, Callable[[Map], Map]]) -> None:
    """Guards the test above."""
    chosen, network = sharp
    pixels = np.random.default_rng(2).integers(0, 256, (333, 300), np.uint8)
    half = inference_from(chosen, NAMES, threshold=0.5)
    seams, whole = (
        replace(half, tiling=Tiling(tile=tile, halo=0, stride=1)).forward(pixels, {"cascade": network})
        for tile in (256, 512)
    )
    assert abs(seams - whole).max() > 1e-2


# Threshold, components, score


def test_the_papers_threshold_is_inclusive() -> None:
    """Eq. 2: a gray of up to G_s = 100 in the map whose background is 255."""
    half = inference_from(CasaeSettings(preset="paper", types=False), NAMES, threshold=1 - 100 / 255)
    grays = np.array([[99, 100, 101, 255]])
    findings = decide(half, (1 - grays / 255).astype(np.float32))
    assert findings.maps["defects"].tolist() == [[1, 1, 0, 0]]


@settings(max_examples=80, deadline=None)
@given(
    raw=arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32)),
    threshold=st.floats(0.01, 0.99),
    min_area=st.sampled_from([0.0, 3.0]),
)
def test_an_image_has_defects_just_when_its_score_reaches_the_threshold(
    raw: Map, threshold: float, min_area: float
) -> None:
    chosen = CasaeSettings(types=False, min_area=min_area, join_distance=0)
    half = inference_from(chosen, NAMES, threshold=threshold)
    findings = decide(half, raw)
    assert 0 <= findings.score <= 1
    assert (findings.score >= half.threshold_score) == bool(findings.defects)
    if not min_area:
        assert findings.score == raw.max()
    assert all(defect.area >= min_area for defect in findings.defects)


def test_a_drawn_rectangle_is_measured() -> None:
    raw = np.zeros((120, 160), np.float32)
    corners = cv2.boxPoints(((80.0, 60.0), (90.0, 24.0), 30.0))
    cv2.fillPoly(raw, [np.rint(corners).astype(np.int32)], 0.9)
    findings = decide(inference(mm_per_px=0.1), raw)
    (defect,) = findings.defects
    rectangle = defect.rectangle
    assert rectangle.angle_deg == pytest.approx(30, abs=1.5)
    assert (rectangle.length, rectangle.width) == pytest.approx((91, 25), abs=1.5)
    assert rectangle.center_xy == pytest.approx((80.5, 60.5), abs=0.7)
    assert defect.area == np.count_nonzero(raw)
    assert defect.length_mm == pytest.approx(9.1, abs=0.15)
    assert (defect.severity_mean, defect.severity_max) == (None, None)
    np.testing.assert_array_equal(findings.maps["defects"] == 1, raw > 0)
    np.testing.assert_array_equal(findings.maps["score_map"], raw)


def test_near_pixels_are_one_defect() -> None:
    raw = np.zeros((3, 16), np.float32)
    raw[1, [0, 3, 9]] = 0.8
    assert len(decide(inference(), raw).defects) == 2
    assert len(decide(inference(join_distance=0.0), raw).defects) == 3


def test_without_types_a_defect_takes_the_only_name_and_its_surest_pixel() -> None:
    raw = np.array([[0.6, 0.75]], np.float32)
    assert decide(inference(), raw).defects[0].label == "defect"
    only = decide(inference(class_names=("crack",)), raw).defects[0]
    assert (only.label, only.confidence) == ("crack", 0.75)


def test_maps_only_on_demand_and_raw_as_it_was() -> None:
    raw = np.random.default_rng(3).random((20, 20), np.float32)
    before = raw.copy()
    findings = inference().decide(raw, np.zeros((20, 20), np.uint8), {}, with_maps=False)
    assert not findings.maps
    np.testing.assert_array_equal(raw, before)


# Types


def two_strokes(*, depth: type = np.uint8, colour: bool = False) -> tuple[Map, NDArray[np.generic]]:
    """A bright and a dark oblique stroke on gray, thin enough that their boxes are mostly surface."""
    pixels, raw = np.full((200, 200), 128, np.uint8), np.zeros((200, 200), np.float32)
    for (x, y, angle), tone in (((60, 60, 40.0), 255), ((130, 130, -55.0), 0)):
        corners = np.rint(cv2.boxPoints(((x, y), (80.0, 10.0), angle))).astype(np.int32)
        cv2.fillPoly(pixels, [corners], tone)
        cv2.fillPoly(raw, [corners], 0.7 if tone else 0.9)
    drawn = pixels.astype(depth) * (257 if depth is np.uint16 else 1)
    return raw, np.repeat(drawn[..., None], 3, axis=2) if colour else drawn


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("colour", [False, True])
def test_types_are_classified_by_upright_gray_crops(depth: type, colour: bool) -> None:
    raw, pixels = two_strokes(depth=depth, colour=colour)
    batches: list[Map] = []

    def types(crops: Map) -> Map:
        batches.append(crops)
        return by_tone(crops)

    findings = decide(inference(types=True), raw, types, pixels)
    assert [defect.label for defect in findings.defects] == ["bright", "dark"]
    assert [crop.shape for crop in batches] == [(2, 1, 32, 32)], "all crops of the image together"
    inner = batches[0][:, 0, 5:-5, 2:-2]
    assert inner[0].min() > 0.95, "upright: the stroke fills its crop"
    assert inner[1].max() < 0.05
    assert findings.score == pytest.approx(0.9), "the score is the map's, whatever the types"


def test_confidence_is_the_types_probability() -> None:
    raw, pixels = two_strokes()

    def types(crops: Map) -> Map:
        return np.log(np.array([[0.7, 0.3], [0.1, 0.9]], np.float32))

    findings = decide(inference(types=True), raw, types, pixels)
    assert [(one.label, round(one.confidence, 5)) for one in findings.defects] == [
        ("bright", 0.7),
        ("dark", 0.9),
    ]


def test_a_margin_shows_the_surface_around_the_defect() -> None:
    raw, pixels = two_strokes()
    batches: list[Map] = []

    def types(crops: Map) -> Map:
        batches.append(crops)
        return by_tone(crops)

    decide(inference(types=True, crop_margin=2.0), raw, types, pixels)
    assert batches[0][0, 0, 2, 16] == pytest.approx(128 / 255, abs=0.02)
    assert batches[0][0, 0, 16, 16] == 1


# Edges


def test_no_defect_asks_nothing_of_the_type_classifier() -> None:
    findings = decide(inference(types=True), np.full((30, 40), 0.2, np.float32))
    assert findings.defects == ()
    assert findings.score == pytest.approx(0.2)
    assert not findings.maps["defects"].any()


@pytest.mark.parametrize("place", [(0, 0), (0, 39), (29, 39), (15, 20)])
def test_a_defect_of_one_pixel(place: tuple[int, int]) -> None:
    raw, pixels = np.zeros((30, 40), np.float32), np.zeros((30, 40), np.uint8)
    raw[place], pixels[place] = 1, 255
    findings = decide(inference(types=True), raw, by_tone, pixels)
    (defect,) = findings.defects
    row, column = place
    assert defect.box_xyxy == (column, row, column + 1, row + 1)
    assert (defect.area, defect.rectangle.length, defect.rectangle.width) == (1, 1, 1)
    assert defect.label == "bright"


def test_an_image_that_is_all_defect() -> None:
    findings = decide(inference(types=True), np.ones((31, 45), np.float32), by_tone)
    (defect,) = findings.defects
    assert (defect.box_xyxy, defect.area, defect.label) == ((0, 0, 45, 31), 31 * 45, "dark")
    assert findings.score == 1


def test_a_rectangle_that_leaves_the_image_is_cropped_all_the_same() -> None:
    """A stroke from corner to corner: the ends of its smallest rectangle lie outside."""
    raw = np.zeros((60, 60), np.float32)
    cv2.line(raw, (0, 0), (59, 59), 1.0, 15)
    pixels = (raw * 255).astype(np.uint8)
    (defect,) = decide(inference(types=True), raw, by_tone, pixels).defects
    corners = cv2.boxPoints(
        (defect.rectangle.center_xy, (defect.rectangle.length, defect.rectangle.width), 45)
    )
    assert corners.min() < -1
    assert corners.max() > 61
    assert defect.label == "bright"


# Settings


def test_inference_from_takes_every_setting_it_needs() -> None:
    chosen = CasaeSettings(
        channels=3,
        size=128,
        join_distance=7,
        min_area=9,
        types_size=131,
        types_margin=1.25,
        mm_per_px=0.1,
    )
    half = inference_from(chosen, NAMES, threshold=0.6)
    assert (half.channels, half.size, half.tiling) == (3, 128, None)
    assert (half.join_distance, half.min_area, half.mm_per_px) == (7, 9, 0.1)
    assert (half.crop_size, half.crop_margin) == (131, 1.25)
    assert half.threshold == half.pixel_threshold == half.threshold_score == np.float32(0.6)
    assert half.classifies and half.segments
    assert half.score_map_max == 1
    tiled = inference_from(chosen.model_copy(update={"tiled": True}), NAMES, threshold=0.6)
    assert tiled.tiling == chosen.tiling


def test_a_single_class_needs_no_type_classifier() -> None:
    assert tells_types(CasaeSettings(), ("crack", "spot"))
    assert not tells_types(CasaeSettings(), ("crack",))
    assert not tells_types(CasaeSettings(types=False), ("crack", "spot"))
    assert not inference_from(CasaeSettings(), ("crack",), threshold=0.5).classifies
