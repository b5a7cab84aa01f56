"""Choosing the layout of a folder: named by the user, or found; asked for where two are as likely.

Label files say more than folders, so that a layout of label files goes before one of folders and masks, with
a word on the other. Labels of two tools are two readings, of which the user must choose one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType

from blemish.dataset.account import remark
from blemish.dataset.faults import extent
from blemish.dataset.layouts.common import Source, Tree, parent
from blemish.dataset.layouts.label_names import is_defective, means_good
from blemish.dataset.layouts.products import product_folders
from blemish.dataset.layouts.tools import nearest_guess, tool_of
from blemish.dataset.layouts.unknown import has_label_files, inventory, nothing_fits
from blemish.dataset.samples import Sample
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError, nearest_name

# Layouts whose labels are files that a tool wrote for the images; the others are folders and masks.
OF_LABEL_FILES = frozenset({
    "coco", "createml", "csv-boxes", "csv-classes", "csv-labels", "cvat", "dota", "labelme", "labelstudio",
    "openimages", "severstal", "supervisely", "v7", "via", "voc", "yolo",
})  # fmt: skip
OF_ONE_FILE = OF_LABEL_FILES - {"dota", "labelme", "supervisely", "v7", "voc", "yolo"}
WEAK = frozenset({"labels"})  # folder names alone, which often only sort what label files describe


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
    if named is not None and named not in layouts:
        hint = nearest_name(named, layouts) or f" Use one of {', '.join(layouts)}."
        raise BlemishError(f"layout must be a known name. Received: '{named}'.{hint}")
    if source.settings.annotations is not None:
        return layout_of_named_file(source, named)
    if named is None:
        return found_layout(source, layouts)
    return named, "named by you" if layout else f"named in {SETTINGS_NAME}", ()


def layout_of_named_file(source: Source, named: str | None) -> tuple[str, str, tuple[str, ...]]:
    """Layout of the label file that dataset.yaml names: the one named there too, the file's tool, or COCO.

    Raises BlemishError for a named layout that has no label file for all images.
    """
    annotations = source.settings.annotations
    files = [annotations] if isinstance(annotations, str) else [*(annotations or {}).values()]
    if named is not None and named not in OF_ONE_FILE:
        raise BlemishError(
            f"{source.home / SETTINGS_NAME}: 'annotations' must go with a layout of one label file, such as "
            f"coco. Received: layout '{named}'. Remove one of the two."
        )
    tool = tool_of(Tree(source.home, ()), files[0]) if files else None
    name = named or (tool if tool in OF_ONE_FILE else None) or "coco"
    return name, f"{SETTINGS_NAME} names its label file", ()


def found_layout(source: Source, layouts: Layouts) -> tuple[str, str, tuple[str, ...]]:
    """The most particular layout that matches, the reason, and a line on each other reading."""
    tree = source.tree
    matches = matching(tree, layouts)
    if not matches and source.settings.clean is not None:
        return "labels", f"'clean' of {SETTINGS_NAME} names the folders of clean images", ()
    if not matches and source.settings.unlabelled == "clean" and not has_label_files(tree):
        return "labels", f"'unlabelled: clean' of {SETTINGS_NAME} says that all images are", ()
    if not matches:
        raise BlemishError(nothing_fits(tree))
    name, reason = next(iter(matches.items()))
    if name in OF_LABEL_FILES:
        refuse_two_tools(tree, {key: why for key, why in matches.items() if key in OF_LABEL_FILES})
    others = {key: why for key, why in matches.items() if key != name and key not in WEAK}
    telling = others if name in OF_LABEL_FILES else {k: w for k, w in others.items() if k in OF_LABEL_FILES}
    if name in ("lots", "products"):
        telling = {}
    return name, reason, tuple(other_reading(name, key, why) for key, why in telling.items())


def contradictions(samples: Iterable[Sample]) -> Iterator[str]:
    """Warnings on labels that contradict names: a defect called 'good', or in a folder good/."""
    samples = [*samples]
    good = sorted({a.label for s in samples for a in s.annotations if means_good(a.label)})
    if good:
        yield remark(good, "class name", "marked as a defect, though the name means clean")
    folders = [(sample, parent(sample.id).rpartition("/")[2]) for sample in samples]
    marked = [sample.id for sample, folder in folders if sample.is_defective and means_good(folder)]
    if marked:
        yield remark(marked, "image", "marked with a defect, in a folder whose name means clean")
    clean = [s.id for s, folder in folders if not s.is_defective and is_defective(folder) and folder != "1"]
    if clean:
        yield remark(clean, "image", "clean by their labels, in a folder whose name means defective")


def shares_as_pixels(samples: Iterable[Sample]) -> Iterator[str]:
    """Warning where every place lies in the first pixel of its image, as shares of its sides would."""
    placed = [(sample.id, a) for sample in samples for a in sample.annotations if a.box_xyxy or a.polygons]
    extents = [(name, a.box_xyxy or extent(a.polygons)) for name, a in placed]
    if extents and all(min(corners) >= 0 and max(corners) <= 1 for _, corners in extents):
        images = [*dict.fromkeys(name for name, _ in extents)]
        text = "every box or outline lies within the first pixel: are they shares of width and height?"
        yield remark(images, "image", f"{text} They are read as pixels. Multiply them by the image's size")


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
