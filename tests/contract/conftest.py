"""For every method: settings of a training of seconds, and one such training to overfit four images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import Bundle
from blemish.dataset.samples import Dataset
from blemish.methods import find_method, method_names
from blemish.methods.contract import Method
from blemish.progress import Reporter

NO_AUGMENTATION = {
    "noise": 0,
    "illumination": 0,
    "contrast": 0,
    "rotation_share": 0,
    "rotation_deg": 0,
    "flips": False,
    "clean_share": 0,
}
# A new method adds its line here and passes every check of this folder.
QUICK: Mapping[str, Mapping[str, Any]] = {
    "severity": {
        "cell": 2,
        "patch": 96,
        "batch": 4,
        "steps": 70,
        "types_backbone": "resnet18",
        "types_weights": "none",
        "types_steps": 10,
        "types_batch": 8,
        **NO_AUGMENTATION,
    },
    # Joint training of the plain detector: episodes take their supports from other images than their queries,
    # and four images are too few for both.
    "tlsdd": {
        "preset": "tiny",
        "variant": "fr-ff-joint",
        "common": ["scratch", "spot"],
        "steps": 250,
        "batch": 4,
        "learning_rate": 0.03,
        "flips": False,
    },
    "casae": {
        "preset": "tiny",
        "size": 96,
        # All four show a defect: with that painted over, its noise would be raised to as much.
        "standardise": False,
        "width": 6,
        "batch": 2,
        "steps": 300,
        "second_steps": 80,
        "types_steps": 20,
        "rotation_deg": 0,
        "translation": 0,
        "zoom": 0,
        "shear": 0,
        "elastic_alpha": 0,
        "flips": False,
        "noise": 0,
        "illumination": 0,
        "contrast": 0,
    },
    # One product alone, so fine-tuning from random weights, without other products to learn from first.
    # Three references: of two, both in training, each is judged by its difference from the other, the same.
    "medetection": {
        "preset": "tiny",
        "stem": "paper",
        "steps": 120,
        "check_every": 20,
        "patience": 6,
        "references": 3,
    },
}
SHORT: Mapping[str, Mapping[str, Any]] = {
    "severity": {"steps": 4, "batch": 2, "types_steps": 2},
    "tlsdd": {"steps": 2, "batch": 2},
    "casae": {"steps": 2, "second_steps": 2, "types_steps": 2},
    "medetection": {"steps": 2, "check_every": 2},
}
# Methods that learn from normal and defective images which of the two an image is. They say where with one
# box that points and does not measure.
OF_TWO_KINDS = frozenset({"medetection"})
# Methods that see an image squeezed to a square: stretched it is the same, set into a larger one another.
SQUEEZING = frozenset({"medetection", "casae"})
MACHINE = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="session", params=method_names())
def method(request: pytest.FixtureRequest) -> Method:
    assert request.param in QUICK, f"tests/contract/conftest.py has no quick settings for '{request.param}'"
    return find_method(request.param)


@pytest.fixture(scope="session")
def of_two_kinds(method: Method) -> bool:
    """Whether the method judges the whole image and only points at a place; see OF_TWO_KINDS."""
    return method.name in OF_TWO_KINDS


@pytest.fixture(scope="session")
def squeezing(method: Method) -> bool:
    """Whether the method sees an image squeezed to a square; see SQUEEZING."""
    return method.name in SQUEEZING


@pytest.fixture(scope="session")
def four_images(of_two_kinds: bool, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four defective images, the same ones for training and validation.

    Behind them four normal ones, in both splits too, for a method that tells the two kinds apart.
    """
    folder = tmp_path_factory.mktemp("four")
    made = four_surfaces(folder / "defective", defective_share=1.0, seed=3)
    samples = made.samples
    if of_two_kinds:
        normal = four_surfaces(folder / "normal", defective_share=0.0, seed=4)
        samples += tuple(replace(sample, id=f"normal/{sample.id}") for sample in normal)
    train = tuple(replace(sample, split="train") for sample in samples)
    validation = tuple(replace(sample, id=f"again/{sample.id}", split="val") for sample in samples)
    return replace(made, samples=train + validation)


def four_surfaces(out: Path, *, defective_share: float, seed: int) -> Dataset:
    from blemish.dataset.synthetic import synthesise

    return synthesise(
        out,
        surfaces=["cast_metal", "brushed_metal"],
        images=4,
        seed=seed,
        size=(96, 96),
        class_weights={"scratch": 1, "spot": 1},
        contrast=(70, 120),
        defective_share=defective_share,
    )


@pytest.fixture(scope="session")
def train_quickly(method: Method, four_images: Dataset) -> Callable[..., Bundle]:
    from blemish.training.run import Request, train

    def run(folder: Path, *, seed: int = 0, **changes: Any) -> Bundle:
        settings = method.settings_type.model_validate({**QUICK[method.name], **MACHINE, **changes})
        return train(Request(method, four_images, settings, folder, seed=seed), Reporter(quiet=True))

    return run


@pytest.fixture(scope="session")
def bundle(
    method: Method, train_quickly: Callable[..., Bundle], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """What must have overfitted `four_images`."""
    return train_quickly(tmp_path_factory.mktemp(method.name) / "run")


@pytest.fixture(scope="session")
def short(method: Method) -> Mapping[str, Any]:
    """Settings of a training too short to learn, for checks that need no more."""
    return SHORT[method.name]
