from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.tables.map_speed import MapSpeedSettings, blobs, measure_maps
from benchmarks.tables.probe import measured


def settings(**changes: Any) -> MapSpeedSettings:
    fields = {"size": [120, 160], "defects": 5, "sides": [12, 20], "repeats": 2, "seconds": 1}
    return MapSpeedSettings.model_validate({**fields, **changes})


@pytest.mark.parametrize("count", [1, 12])
def test_every_blob_is_a_hill_that_reaches_the_threshold(count: int) -> None:
    values = blobs((400, 500), count, (10, 30))
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (0, 1)
    found = ndimage.label(values >= 0.5, np.ones((3, 3)))[1]
    assert 0.7 * count <= found <= 2 * count


@pytest.mark.parametrize(("method", "cell"), [("severity", 4), ("severity", 1), ("casae", 1)])
def test_both_parts_are_timed_with_defects(method: str, cell: int) -> None:
    figures = measure_maps(settings(method=method, cell=cell))
    assert 1 <= figures["defects"] <= 8
    assert figures["decide"]["seconds"] > 0
    assert figures["seconds"] == figures["decide"]["seconds"] + figures["draw"]["seconds"]


def test_the_probe_knows_the_kind() -> None:
    assert measured("map-speed", settings().model_dump(mode="json"), "cpu")["peak_mib"] > 50
