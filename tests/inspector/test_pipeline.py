from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.defect import Defect, Rectangle
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import Chain, Judge
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import open_inspector
from blemish.inspector.pipeline import answers_of
from blemish.inspector.sources import Item, source_of
from blemish.methods.contract import ImageFindings


class Brightest:
    """A stand-in for a method: the image's greatest value is its score, a defect of one pixel where it is."""

    channels = 1
    mm_per_px = None
    classifies = False
    segments = True
    threshold_score = 0.5
    pixel_threshold = 0.5
    score_map_max = 1.0

    def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        return pixels.astype(np.float32) / 255

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        y, x = np.unravel_index(int(raw.argmax()), raw.shape)
        box = (float(x), float(y), float(x + 1), float(y + 1))
        defect = Defect("spot", 1.0, box, (), Rectangle((x + 0.5, y + 0.5), 1, 1, 0), 1)
        return ImageFindings(float(raw.max()), (defect,), {"score_map": raw} if with_maps else {})


def brightest(**more: object) -> BundleInspector:
    return BundleInspector(Brightest(), {}, **{"review": 0.3, "ng": 0.6, "bundle": "stand-in", **more})


def untimed(inspection: Inspection) -> Inspection:
    return replace(inspection, timings_ms={})


def streamed(judge: Judge, items: Iterator[Item]) -> list[Inspection]:
    with answers_of(judge, items) as answers:
        return [answer.inspection for answer in answers.coming]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of many kinds and sizes, among them four that are none."""
    generator = np.random.default_rng(0)
    for index in range(30):
        shape = tuple(generator.integers(1, 60, 2)) + ((3,) if index % 3 == 0 else ())
        pixels = generator.integers(0, 256, shape, dtype=np.uint8)
        cv2.imwrite(
            str(tmp_path / f"{index:02d}.png"), pixels.astype(np.uint16) * 257 if index % 7 == 0 else pixels
        )
    whole = (tmp_path / "04.png").read_bytes()
    (tmp_path / "05.png").write_bytes(b"")
    (tmp_path / "06.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "17.png").write_text("not an image")
    (tmp_path / "29.png").unlink()
    (tmp_path / "all.txt").write_text("\n".join(f"{index:02d}.png" for index in range(30)))
    return tmp_path


def test_the_answers_are_those_of_one_picture_after_the_other(folder: Path) -> None:
    paths = [folder / f"{index:02d}.png" for index in range(30)]
    for judge in (brightest(), Chain((brightest(), brightest(bundle="other")))):
        found = streamed(judge, source_of([folder / "all.txt"], pytest.fail).items)
        assert [untimed(one) for one in found] == [untimed(judge.inspect(path)) for path in paths]
        errors = [Path(one.image).name for one in found if one.verdict is Verdict.ERROR]
        assert errors == ["05.png", "06.png", "17.png", "29.png"]
        assert all(set(one.timings_ms) for one in found if one.verdict is not Verdict.ERROR)


def test_a_trained_bundle_answers_the_same(tiny_bundle: Path, tiny_dataset: object) -> None:
    inspector = open_inspector(tiny_bundle, device="cpu")
    paths = [sample.image for sample in tiny_dataset][:6]
    found = streamed(inspector, source_of(paths, pytest.fail).items)
    assert [untimed(one) for one in found] == [untimed(inspector.inspect(path)) for path in paths]
    assert any(one.defects for one in found)


def items(number: int, pixels: NDArray[np.uint8] | None = None) -> Iterator[Item]:
    picture = np.zeros((16, 16), np.uint8) if pixels is None else pixels
    for index in range(number):
        yield Item(f"{index}.png", str(index), picture.copy)


@pytest.mark.parametrize("half", ["forward", "decide"])
def test_a_bug_comes_out_once_and_leaves_no_thread(half: str) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    inference = Brightest()
    setattr(inference, half, broken)
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="a bug"):
        streamed(replace(brightest(), inference=inference), items(10))
    assert set(threading.enumerate()) == before


@pytest.mark.parametrize("half", ["forward", "decide"])
def test_a_picture_too_large_for_the_memory_is_an_error_and_the_rest_goes_on(half: str) -> None:
    inference, calls = Brightest(), []
    whole = getattr(inference, half)

    def once_too_large(*given: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 2:
            raise MemoryError
        return whole(*given, **options)

    setattr(inference, half, once_too_large)
    found = streamed(replace(brightest(), inference=inference), items(4))
    assert [one.verdict is Verdict.ERROR for one in found] == [False, True, False, False]
    assert "1.png could not be judged: MemoryError" in str(found[1].error)


def test_one_network_runs_at_a_time() -> None:
    inside = []

    class Asking(Brightest):
        def forward(self, pixels: NDArray[np.uint8], networks: dict) -> NDArray[np.float32]:
            return networks["one"](super().forward(pixels, networks))

        def decide(
            self, raw: NDArray[np.float32], pixels: object, networks: dict, *, with_maps: bool
        ) -> ImageFindings:
            return super().decide(networks["other"](raw), with_maps=with_maps)

    def network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        inside.append(1)
        assert len(inside) == 1
        threading.Event().wait(0.002)
        inside.pop()
        return inputs

    judge = replace(brightest(), inference=Asking(), networks={"one": network, "other": network})
    assert len(streamed(judge, items(40))) == 40


@pytest.mark.parametrize(("max_pixels", "expected"), [(255, 1), (256, 1), (600, 2), (10_000, 6)])
def test_of_large_pictures_few_are_on_their_way(
    monkeypatch: pytest.MonkeyPatch, max_pixels: int, expected: int
) -> None:
    monkeypatch.setattr("blemish.inspector.pipeline.MAX_PIXELS_INSIDE", max_pixels)
    judge, forwarded = brightest(), []
    whole = judge.inference.forward

    def forward(pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        forwarded.append(1)
        return whole(pixels, networks)

    judge.inference.forward = forward
    before = set(threading.enumerate())
    with answers_of(judge, items(20)) as answers:
        for number, _ in enumerate(answers.coming):
            deadline = time.monotonic() + (5 if len(forwarded) - number < expected and number < 10 else 0.02)
            while time.monotonic() < deadline and len(forwarded) - number < min(expected, 3):
                time.sleep(0.001)
            assert len(forwarded) - number <= expected
            if number == 15:
                break
    assert set(threading.enumerate()) == before, "those who waited for room have ended"


def test_memory_is_as_flat_after_ten_thousand_pictures_as_after_one_thousand() -> None:
    sizes = {}
    tracemalloc.start()
    try:
        with answers_of(brightest(), items(10_000, np.full((64, 64), 200, np.uint8))) as answers:
            for number, _ in enumerate(answers.coming, start=1):
                if number in (1_000, 10_000):
                    sizes[number] = tracemalloc.get_traced_memory()[0]
                    if number == 1_000:
                        tracemalloc.reset_peak()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sizes[10_000] < sizes[1_000] + 200_000
    assert peak < 2_000_000, "a picture with its map has 20 kB, and few are held at once"
