"""The message for a folder that no layout fits: what was found, the nearest guess, and what to do.

It fits into six lines of a terminal.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from blemish.dataset.layouts.common import Tree, grouped
from blemish.dataset.layouts.label_names import is_clean, is_defective, label_folder, seems_clean
from blemish.dataset.layouts.mask_index import find_masks
from blemish.dataset.layouts.tool_table import first_line
from blemish.dataset.layouts.tools import files_to_look_at, head, nearest_guess, unread_files
from blemish.dataset.settings import SETTINGS_NAME

SHOWN_SUFFIXES = 4
UNLABELLED = (
    "Label files, masks or folders such as good/ and bad/ must say which images are clean. Where all are, "
    f"put 'unlabelled: clean' into {SETTINGS_NAME}."
)


def nothing_fits(tree: Tree) -> str:
    """Message in a few lines: the files found, the nearest guess, and where the list of layouts is."""
    guess = nearest_guess(tree) or unknown_file(tree) or loose_image(tree) or UNLABELLED
    return (
        f"{tree.root} must have a known layout. Received: {inventory(tree)}. {guess} "
        "'blemish data layouts' lists those that are read."
    )


def has_label_files(tree: Tree) -> bool:
    """True where files are there that may hold labels, of a known tool or of none."""
    return any(tool.holds_labels for tool, _ in unread_files(tree)) or bool(unknown_file(tree))


def loose_image(tree: Tree) -> str:
    """Sentence on what keeps folders from being labels: an image in none of them, or a single folder."""
    photographs = find_masks(tree).photographs
    folders = {file: label_folder(file) for file in photographs}
    names = sorted({*folders.values()} - {""})
    if not any(is_clean(name) or is_defective(name) for name in names):
        return unknown_folders(names) if len(names) > 1 else ""
    loose = [file for file, name in folders.items() if not name]
    if loose:
        more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
        return f"{loose[0]}{more} must lie in a folder such as {', '.join(names[:3])} too, or be removed."
    if len(names) == 1:
        return (
            f"All images lie in '{names[0]}', so none is clean. Add a folder of clean ones, such as good/, "
            f"or put 'clean: []' into {SETTINGS_NAME} where there are none."
        )
    return ""


def unknown_folders(names: list[str]) -> str:
    """Sentence on folders of which none has a known name: which may be clean, and how to say it."""
    likely = [name for name in names if seems_clean(name, names)]
    remedy = f"'clean: [{', '.join(likely[:5]) or 'NAME'}]'"
    return (
        f"None of the folders {', '.join(names[:5])} is known as clean: put {remedy} into {SETTINGS_NAME}, "
        "or 'clean: []' where all show defects."
    )


def unknown_file(tree: Tree) -> str:
    """Sentence on the first CSV or JSON file that no reader knows, with its columns or keys; "" for none."""
    file = next(iter(files_to_look_at(tree, (".csv", ".json"))), None)
    if file is None:
        return ""
    text = head(tree.root / file)
    if file.lower().endswith(".csv"):
        shown = ", ".join(cell.strip() for cell in re.split("[,;\t]", first_line(text)))
        return f"{file} has the columns {shown[:60]}; it is read with columns such as image and label."
    keys = dict.fromkeys(re.findall(r'"([^"\\]{1,20})"\s*:', text))
    return f"{file} has keys of no known tool ({', '.join([*keys][:4]) or 'none'})."


def inventory(tree: Tree) -> str:
    """Numbers of images and of other files by suffix: "12 images (first a.jpg), 3 .json, 1 .csv"."""
    if not tree.files:
        return "an empty folder"
    number = len(tree.images)
    images = f"{number} image{'s' * (number != 1)} (first {tree.images[0]})" if number else ""
    others = [file for file in tree.files if file not in tree.image_set]
    kinds = grouped(others, lambda file: PurePosixPath(file).suffix.lower() or "without suffix")
    counts = sorted(((len(files), kind) for kind, files in kinds.items()), reverse=True)
    rest = [f"{count} {kind}" for count, kind in counts[:SHOWN_SUFFIXES]]
    return ", ".join(filter(None, [images or "no image", *rest]))
