from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from drawn_webs import Gray, blobs, casae, defects_of, in_order, scanned, severity, strips, whole

from blemish.errors import BlemishError
from blemish.inspection import Verdict
from blemish.inspector.chain import Chain
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.line_scan.rows import RowWindow
from blemish.inspector.line_scan.web import Web, web_answers
from blemish.inspector.sources import Item, refused
from blemish.methods.medetection.inference import inference_from
from blemish.methods.medetection.settings import MedetectionSettings


def item(name: str, pixels: Gray) -> Item:
    return Item(name, name, lambda: pixels)


def parts(*webs: Gray | str) -> Iterator[Item]:
    for number, web in enumerate(webs):
        name = f"{number}.png"
        yield Item(name, name, partial(refused, web)) if isinstance(web, str) else item(name, web)


def test_a_strip_of_another_width_is_an_error_and_what_lies_above_and_below_is_judged() -> None:
    judge = casae(types=False)
    above, below = blobs(1, 150, 80), blobs(2, 90, 80)
    answers = scanned(judge, parts(above[:100], above[100:], blobs(3, 40, 64), below))
    wrong = [one.inspection for one in answers if one.inspection.verdict is Verdict.ERROR]
    assert [one.image for one in wrong] == ["2.png"]
    assert "2.png must be as wide as the strips before it, 80 px. Received: 64 px." in str(wrong[0].error)
    place = next(index for index, one in enumerate(answers) if one.inspection is wrong[0])
    assert in_order(defects_of(answers[:place])) == in_order(whole(judge, above).defects)
    expected = [defect.moved(150) for defect in whole(judge, below).defects]
    assert in_order(defects_of(answers[place:])) == in_order(expected)
    assert answers[place - 1].inspection.rows[1] == answers[place + 1].inspection.rows[0] == 150
    assert answers[-1].inspection.rows[1] == 240


def test_a_strip_that_cannot_be_read_or_is_of_another_type_is_an_error() -> None:
    judge = casae(types=False)
    web = blobs(1, 150, 80)
    answers = scanned(judge, parts("0.png must be a whole image.", web, web.astype(np.uint16) * 257, web))
    errors = [str(one.inspection.error) for one in answers if one.inspection.verdict is Verdict.ERROR]
    assert errors[0] == "0.png must be a whole image."
    assert "8-bit gray. Received: 16-bit gray" in errors[1]
    assert len(errors) == 2
    assert answers[-1].inspection.rows[1] == 300


def test_strips_are_brought_to_the_channels_of_the_bundle() -> None:
    judge = casae(types=False)
    web = blobs(1, 150, 80)
    coloured = np.repeat(web[:, :, None], 3, axis=2)
    answers = scanned(judge, parts(web[:50], coloured[50:]))
    assert in_order(defects_of(answers)) == in_order(whole(judge, web).defects)


def test_rows_that_cannot_be_judged_are_an_error_and_the_web_goes_on_below() -> None:
    """As with graphs of one size, which a web of fewer rows does not fill."""
    judge = severity()
    side = judge.inference.tiling.tile

    def network(inputs: np.ndarray) -> np.ndarray:
        if inputs.shape[2] < side:
            raise BlemishError("one size alone.")
        return judge.networks["severity"](inputs)

    fixed = replace(judge, networks={**judge.networks, "severity": network})
    webs = [blobs(seed, height, 2 * side) for seed, height in ((1, side), (2, side // 2), (3, 2 * side))]
    found = [one.inspection for one in scanned(fixed, parts(webs[0], "lost", webs[1], "lost", webs[2]))]
    errors = {one.image: str(one.error) for one in found if one.verdict is Verdict.ERROR}
    assert list(errors) == ["1.png", f"web#{side:08d}", "3.png"]
    assert errors[f"web#{side:08d}"].endswith("could not be judged: one size alone.")
    judged = [one for one in found if one.rows is not None]
    covered = [row for one in judged for row in range(*one.rows)]
    assert covered == [*range(side), *range(side + side // 2, side + side // 2 + 2 * side)]
    assert sum(len(one.defects) for one in judged) == sum(
        len(whole(judge, web).defects) for web in (webs[0], webs[2])
    )


def test_no_strip_is_no_answer() -> None:
    assert scanned(severity(), iter(())) == []


def test_a_web_without_an_end_is_answered_and_left_at_any_time() -> None:
    before = set(threading.enumerate())
    strip = blobs(1, 31, 64)

    def endless() -> Iterator[Item]:
        while True:
            yield item("strip", strip)

    with web_answers(casae(types=False), endless(), Web("web")) as answers:
        rows = [next(answers.coming).inspection.rows for _ in range(50)]
    assert rows == [(32 * index, 32 * index + 32) for index in range(50)]
    assert set(threading.enumerate()) == before


def test_decisions_and_scales_hold_for_pieces_as_for_images() -> None:
    judge = replace(casae(types=False), mm_per_px=0.5)
    web = blobs(1, 300, 80)
    answers = scanned(judge, strips(web, [20]))
    assert {answer.inspection.mm_per_px for answer in answers} == {0.5}
    assert in_order(defects_of(answers)) == in_order(whole(judge, web).defects)


# Frames


def whole_image() -> BundleInspector:
    inference = inference_from(
        MedetectionSettings(), ("defect",), thresholds={"score": 0.5}, memory={"product": "caps"}
    )
    return BundleInspector(inference, {}, review=0.3, ng=0.6, bundle="medetection-1")


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (whole_image(), "looks at a whole image at once"),
        (casae(tiling=None), "looks at a whole image at once"),
        (Chain((severity(), whole_image())), "are a chain, image by image"),
    ],
)
def test_what_cannot_see_a_web_is_refused_in_one_line_before_any_strip_is_read(
    judge: object, why: str
) -> None:
    def unread() -> Iterator[Item]:
        pytest.fail("was read")
        yield

    with pytest.raises(BlemishError, match=rf"--line-scan must .*{why}\. Add --frame-rows N") as refusal:
        web_answers(judge, unread(), Web("web"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("heights", [[1], [7, 64, 1, 300], [500]])
def test_frames_are_images_of_so_many_rows_whatever_the_strips(heights: list[int]) -> None:
    judge = casae(tiling=None, size=64, types=False)
    web = blobs(7, 230, 64)
    answers = scanned(judge, strips(web, heights), Web("w", frame_rows=60), with_pixels=True)
    assert [answer.inspection.rows for answer in answers] == [(0, 60), (60, 120), (120, 180), (180, 230)]
    assert [answer.inspection.image for answer in answers][:2] == ["w#00000000", "w#00000060"]
    for answer in answers:
        start, stop = answer.inspection.rows
        alone = judge.judge(web[start:stop], "x")
        assert answer.inspection.score == alone.score
        assert answer.inspection.defects == tuple(defect.moved(start) for defect in alone.defects)
        assert np.array_equal(answer.pixels, web[start:stop])
        assert answer.top == start


def test_a_frame_ends_above_a_strip_that_cannot_be_joined() -> None:
    judge = casae(tiling=None, size=64, types=False)
    web = blobs(7, 100, 64)
    answers = scanned(judge, parts(web, "damaged", web[:, :50], web[:30]), Web("w", frame_rows=60))
    assert [answer.inspection.rows for answer in answers] == [(0, 60), (60, 100), None, None, (100, 130)]
    assert answers[2].inspection.error == "damaged"
    assert "64 px. Received: 50 px" in str(answers[3].inspection.error)


# The window of rows


@pytest.mark.parametrize("seed", range(3))
def test_a_window_shows_what_an_array_would(seed: int) -> None:
    generator = np.random.default_rng(seed)
    everything = generator.integers(0, 255, (400, 5))
    rows, dropped = RowWindow(), 0
    while rows.stop < 400:
        rows.add(everything[rows.stop : rows.stop + int(generator.integers(0, 40))])
        if rows.stop > dropped:
            start, stop = sorted(generator.integers(dropped, rows.stop + 1, 2))
            if start < stop:
                assert np.array_equal(rows.view(start, stop), everything[start:stop])
            dropped = int(generator.integers(dropped, rows.stop + 1))
            rows.drop(dropped)
            assert rows.first == dropped
            assert sum(len(part) for part in rows.parts) == rows.stop - dropped
    rows.drop(1000)
    assert (rows.first, rows.stop, len(rows.parts)) == (400, 400, 0)
