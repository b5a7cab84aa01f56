"""The fresh process of a speed row: `python -m benchmarks.tables.probe REQUEST`.

REQUEST is JSON: {"kind": …, "settings": …, "device": …}. Prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from benchmarks.tables.cascade_speed import CascadeSpeedSettings, measure_cascade
from benchmarks.tables.detector_speed import DetectorSpeedSettings, measure_detector
from benchmarks.tables.map_speed import MapSpeedSettings, measure_maps
from benchmarks.tables.pair_speed import PairSpeedSettings, measure_pairs
from benchmarks.tables.runtime_speed import RuntimeSpeedSettings, measure_runtime
from benchmarks.tables.speed import SpeedSettings, measure_here


def measured(kind: str, settings: dict[str, Any], device: str) -> dict[str, Any]:
    match kind:
        case "cascade-speed":
            return measure_cascade(CascadeSpeedSettings.model_validate(settings), device)
        case "detector-speed":
            return measure_detector(DetectorSpeedSettings.model_validate(settings), device)
        case "map-speed":
            return measure_maps(MapSpeedSettings.model_validate(settings))
        case "pair-speed":
            return measure_pairs(PairSpeedSettings.model_validate(settings), device)
        case "runtime-speed":
            return measure_runtime(RuntimeSpeedSettings.model_validate(settings), device)
        case _:
            return measure_here(SpeedSettings.model_validate(settings), device)


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))
