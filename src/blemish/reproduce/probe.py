"""The fresh process of a speed row: `python -m blemish.reproduce.probe REQUEST`.

REQUEST is JSON: {"kind": …, "settings": …, "device": …}. Prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from blemish.reproduce.cascade_speed import CascadeSpeedSettings, measure_cascade
from blemish.reproduce.detector_speed import DetectorSpeedSettings, measure_detector
from blemish.reproduce.map_speed import MapSpeedSettings, measure_maps
from blemish.reproduce.pair_speed import PairSpeedSettings, measure_pairs
from blemish.reproduce.runtime_speed import RuntimeSpeedSettings, measure_runtime
from blemish.reproduce.speed import SpeedSettings, measure_here


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
