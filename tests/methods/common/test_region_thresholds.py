"""Thresholds of regions: chosen by the criterion that is set, set by hand, and read back from a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from blemish.dataset.samples import Annotation, Sample
from blemish.evaluation.region_point import RegionSweep, levels_up_to
from blemish.evaluation.sweep import sweep_threshold
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common.region_thresholds import chosen_thresholds, region_thresholds, stored
from blemish.methods.contract import RegionThresholds
from blemish.methods.severity.settings import SeveritySettings
from blemish.regions.region import regions_above

SIZE = (40, 40)
SQUARE = ((10, 10), (22, 10), (22, 22), (10, 22))


class Trying:
    """As much of a trainer as the choice needs, with its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def sweep(self, maps, *, max_threshold, criterion):
        return sweep_threshold(maps, np.linspace(0, max_threshold, 21)[1:-1], criterion=criterion)

    def region_sweep(self, max_threshold, *, min_area):
        return RegionSweep(levels_up_to(max_threshold), (min_area, min_area + 10))

    def note(self, message: str) -> None:
        self.notes.append(message)


def images(number: int, regions: RegionSweep | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Good images with a strong speck, and images with a defect whose core alone is strong."""
    for index in range(2 * number):
        values, mask = np.zeros(SIZE, np.float32), np.zeros(SIZE, bool)
        annotations = ()
        if index % 2:
            values[10:22, 10:22], values[15, 15] = 0.45, 0.97
            mask[10:22, 10:22] = True
            annotations = (Annotation("a", polygons=(SQUARE,)),)
        else:
            values[3:5, 3:5] = 0.75
        if regions is not None:
            found = partial(regions_above, values, join_distance=0.0)
            sample = Sample(Path("a.png"), "a.png", annotations)
            regions.add(sample, SIZE, lambda level, found=found: list(found(level)))
        yield values, mask


@pytest.mark.parametrize("settings_type", [SeveritySettings, CasaeSettings])
def test_whole_defects_choose_by_default_and_pixels_where_they_are_too_few(settings_type) -> None:
    trainer = Trying()
    chosen = chosen_thresholds(settings_type(), trainer, partial(images, 6), max_threshold=1.0)
    assert chosen.thresholds.grow <= 0.45
    assert chosen.thresholds.start > 0.75 or chosen.thresholds.min_area == 10
    assert chosen.curves.region_choice.chosen_f1 == 1
    assert not trainer.notes
    few = chosen_thresholds(settings_type(), trainer, partial(images, 2), max_threshold=1.0)
    assert few.thresholds.start == few.thresholds.grow == few.curves.threshold_sweep.best
    assert few.curves.region_choice is None
    assert len(trainer.notes) == 1 and trainer.notes[0].startswith("2 validation defects are too few")


@pytest.mark.parametrize("criterion", ["pixel-f1", "mean-iou"])
def test_other_criteria_choose_a_single_threshold(criterion: str) -> None:
    settings = SeveritySettings(threshold_criterion=criterion, min_area=7)
    chosen = chosen_thresholds(settings, Trying(), partial(images, 6), max_threshold=1.0)
    assert chosen.thresholds == RegionThresholds(
        chosen.curves.threshold_sweep.best, chosen.curves.threshold_sweep.best, 7
    )
    assert chosen.curves.threshold_sweep.criterion == criterion
    assert chosen.curves.region_choice is None


def test_what_is_set_is_taken_as_it_is() -> None:
    settings = CasaeSettings(threshold=0.3, start_threshold=0.8, min_area=5)
    chosen = chosen_thresholds(settings, Trying(), partial(images, 6), max_threshold=1.0)
    assert chosen.thresholds == RegionThresholds(0.3, 0.8, 5)
    alone = chosen_thresholds(CasaeSettings(threshold=0.3), Trying(), partial(images, 6), max_threshold=1.0)
    assert alone.thresholds == RegionThresholds(0.3, 0.3, 0)


def test_papers_keep_their_criterion() -> None:
    assert SeveritySettings(preset="paper").threshold_criterion == "mean-iou"
    assert CasaeSettings(preset="paper").threshold_criterion == "pixel-f1"
    assert SeveritySettings().threshold_criterion == CasaeSettings().threshold_criterion == "region-f1"


def test_a_manifest_gives_them_back_and_an_older_one_has_none() -> None:
    settings = SeveritySettings(min_area=5)
    kept = stored("severity", RegionThresholds(3.0, 7.0, 16.0), settings)
    assert kept == {"severity": 3.0, "start": 7.0, "min_area": 16.0}
    assert stored("severity", RegionThresholds(3.0, 3.0, 5.0), settings) == {"severity": 3.0}
    assert region_thresholds(kept) == {"start_threshold": 7.0, "min_area": 16.0}
    assert region_thresholds({"severity": 3.0, "drop_above": 0.5}) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start_threshold": 0.8}, "start_threshold must be given with threshold. Received: 0.8 alone."),
        ({"start_threshold": 0.2, "threshold": 0.4}, "start_threshold must be at least threshold=0.4"),
    ],
)
@pytest.mark.parametrize("settings_type", [SeveritySettings, CasaeSettings])
def test_a_start_below_what_it_grows_to_is_refused(settings_type, given, message) -> None:
    with pytest.raises(ValidationError, match=message.replace(".", r"\.")):
        settings_type(**given)
