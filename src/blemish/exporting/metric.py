"""Cost of int8: a method's main metric on the validation images, before and after.

The main metric follows the method's kind of answer, at the bundle's own threshold: F1 of pixels where defects
are outlined, of boxes with their names where they are named, of verdicts otherwise. For boxes mean average
precision counts as well, and the larger drop decides: it has no threshold, so it would miss scores that all
moved past one, but it says something about a detector that is confident of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.run import evaluate_samples, for_bundle
from blemish.inspector.inspector import BundleInspector
from blemish.methods.contract import Inference
from blemish.progress import Reporter


@dataclass(frozen=True)
class MetricDrop:
    """Main metric before and after int8.

    name: such as "pixel.f1"; before, after: by torch and by the exported bundle
    max_drop: largest drop allowed; images: how many were measured
    """

    name: str
    before: float
    after: float
    max_drop: float
    images: int

    @property
    def failures(self) -> list[str]:
        """A sentence, without its full stop, where the metric drops by more than is allowed; else nothing."""
        if self.before - self.after <= self.max_drop:
            return []
        return [
            f"{self.name} on the {self.images} validation images drops from {self.before:.4f} to "
            f"{self.after:.4f}; a drop of at most {self.max_drop:g} is allowed (--max-drop)"
        ]


def measure_drop(
    torch: BundleInspector,
    exported: BundleInspector,
    validation: Dataset,
    reporter: Reporter,
    *,
    max_drop: float,
) -> MetricDrop:
    """Main metric of both bundles on the validation images. Raises BlemishError where they do not give it."""
    before = metrics_of(torch, validation, reporter, "measuring the bundle")
    after = metrics_of(exported, validation, reporter, "measuring the export")
    names = main_metrics(before, torch.inference)
    found = [
        MetricDrop(name, value, value_of(after, name) or 0.0, max_drop, len(validation))
        for name in names
        if (value := value_of(before, name)) is not None
    ]
    if not found:
        raise BlemishError(
            f"--data: {names[0]} cannot be measured on the {len(validation)} validation images, as no defect "
            "in them has a marked place. Add such images to 'val'."
        )
    return max(found, key=lambda drop: (drop.before - drop.after, drop.before))


def metrics_of(inspector: BundleInspector, images: Dataset, reporter: Reporter, title: str) -> dict[str, Any]:
    """Metrics of an inspector on images, as in metrics.json. title: of the progress bar"""
    evaluator = evaluate_samples(inspector, images, reporter, title=title)
    threshold = inspector.inference.pixel_threshold
    result = evaluator.result(method="", split="val", seed=None, pixel_threshold=threshold)
    return dict(result.metrics)


def main_metrics(metrics: Mapping[str, Any], inference: Inference) -> tuple[str, ...]:
    """Names of the main metrics among those that were measured, by the rule in this file's header."""
    if inference.segments and "pixel" in metrics:
        return ("pixel.f1",)
    if inference.classifies and "detection" in metrics:
        return ("defect.f1_at_50_with_type", "detection.map50")
    return ("image.f1",)


def value_of(metrics: Mapping[str, Any], name: str) -> float | None:
    """Value of a metric by its dotted name; None where it was not measured."""
    part, key = name.split(".")
    return (metrics.get(part) or {}).get(key)


def validation_of(dataset: Dataset, inspector: BundleInspector, bundle: Bundle) -> Dataset:
    """Validation images that the bundle can be measured on. Raises BlemishError where there are none."""
    validation = dataset.split("val")
    if not len(validation):
        raise BlemishError(
            f"--data: {dataset.root} has no validation images to measure the cost of int8 on. "
            "Make some with `blemish data split`."
        )
    classifies = inspector.inference.classifies
    return for_bundle(validation, bundle.manifest, bundle.id, classifies=classifies)[0]
