"""The `labels` layout: image folders whose names are the labels, `0`/`1` or `good`/`bad` or defect names.

Folders of the clean names hold clean images; `1`, `bad` and the like are class 'defect', others are classes.
"""

from __future__ import annotations

from blemish.dataset.layouts.common import CLEAN_NAMES, Contents, Source, Tree, parent, split_of_path
from blemish.dataset.samples import Annotation, Sample
from blemish.errors import BlemishError

DEFECT_NAMES = frozenset({"1", "bad", "ng", "nok", "defect", "defective", "abnormal", "anomaly", "faulty"})


def detect(tree: Tree) -> str | None:
    """Every image lies in a folder of a label, and one of the labels means clean or defective."""
    names = {folder_name(file).lower() for file in tree.images}
    if "" in names or len(names) < 2 or not names & (CLEAN_NAMES | DEFECT_NAMES):
        return None
    return f"the folders {', '.join(sorted(names)[:8])} hold images and name their label"


def read(source: Source) -> Contents:
    samples = tuple(read_sample(source, file) for file in source.tree.images)
    labels = {annotation.label for sample in samples for annotation in sample.annotations}
    return Contents(samples, tuple(sorted(labels)))


def read_sample(source: Source, file: str) -> Sample:
    name = folder_name(file)
    if not name:
        raise BlemishError(
            f"{source.root / file} must lie in a folder named after its label. Received: none. Move it."
        )
    label = "defect" if name.lower() in DEFECT_NAMES else name
    marked = () if name.lower() in CLEAN_NAMES else (Annotation(label),)
    return Sample(source.root / file, file, marked, split=split_of_path(file))


def folder_name(file: str) -> str:
    """Name of the folder that directly holds the file; '' in the root."""
    return parent(file).rpartition("/")[2]
