"""The numpy half of TL-SDD, with a detector that reads the boxes off drawn images."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision import ops

from blemish.methods.contract import Network
from blemish.methods.tlsdd.runtime.inference import TlsddInference, inference_from
from blemish.methods.tlsdd.settings import TlsddSettings

Rows = NDArray[np.float32]
NAMES = ("pit", "scratch", "stain")
HALF = inference_from(TlsddSettings(), NAMES, threshold=0.5)
BLANK = np.zeros((40, 60, 3), np.uint8)


def rows_of(*rows: tuple[float, ...]) -> Rows:
    return np.array(rows, np.float32).reshape(-1, 4 + len(NAMES))


def answering(*rows: tuple[float, ...]) -> Network:
    return lambda _: rows_of(*rows)


def bright_parts(images: Rows) -> Rows:
    """A stand-in for the detector: every bright part of the image, as the class that its channel says."""
    rows = []
    for label, channel in enumerate(images[0]):
        count, _, boxes, _ = cv2.connectedComponentsWithStats((channel > 0.5).astype(np.uint8))
        for left, top, width, height, _ in boxes[1:count]:
            rows.append([left, top, left + width, top + height, *(0.9 * (np.arange(3) == label))])
    return rows_of(*rows)


def filled_image(size: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> NDArray[np.uint8]:
    """Black with filled boxes, each (left, top, right, bottom, class)."""
    pixels = np.zeros((*size, 3), np.uint8)
    for left, top, right, bottom, label in boxes:
        pixels[top:bottom, left:right, label] = 255
    return pixels


def decide(half: TlsddInference, raw: Rows, *, pixels: NDArray[np.uint8] = BLANK):
    return half.decide(raw, pixels, {}, with_maps=True)


# Forward


@pytest.mark.parametrize("size", [None, 80, 320])
@pytest.mark.parametrize("shape", [(160, 240), (240, 160)])
def test_boxes_are_in_pixels_of_the_image_whatever_it_was_resized_to(
    size: int | None, shape: tuple[int, int]
) -> None:
    pixels = filled_image(shape, (20, 40, 60, 80, 0), (100, 100, 140, 150, 2))
    raw = replace(HALF, size=size).forward(pixels, {"detector": bright_parts})
    np.testing.assert_allclose(raw[:, :4], [[20, 40, 60, 80], [100, 100, 140, 150]], atol=1)
    assert raw[:, 4:].argmax(axis=1).tolist() == [0, 2]
    assert raw.dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_detector_gets_planes_of_the_unit_range(dtype: type) -> None:
    given_to = []

    def network(images: Rows) -> Rows:
        given_to.append(images)
        return rows_of()

    pixels = np.full((30, 50, 3), np.iinfo(dtype).max, dtype)
    raw = replace(HALF, size=60).forward(pixels, {"detector": network})
    (images,) = given_to
    assert images.shape == (1, 3, 60, 100)
    assert (images.dtype, images.min(), images.max()) == (np.float32, 1, 1)
    assert raw.shape == (0, 7)


def test_a_large_image_is_cut_into_tiles_after_resizing() -> None:
    shapes = []

    def network(images: Rows) -> Rows:
        shapes.append(images.shape)
        return bright_parts(images)

    boxes = [(left, 20, left + 30, 60, left % 3) for left in range(10, 560, 50)]
    half = replace(HALF, size=200, tile=160, overlap=40)
    raw = half.forward(filled_image((100, 600), *boxes), {"detector": network})
    assert len(shapes) == 2 * 10
    assert set(shapes) == {(1, 3, 160, 160)}
    found = {(*np.round(one[:4]).astype(int).tolist(), int(one[4:].argmax())) for one in raw}
    assert found == set(boxes)
    assert len(raw) == len(boxes)


@pytest.mark.parametrize(("nms", "rows"), [(0.5, 1), (0.6, 2)])
def test_at_seams_suppression_is_as_set(nms: float, rows: int) -> None:
    """Tiles [0, 128) and [72, 200); the first alone sees two boxes of IoU 0.54."""
    waiting = iter([rows_of((60, 5, 80, 9, 0.9, 0, 0), (66, 5, 86, 9, 0.8, 0, 0)), rows_of()])
    half = replace(HALF, tile=128, overlap=32, nms=nms)
    raw = half.forward(np.zeros((100, 200, 3), np.uint8), {"detector": lambda _: next(waiting)})
    assert len(raw) == rows


def test_rows_under_the_floor_are_dropped_and_boxes_cut_to_the_image() -> None:
    network = answering((-5, 3, 99, 50, 0.02, 0, 0), (1, 1, 5, 5, 0.01, 0.019, 0))
    raw = HALF.forward(BLANK, {"detector": network})
    assert raw[:, :4].tolist() == [[0, 3, 60, 40]]


def test_a_row_that_is_not_a_number_reaches_the_inspector() -> None:
    for size in ((40, 60), (300, 300)):
        half = replace(HALF, tile=128, overlap=32)
        network = answering((1, 1, 9, 9, np.nan, np.nan, np.nan))
        raw = half.forward(np.zeros((*size, 3), np.uint8), {"detector": network})
        assert not np.isfinite(raw.max(initial=0.0))


# Decide


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_candidates_are_torchvisions(seed: int) -> None:
    """Score floor, suppression within each class and the limit, as torchvision's detectors decide."""
    generator = np.random.default_rng(seed)
    corner = generator.uniform(0, 25, (30, 2))
    raw = np.concatenate(
        [corner, corner + generator.uniform(2, 15, (30, 2)), generator.uniform(0, 0.4, (30, 3))], axis=1
    ).astype(np.float32)
    half = replace(HALF, score_floor=0.1, nms=0.3, detections=20)
    boxes, scores = (
        torch.from_numpy(raw[:, :4]).repeat_interleave(3, 0),
        torch.from_numpy(raw[:, 4:]).flatten(),
    )
    labels = torch.arange(3).repeat(30)
    shown = scores >= 0.1
    boxes, scores, labels = boxes[shown], scores[shown], labels[shown]
    kept = ops.batched_nms(boxes, scores, labels, 0.3)[:20]
    candidates = decide(half, raw).candidates
    assert [one.label for one in candidates] == [NAMES[label] for label in labels[kept]]
    assert [one.confidence for one in candidates] == scores[kept].tolist()
    assert [list(one.box_xyxy) for one in candidates] == boxes[kept].tolist()


def test_defects_are_the_candidates_from_the_threshold_on() -> None:
    raw = rows_of((2, 2, 9, 9, 0.5, 0, 0), (20, 2, 29, 9, 0, 0.4999, 0), (40, 2, 50, 9, 0, 0.6, 0.55))
    findings = decide(HALF, raw)
    assert [one.label for one in findings.defects] == ["scratch", "stain", "pit"]
    assert [one.label for one in findings.candidates] == ["scratch", "stain", "pit", "scratch"]
    assert findings.score == pytest.approx(0.6)
    assert HALF.threshold_score == 0.5


def test_an_image_without_defects_still_has_a_score() -> None:
    findings = decide(HALF, rows_of((2, 2, 9, 9, 0.3, 0.1, 0)))
    assert (findings.defects, findings.score) == ((), pytest.approx(0.3))
    nothing = HALF.decide(rows_of(), BLANK, {}, with_maps=False)
    assert (nothing.defects, nothing.candidates, nothing.score, nothing.maps) == ((), (), 0.0, {})


def test_added_classes_take_no_place_of_the_others() -> None:
    """The last class was added: its detections are counted apart, and its rows are of no other class."""
    apart = [(10.0 * number, 2, 10.0 * number + 8, 9) for number in range(4)]
    trained = [(*box, 0.3 - number / 100, 0, 0) for number, box in enumerate(apart)]
    added = [(*box, 0, 0, 0.9) for box in apart]
    two = replace(HALF, detections=2, score_floor=0.0, enrolled=1)
    before = [one for one in decide(replace(two, enrolled=0), rows_of(*trained)).candidates if one.confidence]
    after = decide(two, rows_of(*trained, *added)).candidates
    assert [one.label for one in after] == ["stain", "stain", "pit", "pit"]
    assert list(after[2:]) == before


def test_a_box_that_clipping_emptied_is_no_candidate() -> None:
    assert decide(HALF, rows_of((60, 2, 60, 9, 0.9, 0, 0))).candidates == ()


@pytest.mark.parametrize(
    ("box", "length", "width", "angle"),
    [((2, 3, 12, 7), 10, 4, 0), ((2, 3, 6, 13), 10, 4, -90), ((2, 3, 6, 7), 4, 4, 0)],
)
def test_a_defect_measures_its_box(box: tuple[float, ...], length: float, width: float, angle: float) -> None:
    (defect,) = decide(replace(HALF, mm_per_px=0.5), rows_of((*box, 0.9, 0, 0))).defects
    left, top, right, bottom = box
    assert defect.rectangle.center_xy == ((left + right) / 2, (top + bottom) / 2)
    assert (defect.rectangle.length, defect.rectangle.width, defect.rectangle.angle_deg) == (
        length,
        width,
        angle,
    )
    assert set(defect.contour[0]) == {(left, top), (right, top), (right, bottom), (left, bottom)}
    assert (defect.area, defect.area_mm2, defect.length_mm) == (
        length * width,
        length * width / 4,
        length / 2,
    )
    assert cv2.contourArea(np.array(defect.contour[0], np.float32)) == defect.area
    assert defect.severity_mean is None
    assert "severity" not in defect.to_json()


def test_the_map_of_defects_shows_the_surest_on_top() -> None:
    raw = rows_of((0, 0, 20, 10, 0.6, 0, 0), (10, 0, 30, 10, 0, 0.9, 0), (50.2, 30.2, 50.4, 30.4, 0.7, 0, 0))
    findings = decide(HALF, raw)
    numbers = findings.maps["defects"]
    assert [one.label for one in findings.defects] == ["scratch", "pit", "pit"]
    assert (numbers.shape, numbers.dtype) == ((40, 60), np.int32)
    assert np.unique(numbers[:10, :10]).tolist() == [3]
    assert np.unique(numbers[:10, 10:30]).tolist() == [1]
    assert np.argwhere(numbers == 2).tolist() == [[30, 50]], "a box between pixel centres fills one pixel"
    assert np.count_nonzero(numbers) == 301


def test_a_sliver_at_the_last_edge_fills_the_last_pixel() -> None:
    numbers = decide(HALF, rows_of((59.9, 39.9, 60, 40, 0.9, 0, 0))).maps["defects"]
    assert np.argwhere(numbers).tolist() == [[39, 59]]


# Set up


def test_inference_from_takes_every_setting_it_needs() -> None:
    chosen = TlsddSettings(
        size=500, tile=640, overlap=100, score_floor=0.1, nms=0.4, detections=7, mm_per_px=0.2, threshold=0.9
    )
    half = inference_from(chosen, NAMES, threshold=0.3, shifts={NAMES[1]: -0.5})
    shifts = tuple(-0.5 if name == NAMES[1] else 0.0 for name in NAMES)
    assert half == TlsddInference(NAMES, 0.3, shifts, 500, 640, 100, 0.1, 0.4, 7, 0.2)
    assert (half.channels, half.classifies) == (3, True)


def test_a_shift_adds_to_the_log_odds_of_its_class_alone() -> None:
    """By hand: odds of 0.8 are 4, a shift of −ln 4 makes them 1, so 0.5; odds of 0.2 become 1/16, so 1/17."""
    half = replace(HALF, shifts=(-float(np.log(4)), *HALF.shifts[1:]))
    raw = rows_of((0, 0, 10, 10, 0.8, 0, 0), (20, 0, 30, 10, 0.2, 0, 0), (40, 0, 50, 10, 0, 0.8, 0))
    found = {each.box_xyxy[0]: each.confidence for each in decide(half, raw).candidates}
    assert found == {0: pytest.approx(0.5), 20: pytest.approx(1 / 17), 40: np.float32(0.8)}


def test_a_line_pc_needs_no_torch() -> None:
    code = (
        "import sys; import blemish.methods.tlsdd.runtime.inference, blemish.methods.tlsdd;"
        "sys.exit(','.join({'torch', 'torchvision'} & set(sys.modules)) or 0)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
