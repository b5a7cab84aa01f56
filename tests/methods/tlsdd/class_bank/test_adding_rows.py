"""Classes added by rows of their own: what stays as it was, what adding twice and taking away do."""

from __future__ import annotations

import tracemalloc
from time import process_time

import numpy as np
import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.methods.capabilities import Exported, Negative
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.class_bank.bank import ClassEntry
from blemish.methods.tlsdd.class_bank.closed_form import Moments
from blemish.methods.tlsdd.class_bank.editing import renamed, without_class
from blemish.methods.tlsdd.class_bank.enrolled import (
    ENROLLED,
    EnrolledClasses,
    EnrolledRow,
    blank_tensors,
    enrolled_names,
)
from blemish.methods.tlsdd.export import plans
from blemish.methods.tlsdd.network.class_tensors import EnrolledTensors
from blemish.methods.tlsdd.network.torch_parts import TorchParts
from blemish.methods.tlsdd.training.background import background_of
from tests.methods.tlsdd.class_bank.test_adding_exported import examples
from tests.methods.tlsdd.graphs import eager, lively, random_bank

TRAINED = ("class 0", "class 1", "class 2")


@pytest.fixture(scope="module")
def detector_and_bank():
    return lively()


@pytest.fixture(scope="module")
def whole_background(detector_and_bank):
    detector, bank = detector_and_bank
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 255, (96, 150, 3), np.uint8) for _ in range(3)]
    found = background_of(TorchParts(detector, detector.extractor), bank.to_bank(), images, generator)
    assert found.regions > 300
    return found


@pytest.fixture(scope="module")
def background(whole_background):
    return whole_background.mean


def described(detector, *added: str, **memory) -> Manifest:
    return Manifest(
        method="tlsdd",
        class_names=(*TRAINED, *added),
        preprocessing=Preprocessing(channels=3),
        thresholds={"score": 0.5},
        settings=detector.settings.model_dump(mode="json"),
        memory={"background_regions": 1, "enrolled": list(added), **memory}
        if added
        else {"background_regions": 1},
    )


def tensors_without_classes(detector, background):
    return {**blank_tensors(detector.settings, 0), "background": background}


def modules(detector_and_bank, arrays):
    detector, bank = detector_and_bank
    return {"detector": detector, "bank": bank, ENROLLED: EnrolledTensors(arrays)}


@pytest.fixture(scope="module")
def start(detector_and_bank, background):
    return tensors_without_classes(detector_and_bank[0], background)


@pytest.fixture(scope="module")
def added(detector_and_bank, start):
    return METHOD.enrol(
        modules(detector_and_bank, start), described(detector_and_bank[0]), "fray", examples()
    )


def grown_manifest(detector, enrolment, name="fray"):
    return described(detector, name).model_copy(update={"memory": dict(enrolment.memory)})


def test_the_class_is_a_row_and_nothing_else_changes(added, start):
    assert set(added.networks) == {ENROLLED}
    rows = added.networks[ENROLLED]
    assert len(rows["weights"]) == 1 and np.abs(rows["weights"]).max() > 0
    np.testing.assert_array_equal(rows["background"], start["background"])
    assert added.memory["enrolled"] == ["fray"] and len(added.memory["examples"]["fray"]) == 3


def test_answers_of_trained_classes_stay_to_the_bit(detector_and_bank, start):
    """With so many alarms let pass that the class is found on noise."""
    detector, bank = detector_and_bank
    parts = TorchParts(detector, detector.extractor)
    given = modules(detector_and_bank, start), described(detector), "fray", examples()
    found = METHOD.enrol(*given, alarms=50.0)
    enrolled = EnrolledClasses.from_tensors(found.networks[ENROLLED], detector.settings, 1)
    image = np.random.default_rng(9).random((1, 3, 96, 150), np.float32)
    before, after = parts.rows(image, bank.to_bank()), parts.rows(image, bank.to_bank(), enrolled)
    np.testing.assert_array_equal(after[: len(before), :7], before)
    assert (after[: len(before), 7:] == 0).all() and (after[len(before) :, 4:7] == 0).all()
    assert (after[len(before) :, 7] > 0).all() and len(after) > len(before)


def test_the_row_prefers_whole_examples_to_parts(detector_and_bank, added):
    """On its own examples, predicted confidence follows the overlap."""
    detector, _ = detector_and_bank
    parts = TorchParts(detector, detector.extractor)
    row = added.networks[ENROLLED]["weights"][0, :, 0]
    for one in examples()[:2]:
        box = np.array(one.box_xyxy, np.float32)
        quarter = np.concatenate([box[:2], (box[:2] + box[2:]) / 2])
        pixels = np.zeros((96, 160, 3), np.uint8)
        pixels[:, :150] = one.pixels
        pixels[:, 150:] = one.pixels[:, 149:]
        image = (pixels.astype(np.float32) / 255).transpose(2, 0, 1)[None]
        regions = parts.regions_at(np.ascontiguousarray(image), (96, 150), np.stack([box, quarter]))
        whole, part = parts.features([regions]) @ row[:-1]
        assert whole > part


def test_examples_in_two_goes_are_those_in_one(detector_and_bank, added, start):
    detector, _ = detector_and_bank
    first, *rest = examples()
    one = METHOD.enrol(modules(detector_and_bank, start), described(detector), "fray", [first])
    two = METHOD.enrol(
        modules(detector_and_bank, one.networks[ENROLLED]), grown_manifest(detector, one), "fray", rest
    )
    assert two.memory["examples"]["fray"] == added.memory["examples"]["fray"]
    assert two.memory["enrolled"] == ["fray"] and two.memory["rare"] == ["fray"]
    found, expected = two.networks[ENROLLED], added.networks[ENROLLED]
    assert found["counts"].tolist() == expected["counts"].tolist()
    assert len(found["weights"]) == 1
    for name in ("examples", "targets"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_taking_a_class_away_restores_every_tensor(detector_and_bank, added, start):
    detector, _ = detector_and_bank
    other = METHOD.enrol(
        modules(detector_and_bank, added.networks[ENROLLED]),
        grown_manifest(detector, added),
        "rust",
        examples()[:1],
    )
    manifest = described(detector, "fray", "rust").model_copy(update={"memory": dict(other.memory)})
    networks, memory = without_class(other.networks, manifest, "rust")
    for name, tensor in added.networks[ENROLLED].items():
        np.testing.assert_array_equal(networks[ENROLLED][name], tensor)
    assert memory == added.memory
    networks, memory = without_class(added.networks, grown_manifest(detector, added), "fray")
    for name, tensor in start.items():
        np.testing.assert_array_equal(networks[ENROLLED][name], tensor)
    assert memory == {"background_regions": 1, "rare": [], "examples": {}}


def test_the_first_of_two_can_be_taken_away(detector_and_bank, added):
    detector, _ = detector_and_bank
    other = METHOD.enrol(
        modules(detector_and_bank, added.networks[ENROLLED]),
        grown_manifest(detector, added),
        "rust",
        examples()[:1],
    )
    manifest = described(detector, "fray", "rust").model_copy(update={"memory": dict(other.memory)})
    networks, _ = without_class(other.networks, manifest, "fray")
    np.testing.assert_array_equal(networks[ENROLLED]["weights"][0], other.networks[ENROLLED]["weights"][1])


def test_a_trained_class_stays(detector_and_bank, added):
    manifest = grown_manifest(detector_and_bank[0], added)
    with pytest.raises(BlemishError, match="'class 1' was learned in training"):
        without_class(added.networks, manifest, "class 1")


def test_another_name_changes_names_alone(detector_and_bank, added):
    manifest = grown_manifest(detector_and_bank[0], added)
    other = renamed(manifest, "fray", "loose end")
    assert other.class_names == (*TRAINED, "loose end")
    assert enrolled_names(other) == ("loose end",)
    assert other.memory["examples"] == {"loose end": manifest.memory["examples"]["fray"]}
    assert renamed(other, "loose end", "fray").memory == manifest.memory


def test_negatives_lower_the_confidence_there(detector_and_bank, added, start):
    detector, _ = detector_and_bank
    parts = TorchParts(detector, detector.extractor)
    alarm = np.array([[60, 20, 120, 80]], np.float32)
    pixels = examples()[1].pixels

    def level(enrolment):
        image = np.zeros((96, 160, 3), np.float32)
        image[:, :150] = pixels / 255
        image[:, 150:] = image[:, 149:150]
        regions = parts.regions_at(image.transpose(2, 0, 1)[None].copy(), (96, 150), alarm)
        row = enrolment.networks[ENROLLED]["weights"][0, :, 0]
        return float((parts.features([regions]) @ row[:-1] + row[-1])[0])

    negative = Negative("alarm.png", pixels, alarm)
    lowered = METHOD.enrol(
        modules(detector_and_bank, start), described(detector), "fray", examples(), [negative]
    )
    assert level(lowered) < level(added)
    assert lowered.networks[ENROLLED]["counts"][0, 1] == 50


def test_a_good_image_with_a_defect_is_told(detector_and_bank, start):
    detector, _ = detector_and_bank
    good = Negative("good/1.png", examples()[0].pixels, None)
    manifest = described(detector).model_copy(update={"thresholds": {"score": 0.02}})
    told = METHOD.enrol(modules(detector_and_bank, start), manifest, "fray", examples()[:1], [good]).sentences
    assert sum("good/1.png is given as good, but the bundle finds '" in line for line in told) == 1
    silent = manifest.model_copy(update={"thresholds": {"score": 0.9999}})
    told = METHOD.enrol(modules(detector_and_bank, start), silent, "fray", examples()[:1], [good]).sentences
    assert not any("given as good" in line for line in told)


def test_graphs_add_the_class_that_torch_adds(detector_and_bank, start):
    detector, bank = detector_and_bank
    graphs = {name: eager(plan) for name, plan in plans(detector, bank).items()}
    exported = Exported(graphs, {"bank": bank.to_bank().tensors(), ENROLLED: start})
    negatives = (Negative("g.png", examples()[0].pixels, None),)
    expected = METHOD.enrol(
        modules(detector_and_bank, start), described(detector), "fray", examples(), negatives
    )
    found = METHOD.enrol(exported, described(detector), "fray", examples(), negatives)
    for name, tensor in expected.networks[ENROLLED].items():
        scale = max(1.0, float(np.abs(tensor).max(initial=0)))
        np.testing.assert_allclose(
            found.networks[ENROLLED][name] / scale, tensor / scale, atol=1e-3, err_msg=name
        )
    assert found.sentences == expected.sentences


def test_an_older_bundle_takes_the_class_by_its_prototype_and_says_so(detector_and_bank):
    detector, bank = detector_and_bank
    older = described(detector).model_copy(update={"memory": {}})
    found = METHOD.enrol({"detector": detector, "bank": bank}, older, "fray", examples())
    assert set(found.networks) == {"bank"}
    assert "'fray' was added by its prototype alone" in found.sentences[0]
    assert METHOD.extendable(older) == ()


def test_rows_of_another_shape_are_refused_in_one_line(detector_and_bank, start):
    settings = detector_and_bank[0].settings
    with pytest.raises(BlemishError, match="must hold class_vectors as") as raised:
        EnrolledClasses.from_tensors(start, settings, 2)
    assert "\n" not in str(raised.value)
    odd = {**start, "background": np.full_like(start["background"], np.nan)}
    with pytest.raises(BlemishError, match="must be finite"):
        EnrolledClasses.from_tensors(odd, settings, 0)


def test_added_classes_are_the_last_ones(detector_and_bank):
    manifest = described(detector_and_bank[0], "fray").model_copy(update={"class_names": ("fray", *TRAINED)})
    with pytest.raises(BlemishError, match="last classes must be those added"):
        enrolled_names(manifest)


def filled(settings, background, count):
    """As many classes with random rows."""
    generator = np.random.default_rng(count)
    side = len(background)

    def row():
        entry = ClassEntry(
            generator.random(settings.width).astype(np.float32),
            generator.random(settings.embedding).astype(np.float32),
        )
        return EnrolledRow(
            generator.normal(0, 0.1, (side, 5)).astype(np.float32), entry, Moments.none(side - 1)
        )

    return EnrolledClasses(background, tuple(row() for _ in range(count)))


def cost(detector_and_bank, background, count):
    """Seconds of processor time and bytes at most that enrolling one class more takes; without the report."""
    from blemish.methods.tlsdd.class_bank.enrolled import KnownClasses
    from blemish.methods.tlsdd.class_bank.rows import ClassRows, folds_of

    detector, bank = detector_and_bank
    known = KnownClasses(bank.to_bank(), filled(detector.settings, background, count))
    parts = TorchParts(detector, detector.extractor)
    tracemalloc.start()
    began = process_time()
    rows = ClassRows(parts, known, len(TRAINED) + count, 0, 0.5, examples())
    classes = [rows.classes_from(kept) for kept, _ in folds_of(examples())]
    seconds, (_, peak) = process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(classes[0].enrolled) == count + 1
    return seconds, peak


def test_the_two_hundredth_class_costs_what_the_second_does(detector_and_bank, background):
    cost(detector_and_bank, background, 1)  # warm
    few, many = (cost(detector_and_bank, background, count) for count in (1, 199))
    assert many[0] < 2 * few[0] + 0.1, f"seconds {few[0]:.3f} and {many[0]:.3f}"
    assert many[1] < 1.2 * few[1] + (1 << 20), f"bytes {few[1]} and {many[1]}"


def test_trained_classes_cost_nothing_either(detector_and_bank, background):
    detector, bank = detector_and_bank
    larger = random_bank(detector, 199)
    cost(detector_and_bank, background, 1)
    few, many = (cost((detector, each), background, 1) for each in (bank, larger))
    assert many[0] < 2 * few[0] + 0.1
