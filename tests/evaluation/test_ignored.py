"""Crowd and difficult regions: figures as pycocotools has them, and a worked example of each other one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from blemish.arrays import Box
from blemish.dataset.ignored import sentences_on_ignored
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Annotation, RunLengths, Sample
from blemish.defect import Defect, Rectangle
from blemish.evaluation.before_after import class_figures
from blemish.evaluation.classification import FALSE_ALARM, type_metrics
from blemish.evaluation.defects import defect_metrics, match_counts_at, pairings, unjudged
from blemish.evaluation.detection import detection_metrics
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.fewshot import ranked_detections
from blemish.evaluation.ignored import IgnoredRegions
from blemish.evaluation.image import image_metrics, image_scores, is_decided, is_defective
from blemish.evaluation.label_issues import of_findings
from blemish.evaluation.matching import iou_matrix, region_overlaps
from blemish.evaluation.pointing import pointed
from blemish.evaluation.records import IgnoredRegion, ImageRecord, TruthDefect
from blemish.evaluation.report.cases import falsely_found
from blemish.inspection import Inspection, Verdict
from blemish.regions.boxes import box_iou

NAMES = ("open", "short")
CROWD, DIFFICULT = "crowd", "difficult"
Mark = tuple[str, Box, str]  # label, box and "", "crowd" or "difficult"
Found = tuple[str, Box, float]


def defect(label: str, box: Box, confidence: float) -> Defect:
    return Defect(label, confidence, box, (), Rectangle((0, 0), 1, 1, 0), 1.0)


def record_of(marks: list[Mark], found: list[Found], verdict: Verdict = Verdict.NG) -> ImageRecord:
    annotations = tuple(
        Annotation(label, box, crowd=kind == CROWD, difficult=kind == DIFFICULT) for label, box, kind in marks
    )
    true = [Instance(label, box) for label, box, kind in marks if not kind]
    ignored = tuple(IgnoredRegion(label, box, kind == CROWD) for label, box, kind in marks if kind)
    defects = tuple(defect(*each) for each in found)
    boxes = [each.box_xyxy for each in defects]
    return ImageRecord(
        Sample(Path("a.png"), "a.png", annotations),
        Inspection("a.png", (100, 100), verdict, 0.5, defects, "b"),
        tuple(TruthDefect(each.label, each.box_xyxy, (), 1.0) for each in true),
        iou_matrix(true, boxes, None),
        ignored=ignored,
        ignored_overlap=region_overlaps(ignored, boxes),
    )


def boxes(largest: int = 24) -> st.SearchStrategy[Box]:
    """Boxes of a coarse grid, so that many overlap, and by shares that repeat."""
    numbers = st.tuples(*(st.integers(0, 10),) * 2, *(st.integers(1, largest // 4),) * 2)
    return numbers.map(lambda n: (4.0 * n[0], 4.0 * n[1], 4.0 * (n[0] + n[2]), 4.0 * (n[1] + n[3])))


LABELS = st.sampled_from(NAMES)
MARKS = st.lists(
    st.one_of(
        st.tuples(LABELS, boxes(), st.sampled_from(["", DIFFICULT])),
        st.tuples(LABELS, boxes(60), st.just(CROWD)),
    ),
    max_size=5,
)


@st.composite
def images(draw: st.DrawFn) -> tuple[list[Mark], list[Found]]:
    """Marks of an image, and findings of scores that are all different, near marks or anywhere."""
    marks = draw(MARKS)
    places = boxes() | st.sampled_from([box for _, box, _ in marks]) if marks else boxes()
    scores = draw(st.lists(st.integers(1, 10**6), unique=True, max_size=6))
    return marks, [(draw(LABELS), draw(places), score / 10**6) for score in scores]


def reference(records: list[ImageRecord], *, agnostic: bool = False) -> COCOeval:
    """pycocotools' evaluation, which keeps the `ignore` of difficult regions."""
    rows: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    number = {name: 1 if agnostic else index for index, name in enumerate(NAMES, start=1)}
    for image, record in enumerate(records, start=1):
        marks: tuple[TruthDefect | IgnoredRegion, ...] = (*record.truth, *record.ignored)
        for each in marks:
            crowd = int(isinstance(each, IgnoredRegion) and each.crowd)
            ignore = int(isinstance(each, IgnoredRegion))
            place = coco_box(each.box_xyxy) | {"iscrowd": crowd, "ignore": ignore}
            rows.append({"id": len(rows) + 1, "image_id": image, "category_id": number[each.label], **place})
        for result in record.inspection.defects:
            row = {"id": len(found) + 1, "image_id": image, "category_id": number[result.label]}
            found.append({**row, "score": result.confidence, **coco_box(result.box_xyxy)})
    sides = []
    for of_side in (rows, found):
        side = COCO()
        side.dataset = {
            "images": [{"id": image} for image in range(1, len(records) + 1)],
            "categories": [{"id": i, "name": str(i)} for i in set(number.values())],
            "annotations": of_side,
        }
        side.createIndex()
        sides.append(side)
    evaluation = KeepsIgnore(*sides, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


class KeepsIgnore(COCOeval):  # type: ignore[misc]
    """pycocotools overwrites `ignore` by `iscrowd` before it evaluates; the rule itself knows both."""

    def _prepare(self) -> None:
        kept = {row["id"]: row["ignore"] for row in self.cocoGt.dataset["annotations"]}
        super()._prepare()
        for rows in self._gts.values():
            for row in rows:
                row["ignore"] = kept[row["id"]]


def coco_box(box: Box) -> dict[str, Any]:
    left, top, right, bottom = box
    return {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}


@settings(max_examples=60, deadline=None)
@given(st.lists(images(), min_size=1, max_size=3))
def test_average_precision_is_that_of_pycocotools(drawn: list[tuple[list[Mark], list[Found]]]) -> None:
    records = [record_of(*each) for each in drawn]
    metrics = detection_metrics(records, NAMES)
    if metrics is None:
        assert not any(record.truth for record in records)
        return
    expected = reference(records).eval["precision"][:, :, :, 0, -1]
    for index, name in enumerate(NAMES):
        of_class = expected[0, :, index]
        if (of_class == -1).all():
            assert metrics["ap50"][name] is None
        else:
            assert metrics["ap50"][name] == pytest.approx(of_class.mean(), abs=1e-9)
    assert metrics["map50_95"] == pytest.approx(expected[expected > -1].mean(), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(images(), st.booleans())
def test_right_wrong_and_ignored_findings_are_those_of_pycocotools(
    drawn: tuple[list[Mark], list[Found]], with_type: bool
) -> None:
    record = record_of(*drawn)
    right, ignored = 0, 0
    for image in reference([record], agnostic=not with_type).evalImgs:
        if image is not None and image["aRng"] == [0, 1e10]:
            matches, left_out = image["dtMatches"][0], image["dtIgnore"][0].astype(bool)
            right += int(((matches > 0) & ~left_out).sum())
            ignored += int(left_out.sum())
    counts = match_counts_at([record], 0.5, with_type=with_type)
    assert (counts.tp_found, len(unjudged(record, 0.5, with_type=with_type))) == (right, ignored)
    assert counts.n_found == len(record.inspection.defects) - ignored
    assert counts.n_true == len(record.truth)


HERE, THERE, BIG = (10.0, 10.0, 20.0, 20.0), (60.0, 60.0, 70.0, 70.0), (50.0, 50.0, 100.0, 100.0)


@pytest.fixture
def crowded() -> ImageRecord:
    """A defect that is found, a crowd with two findings in it, and a false alarm outside."""
    marks: list[Mark] = [("open", HERE, ""), ("open", BIG, CROWD)]
    in_crowd: list[Found] = [("open", THERE, 0.8), ("short", (80.0, 80.0, 90.0, 90.0), 0.7)]
    return record_of(marks, [("open", HERE, 0.9), *in_crowd, ("short", (0.0, 80.0, 9.0, 90.0), 0.95)])


def test_findings_in_a_crowd_are_neither_right_nor_wrong(crowded: ImageRecord) -> None:
    assert sorted(pairings(crowded), key=str) == [(0, 0), (None, 3)]
    metrics = defect_metrics([crowded], NAMES)
    assert metrics is not None
    assert (metrics["truth"], metrics["recall_at_50"], metrics["precision_at_50"]) == (1, 1.0, 0.5)
    assert metrics["classes"]["open"]["precision_at_30"]["of"] == 1
    assert metrics["classes"]["short"]["precision_at_30"]["of"] == 1
    typed = type_metrics([crowded], NAMES)
    assert typed is not None
    assert typed["confusion"][FALSE_ALARM] == {"open": 0, "short": 1, "missed": 0}
    assert [issue.found for issue in of_findings([crowded], classifies=True)] == [3]
    assert [case.found for case in falsely_found(crowded)] == [3]
    assert class_figures([crowded], NAMES)["open"].alarms == 0
    assert class_figures([crowded], NAMES)["short"].alarms == 2, "the crowd is of another class"
    assert ranked_detections([crowded], "open").scores.tolist() == [0.9]


def test_a_difficult_defect_takes_a_single_finding_and_is_never_missed() -> None:
    record = record_of([("open", HERE, DIFFICULT)], [("open", HERE, 0.9), ("open", HERE, 0.8)])
    assert pairings(record) == [(None, 1)]
    assert not pairings(record_of([("open", HERE, DIFFICULT)], []))


@pytest.mark.parametrize(
    ("kinds", "defective", "decided"),
    [
        ([], False, True),
        ([""], True, True),
        ([CROWD], True, True),
        ([DIFFICULT], False, False),
        ([DIFFICULT, CROWD], True, True),
        ([DIFFICULT, ""], True, True),
    ],
)
def test_an_image_of_difficult_defects_alone_is_in_no_image_figure(
    kinds: list[str], defective: bool, decided: bool
) -> None:
    record = record_of(
        [("open", (10.0 * i, 0.0, 10.0 * i + 9, 9.0), kind) for i, kind in enumerate(kinds)], []
    )
    assert (is_defective(record), is_decided(record)) == (defective, decided)
    metrics = image_metrics([record])
    assert (metrics and metrics["images"]) == (1 if decided else None)
    assert len(image_scores([record])[0]) == decided


def test_pixels_of_ignored_regions_are_in_no_count() -> None:
    truth, found = np.zeros((8, 10), np.uint8), np.zeros((8, 10), np.int32)
    truth[0:2, 0:2] = 1
    found[0:2, 0:2], found[4:8, 5:10] = 1, 2
    crowd: NDArray[np.bool_] = np.ones((3, 4), np.bool_)
    crowd[0] = False
    region = Instance("open", (5.0, 4.0, 9.0, 7.0), crowd)
    severity = found.astype(np.float32)
    defects = (defect("open", (0, 0, 2, 2), 0.9), defect("open", (5, 4, 10, 8), 0.8))
    maps = {"defects": found, "score_map": severity}
    inspection = Inspection("a.png", (8, 10), Verdict.NG, 0.9, defects, "b", maps=maps)
    outline = RunLengths((1,), (8, 10))
    sample = Sample(
        Path("a.png"),
        "a.png",
        (Annotation("open", mask=outline), Annotation("open", mask=outline, crowd=True)),
    )
    evaluator = Evaluator(["open"])
    truths = [Instance("open", (0, 0, 2, 2), np.ones((2, 2), np.bool_))]
    record = evaluator.add(
        sample, inspection, class_map=truth, truth=truths, ignored=IgnoredRegions((region,), (True,))
    )
    assert record.pixels is not None
    in_region = 2 * 4  # the region's pixels, all of which are found
    assert (record.pixels.tp, record.pixels.fp) == (4, 20 - in_region)
    counts = record.pixels
    assert counts.tp + counts.fp + counts.fn + counts.tn == 80 - in_region
    assert evaluator.severities.found[0] == 80 - in_region
    assert record.near is not None
    assert record.near.n_found == 4 + 20 - in_region
    assert record.ignored_overlap[0].tolist() == pytest.approx([0, in_region / 20])
    assert evaluator.result(method="m", split="test", seed=0).metrics["ignored"] == {
        "crowd": 1,
        "difficult": 0,
        "doubtful_images": 0,
    }


def test_a_map_that_is_hottest_in_a_crowd_points_nowhere() -> None:
    heat = np.zeros((10, 10))
    heat[8, 8] = 1
    truth, crowd = [Instance("open", (0, 0, 3, 3))], [Instance("open", (5, 5, 10, 10))]
    assert pointed(heat, truth, crowd, rejected=True) is None
    assert pointed(heat, truth, rejected=True) is not None
    heat[1, 1] = 2
    on_defect = pointed(heat, truth, crowd, rejected=True)
    assert on_defect is not None
    assert on_defect.hit


def test_shares_in_regions_are_intersections_over_the_finding() -> None:
    regions = [IgnoredRegion("open", BIG, True), IgnoredRegion("open", HERE, False)]
    found: list[Box] = [(40.0, 50.0, 60.0, 60.0), (15.0, 10.0, 25.0, 20.0), (5.0, 5.0, 5.0, 9.0)]
    by_hand = [[0.5, 0, 0], [0, 50 / 150, 0]]
    assert np.allclose(region_overlaps(regions, found), by_hand)
    ious = box_iou(np.array([HERE]), np.array(found))
    assert np.allclose(region_overlaps(regions[1:], found), ious)


def test_a_word_on_what_is_ignored_and_on_repeats() -> None:
    box = Annotation("open", HERE, id="1")
    sample = Sample(Path("a.png"), "a", (box, replace(box, id="2"), replace(box, crowd=True)))
    doubtful = Sample(Path("b.png"), "b", (replace(box, difficult=True),))
    first, doubt, second = sentences_on_ignored([sample, doubtful, Sample(Path("c.png"), "c")])
    assert first.startswith("1 crowd region and 1 difficult region in 2 images are ignored")
    assert doubt.startswith("Images with difficult defects alone: 1.")
    assert second.startswith("Equal annotations, of the same place and class as another: 1.")
    assert sentences_on_ignored([Sample(Path("a.png"), "a", (box,))]) == ()
