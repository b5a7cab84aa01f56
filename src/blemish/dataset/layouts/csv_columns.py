"""Columns of CSV files of labels: which holds the image and which the class, told by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from blemish.dataset.layouts.common import Tree
from blemish.dataset.layouts.fields import refusal
from blemish.dataset.layouts.tool_table import first_line
from blemish.dataset.layouts.tools import files_to_look_at, head, tool_of
from blemish.dataset.settings import SETTINGS_NAME, DatasetSettings
from blemish.errors import BlemishError

IMAGE_COLUMNS = (
    "filename", "file_name", "file", "image", "image_name", "image_path", "image_id", "imageid", "path",
    "img", "filepath", "file_path", "name",
)  # fmt: skip
CLASS_COLUMNS = (
    "class", "label", "labels", "class_name", "classname", "category", "defect", "target", "type", "anomaly",
)  # fmt: skip


def columns_of(tree: Tree, file: str) -> set[str]:
    """Names in the first line of a CSV file, in small letters."""
    first = first_line(head(tree.root / file))
    return {cell.strip().strip('"').lower().lstrip("#") for cell in first.split(max(",;\t", key=first.count))}


def csv_files(tree: Tree, fits: Callable[[set[str]], bool], *, every: bool = False) -> list[str]:
    """CSV files whose columns fit, of those looked at or of all; none that a tool with a reader wrote."""
    files: Iterable[str] = tree.files if every else files_to_look_at(tree, (".csv", ".tsv"))
    found = [file for file in files if file.lower().endswith((".csv", ".tsv"))]
    return [file for file in found if fits(columns_of(tree, file)) and tool_of(tree, file) is None]


def column(
    columns: set[str], known: Iterable[str], path: Path, settings: DatasetSettings | None = None
) -> str:
    """The column among those of known names, or the one that the settings' `label_key` names.

    Raises BlemishError where several could be meant.
    """
    wanted = (settings.label_key or "").lower() if settings else ""
    if wanted:
        if wanted not in columns:
            raise refusal(f"{path}: 'label_key' of {SETTINGS_NAME}", f"be one of {sorted(columns)}", wanted)
        return wanted
    found = [name for name in known if name in columns]
    if len(found) == 1:
        return found[0]
    remedy = (
        f"Put 'label_key: {found[0]}', or another of them, into {SETTINGS_NAME}."
        if settings and found
        else ("Rename or remove the others.")
    )
    raise BlemishError(f"{path} must have one such column. Received: {', '.join(found) or 'none'}. {remedy}")
