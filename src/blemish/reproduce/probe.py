"""The fresh process of a speed row: `python -m blemish.reproduce.probe '{"settings": …, "device": …}'`.

Prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import sys

from blemish.reproduce.speed import SpeedSettings, measure_here

if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    print(json.dumps(measure_here(SpeedSettings.model_validate(request["settings"]), request["device"])))
