"""The layout of Open Images: CSV files of boxes in shares of the size, and of the classes' names.

Source: https://storage.googleapis.com/openimages/web/download_v7.html. `IsGroupOf` boxes are crowds. The file
lists boxes alone, so that an image that it does not list is clean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import number, refusal, table, text_of
from blemish.dataset.layouts.shapes import rectangle
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.untrusted import read_text

NAMES = "class-descriptions"


def detect(tree: Tree) -> str | None:
    """A CSV file of Open Images, with ImageID, LabelName and XMin, XMax, YMin, YMax."""
    file = written_by(tree, "openimages")
    return f"{file} lists boxes as Open Images does" if file else None


def read(source: Source) -> Contents:
    lists = [f for f in source.tree.files if f.rpartition("/")[2].startswith(NAMES) and f.endswith(".csv")]
    names = {key: name for file in lists for key, name in names_in(source, file).items()}
    contents = read_entries(
        source,
        files_of(source.tree, "openimages"),
        lambda file: entries_in(source, file, names),
        to_annotation,
        unlabelled="clean",
    )
    return replace(contents, read=contents.read | {*lists})


def names_in(source: Source, file: str) -> dict[str, str]:
    """Class names by their keys, from lines of "key,name"."""
    lines = [line.partition(",") for line in read_text(source.root / file).splitlines() if line.strip()]
    return {key.strip(): text_of(name, f"{source.root / file}: {key}") for key, _, name in lines}


def entries_in(source: Source, file: str, names: Mapping[str, str]) -> list[DescribedImage]:
    boxes: dict[str, list[Mapping[str, str]]] = {}
    for place, row in table(source.root / file):
        key = text_of(row["labelname"], f"{place}: LabelName")
        if names and key not in names:
            raise refusal(f"{place}: LabelName", f"be a class of {NAMES}*.csv", key)
        name = text_of(row["imageid"], f"{place}: ImageID")
        boxes.setdefault(name, []).append({**row, "labelname": names.get(key, key)})
    return [DescribedImage(file, name, tuple(found)) for name, found in boxes.items()]


def to_annotation(row: Mapping[str, str], place: str, size: Size) -> Annotation:
    left, right, top, bottom = (
        number(row[key], f"{place}: {key}") for key in ("xmin", "xmax", "ymin", "ymax")
    )
    if not (0 <= left <= right <= 1 and 0 <= top <= bottom <= 1):
        raise refusal(place, "have corners in shares of the size, 0 to 1", (left, right, top, bottom))
    height, width = size
    box = rectangle(row["labelname"], (left * width, top * height), (right * width, bottom * height))
    return replace(box, crowd=row.get("isgroupof") == "1")
