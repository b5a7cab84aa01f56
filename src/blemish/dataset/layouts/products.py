"""The `products` layout: a folder of products, each sub-folder a dataset by itself, of any layout.

It goes before the others only where a sub-folder is a whole dataset: it has its own dataset.yaml, or the
sub-folders differ in layout, or are of one whose folders do not name classes. A root of MVTec AD or DAGM2007
and class folders with masks stay what they are. `layout: products` in dataset.yaml settles a doubtful case,
and `layout: lots` says that the sub-folders are parts of one set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

from blemish.dataset.layouts import masks
from blemish.dataset.layouts.common import (
    SPLIT_OF_FOLDER,
    Contents,
    Source,
    Tree,
    collect,
    is_image,
    parent,
)
from blemish.dataset.layouts.label_names import is_clean, is_defective
from blemish.dataset.layouts.mask_index import IMAGE_FOLDERS, means_masks
from blemish.dataset.layouts.pairs import PHYSICAL_ITEM
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.settings_file import read_settings
from blemish.errors import BlemishError

WITH_CATEGORIES = frozenset(
    {"mvtec", "dagm", "visa", "realiad"}
)  # their readers take the folders as products themselves
ONE_SIDED = "one kind of image"


def detect(tree: Tree) -> str | None:
    """Two or more sub-folders are each a dataset by themselves."""
    layouts = layouts_below(tree)
    if not layouts:
        return None
    each = f"each of {listed([*layouts])} is a dataset by itself ({kinds(layouts)}), so a product"
    return f"{each}; 'layout: lots' in {SETTINGS_NAME} makes them one set"


def read(source: Source) -> Contents:
    """Read the products one by one; each keeps its splits. `classes:` and `splits:` given here go before."""
    return joined(source, as_product)


def layouts_below(tree: Tree, *, one_set: bool = False) -> dict[str, str]:
    """Layout of each sub-folder; empty unless all are datasets by themselves, and two at least.

    one_set: the sub-folders are known not to be classes or categories, of which one dataset would consist
    """
    names = product_folders(tree)
    if len(names) < 2 or any(map(is_part, names)) or tree.images_in(""):
        return {}
    layouts = list(takewhile(bool, (layout_below(tree, name) for name in names)))
    if len(layouts) < len(names) or (not one_set and is_one_dataset(tree, set(layouts), names)):
        return {}
    if ONE_SIDED in layouts and "labels" not in layouts:
        return {}
    return {
        name: "labels" if layout == ONE_SIDED else layout for name, layout in zip(names, layouts, strict=True)
    }


def joined(source: Source, rename: Callable[[Sample, str], Sample]) -> Contents:
    """Contents of all sub-folders, each read by itself. rename: gives a sample its sub-folder's name"""
    found, skipped = collect(
        product_folders(source.tree),
        lambda name: (name, read_below(source, name)),
        name=str,
        skip=source.skip_broken,
    )
    samples = tuple(rename(sample, name) for name, dataset in found for sample in dataset)
    class_names = dict.fromkeys(label for _, dataset in found for label in dataset.class_names)
    broken = {f"{name}/{item}": reason for name, dataset in found for item, reason in dataset.skipped.items()}
    return Contents(
        samples,
        tuple(class_names),
        {**skipped, **broken},
        read=frozenset(f"{name}/{file}" for name, dataset in found for file in dataset.account.used)
        | {file for file in source.tree.files for name, _ in found if file.startswith(f"{name}/splits/")},
        left_out={f"{n}/{file}": why for n, d in found for file, why in d.account.left_out.items()},
        dropped={f"{n}: {place}": why for n, d in found for place, why in d.account.dropped.items()},
        warnings=tuple(remark for _, dataset in found for remark in dataset.account.remarks),
    )


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def kinds(layouts: Mapping[str, str]) -> str:
    return ", ".join(sorted({*layouts.values()}))


def product_folders(tree: Tree) -> list[str]:
    """Sub-folders that hold images, or a dataset.yaml that says where they are."""
    inside = (file.split("/") for file in tree.files if "/" in file)
    return list(
        dict.fromkeys(parts[0] for parts in inside if is_image(parts[-1]) or parts[1:] == [SETTINGS_NAME])
    )


def is_part(name: str) -> bool:
    """True for names of folders that are parts of one dataset: a split, images, masks, a label."""
    known = {*SPLIT_OF_FOLDER, *IMAGE_FOLDERS}
    return name.lower() in known or means_masks(name) or is_clean(name) or is_defective(name)


def below(tree: Tree, name: str) -> Tree:
    """The files of one sub-folder."""
    start = f"{name}/"
    files = (file.removeprefix(start) for file in tree.files if file.startswith(start))
    odd = {file.removeprefix(start): why for file, why in tree.odd.items() if file.startswith(start)}
    return Tree(tree.root / name, tuple(file for file in files if not file.startswith("splits/")), odd)


def layout_of(tree: Tree) -> str:
    """Name of a sub-folder's layout, its dataset.yaml first; '' where it is no dataset."""
    from blemish.dataset.layouts import detect_layout  # which asks this module too

    if SETTINGS_NAME in tree.file_set:
        return SETTINGS_NAME
    return next((layout for layout in detect_layout(tree) if layout not in ("lots", "products")), "")


def layout_below(tree: Tree, name: str) -> str:
    """Layout of a sub-folder, ONE_SIDED where it is folders of labels of one kind; '' where it is none."""
    layout = layout_of(below(tree, name))
    return one_sided(tree, name) or layout if layout in ("", "labels") else layout


def one_sided(tree: Tree, name: str) -> str:
    """ONE_SIDED for a sub-folder like good/ and bad/ of which one is missing, else ''.

    Beside products that have both it is one of them, which lacks images, and not a lot of a single dataset.
    """
    folders = {parent(file).rpartition("/")[2] for file in below(tree, name).images}
    return ONE_SIDED if len(folders) == 1 and all(is_clean(f) or is_defective(f) for f in folders) else ""


def is_one_dataset(tree: Tree, layouts: set[str], names: list[str]) -> bool:
    """Tell sub-folders that are the classes or categories of one dataset, which its own reader knows."""
    if layouts == {"masks"}:
        return any(len(set(masks.class_names(below(tree, name)).values())) < 2 for name in names)
    if layouts == {"pairs"} and all(PHYSICAL_ITEM.fullmatch(name) for name in names):
        return True
    return len(layouts) == 1 and layouts <= WITH_CATEGORIES


def read_below(source: Source, name: str) -> Dataset:
    from blemish.dataset.layouts import load_dataset  # which reads this layout too

    refuse_loop(source, name)
    layout = "labels" if layout_below(source.tree, name) == ONE_SIDED else None
    return load_dataset(
        source.root / name, layout=layout, skip_broken=source.skip_broken, inherited=source.settings
    )


def refuse_loop(source: Source, name: str) -> None:
    """Raise BlemishError for a product whose root holds the folder of products."""
    file = source.root / name / SETTINGS_NAME
    root = read_settings(file).root if file.is_file() else None
    if root and source.root.resolve().is_relative_to((file.parent / root).resolve()):
        raise BlemishError(
            f"{file}: 'root' must be a folder of one product. Received: '{root}', which holds all of "
            f"{source.root}. Correct that line."
        )


def as_product(sample: Sample, name: str) -> Sample:
    """The sample as one of product `name`; products of a product are called 'outer/inner'."""
    return replace(
        sample,
        id=f"{name}/{sample.id}",
        group=None if sample.group is None else f"{name}/{sample.group}",
        product=name if sample.product is None else f"{name}/{sample.product}",
    )
