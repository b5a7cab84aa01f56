"""Part of a dataset that a bundle is measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from blemish.bundle.manifest import Manifest, Preprocessing
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.run import for_bundle, notes_on_groups


def sample(name: str, product: str | None, *labels: str) -> Sample:
    return Sample(Path(name), name, tuple(Annotation(label) for label in labels), product=product)


SEVERAL = Dataset(
    Path("data"),
    (sample("a", "cap", "dent"), sample("b", "cap"), sample("c", "lid", "chip"), sample("d", "lid")),
    ("dent", "chip"),
)


def manifest(**memory: str) -> Manifest:
    return Manifest(
        method="any", class_names=("dent",), preprocessing=Preprocessing(channels=3), memory=memory
    )


def ids(dataset: Dataset) -> list[str]:
    return [sample.id for sample in dataset]


def test_of_several_products_the_bundles_own_is_judged_and_that_said() -> None:
    remaining, notes = for_bundle(SEVERAL, manifest(product="lid"), "b", classifies=False)
    assert ids(remaining) == ["c", "d"] and remaining.class_names == ("chip",)
    assert notes == ("2 of 4 images are evaluated: those of product 'lid'.",)


def test_a_verdict_needs_no_known_class_but_a_name_does() -> None:
    single = Dataset(SEVERAL.root, tuple(SEVERAL.samples[:3]), SEVERAL.class_names)
    assert for_bundle(single, manifest(), "b", classifies=False) == (single, ())
    remaining, (note,) = for_bundle(single, manifest(), "b", classifies=True)
    assert ids(remaining) == ["a", "b"]
    assert note == "1 of 3 images are left out: they show classes that bundle b was not trained on (chip)."


def test_nothing_that_is_known_is_refused() -> None:
    others = SEVERAL.where(lambda one: one.product == "lid")
    with pytest.raises(BlemishError, match="class 'chip' is not one of bundle b: dent"):
        for_bundle(others, manifest(), "b", classifies=True)


def test_images_of_one_group_are_told_of_as_bounds_take_each_for_its_own() -> None:
    plain = SEVERAL.samples
    assert notes_on_groups(SEVERAL) == ()
    lots = [replace(each, group=group) for each, group in zip(plain, ("1", "1", "2", None), strict=True)]
    (note,) = notes_on_groups(replace(SEVERAL, samples=tuple(lots)))
    assert note.startswith("3 of these 4 images come from 2 groups") and "are too tight" in note
    alone = [replace(each, group=str(number)) for number, each in enumerate(plain)]
    assert notes_on_groups(replace(SEVERAL, samples=tuple(alone))) == ()
