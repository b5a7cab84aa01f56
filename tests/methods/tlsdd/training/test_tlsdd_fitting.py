"""Two phases on tiny settings: bundles, starts, resumption, frozen parts, and notes for the user."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch.nn import functional

from blemish.bundle import load_bundle
from blemish.dataset.boxes import Boxed
from blemish.dataset.samples import Annotation, Sample
from blemish.dataset.splits.support_sets import sample_support_set, save_support_set
from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.inspector.loading import inspector_of, open_inspector
from blemish.inspector.torch_backend import as_networks
from blemish.methods.common.image_head import NAME, head_log_odds
from blemish.methods.tlsdd import METHOD
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED
from blemish.methods.tlsdd.data.training_images import AnnotatedImage
from blemish.methods.tlsdd.memory import TlsddMemory
from blemish.methods.tlsdd.network.detector import Detector
from blemish.methods.tlsdd.network.map_cache import MapCache
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training import fitting
from blemish.methods.tlsdd.training.episodes import EpisodeSampler
from blemish.methods.tlsdd.training.fitting import BASE, TlsddTraining
from blemish.methods.tlsdd.training.losses import total_loss
from blemish.methods.tlsdd.training.training_split import with_known_places
from blemish.methods.tlsdd.training.validation import ValidationDetections, score_threshold
from blemish.nn.backbones import LITE
from blemish.nn.image_head import ImageHead
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train
from blemish.training.trainer import RunTrainer
from tests.methods.tlsdd.conftest import tiny


def run(dataset, out, settings, **more):
    return train(Request(METHOD, dataset, settings, out, **more), Reporter(quiet=True))


def same_tensors(one, other):
    for network, tensors in one.networks.items():
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, other.networks[network][name], err_msg=f"{network}.{name}")


@pytest.fixture(scope="module")
def unbroken(surfaces, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken") / "run"
    return folder, run(surfaces, folder, tiny())


def test_two_phases_leave_a_base_bundle_and_one_of_all_classes(unbroken):
    folder, bundle = unbroken
    base = load_bundle(folder / "base")
    assert base.manifest.class_names == ("scratch", "spot")
    assert bundle.manifest.class_names == ("scratch", "spot", "stain")
    assert bundle.manifest.memory["rare"] == ["stain"] and base.manifest.memory["rare"] == []
    assert {name: len(ids) for name, ids in bundle.manifest.memory["draw"]["classes"].items()} == {
        "scratch": 2, "spot": 2, "stain": 2,
    }  # fmt: skip
    assert bundle.manifest.memory["examples"]["stain"] == sorted(
        bundle.manifest.memory["draw"]["classes"]["stain"]
    ) or set(bundle.manifest.memory["examples"]["stain"]) == set(
        bundle.manifest.memory["draw"]["classes"]["stain"]
    )
    assert bundle.networks["bank"]["known"].all()
    assert inspector_of(bundle, device="cpu") and open_inspector(folder / "base", device="cpu")


def test_phase_two_leaves_the_extractor_as_the_base_has_it_and_moves_the_rest(unbroken):
    folder, bundle = unbroken
    before, after = load_bundle(folder / "base").networks["detector"], bundle.networks["detector"]
    moved = {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}
    assert moved == {"rpn", "region_head", "support_encoder", "embedding", "scores", "box_regressor"}


def test_going_on_from_the_base_bundle_gives_what_both_phases_at_once_gave(unbroken, surfaces, tmp_path):
    folder, bundle = unbroken
    again = run(surfaces, tmp_path / "again", tiny(), initial_bundle=load_bundle(folder / "base"))
    same_tensors(bundle, again)
    assert not (tmp_path / "again" / "base").exists()


@pytest.mark.parametrize("stage", [0, 1])
def test_a_run_stopped_in_either_phase_goes_on_to_the_same_weights(
    unbroken, surfaces, tmp_path, monkeypatch, stage
):
    draw = EpisodeSampler.draw

    def stopping(self, step, rank=0):
        if self.stage == stage and step == 3:
            raise KeyboardInterrupt
        return draw(self, step, rank)

    settings = tiny(checkpoint_every=1)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(EpisodeSampler, "draw", stopping)
        run(surfaces, tmp_path / "run", settings)
    assert not (tmp_path / "run" / "bundle").exists()
    same_tensors(unbroken[1], run(surfaces, tmp_path / "run", settings, resume=True))


def test_joint_training_sees_all_common_boxes_and_the_drawn_rare_ones(surfaces, tmp_path):
    fitting = fitting_of(surfaces, tmp_path, tiny(variant="fr-ff-joint"))
    images = fitting.split.images("joint")
    labels = np.concatenate([image.labels for image in images])
    train = surfaces.split("train")
    marked = [one.label for sample in train for one in sample.annotations]
    assert (labels == 2).sum() == 2
    assert (labels == -2).sum() == sum(marked.count(name) for name in ("stain",)) - 2 - left_out(
        images, train
    )
    assert [(labels == n).sum() for n in (0, 1)] == [marked.count("scratch"), marked.count("spot")]


def left_out(images, train):
    """Rare boxes on images that joint training does not see, since nothing on them counts."""
    taken = {image.number for image in images}
    return sum(one.label == "stain" for i, s in enumerate(train) if i not in taken for one in s.annotations)


def fitting_of(dataset, folder, settings, start=None, notes=None):
    folder.mkdir(exist_ok=True)
    trainer = RunTrainer(folder, settings, seed=0, reporter=Reporter(quiet=True), initial_bundle=start)
    if notes is not None:
        trainer.note = notes.append
    return TlsddTraining.on(dataset, settings, trainer)


def test_fewer_examples_than_shots_are_used_and_noted(surfaces, tmp_path):
    fitting = fitting_of(surfaces, tmp_path, tiny(shots=50))
    marked = [one.label for sample in surfaces.split("train") for one in sample.annotations]
    assert len(fitting.split.draw.classes["stain"]) == marked.count("stain")
    assert f"class 'stain': {marked.count('stain')} examples for 50 shots" in fitting.split.draw.notes


def test_a_file_of_support_ids_decides_the_draw(surfaces, tmp_path):
    draw = sample_support_set(surfaces, ("scratch", "spot", "stain"), 2, seed=77)
    save_support_set(draw, tmp_path / "draw.json")
    fitting = fitting_of(surfaces, tmp_path / "run", tiny(draw_file=str(tmp_path / "draw.json"), draw_seed=1))
    assert fitting.split.draw.digest == draw.digest
    assert fitting_of(surfaces, tmp_path / "run", tiny(draw_seed=77)).split.draw.digest == draw.digest
    assert fitting_of(surfaces, tmp_path / "run", tiny(draw_seed=78)).split.draw.digest != draw.digest


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rare": ("stian",)}, "setting rare: .* has no class 'stian'. Did you mean 'stain'"),
        ({"common": ("scratch", "sport")}, "setting common: .* has no class 'sport'. Did you mean 'spot'"),
        ({"rare": ("crack",)}, "'crack', which has none"),
        ({"frozen": ("extracter",)}, "setting frozen: the detector has no part 'extracter'"),
    ],
)
def test_names_that_do_not_exist_are_refused_before_training(surfaces, tmp_path, changes, message):
    with pytest.raises(BlemishError, match=message) as caught:
        run(surfaces, tmp_path / "run", tiny(**changes))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_common_and_rare_that_overlap_are_refused():
    with pytest.raises(ValidationError, match=r"must not share a class\. Received in both: spot"):
        tiny(rare=("spot",))


def test_a_rare_class_of_the_start_bundle_is_refused(unbroken, surfaces, tmp_path):
    start = load_bundle(unbroken[0] / "base")
    with pytest.raises(
        BlemishError, match=r"must name classes that the start bundle does not have\. Received: 'spot'"
    ):
        run(surfaces, tmp_path / "run", tiny(common=(), rare=("spot",)), initial_bundle=start)


def test_a_start_of_other_shape_or_method_is_refused(unbroken, surfaces, tmp_path):
    start = load_bundle(unbroken[0] / "base")
    with pytest.raises(BlemishError, match="its network does not fit the settings"):
        run(surfaces, tmp_path / "run", tiny(anchor_sizes=(8, 16) * 4), initial_bundle=start)
    other = replace(start, manifest=start.manifest.model_copy(update={"method": "severity"}))
    with pytest.raises(BlemishError, match="--from must name a bundle of tlsdd"):
        run(surfaces, tmp_path / "other", tiny(), initial_bundle=other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"embedding": 8},
            "setting embedding must stay as in .*, whose network .* embedding=16. Received: 8",
        ),
        (
            {"activation": "identity"},
            "setting activation must stay as in .* with activation=sigmoid",
        ),  # of the same shapes
        (
            {"variant": "tl-ff-fr"},
            "setting metric_head must stay as in .* with metric_head=True. Received: False",
        ),
        ({"variant": "fr-ff-joint"}, "setting two_phase: .*Set two_phase=true, or leave --from out"),
    ],
)
def test_settings_that_a_start_cannot_follow_are_refused_and_leave_nothing(
    unbroken, surfaces, tmp_path, changes, message
):
    start = load_bundle(unbroken[0] / "base")
    with pytest.raises(BlemishError, match=message) as caught:
        run(surfaces, tmp_path / "run", tiny(**changes), initial_bundle=start)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_start_of_another_backbone_is_refused_in_a_line(unbroken, surfaces, tmp_path):
    start = load_bundle(unbroken[0] / "base")
    settings = tiny(backbone="auto", common=(), rare=("stain",))
    with pytest.raises(BlemishError) as caught:
        run(surfaces, tmp_path / "run", settings, initial_bundle=start)
    assert str(caught.value) == (
        f"setting backbone must stay as in {start.path}, whose network was trained with backbone=resnet18. "
        "Received: efficientnet-lite0. Leave backbone out, or train without --from."
    )


def test_the_backbone_that_auto_becomes_is_recorded_and_a_start_of_it_goes_on(surfaces, tmp_path):
    settings = tiny(backbone="auto", steps=1, fine_tune_steps=1)
    run(surfaces, tmp_path / "run", settings)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["settings"]["backbone"] == LITE
    base = load_bundle(tmp_path / "run" / "base")
    assert base.manifest.settings["backbone"] == LITE
    again = TlsddSettings.model_validate({**base.manifest.settings, "common": (), "rare": ("stain",)})
    bundle = run(surfaces, tmp_path / "again", again, initial_bundle=base)
    for name in ("extractor.body.layer1.0.layers.0.weight", "extractor.fusion.inner_blocks.0.0.weight"):
        np.testing.assert_array_equal(
            bundle.networks["detector"][name], base.networks["detector"][name], err_msg="frozen in phase 2"
        )


def test_the_image_head_learns_from_no_rare_image_but_the_drawn_ones(surfaces, tmp_path):
    split = fitting_of(surfaces, tmp_path / "run", tiny(shots=1)).split
    of_base, of_all = (
        {sample.id for sample in split.labelled_samples(names)}
        for names in (("scratch", "spot"), ("scratch", "spot", "stain"))
    )
    labels = {s.id: {a.label for a in s.annotations} for s in surfaces.split("train").samples}
    assert of_base == {name for name, own in labels.items() if not own or own & {"scratch", "spot"}}
    (drawn,) = split.draw.classes["stain"]
    (image,) = (i.sample.id for i in split.annotated.images if any(box.id == drawn for box in i.boxes))
    assert of_all == of_base | {image}
    assert {name for name, own in labels.items() if own == {"stain"}} - of_all, "others are left out"


@pytest.mark.parametrize(("drawn", "placed"), [("", {"spot"}), ("1", {"spot"}), ("12", {"spot", "stain"})])
def test_the_image_head_is_told_the_places_of_rare_defects_only_where_all_were_drawn(drawn, placed):
    boxes = tuple(
        Boxed(label, (20.0 * number, 0.0, 20.0 * number + 9, 9.0), str(number))
        for number, label in enumerate(("spot", "stain", "stain"))
    )
    marks = tuple(Annotation(box.label, box.box_xyxy, id=box.id) for box in boxes)
    sample = Sample(Path("a.png"), "a", marks)
    found = with_known_places(AnnotatedImage(sample, (9, 60), boxes), {"spot"}, {*drawn})
    assert [mark.label for mark in found.annotations] == ["spot", "stain", "stain"]
    assert {mark.label for mark in found.annotations if mark.has_place} == placed


def test_a_head_that_is_kept_is_a_network_of_the_bundle_and_moves_its_scores(surfaces, tmp_path, monkeypatch):
    torch.manual_seed(0)
    head = ImageHead()
    shift = ImageShift(weight=0.5, mean=-1.0, limit=3.0)
    monkeypatch.setattr(fitting, "trained_image_head", lambda *_, **__: head)
    monkeypatch.setattr(fitting, "fit_image_shift", lambda _detected: shift)
    bundle = run(surfaces, tmp_path / "run", tiny(steps=2, fine_tune_steps=2))
    for each in (bundle, load_bundle(tmp_path / "run" / "base")):
        assert {*each.networks} == {"bank", "detector", ENROLLED, NAME}
        assert TlsddMemory.model_validate(each.manifest.memory).image_shift == shift
    memory = {key: value for key, value in bundle.manifest.memory.items() if key != "image_shift"}
    networks = {name: tensors for name, tensors in bundle.networks.items() if name != NAME}
    plain = replace(bundle, manifest=bundle.manifest.model_copy(update={"memory": memory}), networks=networks)
    pixels = read_image(surfaces.samples[0].image)
    pixels = np.repeat(pixels[:, :, None], 3, 2) if pixels.ndim == 2 else pixels
    moved, own = (inspector_of(each, device="cpu").judge(pixels, "a").score for each in (bundle, plain))
    by = shift.of(head_log_odds(pixels, as_networks({NAME: head}, device="cpu")))
    assert np.log(moved / (1 - moved)) == pytest.approx(np.log(own / (1 - own)) + by, abs=1e-3)


def test_images_that_show_every_class_are_trained_on_and_choose_the_thresholds(surfaces, tmp_path):
    """As circuit boards: the base's thresholds come from the same images, whose rare boxes do not count."""
    marks = tuple(
        Annotation(name, (8.0 + 28 * n, 8.0, 30.0 + 28 * n, 40.0))
        for n, name in enumerate(("scratch", "spot", "stain"))
    )
    dataset = replace(surfaces, samples=tuple(replace(one, annotations=marks) for one in surfaces.samples))
    bundle = run(dataset, tmp_path / "run", tiny())
    base = load_bundle(tmp_path / "run" / "base")
    assert bundle.manifest.class_names == ("scratch", "spot", "stain")
    assert base.manifest.class_names == ("scratch", "spot")
    for each in (base, bundle):
        assert each.manifest.operating_point.escapes.of == len(dataset.split("val"))
    assert base.manifest.data["validated_on"] == bundle.manifest.data["validated_on"]


def test_validation_images_that_tell_nothing_are_refused_before_training(surfaces, tmp_path):
    hidden = (Annotation("stain"),)  # of an unlisted class, and nobody knows where
    samples = tuple(
        replace(one, annotations=(*one.annotations, *hidden)) if one.split == "val" else one
        for one in surfaces.samples
    )
    dataset = replace(surfaces, samples=samples)
    message = r"validation images that show scratch, spot\. Received: none of \d+\."
    with pytest.raises(BlemishError, match=message):
        run(dataset, tmp_path / "run", tiny())
    assert not (tmp_path / "run").exists()
    fitting_of(dataset, tmp_path / "joint", tiny(variant="fr-ff-joint")).check_before_training()
    clean = tuple(replace(one, annotations=()) if one.split == "val" else one for one in surfaces.samples)
    good = replace(surfaces, samples=clean)
    for rules in ({}, {"ng_rule": "overkill<=0.1"}):
        fitting_of(good, tmp_path / "good", tiny(**rules)).check_before_training()
    with pytest.raises(BlemishError, match="thresholds need validation images"):
        fitting_of(good, tmp_path / "good", tiny(ng_rule="f1")).check_before_training()


def test_a_bundle_with_the_bank_of_another_is_refused(unbroken, surfaces, tmp_path):
    foreign = run(surfaces, tmp_path / "run", tiny(), seed=1)
    mixed = replace(unbroken[1], networks={**unbroken[1].networks, "bank": foreign.networks["bank"]})
    with pytest.raises(BlemishError, match="its class bank was made for another detector"):
        inspector_of(mixed, device="cpu")


def test_an_image_of_unlisted_classes_alone_is_left_out_with_a_line(surfaces, tmp_path):
    fitting = fitting_of(surfaces, tmp_path / "run", tiny(rare=()))
    odd = [s for s in surfaces.split("train") if {a.label for a in s.annotations} == {"stain"}]
    images = fitting.split.images("base")
    notes = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert odd and any("unlisted classes alone" in entry.get("note", "") for entry in notes)
    shown = {fitting.split.annotated.images[image.number].sample.id for image in images}
    assert not shown & {sample.id for sample in odd}


def test_strange_boxes_are_cut_left_out_or_kept_and_noted(surfaces, tmp_path):
    samples = list(surfaces.samples)
    place = next(i for i, s in enumerate(samples) if s.split == "train" and s.annotations)
    boxes = [(-10.0, 5.0, 30.0, 40.0), (20.0, 20.0, 20.0, 60.0), (0.0, 0.0, 96.0, 96.0)]
    strange = tuple(Annotation("spot", box, id=f"odd{n}") for n, box in enumerate(boxes))
    samples[place] = replace(samples[place], annotations=strange)
    fitting = fitting_of(replace(surfaces, samples=tuple(samples)), tmp_path / "run", tiny())
    own = next(image for image in fitting.split.annotated.images if image.sample.id == samples[place].id)
    assert [box.box_xyxy for box in own.boxes] == [(0, 5, 30, 40), (0, 0, 96, 96)]
    notes = " ".join(fitting.split.annotated.notes)
    assert "is cut to the image" in notes and "is left out" in notes and "covers the whole image" in notes


def test_maps_of_a_frozen_extractor_are_those_it_gives_and_are_kept():
    detector = Detector(tiny(), 2).eval()
    detector.extractor.requires_grad_(False)
    cache, images = MapCache(detector), torch.rand(2, 3, 64, 96)
    sizes = torch.tensor([[64, 96], [33, 40]])
    maps = cache.of_batch(images, sizes)
    expected = detector.extractor(images[:1])
    small = detector.extractor(images[1:, :, :64, :64])
    for name, one in maps.items():
        torch.testing.assert_close(one[:1], expected[name])
        torch.testing.assert_close(one[1:, :, :, : small[name].shape[-1]], small[name])
        assert not one[1, :, :, small[name].shape[-1] :].any()
    detector.extractor.forward = None
    assert torch.equal(cache.of_batch(images, sizes)["0"], maps["0"])


MIXED = torch.tensor([[64, 96], [33, 40], [60, 90], [96, 60], [33, 40]])  # of cells 2×3, 2×2, 2×3, 3×2, 2×2


def padded_images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    images = torch.zeros(len(MIXED), 3, 96, 96)
    for image, (height, width) in zip(images, MIXED.tolist(), strict=True):
        image[:, :height, :width] = torch.rand(3, height, width, generator=generator)
    return images


@pytest.mark.parametrize("learns", [True, False])
def test_maps_by_size_are_those_of_each_image_alone(learns):
    detector = Detector(tiny(), 2).eval()
    detector.extractor.requires_grad_(learns)
    images = padded_images()
    groups = MapCache(detector).by_size(images, MIXED, gradient=False)
    assert sorted(group.places.tolist() for group in groups) == [[0, 2], [1, 4], [3]]
    for group in groups:
        for row, place in enumerate(group.places.tolist()):
            height, width = (-(-side // 32) * 32 for side in MIXED[place].tolist())
            alone = detector.extractor(images[place : place + 1, :, :height, :width])
            for name, features in group.maps.items():
                torch.testing.assert_close(features[row : row + 1], alone[name])


@pytest.mark.parametrize(("learns", "gradient"), [(True, True), (True, False), (False, True)])
def test_supports_teach_the_extractor_only_where_they_are_to(learns, gradient):
    detector = Detector(tiny(), 2)
    detector.extractor.requires_grad_(learns)
    groups = MapCache(detector).by_size(padded_images(), MIXED, gradient=gradient)
    assert {group.maps["0"].requires_grad for group in groups} == {learns and gradient}


def test_supports_of_several_sizes_are_embedded_as_each_alone():
    detector = Detector(tiny(), 2).eval()
    images = padded_images()
    boxes = torch.tensor([[4.0, 8, 90, 60], [1, 2, 30, 30], [40, 8, 70, 40], [5, 5, 55, 90], [0, 10, 38, 20]])
    vectors = torch.linspace(0.5, 1.5, len(boxes))[:, None].repeat(1, detector.settings.width)
    cache = MapCache(detector)

    def embedded(*places):
        chosen = torch.tensor(places)
        maps = cache.by_size(images[chosen], MIXED[chosen], gradient=False)
        return detector.embed_supports(maps, boxes[chosen], MIXED[chosen], vectors[chosen])

    with torch.no_grad():
        alone = torch.cat([embedded(place) for place in range(5)])
        torch.testing.assert_close(embedded(*range(5)), alone)
        torch.testing.assert_close(embedded(3, 1, 0, 4, 2), alone[[3, 1, 0, 4, 2]])


@pytest.mark.parametrize("changes", [{}, {"feature_fusion": False}, {"deepest": "layer4"}])
def test_maps_about_a_support_give_the_features_that_the_whole_image_gives(changes):
    detector = Detector(tiny(trainable_stages=0, **changes), 2).eval()
    images = padded_images()
    boxes = torch.tensor(
        [[4.0, 8, 9, 14], [1, 2, 30, 30], [70, 40, 90, 60], [5, 80, 55, 96], [0, 10, 38, 20]]
    )
    large = functional.interpolate(images, scale_factor=4)
    cache = MapCache(detector)
    maps, moved, sizes = cache.of_supports(large, 4 * MIXED, 4 * boxes, gradient=False)
    assert max(group.maps["0"].shape[-1] for group in maps) < large.shape[-1] / 4, "windows"
    vectors = torch.ones(len(boxes), detector.settings.width)
    with torch.no_grad():
        whole = cache.by_size(large, 4 * MIXED, gradient=False)
        expected = detector.embed_supports(whole, 4 * boxes, 4 * MIXED, vectors)
        torch.testing.assert_close(
            detector.embed_supports(maps, moved, sizes, vectors), expected, atol=1e-5, rtol=1e-4
        )


@pytest.mark.parametrize("trainable", [0, 1, 5])
def test_a_frozen_backbone_runs_once_for_each_image_and_the_pyramid_learns(trainable, monkeypatch):
    detector = Detector(tiny(trainable_stages=trainable), 2)
    frozen = tuple(detector.extractor.body)[: 4 - min(4, trainable)]
    assert detector.extractor.frozen_stages == frozen
    cache, images, sizes = MapCache(detector), torch.rand(2, 3, 64, 96), torch.tensor([[64, 96]] * 2)
    torch.testing.assert_close(cache.of_batch(images, sizes), detector.extractor(images))
    calls = []
    detector.extractor.body["stem"].register_forward_hook(lambda *_: calls.append(1))
    maps = cache.of_batch(images, sizes)
    assert bool(calls) == (trainable == 5)
    maps["0"].sum().backward()
    learned = {name for name, each in detector.extractor.body.items() if any_gradient(each)}
    assert learned <= {*detector.extractor.body} - {*frozen} and bool(learned) == bool(trainable)
    assert any_gradient(detector.extractor.fusion)


def any_gradient(module):
    return any(each.grad is not None and each.grad.any() for each in module.parameters())


@pytest.mark.parametrize(("images", "rare_share"), [("by_class", 1 / 3), ("uniform", None)])
def test_phase_two_without_episodes_sees_each_class_as_often(surfaces, tmp_path, images, rare_share):
    """Drawn image by image, the two rare boxes hardly occur."""
    settings = tiny(variant="tl-ff", fine_tune_images=images, batch=3, clean_queries=0)
    sampler = fitting_of(surfaces, tmp_path, settings).sampler("mixed", 1)
    shown = np.mean([(sampler.draw(step)["labels"] == 2).any(1).float().mean() for step in range(60)])
    if rare_share is None:
        assert shown < 0.2
    else:
        assert shown >= rare_share - 1e-6


def test_both_phases_see_images_without_a_defect(surfaces, tmp_path):
    fitting = fitting_of(surfaces, tmp_path, tiny(clean_queries=2))
    for phase in ("base", "mixed"):
        batch = fitting.sampler(phase, 0).draw(0)
        clean = (batch["labels"] == -1).all(1)
        assert clean.sum() == 2 and len(batch["images"]) == len(batch["classes"]) + 2


def test_plain_images_of_two_shapes_are_kept_apart():
    detector = Detector(tiny(), 2).eval()
    detector.extractor.requires_grad_(False)
    cache = MapCache(detector)
    for size in ((64, 128), (128, 64)):
        maps = cache.of_batch(torch.zeros(1, 3, *size), torch.tensor([size]))
        assert maps["0"].shape[2:] == (size[0] // 4, size[1] // 4)


def test_the_score_threshold_is_where_f1_is_best():
    """By hand: 0.9 right, 0.8 wrong, 0.7 right, 0.3 wrong; two true boxes. F1 is best with three taken."""
    from blemish.dataset.boxes import Boxed
    from blemish.defect import Defect, Rectangle

    def found(score, left, label="a"):
        box = (left, 0.0, left + 10, 10.0)
        return Defect(label, score, box, (), Rectangle((0, 0), 1, 1, 0), 100.0)

    truth = (Boxed("a", (0, 0, 10, 10), "1"), Boxed("a", (50, 0, 60, 10), "2"))
    candidates = (found(0.9, 0), found(0.8, 0), found(0.7, 51), found(0.3, 90), found(0.2, 50, "b"))
    detected = ValidationDetections((truth,), (candidates,), (False,))
    assert score_threshold(detected, clean_weight=1) == pytest.approx(0.5)
    assert score_threshold(ValidationDetections(((),), ((),), (True,)), clean_weight=1) == 0.5


def test_a_class_without_boxes_is_not_learned_or_where_it_is_named_stays_unknown_with_a_note(
    surfaces, tmp_path
):
    lines = []
    without = fitting_of(surfaces, tmp_path / "without", tiny(common=(), rare=()), notes=lines)
    assert without.split.common == tuple(n for n in surfaces.class_names if n in ("scratch", "spot", "stain"))
    assert any(
        "Not learned, as split 'train' has no box of them: " in line and "crack" in line for line in lines
    )
    bundle = run(surfaces, tmp_path / "run", tiny(common=("scratch", "crack"), rare=()))
    assert bundle.networks["bank"]["known"].tolist() == [True, False]
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "Class 'crack' has no box in split 'train', so it is never found." in log


def test_a_draw_without_a_rare_class_is_refused(surfaces, tmp_path):
    file = tmp_path / "draw.json"
    save_support_set(sample_support_set(surfaces, ("scratch", "spot"), 2, seed=7), file)
    with pytest.raises(BlemishError, match=r"draw\.json must name boxes of every rare class.*'stain'"):
        run(surfaces, tmp_path / "run", tiny(draw_file=str(file)))
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_going_on_needs_no_backbone_weights(unbroken, surfaces, tmp_path):
    """The base bundle may come from another machine, which had them."""
    folder, bundle = unbroken
    settings = tiny(backbone_weights=str(tmp_path / "gone.safetensors"))
    same_tensors(
        bundle, run(surfaces, tmp_path / "run", settings, initial_bundle=load_bundle(folder / "base"))
    )


@pytest.mark.parametrize(
    ("changes", "views"), [({}, 4), ({"flips": False}, 1), ({"tile": 128, "size": 160}, None)]
)
def test_each_image_that_a_batch_reads_asks_the_cache_for_a_view(surfaces, tmp_path, changes, views):
    """As the time plan takes it for granted."""
    fitting = fitting_of(surfaces, tmp_path, tiny(**{"overlap": 32, **changes}))
    assert fitting.views == views
    detector = fitting.new_detector(fitting.split.common)
    detector.extractor.requires_grad_(False)
    reads, read = [], fitting.trainer.read

    def counted(sample, channels):
        reads.append(sample.id)
        return read(sample, channels)

    fitting.trainer.read = counted
    maps = MapCache(detector, views=fitting.views)
    total_loss(detector, fitting.sampler("base", BASE).draw(0), maps)
    use = maps.memory.use
    assert use.requests == len(reads) > 0 and use.kept == use.computed <= len(reads)
    assert use.num_bytes == sum(m.nbytes for maps in maps.memory.results.values() for m in maps.values())
