"""The VisA layout: `<category>/Data/Images/{Normal,Anomaly}` and masks in `Data/Masks`, splits in CSV files.

Source: Zou et al. 2022, "SPot-the-Difference Self-Supervised Pre-training". The values of its masks number
kinds of anomalies that no file names: every value but 0 marks the class 'defect'. With several categories
each is a product, its class "category-defect".
"""

from __future__ import annotations

import csv
from dataclasses import replace

from blemish.dataset.layouts import labels
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Contents, Source, Tree
from blemish.dataset.samples import Sample
from blemish.errors import BlemishError
from blemish.untrusted import read_text

IMAGES = "Data/Images/"
KIND_FOLDERS = ("Normal", "Anomaly")
COLUMNS = ("object", "split", "label", "image", "mask")
USUAL_SPLIT = "1cls.csv"  # the paper's split for one category at a time; two more are for other tasks
KINDS = "VisA's kinds of anomalies are not read, as the masks do not tell them apart"


def detect(tree: Tree) -> str | None:
    """Images lie in Data/Images/Normal and Data/Images/Anomaly."""
    found = {
        kind: next((f for f in tree.images if f"/{IMAGES}{kind}/" in f"/{f}"), None) for kind in KIND_FOLDERS
    }
    if not all(found.values()):
        return None
    several = len(categories(tree))
    products = f"; each of {several} categories is a product" if several > 1 else ""
    return (
        f"{found['Normal']} is an image of VisA's folder for normal ones, beside one for anomalies{products}"
    )


def categories(tree: Tree) -> list[str]:
    return sorted(
        {f"/{f}".partition(f"/{IMAGES}")[0].strip("/") for f in tree.images if f"/{IMAGES}" in f"/{f}"}
    )


def read(source: Source) -> Contents:
    contents = labels.read(source)
    tables = [file for file in source.tree.files if file.lower().endswith(".csv")]
    splits = {file: rows for file in tables if (rows := split_rows(source, file))}
    usual = next((f for f in splits if f.endswith(USUAL_SPLIT)), next(iter(splits), None))
    split_of = splits[usual] if usual else {}
    several = len(categories(source.tree)) > 1
    samples = tuple(with_split(sample, split_of, several=several) for sample in contents.samples)
    unlisted = [sample.id for sample in samples if split_of and sample.split is None]
    strange = [name for name in split_of if name not in {sample.id for sample in samples}]
    lines = [f"{usual} does not list {len(unlisted)} images, first {unlisted[0]}."] if unlisted else []
    lines += (
        [f"{usual} lists {len(strange)} images that are not there, first {strange[0]}."] if strange else []
    )
    return replace(
        contents,
        samples=samples,
        class_names=tuple(sorted({a.label for sample in samples for a in sample.annotations})),
        read=contents.read | frozenset(splits),
        left_out={
            **contents.left_out,
            **{f: KINDS for f in tables if f.endswith("image_anno.csv") and f not in splits},
        },
        warnings=(*contents.warnings, *lines),
    )


def split_rows(source: Source, file: str) -> dict[str, str]:
    """Image → split of a table of VisA's splits; empty for another table."""
    rows = list(csv.reader(read_text(source.root / file).splitlines()))
    if not rows or tuple(cell.strip().lower() for cell in rows[0]) != COLUMNS:
        return {}
    found = {}
    for row in (row for row in rows[1:] if any(row)):
        if len(row) != len(COLUMNS) or row[1] not in SPLIT_OF_FOLDER:
            raise BlemishError(
                f"{source.root / file} must hold rows of {', '.join(COLUMNS)}. Received: '{','.join(row)}'. "
                "Correct the row."
            )
        found[row[3].strip()] = SPLIT_OF_FOLDER[row[1]]
    return found


def with_split(sample: Sample, split_of: dict[str, str], *, several: bool) -> Sample:
    """The sample in its split; of several categories, as one of a product."""
    category = f"/{sample.id}".partition(f"/{IMAGES}")[0].strip("/")
    split = split_of.get(sample.id)
    if not several:
        return replace(sample, split=split)
    marked = tuple(replace(a, label=f"{category.rpartition('/')[2]}-{a.label}") for a in sample.annotations)
    return replace(sample, annotations=marked, split=split, product=category)
