"""Naming true defects by their upright crops: CASAE's compact CNN, and features with a perceptron.

Both are trained on true defects of the training images. Source: Tao et al. 2018, section 5.3, Table 4: six
gray levels and the direction of 90° for the co-occurrence matrix, eight directions for HOG, a mask of 3×3 for
Sobel, one hidden layer, so many iterations. Open there, and ours: neighbours lie one pixel apart; HOG has
cells of `cell` pixels in blocks of 2×2, as Dalal & Triggs 2005; Sobel's amplitude is averaged over cells; the
optimiser is Adam and the hidden units are ReLUs, scikit-learn's own choices.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from time import perf_counter
from typing import Any, ClassVar, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from benchmarks.tables.experiment import expanded
from benchmarks.tables.results import RowJob
from benchmarks.tables.row_kind import Figures, RowKind, validated
from benchmarks.tables.schema import TableRow
from benchmarks.tables.table import Table
from benchmarks.tables.training import MethodKind, method_settings, trained_row
from blemish.arrays import Pixels
from blemish.bundle.manifest import Strict
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
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.common.patches import MarkedDefect, marked_defects
from blemish.progress import Reporter
from blemish.training.run import with_validation

GLCM_LEVELS = 6
HOG_DIRECTIONS = 8
HOG_BLOCK = 2  # cells that are normalised together, along each side

Crop = NDArray[np.uint8]  # [size, size]
CropFeatures = NDArray[np.float64]  # [F]


class TypeFeatureSettings(Strict):
    """features: see `features`; hidden: units; iterations: greatest number of the optimiser's

    cell: pixels, side of HOG's cells
    """

    features: Literal["glcm", "hog", "hog-sobel"]
    hidden: int = Field(15, ge=1)
    iterations: int = Field(1000, ge=1)
    cell: int = Field(16, ge=2)


@dataclass(frozen=True)
class Crops:
    """Crops that every row of a table names: the method's settings of the table, so that all have the same.

    size: pixels, side of the crops; margin: their rectangles are so many times as long
    join_distance: pixels of a class nearer than this are one defect
    """

    size: int
    margin: float
    join_distance: float


class Types(MethodKind):
    """Train, or go on with an interrupted training, then the figures of the compact CNN alone."""

    name = "types"

    def measure(self, table: Table, job: RowJob) -> Figures:
        refuse_other_method(table, job.row)
        refuse_no_types(table, job.row)
        settings = method_settings(table, job.row, expand=True)
        trained = trained_row(table, job.row, settings, job.seed or 0)
        bundle = trained.bundle
        inspector = inspector_of(bundle, device=bundle.manifest.settings["device"])
        inference = inspector.inference
        assert isinstance(inference, CasaeInference)
        true, predicted = list[int](), list[int]()
        test = split_to_evaluate(table.dataset, "test")
        for pixels, marked in with_defects(test, inference.join_distance, table.reporter, inference.channels):
            rectangles = [defect.rectangle for defect in marked]
            found = inference.probabilities(rectangles, pixels, inspector.networks).argmax(axis=1)
            true += [defect.label for defect in marked]
            predicted += found.tolist()
        return {**type_figures(true, predicted, table), "seconds_training": trained.seconds}


class TypeFeatures(RowKind):
    """A perceptron on features of the table's crops."""

    name = "type-features"
    settings_type = TypeFeatureSettings
    packages: ClassVar = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

    def settings(self, table: Table, row: TableRow) -> dict[str, Any]:
        """Its own and the table's crops; BlemishError where the cells do not fit the crops."""
        settings, crops = validated(TypeFeatureSettings, row.settings, table, row), crops_of(table, row)
        if crops.size < 2 * settings.cell:
            raise BlemishError(
                f"table {table.name}, row {row.name}: types_size must be at least two cells of "
                f"{settings.cell}. Received: {crops.size}. Use {2 * settings.cell}, or a smaller cell."
            )
        return {**settings.model_dump(mode="json"), **asdict(crops)}

    def measure(self, table: Table, job: RowJob) -> Figures:
        settings, seed = validated(TypeFeatureSettings, job.row.settings, table, job.row), job.seed or 0
        crops = crops_of(table, job.row)
        training = with_validation(table.dataset, seed, table.reporter).split("train")
        start = perf_counter()
        features, labels = described(training, settings, crops, table.reporter)
        refuse_one_type(labels, table.dataset)
        classify = perceptron(
            features, labels, hidden=settings.hidden, iterations=settings.iterations, seed=seed
        )
        seconds = perf_counter() - start
        test = split_to_evaluate(table.dataset, "test")
        features, true = described(test, settings, crops, table.reporter)
        figures = type_figures(true.tolist(), classify(features).tolist(), table)
        return {**figures, "seconds_training": seconds}


def crops_of(table: Table, row: TableRow) -> Crops:
    """The crops of a table. Raises BlemishError where its method has none."""
    refuse_other_method(table, row)
    method = validated(CasaeSettings, expanded(table.experiment.settings), table, row)
    return Crops(size=method.types_size, margin=method.types_margin, join_distance=method.join_distance)


def type_figures(true: Sequence[int], predicted: Sequence[int], table: Table) -> dict[str, Any]:
    """The "type" part of metrics.json, and the recall of each class; of true defects none is missed.

    true, predicted: class numbers of true defects, and what they were named
    """
    names = table.dataset.class_names
    if not true:
        raise BlemishError(
            f"{table.dataset.root}: the test images must have masks or polygons with defect pixels. "
            "Received: none. Annotate outlines."
        )
    pairs = [(names[number], names[found]) for number, found in zip(true, predicted, strict=True)]
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
        for defect in marked:
            crop = upright(pixels, defect.rectangle, margin=crops.margin, size=crops.size)
            features.append(describe(crop, settings.cell))
            labels.append(defect.label)
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


def refuse_other_method(table: Table, row: TableRow) -> None:
    """Raises BlemishError where there are no upright crops."""
    if table.experiment.method != "casae":
        raise BlemishError(
            f"table {table.name}, row {row.name}: kind {row.kind} needs method casae. "
            f"Received: {table.experiment.method}. Remove the row."
        )


def refuse_no_types(table: Table, row: TableRow) -> None:
    """Raises BlemishError where there would be no compact CNN to measure."""
    rule = f"table {table.name}, row {row.name}: kind types needs"
    if not method_settings(table, row, expand=True).types:
        raise BlemishError(f"{rule} types=true. Received: types=false. Leave it out, or remove the row.")
    if len(names := table.dataset.class_names) < 2:
        raise BlemishError(
            f"{rule} two classes or more. Received: {', '.join(names) or 'none'}. Use other data, or remove "
            "the row."
        )


# The baseline


def perceptron(
    features: NDArray[np.float64], labels: NDArray[np.int_], *, hidden: int, iterations: int, seed: int
) -> Callable[[NDArray[np.float64]], NDArray[np.int_]]:
    """Fitted on features [N, F] with labels [N]; what it returns names features [M, F]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = MLPClassifier(hidden_layer_sizes=(hidden,), max_iter=iterations, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), classifier)
    with warnings.catch_warnings():  # the paper stops here too, converged or not
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(features, labels)
    return pipeline.predict


def glcm(crop: Crop, cell: int) -> CropFeatures:
    """Energy, contrast, entropy (bits) and correlation of gray pairs one above the other, [4]."""
    feature: Any = import_module("skimage.feature")

    levels = (crop.astype(np.uint16) * GLCM_LEVELS // 256).astype(np.uint8)
    matrix = feature.graycomatrix(levels, [1], [np.pi / 2], levels=GLCM_LEVELS, normed=True)
    energy, contrast, correlation = (
        feature.graycoprops(matrix, name)[0, 0] for name in ("energy", "contrast", "correlation")
    )
    shares = matrix[matrix > 0]
    return np.array([energy, contrast, -(shares * np.log2(shares)).sum(), correlation])


def hog(crop: Crop, cell: int) -> CropFeatures:
    """Histograms of gradient directions of each cell, normalised in overlapping blocks of cells."""
    feature: Any = import_module("skimage.feature")

    return feature.hog(
        crop,
        orientations=HOG_DIRECTIONS,
        pixels_per_cell=(cell, cell),
        cells_per_block=(HOG_BLOCK, HOG_BLOCK),
    )


def hog_and_sobel(crop: Crop, cell: int) -> CropFeatures:
    """HOG, then the mean amplitude of the gradient in each cell."""
    across, down = (cv2.Sobel(crop, cv2.CV_64F, x, y, ksize=3) for x, y in ((1, 0), (0, 1)))
    cells = crop.shape[0] // cell
    amplitude = np.hypot(across, down)[: cells * cell, : cells * cell]
    means = amplitude.reshape(cells, cell, cells, cell).mean(axis=(1, 3))
    return np.concatenate([hog(crop, cell), means.ravel()])


FEATURES: Mapping[str, Callable[[Crop, int], CropFeatures]] = {
    "glcm": glcm,
    "hog": hog,
    "hog-sobel": hog_and_sobel,
}
