"""A file or folder of predictions, told by its kind."""

from __future__ import annotations

from pathlib import Path

from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.predictions.coco import read_coco
from blemish.evaluation.predictions.contract import Predictions
from blemish.evaluation.predictions.inspections import read_inspections
from blemish.evaluation.predictions.maps import list_maps
from blemish.evaluation.predictions.scores import read_scores


def read_predictions(path: Path, dataset: Dataset, *, data: Path, split: str) -> Predictions:
    """The predictions of COCO results (.json), inspections (.jsonl), scores (.csv) or a folder of maps.

    data: where the dataset was read from; split: the one that is measured
    Raises BlemishError that names the file and what is wrong with it.
    """
    if path.is_dir():
        return list_maps(path, dataset)
    if not path.is_file():
        raise BlemishError(f"--predictions {path} must exist. Received: no such file. Check the path.")
    suffix = path.suffix.lower()
    if suffix == ".json":
        return read_coco(path, dataset, data, (split, "val"))
    if suffix == ".jsonl":
        return read_inspections(path, dataset)
    if suffix == ".csv":
        return read_scores(path, dataset)
    raise BlemishError(
        f"--predictions {path} must be COCO results (.json), inspections (.jsonl), scores (.csv) or a folder "
        f"of maps. Received: '{suffix or path.name}'. Write one of these."
    )
