"""The layout of Severstal's and similar Kaggle sets: `train.csv` with run lengths, an image folder beside it.

Runs are "start length" pairs, down the columns, counted from 1. The file with `ImageId,ClassId` lists defects
alone, so that an image it does not list is clean; the older one with `ImageId_ClassId` lists every image.
Source: https://www.kaggle.com/competitions/severstal-steel-defect-detection/data.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, stem
from blemish.dataset.layouts.csv_columns import columns_of
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import refusal, table, text_of
from blemish.dataset.layouts.shapes import pixels
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation

SUBMISSION = "an example of a submission, which is no truth"
EMPTY = ("", "nan", "-1")


def detect(tree: Tree) -> str | None:
    """A CSV file with the columns ImageId, ClassId and EncodedPixels."""
    file = written_by(tree, "severstal")
    return f"{file} holds run lengths (EncodedPixels)" if file and truth(tree) else None


def truth(tree: Tree) -> list[str]:
    """Files of run lengths that are no example of a submission, whose marks are made up."""
    return [file for file in files_of(tree, "severstal") if not is_submission(file)]


def is_submission(file: str) -> bool:
    return "submission" in stem(file).lower()


def read(source: Source) -> Contents:
    files = truth(source.tree)
    older = any("imageid_classid" in columns_of(source.tree, file) for file in files)
    contents = read_entries(
        source,
        files,
        lambda file: entries_in(source, file),
        to_annotation,
        unlabelled="error" if older else "clean",
    )
    examples = filter(is_submission, files_of(source.tree, "severstal"))
    return replace(contents, left_out={**contents.left_out, **dict.fromkeys(examples, SUBMISSION)})


def entries_in(source: Source, file: str) -> list[DescribedImage]:
    shapes: dict[str, list[tuple[str, str]]] = {}
    for place, row in table(source.root / file):
        name, number = row.get("imageid", ""), row.get("classid", "")
        if "imageid_classid" in row:
            name, _, number = row["imageid_classid"].rpartition("_")
        marks = shapes.setdefault(text_of(name, f"{place}: ImageId"), [])
        if row["encodedpixels"].lower() not in EMPTY:
            marks.append((text_of(number, f"{place}: ClassId"), row["encodedpixels"]))
    return [DescribedImage(file, name, tuple(found)) for name, found in shapes.items()]


def to_annotation(shape: tuple[str, str], place: str, size: Size) -> Annotation:
    label, text = shape
    height, width = size
    try:
        values = np.array([int(value) for value in text.split()], np.int64)
    except (ValueError, OverflowError) as error:
        raise refusal(f"{place}: EncodedPixels", "hold whole numbers", text) from error
    starts, lengths = values[::2] - 1, values[1::2]
    if (
        len(values) % 2
        or (starts < 0).any()
        or (lengths < 1).any()
        or (starts + lengths > height * width).any()
    ):
        raise refusal(f"{place}: EncodedPixels", f"be runs inside {width}×{height} pixels", text)
    mask = np.zeros(height * width, np.bool_)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        mask[start : start + length] = True
    return pixels(label, mask.reshape(size, order="F"))
