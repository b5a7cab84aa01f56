"""Rows of a web that are unlike the training images are for a person, in whatever strips they come."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_webs import Gray, scanned, severity, strips

from blemish.inspection import Verdict
from blemish.inspector.input_check import KnownInputs
from blemish.inspector.line_scan.web import Web
from blemish.training.input_statistics import known_inputs


def ground(height: int, seed: int) -> Gray:
    return np.random.default_rng(seed).integers(20, 32, (height, 128), dtype=np.uint8)


@pytest.fixture(scope="module")
def known() -> KnownInputs:
    return known_inputs(ground(256, seed) for seed in range(20))


@pytest.mark.parametrize("heights", [[16], [100, 37], [256], [4000]])
def test_the_pieces_of_such_rows_are_review(known: KnownInputs, heights: list[int]) -> None:
    judge = replace(severity(), input_check=known)
    web = ground(1500, 50)
    web[700:1000] //= 3
    answers = [answer.inspection for answer in scanned(judge, strips(web, heights))]
    assert answers[0].rows is not None and answers[-1].rows is not None
    assert answers[-1].rows[1] == 1500
    for inspection in answers:
        assert inspection.rows is not None
        start, stop = inspection.rows
        if start < 1000 and stop > 700:
            assert inspection.verdict is Verdict.REVIEW
            assert inspection.reasons and inspection.reasons[0].startswith("rows ")
        if heights[0] < 4000 and (stop < 400 or start > 1500 - 200):
            assert inspection.verdict is Verdict.OK, inspection.reasons


@pytest.mark.parametrize("web", [Web("web"), Web("web", frame_rows=300)])
def test_a_web_like_them_is_judged_as_before(known: KnownInputs, web: Web) -> None:
    judge = replace(severity(), input_check=known)
    answers = [answer.inspection for answer in scanned(judge, strips(ground(1500, 9), [64]), web)]
    assert {inspection.verdict for inspection in answers} == {Verdict.OK}
    unchecked = scanned(severity(), strips(ground(1500, 9), [64]), web)
    assert [each.inspection.reasons for each in unchecked] == [each.reasons for each in answers]


def test_frames_of_a_web_are_checked_without_their_size(known: KnownInputs) -> None:
    judge = replace(severity(), input_check=known)
    dark = ground(900, 3)
    dark[300:600] //= 3
    answers = [answer.inspection for answer in scanned(judge, strips(dark, [64]), Web("web", frame_rows=300))]
    assert [each.verdict for each in answers] == [Verdict.OK, Verdict.REVIEW, Verdict.OK]
