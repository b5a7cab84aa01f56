"""Random weights behind the forward path, timed whole, by parts, and by what follows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from benchmarks.tables import random_models
from benchmarks.tables.experiment import CHECKOUT
from benchmarks.tables.fill import refuse_stale
from benchmarks.tables.kinds import speed
from benchmarks.tables.kinds.speed import (
    FORMER_KINDS,
    BlockSpeedSettings,
    ImageSpeedSettings,
    MapSpeedSettings,
    Speed,
    blobs,
    block_batches,
    block_count,
    measured_blocks,
    measured_image,
    measured_map,
)
from benchmarks.tables.random_models import WITHOUT_PRESET, random_inspector
from benchmarks.tables.results import read_results
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import open_table
from benchmarks.tables.timing import measured_apart, random_image, timed_runs
from blemish.errors import BlemishError
from blemish.images.tiling import planes
from blemish.inspection import Verdict
from blemish.inspector.inspector import BundleInspector
from blemish.progress import Reporter


def test_block_count_covers_the_image_at_the_step() -> None:
    assert block_count((256, 256), 64) == 1
    assert block_count((512, 256), 256) == 2
    assert block_count((513, 256), 256) == 3
    assert block_count((12800, 8192), 256) == 50 * 32
    assert block_count((12800, 8192), 64) == 197 * 125


def test_blocks_cover_the_image_in_batches() -> None:
    image = (np.arange(300 * 520).reshape(300, 520) % 251 + 1).astype(np.uint8)
    batches = list(block_batches(image, BlockSpeedSettings(measure="blocks", step=256, batch=4)))
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
    figures = measured_blocks(BlockSpeedSettings(measure="batch", batch=2, repeats=1), "cpu")
    timed = figures["gray-4"]["fp32"]
    assert timed["ms"] > 0
    assert timed["ms_per_block"] == pytest.approx(timed["ms"] / 2)


def test_a_part_is_scaled_by_its_blocks_and_says_so() -> None:
    settings = BlockSpeedSettings(measure="blocks", step=256, size=(1024, 512), part=256, images=7)
    timed = measured_blocks(settings, "cpu")["gray-4"]["fp32"]
    assert timed["measured"] == "256×256 part, × 8 by number of blocks"
    assert timed["seconds_all"] == pytest.approx(7 * timed["seconds"])


def test_a_tiled_image_is_measured_in_a_process_of_its_own() -> None:
    held = np.ones(900 << 20, np.uint8)  # of this process; must not count in the other one's peak
    settings = BlockSpeedSettings(measure="tiled", size=(256, 256), images=2)
    timed = measured_apart("speed", settings.model_dump(mode="json"), "cpu")["gray-4"]["fp32"]
    assert timed["measured"] == "1 of 2, × 2"
    assert timed["seconds_all"] == pytest.approx(2 * timed["seconds"])
    assert 100 < timed["peak_mib"] < held.nbytes / 2**20


def test_unknown_configurations_are_refused() -> None:
    with pytest.raises(ValidationError, match="colour-2"):
        BlockSpeedSettings.model_validate({"measure": "batch", "configurations": ["gray-3"]})


# Whole images

METHODS: dict[str, dict[str, Any]] = {
    "severity": {"channels": 1},
    "casae": {"preset": "tiny"},
    "medetection": {"preset": "tiny"},
    "tlsdd": {"preset": "tiny"},
}


def of_image(method: str, **changes: Any) -> ImageSpeedSettings:
    fields = {"measure": "image", "method": method, "size": [64, 96], "settings": METHODS[method]}
    return ImageSpeedSettings.model_validate({**fields, "repeats": 2, "seconds": 1, **changes})


def inspector_for(
    method: str, *, bfloat16: bool = False, classes: int = 1, **settings: Any
) -> BundleInspector:
    chosen = {**METHODS[method], **settings}
    return random_inspector(method, chosen, classes=classes, device="cpu", bfloat16=bfloat16)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_figures_are_of_one_image(method: str) -> None:
    timed = measured_image(of_image(method), "cpu")["fp32"]
    assert timed["images_per_second"] == pytest.approx(1 / timed["seconds"])
    assert timed["ms"] == pytest.approx(1000 * timed["seconds"])
    assert 1 <= timed["runs"] <= 2


def test_the_box_of_medetection_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[int] = []

    def judge(inspector: BundleInspector, image: NDArray[np.uint8], *, clean: bool) -> None:
        assert not clean
        found.append(len(replace(inspector, limited=False).judge(image, "noise").defects))

    monkeypatch.setattr(speed, "judge", judge)
    measured_image(of_image("medetection"), "cpu")
    assert found
    assert set(found) == {1}


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("cascade", [False, True])
def test_the_networks_run_and_nothing_is_found(tiled: bool, cascade: bool) -> None:
    inspection = inspector_for("casae", tiled=tiled, cascade=cascade).judge(
        random_image((60, 80), 1), "noise"
    )
    assert inspection.verdict is Verdict.OK
    assert inspection.defects == ()
    assert inspection.score is not None
    assert 0.2 < inspection.score < 0.8  # of random weights: the map was computed


def test_time_with_defects_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(random_models.THRESHOLDS, "casae", {"probability": 0.001})  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match="without a defect"):
        measured_image(of_image("casae"), "cpu")


def test_the_precision_is_the_one_asked_for() -> None:
    image = planes(random_image((64, 64), 1))[None]
    single, half = (
        inspector_for("casae", bfloat16=bfloat16).networks["cascade"](image) for bfloat16 in (False, True)
    )
    assert (single != half).any()
    assert single == pytest.approx(half, abs=0.02)


@pytest.mark.parametrize("proposals", ["shared", "per_class"])
def test_a_detector_has_the_classes_and_proposals_that_are_timed(proposals: str) -> None:
    inspector = inspector_for("tlsdd", classes=3, proposals=proposals)
    raw = inspector.inference.forward(random_image((64, 64), 3), inspector.networks)
    assert raw.shape[1] == 4 + 3
    assert 0 < len(raw) <= 50  # the preset's budget of proposals


@pytest.mark.parametrize("align", ["none", "rigid", "nearest"])
def test_an_image_is_compared_with_as_many_references_as_are_set(align: str) -> None:
    inspector = inspector_for("medetection", align=align, references=3)
    image = random_image((60, 80), 3)
    assert len(inspector.inference.forward(image, inspector.networks)) == 3
    assert inspector.judge(image, "noise").verdict is not Verdict.ERROR


def test_an_image_is_measured_in_a_process_of_its_own() -> None:
    figures = measured_apart("speed", of_image("tlsdd", classes=3).model_dump(mode="json"), "cpu")
    assert figures["fp32"]["peak_mib"] > 100
    with pytest.raises(BlemishError, match="the measuring process failed"):
        measured_apart("speed", {"measure": "image", "method": "none"}, "cpu")


def test_settings_are_checked() -> None:
    with pytest.raises(ValidationError, match="width"):
        inspector_for("casae", width=0)
    with pytest.raises(ValidationError, match="side"):
        of_image("medetection", side=64)
    assert WITHOUT_PRESET["casae"]["width"] == 32  # the tables' default


# What follows a network


def of_map(**changes: Any) -> MapSpeedSettings:
    fields = {"measure": "map", "size": [120, 160], "defects": 5, "sides": [12, 20], "repeats": 2}
    return MapSpeedSettings.model_validate({**fields, "seconds": 1, **changes})


@pytest.mark.parametrize("count", [1, 12])
def test_every_blob_is_a_hill_that_reaches_the_threshold(count: int) -> None:
    values = blobs((400, 500), count, (10, 30))
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (0, 1)
    found = ndimage.label(values >= 0.5, np.ones((3, 3)))[1]
    assert 0.7 * count <= found <= 2 * count


@pytest.mark.parametrize(("method", "cell"), [("severity", 4), ("severity", 1), ("casae", 1)])
def test_both_parts_are_timed_with_defects(method: str, cell: int) -> None:
    figures = measured_map(of_map(method=method, cell=cell))
    assert 1 <= figures["defects"] <= 8
    assert figures["decide"]["seconds"] > 0
    assert figures["seconds"] == figures["decide"]["seconds"] + figures["draw"]["seconds"]


def test_a_map_is_measured_on_the_processor_alone() -> None:
    row = TableRow(name="map", kind="speed", settings=of_map().model_dump(mode="json"))
    assert row.traits.devices(row) == ("cpu",)
    assert Speed().measured_here(of_map().model_dump(mode="json"), "cpu")["peak_mib"] > 50


# Rows stored under the names of former kinds


@pytest.mark.parametrize("name", ["casae-speed", "tl-sdd-speed", "medetection-speed", "map-speed"])
def test_rows_of_former_kinds_still_say_what_they_were_measured_with(name: str) -> None:
    table = open_table(name, CHECKOUT / "experiments" / "results", data=None, reporter=Reporter(quiet=True))
    stored = [result for result in read_results(table.folder) if result.kind in FORMER_KINDS]
    assert stored
    refuse_stale(table)
    for result in stored:
        row = table.experiment.row(result.row)
        now = row.traits.settings(table, row)
        assert row.traits.upgraded(table, row, result) == now
        other = result.model_copy(update={"settings": {**result.settings, "repeats": 1000}})
        assert row.traits.upgraded(table, row, other) != now
