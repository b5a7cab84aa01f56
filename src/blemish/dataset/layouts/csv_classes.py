"""The layout of Roboflow's "Multi-Label Classification": `_classes.csv`, a column of 0 and 1 for every class.

An image with 0 in all columns is clean, one with 1 under 'Unlabeled' is not labelled.
"""

from __future__ import annotations

from blemish.dataset.layouts.common import Contents, Source, Tree
from blemish.dataset.layouts.csv_columns import columns_of
from blemish.dataset.layouts.csv_labels import no_shape
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import refusal, table, text_of
from blemish.dataset.layouts.label_names import is_clean
from blemish.dataset.layouts.tools import files_to_look_at

FILE = "_classes.csv"


def detect(tree: Tree) -> str | None:
    """Files _classes.csv of Roboflow, with a column of 0 and 1 for every class."""
    file = next(
        (file for file in files_to_look_at(tree, (FILE,)) if "filename" in columns_of(tree, file)), None
    )
    return f"{file} has a column of 0 and 1 for every class" if file else None


def read(source: Source) -> Contents:
    tree = source.tree
    files = [file for file in tree.files if file.endswith(FILE) and "filename" in columns_of(tree, file)]
    names = dict[str, list[str]]()

    def entries_in(file: str) -> list[DescribedImage]:
        rows = table(source.root / file, keep_case=True)
        names[file] = [
            name for _, row in rows[:1] for name in row if name.lower() not in ("filename", "unlabeled")
        ]
        return [entry for place, row in rows if (entry := entry_of(file, row, place)) is not None]

    return read_entries(
        source,
        files,
        entries_in,
        no_shape,
        class_names=lambda: [
            n for file in files for n in names.get(file, ()) if not is_clean(n, source.settings)
        ],
    )


def entry_of(file: str, row: dict[str, str], place: str) -> DescribedImage | None:
    """DescribedImage of a line; None where the line says that the image is not labelled."""
    key = next(name for name in row if name.lower() == "filename")
    name = text_of(row[key], f"{place}: {key}")
    values = {column: value for column, value in row.items() if column != key}
    wrong = next((column for column, value in values.items() if value not in ("0", "1")), None)
    if wrong is not None:
        raise refusal(f"{place}: {wrong}", "be 0 or 1", values[wrong])
    shown = [column for column, value in values.items() if value == "1"]
    if [column.lower() for column in shown] == ["unlabeled"]:
        return None
    return DescribedImage(file, name, labels=tuple(shown))
