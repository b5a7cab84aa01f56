"""Rows tuned on the regions of their examples' images: least squares, and classes that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.methods.capabilities import Exported, Negative
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.class_bank.closed_form import RIDGE, Moments, with_one
from blemish.methods.tlsdd.class_bank.editing import without_class
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, EnrolledClasses
from blemish.methods.tlsdd.class_bank.regions import ExampleRegions
from blemish.methods.tlsdd.class_bank.tuned_rows import tuned_row
from blemish.methods.tlsdd.export import plans
from blemish.methods.tlsdd.network.torch_parts import TorchParts
from tests.methods.tlsdd.class_bank.test_adding_exported import examples
from tests.methods.tlsdd.class_bank.test_adding_rows import (
    described,
    grown_manifest,
    modules,
    tensors_without_classes,
)
from tests.methods.tlsdd.graphs import eager, lively

FEATURES = 6


def some_regions(seed, count):
    generator = np.random.default_rng(seed)
    features, iou = generator.random((count, FEATURES), np.float32), generator.random(count, np.float32)
    return ExampleRegions(features, iou, generator.normal(size=(count, 4)).astype(np.float32))


BEHIND = np.random.default_rng(7).random((50, FEATURES), np.float32)
BACKGROUND = (with_one(BEHIND).T @ with_one(BEHIND) / 50).astype(np.float32)
PENALTY = np.sqrt(RIDGE * np.square(BEHIND.astype(np.float64)).mean()) * np.eye(FEATURES + 1)


def least_squares(*groups):
    """Weights of the least sum over groups of share · mean squared error, with the penalty of a ridge.

    groups: features, targets [R, outputs], share
    """
    rows, targets = [PENALTY], [np.zeros((FEATURES + 1, groups[0][1].shape[1]))]
    for features, wanted, share in groups:
        factor = np.sqrt(share / len(features))
        rows.append(factor * with_one(features))
        targets.append(factor * wanted)
    return np.linalg.lstsq(np.concatenate(rows), np.concatenate(targets), rcond=None)[0]


def test_a_row_is_a_least_squares_fit_to_background_boxes_and_regions():
    about, around = some_regions(1, 40), some_regions(2, 90)
    found = tuned_row(about.moments, [about], [around], BACKGROUND)
    nothing = np.zeros((50, 1))
    iou = least_squares(
        (BEHIND, nothing, 1.0),
        (about.features, about.iou[:, None], 1.0),
        (around.features, around.iou[:, None], 0.3),
    )
    np.testing.assert_allclose(found[:, :1], iou, atol=1e-3)
    met = [each.iou >= 0.3 for each in (about, around)]
    features = np.concatenate([about.features[met[0]], around.features[met[1]]])
    deltas = np.concatenate([about.deltas[met[0]], around.deltas[met[1]]])
    np.testing.assert_allclose(found[:, 1:], least_squares((features, deltas, 1.0)), atol=1e-3)


def test_the_fewer_of_the_examples_are_at_hand_the_closer_the_row_to_the_closed_form():
    about, around = some_regions(1, 40), some_regions(2, 90)
    gaps = []
    for count in (0, 40, 4000):
        earlier = Moments.none(FEATURES) if not count else some_regions(3, count).moments
        moments = earlier + about.moments
        found, closed = tuned_row(moments, [about], [around], BACKGROUND), moments.row(BACKGROUND)
        gaps.append(np.abs(found - closed).max(axis=0))
    assert gaps[0].sum() > gaps[1].sum() and (gaps[1] > 10 * gaps[2]).all()


# In a bundle


@pytest.fixture(scope="module")
def detector_and_bank():
    return lively()


@pytest.fixture(scope="module")
def start(detector_and_bank):
    generator, detector = np.random.default_rng(0), detector_and_bank[0]
    rows = generator.random((300, detector.settings.hidden + 1), np.float32)
    return tensors_without_classes(detector, rows.T @ rows / 300)


@pytest.fixture(scope="module")
def closed(detector_and_bank, start):
    return METHOD.enrol(
        modules(detector_and_bank, start), described(detector_and_bank[0]), "fray", examples()
    )


@pytest.fixture(scope="module")
def tuned(detector_and_bank, start):
    manifest = described(detector_and_bank[0])
    return METHOD.enrol(modules(detector_and_bank, start), manifest, "fray", examples(), tune=True)


def test_tuning_changes_the_weights_alone(closed, tuned):
    before, after = closed.networks[ENROLLED], tuned.networks[ENROLLED]
    assert set(tuned.networks) == {ENROLLED}
    for name, tensor in before.items():
        if name != "weights":
            np.testing.assert_array_equal(after[name], tensor)
    assert (np.abs(after["weights"] - before["weights"]).max(axis=(0, 1)) > 1e-3).all()
    assert tuned.memory == closed.memory


def test_trained_classes_answer_to_the_bit_and_taking_the_class_away_restores_all(
    detector_and_bank, start, tuned
):
    detector, bank = detector_and_bank
    parts = TorchParts(detector, detector.extractor)
    enrolled = EnrolledClasses.from_tensors(tuned.networks[ENROLLED], detector.settings, 1)
    image = np.random.default_rng(9).random((1, 3, 96, 150), np.float32)
    before, after = parts.rows(image, bank.to_bank()), parts.rows(image, bank.to_bank(), enrolled)
    np.testing.assert_array_equal(after[: len(before), :7], before)
    networks, _ = without_class(tuned.networks, grown_manifest(detector, tuned), "fray")
    for name, tensor in start.items():
        np.testing.assert_array_equal(networks[ENROLLED][name], tensor)


def test_tuning_is_the_same_by_graphs_and_takes_negatives(detector_and_bank, start, tuned):
    detector, bank = detector_and_bank
    graphs = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    exported = Exported(graphs, {"bank": bank.to_bank().tensors(), ENROLLED: start})
    found = METHOD.enrol(exported, described(detector), "fray", examples(), tune=True)
    expected = tuned.networks[ENROLLED]["weights"]
    np.testing.assert_allclose(
        found.networks[ENROLLED]["weights"] / np.abs(expected).max(),
        expected / np.abs(expected).max(),
        atol=2e-3,
    )
    good = (Negative("g.png", np.random.default_rng(3).integers(0, 255, (96, 150, 3), np.uint8), None),)
    other = METHOD.enrol(
        modules(detector_and_bank, start), described(detector), "fray", examples(), good, tune=True
    )
    assert other.networks[ENROLLED]["counts"][0, 1] == 50
    assert np.abs(other.networks[ENROLLED]["weights"] - expected).max() > 1e-4


def test_more_examples_tune_the_row_further_without_forgetting_the_first(detector_and_bank, start):
    detector, _ = detector_and_bank
    first, *rest = examples()
    one = METHOD.enrol(modules(detector_and_bank, start), described(detector), "fray", [first], tune=True)
    manifest = grown_manifest(detector, one)
    two = METHOD.enrol(modules(detector_and_bank, one.networks[ENROLLED]), manifest, "fray", rest, tune=True)
    assert len(two.networks[ENROLLED]["weights"]) == 1
    assert two.networks[ENROLLED]["counts"][0, 0] == 600
    assert len(two.memory["examples"]["fray"]) == 3
