"""Writing a product: a COCO file that names its images, split lists, and dataset.yaml.

Images that lie elsewhere stay there: dataset.yaml refers to their folder, and only those that the COCO file
names belong to the product.
"""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from blemish.dataset.convert.coco import annotation_entries, categories_of, image_entry, numbered
from blemish.dataset.convert.common import write_split_lists
from blemish.dataset.samples import Dataset
from blemish.dataset.settings import SETTINGS_NAME
from blemish.dataset.splits.split import relative_path
from blemish.dataset.unfinished import marked
from blemish.files import write_atomically

TRUTH_NAME = "annotations.json"


def write_product(dataset: Dataset, out: Path) -> None:
    """Write OUT/annotations.json, OUT/splits and OUT/dataset.yaml; load_dataset(out) then gives this dataset.

    Classes that no image shows are left out. dataset.yaml is written last and marks the folder as whole.
    """
    settings = {"layout": "coco", "annotations": TRUTH_NAME}
    if dataset.root.resolve() != out.resolve():
        settings["root"] = relative_path(dataset.root, out)
    with marked(out, by="blemish data tasks"):
        write_atomically(out / TRUTH_NAME, json.dumps(truth(dataset)) + "\n")
        write_split_lists(out / "splits", dataset, lambda sample: sample.id)
        write_atomically(out / SETTINGS_NAME, yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


def truth(dataset: Dataset) -> dict[str, Any]:
    """The COCO file of a dataset whose images and references lie below its root."""
    shown = {annotation.label for sample in dataset for annotation in sample.annotations}
    categories = categories_of([name for name in dataset.class_names if name in shown])
    numbers = count(1)
    content: dict[str, Any] = {"info": {}, "licenses": [], "images": [], "annotations": []}
    for image_number, sample in enumerate(dataset, start=1):
        reference = sample.reference
        names = {} if reference is None else {reference: reference.relative_to(dataset.root).as_posix()}
        image = {"id": image_number, **image_entry(sample, sample.id, names)}
        content["images"].append(image)
        marks = annotation_entries(sample, (image["height"], image["width"]))
        content["annotations"] += [
            numbered({**mark, "image_id": image_number}, next(numbers), categories) for mark in marks
        ]
    content["categories"] = [{"id": number, "name": name} for name, number in categories.items()]
    return content
