from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawn_webs import Gray, defects_of, in_order, random_heights, scanned, strips, whole
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.line_scan.boxes import BoxScan
from blemish.inspector.line_scan.web import Web
from blemish.methods.tlsdd.runtime.inference import inference_from
from blemish.methods.tlsdd.settings import TlsddSettings

TILE, OVERLAP = 96, 32
HOP = TILE - OVERLAP


def detector(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """A box around every bright component; class by brightness, and a fainter second box to be suppressed."""
    gray = np.rint(inputs[0].max(axis=0) * 255).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats((gray > 60).view(np.uint8))
    rows = [np.zeros((0, 6), np.float32)]
    for number in range(1, count):
        x, y, width, height, _ = stats[number]
        bright = float(gray[labels == number].max()) / 255
        sure = [bright, 0.1] if bright > 0.6 else [0.1, 0.5 + bright / 4]
        row = np.array([x, y, x + width, y + height, *sure], np.float32)
        rows += [row[None], (row * [1, 1, 1, 1, 0.7, 0.7])[None]]
    return np.concatenate(rows).astype(np.float32)


def tlsdd(**more: object) -> BundleInspector:
    plain = inference_from(TlsddSettings(), ("light", "dark"), threshold=0.3)
    inference = replace(plain, **{"tile": TILE, "overlap": OVERLAP, "channels": 1, **more})
    return BundleInspector(inference, {"detector": detector}, review=0.3, ng=0.7, bundle="tlsdd")


def marks(
    seed: int, height: int, width: int, *, number: int = 30, longest: int = 90, thinnest: int = 2
) -> Gray:
    """Rectangles that do not touch, some longer than the overlap."""
    generator = np.random.default_rng(seed)
    web = np.full((height, width), 20, np.uint8)
    for _ in range(number):
        h, w = int(generator.integers(thinnest, longest)), int(generator.integers(thinnest, 14))
        y, x = int(generator.integers(0, height)), int(generator.integers(0, width))
        around = web[max(0, y - 3) : y + h + 3, max(0, x - 3) : x + w + 3]
        if around.max() < 60:
            web[y : y + h, x : x + w] = generator.integers(90, 255)
    return web


def plain(defects: list[Defect] | tuple[Defect, ...]) -> list[tuple[object, ...]]:
    return sorted(
        (*(round(edge, 2) for edge in one.box_xyxy), one.label, round(one.confidence, 4)) for one in defects
    )


def components(web: Gray) -> list[tuple[float, ...]]:
    _, _, stats, _ = cv2.connectedComponentsWithStats((web > 60).view(np.uint8))
    return sorted((float(x), float(y), float(x + w), float(y + h)) for x, y, w, h, _ in stats[1:])


@pytest.mark.parametrize("seed", range(5))
def test_where_the_tiles_of_the_whole_lie_alike_the_answer_is_the_same(seed: int) -> None:
    height = TILE + (3 + seed) * HOP
    web = marks(seed, height, 130)
    judge = tlsdd()
    expected = whole(judge, web)
    assert len(expected.defects) > 10
    answers = scanned(judge, strips(web, random_heights(seed, [3, 40, 500, 90, 7][seed])))
    assert plain(defects_of(answers)) == plain(expected.defects)
    assert max(answer.inspection.score for answer in answers) == pytest.approx(expected.score)


@pytest.mark.parametrize("height", [1, 40, 95, 96, 97, 128, 160, 161, 205, 300, 389, 494])
def test_every_object_is_found_once_and_whole_wherever_the_web_ends(height: int) -> None:
    web = marks(height, height, 90, number=height // 10)
    for heights in ([1], [13], [1000]):
        answers = scanned(tlsdd(), strips(web, heights))
        found = sorted(tuple(defect.box_xyxy) for defect in defects_of(answers))
        assert found == components(web)
        assert answers[-1].inspection.rows[1] == height


@pytest.mark.parametrize("height", range(161, 240, 6))
def test_an_object_that_the_last_band_cuts_is_found_once(height: int) -> None:
    """The last band is moved up, so that it reaches what the one before it was thought to see alone."""
    web = np.full((height, 80), 20, np.uint8)
    last = height - TILE
    web[last - 6 : last + 8, 40:50] = 200
    for heights in ([1], [1000]):
        (defect,) = defects_of(scanned(tlsdd(), strips(web, heights)))
        assert defect.box_xyxy == (40, last - 6, 50, last + 8)


def test_an_object_through_many_bands_is_one() -> None:
    web = np.full((900, 80), 20, np.uint8)
    web[30:800, 40:46] = 200
    answers = scanned(tlsdd(), strips(web, [50]))
    (defect,) = defects_of(answers)
    assert defect.box_xyxy == (40, 30, 46, 800)
    rows = [answer.inspection.rows for answer in answers]
    assert [one for one, answer in zip(rows, answers, strict=True) if answer.inspection.defects] == [
        (768, 832)
    ]
    assert rows[0][0] == 0 and rows[-1][1] == 900
    assert all(one[1] == other[0] for one, other in pairwise(rows))


def test_one_longer_than_is_held_is_cut_with_a_reason() -> None:
    web = np.full((900, 80), 20, np.uint8)
    web[30:800, 40:46] = 200
    answers = scanned(tlsdd(), strips(web, [50]), Web("web", max_rows=300))
    parts = in_order(defects_of(answers))
    assert 2 <= len(parts) <= 4
    assert (parts[0].box_xyxy[1], parts[-1].box_xyxy[3]) == (30, 800)
    assert all(one.box_xyxy[3] >= other.box_xyxy[1] for one, other in pairwise(parts)), "without a gap"
    reasons = [reason for answer in answers for reason in answer.inspection.reasons]
    assert len(reasons) == len(parts) - 1
    assert all("one was longer than --max-rows 300" in reason for reason in reasons)


def test_a_web_is_brought_to_the_width_that_the_detector_was_trained_on() -> None:
    web = marks(3, 700, 180, number=25, longest=60, thinnest=7)
    enlarged = np.kron(web, np.ones((2, 2), np.uint8))
    expected = plain(defects_of(scanned(tlsdd(), strips(web, [700]))))
    found = plain(defects_of(scanned(tlsdd(size=180), strips(enlarged, [31]))))
    assert found == [
        (2 * x, 2 * y, 2 * right, 2 * bottom, *named) for x, y, right, bottom, *named in expected
    ]
    odd = cv2.resize(web, (127, 494), interpolation=cv2.INTER_AREA)  # a scale that no row falls on
    rough = [one.box_xyxy for one in defects_of(scanned(tlsdd(size=180), strips(odd, [17])))]
    truth = np.array(components(web)) * (127 / 180)
    apart = np.abs(truth[:, None] - np.array(rough)[None]).max(axis=2)
    assert apart.min(axis=1).max() < 1.5, "each object is found in its place"
    assert len(rough) <= len(truth) + 1, "a blurred rim may be a box of its own to this detector"


def test_few_rows_and_boxes_are_held_and_none_loses_precision() -> None:
    judge = tlsdd()
    scan = BoxScan(judge.inference, judge.networks, width=90, max_rows=500, with_pixels=False)
    web = marks(1, 640, 90)
    web[-4:] = 20  # so that no object goes from one copy to the next
    held = []
    found: list[tuple[float, ...]] = []
    for _ in range(30):
        for top in range(0, 640, 40):
            pieces = scan.push(web[top : top + 40])
            found += [tuple(defect.box_xyxy) for piece in pieces for defect in piece.findings.defects]
            held.append(scan.pixels.stop - scan.pixels.first)
    assert max(held) < 2 * TILE + 80
    assert len(scan.tiles) < 20 and sum(len(part.rows) for part in scan.open) < 100
    period = components(web)
    last = 640 * 28
    expected = [(x, y + last, right, bottom + last) for x, y, right, bottom in period]
    assert [box for box in sorted(found) if last <= box[1] < last + 640] == sorted(expected)


def test_a_detector_that_gives_no_number_is_an_error() -> None:
    judge = tlsdd()

    def broken(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = detector(inputs)
        return np.where(inputs.max() > 0.99, np.nan, rows).astype(np.float32)

    web = marks(1, 600, 90)
    web = np.minimum(web, 250)
    web[300, 60] = 255
    answers = scanned(
        BundleInspector(judge.inference, {"detector": broken}, 0.3, 0.7, "b"), strips(web, [64])
    )
    errors = [answer.inspection.image for answer in answers if answer.inspection.verdict is Verdict.ERROR]
    assert 1 <= len(errors) <= 3
    assert "not finite" in str(next(one.inspection.error for one in answers if one.inspection.error))
