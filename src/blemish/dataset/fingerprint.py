"""One hash that says which data a result was measured on: ids, splits, annotations, image and mask content.

Neither where the folder is nor the order of its files changes it; one changed pixel, label or split does.
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
    """SHA-256 in hexadecimal. Reads every image and mask file once. Raises BlemishError for a missing one."""
    files = sorted({path for sample in dataset for path in files_of(sample)})
    hashes = dict(zip(files, in_threads(file_hash, files), strict=True))
    records = sorted(json.dumps(record(sample, hashes), sort_keys=True) for sample in dataset)
    digest = hashlib.sha256(json.dumps(list(dataset.class_names)).encode())
    for text in records:
        digest.update(b"\n" + text.encode())
    return digest.hexdigest()


def image_digests(dataset: Dataset) -> list[str]:
    """The first 12 digits of each image file's SHA-256, sorted: enough to know an image again."""
    return sorted({digest[:12] for digest in in_threads(file_hash, [sample.image for sample in dataset])})


def files_of(sample: Sample) -> list[Path]:
    """The image, its reference and its mask files."""
    masks = [a.mask.path for a in sample.annotations if isinstance(a.mask, MaskFile)]
    return [sample.image, *([sample.reference] if sample.reference else []), *masks]


def record(sample: Sample, hashes: Mapping[Path, str]) -> dict[str, Any]:
    """Everything about a sample that does not depend on where it lies."""
    return {
        "id": sample.id,
        "image": hashes[sample.image],
        "split": sample.split,
        "group": sample.group,
        "reference": hashes[sample.reference] if sample.reference else None,
        "annotations": sorted(json.dumps(mark(a, hashes), sort_keys=True) for a in sample.annotations),
    }


def mark(annotation: Annotation, hashes: Mapping[Path, str]) -> dict[str, Any]:
    """What is marked, and where. The annotation's id is left out: it names, it does not mark."""
    return {
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
    return [hashes[mask.path], mask.above, mask.colour, sorted(mask.other_colours)]
