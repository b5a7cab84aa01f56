"""A training with every lever of the metric head: what learns in which phase, and a bundle that inspects."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.bundle import load_bundle
from blemish.errors import BlemishError
from blemish.inspector.loading import open_inspector
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.training.fitting import named_parts
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train
from tests.methods.tlsdd.conftest import tiny

LEVERS = {
    "log_scale": True, "centred": True, "background_init": "k-means", "prototype_offsets": True,
    "linear_head": True, "frozen": ("extractor", "region_head.fc6"),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(surfaces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("levers") / "run"
    train(Request(METHOD, surfaces, tiny(**LEVERS), folder), Reporter(quiet=True))
    return folder


def test_offsets_and_biases_are_zero_until_phase_two(run):
    base, fine = (load_bundle(run / name).networks for name in ("base", "bundle"))
    names = ("scores.offsets", "scores.biases", "scores.background_bias")
    for name in names:
        assert not base["detector"][name].any() and fine["detector"][name].any(), name
    assert not base["bank"]["biases"].any()
    np.testing.assert_array_equal(fine["bank"]["biases"], fine["detector"]["scores.biases"])
    np.testing.assert_allclose(np.linalg.norm(fine["bank"]["prototypes"], axis=1), 1, atol=1e-5)


def test_phase_two_leaves_a_frozen_layer_and_moves_the_rest(run):
    base, fine = (load_bundle(run / name).networks["detector"] for name in ("base", "bundle"))
    for name in ("weight", "bias"):
        np.testing.assert_array_equal(
            fine[f"region_head.fc6.{name}"], base[f"region_head.fc6.{name}"], err_msg=name
        )
    for name in ("region_head.fc7.weight", "embedding.mean", "scores.raw_scale", "scores.points"):
        assert np.abs(fine[name] - base[name]).max() > 0, name
    assert base["scores.started"] and base["embedding.mean"].any()
    rows = base["linear_head.linear.weight"]
    assert len(rows) == 3 and len(fine["linear_head.linear.weight"]) == 4


def test_the_bundle_inspects(run, surfaces):
    inspector = open_inspector(run / "bundle", device="cpu")
    found = inspector.inspect(surfaces.samples[0].image)
    assert np.isfinite([each.confidence for each in found.candidates]).all()


def test_parts_are_named_with_those_that_they_lie_in():
    detector = Detector(tiny(), 3)
    assert named_parts(detector, ["region_head.fc6"]) == [detector.region_head.fc6]
    for name in ("region_head.fc8", ""):
        with pytest.raises(BlemishError, match=f"the detector has no part '{name}'"):
            named_parts(detector, [name])
