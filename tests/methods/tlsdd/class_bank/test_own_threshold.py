"""Thresholds of added classes: what they let pass and find, by hand and in a bundle, also without torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.errors import BlemishError
from blemish.evaluation.report.enrolment import threshold_sentences
from blemish.methods.capabilities import ClassThreshold, Exported, Negative
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.class_bank.closed_form import ridge_of, with_one
from blemish.methods.tlsdd.class_bank.editing import without_class
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, SAMPLE, EnrolledClasses
from blemish.methods.tlsdd.class_bank.own_threshold import Evidence, LeftOut, left_out_on
from blemish.methods.tlsdd.class_bank.regions import ImageRegions
from blemish.methods.tlsdd.export import plans
from blemish.methods.tlsdd.network.class_tensors import EnrolledTensors
from blemish.methods.tlsdd.network.torch_parts import TorchParts
from blemish.methods.tlsdd.training.background import background_of, sample_of
from tests.methods.tlsdd.class_bank.test_adding_exported import examples
from tests.methods.tlsdd.class_bank.test_adding_rows import described, grown_manifest
from tests.methods.tlsdd.conftest import tiny
from tests.methods.tlsdd.graphs import eager, lively

scores_drawn = st.lists(st.floats(-1, 1.5, width=32), max_size=6).map(np.array)
images_drawn = st.lists(scores_drawn, max_size=12).map(tuple)


def left_out(hits, *false):
    return tuple(LeftOut((hit,), np.array(own)) for hit, own in zip(hits, false, strict=True))


@given(
    kept=images_drawn,
    good=images_drawn,
    false=st.lists(scores_drawn, max_size=6),
    alarms=st.floats(0, 2),
)
def test_no_source_has_more_false_findings_than_are_let_pass(kept, good, false, alarms):
    images = tuple(LeftOut((-np.inf,), own) for own in false)
    evidence = Evidence(kept, good, images)
    counts = evidence.threshold(evidence.cut(alarms, otherwise=0.3), confidence=0.5, tuned=False)
    cut = evidence.cut(alarms, otherwise=0.3)
    assert sum((own >= cut).sum() for own in good) <= alarms * len(good)
    assert sum((own >= cut).sum() for own in kept) <= alarms * len(kept) / 2
    assert counts.false_left_out <= max(1, alarms * len(false))
    assert counts.false == sum((own >= cut).sum() for own in (*kept, *good))
    assert counts.alarmed <= min(counts.false, counts.without) and counts.without == len(kept) + len(good)


def test_by_hand_and_left_out_examples_raise_it_without_being_lost():
    good = tuple(np.array([0.1 * number]) for number in range(10))  # one of ten, 0.9, is let pass
    hits = left_out((0.5, 0.9, 1.1), [], [], [])
    assert Evidence((), good, ()).cut(0.1, otherwise=0.3) == pytest.approx(0.8, abs=2e-3)
    evidence = Evidence((), good, hits)
    cut = evidence.cut(0.1, otherwise=0.3)
    assert cut == pytest.approx((0.8 + 0.9) / 2)
    counts = evidence.threshold(cut, confidence=0.5, tuned=True)
    assert (counts.found, counts.left_out, counts.false, counts.alarmed) == (2, 3, 1, 1)
    assert Evidence((), (), hits).cut(0.1, otherwise=0.3) == pytest.approx((0.3 + 0.5) / 2)
    assert Evidence((), (), ()).cut(0.1, otherwise=0.3) == pytest.approx(0.3, abs=2e-3)


def test_a_finding_is_right_false_or_neither_by_its_overlap():
    boxes = np.array([[0, 0, 0.4, 0.4], [0, 0, 0.4, 0.12], [0.6, 0.6, 1, 1]], np.float32)
    image = ImageRegions(np.array([[1.0], [3.0], [2.0]], np.float32), boxes, boxes[:1])
    row = np.zeros((2, 5), np.float32)
    row[0, 0] = 1
    found = left_out_on(row, image, tiny())
    assert found.examples == (1.0,) and found.false.tolist() == [2.0], "0.3 of it is neither"
    missed = left_out_on(row, replace(image, examples=np.array([[0.5, 0, 0.6, 0.1]], np.float32)), tiny())
    assert missed.examples == (-np.inf,) and sorted(missed.false) == [1, 2, 3]


def test_regions_of_the_highest_leverage_are_kept():
    """They are those that a ridge row may score highest."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(300, 6)).astype(np.float32) ** 3
    mean = (with_one(features).T @ with_one(features) / 300).astype(np.float32)
    boxes = np.zeros((300, 4), np.float32)
    boxes[:, 2] = np.arange(300)
    kept = sample_of([ImageRegions(features, boxes, boxes[:0])], mean)
    assert kept.features.shape == (1, 50, 6) and kept.features.dtype == np.float16
    numbers = kept.boxes[0, :, 2].astype(int)
    np.testing.assert_allclose(kept.features[0], features[numbers], rtol=1e-3, atol=1e-4)
    best = np.zeros(300)
    for z, number in zip(with_one(features), range(300), strict=True):  # the row made for it, of g'M⁻¹g = 1
        row = np.linalg.solve(mean + ridge_of(mean), z)
        best[number] = z @ row / np.sqrt(row @ (mean + ridge_of(mean)) @ row)
    assert set(numbers) == set(np.argsort(-best)[:50])


# In a bundle


@pytest.fixture(scope="module")
def detector_and_bank():
    return lively()


@pytest.fixture(scope="module")
def start(detector_and_bank):
    detector, bank = detector_and_bank
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 255, (96, 150, 3), np.uint8) for _ in range(4)]
    found = background_of(TorchParts(detector, detector.extractor), bank.to_bank(), images, generator)
    return EnrolledClasses(found.mean, sample=found.sample).tensors(detector.settings)


def manifest(detector):
    plain = described(detector)
    return plain.model_copy(update={"memory": {**plain.memory, SAMPLE: [4, 50]}})


def modules(detector_and_bank, arrays):
    detector, bank = detector_and_bank
    return {"detector": detector, "bank": bank, ENROLLED: EnrolledTensors(arrays)}


@pytest.fixture(scope="module")
def added(detector_and_bank, start):
    given = modules(detector_and_bank, start), manifest(detector_and_bank[0])
    return METHOD.enrol(*given, "fray", examples(), tune=True)


def test_the_bundle_with_the_class_has_the_threshold_and_loses_it_with_the_class(
    detector_and_bank, start, added
):
    detector, _ = detector_and_bank
    assert added.threshold is not None and added.threshold.without == 4
    assert added.threshold.confidence == 0.5 and added.threshold.left_out == 3
    for name in ("sample", "sample_boxes"):
        np.testing.assert_array_equal(added.networks[ENROLLED][name], start[name])
    networks, _ = without_class(added.networks, grown_manifest(detector, added), "fray")
    assert {*networks[ENROLLED]} == {*start}
    for name, tensor in start.items():
        np.testing.assert_array_equal(networks[ENROLLED][name], tensor)
    blank = METHOD.modules(grown_manifest(detector, added))[ENROLLED].state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in blank.items()} == {
        name: tensor.shape for name, tensor in added.networks[ENROLLED].items()
    }


def test_as_many_kept_regions_are_defects_as_the_report_says(detector_and_bank, added):
    detector, _ = detector_and_bank
    enrolled = EnrolledClasses.from_tensors(added.networks[ENROLLED], detector.settings, 1)
    found = 0
    for image in enrolled.sample.images:
        logits = image.features @ enrolled.weights[0, :-1, 0] + enrolled.weights[0, -1, 0]
        found += (logits >= 0).sum()  # before parts and repetitions go
    assert (found > 0) == (added.threshold.false > 0) and found >= added.threshold.false
    assert added.threshold.false <= 0.1 * 4 / 2


def test_the_threshold_is_the_same_by_graphs(detector_and_bank, start, added):
    detector, bank = detector_and_bank
    graphs = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    exported = Exported(graphs, {"bank": bank.to_bank().tensors(), ENROLLED: start})
    assert (
        METHOD.enrol(exported, manifest(detector), "fray", examples(), tune=True).threshold == added.threshold
    )


def test_good_parts_count_and_more_alarms_lower_the_threshold(detector_and_bank, start):
    generator = np.random.default_rng(3)
    good = [Negative(f"{n}.png", generator.integers(0, 255, (96, 150, 3), np.uint8), None) for n in range(2)]
    given = modules(detector_and_bank, start), manifest(detector_and_bank[0]), "fray", examples(), good
    few, many = (METHOD.enrol(*given, alarms=alarms) for alarms in (0.0, 20.0))
    assert few.threshold.without == many.threshold.without == 6
    assert few.threshold.false == 0 < many.threshold.false
    below, above = (each.networks[ENROLLED]["weights"][0, -1, 0] for each in (few, many))
    assert below < above, "the bias of the logit"


def test_a_sample_without_its_boxes_is_refused(detector_and_bank, start):
    rest = {name: tensor for name, tensor in start.items() if name != "sample_boxes"}
    with pytest.raises(BlemishError, match="must hold sample_boxes as"):
        EnrolledClasses.from_tensors(rest, detector_and_bank[0].settings, 0)


def test_what_the_report_says_has_bounds():
    counts = ClassThreshold(0.5, 3, 5, 1, 5, 2, 2, 40, tuned=True)
    first, second = threshold_sentences("fray", counts)
    assert "2 of 40 images without it show a finding (true share at most 15 %), 2 in all" in first
    assert "of 5 left-out examples it lets 3 be found (true share 19 to 92 %), among 1 findings" in second
    *_, warning = threshold_sentences("fray", replace(counts, found=0))
    assert warning.startswith("warning: 'fray' is hardly told from what it is not")
    assert threshold_sentences("fray", None) == []
