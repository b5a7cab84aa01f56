"""Memory must not grow with the image beyond the image and its map."""

from __future__ import annotations

import os
import subprocess
import sys

INSPECT = """
import resource, sys
import numpy as np, torch
from blemish.inspector.torch_backend import as_network
from blemish.methods.severity.inference import inference_from
from blemish.methods.severity.network import SeverityNetwork
from blemish.methods.severity.settings import SeveritySettings
from blemish.nn.runtime import prepare_runtime

prepare_runtime(1)
torch.manual_seed(0)
networks = {"severity": as_network(SeverityNetwork(1, 4), device="cpu", bfloat16=False)}
settings = SeveritySettings(types=False, cell=4, loss="paper", context=1)
half = inference_from(settings, ("a",), threshold=6.0, drop_above=0.5)
for height in (3200, 6400):
    pixels = np.full((height, 2048), 100, np.uint8)
    half.decide(half.forward(pixels, networks), pixels, networks, with_maps=False)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_twice_the_height_takes_no_more_than_the_image_and_its_map() -> None:
    """One activation of the whole image, 16 channels at full size, would be 420 MB more."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", INSPECT], env=environment, capture_output=True, text=True, check=True
    )
    small, large = (int(line) * 1024 for line in done.stdout.split())
    more_pixels = 3200 * 2048
    image_and_map = more_pixels + 4 * more_pixels // 16
    heap_step = 64 << 20  # the heap grows by so much at a time, see nn.runtime
    assert large - small < 2 * image_and_map + heap_step
