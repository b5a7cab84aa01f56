"""Opening a dataset for a piece of work: broken files are refused with a way on, or left out by name.

Reading a layout decodes no image, so that `without_broken` decodes all, as `data check` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from blemish.dataset.account import number
from blemish.dataset.hashing import in_threads
from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check_image import ImageFinding, check_image
from blemish.dataset.quality.problems import ERROR
from blemish.dataset.samples import Dataset, MaskFile, Sample
from blemish.errors import BlemishError

WITHOUT_IMAGE = "their images are broken and left out"


def open_dataset(data: Path, *, skip_broken: bool = False) -> Dataset:
    """Dataset in a folder; with `skip_broken` without images that are broken or marked where they cannot be.

    Raises BlemishError that names the file, and the option where it would help.
    """
    if skip_broken:
        return without_broken(load_dataset(data, skip_broken=True))
    try:
        return load_dataset(data)
    except BlemishError as error:
        raise BlemishError(f"{error}{way_on(data)}") from error


def way_on(data: Path) -> str:
    """Sentence on what the option would leave out of a dataset that is refused; "" where it is no help."""
    try:
        dataset = load_dataset(data, skip_broken=True)
    except BlemishError:
        return ""
    if not dataset.skipped:
        return ""
    return f" Or add --skip-broken, which leaves out {number(len(dataset.skipped), 'file')} and names them."


def without_broken(dataset: Dataset) -> Dataset:
    """The dataset without images that `data check` finds an error in; they are in its `skipped`."""
    return without_faulty(
        dataset, in_threads(partial(check_image, class_names=dataset.class_names), dataset.samples)
    )


def without_faulty(dataset: Dataset, findings: Iterable[ImageFinding]) -> Dataset:
    """The dataset without images whose findings hold an error. findings: of all its samples"""
    faults: dict[str, str] = {}
    for finding in findings:
        errors = [problem.message for problem in finding.problems if problem.severity == ERROR]
        if errors:
            faults[finding.sample.id] = errors[0]
    if len(faults) == len(dataset) and faults:
        raise BlemishError(f"{next(iter(faults.values()))} No image of {dataset.root} is left without fault.")
    return left_out(dataset, faults) if faults else dataset


def left_out(dataset: Dataset, faults: Mapping[str, str]) -> Dataset:
    """The dataset without the images of these ids, each with the reason, and its account in agreement."""
    kept = tuple(sample for sample in dataset if sample.id not in faults)
    names = {sample.id: {sample.id, *masks_of(sample, dataset.root)} for sample in dataset}
    needed = {name for sample in kept for name in names[sample.id]}
    freed = {name for i in faults for name in names[i]} - needed - faults.keys()
    account = dataset.account
    account = replace(
        account,
        used=account.used - faults.keys() - freed,
        skipped={**account.skipped, **faults},
        left_out={**account.left_out, **dict.fromkeys(sorted(freed & account.used), WITHOUT_IMAGE)},
        annotations=sum(len(sample.annotations) for sample in kept),
        dropped={
            **account.dropped,
            **{f"{s.id}: {a.label}": WITHOUT_IMAGE for s in dataset if s.id in faults for a in s.annotations},
        },
    )
    return replace(dataset, samples=kept, skipped={**dataset.skipped, **faults}, account=account)


def masks_of(sample: Sample, root: Path) -> Iterator[str]:
    for annotation in sample.annotations:
        path = annotation.mask.path if isinstance(annotation.mask, MaskFile) else None
        if path is not None and path.is_relative_to(root):
            yield path.relative_to(root).as_posix()


@contextmanager
def naming_the_option(dataset: Dataset) -> Iterator[None]:
    """Inside, an error about a file of the dataset ends with the option that leaves such files out."""
    try:
        yield
    except BlemishError as error:
        files = {sample.image for sample in dataset}
        files |= {a.mask.path for s in dataset for a in s.annotations if isinstance(a.mask, MaskFile)}
        if "--skip-broken" in str(error) or not any(str(file) in str(error) for file in files):
            raise
        error.args = (f"{error} Or add --skip-broken, which leaves out such files and names them.",)
        raise
