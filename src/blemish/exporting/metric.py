"""What int8 costs: a method's main metric on the validation images, before and after.

The main metric is of what the method's answer is used for, at the bundle's own threshold: f1 of pixels where
defects are outlined, of boxes with their names where they are named, of verdicts where the answer is for the
image. Of boxes mean average precision counts as well, and what falls more decides: it has no threshold, so it
would not see scores that all moved past one, but it says something of a detector that is sure of nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.run import evaluate_samples, for_bundle
from blemish.inspector.inspector import Inspector
from blemish.methods.contract import Inference
from blemish.progress import Reporter


@dataclass(frozen=True)
class MetricDrop:
    """name: such as "pixel.f1"; before, after: by torch and by the exported bundle, on so many images"""

    name: str
    before: float
    after: float
    max_drop: float
    images: int

    @property
    def failures(self) -> list[str]:
        if self.before - self.after <= self.max_drop:
            return []
        return [
            f"{self.name} on the {self.images} validation images falls from {self.before:.4f} to "
            f"{self.after:.4f}, and may fall by {self.max_drop:g} (--max-drop)"
        ]


def measure_drop(
    torch: Inspector, exported: Inspector, validation: Dataset, reporter: Reporter, *, max_drop: float
) -> MetricDrop:
    """The main metric of both sides. Raises BlemishError where these images do not give it."""
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
            f"--data: {names[0]} cannot be measured on the {len(validation)} validation images; they need "
            "defective ones whose marks say where. Add some to 'val'."
        )
    return max(found, key=lambda one: (one.before - one.after, one.before))


def metrics_of(inspector: Inspector, images: Dataset, reporter: Reporter, title: str) -> dict[str, Any]:
    evaluator = evaluate_samples(inspector, images, reporter, title=title)
    threshold = inspector.inference.pixel_threshold
    result = evaluator.result(method="", split="val", seed=None, pixel_threshold=threshold)
    return dict(result.metrics)


def main_metrics(metrics: Mapping[str, Any], inference: Inference) -> tuple[str, ...]:
    """Of these metrics those in this file's header."""
    if inference.segments and "pixel" in metrics:
        return ("pixel.f1",)
    if inference.classifies and "detection" in metrics:
        return ("defect.f1_at_50_with_type", "detection.map50")
    return ("image.f1",)


def value_of(metrics: Mapping[str, Any], name: str) -> float | None:
    part, key = name.split(".")
    return (metrics.get(part) or {}).get(key)


def validation_of(dataset: Dataset, inspector: Inspector, bundle: Bundle) -> Dataset:
    """The validation images that the bundle can be measured on. Raises BlemishError where there are none."""
    validation = dataset.split("val")
    if not len(validation):
        raise BlemishError(
            f"--data: {dataset.root} has no validation images, on which int8's cost is measured. "
            "Make some with `blemish data split`."
        )
    classifies = inspector.inference.classifies
    return for_bundle(validation, bundle.manifest, bundle.id, classifies=classifies)[0]
