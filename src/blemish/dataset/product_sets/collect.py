"""Making a folder of products from public sets: each is made, split and written to a folder of its own.

A product depends on its source, its name, the seed and the size alone, so that a part of the products are the
same as among all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.dataset.hashing import contents_of
from blemish.dataset.layouts import load_dataset
from blemish.dataset.product_sets.makers import MAKERS, PRODUCTS, WITHOUT_SOURCE, ProductJob
from blemish.dataset.product_sets.products import ProductCounts
from blemish.dataset.product_sets.write import write_product
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.splits.split import split_dataset
from blemish.dataset.unfinished import refuse_content, whole_folder
from blemish.errors import BlemishError, nearest_name
from blemish.files import write_atomically
from blemish.folder_lock import locks_out


@dataclass(frozen=True)
class MadeProduct:
    """A product that was made. origin: where its images come from, in words"""

    counts: ProductCounts
    origin: str


@dataclass(frozen=True)
class Collected:
    """Products that were made, and a line on each source that is missing or held copies."""

    made: tuple[MadeProduct, ...]
    notes: tuple[str, ...]


@locks_out
def collect_products(
    out: Path,
    data: Path,
    *,
    only: Sequence[str] = (),
    size: int = 256,
    seed: int = 0,
    on_product: Callable[[str], None] | None = None,
) -> Collected:
    """Write products to the new folder `out`, a dataset of the layout `products`.

    data: folder that holds the public sets, each under its name in PRODUCTS
    only: names of products or of sets; none takes every product whose set is there
    size: side of the drawn images; photographs and crops keep theirs
    on_product: called with the name of each product before it is made
    Raises BlemishError for an unknown name, a named set that is not there, and a folder in use.
    """
    refuse_content(out)
    if size < 64:
        raise BlemishError(f"size must be at least 64 pixels. Received: {size}. Use 256.")
    wanted = chosen(only)
    there, notes = found_sources(data, wanted, named=bool(only))
    made: list[MadeProduct] = []
    with whole_folder(out, by="blemish data tasks"):
        for source in there:
            dataset, copies = loaded(data, source)
            if copies:
                notes.append(f"{source}: copies of other images are left out ({copies})")
            for name in wanted[source]:
                if on_product:
                    on_product(name)
                made.append(make(ProductJob(name, source, out / name, seed, size, dataset)))
        write_atomically(out / SETTINGS_NAME, "layout: products\n")
    return Collected(tuple(made), tuple(notes))


def make(job: ProductJob) -> MadeProduct:
    """Make, split and write one product."""
    maker = MAKERS[job.source]
    product = maker.make(job)
    grouped = any(sample.group for sample in product)
    write_product(split_dataset(product, by="group" if grouped else "content", seed=job.seed), job.out)
    defective = sum(sample.is_defective for sample in product)
    return MadeProduct(ProductCounts(job.name, len(product) - defective, defective), maker.origin)


def chosen(only: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Source → its products among those named; all of them where none is named."""
    known = [*PRODUCTS, *(name for names in PRODUCTS.values() for name in names)]
    for name in only:
        if name not in known:
            hint = nearest_name(name, known) or f" Use some of {', '.join(dict.fromkeys(known))}."
            raise BlemishError(f"--only must name products or sets. Received: '{name}'.{hint}")
    wanted = {
        source: tuple(name for name in names if not only or name in only or source in only)
        for source, names in PRODUCTS.items()
    }
    return {source: names for source, names in wanted.items() if names}


def found_sources(
    data: Path, wanted: dict[str, tuple[str, ...]], *, named: bool
) -> tuple[list[str], list[str]]:
    """Sources that can be used, and a line on each that is missing. named: the user asked for each of them"""
    missing = [source for source in wanted if source not in WITHOUT_SOURCE and not (data / source).is_dir()]
    if missing and (named or len(missing) == len(set(wanted) - WITHOUT_SOURCE)):
        raise BlemishError(
            f"{data} must hold the folder '{missing[0]}'. Received: no such folder. Name the folder of the "
            "sets with --from, or leave the set out with --only."
        )
    notes = [f"{source} is not in {data}: {', '.join(wanted[source])} left out" for source in missing]
    return [source for source in wanted if source not in missing], notes


def loaded(data: Path, source: str) -> tuple[Dataset | None, int]:
    """A set and how many copies were left out of it; None for drawn images."""
    if source in WITHOUT_SOURCE:
        return None, 0
    return without_copies(load_dataset(data / source))


def without_copies(dataset: Dataset) -> tuple[Dataset, int]:
    """Dataset with the first of all images of equal content, or none of them where only some are defective.

    Second comes how many images were left out.
    """
    contents = contents_of(sample.image for sample in dataset)
    verdicts: dict[str, set[bool]] = {}
    first: dict[str, str] = {}
    for sample in dataset:
        verdicts.setdefault(contents[sample.image], set()).add(sample.is_defective)
        first.setdefault(contents[sample.image], sample.id)
    single_ids = {sample_id for content, sample_id in first.items() if len(verdicts[content]) == 1}
    single = replace(dataset, samples=tuple(sample for sample in dataset if sample.id in single_ids))
    return single, len(dataset) - len(single)
