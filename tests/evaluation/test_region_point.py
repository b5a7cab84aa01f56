"""Operating points of regions: counted as an evaluation counts, chosen with care where defects are few."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.bundle.curves import StoredRegionChoice
from blemish.dataset.samples import Annotation, Sample
from blemish.evaluation.defects import MATCH_IOU
from blemish.evaluation.matching import iou_matrix, match
from blemish.evaluation.region_point import RegionSweep, levels_up_to, one_standard_error
from blemish.evaluation.truth import with_places
from blemish.regions.measure import bounding_box
from blemish.regions.region import Region, numbered, regions_above

SIZE = (48, 60)
LEVELS = (0.2, 0.4, 0.6, 0.8)
AREAS = (0.0, 4.0, 16.0)


def sample(*boxes: tuple[int, int, int, int]) -> Sample:
    """A sample with a filled rectangle as the polygon of each defect."""
    polygons = [((x1, y1), (x2, y1), (x2, y2), (x1, y2)) for x1, y1, x2, y2 in boxes]
    marks = [Annotation("a", polygons=(polygon,)) for polygon in polygons]
    return Sample(Path("a.png"), "a.png", tuple(marks))


def random_map(seed: int, boxes: tuple[tuple[int, int, int, int], ...]) -> NDArray[np.float32]:
    """Specks everywhere, and something uneven on each defect."""
    generator = np.random.default_rng(seed)
    values = (generator.random(SIZE) ** 6).astype(np.float32)
    for x1, y1, x2, y2 in boxes:
        values[y1:y2, x1:x2] += generator.uniform(0.2, 0.7)
    return np.clip(values, 0, 1)


def grown(values: NDArray[np.float32], level: float) -> list[Region]:
    return list(regions_above(values, level, join_distance=0.0))


def filled(images: int = 6) -> tuple[RegionSweep, list[tuple[Sample, NDArray[np.float32]]]]:
    generator = np.random.default_rng(1)
    sweep, pairs = RegionSweep(LEVELS, AREAS), []
    for seed in range(images):
        corners = generator.integers(0, 30, (seed % 3, 2))
        boxes = tuple((int(x), int(y), int(x) + 9, int(y) + 6) for x, y in corners)
        values = random_map(seed, boxes)
        pairs.append((sample(*boxes), values))
        sweep.add(pairs[-1][0], SIZE, partial(grown, values))
    return sweep, pairs


def test_the_surface_is_that_of_regions_found_anew_at_each_point() -> None:
    sweep, pairs = filled()
    choice = sweep.choose()
    for low, grow in enumerate(LEVELS):
        for number, area in enumerate(AREAS):
            for high, start in enumerate(LEVELS):
                if start < grow:
                    assert np.isnan(choice.f1[low, number, high])
                    continue
                right = both = 0
                for annotated, values in pairs:
                    truth = with_places(annotated, SIZE)[1]
                    found = list(
                        regions_above(values, grow, join_distance=0.0, start_threshold=start, min_area=area)
                    )
                    boxes = [bounding_box(each.runs, offset_xy=each.offset_xy) for each in found]
                    overlap = iou_matrix(truth, boxes, numbered(found, SIZE))
                    pairs_found = match(overlap, [each.strongest for each in found], threshold=MATCH_IOU)
                    right += 2 * len(pairs_found)
                    both += len(truth) + len(found)
                assert choice.f1[low, number, high] == pytest.approx(right / both)


def test_a_choice_is_stored_with_its_surface() -> None:
    choice = filled()[0].choose()
    stored = StoredRegionChoice.model_validate(choice.to_json())
    low, high = LEVELS.index(stored.grow), LEVELS.index(stored.start)
    assert stored.f1[low][high] == stored.f1_of_areas[AREAS.index(stored.min_area)] == stored.chosen_f1
    assert stored.best_f1 - stored.chosen_f1 <= stored.standard_error + 1e-12
    assert (stored.images, stored.clean_images, stored.defects) == (6, 2, 6)
    assert not choice.notes


def test_specks_far_stronger_than_what_is_beside_a_defect_are_left_out() -> None:
    """Defects have a strong core and a weak rim; specks are weak, and strong ones are small."""
    sweep = RegionSweep(levels_up_to(1.0))
    for seed in range(12):
        values = np.zeros(SIZE, np.float32)
        generator = np.random.default_rng(seed)
        for x, y in generator.integers(1, 40, (8, 2)):
            values[y : y + 2, x : x + 3] = 0.55
        boxes = ((5, 5, 17, 15),) if seed % 2 else ()
        for x1, y1, x2, y2 in boxes:
            values[y1 - 2 : y2 + 2, x1 - 2 : x2 + 2] = 0
            values[y1:y2, x1:x2] = 0.45
            values[y1 + 4, x1 + 4] = 0.96
        sweep.add(sample(*boxes), SIZE, partial(grown, values))
    choice = sweep.choose()
    assert choice.best_f1 == 1
    thresholds = choice.thresholds
    assert thresholds.grow <= 0.45
    assert thresholds.start > 0.55 or thresholds.min_area > 6


def test_a_point_that_is_better_by_chance_gives_way_to_the_preferred_one() -> None:
    f1 = np.full((2, 1, 2), np.nan)
    f1[0, 0, 0], f1[0, 0, 1], f1[1, 0, 1] = 0.5, 0.52, 0.3
    influence = np.zeros((10, 2, 1, 2))
    influence[:, 0, 0, 1] = np.tile([0.02, -0.02], 5)
    preferred = np.array([[[0.9, 0.1]], [[1.0, 1.0]]])
    index, error = one_standard_error(f1, influence, preferred)
    assert index == (0, 0, 0)
    assert error == pytest.approx(np.sqrt(10 * 0.02**2 * 10 / 9))
    assert one_standard_error(f1, 0.1 * influence, preferred)[0] == (0, 0, 1)


def test_a_map_without_a_value_is_chosen_on_and_stored_all_the_same() -> None:
    """Nothing is found anywhere; areas beyond a quarter of the defects are no part of the grid."""
    sweep = RegionSweep(levels_up_to(1.0))
    for _ in range(6):
        sweep.add(sample((5, 5, 10, 9)), SIZE, partial(grown, np.zeros(SIZE, np.float32)))
    choice = sweep.choose()
    assert choice.areas == (0, 4, 16)
    stored = StoredRegionChoice.model_validate(choice.to_json())
    assert stored.best_f1 == stored.standard_error == 0 and set(stored.f1_of_areas) == {0}
    assert sweep.no_choice.startswith("No threshold finds a validation defect")


def test_what_cannot_be_known_is_said() -> None:
    sweep = RegionSweep(LEVELS, AREAS)
    for seed in range(4):
        boxes = ((5, 5, 17, 15),)
        sweep.add(sample(*boxes), SIZE, partial(grown, random_map(seed, boxes)))
    assert sweep.no_choice.startswith("4 validation defects are too few")
    assert "good images" in sweep.choose().notes[0]
    boxes = ((5, 5, 17, 15),)
    sweep.add(sample(*boxes), SIZE, partial(grown, 0.5 * sum(random_map(9, boxes) for _ in range(2))))
    assert sweep.no_choice == ""
