from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from drawn_webs import (
    blobs,
    casae,
    defects_of,
    in_order,
    random_heights,
    rounded,
    scanned,
    severity,
    strips,
    whole,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.line_scan.outlines import OutlineScan
from blemish.inspector.line_scan.web import Web
from blemish.methods.common.map_score import MapScore

JUDGES = {
    "severity": severity,
    "severity without types": lambda: severity(types=False, min_area=30.0),
    "severity, nearest": lambda: severity(upsampling="nearest", join_distance=9.0),
    "severity, hysteresis": lambda: severity(types=False, start_threshold=6.5, min_area=40.0),
    "casae": casae,
    "casae without types": lambda: casae(types=False, min_area=12.0, join_distance=0.0),
    "casae, hysteresis": lambda: casae(types=False, threshold=0.2, start_threshold=0.7, join_distance=0.0),
}


@pytest.mark.parametrize("kind", JUDGES)
@pytest.mark.parametrize("seed", range(4))
def test_the_answer_is_that_of_all_strips_joined_whatever_their_heights(kind: str, seed: int) -> None:
    judge = JUDGES[kind]()
    height = 401 + 37 * seed
    web = blobs(seed, height, 90)
    answers = scanned(judge, strips(web, random_heights(seed, [3, 20, 200, 600][seed])))
    expected = whole(judge, web)
    assert expected.defects
    found, wanted = (list(map(rounded, in_order(one))) for one in (defects_of(answers), expected.defects))
    assert found == wanted
    assert max(answer.inspection.score for answer in answers) == expected.score


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    height=st.integers(60, 330),
    low=st.floats(0.1, 0.5),
    rise=st.floats(0, 0.45),
    join=st.sampled_from([0.0, 3.0]),
)
def test_regions_that_start_in_one_strip_and_grow_through_others_are_those_of_the_whole(
    seed: int, height: int, low: float, rise: float, join: float
) -> None:
    """Hysteresis across chunks: the one strong pixel may lie in any strip, before or behind the rest."""
    generator = np.random.default_rng(seed)
    web = cv2.resize(generator.integers(0, 256, (height // 9 + 2, 12), dtype=np.uint8), (70, height))
    judge = casae(types=False, threshold=low, start_threshold=low + rise, join_distance=join)
    answers = scanned(judge, strips(web, random_heights(seed, 50)))
    assert in_order(defects_of(answers)) == in_order(whole(judge, web).defects)
    raw = judge.inference.forward(web, judge.networks)
    if join == 0:
        labels, count = ndimage.label(raw >= np.float32(low), np.ones((3, 3)))
        strongest = ndimage.maximum(raw, labels, np.arange(1, count + 1)) if count else np.zeros(0)
        assert len(defects_of(answers)) == np.count_nonzero(strongest >= low + rise)


@pytest.mark.parametrize("judge_of", [severity, casae])
def test_a_fitted_score_is_that_of_the_rows_of_each_piece(judge_of: Callable[..., BundleInspector]) -> None:
    fitted = MapScore(weights=(0.5, 0.1, 0.2, 1.0), bias=1.0)
    judge = judge_of(types=False, fitted_score=fitted)
    web = blobs(2, 300, 80, number=6)
    raw = judge.inference.forward(web, judge.networks)
    cell = len(web) // len(raw)
    seen = set()
    for answer in scanned(judge, strips(web, [9])):
        start, stop = answer.inspection.rows
        probability = fitted.probability(
            raw[start // cell : -(-stop // cell)], max_value=judge.inference.score_map_max
        )
        half = 0.5 if answer.inspection.defects else 0.0
        assert answer.inspection.score == pytest.approx(half + probability / 2)
        seen.add(half)
    assert seen == {0.0, 0.5}


@pytest.mark.parametrize("height", [1, 3, 15, 16, 17, 63, 64, 65, 111, 112, 113, 160, 161])
@pytest.mark.parametrize("judge", [severity(types=False), casae(types=False)])
def test_webs_that_end_about_a_tile_are_no_exception(judge: BundleInspector, height: int) -> None:
    web = blobs(height, height, 70, number=8)
    expected = whole(judge, web)
    for heights in ([1], [1000]):
        answers = scanned(judge, strips(web, heights))
        assert in_order(defects_of(answers)) == in_order(expected.defects)
        assert max(answer.inspection.score for answer in answers) == expected.score
        assert answers[0].inspection.rows[0] == 0 and answers[-1].inspection.rows[1] == height


def test_pieces_follow_each_other_and_hold_the_defects_that_end_in_them() -> None:
    judge = casae(types=False)
    web = blobs(5, 500, 80)
    answers = scanned(judge, strips(web, [7]))
    rows = [answer.inspection.rows for answer in answers]
    assert rows[0][0] == 0 and rows[-1][1] == 500
    assert all(one[1] == other[0] for one, other in pairwise(rows))
    assert [answer.inspection.image for answer in answers[:2]] == ["web#00000000", "web#00000032"]
    for answer in answers:
        start, stop = answer.inspection.rows
        assert answer.inspection.size == (stop - start, 80)
        assert all(start < defect.box_xyxy[3] <= stop for defect in answer.inspection.defects)
        verdict = judge.verdict(answer.inspection.score)
        assert answer.inspection.verdict is verdict
        line = answer.inspection.to_json()
        assert line["rows"] == [start, stop]


def test_findings_of_a_piece_under_the_limit_are_no_defects_and_lie_in_the_web() -> None:
    """Each piece by its own score; nothing is lost between the two lists."""
    judge, web = casae(types=False), blobs(5, 500, 80)
    every = scanned(judge, strips(web, [40]))
    limit = sorted(answer.inspection.score for answer in every)[len(every) // 2]
    limited = scanned(replace(judge, limited=True, review=limit, ng=1.0), strips(web, [40]))
    under = [one for answer in limited for one in answer.inspection.under_limit]
    assert under and defects_of(limited)
    assert in_order([*under, *defects_of(limited)]) == in_order(defects_of(every))
    for answer in limited:
        inspection = answer.inspection
        assert (inspection.score < limit) == (inspection.verdict is Verdict.OK)
        assert not (inspection.defects and inspection.under_limit)
        start, stop = inspection.rows
        assert all(start < one.box_xyxy[3] <= stop for one in inspection.under_limit)


def test_an_answer_comes_as_soon_as_nothing_can_change_it() -> None:
    """An endless web of strips: answers are given after few rows, not at an end that never comes."""
    judge = severity(types=False)
    scan = OutlineScan(judge.inference, judge.networks, max_rows=64, with_pixels=False)
    strip = blobs(1, 16, 64, number=1)
    seen = 0
    for count in range(1, 200):
        for piece in scan.push(strip):
            seen = piece.rows[1]
        assert seen >= 16 * count - 64 - 2 * 48
    assert seen > 3000


@pytest.mark.parametrize("with_pixels", [False, True])
def test_few_rows_are_held_however_long_the_web_is(with_pixels: bool) -> None:
    judge = severity()
    scan = OutlineScan(judge.inference, judge.networks, max_rows=100, with_pixels=with_pixels)
    web = blobs(3, 400, 64)
    held, maps = [], []
    for _ in range(20):
        for top in range(0, 400, 50):
            scan.push(web[top : top + 50])
            held.append(scan.pixels.stop - scan.pixels.first)
            maps.append(scan.raw.stop - scan.raw.first)
    assert scan.pixels.stop == 8000
    assert max(held) < 1100, "windows of 256 rows and more about a defect of 164, on both sides"
    assert max(maps) * 4 < 300
    assert scan.scored.stop - scan.scored.first < 300 and len(scan.found) + len(scan.completed) < 60


def test_a_defect_longer_than_is_held_is_cut_with_a_reason_and_no_pixel_of_it_is_lost() -> None:
    judge = casae(types=False)
    web = np.full((700, 80), 20, np.uint8)
    web[50:640, 30:34] = 200  # from top to bottom
    web[60:63, 60:70] = 200
    answers = scanned(judge, strips(web, [33]), Web("web", max_rows=150))
    parts = [defect for defect in defects_of(answers) if defect.box_xyxy[0] == 30]
    assert 3 <= len(parts) <= 5
    assert sum(part.area for part in parts) == 590 * 4
    edges = [(part.box_xyxy[1], part.box_xyxy[3]) for part in parts]
    assert edges[0][0] == 50 and edges[-1][1] == 640
    assert all(one[1] == other[0] for one, other in pairwise(edges))
    reasons = [reason for answer in answers for reason in answer.inspection.reasons]
    assert reasons == [
        f"defects that reach row {edge[1]:.0f} are cut there: one was longer than --max-rows 150"
        for edge in edges[:-1]
    ]
    uncut = scanned(judge, strips(web, [33]), Web("web", max_rows=1000))
    assert not any(answer.inspection.reasons for answer in uncut)
    assert in_order(defects_of(uncut)) == in_order(whole(judge, web).defects)


def test_a_picture_of_a_piece_shows_its_defects_whole() -> None:
    judge = casae(types=False)
    web = blobs(8, 420, 80)
    for answer in scanned(judge, strips(web, [13]), with_pixels=True):
        start, stop = answer.inspection.rows
        tops = [defect.box_xyxy[1] for defect in answer.inspection.defects]
        assert answer.top == min([start, *tops])
        assert np.array_equal(answer.pixels, web[answer.top : stop])


def test_an_output_that_is_no_number_is_an_error_of_its_piece() -> None:
    judge = casae(types=False)

    def network(inputs: np.ndarray) -> np.ndarray:
        return np.where(inputs > 0.95, np.nan, inputs).astype(np.float32)

    web = blobs(2, 300, 80, number=0)
    web[100, 5] = 255
    answers = scanned(replace(judge, networks={"cascade": network}), strips(web, [40]))
    failed = [answer.inspection.image for answer in answers if answer.inspection.verdict is Verdict.ERROR]
    assert failed == ["web#00000096"]


def test_rows_far_down_a_web_are_measured_as_exactly_as_at_its_top() -> None:
    """32-bit floats do not know odd rows behind row 2^24."""
    judge = casae(types=False)
    scan = OutlineScan(judge.inference, judge.networks, max_rows=64, with_pixels=False)
    web = blobs(4, 333, 70)
    near = [*scan.push(web), *scan.finish()]
    far = OutlineScan(judge.inference, judge.networks, max_rows=64, with_pixels=False)
    down = 32 * 600_000
    for rows in (far.pixels, far.raw, far.scored):
        rows.first = rows.stop = down
    far.tiles = far.pieces = 600_000
    far.completed_to = down
    moved = [*far.push(web), *far.finish()]
    first = [one.moved(down) for piece in near for one in piece.findings.defects if one.box_xyxy[1] > 40]
    second = [one for piece in moved for one in piece.findings.defects if one.box_xyxy[1] > down + 40]
    assert list(map(rounded, second)) == list(map(rounded, first))
