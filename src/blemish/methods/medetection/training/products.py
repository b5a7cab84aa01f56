"""Choice of the products that take part in a training, and of their images: the protocol behind its figures.

The target is no part of meta-training; images of the split "test" are in no pool; a start that was trained on
one of the target's images is refused. Source: Zhang et al. 2023, "we remove one target task from the data
sets"; that test images choose nothing is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from blemish.bundle.manifest import known_images
from blemish.bundle.store import Bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.hashing import file_hash
from blemish.dataset.ignored import is_doubtful
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.quality.leaks import LEARNING
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.methods.contract import Trainer
from blemish.methods.medetection.settings import MedetectionSettings
from blemish.methods.medetection.training.episodes import Product

DIGEST_LENGTH = 12  # digits of a file's hash that a manifest keeps


@dataclass(frozen=True)
class Products:
    """Training images of the target and the other products, by number in the dataset.

    target: None in meta-training alone; others: none where there is no meta-training
    validation: images of the split "val" by product, of those that have both kinds there
    of_target, of_others: the parts of the dataset that their bundles are made from
    notes: sentences for log and report
    """

    target: Product | None
    others: tuple[Product, ...]
    validation: Mapping[str, Product]
    of_target: Dataset
    of_others: Dataset
    notes: tuple[str, ...] = field(default=())


def products_of(dataset: Dataset, settings: MedetectionSettings, trainer: Trainer) -> Products:
    """Choose the products of a training. Raises BlemishError where they cannot or must not be trained on."""
    refuse_unused_others(dataset, settings, trainer.initial_bundle)
    name = target_name(dataset, settings, trainer.initial_bundle)
    own = own_part(dataset, name, settings, trainer)
    names = other_names(dataset, settings, name, trainer.initial_bundle)
    rest = dataset.where(lambda sample: sample.product in names)
    place = {sample.id: number for number, sample in enumerate(dataset)}
    target = None if name is None else pool(own, name, "train", place)
    others = [pool(of_product(rest, other), other, "train", place) for other in names]
    for product in (*others, *([target] if target else [])):
        refuse_incomplete(dataset, product, "train", 2)
    validation = {other: pool(of_product(rest, other), other, "val", place) for other in names}
    validation = {other: pair for other, pair in validation.items() if pair.normals and pair.defectives}
    notes = notes_on_unjudged([other for other in names if other not in validation], names)
    notes += notes_on_doubtful((*training_part(own), *training_part(rest)))
    if target is not None:
        validation[target.name] = pool(own, target.name, "val", place)
        refuse_incomplete(dataset, validation[target.name], "val", 1)
    return Products(target, tuple(others), validation, own, rest, notes)


def digests_of_earlier_images(products: Products, start: Bundle | None) -> tuple[str, ...]:
    """Digests of the images learned from before the target's own: in meta-training, or by the initial bundle.

    Images of the target that its own earlier bundle learned from are left out.
    """
    if start is None:
        return tuple(image_digests(training_part(products.of_others)))
    data, target = start.manifest.data, products.target
    before = set(data.get("trained_on_before", ()))
    if target is None or start.manifest.memory["product"] != target.name:
        before |= known_images(data) - set(image_digests(training_part(products.of_target)))
    return tuple(sorted(before))


def training_part(dataset: Dataset) -> Dataset:
    """Images of the splits that training learns from or chooses by."""
    return dataset.where(lambda sample: sample.split in LEARNING)


def refuse_unused_others(dataset: Dataset, settings: MedetectionSettings, start: Bundle | None) -> None:
    """Raise BlemishError for `others` without meta-training; those of the initial bundle may stay."""
    others = settings.others
    if not others or not settings.maml:
        return
    if start is not None:
        memory, inherited = start.manifest.memory, start.manifest.settings.get("others", ())
        if others != tuple(inherited) and set(others) != set(memory.get("products", ())):
            raise BlemishError(
                "setting others: a training from a bundle has no meta-training. Received: "
                f"{', '.join(others)}, with --from {start.path}. Leave others out, or train without --from."
            )
    elif not dataset.products:
        raise BlemishError(
            f"setting others: {dataset.root} must be a folder of products to learn from others first. "
            f"Received: {', '.join(others)}. Leave others out, or give the folder that holds them all."
        )


def notes_on_unjudged(unjudged: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Sentence for the log where products of meta-training lack a kind of image in "val"."""
    if not unjudged:
        return ()
    if len(unjudged) == len(names):
        return (
            "No product of meta-training has both normal and defective validation images. Its best state is "
            "chosen on images that it learns from.",
        )
    return (
        f"The best state of meta-training is chosen without {', '.join(unjudged)}: normal or defective "
        "validation images are missing.",
    )


def notes_on_doubtful(samples: Sequence[Sample]) -> tuple[str, ...]:
    """Sentence on images of difficult defects alone; nothing without any."""
    doubtful = sum(map(is_doubtful, samples))
    if not doubtful:
        return ()
    return (f"{doubtful} images with difficult defects alone are left out: neither normal nor defective.",)


def target_name(dataset: Dataset, settings: MedetectionSettings, start: Bundle | None) -> str | None:
    """Name of the product to inspect; None: meta-training alone. A dataset of one product is that product."""
    if not dataset.products:
        inherited = None if start is None else start.manifest.settings.get("target")
        if settings.target not in (None, inherited, folder_name(dataset)):
            of_product(dataset, settings.target)  # says that this is no folder of products
        return folder_name(dataset)
    if settings.target is None and (start is not None or not settings.maml):
        raise BlemishError(
            f"setting target must name the product to train for, as {dataset.root} holds several. "
            f"Received: none. Add --target with one of {', '.join(dataset.products)}."
        )
    return settings.target


def folder_name(dataset: Dataset) -> str:
    """Name of the folder of a dataset of one product.

    Where its annotations lie apart from its images, as a collection's, theirs: several products may share the
    folder of the images.
    """
    apart = "annotations" in dataset.info.get("settings", {})
    return (Path(dataset.info["home"]) if apart else dataset.root).resolve().name


def other_names(
    dataset: Dataset, settings: MedetectionSettings, target: str | None, start: Bundle | None
) -> tuple[str, ...]:
    """Names of the products of meta-training; none from an initial bundle, without MAML or other products."""
    if start is not None or not settings.maml or not dataset.products:
        return ()
    for name in settings.others:
        of_product(dataset, name)
    names = settings.others or tuple(name for name in dataset.products if name != target)
    if not names:
        raise BlemishError(
            f"{dataset.root}: meta-training needs products besides '{target}'. Received: none. "
            "Add some, or train without: --set maml=false."
        )
    return names


def own_part(dataset: Dataset, name: str | None, settings: MedetectionSettings, trainer: Trainer) -> Dataset:
    """Images of the target, none without one; `shots` limits those of training and validation together."""
    if name is None:
        return dataset.where(lambda sample: False)
    own = of_product(dataset, name) if dataset.products else dataset
    if trainer.initial_bundle is not None:
        refuse_trained_on(own, name, trainer.initial_bundle)
    return own if settings.shots is None else with_shots(own, name, settings.shots, trainer.seed)


def refuse_trained_on(own: Dataset, name: str, start: Bundle) -> None:
    """Raise BlemishError where the initial bundle learned from a test image, or from the target as another
    product, under whatever name.

    A bundle of a product may be trained further on the same images, but on none of its test images. Files
    are compared by their bytes, since a manifest keeps no more than a digest of each.
    """
    if name in start.manifest.memory.get("products", ()):
        raise BlemishError(
            f"--from {start.path}: the start must not have learned from the target. "
            f"Received: '{name}', one of its products. Train another start without it."
        )
    data = start.manifest.data
    known = known_images(data)
    before = set(data.get("trained_on_before", ())) if start.manifest.memory["product"] else known
    for sample in own:
        if file_hash(sample.image)[:DIGEST_LENGTH] in (known if sample.split == "test" else before):
            what = "a test image" if sample.split == "test" else "an image of the target"
            raise BlemishError(
                f"--from {start.path}: the start must not have learned from {what}. Received: "
                f"{sample.image}. Train another start without it."
            )


def with_shots(own: Dataset, name: str, shots: int, seed: int) -> Dataset:
    """Draw `shots` images of "train" and "val" by seed: half defective, a quarter of them for validation."""
    chosen = {sample.id: sample.split for sample in own if sample.split not in ("train", "val")}
    for defective, count in ((False, shots - shots // 2), (True, shots // 2)):
        ids = sorted(
            sample.id
            for sample in own
            if sample.split in ("train", "val")
            and sample.is_defective == defective
            and not is_doubtful(sample)
        )
        if len(ids) < count:
            kind = "defective" if defective else "normal"
            raise BlemishError(
                f"setting shots: '{name}' must have enough images in train and val. Received: {shots}, which "
                f"takes {count} {kind} images, but {own.root} has {len(ids)}. Use fewer."
            )
        order = np.random.default_rng([seed, defective]).permutation(len(ids))[:count]
        held_out = max(1, count // 4)
        chosen |= {ids[index]: "val" if rank < held_out else "train" for rank, index in enumerate(order)}
    return own.with_splits(chosen)


def pool(dataset: Dataset, name: str, split: str, place: Mapping[str, int]) -> Product:
    """Product of the images of a split. place: number of each image by its id

    Images of difficult defects alone are left out, as neither normal nor defective.
    """
    samples = [sample for sample in dataset.split(split) if not is_doubtful(sample)]
    normals = tuple(place[sample.id] for sample in samples if not sample.is_defective)
    defectives = tuple(place[sample.id] for sample in samples if sample.is_defective)
    return Product(name, normals, defectives)


def refuse_incomplete(dataset: Dataset, product: Product, split: str, normals: int) -> None:
    """Raise BlemishError for a product with fewer normal images than `normals`, or no defective one."""
    for kind, found, needed in (("normal", product.normals, normals), ("defective", product.defectives, 1)):
        if len(found) < needed:
            images = f"{needed} {kind} image" + ("s" if needed > 1 else "")
            raise BlemishError(
                f"{dataset.root}: product '{product.name}' must have {images} in split "
                f"'{split}'. Received: {len(found)}. Add some, split again, or leave the product out."
            )
