"""For every method: settings of a training of seconds, and one such training to overfit four images."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blemish.bundle import Bundle
from blemish.dataset.samples import Dataset
from blemish.methods import find_method, method_names
from blemish.methods.contract import Method
from blemish.methods.quick import Quick, quick_of
from blemish.progress import Reporter

MACHINE = {"device": "cpu", "precision": "fp32"}
# What the methods find is tested, not how wide a band four validation images ask for.
NO_BAND = {"review_rule": "escape<=0"}


@pytest.fixture(scope="session", params=method_names())
def method(request: pytest.FixtureRequest) -> Method:
    return find_method(request.param)


@pytest.fixture(scope="session")
def quick(method: Method) -> Quick:
    """The method's own quick settings and traits; a method without them fails every check."""
    return quick_of(method.name)


@pytest.fixture(scope="session")
def of_two_kinds(quick: Quick) -> bool:
    """True for a method that judges the whole image and only points at a place."""
    return quick.judges_whole_images


@pytest.fixture(scope="session")
def squeezing(quick: Quick) -> bool:
    """True where the method squeezes images to a square."""
    return quick.squeezes


@pytest.fixture(scope="session")
def four_images(quick: Quick, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Four defective images, the same ones for training and validation.

    Behind them four normal ones, in both splits too, for a method that tells the two kinds apart or learns
    what is good.
    """
    folder = tmp_path_factory.mktemp("four")
    made = four_surfaces(folder / "defective", defective_share=1.0, seed=3)
    samples = made.samples
    if quick.judges_whole_images or quick.needs_good_images:
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
def train_quickly(method: Method, quick: Quick, four_images: Dataset) -> Callable[..., Bundle]:
    from blemish.training.request import Request
    from blemish.training.run import train

    def run(folder: Path, *, seed: int = 0, **changes: Any) -> Bundle:
        settings = method.settings_type.model_validate({**quick.overfit, **MACHINE, **NO_BAND, **changes})
        return train(Request(method, four_images, settings, folder, seed=seed), Reporter(quiet=True))

    return run


@pytest.fixture(scope="session")
def bundle(method: Method, train_quickly: Callable[..., Bundle], made_once: Callable[..., Path]) -> Bundle:
    """What must have overfitted `four_images`, as training returned it, whichever process trained."""

    def trained(folder: Path) -> None:
        returned = train_quickly(folder / "run")
        (folder / "returned.pickle").write_bytes(pickle.dumps(returned))

    folder = made_once(f"overfitted-{method.name}", trained)
    return pickle.loads((folder / "returned.pickle").read_bytes())


@pytest.fixture(scope="session")
def short(quick: Quick) -> Mapping[str, Any]:
    """Settings of a training too short to learn, for checks that need no more."""
    return quick.short


@pytest.fixture(scope="session")
def short_bundle(
    train_quickly: Callable[..., Bundle], short: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """What such a training returned."""
    return train_quickly(tmp_path_factory.mktemp("short") / "run", **short)
