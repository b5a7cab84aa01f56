"""certificate.json: evidence that a bundle and its export give the same answers, image by image.

Every image goes through the whole pipeline on both sides, from its file to the inspection; the exported
bundle is opened from disk. With int8 scores are not expected to agree, so there the metric on validation
images passes or fails, and images are recorded without being judged.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from blemish.bundle.manifest import StoredRuntime
from blemish.exporting.compare import Comparison, Tolerances, compare
from blemish.exporting.comparison_images import ComparisonImage
from blemish.exporting.metric import MetricDrop
from blemish.inspection import Inspection
from blemish.inspector.inspector import BundleInspector
from blemish.provenance import hardware

SCHEMA = 1
# fp16: weights with 11 bits, so a value in [0, 1] is off by some 1e-3 behind a few layers.
TOLERANCES: Mapping[str, Tolerances] = {
    "fp32": Tolerances(score=1e-3, box_iou=0.99, area_ratio=0.01),
    "fp16": Tolerances(score=1e-2, box_iou=0.95, area_ratio=0.05),
    "int8": Tolerances(score=1.0, box_iou=0.0, area_ratio=1.0),
}
PACKAGES = ("blemish", "torch", "numpy", "opencv-python-headless", "onnx", "onnxruntime", "openvino", "nncf")


@dataclass(frozen=True)
class CertificateRow:
    """Answers of both bundles on an image, and their differences."""

    image: ComparisonImage
    torch: Inspection
    exported: Inspection
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.image.name,
            "sha256": self.image.sha256,
            "from": self.image.origin,
            "size": list(self.image.size),
            "torch": answer(self.torch),
            "exported": answer(self.exported),
            "apart": self.comparison.measures,
        }


@dataclass(frozen=True)
class Certificate:
    """Result of the comparison of a bundle with its export.

    rows: one per image; metric: with int8 only; notes: sentences for the reader, as on calibration
    """

    method: str
    runtime: StoredRuntime
    rows: Sequence[CertificateRow]
    tolerances: Tolerances
    metric: MetricDrop | None = None
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """True where images pass or fail; False with int8, where the metric does."""
        return self.runtime.precision != "int8"

    @property
    def limits(self) -> dict[str, float]:
        """Largest value allowed of each measure that is judged; with int8 only of errors."""
        limits = self.tolerances.limits
        return limits if self.judged else {"errors": limits["errors"]}

    @property
    def worst(self) -> dict[str, tuple[float, str | None]]:
        """Largest value of each measure and the image that has it; None where no image differs."""
        found: dict[str, tuple[float, str | None]] = dict.fromkeys(self.tolerances.limits, (0.0, None))
        for row in self.rows:
            for name, value in row.comparison.measures.items():
                if not value <= found[name][0]:
                    found[name] = (value, row.image.name)
        return found

    @property
    def failures(self) -> list[str]:
        """A sentence, without its full stop, for each measure out of tolerance, and for the metric."""
        limits = self.limits
        sentences = [
            f"'{name}' is off by {value:.3g} on {image}; at most {limits[name]:.3g} is allowed"
            for name, (value, image) in self.worst.items()
            if name in limits and not value <= limits[name]
        ]
        return sentences + (self.metric.failures if self.metric else [])

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what the comparison says little about."""
        warnings = []
        if not any(row.comparison.defects for row in self.rows):
            warnings.append("No defect was compared, so this certificate says little about boxes and names.")
        if len({row.torch.score for row in self.rows}) <= 1:
            warnings.append("All scores are equal, so this certificate says little about scores.")
        if self.metric and not self.metric.before:
            warnings.append(
                f"{self.metric.name} is 0 even before int8, so this certificate says little about its cost."
            )
        if not self.judged:
            warnings.append("int8: the metric on validation images is compared, not single scores.")
        return tuple(warnings)

    @property
    def summary(self) -> str:
        """Summary of images compared and distance of scores: "32 images and 91 defects compared, …"."""
        defects = sum(row.comparison.defects for row in self.rows)
        in_band = sum(row.comparison.in_band for row in self.rows)
        differing = f", {in_band} verdicts differ on a threshold" if in_band else ""
        apart = self.worst["score"][0]
        compared = f"{len(self.rows)} images and {defects} defects compared"
        return f"{compared}, scores at most {apart:.1g} apart{differing}"

    def to_json(self) -> str:
        comparisons = [row.comparison for row in self.rows]
        fields = {
            "schema": SCHEMA,
            "passed": not self.failures,
            "failures": self.failures,
            "method": self.method,
            **self.runtime.model_dump(mode="json", exclude={"graphs"}),
            "compared": {
                "images": len(self.rows),
                "defects": sum(comparison.defects for comparison in comparisons),
                "defects_on_the_threshold": sum(comparison.on_threshold for comparison in comparisons),
                "verdicts_in_the_band": sum(comparison.in_band for comparison in comparisons),
            },
            "limits": self.limits,
            "worst": {name: {"apart": value, "image": image} for name, (value, image) in self.worst.items()},
            "metric": asdict(self.metric) if self.metric else None,
            "notes": (*self.notes, *self.warnings),
            "versions": versions(),
            "hardware": hardware(),
            "images": [row.to_json() for row in self.rows],
        }
        return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def certificate_rows(
    images: Iterable[ComparisonImage],
    torch: BundleInspector,
    exported: BundleInspector,
    tolerances: Tolerances,
) -> list[CertificateRow]:
    """Inspect each image from its file with both bundles, and compare the answers."""
    rows = []
    for image in images:
        first, second = (side.inspect(image.file, with_maps=True) for side in (torch, exported))
        comparison = compare(first, second, torch, tolerances)
        rows.append(CertificateRow(image, replace(first, maps={}), replace(second, maps={}), comparison))
    return rows


def answer(inspection: Inspection) -> dict[str, Any]:
    """Verdict, score and number of defects for the certificate."""
    return {
        "verdict": str(inspection.verdict),
        "score": inspection.score,
        "defects": len(inspection.defects),
        **({"error": inspection.error} if inspection.error else {}),
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the installed packages that bear on an answer."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
