from __future__ import annotations

import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from blemish.images.tiling import Tiling
from blemish.methods.severity.heads import softly_limited
from blemish.methods.severity.inference import SeverityInference, inference_from
from blemish.methods.severity.settings import SeveritySettings
from blemish.methods.severity.upsampling import upsample
from blemish.methods.severity.windows import windows_on
from blemish.regions.components import label_regions
from blemish.regions.measure import outlines

Map = NDArray[np.float32]
NAMES = ("scratch", "spot")


def inference(cell: int = 1, **changes: object) -> SeverityInference:
    """Stages 2 and 3 with plain squares for outlines, unless changed."""
    settings = SeveritySettings(upsampling="nearest", types=False, loss="paper", context=1)
    plain = inference_from(settings, NAMES, threshold=5.0, drop_above=0.5)
    return replace(plain, **{"tiles": Tiling(tile=64, halo=0, stride=cell), **changes})


def cells_of(inputs: Map) -> Map:
    """A stand-in for stage 1: the brightness of each pixel, from 0 to 12 with a little below and above."""
    return inputs * 16 - 2


def blank(raw: Map, cell: int = 1) -> NDArray[np.uint8]:
    return np.zeros((raw.shape[0] * cell, raw.shape[1] * cell), np.uint8)


def decide(half: SeverityInference, raw: Map, **networks: object):
    return half.decide(raw, blank(raw, half.cell), networks, with_maps=True)


def logits_of(*rows: tuple[float, ...]):
    """A stand-in for stage 4: one row of probabilities for every window, used in turn."""

    def network(windows: Map) -> Map:
        repeated = [rows[index % len(rows)] for index in range(len(windows))]
        return np.log(np.array(repeated, np.float32))

    return network


def test_what_leaves_the_method_is_in_the_range_of_severities() -> None:
    pixels = np.array([[0, 255, 100]], np.uint8)
    half = inference()
    raw = half.forward(pixels, {"severity": cells_of})
    assert raw[0].tolist() == pytest.approx([-2, 14, 100 / 255 * 16 - 2])
    findings = half.decide(raw, pixels, {}, with_maps=True)
    assert findings.maps["score_map"][0].tolist() == pytest.approx([0, 12, 100 / 255 * 16 - 2])
    assert findings.defects[0].severity_max == 12 and findings.score < 1


def test_the_strongest_images_are_told_apart_by_raw_severities_alone() -> None:
    """Clipped at 12, the surest images tie."""
    strong, stronger = (np.float32([[0, peak, 0]]) for peak in (14, 20))
    scores = [decide(inference(), raw).score for raw in (strong, stronger)]
    assert inference().threshold_score < scores[0] < scores[1] < 1
    assert [decide(inference(limited_softly=False), raw).score for raw in (strong, stronger)] == [1, 1]


@settings(max_examples=60, deadline=None)
@given(
    raw=arrays(np.float32, (9, 11), elements=st.sampled_from([0, 3, 5, 6, 7, 9, 12])),
    low=st.sampled_from([3.0, 5.0, 6.0]),
    high=st.sampled_from([0.0, 6.0, 7.0, 9.0, 12.0]),
)
def test_regions_start_at_one_threshold_and_grow_to_the_other(raw: Map, low: float, high: float) -> None:
    """Brute force: scipy's components of what reaches T_low, those with a cell of T_high."""
    half = inference(threshold=low, start_threshold=high, join_distance=0.0)
    findings = decide(half, raw)
    labels, count = ndimage.label(raw >= low, np.ones((3, 3)))
    strong = [number for number in range(1, count + 1) if raw[labels == number].max() >= high]
    assert np.array_equal(findings.maps["defects"] > 0, np.isin(labels, strong))
    assert len(findings.defects) == len(strong)
    assert (findings.score >= half.threshold_score) == bool(strong)


def test_the_filter_keeps_severities_from_the_threshold_on() -> None:
    """Eq. 1: values below T are set to 0, T itself stays."""
    raw = np.array([[4.99, 0, 0, 0, 0, 0, 5.0, 7, 0]], np.float32)
    findings = decide(inference(), raw)
    assert [defect.box_xyxy for defect in findings.defects] == [(6, 0, 8, 1)]
    assert findings.maps["defects"].tolist() == [[0, 0, 0, 0, 0, 0, 1, 1, 0]]
    np.testing.assert_array_equal(findings.maps["score_map"], raw)


@pytest.mark.parametrize("cell", [1, 2, 4])
def test_regions_are_the_components_of_the_kept_cells(cell: int) -> None:
    raw = np.random.default_rng(cell).uniform(0, 12, (14, 17)).astype(np.float32)
    half = inference(cell, threshold=10.5, join_distance=0.0)
    findings = decide(half, raw)
    labels, count = ndimage.label(raw >= 10.5, np.ones((3, 3)))
    assert len(findings.defects) == count
    expected = {
        (
            (labels == number).sum() * cell**2,
            float(raw[labels == number].max()),
            round(float(raw[labels == number].mean()), 4),
        )
        for number in range(1, count + 1)
    }
    found = {
        (defect.area, defect.severity_max, round(defect.severity_mean, 4)) for defect in findings.defects
    }
    assert found == expected
    filled = np.kron(raw >= 10.5, np.ones((cell, cell), bool))
    np.testing.assert_array_equal(findings.maps["defects"] > 0, filled)


def test_the_map_of_defects_numbers_them_in_their_order() -> None:
    raw = np.random.default_rng(0).uniform(0, 12, (20, 20)).astype(np.float32)
    findings = decide(inference(threshold=10.0, join_distance=0.0), raw)
    numbers = findings.maps["defects"]
    assert numbers.max() == len(findings.defects) > 10
    for number, defect in enumerate(findings.defects, start=1):
        rows, columns = np.nonzero(numbers == number)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert defect.box_xyxy == box
        assert defect.area == rows.size


def test_near_components_are_one_defect_and_far_ones_two() -> None:
    raw = np.zeros((3, 16), np.float32)
    raw[1, [0, 3, 9]] = 8
    assert len(decide(inference(join_distance=4.0), raw).defects) == 2
    assert len(decide(inference(join_distance=7.0), raw).defects) == 1


def test_defects_lie_within_an_image_of_odd_sides() -> None:
    half = inference(4, upsampling="linear")
    raw = np.full((3, 4), 9, np.float32)
    pixels = np.zeros((9, 14), np.uint8)
    findings = half.decide(raw, pixels, {}, with_maps=True)
    (defect,) = findings.defects
    assert defect.box_xyxy == (0, 0, 14, 9)
    assert defect.area == 9 * 14
    assert findings.maps["score_map"].shape == findings.maps["defects"].shape == (9, 14)


@pytest.mark.parametrize("cell", [2, 4])
def test_linear_outlines_are_where_the_enlarged_map_reaches_the_threshold(cell: int) -> None:
    smooth = ndimage.gaussian_filter(np.random.default_rng(cell).uniform(-20, 40, (20, 24)), 1.5)
    raw = smooth.clip(0, 12).astype(np.float32)
    half = inference(cell, threshold=10.0, upsampling="linear", join_distance=0.0)
    findings = decide(half, raw)
    expected = upsample(raw, cell, "linear") >= 10.0
    assert expected.any()
    np.testing.assert_array_equal(findings.maps["defects"] > 0, expected)


def plain_regions(half: SeverityInference, raw: Map, size: tuple[int, int]) -> list[NDArray[np.bool_]]:
    """The mask [H, W] of every region, all at full size: a pixel belongs to the component of the cells it is
    interpolated from; a component without pixels takes its cells' squares.
    """
    labels, count = label_regions(raw >= half.threshold, join_distance=half.join_distance, cell=half.cell)
    squares = labels.repeat(half.cell, axis=0).repeat(half.cell, axis=1)[: size[0], : size[1]]
    if half.upsampling == "nearest":
        return [squares == number for number in range(1, count + 1)]
    around = [
        [np.clip(np.floor((np.arange(length) + 0.5) / half.cell - 0.5).astype(int) + step, 0, cells - 1)]
        for step in (0, 1)
        for length, cells in zip(size, raw.shape, strict=True)
    ]
    rows, columns = around[::2], around[1::2]
    owner = np.max([labels[np.ix_(row[0], column[0])] for row in rows for column in columns], axis=0)
    reached = upsample(raw, half.cell, "linear")[: size[0], : size[1]] >= half.threshold
    masks = [reached & (owner == number) for number in range(1, count + 1)]
    return [mask if mask.any() else squares == number for number, mask in enumerate(masks, start=1)]


@pytest.mark.parametrize("upsampling", ["linear", "nearest"])
@pytest.mark.parametrize("cell", [1, 2, 4])
@pytest.mark.parametrize("seed", range(8))
def test_regions_are_those_of_the_whole_map_at_once(cell: int, upsampling: str, seed: int) -> None:
    """To the last bit, also where one has several bands, narrow and wide ones, and at odd sides."""
    generator = np.random.default_rng([cell, seed])
    cells = generator.integers(1, 90, 2)
    noise = cv2.GaussianBlur(generator.uniform(-20, 40, cells), (0, 0), generator.uniform(0.4, 3))
    raw = noise.clip(0, 12).astype(np.float32).reshape(cells)
    half = inference(
        cell,
        threshold=float(np.quantile(raw, generator.uniform(0.5, 0.97))) or 1.0,
        upsampling=upsampling,
        join_distance=float(generator.choice([0, 4, 9])),
    )
    height, width = (int(side) * cell - int(generator.integers(0, cell)) for side in cells)
    findings = half.decide(raw, np.zeros((height, width), np.uint8), {}, with_maps=True)
    masks = plain_regions(half, raw, (height, width))
    assert len(findings.defects) == len(masks)
    for number, (mask, defect) in enumerate(zip(masks, findings.defects, strict=True), start=1):
        assert np.array_equal(findings.maps["defects"] == number, mask)
        assert defect.contour == outlines(mask)
        assert defect.area == mask.sum()


def test_a_pixel_between_two_defects_belongs_to_one() -> None:
    """Between cells 0 and 2 of a row lies one below T, whose halves are interpolated with either."""
    raw = np.array([[12, 4, 12, 0]], np.float32)
    half = inference(4, threshold=5.0, upsampling="linear", join_distance=0.0)
    findings = decide(half, raw)
    assert [defect.box_xyxy for defect in findings.defects] == [(0, 0, 6, 4), (6, 0, 12, 4)]
    assert [defect.area for defect in findings.defects] == [24, 24]


def test_a_defect_that_lies_only_beyond_the_image_keeps_what_is_inside_of_its_cell() -> None:
    """The map reaches T below row 9, where a cell of the padding is interpolated with the image's last."""
    raw = np.array([[0, 0], [0, 0], [0, 9]], np.float32)
    half = inference(4, threshold=8.9, upsampling="linear")
    (defect,) = half.decide(raw, np.zeros((9, 5), np.uint8), {}, with_maps=False).defects
    assert defect.box_xyxy == (4, 8, 5, 9)


def test_a_scratch_across_the_image_takes_less_memory_than_a_mask_of_its_box() -> None:
    """One byte per pixel would be 16 MB beside the map of labels and what it is made with."""
    raw = np.zeros((1000, 1000), np.float32)
    cv2.line(raw, (0, 0), (999, 999), 9.0, 3)
    half = inference(4, threshold=6.0, upsampling="linear")
    pixels = blank(raw, 4)
    tracemalloc.start()
    (defect,) = half.decide(raw, pixels, {}, with_maps=False).defects
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert defect.box_xyxy == (0, 0, 4000, 4000)
    assert peak < pixels.size


def test_upsample_keeps_cell_centres_and_runs_straight_between_them() -> None:
    raw = np.array([[0, 8]], np.float32)
    np.testing.assert_allclose(upsample(raw, 4, "linear")[0], [0, 0, 1, 3, 5, 7, 8, 8])
    np.testing.assert_allclose(upsample(raw, 4, "nearest")[0], [0, 0, 0, 0, 8, 8, 8, 8])


def test_small_defects_are_dropped_by_their_area() -> None:
    raw = np.zeros((1, 20), np.float32)
    raw[0, 2:5] = 7
    raw[0, 12:16] = 6
    findings = decide(inference(min_area=4.0), raw)
    assert [defect.area for defect in findings.defects] == [4]
    assert findings.score == pytest.approx(6 / 12)


# The score


@settings(max_examples=100, deadline=None)
@given(
    raw=arrays(np.float32, (4, 5), elements=st.floats(0, 12, width=32)),
    threshold=st.floats(0.01, 11.99),
)
def test_without_stage_4_the_score_is_the_strongest_severity(raw: Map, threshold: float) -> None:
    for values, greatest in (("clipped", raw.max()), ("raw", softly_limited(raw).max())):
        chosen = SeveritySettings(cell=1, types=False, score_values=values)
        half = inference_from(chosen, NAMES, threshold=threshold, drop_above=0.5)
        findings = half.decide(raw, blank(raw), {}, with_maps=False)
        assert findings.score == pytest.approx(float(greatest) / 12, abs=1e-6)
        assert (findings.score >= half.threshold_score) == bool(findings.defects)
        assert not findings.maps


@pytest.mark.parametrize("threshold", np.linspace(0.1, 11.9, 60))
def test_an_image_whose_defects_stage_4_drops_scores_just_below_the_threshold(threshold: float) -> None:
    """Below it also after rounding: an NG threshold may lie exactly at `threshold_score`."""
    raw = np.zeros((8, 8), np.float32)
    raw[2, 3] = 12
    half = inference(types=True, window=32, threshold=float(threshold))
    findings = decide(half, raw, types=logits_of((0.1, 0.1, 0.8)))
    assert findings.defects == ()
    assert findings.score < half.threshold_score
    assert findings.score == pytest.approx(half.threshold_score)


def test_a_dropped_region_leaves_the_score_to_the_others() -> None:
    raw = np.zeros((40, 200), np.float32)
    raw[20, 20], raw[20, 150] = 11, 6
    pixels = np.zeros(raw.shape, np.uint8)
    pixels[:, 100:] = 255

    def bright_is_scratch(windows: Map) -> Map:
        bright = windows.mean(axis=(1, 2, 3))
        return np.stack([9 * bright, 0 * bright, 9 * (1 - bright)], axis=1)

    half = inference(types=True, window=32)
    findings = half.decide(raw, pixels, {"types": bright_is_scratch}, with_maps=True)
    assert [defect.label for defect in findings.defects] == ["scratch"]
    assert findings.score == pytest.approx(6 / 12)
    assert findings.maps["defects"].max() == 1
    assert findings.maps["defects"][20, 150] == 1
    assert findings.maps["score_map"][20, 20] == 11, "the map shows severities before any filter"


# Stage 4


def one_spot(**changes: object):
    raw = np.zeros((40, 40), np.float32)
    raw[18:22, 18:22] = 8
    return inference(types=True, window=32, window_step=8, **changes), raw


def test_the_type_is_the_windows_majority_and_confidence_its_mean_probability() -> None:
    half, raw = one_spot()
    rows = ((0.6, 0.3, 0.1), (0.6, 0.3, 0.1), (0.05, 0.9, 0.05))
    findings = decide(half, raw, types=logits_of(*rows))
    windows = len(windows_on(np.ones((4, 4), bool), (18, 18), window=32, step=8, overlap=0.1))
    votes = np.array([rows[index % 3] for index in range(windows)])
    assert (votes[:, 0] > votes[:, 1]).sum() > windows / 2
    assert votes.mean(axis=0)[1] > 0.45, "the mean alone would say spot"
    (defect,) = findings.defects
    assert defect.label == "scratch"
    assert defect.confidence == pytest.approx(votes.mean(axis=0)[0], abs=1e-5)


def test_of_equal_votes_the_likelier_type_wins() -> None:
    rows = np.array([[0.5, 0.4, 0.1], [0.1, 0.8, 0.1]], np.float32)

    class TwoWindows(SeverityInference):
        def vote(self, *_: object) -> Map:
            return rows

    half, raw = one_spot()
    tied = TwoWindows(**vars(half))
    (defect,) = decide(tied, raw).defects
    assert (defect.label, defect.confidence) == ("spot", pytest.approx(0.6))


@pytest.mark.parametrize(("background", "kept"), [(0.69, True), (0.71, False)])
def test_a_region_is_dropped_from_the_mean_background_probability_on(background: float, kept: bool) -> None:
    half, raw = one_spot(drop_above=0.7)
    findings = decide(half, raw, types=logits_of((1 - background, 1e-6, background)))
    assert bool(findings.defects) == kept


def test_many_windows_go_to_the_classifier_in_groups() -> None:
    sizes: list[int] = []

    def network(windows: Map) -> Map:
        sizes.append(len(windows))
        return np.tile(np.float32([3, 0, 0]), (len(windows), 1))

    half, raw = one_spot()
    findings = decide(replace(half, window_step=2), raw, types=network)
    assert len(findings.defects) == 1
    assert max(sizes) == 64
    assert sum(sizes) == len(windows_on(np.ones((4, 4), bool), (18, 18), window=32, step=2, overlap=0.1))


def test_without_types_a_defect_takes_the_only_name() -> None:
    raw = np.full((2, 2), 9, np.float32)
    assert decide(inference(), raw).defects[0].label == "defect"
    only = decide(inference(class_names=("crack",)), raw).defects[0]
    assert (only.label, only.confidence) == ("crack", 0.75)


def test_sizes_in_mm_follow_the_scale() -> None:
    raw = np.zeros((10, 10), np.float32)
    raw[4, 2:8] = 9
    (defect,) = decide(inference(mm_per_px=0.5), raw).defects
    assert (defect.length_mm, defect.width_mm, defect.area_mm2) == (3.0, 0.5, 1.5)


def test_inference_from_takes_every_setting_it_needs() -> None:
    chosen = SeveritySettings(
        cell=2,
        channels=3,
        join_distance=7,
        min_area=9,
        upsampling="nearest",
        types_window=96,
        types_step=24,
        types_overlap=0.3,
        mm_per_px=0.1,
        tile=256,
    )
    half = inference_from(chosen, NAMES, threshold=4.5, drop_above=0.8)
    assert (half.channels, half.cell, half.tiles.tile) == (3, 2, 256)
    assert (half.join_distance, half.min_area, half.upsampling) == (7, 9, "nearest")
    assert (half.window, half.window_step, half.window_overlap) == (96, 24, 0.3)
    assert (half.threshold, half.drop_above, half.mm_per_px, half.types) == (4.5, 0.8, 0.1, True)
    assert half.without_types() == replace(half, types=False)
