"""certificate.json: that a bundle and what was exported from it give the same answers, image by image.

Every image goes through the whole chain on both sides, from its file to the inspection; the exported side is
opened from disk. Of int8 the scores are not expected to be the same, so there the metric on validation images
is what passes or fails, and images are written down without being judged.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from blemish.bundle.manifest import StoredRuntime
from blemish.errors import BlemishError
from blemish.exporting.compare import Comparison, Tolerances, compare
from blemish.exporting.comparison_images import ComparisonImage
from blemish.exporting.metric import MetricDrop
from blemish.inspection import Inspection
from blemish.inspector.inspector import Inspector
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
    """Both sides' answers on one image, and how far they are apart."""

    picture: ComparisonImage
    torch: Inspection
    exported: Inspection
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        return {
            "image": self.picture.name,
            "sha256": self.picture.sha256,
            "from": self.picture.origin,
            "size": list(self.picture.size),
            "torch": answer(self.torch),
            "exported": answer(self.exported),
            "apart": self.comparison.measures,
        }


@dataclass(frozen=True)
class Certificate:
    """What was compared and what came of it. metric: of int8 alone; notes: sentences, as on calibration"""

    method: str
    runtime: StoredRuntime
    rows: Sequence[CertificateRow]
    tolerances: Tolerances
    metric: MetricDrop | None = None
    notes: tuple[str, ...] = ()

    @property
    def judged(self) -> bool:
        """Whether images pass or fail, and not a metric."""
        return self.runtime.precision != "int8"

    @property
    def limits(self) -> dict[str, float]:
        """What each measure that is judged may be; of int8 that both sides can judge every image."""
        limits = self.tolerances.limits
        return limits if self.judged else {"errors": limits["errors"]}

    @property
    def worst(self) -> dict[str, tuple[float, str | None]]:
        """The greatest value of each measure and the image that shows it; None where no image differs."""
        found: dict[str, tuple[float, str | None]] = dict.fromkeys(self.tolerances.limits, (0.0, None))
        for row in self.rows:
            for name, value in row.comparison.measures.items():
                if not value <= found[name][0]:
                    found[name] = (value, row.picture.name)
        return found

    @property
    def failures(self) -> list[str]:
        """A sentence for each measure that is out of tolerance, and for the metric."""
        limits = self.limits
        said = [
            f"{name} of {image} is {value:.3g} apart, and may be {limits[name]:.3g}"
            for name, (value, image) in self.worst.items()
            if name in limits and not value <= limits[name]
        ]
        return said + (self.metric.failures if self.metric else [])

    @property
    def said(self) -> tuple[str, ...]:
        """The notes, and on what the comparison cannot show."""
        comparisons = [row.comparison for row in self.rows]
        defects = sum(one.defects for one in comparisons)
        notes = list(self.notes)
        if not defects:
            notes.append("No defect was compared: of boxes, areas and names this certificate says little.")
        if len({row.torch.score for row in self.rows}) <= 1:
            notes.append("All scores are equal: of scores this certificate says little.")
        if self.metric and not self.metric.before:
            notes.append(f"{self.metric.name} is 0 before int8: of its cost this certificate says little.")
        if not self.judged:
            notes.append("int8: scores are not compared image by image; the metric on validation images is.")
        return tuple(notes)

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
                "defects": sum(one.defects for one in comparisons),
                "defects_on_the_threshold": sum(one.on_threshold for one in comparisons),
                "verdicts_in_the_band": sum(one.in_band for one in comparisons),
            },
            "limits": self.limits,
            "worst": {name: {"apart": value, "image": image} for name, (value, image) in self.worst.items()},
            "metric": asdict(self.metric) if self.metric else None,
            "notes": self.said,
            "versions": versions(),
            "hardware": hardware(),
            "images": [row.to_json() for row in self.rows],
        }
        return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def require(self) -> None:
        """Raises BlemishError that names what is out of tolerance."""
        if self.failures:
            raise BlemishError(f"The exported bundle does not answer as the bundle does: {self.failures[0]}.")


def certificate_rows(
    pictures: Iterable[ComparisonImage], torch: Inspector, exported: Inspector, tolerances: Tolerances
) -> list[CertificateRow]:
    """Every picture judged by both sides from its file."""
    found = []
    for picture in pictures:
        first, second = (side.inspect(picture.file, with_maps=True) for side in (torch, exported))
        comparison = compare(first, second, torch, tolerances)
        found.append(CertificateRow(picture, replace(first, maps={}), replace(second, maps={}), comparison))
    return found


def answer(inspection: Inspection) -> dict[str, Any]:
    return {
        "verdict": str(inspection.verdict),
        "score": inspection.score,
        "defects": len(inspection.defects),
        **({"error": inspection.error} if inspection.error else {}),
    }


def versions() -> dict[str, str]:
    """Of the packages that bear on an answer, those that are installed, and of Python."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
