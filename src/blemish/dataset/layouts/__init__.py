"""Reading a folder as a dataset: the layout is detected, or named in dataset.yaml, and read by its module.

Where several layouts match, the first in LAYOUTS wins: those whose marks are most particular come first.
Class folders with masks, for example, are also class folders. Labels of two tools are asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from blemish.dataset.layouts import (
    coco,
    crackforest,
    createml,
    csv_boxes,
    csv_classes,
    csv_labels,
    cvat,
    dagm,
    darwin,
    deeppcb,
    dota,
    labelme,
    labels,
    labelstudio,
    lots,
    masks,
    mvtec,
    openimages,
    pairs,
    products,
    realiad,
    severstal,
    supervisely,
    via,
    visa,
    voc,
    yolo,
)
from blemish.dataset.layouts.claims import account_of
from blemish.dataset.layouts.class_settings import with_classes
from blemish.dataset.layouts.clean_folders import with_clean_folders
from blemish.dataset.layouts.common import Contents, Source, Tree, list_files
from blemish.dataset.layouts.detection import (
    OF_LABEL_FILES,
    choose_layout,
    contradictions,
    matching,
    shares_as_pixels,
)
from blemish.dataset.layouts.lot_names import with_lots
from blemish.dataset.layouts.repeats import without_repeats
from blemish.dataset.layouts.split_files import read_splits
from blemish.dataset.samples import Dataset, Sample
from blemish.dataset.settings import SETTINGS_NAME, DatasetSettings
from blemish.dataset.settings_file import images_root, read_settings
from blemish.dataset.unfinished import refuse_unfinished
from blemish.errors import BlemishError
from blemish.untrusted import timed_search

LAYOUTS: dict[str, ModuleType] = {
    "lots": lots,  # folders of one set that are called lot1, lot2
    "products": products,  # folders that are datasets by themselves
    "deeppcb": deeppcb,  # lists beside *_temp images
    "crackforest": crackforest,  # MATLAB files
    "mvtec": mvtec,  # train/good beside test/
    "dagm": dagm,  # masks named <image>_label in a folder Label
    "realiad": realiad,  # a JSON file of Real-IAD's keys
    "visa": visa,  # Data/Images/Normal beside Anomaly
    "labelme": labelme,  # JSON files with shapes
    "labelstudio": labelstudio,  # JSON files of tasks
    "supervisely": supervisely,  # JSON files with objects
    "v7": darwin,  # JSON files with an item
    "via": via,  # JSON or CSV files with regions
    "createml": createml,  # JSON files with coordinates
    "cvat": cvat,  # XML files of many images
    "severstal": severstal,  # CSV files of run lengths
    "openimages": openimages,  # CSV files of boxes in shares
    "csv-boxes": csv_boxes,  # CSV files of boxes
    "csv-classes": csv_classes,  # CSV files with a column for each class
    "csv-labels": csv_labels,  # CSV files with a class for each image
    "dota": dota,  # folders labelTxt
    "coco": coco,  # a JSON file of COCO's keys
    "voc": voc,  # XML files
    "yolo": yolo,  # text files of numbers
    "masks": masks,  # PNG masks beside images of another type
    "pairs": pairs,  # masks in a folder of their own, or of other names
    "labels": labels,  # named folders, with masks or without
}


def load_dataset(
    root: Path | str,
    *,
    layout: str | None = None,
    skip_broken: bool = False,
    inherited: DatasetSettings | None = None,
) -> Dataset:
    """Read the dataset in a folder, or described by a dataset.yaml; no image pixels are decoded.

    root: the folder of the images, or the path of a dataset.yaml whose `root:` names it
    layout: a name of LAYOUTS; None takes dataset.yaml's, or finds it
    skip_broken: leave out what cannot be read and list it in `Dataset.skipped`, instead of raising
    inherited: settings of the folder around it, which hold where its own dataset.yaml says nothing
    Raises BlemishError that names the file or setting.
    """
    source = find_source(Path(root), skip_broken)
    if inherited is not None:
        source = replace(source, settings=source.settings.below(inherited))
    name, reason, warnings = choose_layout(source, layout, LAYOUTS)
    given = source.settings
    if name not in OF_LABEL_FILES and (inherited is None or given.clean != inherited.clean):
        source = with_clean_folders(source, labels_too=name in ("lots", "products"))
    contents = without_repeats(LAYOUTS[name].read(source))
    if name == "products" and layout is None and given.layout is None:
        name, reason, contents = told_from_lots(reason, contents)
    if not contents.samples:
        raise BlemishError(nothing_read(contents, name, source))
    samples, class_names, unknown = with_classes(contents, source, name, inherited=inherited is not None)
    if source.settings.group is not None:
        samples = grouped_samples(samples, source.settings.group)
    elif name not in ("lots", "products"):
        samples = with_lots(samples, class_names)
    skipped = {**contents.skipped, **unknown}
    # The settings go along, for a dataset made from this one.
    carried = given.model_dump(exclude_defaults=True, mode="json")
    if name in OF_LABEL_FILES:
        warnings += (*contradictions(contents.samples), *shares_as_pixels(contents.samples))
    contents = replace(contents, warnings=(*warnings, *contents.warnings))
    of_images = {"mm_per_px": source.settings.mm_per_px, "bits": source.settings.bits}
    known = {name: value for name, value in of_images.items() if value is not None}
    info = {**known, "settings": carried, "home": str(source.home)}
    dataset = Dataset(source.root, samples, class_names, name, reason, skipped, info)
    return read_splits(replace(dataset, account=account_of(contents, source, dataset)), source)


def told_from_lots(reason: str, contents: Contents) -> tuple[str, str, Contents]:
    """Layout, reason and contents of what was found as products, but may be lots by what they hold."""
    one_set = lots.of_one_sided_products(contents)
    if one_set is None:
        return "products", reason, contents
    each = reason.partition(", so a product")[0]
    why = f"{each}, and none holds both clean and defective images, so lots of one set"
    return "lots", f"{why}; 'layout: products' in {SETTINGS_NAME} makes them products", one_set


def nothing_read(contents: Contents, layout: str, source: Source) -> str:
    """Message for a layout of which no image could be read: the first fault, if any was found."""
    faults = list(dict.fromkeys(contents.skipped.values()))
    if not faults:
        return (
            f"{source.root} must hold images of the layout '{layout}'. Received: none. "
            "Check the folder or name another layout."
        )
    more = f" {len(faults) - 1} more have faults, and no image is left." if len(faults) > 1 else ""
    return f"{faults[0]}{more}"


def detect_layout(tree: Tree) -> dict[str, str]:
    """Layouts that match, most particular first, each with the reason in words."""
    return matching(tree, LAYOUTS)


def find_source(path: Path, skip_broken: bool) -> Source:
    """The files and settings behind a folder or a dataset.yaml."""
    file = path if path.is_file() else path / SETTINGS_NAME
    if not path.exists():
        raise BlemishError(f"{path} must exist. Received: no such folder. Check the path.")
    if path.is_file() and path.suffix.lower() not in (".yaml", ".yml"):
        raise BlemishError(
            f"{path} must be a folder or a {SETTINGS_NAME}. Received: a file. Give its folder."
        )
    home = file.parent
    refuse_unfinished(home)
    settings = read_settings(file) if file.is_file() else DatasetSettings()
    root = images_root(settings, file)
    refuse_unfinished(root)
    return Source(list_files(root), settings, home, skip_broken)


def grouped_samples(samples: Sequence[Sample], expression: str) -> tuple[Sample, ...]:
    """Samples with the first group of the expression, searched in their ids, as their group."""
    place = f"{SETTINGS_NAME}: 'group'"
    matches = timed_search(expression, [sample.id for sample in samples], place)
    for sample, match in zip(samples, matches, strict=True):
        if match is None or match[1] is None:
            raise BlemishError(
                f"{place} must match every image. Received: '{expression}', which does not match "
                f"'{sample.id}'. Correct the expression."
            )
    found = zip(samples, matches, strict=True)
    return tuple(replace(sample, group=match[1]) for sample, match in found if match is not None)
