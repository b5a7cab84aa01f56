"""Writing a dataset in another layout, with its images copied: lossless for what both layouts hold.

What the target cannot place at all is refused before anything is written; what it holds less exactly is said
in the result's warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blemish.dataset.convert import coco, masks, voc, yolo
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError, nearest_name
from blemish.folder_lock import is_empty_folder, locks_out

WRITERS: dict[str, Callable[[Dataset, Path], list[str]]] = {
    "coco": coco.write,  # everything
    "voc": voc.write,  # boxes
    "yolo": yolo.write,  # boxes, or single polygons
    "masks": masks.write,  # classes of pixels
}


@dataclass(frozen=True)
class Conversion:
    """Result of a conversion: the folder, counts, and a line on each thing the target holds less exactly."""

    out: Path
    images: int
    annotations: int
    warnings: tuple[str, ...]


@locks_out
def convert(dataset: Dataset, out: Path | str, to: str) -> Conversion:
    """Write the dataset to the empty folder `out` in layout `to`; `load_dataset(out)` reads it back.

    Boxes, polygons and masks are in pixels of the image as decoded, with its EXIF orientation applied.
    Raises BlemishError when the target cannot hold an annotation, or the folder is not empty.
    """
    if to not in WRITERS:
        hint = nearest_name(to, WRITERS) or f" Use one of {', '.join(WRITERS)}."
        raise BlemishError(f"--to must be a layout that is written. Received: '{to}'.{hint}")
    folder = Path(out)
    if not is_empty_folder(folder):
        raise BlemishError(
            f"{folder} must be a new or empty folder. Received: one with content. Name another."
        )
    warnings = WRITERS[to](dataset, folder)
    marks = sum(len(sample.annotations) for sample in dataset)
    return Conversion(folder, len(dataset), marks, tuple(warnings))
