"""The layout of a CSV file of labels: a column of images, a column of their classes, no places.

`ok`, `good`, `0` and the like mean clean; `1`, `bad`, `ng` and the like are class 'defect', others are
classes. Several lines of an image give it several classes. A column `split` is heeded.
"""

from __future__ import annotations

from dataclasses import replace

from blemish.arrays import Size
from blemish.dataset.account import remark
from blemish.dataset.layouts.common import SPLIT_OF_FOLDER, Contents, Source, Tree
from blemish.dataset.layouts.csv_columns import CLASS_COLUMNS, IMAGE_COLUMNS, column, columns_of, csv_files
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import refusal, table, text_of
from blemish.dataset.layouts.shapes import CannotHoldError
from blemish.dataset.samples import Annotation
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError

MORE_THAN_LABELS = (
    "mask",
    "xmin",
    "x_min",
    "x1",
    "bbox",
    "x",
    "encodedpixels",
    "prediction",
    "score",
    "polygon",
)


def detect(tree: Tree) -> str | None:
    """A CSV file with a column of images and a column of their classes."""
    file = next(iter(csv_files(tree, is_label_list)), None)
    return f"{file} lists images and their classes" if file else None


def is_label_list(columns: set[str]) -> bool:
    return bool(columns & {*IMAGE_COLUMNS} and columns & {*CLASS_COLUMNS}) and not columns & {
        *MORE_THAN_LABELS
    }


def read(source: Source) -> Contents:
    files = csv_files(source.tree, is_label_list, every=True)
    contents = read_entries(source, files, lambda file: entries_in(source, file), no_shape)
    if not contents.samples or not all(sample.is_defective for sample in contents.samples):
        return contents
    line = remark(
        contents.class_names,
        "class name",
        f"none means clean; 'clean:' of {SETTINGS_NAME} names those that do",
    )
    return replace(contents, warnings=(*contents.warnings, line))


def entries_in(source: Source, file: str) -> list[DescribedImage]:
    path = source.root / file
    columns = columns_of(source.tree, file)
    image = column(columns, IMAGE_COLUMNS, path)
    label = column(columns - {image}, CLASS_COLUMNS, path, source.settings)
    labels: dict[str, list[str]] = {}
    splits: dict[str, str | None] = {}
    for place, row in table(path):
        name = text_of(row[image], f"{place}: {image}")
        labels.setdefault(name, []).append(text_of(row[label], f"{place}: {label}"))
        split = SPLIT_OF_FOLDER.get(row.get("split", "").lower())
        if splits.setdefault(name, split) != split:
            raise refusal(f"{place}: split", "be that of the image's other lines", row.get("split"))
    if source.settings.clean is None:
        refuse_unnamed({label for found in labels.values() for label in found}, f"{path}: {label}")
    return [
        DescribedImage(file, name, labels=tuple(dict.fromkeys(found)), split=splits[name])
        for name, found in labels.items()
    ]


def refuse_unnamed(labels: set[str], place: str) -> None:
    """Raise BlemishError for numbers other than 0 and 1, and truth values: what means clean is not said."""
    doubtful = [label for label in labels if label.lower() in ("true", "false", "yes", "no")]
    numbers = [label for label in labels if label.replace(".", "").replace("-", "").isdigit()]
    if doubtful or not {*numbers} <= {"0", "1"}:
        shown = ", ".join(sorted(doubtful or numbers)[:8])
        raise BlemishError(
            f"{place} must say what means clean (0 clean and 1 defective are understood). Received: {shown}. "
            f"Put 'clean: [{shown.partition(',')[0]}]', or those that do, into {SETTINGS_NAME}."
        )


def no_shape(shape: object, place: str, size: Size) -> Annotation:
    raise CannotHoldError("a table of labels has no shapes")
