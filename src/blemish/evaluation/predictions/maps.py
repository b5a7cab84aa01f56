"""Predictions of pixels: a folder of maps named like the images, PNG of 8 or 16 bits, .npy or TIFF of floats.

Regions of pixels at or above the threshold are defects. Every map is looked at before anything is measured:
what a pixel's value means must be beyond doubt. Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.dataset.account import lost
from blemish.dataset.hashing import in_threads
from blemish.dataset.layouts.common import is_image
from blemish.dataset.samples import Dataset, Sample
from blemish.errors import BlemishError
from blemish.evaluation.predictions.contract import checked_size
from blemish.evaluation.predictions.map_values import is_array, read_map, remarks_on_values, value_statistics
from blemish.evaluation.predictions.names import ImageNames
from blemish.images.decode import image_size
from blemish.inspection import Inspection, Verdict
from blemish.regions.region import defect_of, numbered, regions_above
from blemish.untrusted import regular_file

JOIN_DISTANCE = 4  # pixels, as annotated regions are joined


@dataclass(frozen=True)
class MapPredictions:
    """Maps of pixel scores; see `contract.Predictions`.

    files: sample id to the file of its map; label: of every defect, as maps name no class
    """

    path: Path
    files: Mapping[str, Path]
    label: str
    remarks: tuple[str, ...] = ()
    kind: str = "maps of pixel scores"
    score_map_max: float | None = 1.0
    classifies: bool = False
    segments: bool = True
    finds_places: bool = True
    own_verdicts: bool = False

    @property
    def covered(self) -> frozenset[str]:
        return frozenset(self.files)

    @property
    def numbers(self) -> Mapping[str, int]:
        return dict.fromkeys(self.files, 1)

    def inspect(self, sample: Sample, threshold: float) -> Inspection:
        """Inspection with the highest pixel's score, so that it has defects from that threshold down."""
        values = self.values(sample)
        found = list(regions_above(values, threshold, join_distance=JOIN_DISTANCE))
        defects = tuple(defect_of(region, self.label, region.strongest) for region in found)
        maps = {"score_map": values, "defects": numbered(found, size_of(values))}
        score = float(values.max(initial=0.0))
        image, by = str(sample.image), str(self.path)
        return Inspection(image, size_of(values), Verdict.OK, score, defects, by, maps=maps)

    def values(self, sample: Sample) -> NDArray[np.float32]:
        """Pixel scores [H, W] in [0, 1]; zeros for an image without a map."""
        if sample.id not in self.files:
            return np.zeros(image_size(sample.image), np.float32)
        file = self.files[sample.id]
        values = read_map(file)
        checked_size(sample, size_of(values), str(file))
        return values


def size_of(values: NDArray[np.float32]) -> tuple[int, int]:
    return values.shape[0], values.shape[1]


def list_maps(folder: Path, dataset: Dataset) -> MapPredictions:
    """Maps of a folder, matched to images by name, and checked.

    Raises BlemishError for no map, a map without an image, a second map of an image, and values that can be
    read in two ways.
    """
    names = ImageNames(dataset)
    files: dict[str, Path] = {}
    strangers: list[str] = []
    every = [file for file in sorted(folder.rglob("*")) if is_shown(file, folder)]
    found = [file for file in every if is_image(file.name) or is_array(file)]
    if not found:
        raise BlemishError(f"{folder} must hold maps, PNG or .npy. Received: none. Check the path.")
    for file in map(regular_file, found):
        name = file.relative_to(folder).as_posix()
        sample = names.find(name)
        if sample is None:
            strangers.append(name)
        elif file.resolve() == sample.image.resolve():
            raise BlemishError(
                f"{folder} must hold maps. Received: {file}, the image itself. Give the folder of the maps."
            )
        elif sample.id in files:
            raise BlemishError(
                f"{sample.image} must have a single map. Received: {files[sample.id]} and {file}. Remove one."
            )
        else:
            files[sample.id] = file
    names.refuse_strangers(strangers, folder)
    classes = dataset.class_names
    remarks = (
        *remarks_on_other_files(every, found),
        *remarks_on_values(list(in_threads(value_statistics, found))),
    )
    return MapPredictions(folder, files, classes[0] if len(classes) == 1 else "defect", remarks)


def is_shown(file: Path, folder: Path) -> bool:
    """True for a file that is not hidden, nor in a hidden folder."""
    hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
    return not hidden and not file.is_dir()


def remarks_on_other_files(every: Sequence[Path], maps: Sequence[Path]) -> tuple[str, ...]:
    others = [file.name for file in every if file not in set(maps)]
    return (lost(others, "file", "it is no map"),) if others else ()
