"""Trivial baselines, against scikit-learn and against counting by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from blemish.dataset.samples import Annotation, Sample
from blemish.evaluation import baselines
from blemish.evaluation.baselines import (
    HISTOGRAMS,
    ImageFeatures,
    histograms,
    image_baselines,
    places_by_chance,
    spread_choice,
)
from blemish.evaluation.records import ImageRecord
from blemish.inspection import Inspection, Verdict

Judged = Callable[..., ImageRecord]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """A record of an image that is written: of one gray value, or of these pixels."""

    def make(
        name: str, pixels: NDArray[np.uint8] | int, *, bad: bool, score: float | None = 0.5
    ) -> ImageRecord:
        path = tmp_path / f"{name}.png"
        image = np.full((20, 30), pixels, np.uint8) if isinstance(pixels, int) else pixels
        cv2.imwrite(str(path), image)
        sample = Sample(path, path.name, (Annotation("dent"),) if bad else ())
        inspection = Inspection(path.name, (20, 30), Verdict.OK, score, (), "b")
        return ImageRecord(sample, inspection, (), np.zeros((0, 0), np.float32))

    return make


def test_brightness_is_taken_in_its_better_direction(judged: Judged) -> None:
    grays, bad = (10, 50, 90, 130, 170), (True, True, False, True, False)
    records = [judged(str(g), g, bad=b, score=s) for s, (g, b) in enumerate(zip(grays, bad, strict=True))]
    found = image_baselines(records, [], HISTOGRAMS)
    assert found is not None
    assert found["brightness"]["worse"] == "dark"
    assert found["brightness"]["auroc"] == pytest.approx(roc_auc_score(bad, [-gray for gray in grays]))
    assert found["answers"]["auroc"] == pytest.approx(roc_auc_score(bad, range(5)))
    assert found["images"] == {"defective": 3, "good": 2}
    assert "nearest" not in found


@pytest.mark.parametrize("with_bad", [True, False])
def test_nearest_is_that_of_a_reference_library(judged: Judged, with_bad: bool) -> None:
    rng = np.random.default_rng(0)

    def texture(bad: bool) -> NDArray[np.uint8]:
        image = rng.integers(100, 140, (20, 30), dtype=np.uint8)
        image[5:9, 5:9] += np.uint8(30 * bad)
        return image

    kinds = [True, False] * 8
    records = [judged(f"m{i}", texture(bad), bad=bad) for i, bad in enumerate(kinds)]
    training = [
        judged(f"t{i}", texture(bad), bad=bad).sample for i, bad in enumerate(kinds) if with_bad or not bad
    ]
    found = image_baselines(records, training, HISTOGRAMS)

    def features(samples: list[Sample]) -> Any:
        images = [cv2.resize(cv2.imread(str(s.image)), (128, 128)) for s in samples]
        return histograms(np.stack(images))

    own, expected = features([record.sample for record in records]), np.zeros(len(records))
    for sign, is_bad in ((1, False), (-1, True)):
        of_kind = [sample for sample in training if sample.is_defective is is_bad]
        if of_kind:
            index = NearestNeighbors(n_neighbors=1).fit(features(of_kind))
            expected += sign * index.kneighbors(own)[0][:, 0]
    assert found is not None
    assert found["nearest"]["auroc"] == pytest.approx(roc_auc_score(kinds, expected))
    assert found["nearest"]["references"] == {"good": 8, "defective": 8 if with_bad else 0}
    assert found["nearest"]["features"] == "gray and gradient histograms"


def test_few_images_are_read_half_of_each_kind(judged: Judged, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []
    whole = baselines.read_image
    monkeypatch.setattr(
        baselines, "read_image", lambda path, **rest: read.append(path) or whole(path, **rest)
    )
    monkeypatch.setattr(baselines, "MAX_IMAGES", 10)
    bad, good = judged("bad", 90, bad=True), judged("good", 80, bad=False)
    records = [bad] * 30 + [good] * 300
    training = [record.sample for record in records]
    found = image_baselines(records, training, ImageFeatures("mean", lambda images: images.mean((1, 2))))
    assert len(read) == 20
    assert found is not None and found["images"] == {"defective": 5, "good": 5}
    assert found["nearest"] == {"auroc": 1.0, "features": "mean", "references": {"good": 5, "defective": 5}}
    huge = [replace(r, inspection=replace(r.inspection, size=(20_000, 10_000))) for r in records]
    read.clear()
    image_baselines(huge, training, HISTOGRAMS)
    assert len(read) == 2 * baselines.MIN_IMAGES


def test_rare_kinds_are_taken_whole_and_others_from_all_over() -> None:
    numbers = list(range(100))
    chosen = spread_choice(numbers, lambda number: number < 3, 20)
    assert chosen[:3] == [0, 1, 2] and len(chosen) == 20
    assert np.all(np.diff(chosen[3:]) >= 5)
    assert spread_choice(numbers, lambda number: number < 3, 500) == numbers


def test_without_both_kinds_or_readable_images_there_is_none(judged: Judged, tmp_path: Path) -> None:
    bad, good = judged("bad", 90, bad=True), judged("good", 80, bad=False)
    unscored = replace(good, inspection=replace(good.inspection, score=None))
    lost = replace(good, sample=replace(good.sample, image=tmp_path / "gone.png"))
    for other in (bad, unscored, lost):
        assert image_baselines([bad, other], [], HISTOGRAMS) is None
    assert image_baselines([], [], HISTOGRAMS) is None


def test_findings_of_other_images_meet_what_chance_meets(record_of: Any) -> None:
    """Three images: each one's finding is right on its own, and the first two are at the same place."""
    here, there = (0, 0, 4, 4), (5, 5, 8, 8)
    records = [record_of([("dent", place)], [("dent", place)]) for place in (here, here, there)]
    assert places_by_chance(records) == {"of": 3, "found": 3, "by_chance": 1.0}
    wrong = [record_of([("dent", here)], [("dent", there)]) for _ in range(4)]
    assert places_by_chance(wrong) == {"of": 4, "found": 0, "by_chance": 0.0}
    assert places_by_chance(records[:1]) is None


def test_places_are_relative_to_the_size_of_the_image(record_of: Any) -> None:
    small = record_of([("dent", (0, 0, 4, 4))], [("dent", (0, 0, 4, 4))])
    large = record_of([("dent", (0, 0, 40, 40))], [("dent", (0, 0, 40, 40))])
    large = replace(large, inspection=replace(large.inspection, size=(80, 80)))
    assert places_by_chance([small, large]) == {"of": 2, "found": 2, "by_chance": 2.0}
