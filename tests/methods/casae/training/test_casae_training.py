"""Both autoencoders, threshold and types on tiny settings, and what the data may be like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from blemish.bundle import Bundle
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.dataset.synthetic import synthesise
from blemish.errors import BlemishError
from blemish.evaluation.run import evaluate_samples
from blemish.inspector.loading import inspector_of
from blemish.inspector.torch_backend import load_tensors
from blemish.methods.casae import METHOD
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.casae.training.run import CasaeTraining
from blemish.progress import Reporter
from blemish.training.request import Request
from blemish.training.run import train, with_validation
from blemish.training.trainer import RunTrainer

PLAIN = {
    "rotation_deg": 0, "translation": 0, "zoom": 0, "shear": 0, "elastic_alpha": 0, "flips": False,
    "noise": 0, "illumination": 0, "contrast": 0,
}  # fmt: skip
SHORT = {"steps": 3, "second_steps": 2, "types_steps": 2}


def tiny(**changes) -> CasaeSettings:
    return CasaeSettings(**{"preset": "tiny", "device": "cpu", "precision": "fp32", **changes})


def run(dataset: Dataset, out: Path, settings: CasaeSettings, **more) -> Bundle:
    return train(Request(METHOD, dataset, settings, out, **more), Reporter(quiet=True))


def same_tensors(one: Bundle, other: Bundle, prefix: str = "") -> bool:
    return all(
        np.array_equal(tensor, other.networks[network][name])
        for network, tensors in one.networks.items()
        for name, tensor in tensors.items()
        if f"{network}.{name}".startswith(prefix)
    )


def f1(bundle: Bundle, dataset: Dataset) -> float:
    evaluator = evaluate_samples(
        inspector_of(bundle, device="cpu"), dataset.split("test"), Reporter(quiet=True)
    )
    return evaluator.result(method="casae", split="test", seed=0).metrics["pixel"]["f1"]


@pytest.fixture(scope="module")
def surfaces(tmp_path_factory) -> Dataset:
    return synthesise(
        tmp_path_factory.mktemp("casae") / "data",
        surfaces=["cast_metal"],
        images=24,
        seed=3,
        size=(96, 96),
        class_weights={"scratch": 1, "spot": 1},
        contrast=(70, 120),
        defective_share=0.9,
    )


@pytest.fixture(scope="module")
def trained(surfaces, tmp_path_factory) -> Bundle:
    settings = tiny(size=96, steps=150, second_steps=60, types_steps=5, **PLAIN)
    return run(surfaces, tmp_path_factory.mktemp("trained") / "run", settings)


def test_defects_are_found_where_masks_say(trained, surfaces):
    assert f1(trained, surfaces) > 0.5


def test_flat_maps_are_noted(surfaces, trained, tmp_path):
    run(surfaces, tmp_path / "run", tiny(**SHORT))
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert "the first network is still on its first plateau. Raise steps or" in log
    assert "plateau" not in (trained.path.parent / "log.jsonl").read_text()


@pytest.mark.parametrize(("flat", "setting"), [("first", "steps"), ("second", "second_steps")])
def test_the_network_of_a_cascade_that_tells_nothing_is_named(surfaces, trained, tmp_path, flat, setting):
    """Without the weights of its last layer a network's map is of one value."""
    settings = CasaeSettings.model_validate(trained.manifest.settings)
    cascade = METHOD.modules(trained.manifest)["cascade"]
    load_tensors({"cascade": cascade}, {"cascade": trained.networks["cascade"]}, source="trained")
    torch.nn.init.zeros_(getattr(cascade, flat).output.weight)
    trainer = RunTrainer(tmp_path, settings, seed=0, reporter=Reporter(quiet=True))
    CasaeTraining(with_validation(surfaces, 0, Reporter(quiet=True)), settings, trainer).choose_thresholds(
        cascade
    )
    log = (tmp_path / "log.jsonl").read_text()
    assert f"the {flat} network is still on its first plateau. Raise {setting} or" in log


def test_masks_of_other_images_teach_nothing(surfaces, tmp_path):
    learning = [sample for sample in surfaces if sample.split in ("train", "val")]
    moved = {
        sample.id: replace(sample, annotations=learning[number - 1].annotations)
        for number, sample in enumerate(learning)
    }
    shuffled = replace(surfaces, samples=tuple(moved.get(sample.id, sample) for sample in surfaces))
    settings = tiny(size=96, steps=150, second_steps=60, types_steps=5, **PLAIN)
    assert f1(run(shuffled, tmp_path / "run", settings), surfaces) < 0.3


def test_the_second_is_trained_on_the_frozen_first(surfaces, tmp_path):
    both = run(surfaces, tmp_path / "both", tiny(**SHORT))
    longer = run(surfaces, tmp_path / "longer", tiny(**{**SHORT, "second_steps": 4}))
    assert same_tensors(both, longer, "cascade.first")
    assert not same_tensors(both, longer, "cascade.second")


def test_a_single_autoencoder_and_types_can_be_had_alone(surfaces, tmp_path):
    bundle = run(surfaces, tmp_path / "run", tiny(cascade=False, types=False, **SHORT))
    assert set(bundle.networks) == {"cascade"}
    assert not [name for name in bundle.networks["cascade"] if name.startswith("second")]


@pytest.mark.parametrize("stage", ["first", "second", "types"])
def test_a_run_killed_in_any_stage_resumes_to_the_same_weights(surfaces, tmp_path, monkeypatch, stage):
    settings = tiny(checkpoint_every=1, **SHORT)
    unbroken = run(surfaces, tmp_path / "unbroken", settings)
    advance = RunTrainer.advance

    def stops(self, of, step, *rest):
        if of.name == stage and step == 1:
            raise KeyboardInterrupt
        return advance(self, of, step, *rest)

    monkeypatch.setattr(RunTrainer, "advance", stops)
    with pytest.raises(KeyboardInterrupt):
        run(surfaces, tmp_path / "broken", settings)
    monkeypatch.undo()
    assert same_tensors(unbroken, run(surfaces, tmp_path / "broken", settings, resume=True))


def test_a_threshold_that_is_given_stays_and_else_one_is_chosen(surfaces, tmp_path, trained):
    given = run(surfaces, tmp_path / "run", tiny(gray_threshold=100, **SHORT))
    assert given.manifest.thresholds["probability"] == pytest.approx(1 - 100 / 255)
    assert 0 < trained.manifest.thresholds["probability"] < 1
    assert trained.manifest.curves["threshold_sweep"]


@pytest.mark.parametrize(
    "changes",
    [{"second_sees_image": True, "channels": 3}, {"atrous": False}, {"tiled": True, "patch": 64}],
    ids=str,
)
def test_every_switch_trains_and_judges(surfaces, tmp_path, changes):
    bundle = run(surfaces, tmp_path / "run", tiny(**SHORT, **changes))
    found = inspector_of(bundle, device="cpu").inspect(surfaces.samples[0].image, with_maps=True)
    assert found.maps["score_map"].shape == (96, 96)


# What the data may be like


def written(root: Path, masks: dict[str, np.ndarray], draw=None) -> Dataset:
    """A pairs dataset: each mask beside a noisy gray image."""
    generator = np.random.default_rng(0)
    for name, mask in masks.items():
        noise = generator.integers(90, 140, mask.shape).astype(np.uint8)
        pixels = noise if draw is None else draw(mask)
        for folder, content in (("image", pixels), ("mask", mask)):
            (root / folder).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / folder / f"{name}.png"), content)
    return load_dataset(root)


def blank(size=(64, 64)) -> np.ndarray:
    return np.zeros(size, np.uint8)


def with_square(size=(64, 64), side=12) -> np.ndarray:
    mask = blank(size)
    mask[20 : 20 + side, 20 : 20 + side] = 255
    return mask


def test_masks_that_are_empty_everywhere_are_refused(tmp_path):
    dataset = written(tmp_path / "data", {str(number): blank() for number in range(6)})
    with pytest.raises(
        BlemishError, match=r"casae learns from defects, so split 'train' must show some\. Received: 5 images"
    ):
        run(dataset, tmp_path / "run", tiny(**SHORT))
    assert not (tmp_path / "run").exists()


def test_a_mask_that_is_all_defect_and_a_defect_of_one_pixel_are_learned_from(tmp_path):
    masks = {str(number): with_square() for number in range(6)}
    masks["whole"] = np.full((64, 64), 255, np.uint8)
    masks["single"] = with_square(side=1)
    dataset = written(tmp_path / "data", masks)
    bundle = run(dataset, tmp_path / "run", tiny(**SHORT))
    assert set(bundle.networks) == {"cascade"}  # of one class there are no types to tell apart
    assert inspector_of(bundle, device="cpu").inspect(dataset.samples[0].image).score >= 0


def test_images_of_mixed_size_and_depth_are_learned_from(tmp_path):
    sizes = [(64, 64), (50, 90), (130, 70), (33, 200), (64, 80), (96, 96), (70, 70), (64, 100)]
    generator = np.random.default_rng(1)

    def draw(mask):
        deep = generator.integers(2) == 1
        full = 65535 if deep else 255
        pixels = generator.integers(full // 3, full // 2, mask.shape)
        return pixels.astype(np.uint16 if deep else np.uint8)

    masks = {str(number): with_square(size, side=8) for number, size in enumerate(sizes)}
    dataset = written(tmp_path / "data", masks, draw)
    for name, changes in (("squeezed", {}), ("tiled", {"tiled": True})):
        bundle = run(dataset, tmp_path / name, tiny(**SHORT, **changes))
        inspector = inspector_of(bundle, device="cpu")
        for sample in dataset:
            found = inspector.inspect(sample.image, with_maps=True)
            assert found.maps["score_map"].shape == found.size
