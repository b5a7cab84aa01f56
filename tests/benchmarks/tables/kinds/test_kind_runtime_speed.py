from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from benchmarks.tables.experiment import read_experiment
from benchmarks.tables.kinds.runtime_speed import (
    RuntimeSpeed,
    RuntimeSpeedSettings,
    figures,
    new_inspector,
    tiled_surface,
)
from benchmarks.tables.random_models import THRESHOLDS
from benchmarks.tables.schema import TableRow
from benchmarks.tables.timing import measured_apart
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import synthesise
from blemish.images.decode import read_image
from blemish.inspection import Verdict

TINY: dict[str, dict[str, Any]] = {
    "severity": {"types": False, "channels": 1, "cell": 4},
    "casae": {"preset": "tiny", "types": False},
    "medetection": {"preset": "tiny"},
    "tlsdd": {"preset": "tiny"},
}


def settings(method: str = "casae", **changes: Any) -> RuntimeSpeedSettings:
    fields = {"method": method, "runtime": "eager", "size": [64, 96], "repeats": 3, "seconds": 1}
    return RuntimeSpeedSettings.model_validate({"settings": TINY[method], **fields, **changes})


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return synthesise(tmp_path_factory.mktemp("drawn") / "set", images=6, seed=0, size=(96, 96))


@pytest.mark.usefixtures("graphs_once")
@pytest.mark.parametrize("method", sorted(TINY))
@pytest.mark.parametrize("runtime", ["channels-last", "onnx", "openvino"])
def test_every_runtime_gives_the_answer_of_eager_torch(
    method: str, runtime: str, surfaces: Dataset, tmp_path: Path
) -> None:
    """Of random weights that are the same, with thresholds that are not reached."""
    pixels = read_image(surfaces.samples[0].image, channels=3 if method in ("medetection", "tlsdd") else 1)
    answers = []
    for number, name in enumerate(("eager", runtime)):
        (folder := tmp_path / str(number)).mkdir()
        inspector = new_inspector(settings(method, runtime=name), "cpu", surfaces, folder)
        answers.append(inspector.judge(pixels, "surface"))
    assert answers[0].score == pytest.approx(answers[1].score, abs=1e-3)
    assert [answer.verdict for answer in answers] == [Verdict.OK, Verdict.OK]


@pytest.mark.usefixtures("graphs_once")
def test_int8_is_another_network(surfaces: Dataset, tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((1, 1, 64, 64), dtype=np.float32)
    outputs = []
    for precision in ("fp32", "int8"):
        (folder := tmp_path / precision).mkdir()
        chosen = settings("severity", runtime="openvino", precision=precision)
        outputs.append(new_inspector(chosen, "cpu", surfaces, folder).networks["severity"](image))
    assert not np.allclose(outputs[0], outputs[1], atol=1e-5)
    assert np.corrcoef(outputs[0].ravel(), outputs[1].ravel())[0, 1] > 0.85, "without VNNI, sums saturate"


def test_percentiles_megapixels_and_shares_by_hand() -> None:
    runs = [{"whole": 10.0 * n, "decode": 4.0, "network": 5.0 * n, "decide": 1.0} for n in range(1, 6)]
    found = figures(runs, (1000, 3000))
    assert found["from_file"]["p50"] == 30
    assert found["from_file"]["p99"] == pytest.approx(49.6)
    assert found["from_file"]["mpx_per_s"] == pytest.approx(100)
    assert found["from_pixels"]["p50"] == 26
    assert found["from_pixels"]["seconds"] == pytest.approx(0.026)
    assert found["shares"] == pytest.approx({"decode": 4 / 30, "network": 0.5, "decide": 1 / 30})
    assert found["runs"] == 5


def test_the_picture_has_the_size_asked_for(surfaces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.tables.kinds.runtime_speed.PIECE", 96)
    assert tiled_surface(surfaces, (200, 100), 1).shape == (200, 100)
    colour = tiled_surface(surfaces, (50, 200), 3)
    assert colour.shape == (50, 200, 3)
    np.testing.assert_array_equal(colour[:, :96], colour[:, 96:192])


def test_the_probe_times_a_row_and_blocks_are_of_severity() -> None:
    one_run = settings(
        repeats=1
    )  # steps of several runs have medians of different runs, whose sum can be more
    found = measured_apart("runtime-speed", one_run.model_dump(mode="json"), "cpu")
    assert found["runs"] == 1
    assert found["from_file"]["p50"] > found["from_pixels"]["p50"] > 0
    assert min(found["shares"].values()) > 0
    assert sum(found["shares"].values()) <= 1
    assert found["version"].startswith("torch ")
    chosen = settings("severity", runtime="blocks", step=256, size=[256, 512], settings={"cell": 4})
    by_blocks = RuntimeSpeed().measured_here(chosen.model_dump(mode="json"), "cpu")
    assert by_blocks["measured"] == "whole"
    assert by_blocks["from_pixels"]["mpx_per_s"] == pytest.approx(
        256 * 512 / 1e6 / by_blocks["from_pixels"]["seconds"]
    )


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"runtime": "onnx", "precision": "bf16"}, "runtime onnx has no precision bf16"),
        ({"runtime": "eager", "precision": "int8"}, "runtime eager has no precision int8"),
        ({"runtime": "torchvision"}, "runtime torchvision is for method tlsdd alone"),
        ({"runtime": "blocks"}, "runtime blocks is for method severity alone"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError, match=line):
        settings(**changes)


def test_an_exported_bundle_is_timed_on_the_processor_alone() -> None:
    rows = {row.name: row for row in read_experiment("runtime-speed").rows}
    devices = {name: row.traits.devices(row) for name, row in rows.items()}
    assert devices["casae-openvino"] == ("cpu",)
    assert devices["casae-cuda-graphs"] == ("cuda",)
    assert devices["casae-eager"] == ("cpu", "cuda")
    other = TableRow(name="other", kind="speed", settings={"measure": "batch"})
    assert other.traits.devices(other) == ("cpu", "cuda")
    assert {RuntimeSpeedSettings.model_validate(row.settings).method for row in rows.values()} == set(
        THRESHOLDS
    )
