"""A class added to the bank: what is computed of it, what stays as it was, and the findings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.errors import BlemishError
from blemish.methods.capabilities import AddsClasses, ClassSimilarity, Enrolment, Example
from blemish.methods.severity import METHOD as SEVERITY
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.class_bank.adding import (
    ClassAddition,
    add_class,
    nearness_sentences,
    refuse_fixed_classes,
    tuning_settings,
)
from blemish.methods.tlsdd.class_bank.bank import ClassBank
from blemish.methods.tlsdd.class_bank.embedding import RegionEmbedder
from blemish.methods.tlsdd.class_bank.enrolled import KnownClasses
from blemish.methods.tlsdd.class_bank.rows import folds_of
from blemish.methods.tlsdd.network.class_tensors import ClassTensors, digest_of
from blemish.methods.tlsdd.network.detector import Detector, FeatureGroup
from blemish.methods.tlsdd.network.map_cache import RememberedMaps
from blemish.methods.tlsdd.network.torch_parts import TorchParts
from blemish.methods.tlsdd.settings import TlsddSettings

SETTINGS = TlsddSettings(preset="tiny", jitters=0, support_view="crop", device="cpu")
OLD = ("dent", "spot")


@pytest.fixture(scope="module")
def detector() -> Detector:
    torch.manual_seed(0)
    return Detector(SETTINGS, len(OLD)).eval()


@pytest.fixture(scope="module")
def bank(detector: Detector) -> ClassTensors:
    generator = torch.Generator().manual_seed(1)
    points = torch.nn.functional.normalize(torch.randn(2, SETTINGS.embedding, generator=generator), dim=1)
    return ClassTensors(
        torch.rand(2, SETTINGS.width, generator=generator) + 0.5,
        points,
        torch.ones(2, dtype=torch.bool),
        torch.from_numpy(digest_of(detector)),
    )


def manifest(settings: TlsddSettings = SETTINGS) -> Manifest:
    return Manifest(
        method="tlsdd",
        class_names=OLD,
        preprocessing=Preprocessing(channels=3),
        thresholds={"score": 0.0},
        settings=settings.model_dump(mode="json"),
        memory={"common": ["dent"], "rare": ["spot"], "examples": {"dent": ["d"], "spot": ["s"]}, "draw": {}},
    )


def example(number: int, image: int | None = None) -> Example:
    pixels = np.random.default_rng(number if image is None else image).integers(0, 255, (96, 96, 3), np.uint8)
    left = 10.0 + 5 * number
    name = f"{number if image is None else image}.png"
    return Example(f"{name}#{number}", name, pixels, (left, 20.0, left + 30, 44.0))


EXAMPLES = tuple(example(number) for number in range(3))


@pytest.fixture(scope="module")
def enrolment(detector: Detector, bank: ClassTensors) -> Enrolment:
    return add_class({"detector": detector, "bank": bank}, manifest(), "fray", EXAMPLES)


def rows(detector: Detector, bank: ClassTensors) -> np.ndarray[Any, Any]:
    image = np.random.default_rng(9).random((1, 3, 96, 96), np.float32)
    return TorchParts(detector, detector.extractor).rows(image, bank.to_bank())


def grown(bank: ClassTensors, enrolment: Enrolment) -> ClassTensors:
    return ClassBank.from_tensors(enrolment.networks["bank"], SETTINGS, 3).to_torch()


def test_the_row_is_the_mean_of_the_examples(
    detector: Detector, bank: ClassTensors, enrolment: Enrolment
) -> None:
    """Each example by the detector's own parts, one at a time, and means by hand."""
    from blemish.methods.tlsdd.data.supports import support_input

    row = grown(bank, enrolment)
    with torch.inference_mode():
        inputs = [support_input(one.pixels, one.box_xyxy, SETTINGS) for one in EXAMPLES]
        vectors = [detector.support_encoder(torch.from_numpy(one)[None])[0] for one in inputs]
        vector = sum(vectors) / 3
        torch.testing.assert_close(row.class_vectors[2], vector)
        points = []
        for one in EXAMPLES:
            image = torch.from_numpy(one.pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
            maps = detector.extractor(image)
            embedded = detector.embed_supports(
                [FeatureGroup(torch.tensor([0]), maps)],
                torch.tensor([one.box_xyxy]),
                torch.tensor([[96, 96]]),
                vector[None],
            )
            points.append(embedded[0])
        mean = sum(points) / 3
    torch.testing.assert_close(row.prototypes[2], mean / mean.norm(), atol=1e-5, rtol=1e-4)
    assert row.known.tolist() == [True, True, True]


def test_old_rows_and_the_detector_stay_as_they_were(
    detector: Detector, bank: ClassTensors, enrolment: Enrolment
) -> None:
    row = grown(bank, enrolment)
    assert torch.equal(row.class_vectors[:2], bank.class_vectors)
    assert torch.equal(row.prototypes[:2], bank.prototypes)
    assert set(enrolment.networks) == {"bank"}, "the detector is not changed, and so not given"
    np.testing.assert_array_equal(digest_of(detector), row.made_for)
    assert len(bank.known) == 2, "the bank that was given is not changed"


def test_old_probabilities_change_by_the_new_term_of_the_softmax_alone(
    detector: Detector, bank: ClassTensors, enrolment: Enrolment
) -> None:
    before, after = rows(detector, bank), rows(detector, grown(bank, enrolment))
    np.testing.assert_allclose(after[:, :4], before[:, :4], atol=1e-3)
    kept = 1 - after[:, 6:]
    np.testing.assert_allclose(after[:, 4:6], before[:, 4:] * kept, atol=1e-5)
    assert (after[:, 6] > 0).all()


def test_taking_the_class_away_restores_the_old_ones(
    detector: Detector, bank: ClassTensors, enrolment: Enrolment
) -> None:
    without = grown(bank, enrolment)
    without.known[2] = False
    restored = rows(detector, without)
    np.testing.assert_allclose(restored[:, :6], rows(detector, bank), atol=1e-5)
    assert (restored[:, 6] == 0).all()


def test_examples_are_remembered(enrolment: Enrolment) -> None:
    assert enrolment.memory["rare"] == ["spot", "fray"]
    assert enrolment.memory["examples"]["fray"] == [one.id for one in EXAMPLES]
    assert enrolment.memory["examples"]["dent"] == ["d"]


def test_an_example_that_is_an_old_class_is_reported_to_coincide(
    detector: Detector, bank: ClassTensors, enrolment: Enrolment
) -> None:
    """Examples added again under another name: distance 0, and a coin's confidence."""
    described = manifest().model_copy(update={"class_names": (*OLD, "fray")})
    again = add_class({"detector": detector, "bank": grown(bank, enrolment)}, described, "tatter", EXAMPLES)
    first = again.similarities[0]
    assert first.label == "fray"
    assert first.squared_distance == pytest.approx(0, abs=1e-6)
    assert first.confidence == pytest.approx(0.5, abs=1e-3)
    assert any("'tatter' and 'fray' nearly coincide" in sentence for sentence in again.sentences)
    assert sum("Expect them to be confused" in sentence for sentence in again.sentences) == 1


def enrolling(detector: Detector, bank: ClassTensors, examples: Sequence[Example]) -> ClassAddition:
    parts = TorchParts(detector, detector.extractor)
    return ClassAddition(parts, KnownClasses(bank.to_bank(), None), {}, manifest(), "fray", tuple(examples))


def test_examples_of_an_image_are_left_out_together() -> None:
    examples = (example(0, image=5), example(1, image=5), example(2, image=6))
    folds = folds_of(examples)
    assert [[one.id for one in out] for _, out in folds] == [["5.png#0", "5.png#1"], ["6.png#2"]]
    assert [[one.id for one in kept] for kept, _ in folds] == [["6.png#2"], ["5.png#0", "5.png#1"]]


def test_many_images_make_ten_folds_that_miss_nobody() -> None:
    examples = [Example(f"{n}", f"{n}.png", EXAMPLES[0].pixels, (0, 0, 9, 9)) for n in range(23)]
    folds = folds_of(examples)
    assert len(folds) == 10
    assert sorted(int(one.id) for _, out in folds for one in out) == list(range(23))
    for kept, out in folds:
        assert len(kept) + len(out) == 23
        assert not {one.id for one in kept} & {one.id for one in out}


def test_a_single_example_is_judged_by_itself_with_a_sentence(detector: Detector, bank: ClassTensors) -> None:
    alone = add_class({"detector": detector, "bank": bank}, manifest(), "fray", EXAMPLES[:1])
    assert not alone.held_out
    assert len(alone.outcomes) == 1
    assert "On the only image with examples" in alone.sentences[-1]


def test_nearer_examples_are_counted_by_the_distances_of_each_class(
    detector: Detector, bank: ClassTensors
) -> None:
    adding = enrolling(detector, bank, EXAMPLES)
    distances = np.array([[0.1, 3.0, 0.2], [0.3, 0.1, 0.2], [1.0, 1.0, 0.5]], np.float32)
    nearer = {
        one.label: one.nearer
        for one in adding.similarities(adding.rows.classes_from(EXAMPLES).whole, distances)
    }
    assert nearer == {"dent": 1, "spot": 1}


def test_maps_are_computed_once(detector: Detector) -> None:
    image, other = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    calls = []
    handle = detector.extractor.register_forward_hook(lambda *_: calls.append(1))
    plain = detector.extractor(image)
    remembered = RememberedMaps(detector.extractor)
    first, _, again = (remembered(one) for one in (image, other, image))
    handle.remove()
    assert len(calls) == 3
    for name, features in plain.items():
        torch.testing.assert_close(first[name], features)
        assert again[name] is first[name]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"variant": "tl-ff-fr"}, "variant tl-ff-fr has a row of weights for each class"),
        ({"box_regression": "specific"}, "box_regression is specific"),
    ],
)
def test_detectors_bound_to_their_classes_are_refused(changes: dict[str, Any], reason: str) -> None:
    settings = TlsddSettings(preset="tiny", **changes)
    with pytest.raises(BlemishError, match=reason) as raised:
        refuse_fixed_classes(settings, "fray")
    assert "--fine-tune" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_tuning_draws_every_example_and_needs_two_phases() -> None:
    tuned = tuning_settings(
        TlsddSettings(preset="tiny", shots=2, common=("dent",), rare=("spot",)), "fray", 7
    )
    settings = TlsddSettings.model_validate(tuned)
    assert (settings.rare, settings.common, settings.shots) == (("fray",), (), 7)
    with pytest.raises(BlemishError, match="two phases"):
        tuning_settings(TlsddSettings(preset="tiny", variant="fr-joint"), "fray", 2)


def test_words_on_a_class_apart() -> None:
    similarities = (ClassSimilarity("spot", 1.25, 0.99, 1), ClassSimilarity("dent", 2.0, 1.0, 2))
    lines = nearness_sentences("fray", similarities, 3, held_out=True)
    assert "apart from every older class; the nearest is 'spot' (squared distance 1.2)" in lines[0]
    assert lines[1:] == [
        "1 of 3 examples of 'fray', each compared without itself, is more like 'spot'.",
        "2 of 3 examples of 'fray', each compared without itself, are more like 'dent'.",
    ]


def test_who_offers_to_enrol() -> None:
    assert isinstance(METHOD, AddsClasses)
    assert not isinstance(SEVERITY, AddsClasses)


# Embedding


def embedder_of(detector: Detector, bank: ClassTensors) -> RegionEmbedder:
    return RegionEmbedder(TorchParts(detector, detector.extractor), bank.to_bank())


def test_embeddings_reproduce_the_probabilities(detector: Detector, bank: ClassTensors) -> None:
    """Distances of the exported embeddings, through eq. 3 by hand, are what the detector gives."""
    pixels, boxes = EXAMPLES[0].pixels, np.array([[10, 20, 40, 44], [3, 5, 60, 70]], np.float32)
    found = embedder_of(detector, bank).embed(pixels, boxes)
    scale = float(detector.scores.scale().detach())  # type: ignore[union-attr, operator]
    distances = np.square(found.per_class - bank.prototypes.numpy()).sum(-1)
    point = detector.scores.points.detach().numpy()[0]  # type: ignore[union-attr]
    silent = np.square(found.shared - point / np.linalg.norm(point)).sum(-1)
    odds = np.exp(-scale * np.concatenate([distances, silent[:, None]], 1))
    with torch.inference_mode():
        image = torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)[None]
        regions = detector.pool(
            detector.extractor(image), [torch.from_numpy(boxes)], torch.tensor([[96, 96]])
        )
        expected = detector.classify(regions, detector.region_head(regions), bank).exp().numpy()
    np.testing.assert_allclose(odds / odds.sum(1, keepdims=True), expected, atol=1e-5)


def test_regions_of_large_images_are_embedded_in_tiles(detector: Detector, bank: ClassTensors) -> None:
    """The tile about a box holds the same pixels, so that the embedding hardly differs."""
    small = SETTINGS.model_copy(update={"tile": 128, "overlap": 32})
    tiled = Detector(small, 2).eval()
    tiled.load_state_dict(detector.state_dict())
    pixels = np.random.default_rng(3).integers(0, 255, (160, 320, 3), np.uint8)
    boxes = np.array([[20, 20, 50, 60], [250, 100, 300, 130]], np.float32)
    whole = embedder_of(detector, bank).embed(pixels, boxes)
    cut = embedder_of(tiled, bank).embed(pixels, boxes)
    assert cut.per_class.shape == whole.per_class.shape == (2, 2, SETTINGS.embedding)
    assert (cut.shared * whole.shared).sum(1).min() > 0.9, "cosine"


def test_no_region_gives_no_embedding(detector: Detector, bank: ClassTensors) -> None:
    found = embedder_of(detector, bank).embed(EXAMPLES[0].pixels, np.zeros((0, 4), np.float32))
    assert found.per_class.shape == (0, 2, SETTINGS.embedding)
    assert found.shared.shape == (0, SETTINGS.embedding)


def test_without_a_metric_head_there_is_nothing_to_embed(tmp_path: Path) -> None:
    with pytest.raises(BlemishError, match="has no metric space"):
        METHOD.embedder({}, manifest(TlsddSettings(preset="tiny", variant="tl-ff")))


def test_remembered_maps_are_of_one_shape_and_within_a_limit(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide, tall = torch.zeros(1, 3, 64, 128), torch.zeros(1, 3, 128, 64)
    remembered = RememberedMaps(detector.extractor)
    assert remembered(wide)["0"].shape[2:] == (16, 32)
    assert remembered(tall)["0"].shape[2:] == (32, 16)
    monkeypatch.setattr("blemish.methods.tlsdd.data.image_memory.MAX_BYTES", 0)
    forgetful = RememberedMaps(detector.extractor)
    assert forgetful(wide)["0"] is not forgetful(wide)["0"]


def test_each_example_is_encoded_once_whatever_the_folds(detector: Detector, bank: ClassTensors) -> None:
    calls = []
    hook = detector.support_encoder.register_forward_hook(lambda *_: calls.append(1))
    try:
        add_class({"detector": detector, "bank": bank}, manifest(), "fray", EXAMPLES)
    finally:
        hook.remove()
    assert len(calls) == len(EXAMPLES)
