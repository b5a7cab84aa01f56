"""Common ground of the writers: copies, dataset.yaml, split lists, notes on what is lost."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from blemish.arrays import Box
from blemish.dataset.faults import extent
from blemish.dataset.masks import Instance, defect_instances
from blemish.dataset.samples import Annotation, Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME, SPLIT_NAMES
from blemish.errors import BlemishError
from blemish.files import write_atomically


def copy_image(source: Path, target: Path) -> None:
    """Copy a file's bytes. Raises BlemishError that names the file that failed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise BlemishError(
            f"{source} must be copied to {target}. Received: {error.strerror}. Check space and rights."
        ) from error


def write_settings(out: Path, dataset: Dataset, settings: Mapping[str, Any]) -> None:
    """dataset.yaml, with the images' scale and bits where they are known; written last of all files."""
    of_images = {key: dataset.info[key] for key in ("mm_per_px", "bits") if dataset.info.get(key)}
    content = {**settings, **of_images}
    write_atomically(out / SETTINGS_NAME, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def write_split_lists(folder: Path, dataset: Dataset, name_of: Callable[[Sample], str]) -> None:
    """FOLDER/{train,val,test}.txt, for the splits that there are."""
    for split in SPLIT_NAMES:
        names = [name_of(sample) for sample in dataset if sample.split == split]
        if names:
            write_atomically(folder / f"{split}.txt", "".join(f"{name}\n" for name in names))


def boxes_of(sample: Sample, size: tuple[int, int]) -> list[tuple[Annotation, Box]]:
    """Boxes with their annotations, around the outlines of those without; a mask file gives one a defect."""
    boxes: list[tuple[Annotation, Box]] = []
    for annotation in sample.annotations:
        if annotation.box_xyxy is not None:
            boxes.append((annotation, annotation.box_xyxy))
        elif annotation.mask is None and annotation.polygons:
            boxes.append((annotation, extent(annotation.polygons)))
        else:
            boxes += [(annotation, found.box_xyxy) for found in instances_of(sample, annotation, size)]
    return boxes


def instances_of(sample: Sample, annotation: Annotation, size: tuple[int, int]) -> list[Instance]:
    """The defects of one annotation."""
    return defect_instances(replace(sample, annotations=(annotation,)), size)


def refuse(dataset: Dataset, layout: str, lacking: Callable[[Annotation], bool], what: str) -> None:
    """Raise BlemishError for an annotation that the target cannot hold: its image would pass as clean."""
    for sample in dataset:
        for annotation in sample.annotations:
            if lacking(annotation):
                raise BlemishError(
                    f"{layout} cannot hold {what}. Received: '{annotation.label}' of {sample.image}. "
                    "Convert to 'coco', which holds everything."
                )


def losses(dataset: Dataset, layout: str, *, outlines: bool, ignored: str = "") -> list[str]:
    """A line on each thing that the layout does not hold.

    outlines: whether it keeps them
    ignored: what becomes of regions that evaluation ignores, in words; "" where they are kept
    """
    marks = [annotation for sample in dataset for annotation in sample.annotations]
    found = {
        "contrasts are left out": sum(a.contrast is not None for a in marks),
        "groups are left out": sum(s.group is not None for s in dataset),
        "products are left out": sum(s.product is not None for s in dataset),
        "reference images are left out": sum(s.reference is not None for s in dataset),
        "outlines become boxes": 0 if outlines else sum(a.has_outline for a in marks),
        f"difficult or crowd regions {ignored}": sum(a.difficult or a.crowd for a in marks) if ignored else 0,
    }
    return [f"{layout} cannot hold everything: {number} {what}" for what, number in found.items() if number]


def crowds(dataset: Dataset, layout: str) -> list[str]:
    """A line on crowds, for a layout that knows what is difficult alone; none without any."""
    found = sum(annotation.crowd for sample in dataset for annotation in sample.annotations)
    return (
        [f"{layout} has no crowds: {found} become difficult, which evaluation ignores too"] if found else []
    )


def number_text(value: float) -> str:
    """Text of a number: a whole one without a point, any other with all digits."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def groups_by_split(samples: Iterable[Sample]) -> dict[str | None, list[Sample]]:
    groups: dict[str | None, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.split, []).append(sample)
    return groups
