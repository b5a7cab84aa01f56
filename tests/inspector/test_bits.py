"""Images of a 12-bit camera, in 8 bits and in 12 of 16: judged alike, or asked about, never OK unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.image_inspector import Inspector
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import Chain
from blemish.inspector.chain_order import refuse_bits
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.line_scan.strips import fitting
from blemish.inspector.pipeline import answers_of, decoded
from blemish.inspector.sources import source_of
from blemish.methods.contract import ImageFindings


class Brightness:
    """A stand-in for a method: the image's mean brightness, in shares of white, is its score."""

    channels = 1
    mm_per_px = None
    classifies = segments = False
    threshold_score = pixel_threshold = score_map_max = None

    def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        return pixels.astype(np.float32) / np.iinfo(pixels.dtype).max

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        return ImageFindings(float(raw.mean()), ())


def judge(bits: int | None) -> BundleInspector:
    return BundleInspector(Brightness(), {}, review=0.25, ng=0.5, bundle="stand-in", bits=bits)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    twelve = generator.integers(2500, 4096, (20, 30), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a_8bit.png"), np.rint(twelve * (255 / 4095)).astype(np.uint8))
    cv2.imwrite(str(tmp_path / "b_12bit.png"), twelve)
    return tmp_path


def answers(judge: BundleInspector | Chain, folder: Path) -> list[Inspection]:
    with answers_of(judge, source_of([folder], pytest.fail).items) as found:
        return [answer.inspection for answer in found.coming]


def test_a_bundle_of_twelve_bits_judges_both_alike(folder: Path) -> None:
    for inspector in (judge(12), Chain((judge(12),))):
        eight, twelve = answers(inspector, folder)
        assert eight.verdict is twelve.verdict is not Verdict.OK
        assert twelve.score == pytest.approx(eight.score, abs=0.002)
        single = inspector.inspect(folder / "b_12bit.png")
        assert single.score == twelve.score


def test_a_bundle_that_does_not_know_asks_and_never_says_ok(folder: Path) -> None:
    for inspector in (judge(None), Chain((judge(None),))):
        eight, twelve = answers(inspector, folder)
        assert eight.verdict in (Verdict.NG, Verdict.REVIEW)
        for inspection in (twelve, inspector.inspect(folder / "b_12bit.png")):
            assert inspection.verdict is Verdict.ERROR
            assert "b_12bit.png holds 16-bit values but none above 4095" in (inspection.error or "")


def test_a_bundle_of_sixteen_bits_takes_dark_images_as_they_are(folder: Path) -> None:
    eight, twelve = answers(judge(16), folder)
    assert twelve.verdict is Verdict.OK
    assert twelve.score == pytest.approx(eight.score / 16, rel=0.01)


def test_values_above_the_bits_are_an_error(folder: Path) -> None:
    assert "must hold values up to 1023" in (answers(judge(10), folder)[1].error or "")


def test_arrays_are_taken_as_files_are(folder: Path) -> None:
    stored = cv2.imread(str(folder / "b_12bit.png"), cv2.IMREAD_UNCHANGED)
    assert Inspector(judge(12), ()).inspect(stored).verdict is Verdict.NG
    assert Inspector(judge(None), ()).inspect(stored).verdict is Verdict.ERROR


def test_strips_of_a_web_are_spread_too(folder: Path) -> None:
    strips = list(map(decoded, source_of([folder / "b_12bit.png"], pytest.fail).items))
    (strip,) = fitting(strips, channels=1, bits=12)
    assert strip.pixels is not None and strip.pixels.min() > 2499 * 16
    (strip,) = fitting(strips, channels=1, bits=10)
    assert strip.pixels is None and "up to 1023" in strip.error


def test_bundles_of_a_chain_must_agree() -> None:
    refuse_bits([judge(None), judge(16)])
    with pytest.raises(BlemishError, match=r"same bits. Received: 12 of stand-in, 16 of other"):
        refuse_bits([judge(12), replace(judge(None), bundle="other")])
