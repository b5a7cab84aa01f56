"""Fingerprint of a dataset: a hash of ids, splits, annotations, image and mask content.

It says which data a result was measured on. Neither where the folder is nor the order of its files changes
it; one changed pixel, label or split does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from blemish.dataset.hashing import file_hash, in_threads
from blemish.dataset.samples import Annotation, Dataset, MaskFile, RunLengths, Sample


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 of a dataset in hexadecimal; every image and mask file is read once.

    Raises BlemishError for a missing file.
    """
    references = {sample.reference for sample in dataset if sample.reference}
    masks = {a.mask.path for s in dataset for a in s.annotations if isinstance(a.mask, MaskFile)}
    files = sorted({*(sample.image for sample in dataset), *references, *masks})
    hashes = dict(zip(files, in_threads(file_hash, files), strict=True))
    records = sorted(json.dumps(record(sample, hashes), sort_keys=True) for sample in dataset)
    digest = hashlib.sha256(json.dumps(list(dataset.class_names)).encode())
    for text in records:
        digest.update(b"\n" + text.encode())
    return digest.hexdigest()


def image_digests(dataset: Dataset) -> list[str]:
    """First 12 digits of each image file's SHA-256, sorted: enough to recognise an image."""
    return sorted({digest[:12] for digest in in_threads(file_hash, [sample.image for sample in dataset])})


def record(sample: Sample, hashes: Mapping[Path, str]) -> dict[str, Any]:
    """All of a sample that does not depend on where its files lie."""
    return {
        "id": sample.id,
        "image": hashes[sample.image],
        "split": sample.split,
        "group": sample.group,
        "reference": hashes[sample.reference] if sample.reference else None,
        "annotations": sorted(json.dumps(mark(a, hashes), sort_keys=True) for a in sample.annotations),
    }


def mark(annotation: Annotation, hashes: Mapping[Path, str]) -> dict[str, Any]:
    """Class and place of an annotation. Its id is left out: it names, it does not mark.

    Marks of version 0.1, which knew no crowd and nothing difficult, stay what they were.
    """
    ignored = {name: True for name in ("crowd", "difficult") if getattr(annotation, name)}
    return {
        **ignored,
        "label": annotation.label,
        "box": annotation.box_xyxy,
        "polygons": annotation.polygons,
        "mask": place(annotation.mask, hashes),
        "contrast": annotation.contrast,
    }


def place(mask: MaskFile | RunLengths | None, hashes: Mapping[Path, str]) -> list[Any] | None:
    if mask is None:
        return None
    if isinstance(mask, RunLengths):
        return [mask.size, mask.counts]
    plain = [hashes[mask.path], mask.above, mask.colour, sorted(mask.other_colours)]
    rare = [
        sorted(mask.values),
        mask.any_colour,
        mask.whole,
    ]  # left out where none is set, as before they were
    return [*plain, *rare] if any(rare) else plain
