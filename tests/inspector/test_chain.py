"""Chains of hand-made stages: every rule of the verdict, of names, and of what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import Chain, chain_of
from blemish.inspector.inspector import BundleInspector
from blemish.methods.contract import ImageFindings
from blemish.regions.filled_boxes import defect_of_box, filled_boxes

SIZE = (20, 30)
OF_VERDICT = {Verdict.OK: 0.1, Verdict.REVIEW: 0.4, Verdict.NG: 0.9}


@dataclass
class Stage:
    """A stand-in for a method that gives set answers, and counts how often it is asked."""

    score: float
    defects: tuple[Defect, ...] = ()
    classifies: bool = False
    segments: bool = False
    score_map_max: float | None = None
    pixel_threshold: float | None = None
    threshold_score: float | None = None
    mm_per_px: float | None = None
    channels: int | None = 3
    candidates: tuple[Defect, ...] = ()
    broken: bool = False
    heat: str = ""
    seen: list[NDArray] = field(default_factory=list)

    def forward(self, pixels: NDArray, networks: object) -> NDArray[np.float32]:
        self.seen.append(pixels)
        return np.full(pixels.shape[:2], np.nan if self.broken else self.score, np.float32)

    def decide(
        self, raw: NDArray[np.float32], pixels: NDArray, networks: object, *, with_maps: bool
    ) -> ImageFindings:
        maps = {"defects": filled_boxes(self.defects, SIZE)} if with_maps else {}
        if with_maps and self.heat:
            maps[self.heat] = raw
        return ImageFindings(self.score, self.defects, maps, candidates=self.candidates, spread=0.05)


def region(box: Box, label: str = "defect", confidence: float = 0.6) -> Defect:
    return defect_of_box(box, label, confidence)


def gate(verdict: Verdict = Verdict.NG, **more: object) -> BundleInspector:
    return inspector(Stage(OF_VERDICT[verdict], heat="heat_map", **more), "gate-1")


def segmenter(*boxes: Box, verdict: Verdict = Verdict.NG, **more: object) -> BundleInspector:
    fields = {"segments": True, "score_map_max": 12.0, "pixel_threshold": 3.0, "heat": "score_map"}
    defects = tuple(region(box) for box in boxes)
    return inspector(Stage(OF_VERDICT[verdict], defects, **{**fields, **more}), "segmenter-1")


def detector(*defects: Defect, **more: object) -> BundleInspector:
    return inspector(Stage(0.5, defects, classifies=True, **more), "detector-1")


def inspector(stage: Stage, name: str) -> BundleInspector:
    return BundleInspector(stage, {}, review=0.3, ng=0.7, bundle=name)


PIXELS = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)


def judged(*stages: BundleInspector, with_maps: bool = False) -> Inspection:
    return chain_of(stages).judge(PIXELS, "a.png", with_maps=with_maps)


# The verdict


def test_an_image_that_the_gate_passes_costs_no_later_stage() -> None:
    stages = gate(Verdict.OK), segmenter((1, 1, 5, 5)), detector(region((1, 1, 5, 5), "pit"))
    inspection = judged(*stages, with_maps=True)
    assert (inspection.verdict, inspection.defects, inspection.reasons) == (Verdict.OK, (), ())
    assert [len(stage.inference.seen) for stage in stages] == [1, 0, 0]
    assert set(inspection.timings_ms) == {"gate.network", "gate.decide"}
    assert inspection.bundle == "gate-1+segmenter-1+detector-1"
    assert not inspection.maps["score_map"].any() and not inspection.maps["defects"].any()
    assert inspection.maps["score_map"].shape == inspection.maps["defects"].shape == SIZE


@pytest.mark.parametrize("verdict", [Verdict.REVIEW, Verdict.NG])
def test_what_the_gate_holds_back_is_outlined_and_named_under_its_score(verdict: Verdict) -> None:
    stages = gate(verdict), segmenter((1, 1, 9, 9)), detector(region((1, 1, 9, 9), "pit", 0.8))
    inspection = judged(*stages, with_maps=True)
    assert inspection.verdict is verdict
    assert inspection.score == OF_VERDICT[verdict] and inspection.spread == 0.05
    assert [(one.label, one.confidence) for one in inspection.defects] == [("pit", 0.8)]
    assert [len(stage.inference.seen) for stage in stages] == [1, 1, 1]
    assert set(inspection.timings_ms) == {
        f"{role}.{step}" for role in ("gate", "segmenter", "detector") for step in ("network", "decide")
    }
    assert set(inspection.maps) == {"heat_map", "score_map", "defects"}
    assert inspection.maps["score_map"][0, 0] == np.float32(0.9), "the segmenter's, whatever the gate gave"


@pytest.mark.parametrize("verdict", [Verdict.REVIEW, Verdict.NG])
def test_a_rejection_with_nothing_to_show_goes_to_a_person_with_where_the_gate_points(
    verdict: Verdict,
) -> None:
    pointing = gate(verdict, defects=(region((2, 3, 12, 13)),))
    inspection = judged(pointing, segmenter(verdict=Verdict.OK), detector())
    assert inspection.verdict is Verdict.REVIEW
    assert inspection.defects == (), "a box that points is no defect"
    (reason,) = inspection.reasons
    assert f"the gate calls the image {verdict} (score {OF_VERDICT[verdict]:.2f})" in reason
    assert "points at 2, 3, 12, 13" in reason
    assert Inspection.from_json(inspection.to_json()).reasons == inspection.reasons


def test_an_image_that_a_segmenter_first_passes_goes_to_a_person_when_the_detector_finds_something() -> None:
    calm = segmenter(verdict=Verdict.OK)
    inspection = judged(calm, detector(region((1, 1, 4, 4), "pit", 0.7)))
    assert inspection.verdict is Verdict.REVIEW
    assert inspection.reasons == ("the segmenter calls the image OK, the detector finds a defect (pit 0.70)",)
    assert [one.label for one in inspection.defects] == ["pit"]
    assert judged(calm, detector()).verdict is Verdict.OK


@pytest.mark.parametrize("first", [gate, lambda verdict: segmenter((1, 1, 5, 5), verdict=verdict)])
def test_a_later_stage_neither_passes_nor_rejects(first: object) -> None:
    """All combinations: passed and rejected images are a part of those of the first stage alone."""
    boxes = [(), (region((1, 1, 5, 5), "pit"),), (region((12, 12, 18, 18), "pit"),)]
    for verdict, found, regions in itertools.product(OF_VERDICT, boxes, [(), ((1, 1, 5, 5),)]):
        head = first(verdict)
        middle = [] if head.inference.segments else [segmenter(*regions)]
        inspection = judged(head, *middle, detector(*found))
        assert inspection.verdict in (verdict, Verdict.REVIEW)
        if not head.inference.segments:
            assert (inspection.verdict is Verdict.OK) == (verdict is Verdict.OK), "escapes are the gate's"
        disagree = [reason for reason in inspection.reasons if "no defect" not in reason or "calls" in reason]
        assert bool(disagree) == (
            (verdict is not Verdict.OK and not inspection.defects)
            or (verdict is Verdict.OK and bool(inspection.defects) and bool(found))
        )
        assert inspection.verdict is not Verdict.OK or not inspection.defects
        assert bool(inspection.under_limit) == (head.inference.segments and verdict is Verdict.OK), (
            "regions of a segmenter that comes first"
        )


def test_a_later_stage_is_limited_where_the_first_calls_the_image_ok_and_there_alone() -> None:
    """A detector whose score, 0.1, is under its own limit, behind a segmenter and behind a gate."""
    unsure = BundleInspector(
        Stage(0.1, (region((1, 1, 9, 9), "pit"),), classifies=True), {}, review=0.3, ng=0.7, bundle="d"
    )
    calm, strict = (segmenter((1, 1, 9, 9), verdict=each) for each in (Verdict.OK, Verdict.NG))
    passed = judged(calm, unsure, with_maps=True)
    assert (passed.verdict, passed.defects) == (Verdict.OK, ())
    assert [one.label for one in passed.under_limit] == ["defect", "pit"]
    assert passed.reasons == (
        "1 finding is no defect: score 0.1 < 0.3",
        "detector: 1 finding is no defect: score 0.1 < 0.3",
    )
    assert not passed.maps["defects"].any()
    for first in (strict, gate()):
        rejected = judged(first, unsure)
        assert (rejected.verdict, rejected.under_limit) == (Verdict.NG, ())
        assert [one.label for one in rejected.defects] == ["pit"], "it names what the first found"
    alone = judged(gate(), replace(calm, bundle="s"))
    assert (alone.verdict, len(alone.defects)) == (Verdict.NG, 1)


# Names


def test_boxes_name_regions_one_to_one_the_surest_first() -> None:
    """Both boxes fit the left region best; the surer one has it, the other takes the right one."""
    left, right = (0, 0, 10, 10), (6, 0, 16, 10)
    boxes = region((1, 0, 11, 10), "burr", 0.5), region((1, 0, 11, 10), "pit", 0.9)
    found = judged(gate(), segmenter(left, right), detector(*boxes)).defects
    assert [(one.box_xyxy, one.label, one.confidence) for one in found] == [
        (left, "pit", 0.9),
        (right, "burr", 0.5),
    ]


def test_pieces_in_a_box_share_its_name_and_a_small_box_in_a_region_is_its_own_defect() -> None:
    pieces = (0, 0, 4, 2), (8, 0, 12, 2), (20, 15, 24, 19)
    found = judged(gate(), segmenter(*pieces), detector(region((0, 0, 18, 3), "crack", 0.7))).defects
    assert [one.label for one in found] == ["crack", "crack", "defect"]
    found = judged(gate(), segmenter((0, 0, 20, 20)), detector(region((3, 3, 6, 6), "pit", 0.7))).defects
    assert [(one.label, one.box_xyxy) for one in found] == [
        ("defect", (0, 0, 20, 20)),
        ("pit", (3, 3, 6, 6)),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_found_is_lost(seed: int) -> None:
    """Regions keep place and number, every name given is a box's, every box names a region or stays."""
    generator = np.random.default_rng(seed)
    regions = random_boxes(generator, 6)
    boxes = [
        region(box, f"type {index}", confidence)
        for index, (box, confidence) in enumerate(
            zip(random_boxes(generator, 6), generator.random(6).tolist(), strict=True)
        )
    ]
    inspection = judged(gate(), segmenter(*regions), detector(*boxes), with_maps=True)
    found = inspection.defects
    assert [one.box_xyxy for one in found[:6]] == regions
    labels = {one.label for one in found}
    assert {one.label for one in boxes} <= labels
    assert all(one in boxes for one in found[6:])
    for one in found[:6]:
        named = next((box for box in boxes if box.label == one.label), None)
        assert one.confidence == (named.confidence if named else 0.6)
        assert named is None or overlaps(one.box_xyxy, named.box_xyxy)
    numbers = inspection.maps["defects"]
    np.testing.assert_array_equal(
        np.where(numbers <= 6, numbers, 0), filled_boxes([region(box) for box in regions], SIZE)
    )
    assert set(np.unique(numbers[numbers > 6]).tolist()) <= set(range(7, len(found) + 1))


def random_boxes(generator: np.random.Generator, count: int) -> list[Box]:
    corners = generator.integers(0, 12, (count, 2))
    sides = generator.integers(2, 8, (count, 2))
    ends = corners + sides
    return [(*map(float, low), *map(float, high)) for low, high in zip(corners, ends, strict=True)]


def overlaps(one: Box, other: Box) -> bool:
    """IoU of at least 0.3, or half of `one` in `other`; by pixels, as corners are whole numbers."""
    shapes = [np.zeros((40, 40), bool) for _ in range(2)]
    for shape, (left, top, right, bottom) in zip(shapes, (one, other), strict=True):
        shape[int(top) : int(bottom), int(left) : int(right)] = True
    shared = (shapes[0] & shapes[1]).sum()
    return shared / (shapes[0] | shapes[1]).sum() >= 0.3 or shared / shapes[0].sum() >= 0.5


def test_boxes_without_a_region_are_numbered_behind_the_regions() -> None:
    inspection = judged(
        gate(), segmenter((0, 0, 4, 4)), detector(region((2, 2, 20, 12), "stain", 0.9)), with_maps=True
    )
    numbers = inspection.maps["defects"]
    assert (numbers[0, 0], numbers[3, 3], numbers[5, 10], numbers[15, 5]) == (1, 1, 2, 0)
    assert numbers.dtype == np.int32


def test_a_gate_and_a_namer_give_boxes_alone() -> None:
    inspection = judged(gate(), detector(region((1, 1, 5, 5), "pit")), with_maps=True)
    assert [one.label for one in inspection.defects] == ["pit"]
    assert "score_map" not in inspection.maps


def test_candidates_are_the_namers_and_the_regions_without_a_name() -> None:
    sure, unsure = region((0, 0, 5, 5), "pit", 0.8), region((9, 9, 12, 12), "pit", 0.1)
    stages = gate(), segmenter((0, 0, 5, 5), (20, 10, 28, 18)), detector(sure, candidates=(sure, unsure))
    inspection = judged(*stages)
    assert inspection.candidates == (sure, unsure, inspection.defects[1])
    assert judged(*stages[:2]).candidates == ()
    calm = segmenter((0, 0, 5, 5), (20, 10, 28, 18), verdict=Verdict.OK)
    under = judged(calm, detector(sure, candidates=(sure, unsure)))
    assert under.verdict is Verdict.REVIEW and len(under.under_limit) == 2
    assert under.candidates == inspection.candidates, "the limit leaves none out"


# Images


@pytest.mark.parametrize("colour", [True, False])
def test_an_image_is_decoded_once_and_each_stage_sees_what_it_would_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    from blemish.inspector import inspector as module

    path = tmp_path / "a.png"
    assert cv2.imwrite(str(path), PIXELS if colour else PIXELS[:, :, 0])
    stages = gate(channels=3), segmenter((1, 1, 5, 5), channels=1), detector(channels=None)
    for stage in stages:
        stage.inspect(path)
    reads = []
    read = module.read_image
    monkeypatch.setattr(module, "read_image", lambda *a, **k: reads.append(a) or read(*a, **k))
    inspection = chain_of(stages).inspect(path)
    assert len(reads) == 1
    assert next(iter(inspection.timings_ms)) == "decode" and inspection.size == SIZE
    for stage in stages:
        alone, chained = stage.inference.seen
        np.testing.assert_array_equal(alone, chained)
        assert alone.shape == chained.shape


def test_an_image_that_cannot_be_read_is_an_error_of_the_whole_chain(tmp_path: Path) -> None:
    inspection = chain_of([gate(), segmenter()]).inspect(tmp_path / "none.png")
    assert inspection.verdict is Verdict.ERROR and "none.png" in str(inspection.error)
    assert inspection.bundle == "gate-1+segmenter-1"


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_stage_that_fails_makes_an_error_that_names_it(place: int) -> None:
    stages = [gate(), segmenter((1, 1, 5, 5)), detector()]
    stages[place].inference.broken = True
    inspection = judged(*stages)
    assert inspection.verdict is Verdict.ERROR
    role = ("gate", "segmenter", "detector")[place]
    assert str(inspection.error).startswith(f"{role} {role}-1: ") and "not finite" in str(inspection.error)


def test_a_failing_stage_behind_a_gate_that_passes_is_not_asked() -> None:
    assert judged(gate(Verdict.OK), segmenter(broken=True)).verdict is Verdict.OK


# What a chain can do, and what is none


def test_a_chain_can_do_what_any_of_its_stages_can() -> None:
    abilities = chain_of([gate(), segmenter(), detector()]).inference
    assert (abilities.classifies, abilities.segments) == (True, True)
    assert (abilities.score_map_max, abilities.pixel_threshold, abilities.channels) == (12.0, 3.0, None)
    abilities = chain_of([gate(), detector()]).inference
    assert (abilities.segments, abilities.score_map_max) == (False, None)
    assert not chain_of([gate(), segmenter()]).inference.classifies


def test_one_known_scale_measures_every_defect() -> None:
    inspection = judged(
        gate(), segmenter((0, 0, 8, 4), mm_per_px=0.5), detector(region((12, 12, 18, 18), "pit"))
    )
    assert inspection.mm_per_px == 0.5
    assert [one.length_mm for one in inspection.defects] == [4.0, 3.0]


REFUSED: list[tuple[Sequence[BundleInspector], str]] = [
    ([gate(), gate()], "must have each bundle once. Received: gate-1 twice."),
    ([gate(), inspector(Stage(0.5), "gate-2")], "gate-1 (gate), then gate-2 (gate). Leave out one gate."),
    (
        [segmenter(), gate()],
        "segmenter-1 (segmenter), then gate-1 (gate). Put the gate before the segmenter.",
    ),
    ([gate(), detector(), segmenter()], "Put the segmenter before the detector."),
    ([detector(), segmenter()], "Put the segmenter before the detector."),
    ([gate(mm_per_px=0.1), segmenter(mm_per_px=0.2)], "Received: 0.1 of gate-1, 0.2 of segmenter-1."),
    (
        [BundleInspector(Stage(0.1), {}, review=math.inf, ng=math.inf, bundle="gate-3"), segmenter()],
        "gate-3 must have thresholds to be a gate",
    ),
]


@pytest.mark.parametrize(("stages", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_makes_no_chain_is_refused_in_one_line(stages: Sequence[BundleInspector], message: str) -> None:
    with pytest.raises(BlemishError) as caught:
        chain_of(stages)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "stages",
    [
        (gate(), segmenter()),
        (gate(), detector()),
        (segmenter(), detector()),
        (gate(), segmenter(), detector()),
    ],
)
def test_any_part_in_order_is_a_chain(stages: tuple[BundleInspector, ...]) -> None:
    assert chain_of(stages) == Chain(stages)
