"""The `lots` layout: one dataset in several sub-folders, such as lot1/ and lot2/, each read by itself.

They are lots where their names count or say so, else products, see `products`. Every lot is a group.
"""

from __future__ import annotations

from dataclasses import replace

from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.lot_names import count, say_lots
from blemish.dataset.layouts.products import joined, kinds, layouts_below, listed, product_folders
from blemish.dataset.samples import Sample
from blemish.dataset.settings import SETTINGS_NAME


def detect(tree: Tree) -> str | None:
    """Two or more sub-folders called like lots (lot1, lotA, 2024-05-01) are datasets by themselves."""
    names = product_folders(tree)
    if not (say_lots(names) or count(names)):
        return None
    layouts = layouts_below(tree, one_set=say_lots(names))
    if not layouts:
        return None
    return (
        f"{listed([*layouts])} are lots of one set by their names, each read by itself ({kinds(layouts)}); "
        f"'layout: products' in {SETTINGS_NAME} makes them products"
    )


def read(source: Source) -> Contents:
    """Read the lots one by one; each is a group and keeps its splits."""
    return joined(source, as_lot)


def of_one_sided_products(contents: Contents) -> Contents | None:
    """The contents as lots where no product has both clean and defective images; else None.

    Nothing learns from such products, while together they may be a whole set.
    """
    kinds_of: dict[str | None, set[bool]] = {}
    for sample in contents.samples:
        kinds_of.setdefault(sample.product, set()).add(sample.is_defective)
    if any(len(found) > 1 for found in kinds_of.values()):
        return None
    return replace(contents, samples=tuple(from_product(sample) for sample in contents.samples))


def from_product(sample: Sample) -> Sample:
    return replace(sample, product=None, group=sample.group or sample.product)


def as_lot(sample: Sample, name: str) -> Sample:
    """The sample as one of a lot, which is its group; groups within a lot are called 'lot/group'."""
    group = name if sample.group is None else f"{name}/{sample.group}"
    return replace(sample, id=f"{name}/{sample.id}", group=group)
