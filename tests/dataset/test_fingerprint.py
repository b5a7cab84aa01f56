"""The fingerprint: deaf to place and order, awake to every change that matters."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import builders
import pytest

from blemish.dataset.fingerprint import fingerprint
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Annotation, Dataset, MaskFile
from blemish.errors import BlemishError


def with_first(dataset: Dataset, **changes: object) -> Dataset:
    first, *rest = dataset.samples
    return replace(dataset, samples=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def test_place_and_order_do_not_matter(tmp_path: Path) -> None:
    each = load_dataset(builders.masks_layout(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "deep" / "two")
    two = load_dataset(tmp_path / "deep" / "two")
    turned = replace(two, samples=two.samples[::-1])
    assert fingerprint(each) == fingerprint(two) == fingerprint(turned)
    assert len(fingerprint(each)) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda d: with_first(d, id="other"),
        lambda d: with_first(d, split="train"),
        lambda d: with_first(d, group="lot"),
        lambda d: with_first(d, annotations=()),
        lambda d: with_first(d, annotations=(Annotation("Crack", (0.0, 0.0, 1.0, 1.0)),)),
        lambda d: with_first(d, annotations=(replace(d.samples[0].annotations[0], contrast=3.0),)),
        lambda d: replace(d, class_names=d.class_names[::-1]),
        lambda d: replace(d, samples=d.samples[:-1]),
    ],
)
def test_what_matters_changes_it(tmp_path: Path, change: Callable[[Dataset], Dataset]) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    assert fingerprint(change(dataset)) != fingerprint(dataset)


@pytest.mark.parametrize("change", [{"values": (1,)}, {"any_colour": True}, {"whole": True}, {"above": 0}])
def test_another_reading_of_a_mask_changes_it(tmp_path: Path, change: dict[str, object]) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    first = dataset.samples[0].annotations[0]
    assert isinstance(first.mask, MaskFile)
    other = replace(first, mask=replace(first.mask, **change))  # type: ignore[arg-type]
    assert fingerprint(with_first(dataset, annotations=(other,))) != fingerprint(dataset)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_one_changed_file_changes_it_and_a_missing_one_is_named(tmp_path: Path, name: str) -> None:
    dataset = load_dataset(builders.masks_layout(tmp_path))
    before = fingerprint(dataset)
    path = tmp_path / "MT_Crack" / "Imgs" / name
    path.write_bytes(path.read_bytes() + b"\0")
    assert fingerprint(dataset) != before
    path.unlink()
    with pytest.raises(BlemishError, match=rf"{name} must be readable\. Received: No such file"):
        fingerprint(dataset)
