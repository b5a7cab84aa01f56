"""Rows that name true defects of the test images by their upright crops: the compact CNN, and features.

Source: Tao et al. 2018, section 5.3, Table 4. Both are trained on true defects of the training images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.experiment import Row, Strict, expanded
from benchmarks.tables.place import Table
from benchmarks.tables.trained import method_settings, trained_bundle, validated
from benchmarks.tables.types.features import FEATURES
from benchmarks.tables.types.perceptron import perceptron
from blemish.arrays import Pixels
from blemish.dataset.masks import class_map
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.classification import accuracy_of, confusion_matrix
from blemish.evaluation.pixel import ratio
from blemish.evaluation.run import split_to_evaluate
from blemish.images.decode import read_image
from blemish.inspector.loading import inspector_of
from blemish.methods.casae.crops import upright
from blemish.methods.casae.inference import CasaeInference
from blemish.methods.casae.settings import Settings
from blemish.methods.common.patches import MarkedDefect, marked_defects
from blemish.progress import Reporter
from blemish.training.run import with_validation

Named = tuple[Sequence[int], Sequence[int]]  # class numbers of true defects: true ones, given ones


class TypeFeatureSettings(Strict):
    """features: see `features`; hidden: units; iterations: most of the optimiser

    cell: pixels, side of HOG's cells
    """

    features: Literal["glcm", "hog", "hog-sobel"]
    hidden: int = Field(15, ge=1)
    iterations: int = Field(1000, ge=1)
    cell: int = Field(16, ge=2)


@dataclass(frozen=True)
class Crops:
    """What every row of a table names: the method's settings of the table, so that all have the same.

    size: pixels, side of the crops; margin: their rectangles are so many times as long
    join_distance: pixels of a class nearer than this are one defect
    """

    size: int
    margin: float
    join_distance: float


def type_features_row(table: Table, row: Row, seed: int) -> dict[str, Any]:
    """The figures of a perceptron on features, for one seed."""
    settings, crops = feature_settings(table, row), crops_of(table, row)
    training = with_validation(table.dataset, seed, table.reporter).split("train")
    start = perf_counter()
    features, labels = described(training, settings, crops, table.reporter)
    refuse_one_type(labels, table.dataset)
    classify = perceptron(features, labels, hidden=settings.hidden, iterations=settings.iterations, seed=seed)
    seconds = perf_counter() - start
    test = split_to_evaluate(table.dataset, "test")
    features, true = described(test, settings, crops, table.reporter)
    return {**type_figures((true.tolist(), classify(features).tolist()), table), "seconds_training": seconds}


def feature_row_settings(table: Table, row: Row) -> dict[str, Any]:
    """Every setting that the row's figures depend on; BlemishError where the cells do not fit the crops."""
    settings, crops = feature_settings(table, row), crops_of(table, row)
    if crops.size < 2 * settings.cell:
        raise BlemishError(
            f"table {table.name}, row {row.name}: types_size must be at least two cells of {settings.cell}. "
            f"Received: {crops.size}. Use {2 * settings.cell}, or a smaller cell."
        )
    return {**settings.model_dump(mode="json"), **asdict(crops)}


def feature_settings(table: Table, row: Row) -> TypeFeatureSettings:
    """The row's own settings. Raises BlemishError that names table and row."""
    return validated(TypeFeatureSettings, row.settings, table, row)


def crops_of(table: Table, row: Row) -> Crops:
    """The crops of a table. Raises BlemishError where its method has none."""
    refuse_other_method(table, row)
    method = validated(Settings, expanded(table.experiment.settings), table, row)
    return Crops(size=method.types_size, margin=method.types_margin, join_distance=method.join_distance)


def types_row(table: Table, row: Row, seed: int) -> dict[str, Any]:
    """Train, or go on with an interrupted training, then the figures of the compact CNN alone."""
    refuse_other_method(table, row)
    refuse_no_types(table, row)
    bundle, seconds = trained_bundle(table, row, seed)
    inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
    inference = inspector.inference
    assert isinstance(inference, CasaeInference)
    true, given = list[int](), list[int]()
    test = split_to_evaluate(table.dataset, "test")
    for pixels, marked in with_defects(test, inference.join_distance, table.reporter, inference.channels):
        rectangles = [one.rectangle for one in marked]
        found = inference.probabilities(rectangles, pixels, inspector.networks).argmax(axis=1)
        true += [one.label for one in marked]
        given += found.tolist()
    return {**type_figures((true, given), table), "seconds_training": seconds}


def type_figures(named: Named, table: Table) -> dict[str, Any]:
    """As the "type" part of metrics.json, and the recall of each class; of true defects none is missed."""
    names = table.dataset.class_names
    if not named[0]:
        raise BlemishError(
            f"{table.dataset.root}: the test images must have masks or polygons with defect pixels. "
            "Received: none. Annotate outlines."
        )
    pairs = [(names[true], names[given]) for true, given in zip(*named, strict=True)]
    confusion = confusion_matrix(pairs, names)
    recall = {name: ratio(confusion[name][name], sum(confusion[name].values())) for name in names}
    figures = {"accuracy": accuracy_of(confusion), "recall": recall, "defects": len(pairs)}
    return {"type": {**figures, "confusion": confusion}}


def described(
    dataset: Dataset, settings: TypeFeatureSettings, crops: Crops, reporter: Reporter
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Features [N, F] and class numbers [N] of every true defect."""
    describe = FEATURES[settings.features]
    features, labels = list[NDArray[np.float64]](), list[int]()
    for pixels, marked in with_defects(dataset, crops.join_distance, reporter):
        for one in marked:
            crop = upright(pixels, one.rectangle, margin=crops.margin, size=crops.size)
            features.append(describe(crop, settings.cell))
            labels.append(one.label)
    return np.array(features), np.array(labels, int)


def with_defects(
    dataset: Dataset, join_distance: float, reporter: Reporter, channels: int | None = 1
) -> Iterator[tuple[Pixels, tuple[MarkedDefect, ...]]]:
    """Pixels and true defects of each image that has any."""
    for sample in reporter.track(dataset.samples, "naming true defects"):
        pixels = read_image(sample.image, channels=channels)
        classes = class_map(sample, dataset.class_names, (pixels.shape[0], pixels.shape[1]))
        marked = marked_defects([classes], join_distance=join_distance)
        if marked:
            yield pixels, marked


def refuse_one_type(labels: NDArray[np.int_], dataset: Dataset) -> None:
    there = [dataset.class_names[number] for number in np.unique(labels)]
    if len(there) < 2:
        raise BlemishError(
            f"{dataset.root}: the training images must have outlined defects of two classes or more. "
            f"Received: {', '.join(there) or 'none'}. Annotate others, or leave the row out."
        )


def refuse_other_method(table: Table, row: Row) -> None:
    """Raises BlemishError where there are no upright crops."""
    if table.experiment.method != "casae":
        raise BlemishError(
            f"table {table.name}, row {row.name}: kind {row.kind} needs method casae. "
            f"Received: {table.experiment.method}. Remove the row."
        )


def refuse_no_types(table: Table, row: Row) -> None:
    """Raises BlemishError where there would be no compact CNN to measure."""
    rule = f"table {table.name}, row {row.name}: kind types needs"
    if not method_settings(table, row, expand=True).types:
        raise BlemishError(f"{rule} types=true. Received: types=false. Leave it out, or remove the row.")
    if len(names := table.dataset.class_names) < 2:
        raise BlemishError(
            f"{rule} two classes or more. Received: {', '.join(names) or 'none'}. Use other data, or remove "
            "the row."
        )
