"""Choosing the layout of a folder: named by the user, or found; asked for where two are as likely.

Label files say more than folders, so that a layout of label files goes before one of folders and masks, with
a word on the other. Labels of two tools are two readings, of which the user must choose one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from types import ModuleType

from blemish.dataset.account import remark
from blemish.dataset.layouts.common import Source, Tree, grouped, parent
from blemish.dataset.layouts.label_names import is_clean, is_defective
from blemish.dataset.layouts.products import product_folders
from blemish.dataset.layouts.tools import nearest_guess, tool_of
from blemish.dataset.samples import Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError, nearest_name

# Layouts whose labels are files that a tool wrote for the images; the others are folders and masks.
OF_LABEL_FILES = frozenset({
    "coco", "createml", "csv-boxes", "csv-classes", "csv-labels", "cvat", "dota", "labelme", "labelstudio",
    "openimages", "severstal", "supervisely", "v7", "via", "voc", "yolo",
})  # fmt: skip
WEAK = frozenset({"labels"})  # folder names alone, which often only sort what label files describe
SHOWN_SUFFIXES = 4

Layouts = Mapping[str, ModuleType]


def matching(tree: Tree, layouts: Layouts) -> dict[str, str]:
    """Layouts that match, most particular first, each with the reason in words."""
    reasons = {name: module.detect(tree) for name, module in layouts.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def choose_layout(source: Source, layout: str | None, layouts: Layouts) -> tuple[str, str, tuple[str, ...]]:
    """Name of the layout, why that one, and warnings on other readings.

    Raises BlemishError for an empty folder, an unknown name, no layout that fits, and two that do.
    """
    tree = source.tree
    if not tree.images and not product_folders(tree):  # a product may name a folder elsewhere
        remedy = nearest_guess(tree) or "Check the path."
        raise BlemishError(f"{tree.root} must hold images. Received: {inventory(tree)}. {remedy}")
    named = layout or source.settings.layout
    if named is None:
        if source.settings.clean is not None and not matching(tree, layouts):
            return "labels", f"'clean' of {SETTINGS_NAME} names the folders of clean images", ()
        return layout_of_named_file(source, layouts) or found_layout(tree, layouts)
    if named not in layouts:
        hint = nearest_name(named, layouts) or f" Use one of {', '.join(layouts)}."
        raise BlemishError(f"layout must be a known name. Received: '{named}'.{hint}")
    return named, "named by you" if layout else f"named in {SETTINGS_NAME}", ()


def layout_of_named_file(source: Source, layouts: Layouts) -> tuple[str, str, tuple[str, ...]] | None:
    """Layout of the label file that the settings name; None without one, and where none of TOOLS wrote it."""
    named = source.settings.annotations
    files = [named] if isinstance(named, str) else [*(named or {}).values()]
    names = {tool_of(Tree(source.home, ()), file) for file in files}
    name = names.pop() if len(names) == 1 else None
    return (name, f"{files[0]} of {SETTINGS_NAME} is a file of it", ()) if name in layouts and name else None


def found_layout(tree: Tree, layouts: Layouts) -> tuple[str, str, tuple[str, ...]]:
    """The most particular layout that matches, the reason, and a line on each other reading."""
    matches = matching(tree, layouts)
    if not matches:
        raise BlemishError(nothing_fits(tree))
    name, reason = next(iter(matches.items()))
    if name in OF_LABEL_FILES:
        refuse_two_tools(tree, {key: why for key, why in matches.items() if key in OF_LABEL_FILES})
    others = {key: why for key, why in matches.items() if key != name and key not in WEAK}
    telling = others if name in OF_LABEL_FILES else {k: w for k, w in others.items() if k in OF_LABEL_FILES}
    if name == "products":
        telling = {}
    return name, reason, tuple(other_reading(name, key, why) for key, why in telling.items())


def contradictions(samples: Iterable[Sample]) -> Iterator[str]:
    """Warnings on labels that contradict names: a defect called 'good', or in a folder good/."""
    samples = [*samples]
    good = sorted({a.label for s in samples for a in s.annotations if means_good(a.label)})
    if good:
        yield remark(good, "class", "marked as a defect, though the name means clean")
    folders = [(sample, parent(sample.id).rpartition("/")[2]) for sample in samples]
    marked = [sample.id for sample, folder in folders if sample.is_defective and means_good(folder)]
    if marked:
        yield remark(marked, "image", "marked with a defect, in a folder whose name means clean")
    clean = [s.id for s, folder in folders if not s.is_defective and is_defective(folder) and folder != "1"]
    if clean:
        yield remark(clean, "image", "clean by their labels, in a folder whose name means defective")


def means_good(name: str) -> bool:
    return is_clean(name) and name != "0"  # a number may also count


def refuse_two_tools(tree: Tree, matches: Mapping[str, str]) -> None:
    """Raise BlemishError where label files of two tools are there, of which either may be the right ones."""
    if len(matches) > 1:
        found = "; ".join(f"'{name}' ({reason})" for name, reason in [*matches.items()][:3])
        raise BlemishError(
            f"{tree.root} must have the labels of one tool. Received: {found}. "
            f"Put 'layout: {next(iter(matches))}', or another of them, into {SETTINGS_NAME}."
        )


def other_reading(name: str, other: str, reason: str) -> str:
    return (
        f"read as the layout '{name}', though '{other}' fits too: {reason}; "
        f"'layout: {other}' in {SETTINGS_NAME} would read that instead"
    )


def nothing_fits(tree: Tree) -> str:
    """Message in a few lines: the files found, the nearest guess, and where the list of layouts is."""
    guess = nearest_guess(tree) or (
        "Label files, masks or folders such as good/ and bad/ must say which images are clean."
    )
    return (
        f"{tree.root} must have a known layout. Received: {inventory(tree)}. {guess} "
        "'blemish data layouts' lists those that are read."
    )


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
