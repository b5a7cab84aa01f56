"""Picking a product out of a dataset of several, and checking that a verdict can be learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError, nearest_name


@dataclass(frozen=True)
class ProductCounts:
    """Number of normal and defective images of a product."""

    product: str
    normal: int
    defective: int


def of_product(dataset: Dataset, name: str) -> Dataset:
    """Samples of product `name`, ids and root as before; its classes are those annotated in it.

    Raises BlemishError with the nearest name where there is no such product.
    """
    refuse_unknown_product(dataset, name)
    chosen = dataset.where(lambda sample: sample.product == name)
    marked = {annotation.label for sample in chosen for annotation in sample.annotations}
    return replace(chosen, class_names=tuple(label for label in dataset.class_names if label in marked))


def without_product(dataset: Dataset, name: str) -> Dataset:
    """Samples of all other products. Raises BlemishError where there is no product of that name."""
    refuse_unknown_product(dataset, name)
    return dataset.where(lambda sample: sample.product != name)


def normals(dataset: Dataset) -> Dataset:
    """Samples without a defect."""
    return dataset.where(lambda sample: not sample.is_defective)


def defectives(dataset: Dataset) -> Dataset:
    """Samples with a defect."""
    return dataset.where(lambda sample: sample.is_defective)


def counts_of_products(dataset: Dataset) -> tuple[ProductCounts, ...]:
    """Counts of every product, in the dataset's order."""
    defective = dict.fromkeys(dataset.products, 0)
    total = dict(defective)
    for sample in dataset:
        if sample.product is not None:
            total[sample.product] += 1
            defective[sample.product] += sample.is_defective
    return tuple(ProductCounts(name, total[name] - defective[name], defective[name]) for name in total)


def refuse_one_sided(dataset: Dataset) -> None:
    """Raise BlemishError for the first product without normal or without defective images."""
    for text in one_sided_products(dataset):
        raise BlemishError(text)


def one_sided_products(dataset: Dataset) -> Iterator[str]:
    """A line on each product that lacks normal or defective images."""
    for counts in counts_of_products(dataset):
        kinds = {"normal": counts.normal, "defective": counts.defective}
        for kind in (kind for kind, number in kinds.items() if not number):
            yield (
                f"{dataset.root}: product '{counts.product}' must have normal and defective images. "
                f"Received: no {kind} image. Add some, leave the product out, or put 'layout: lots' into "
                f"{SETTINGS_NAME} where the folders are parts of one set."
            )


def refuse_unknown_product(dataset: Dataset, name: str) -> None:
    if name in dataset.products:
        return
    if not dataset.products:
        raise BlemishError(
            f"{dataset.root} must be a folder of products to take '{name}' from. Received: one dataset "
            f"({dataset.layout}). Put each product into a folder of its own, or name the layout 'products'."
        )
    hint = nearest_name(name, dataset.products) or f" Use one of {', '.join(dataset.products)}."
    raise BlemishError(f"{dataset.root} must hold the product. Received: '{name}'.{hint}")
