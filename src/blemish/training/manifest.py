"""The manifest of a trained bundle: settings, data, provenance, and thresholds from validation images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.curves import StoredLosses
from blemish.bundle.manifest import Manifest, Preprocessing, StoredOperatingPoint
from blemish.bundle.migrations import AUTO, BEFORE_AUTO
from blemish.bundle.store import Bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose
from blemish.evaluation.run import evaluate_samples
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image, with_channels
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.looks import KEY as LOOKS
from blemish.inspector.looks import KnownLooks, look_of, stored_looks
from blemish.methods.contract import Fitted
from blemish.progress import Reporter
from blemish.provenance import provenance
from blemish.training.log import LOG_FILE, read_log
from blemish.training.request import Request

CURVE_POINTS = 200
LOOKED_AT = 1000  # images at most, evenly spread
# Not of the bundle: verdicts, which are chosen on these very images, and how busy the machine was.
METRICS_LEFT_OUT = ("image", "operating_point", "seconds_per_image")
# Rules of "auto" where no validation image is defective: of the good ones at most so many are NG, and NG or
# REVIEW together.
GOOD_IMAGES_ALONE = {"ng_rule": "overkill<=0.02", "review_rule": "overkill<=0.1"}


def describe(request: Request, dataset: Dataset, fitted: Fitted, digest: str) -> Manifest:
    """Manifest of a trained method, before an operating point is chosen. digest: fingerprint of the data"""
    return Manifest(
        method=request.method.name,
        class_names=fitted.class_names,
        preprocessing=Preprocessing(channels=fitted.channels),
        tiling=dict(fitted.tiling),
        thresholds=dict(fitted.thresholds),
        settings=(fitted.settings or request.settings).model_dump(mode="json"),
        curves=fitted.curves.model_copy(update={"training": loss_curves(request.run)}).model_dump(
            mode="json", exclude_unset=True
        ),
        memory=fitted.memory.model_dump(mode="json", exclude_unset=True),
        notes=fitted.notes,
        data={
            "origin": request.origin,
            "layout": dataset.layout,
            "reason": dataset.reason,
            "images": len(dataset),
            "splits": dataset.splits,
            "classes": dataset.class_counts,
            **({"skipped": dict(dataset.skipped)} if dataset.skipped else {}),
            **images_known(dataset, fitted, request.initial_bundle),
            LOOKS: looks_known(dataset, fitted, request).model_dump(mode="json"),
        },
        data_fingerprint=digest,
        provenance={**provenance(), "seed": request.seed},
    )


def images_known(dataset: Dataset, fitted: Fitted, start: Bundle | None) -> dict[str, list[str]]:
    """Digests of the images that the bundle knows, see `dataset.fingerprint.image_digests`.

    "trained_on": learned from, by its start as well; "validated_on": states and thresholds alone were chosen
    on them; "trained_on_before": of the first, those learned from besides the dataset
    """
    before = start.manifest.data if start else {}
    trained_on = {
        *image_digests(dataset.split("train")),
        *fitted.trained_on_before,
        *before.get("trained_on", ()),
    }
    validated_on = {*image_digests(dataset.split("val")), *before.get("validated_on", ())} - trained_on
    return {
        "trained_on": sorted(trained_on),
        "validated_on": sorted(validated_on),
        "trained_on_before": list(fitted.trained_on_before),
    }


def looks_known(dataset: Dataset, fitted: Fitted, request: Request) -> KnownLooks:
    """Looks of the images that were learned from and validated on, by the start as well."""
    samples = [*dataset.split("train"), *dataset.split("val")]
    some = samples[:: -(-len(samples) // LOOKED_AT) or 1]
    bits = request.settings.bits
    own = KnownLooks.of(
        look_of(with_channels(full_range(read_image(each.image), bits, str(each.image)), fitted.channels))
        for each in some
    )
    start = request.initial_bundle
    return own.joined(stored_looks(start.manifest.data, str(start.path))) if start else own


def with_operating_point(
    manifest: Manifest, inspector: BundleInspector, dataset: Dataset, request: Request, reporter: Reporter
) -> Manifest:
    """Add the two image thresholds and their cost to a manifest, both from the validation images alone."""
    known = set(manifest.class_names)
    validation = dataset.split("val").where(
        lambda sample: {annotation.label for annotation in sample.annotations} <= known
    )
    evaluator = evaluate_samples(inspector, validation, reporter, title="choosing the operating point")
    scores, defective = image_scores(evaluator.records)
    ng_rule, review_rule = followed_rules(manifest.settings, any_defective=bool(np.any(defective)))
    point: OperatingPoint = choose(
        scores,
        defective,
        ng_rule,
        review_rule=review_rule,
        iou_score=inspector.inference.threshold_score,
    )
    thresholds = {**manifest.thresholds, "ng": point.threshold, "review": point.review_threshold}
    for line in (summary(point), *point.notes):
        reporter.line(line)
    evaluation = evaluator.result(method=manifest.method, split="val", seed=request.seed)
    metrics = {key: value for key, value in evaluation.metrics.items() if key not in METRICS_LEFT_OUT}
    return manifest.model_copy(
        update={
            "thresholds": thresholds,
            "operating_point": StoredOperatingPoint.model_validate(point.to_json()),
            "metrics": {"val": metrics},
        }
    )


def followed_rules(settings: Mapping[str, Any], *, any_defective: bool) -> tuple[str, str]:
    """Rules of the NG and the REVIEW threshold: as set, or for "auto" as the data allow.

    any_defective: whether a validation image is
    """
    automatic = BEFORE_AUTO if any_defective else GOOD_IMAGES_ALONE
    ng_rule, review_rule = (
        automatic[key] if settings[key] == AUTO else settings[key] for key in ("ng_rule", "review_rule")
    )
    return ng_rule, review_rule


def summary(point: OperatingPoint) -> str:
    """Line for the user on the thresholds chosen and what they cost on the validation images."""
    return (
        f"NG from a score of {point.threshold:.3f}, REVIEW from {point.review_threshold:.3f}. "
        f"Validation images: {point.escapes.n} of {point.escapes.of} defective passed, "
        f"{point.overkill.n} of {point.overkill.of} good rejected, {point.review.n} for review."
    )


def loss_curves(run: Path) -> dict[str, StoredLosses]:
    """Logged steps and losses by stage, thinned to at most 200 points each."""
    curves: dict[str, dict[str, list[float]]] = {}
    for entry in read_log(run / LOG_FILE):
        if "loss" in entry:
            curve = curves.setdefault(entry["stage"], {"step": [], "loss": []})
            curve["step"].append(entry["step"])
            curve["loss"].append(entry["loss"])
    return {
        stage: StoredLosses(step=tuple(curve["step"][::thinning]), loss=tuple(curve["loss"][::thinning]))
        for stage, curve in curves.items()
        for thinning in [-(-len(curve["step"]) // CURVE_POINTS)]
    }


def state_of(module: Any) -> dict[str, NDArray[np.generic]]:
    """Tensors of a module as arrays in C order."""
    return {
        name: np.ascontiguousarray(tensor.detach().cpu().numpy())
        for name, tensor in module.state_dict().items()
    }
