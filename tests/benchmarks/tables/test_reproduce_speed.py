from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.tables.speed import (
    SpeedSettings,
    block_batches,
    block_count,
    measure_apart,
    measure_here,
    timed_runs,
)


def test_block_count_covers_the_image_at_the_step() -> None:
    assert block_count((256, 256), 64) == 1
    assert block_count((512, 256), 256) == 2
    assert block_count((513, 256), 256) == 3
    assert block_count((12800, 8192), 256) == 50 * 32
    assert block_count((12800, 8192), 64) == 197 * 125


def test_blocks_cover_the_image_in_batches() -> None:
    image = (np.arange(300 * 520).reshape(300, 520) % 251 + 1).astype(np.uint8)
    batches = list(block_batches(image, SpeedSettings(measure="blocks", step=256, batch=4)))
    assert [batch.shape for batch in batches] == [(4, 1, 256, 256), (2, 1, 256, 256)]
    assert batches[0].dtype == np.float32
    for block, (top, left) in zip(
        np.concatenate(batches), [(t, x) for t in (0, 44) for x in (0, 256, 264)], strict=True
    ):
        assert np.array_equal(np.rint(block[0] * 255), image[top : top + 256, left : left + 256])


def test_runs_stop_at_the_number_or_the_time() -> None:
    calls: list[int] = []
    assert len(timed_runs(lambda: calls.append(1), repeats=3, seconds=60)) == 3
    assert len(calls) == 4
    assert len(timed_runs(lambda: calls.append(1), repeats=10**9, seconds=1e-9)) == 1


def test_batch_and_block_agree() -> None:
    figures = measure_here(SpeedSettings(measure="batch", batch=2, repeats=1), "cpu")
    timed = figures["gray-4"]["fp32"]
    assert timed["ms"] > 0
    assert timed["ms_per_block"] == pytest.approx(timed["ms"] / 2)


def test_a_part_is_scaled_by_its_blocks_and_says_so() -> None:
    settings = SpeedSettings(measure="blocks", step=256, size=(1024, 512), part=256, images=7)
    timed = measure_here(settings, "cpu")["gray-4"]["fp32"]
    assert timed["measured"] == "256×256 part, × 8 by number of blocks"
    assert timed["seconds_all"] == pytest.approx(7 * timed["seconds"])


def test_a_tiled_image_is_measured_in_a_process_of_its_own() -> None:
    held = np.ones(900 << 20, np.uint8)  # of this process; must not count in the other one's peak
    settings = SpeedSettings(measure="tiled", size=(256, 256), images=2)
    timed = measure_apart("speed", settings, "cpu")["gray-4"]["fp32"]
    assert timed["measured"] == "1 of 2, × 2"
    assert timed["seconds_all"] == pytest.approx(2 * timed["seconds"])
    assert 100 < timed["peak_mib"] < held.nbytes / 2**20


def test_unknown_configurations_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour-2"):
        SpeedSettings(measure="batch", configurations=("gray-3",))
