"""Splitting a dataset by reference to its files: stratified by class, groups whole, seeded, few-shot.

Images of the same content always share a side, or figures would be too good. Classes are shared out rarest
first. Source: Sechidis, Tsoumakas & Vlahavas 2011, "On the Stratification of Multi-Label Data", with groups
in place of single images.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import yaml

from blemish.dataset.hashing import contents_of
from blemish.dataset.quality.near_duplicates import near_duplicates_among
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME, SPLIT_NAMES
from blemish.dataset.splits.labelled import CLEAN
from blemish.dataset.unfinished import write_marker
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.folder_lock import locks_out
from blemish.regions.components import roots

Shares = dict[str, float]
By = Literal["content", "group", "similarity", "looks"]  # "looks": what "similarity" was once called


@dataclass(frozen=True)
class SplitUnit:
    """Samples that must share a side. classes: how many of them show each class, CLEAN for none."""

    ids: tuple[str, ...]
    classes: Mapping[str, int]


def split_dataset(
    dataset: Dataset,
    *,
    test: float = 0.3,
    val: float = 0.2,
    by: By | None = None,
    shots: int | None = None,
    keep_clean: bool = True,
    seed: int,
) -> Dataset:
    """The dataset with new splits, each with its share of every class as nearly as whole groups allow.

    test: share of all images; val: share of the rest
    by: "group" keeps groups whole, "similarity" keeps near duplicates together, as `near_duplicates` finds
        them; images of equal content share a side anyway; None is "content"
    shots, keep_clean: see `few_shot`
    Raises BlemishError when a share is impossible, or groups are asked for and there are none.
    """
    shares = checked_shares(test, val)
    contents = content_of(dataset)
    units = make_units(dataset, contents, joined=joined_by(dataset, by))
    split_of = fill_empty(assign(units, shares, np.random.default_rng(seed)), units, shares)
    divided = dataset.with_splits({i: split_of[unit.ids] for unit in units for i in unit.ids})
    if shots is None:
        return divided
    return few_shot(divided, shots=shots, keep_clean=keep_clean, seed=seed, contents=contents)


def few_shot(
    dataset: Dataset,
    *,
    shots: int,
    keep_clean: bool = True,
    seed: int,
    contents: Mapping[str, str] | None = None,
) -> Dataset:
    """Keep `shots` images of each class in "train", chosen by the seed; the others go to no split.

    An image that shows several classes counts for each; such images are taken last, so that a class rarely
    exceeds `shots`.
    keep_clean: clean training images all stay
    contents: content hash by sample id, where it is known; of equal images one is chosen
    """
    if shots < 1:
        raise BlemishError(
            f"shots must be at least 1. Received: {shots}. Give a whole number of images per class."
        )
    training = training_images(dataset, contents)
    order = np.random.default_rng(seed).permutation(len(training))
    chosen = choose([training[i] for i in order], shots)
    refuse_too_few(chosen, training, shots)
    kept = {sample.id for sample in chosen}
    kept |= {s.id for s in dataset if s.split != "train" or (keep_clean and not s.is_defective)}
    return dataset.with_splits({sample.id: sample.split for sample in dataset if sample.id in kept})


@locks_out
def write_splits(dataset: Dataset, out: Path) -> None:
    """Write OUT/dataset.yaml and OUT/splits/*.txt, so that `load_dataset(out)` gives this dataset.

    The images stay where they are; the yaml file refers to them, by a relative path where there is one.
    """
    if (out / SETTINGS_NAME).exists():
        raise BlemishError(
            f"{out / SETTINGS_NAME} exists and is not overwritten. Write the splits to another folder."
        )
    settings = {**carried_settings(dataset, out), "root": relative_path(dataset.root, out)}
    lists = {name: f"splits/{name}.txt" for name in SPLIT_NAMES}
    write_marker(out, "blemish data split", [*lists.values(), SETTINGS_NAME])
    for name, file in lists.items():
        lines = sorted(sample.id for sample in dataset if sample.split == name)
        write_atomically(out / file, "".join(f"{line}\n" for line in lines))
    write_atomically(out / SETTINGS_NAME, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def checked_shares(test: float, val: float) -> Shares:
    for name, share in (("test", test), ("val", val)):
        if not 0 <= share < 1:
            raise BlemishError(
                f"{name} must be a share of at least 0 and below 1. Received: {share}. Use 0.3, for example."
            )
    rest = 1 - test
    shares = {"train": rest * (1 - val), "val": rest * val, "test": test}
    return {name: share for name, share in shares.items() if share > 0}


def joined_by(dataset: Dataset, by: str | None) -> list[tuple[str, str]]:
    """Pairs of ids, besides those of equal content, that must share a side."""
    if by not in (None, *get_args(By)):
        raise BlemishError(f"by must be one of {', '.join(get_args(By))}. Received: '{by}'. Use one of them.")
    if by in ("similarity", "looks"):
        return near_duplicates_among(dataset.samples)
    if by != "group":
        return []
    groups: dict[str, list[str]] = {}
    for sample in dataset:
        if sample.group is not None:
            groups.setdefault(sample.group, []).append(sample.id)
    if not groups:
        raise BlemishError(
            f"A split by group needs groups. Received: {dataset.root}, which has none. "
            f"Add a 'group' expression to {SETTINGS_NAME}."
        )
    return [pair for ids in groups.values() for pair in pairwise(ids)]


def content_of(dataset: Dataset) -> dict[str, str]:
    """Content hash by sample id."""
    contents = contents_of(sample.image for sample in dataset)
    return {sample.id: contents[sample.image] for sample in dataset}


def make_units(
    dataset: Dataset, contents: Mapping[str, str], *, joined: Sequence[tuple[str, str]]
) -> list[SplitUnit]:
    """Samples joined by equal content, and as `joined` says; sorted, as file order must not matter."""
    samples = {sample.id: sample for sample in sorted(dataset, key=lambda sample: sample.id)}
    number = {sample_id: place for place, sample_id in enumerate(samples)}
    first: dict[str, str] = {}
    same = [(sample.id, first.setdefault(contents[sample.id], sample.id)) for sample in dataset]
    pairs = np.array([(number[a], number[b]) for a, b in (*same, *joined)], np.intp).reshape(-1, 2)
    members: dict[int, list[Sample]] = {}
    for sample, root in zip(samples.values(), roots(len(samples), *pairs.T).tolist(), strict=True):
        members.setdefault(root, []).append(sample)
    return [SplitUnit(tuple(s.id for s in group), class_counts(group)) for group in members.values()]


def class_counts(samples: Sequence[Sample]) -> Mapping[str, int]:
    """How many samples show each class; of several products each has classes of its own."""
    return Counter(
        label if sample.product is None else f"{sample.product}/{label}"
        for sample in samples
        for label in labels_of(sample) or {CLEAN}
    )


def labels_of(sample: Sample) -> set[str]:
    return {annotation.label for annotation in sample.annotations}


def assign(
    units: Sequence[SplitUnit], shares: Shares, generator: np.random.Generator
) -> dict[tuple[str, ...], str]:
    """Unit → split. The class with the fewest images left goes next, its largest units first."""
    shuffled = [units[i] for i in generator.permutation(len(units))]
    waiting = sorted(shuffled, key=lambda unit: -len(unit.ids))
    left = Counter[str]()
    for unit in units:
        left.update(unit.classes)
    need = {name: {c: share * number for c, number in left.items()} for name, share in shares.items()}
    split_of: dict[tuple[str, ...], str] = {}
    while waiting:
        rarest = min((c for c in left if left[c] > 0), key=lambda c: (left[c], c))
        for unit in [unit for unit in waiting if rarest in unit.classes]:
            name = neediest(need, unit, rarest)
            split_of[unit.ids] = name
            for c, number in unit.classes.items():
                need[name][c] -= number
                left[c] -= number
        waiting = [unit for unit in waiting if unit.ids not in split_of]
    return split_of


def neediest(need: Mapping[str, Mapping[str, float]], unit: SplitUnit, rarest: str) -> str:
    """The split that lacks most of the rarest class, then most of all the unit's classes, then of all."""
    return max(
        need,
        key=lambda name: (
            need[name][rarest],
            sum(need[name][c] for c in unit.classes),
            sum(need[name].values()),
        ),
    )


def fill_empty(
    split_of: Mapping[tuple[str, ...], str], units: Sequence[SplitUnit], shares: Shares
) -> dict[tuple[str, ...], str]:
    """Give a split that got nothing one small unit of the fullest. Raises when units do not suffice."""
    filled = dict(split_of)
    if len(units) < len(shares):
        raise BlemishError(
            f"A split into {', '.join(shares)} needs at least {len(shares)} groups of images. "
            f"Received: {len(units)}. Add images, choose other groups, or set a share to 0."
        )
    for name in shares:
        if name not in filled.values():
            fullest = Counter(filled.values()).most_common(1)[0][0]
            moved = min((u for u in units if filled[u.ids] == fullest), key=lambda u: (len(u.ids), u.ids))
            filled[moved.ids] = name
    return filled


def training_images(dataset: Dataset, contents: Mapping[str, str] | None) -> list[Sample]:
    """Defective training images, sorted; of images of the same content the first."""
    samples = sorted((s for s in dataset if s.split == "train" and s.is_defective), key=lambda s: s.id)
    if contents is None:
        return samples
    first = {contents[sample.id]: sample for sample in reversed(samples)}
    return [sample for sample in samples if first[contents[sample.id]] is sample]


def choose(samples: Sequence[Sample], shots: int) -> list[Sample]:
    """Take images until every class has its shots: first those that exceed none, then what is lacking."""
    chosen: list[Sample] = []
    have = Counter[str]()
    for may_exceed in (False, True):
        for sample in samples:
            full = {label for label in labels_of(sample) if have[label] >= shots}
            fits = full != labels_of(sample) if may_exceed else not full
            if fits and sample not in chosen:
                chosen.append(sample)
                have.update(labels_of(sample))
    return chosen


def refuse_too_few(chosen: Sequence[Sample], training: Sequence[Sample], shots: int) -> None:
    have = Counter(label for sample in chosen for label in labels_of(sample))
    for label in sorted({label for sample in training for label in labels_of(sample)}):
        if have[label] < shots:
            raise BlemishError(
                f"shots must be at most the number of training images of each class. Received: {shots}, but "
                f"'{label}' has {have[label]}. Use fewer shots or a smaller test share."
            )


def carried_settings(dataset: Dataset, out: Path) -> dict[str, Any]:
    """The settings that the dataset was read with, its paths now starting at `out`."""
    settings = dict(dataset.info.get("settings", {}))
    home = Path(str(dataset.info.get("home", dataset.root)))
    for key in ("splits", "root"):
        settings.pop(key, None)
    named = settings.get("annotations")
    if isinstance(named, str):
        settings["annotations"] = relative_path(home / named, out)
    elif named:
        settings["annotations"] = {split: relative_path(home / file, out) for split, file in named.items()}
    return {"layout": dataset.layout, **settings} if dataset.layout else settings


def relative_path(path: Path, start: Path) -> str:
    """Path from `start` with forward slashes; absolute where there is no relative one (another drive)."""
    try:
        return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()
    except ValueError:
        return path.resolve().as_posix()
