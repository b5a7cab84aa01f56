"""Context of a report: bundle, data, settings, command and machine that its figures come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blemish.evaluation.records import Curve, Surface


@dataclass(frozen=True)
class ReportContext:
    """Content of a report beside the evaluation; fields left at their default are not shown.

    predictions: file that the answers were read from, when no bundle gave them
    dataset_counts: images by split or other heading, in the order to show; skipped: file → reason
    created: date and time as text; hardware: the machine in words; versions: package → version
    training: losses by step; threshold_sweep: metrics by threshold on the validation images
    region_surface, region_areas: region F1 on the validation images, over both thresholds of regions and over
        their least area
    notes: sentences for the reader, each its own paragraph
    noticed: sentences of the bundle on its training and its classes
    decided: sentences on the decision in force: its revision and its rules
    regions: sentences on the thresholds of regions
    """

    title: str
    method: str = ""
    bundle_name: str = ""
    predictions: str = ""
    bundle_hash: str = ""
    dataset_root: str = ""
    dataset_counts: Mapping[str, int] = field(default_factory=dict)
    dataset_layout: str = ""
    dataset_reason: str = ""
    data_fingerprint: str = ""
    skipped: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    created: str = ""
    hardware: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    training: Curve | None = None
    threshold_sweep: Curve | None = None
    region_surface: Surface | None = None
    region_areas: Curve | None = None
    notes: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    decided: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
