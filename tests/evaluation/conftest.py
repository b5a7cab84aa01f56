"""Samples, inspections and records made by hand, for every test of this folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.arrays import Box
from blemish.dataset.masks import Instance
from blemish.dataset.samples import Annotation, MaskFile, Sample
from blemish.defect import Defect, Rectangle
from blemish.evaluation.matching import box_ious
from blemish.evaluation.records import ImageRecord, TruthDefect
from blemish.inspection import Inspection, Verdict

Named = tuple[str, Box]


@pytest.fixture(scope="session")
def found_defect() -> Callable[..., Defect]:
    def make(label: str, box: Box, *, confidence: float = 1.0, severity: float | None = None) -> Defect:
        return Defect(label, confidence, box, (), Rectangle((0, 0), 1, 1, 0), 1.0, severity, severity)

    return make


@pytest.fixture(scope="session")
def inspected() -> Callable[..., Inspection]:
    """An inspection; `found_map` becomes its map of defects."""

    def make(
        defects: Sequence[Defect] = (),
        *,
        verdict: Verdict = Verdict.OK,
        score: float | None = 0.0,
        found_map: NDArray[np.int32] | None = None,
        severity: NDArray[np.float32] | None = None,
        timings_ms: dict[str, float] | None = None,
    ) -> Inspection:
        maps = {"defects": found_map, "score_map": severity}
        present: dict[str, Any] = {name: each for name, each in maps.items() if each is not None}
        return Inspection(
            "a.png", (8, 8), verdict, score, tuple(defects), "bundle", timings_ms or {}, maps=present
        )

    return make


@pytest.fixture(scope="session")
def sample_with() -> Callable[..., Sample]:
    """A sample with an annotation of each label: "mask", "box" or "label" says how exactly it is placed."""

    def make(labels: Sequence[str] = (), *, placed_by: str = "mask") -> Sample:
        place: dict[str, Any] = {
            "mask": {"mask": MaskFile(Path("a_mask.png"))},
            "box": {"box_xyxy": (0, 0, 4, 4)},
            "label": {},
        }[placed_by]
        return Sample(Path("a.png"), "a.png", tuple(Annotation(label, **place) for label in labels))

    return make


@pytest.fixture(scope="session")
def record_of(found_defect: Any, inspected: Any, sample_with: Any) -> Callable[..., ImageRecord]:
    """A record of true and found boxes, each (label, box) or, found, (label, box, confidence)."""

    def make(
        true: Sequence[Named] = (),
        found: Sequence[tuple[Any, ...]] = (),
        *,
        verdict: Verdict = Verdict.OK,
        score: float | None = 0.0,
        placed_by: str = "box",
    ) -> ImageRecord:
        defects = [
            found_defect(each[0], each[1], confidence=each[2] if len(each) > 2 else 1.0) for each in found
        ]
        return ImageRecord(
            sample=sample_with([label for label, _ in true], placed_by=placed_by),
            inspection=inspected(defects, verdict=verdict, score=score),
            truth=tuple(TruthDefect(label, box, (), 0.0) for label, box in true if placed_by != "label"),
            iou=box_ious([box for _, box in true if placed_by != "label"], [each[1] for each in found]),
        )

    return make


@pytest.fixture(scope="session")
def instance_of() -> Callable[..., Instance]:
    """The annotated defect whose pixels are True in a mask of the whole image."""

    def make(label: str, mask: NDArray[np.bool_], *, contrast: float | None = None) -> Instance:
        rows, columns = np.nonzero(mask)
        top, left, bottom, right = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        box = (float(left), float(top), float(right), float(bottom))
        return Instance(label, box, mask[top:bottom, left:right].copy(), contrast)

    return make
