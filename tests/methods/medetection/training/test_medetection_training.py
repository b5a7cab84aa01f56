"""Meta-training, starts, fine-tuning and the protocol, on tiny products."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from blemish.bundle import load_bundle
from blemish.bundle.manifest import known_images
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.layouts import load_dataset
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.product_sets.write import write_product as collected
from blemish.dataset.splits.split import split_dataset
from blemish.errors import BlemishError
from blemish.inspector.loading import inspector_of, open_inspector
from blemish.methods.medetection import METHOD
from blemish.methods.medetection.network.difference import DifferenceNetwork
from blemish.methods.medetection.training.episodes import support_query_split
from blemish.methods.medetection.training.feature_cache import FeatureCache
from blemish.methods.medetection.training.products import products_of
from blemish.methods.medetection.training.run import MedetectionTraining
from blemish.nn.weights import load_state
from blemish.progress import Reporter
from blemish.training.trainer import RunTrainer
from tests.methods.medetection.conftest import tiny, with_splits, write_product

SHORT = {"meta_steps": 2, "steps": 2, "check_every": 2}


def test_auroc(bundle, samples) -> float:
    inspector = inspector_of(bundle, device="cpu")
    scores = [inspector.inspect(sample.image).score for sample in samples]
    return roc_auc_score([sample.is_defective for sample in samples], scores)


test_auroc.__test__ = False


def training_of(dataset, settings, trainer) -> MedetectionTraining:
    cache = FeatureCache(dataset.samples, settings, lambda sample: trainer.read(sample, 3))
    return MedetectionTraining(dataset, settings, trainer, products_of(dataset, settings, trainer), cache)


@pytest.fixture(scope="module")
def trained(plates, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    return folder, run(plates, folder, tiny(target="lid"))


def test_a_product_left_out_of_meta_training_is_learned(trained, lid):
    _, bundle = trained
    assert test_auroc(bundle, lid.split("test").samples) > 0.95
    assert bundle.manifest.memory["product"] == "lid"
    assert bundle.manifest.memory["products"] == ["bolt", "cap", "gear"]


def test_references_are_training_normals_of_the_target_alone(trained, plates):
    _, bundle = trained
    samples = {sample.id: sample for sample in plates}
    chosen = [samples[one] for one in bundle.manifest.memory["references"]]
    assert len(chosen) == 2 == len(bundle.networks["references"]["pictures"])
    assert {(one.product, one.split, one.is_defective) for one in chosen} == {("lid", "train", False)}


def test_shuffled_labels_learn_nothing(plates, lid, run, tmp_path):
    generator = np.random.default_rng(0)
    learning = [sample for sample in lid if sample.split != "test"]
    marks = [sample.annotations for sample in learning]
    order = generator.permutation(len(marks))
    mixed = {
        sample.id: replace(sample, annotations=marks[place])
        for sample, place in zip(learning, order, strict=True)
    }
    shuffled = replace(lid, samples=tuple(mixed.get(sample.id, sample) for sample in lid))
    bundle = run(shuffled, tmp_path / "run", tiny())
    assert test_auroc(bundle, lid.split("test").samples) < 0.9


def test_fine_tuning_begins_at_what_meta_training_found(trained, plates, lid, run, tmp_path):
    """The authors' script loads those weights and does not use them."""
    folder, _ = trained
    start = load_bundle(folder / "start")
    torch.manual_seed(0)
    random = DifferenceNetwork(tiny())
    load_state(random, start.networks["network"], "start")
    for name, tensor in random.state_dict().items():
        np.testing.assert_array_equal(tensor, start.networks["network"][name])
    torch.manual_seed(0)
    fresh = DifferenceNetwork(tiny()).state_dict()
    changed = [name for name, tensor in fresh.items() if not torch.equal(tensor, random.state_dict()[name])]
    assert len(changed) > len(fresh) / 2
    settings = tiny(steps=1, learning_rate=1e-9, check_every=1)
    from_start = run(lid, tmp_path / "warm", settings, initial_bundle=start)
    from_random = run(lid, tmp_path / "cold", settings)
    warm, cold = (one.manifest.curves["adaptation"]["looks"][0] for one in (from_start, from_random))
    assert warm["log_likelihood"] > cold["log_likelihood"]
    weight = "blocks.0.conv.weight"
    np.testing.assert_allclose(
        from_start.networks["network"][weight], start.networks["network"][weight], atol=1e-6
    )


def test_a_start_serves_a_product_of_its_own_folder(trained, lid, run, tmp_path):
    folder, bundle = trained
    start = load_bundle(folder / "start")
    assert start.manifest.memory == {"product": "", "products": ["bolt", "cap", "gear"], "references": []}
    again = run(lid, tmp_path / "run", tiny(), initial_bundle=start)
    assert again.manifest.memory["products"] == ["bolt", "cap", "gear"]
    assert test_auroc(again, lid.split("test").samples) > 0.95
    # The same product by either way: the same start, the same draws, the same weights.
    for name, tensor in bundle.networks["network"].items():
        np.testing.assert_array_equal(tensor, again.networks["network"][name], err_msg=name)


def test_a_start_judges_nothing(trained):
    folder, _ = trained
    with pytest.raises(BlemishError, match=r"starting point.*--from"):
        open_inspector(folder / "start")


def test_meta_training_alone_leaves_a_start(plates, run, tmp_path):
    bundle = run(plates, tmp_path / "run", tiny(**SHORT))
    assert bundle.manifest.memory["product"] == "" and len(bundle.manifest.memory["products"]) == 4
    assert bundle.manifest.thresholds == {} and bundle.manifest.settings["target"] is None


def test_the_settings_of_a_start_serve_another_product(trained, lid, run, tmp_path):
    """As `train --from` takes them over."""
    start = load_bundle(trained[0] / "start")
    settings = type(tiny()).model_validate({**start.manifest.settings, **SHORT})
    assert settings.target is None
    assert run(lid, tmp_path / "run", settings, initial_bundle=start).manifest.memory["product"]
    tuned = load_bundle(trained[0] / "bundle")
    settings = type(tiny()).model_validate({**tuned.manifest.settings, **SHORT})
    assert run(lid.split("train"), tmp_path / "again", settings, initial_bundle=tuned).manifest.memory[
        "product"
    ]


def learned_from(dataset) -> set[str]:
    return set(image_digests(dataset.where(lambda sample: sample.split in ("train", "val"))))


def test_a_start_has_not_learned_from_the_target_and_a_bundle_knows_all_its_products(
    trained, plates, lid, run, tmp_path
):
    folder, bundle = trained
    start, own = load_bundle(folder / "start"), learned_from(lid)
    others = learned_from(plates) - own
    assert known_images(start.manifest.data) == others
    again = run(lid, tmp_path / "again", tiny(**SHORT), initial_bundle=start)
    for tuned in (bundle, again):
        assert known_images(tuned.manifest.data) == own | others
        assert set(tuned.manifest.data["trained_on_before"]) == others


def test_a_bundle_passes_on_what_it_was_and_goes_on_with_its_own_product(trained, plates, run, tmp_path):
    _, bundle = trained
    lid = of_product(plates, "lid")
    same = run(lid, tmp_path / "same", tiny(target="lid", **SHORT), initial_bundle=bundle)
    assert same.manifest.memory["products"] == ["bolt", "cap", "gear"]
    assert same.manifest.data["trained_on_before"] == bundle.manifest.data["trained_on_before"]
    write_product(tmp_path / "nut", 9)
    new = split_dataset(load_dataset(tmp_path / "nut"), test=0.3, val=0.3, seed=0)
    other = run(new, tmp_path / "other", tiny(**SHORT), initial_bundle=same)
    assert other.manifest.memory["products"] == ["bolt", "cap", "gear", "lid"]
    assert set(other.manifest.data["trained_on_before"]) == known_images(bundle.manifest.data)
    with pytest.raises(BlemishError, match=r"must not have learned from the target\. Received: 'lid'"):
        run(lid, tmp_path / "back", tiny(target="lid", **SHORT), initial_bundle=other)


def test_the_seed_decides_and_a_resumed_run_ends_the_same(trained, plates, run, tmp_path, monkeypatch):
    _, unbroken = trained
    validate, calls = MedetectionTraining.validate_target, []

    def stops(self, network):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return validate(self, network)

    settings = tiny(target="lid", checkpoint_every=5)
    monkeypatch.setattr(MedetectionTraining, "validate_target", stops)
    with pytest.raises(KeyboardInterrupt):
        run(plates, tmp_path / "run", settings)
    monkeypatch.undo()
    resumed = run(plates, tmp_path / "run", settings, resume=True)
    for name, tensor in unbroken.networks["network"].items():
        np.testing.assert_array_equal(tensor, resumed.networks["network"][name], err_msg=name)


# Every switch


@pytest.mark.parametrize(
    "changes",
    [
        {"siamese": False},
        {"attention": "both", "norm": "batch"},
        {"adapt": "all", "order": "first", "inner_steps": 2},
        {"resize_difference": True, "stem_activation": False, "reset_head": True},
        {"backbone": "resnet18", "backbone_weights": "none", "backbone_level": "layer1", "precision": "bf16"},
        {"align": "nearest", "bank": 6},
        {"align": "rigid"},
        {"maml": False},
    ],
    ids=lambda changes: "-".join(map(str, changes)),
)
def test_every_switch_trains_and_judges(changes, plates, run, tmp_path):
    bundle = run(plates, tmp_path / "run", tiny(target="lid", **SHORT, **changes))
    inspector = open_inspector(bundle.path, device="cpu")
    scores = [inspector.inspect(sample.image).score for sample in plates.samples[:2]]
    assert all(0 <= score <= 1 for score in scores)


def test_validation_judges_as_inspection_does(trained, plates, tmp_path):
    """The probabilities that training ends by are those of the bundle."""
    _, bundle = trained
    settings = tiny(target="lid")
    (tmp_path / "other").mkdir()
    trainer = RunTrainer(tmp_path / "other", settings, seed=0, reporter=Reporter(quiet=True))
    training = training_of(plates, settings, trainer)
    network = DifferenceNetwork(settings)
    load_state(network, bundle.networks["network"], "bundle")
    found, labels = training.predict_validation(network.eval())
    samples = of_product(plates, "lid").split("val").samples
    inspector = inspector_of(bundle, device="cpu")
    expected = [inspector.inspect(sample.image).score for sample in samples]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert labels.tolist() == [int(sample.is_defective) for sample in samples]


def without_defects_in_val(plates, *names: str):
    """The defective validation images of these products are for training instead."""
    moved = [s for s in plates if s.product in names and s.split == "val" and s.is_defective]
    return plates.with_splits({s.id: "train" if s in moved else s.split for s in plates})


@pytest.mark.parametrize("names", [("cap",), ("bolt", "cap", "gear")])
def test_meta_training_is_judged_on_validation_images_where_a_product_has_them(plates, tmp_path, names):
    dataset, settings = without_defects_in_val(plates, *names), tiny(target="lid")
    trainer = RunTrainer(tmp_path, settings, seed=0, reporter=Reporter(quiet=True))
    training = training_of(dataset, settings, trainer)
    pools = [support_query_split(product, 0.7, 0) for product in training.products.others]
    found = list(training.held_out(pools).values())
    judged = {
        one.name: {dataset.samples[n].split for n in (*one.normals, *one.defectives)} for _, one in found
    }
    (note,) = training.products.notes
    if len(names) == 3:
        assert found == pools
        assert "No product of meta-training has both" in note
    else:
        assert judged == {"bolt": {"val"}, "gear": {"val"}}
        assert "chosen without cap:" in note
    figures = training.validate_adaptation(DifferenceNetwork(settings), pools)
    assert 0 <= figures["auroc"] <= 1


def test_a_product_left_out_of_validation_is_named_in_the_report(plates, run, tmp_path):
    dataset = without_defects_in_val(plates, "cap")
    bundle = run(dataset, tmp_path / "run", tiny(target="lid", **SHORT))
    assert ["chosen without cap" in note for note in bundle.manifest.notes] == [True]


# Few images


def test_shots_are_shared_out_between_training_and_validation(plates, run, tmp_path):
    bundle = run(plates, tmp_path / "run", tiny(target="lid", shots=10, **SHORT))
    splits = bundle.manifest.data["splits"]
    assert (splits["train"], splits["val"]) == (8, 2)
    assert splits["test"] == of_product(plates, "lid").splits["test"]


def test_the_fewest_shots_suffice(plates, run, tmp_path):
    """One fewer would leave a single normal for training, an image without a reference."""
    bundle = run(plates, tmp_path / "run", tiny(target="lid", shots=5, **SHORT))
    assert (bundle.manifest.data["splits"]["train"], bundle.manifest.data["splits"]["val"]) == (3, 2)
    with pytest.raises(ValueError, match=r"shots\n.*greater than or equal to 5"):
        tiny(target="lid", shots=4)


def test_more_shots_than_images_are_refused(plates, run, tmp_path):
    with pytest.raises(
        BlemishError, match=r"setting shots: 'lid' must have enough images in train and val.*Received: 200"
    ):
        run(plates, tmp_path / "run", tiny(target="lid", shots=200))


# Refusals


def test_a_planted_leak_is_refused(tmp_path, run):
    write_product(tmp_path / "data" / "lid", 3)
    write_product(tmp_path / "data" / "cap", 1)
    dataset = with_splits(load_dataset(tmp_path / "data"))
    test, train = (next(s for s in dataset if s.split == split) for split in ("test", "train"))
    shutil.copy(test.image, train.image)
    with pytest.raises(BlemishError, match="must not be learned from") as caught:
        run(dataset, tmp_path / "run", tiny(target="lid", **SHORT))
    assert str(test.image) in str(caught.value) and str(train.image) in str(caught.value)


def test_a_start_that_saw_a_test_image_is_refused(trained, lid, run, tmp_path):
    start = load_bundle(trained[0] / "start")
    image = lid.split("test").samples[0].image
    from blemish.dataset.hashing import file_hash

    data = {**start.manifest.data, "trained_on": [file_hash(image)[:12]]}
    spoilt = replace(start, manifest=start.manifest.model_copy(update={"data": data}))
    with pytest.raises(BlemishError, match="must not have learned from a test image") as caught:
        run(lid, tmp_path / "run", tiny(**SHORT), initial_bundle=spoilt)
    assert str(image) in str(caught.value)


@pytest.mark.parametrize("name", ["start", "bundle"])
def test_a_start_that_learned_the_target_by_another_name_is_refused(trained, plates, run, tmp_path, name):
    start = load_bundle(trained[0] / name)
    cap = of_product(plates, "cap")
    renamed = replace(cap, samples=tuple(replace(sample, product="hat") for sample in cap))
    with pytest.raises(BlemishError, match="must not have learned from an image of the target") as caught:
        run(renamed, tmp_path / "run", tiny(target="hat", **SHORT), initial_bundle=start)
    assert "cap" in str(caught.value) and not (tmp_path / "run").exists()


def test_a_product_that_refers_to_its_images_is_called_by_its_own_folder(run, tmp_path):
    """Several products of a collection may share the folder of the images."""
    write_product(tmp_path / "pictures", 3)
    whole = split_dataset(load_dataset(tmp_path / "pictures"), test=0.3, val=0.3, seed=0)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        collected(whole, tmp_path / name)
        bundle = run(load_dataset(tmp_path / name), tmp_path / f"run-{name}", tiny(**SHORT))
        assert bundle.manifest.memory["product"] == name


def test_a_start_that_learned_the_target_is_refused(trained, plates, run, tmp_path):
    start = load_bundle(trained[0] / "start")
    with pytest.raises(BlemishError, match=r"must not have learned from the target\. Received: 'cap'"):
        run(plates, tmp_path / "run", tiny(target="cap", **SHORT), initial_bundle=start)


def test_a_start_of_another_network_is_refused(trained, lid, run, tmp_path):
    start = load_bundle(trained[0] / "start")
    with pytest.raises(BlemishError, match=r"setting widths must stay as in .* widths=8\."):
        run(lid, tmp_path / "run", tiny(widths=16, **SHORT), initial_bundle=start)
    with pytest.raises(BlemishError, match="setting stem_activation"):
        run(lid, tmp_path / "other", tiny(stem_activation=False, **SHORT), initial_bundle=start)


def test_a_broken_image_of_the_target_is_found_before_meta_training(tmp_path, run):
    for number, name in enumerate(("lid", "cap")):
        write_product(tmp_path / "data" / name, number)
    dataset = with_splits(load_dataset(tmp_path / "data"))
    broken = next(s.image for s in dataset if s.product == "lid" and s.split == "val")
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(BlemishError, match="must be a whole image") as caught:
        run(dataset, tmp_path / "run", tiny(target="lid", **SHORT))
    assert str(broken) in str(caught.value)
    assert not (tmp_path / "run").exists()  # no step of training was made


def test_a_target_among_the_others_is_refused():
    with pytest.raises(ValueError, match="others must not hold the target"):
        tiny(target="lid", others=("cap", "lid"))


@pytest.mark.parametrize("kind", ["good", "bad"])
@pytest.mark.parametrize("product", ["lid", "cap"])
def test_a_product_of_one_kind_is_refused(tmp_path, run, kind, product):
    for number, name in enumerate(("lid", "cap")):
        write_product(tmp_path / "data" / name, number)
    dataset = with_splits(load_dataset(tmp_path / "data"))
    kept = dataset.where(lambda s: s.product != product or (s.is_defective == (kind == "good")))
    wanted = "normal" if kind == "good" else "defective"
    with pytest.raises(BlemishError, match=f"product '{product}' must have . {wanted} image"):
        run(kept, tmp_path / "run", tiny(target="lid", **SHORT))


def test_several_products_after_a_start_need_a_target(trained, plates, run, tmp_path):
    start = load_bundle(trained[0] / "start")
    with pytest.raises(BlemishError, match=r"setting target must name the product.*bolt, cap"):
        run(plates, tmp_path / "run", tiny(**SHORT), initial_bundle=start)


def test_a_target_in_a_dataset_of_one_product_is_its_own_name_or_refused(lid, run, tmp_path):
    with pytest.raises(BlemishError, match="must be a folder of products"):
        run(lid, tmp_path / "run", tiny(target="lid", **SHORT))
    bundle = run(lid, tmp_path / "run", tiny(target=lid.root.name, **SHORT))
    assert bundle.manifest.memory["product"] == lid.root.name


def test_others_that_nothing_learns_from_are_refused(trained, lid, run, tmp_path):
    with pytest.raises(BlemishError, match=r"setting others: .* must be a folder.*Received: cap, gear\."):
        run(lid, tmp_path / "run", tiny(others=("cap", "gear"), **SHORT))
    start = load_bundle(trained[0] / "start")
    with pytest.raises(
        BlemishError, match=r"setting others: .*no meta-training\. Received: cap, with --from"
    ):
        run(lid, tmp_path / "run", tiny(others=("cap",), **SHORT), initial_bundle=start)
    assert not (tmp_path / "run").exists()


def test_others_that_the_start_learned_from_or_was_given_are_no_mistake(trained, lid, run, tmp_path):
    start = load_bundle(trained[0] / "start")
    names = ("gear", "bolt", "cap")
    bundle = run(lid, tmp_path / "run", tiny(others=names, **SHORT), initial_bundle=start)
    assert bundle.manifest.settings["others"] == list(names)
    memory = {**bundle.manifest.memory, "products": ["bolt", "cap", "gear", "nut"]}
    longer = replace(bundle, manifest=bundle.manifest.model_copy(update={"memory": memory}))
    settings = type(tiny()).model_validate(bundle.manifest.settings)  # as `train --from` takes them over
    assert run(lid, tmp_path / "on", settings, initial_bundle=longer).manifest.memory["products"][-1] == "nut"


def test_meta_training_needs_other_products(plates, run, tmp_path):
    own = of_product(plates, "lid")
    with pytest.raises(BlemishError, match="meta-training needs products besides 'lid'"):
        run(own, tmp_path / "run", tiny(target="lid", **SHORT))


def test_the_method_needs_no_weights_to_open_a_bundle(trained):
    _, bundle = trained
    modules = METHOD.modules(bundle.manifest)
    assert set(modules) == {"network", "references"}


def test_the_bundle_is_opened_where_it_was_moved(trained, tmp_path, lid):
    folder, bundle = trained
    moved = Path(shutil.copytree(folder / "bundle", tmp_path / "moved"))
    sample = lid.samples[0].image
    assert open_inspector(moved, device="cpu").inspect(sample).score == pytest.approx(
        inspector_of(bundle, device="cpu").inspect(sample).score
    )


def test_images_of_several_sizes_are_compared_all_the_same(tmp_path, run):
    """References of one size, images of another: all are brought to the network's square."""
    write_product(tmp_path / "lid", 3)
    for number, file in enumerate(sorted((tmp_path / "lid").rglob("*.png"))):
        if number % 3:
            picture = cv2.imread(str(file))
            cv2.imwrite(str(file), cv2.resize(picture, (40 + number % 5, 90)))
    dataset = split_dataset(load_dataset(tmp_path / "lid"), test=0.3, val=0.3, seed=0)
    bundle = run(dataset, tmp_path / "run", tiny())
    assert test_auroc(bundle, dataset.split("test").samples) > 0.9
    found = inspector_of(bundle, device="cpu").inspect(dataset.samples[1].image, with_maps=True)
    assert found.maps["heat_map"].shape == found.size


FROZEN = {
    "backbone": "resnet18",
    "backbone_level": "layer2+layer3",
    "linear_path": "deviations",
    "maml": False,
    "early_stopping": False,
    "schedule": "cosine",
    "steps": 10,
    "check_every": 4,
}


@pytest.fixture(scope="module")
def beside(plates, run, tmp_path_factory):
    return run(plates, tmp_path_factory.mktemp("beside") / "run", tiny(target="lid", **FROZEN))


def test_a_linear_path_travels_with_the_bundle_and_is_judged_as_in_training(beside, plates, tmp_path):
    settings = tiny(target="lid", **FROZEN)
    training = training_of(
        plates, settings, RunTrainer(tmp_path, settings, seed=0, reporter=Reporter(quiet=True))
    )
    network = DifferenceNetwork(settings)
    load_state(network, beside.networks["network"], "bundle")
    assert network.linear.weight.abs().sum() > 0
    found, _ = training.predict_validation(network.eval())
    inspector = inspector_of(beside, device="cpu")
    expected = [
        inspector.inspect(sample.image).score for sample in of_product(plates, "lid").split("val").samples
    ]
    np.testing.assert_allclose(found, expected, atol=2e-3)  # features are cached in half precision


def test_without_early_stopping_the_last_state_is_kept_and_validations_tell_its_course(beside):
    curve = beside.manifest.curves["adaptation"]
    assert [look["step"] for look in curve["looks"]] == [0, 4, 8, 10]
    assert curve["best_step"] == 10
