"""Thresholds of single classes: in inspection by torch and by graphs, in a decision, and in words."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.inspector.torch_backend import as_networks
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.export import plans
from blemish.methods.tlsdd.runtime.inference import shifted
from blemish.methods.tlsdd.training.validation import own_threshold_sentences
from tests.methods.tlsdd.graphs import eager, lively

NAMES = ("scratch", "spot", "pit")
SHIFTS = {"scratch": 1.5, "spot": -2.0}


def described(detector, shifts) -> Manifest:
    return Manifest(
        method="tlsdd",
        class_names=NAMES,
        preprocessing=Preprocessing(channels=3),
        thresholds={"score": 0.4},
        settings={**detector.settings.model_dump(mode="json"), "score_floor": 0.001},
        memory={"class_shifts": shifts},
    )


@pytest.fixture(scope="module")
def backends():
    """A detector's network by torch and by graphs, both for `Inference`."""
    detector, bank = lively()
    graphs = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    by_graphs = METHOD.served(graphs, {"bank": bank.to_bank().tensors()}, described(detector, {}))
    return detector, {"torch": as_networks({"detector": detector}, device="cpu"), "graphs": by_graphs}


@pytest.mark.parametrize("backend", ["torch", "graphs"])
def test_confidences_of_both_backends_are_moved_by_class(backends, backend):
    detector, networks = backends
    pixels = np.random.default_rng(0).integers(0, 255, (96, 130, 3), np.uint8)
    found = {}
    for shifts in ({}, SHIFTS):
        inference = METHOD.inference(described(detector, shifts))
        raw = inference.forward(pixels, networks[backend])
        found[bool(shifts)] = inference.decide(raw, pixels, networks[backend], with_maps=False)
    assert len(found[False].candidates) > 20
    for name in NAMES:
        before, after = (
            np.array([each.confidence for each in found[moved].candidates if each.label == name])
            for moved in (False, True)
        )
        shared = min(len(before), len(after))  # how many there are depends on the other classes
        expected = shifted(before.astype(np.float32), np.full(len(before), SHIFTS.get(name, 0.0)))
        np.testing.assert_allclose(after[:shared], expected[:shared], rtol=1e-5)
    moved = found[True]
    assert moved.score == max(each.confidence for each in moved.candidates)
    assert [each for each in moved.candidates if each.confidence >= 0.4] == list(moved.defects)
    assert len(moved.defects) != len(found[False].defects)


def test_a_class_counts_from_its_own_threshold_on():
    """A shift is that by which the class's own threshold becomes the shared one."""
    (sentence,) = own_threshold_sentences(SHIFTS, 0.4)
    own = {"scratch": 0.4 / (0.4 + 0.6 * np.exp(1.5)), "spot": 0.4 / (0.4 + 0.6 * np.exp(-2.0))}
    assert sentence.startswith(
        f"Thresholds of their own, from the validation images: scratch {own['scratch']:.2f}, "
        f"spot {own['spot']:.2f}; others 0.40."
    )
    moved = shifted(np.array([*own.values()], np.float32), np.array([*SHIFTS.values()]))
    np.testing.assert_allclose(moved, 0.4, rtol=1e-5)
    assert own_threshold_sentences({}, 0.4) == []
