"""The manifest of a trained bundle: settings, data, provenance, and thresholds from validation images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.curves import StoredLosses
from blemish.bundle.manifest import Manifest, Preprocessing, StoredOperatingPoint
from blemish.bundle.migrations import AUTO
from blemish.bundle.store import Bundle
from blemish.dataset.fingerprint import image_digests
from blemish.dataset.samples import Dataset, Sample
from blemish.evaluation.bounds import ProportionBound, proportion_bound
from blemish.evaluation.causes import LEARNED_FROM
from blemish.evaluation.evaluator import Evaluator
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose
from blemish.evaluation.review_band import default_rules
from blemish.evaluation.run import add, evaluate_samples
from blemish.images.bit_depth import full_range
from blemish.images.decode import read_image
from blemish.inspection import Verdict
from blemish.inspector.input_check import KEY as INPUT_STATISTICS
from blemish.inspector.inspector import BundleInspector
from blemish.methods.contract import Fitted
from blemish.progress import Reporter
from blemish.provenance import provenance
from blemish.training.input_statistics import known_inputs
from blemish.training.log import LOG_FILE, read_log
from blemish.training.request import Request
from blemish.training.time_plan import StepCount, steps_by_stage

CURVE_POINTS = 200
MEASURED = 1000  # images at most, evenly spread
# Not of the bundle: verdicts, which are chosen on these very images, and how busy the machine was.
METRICS_LEFT_OUT = ("image", "operating_point", "seconds_per_image")


def describe(
    request: Request, dataset: Dataset, fitted: Fitted, digest: str, steps: Mapping[str, StepCount]
) -> Manifest:
    """Manifest of a trained method, before an operating point is chosen.

    digest: fingerprint of the data; steps: by stage
    """
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
            LEARNED_FROM: learned_from(dataset),
            **statistics_known(dataset, request),
        },
        data_fingerprint=digest,
        provenance={**provenance(), "seed": request.seed, **steps_by_stage(steps)},
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


def learned_from(dataset: Dataset) -> dict[str, int]:
    """Number of good and of defective training images."""
    defective = [sample.is_defective for sample in dataset.split("train")]
    return {"good": defective.count(False), "defective": defective.count(True)}


def statistics_known(dataset: Dataset, request: Request) -> dict[str, Any]:
    """Statistics of the images that were learned from and validated on, by their key; none without images.

    Those of a start are not among them: it may have learned from other products.
    """
    samples = [*dataset.split("train"), *dataset.split("val")]
    some = samples[:: -(-len(samples) // MEASURED) or 1]
    bits = request.settings.bits
    images = (full_range(read_image(each.image), bits, str(each.image)) for each in some)
    return {INPUT_STATISTICS: known_inputs(images).model_dump(mode="json")} if some else {}


HeldOutImages = Iterable[tuple[Sample, BundleInspector]]


def with_operating_point(
    manifest: Manifest,
    inspector: BundleInspector,
    dataset: Dataset,
    request: Request,
    reporter: Reporter,
    held_out: HeldOutImages = (),
) -> tuple[Manifest, Evaluator]:
    """Add the two image thresholds and their cost to a manifest, both from the validation images alone.

    held_out: more images, each with the inspector that judges it, see `contract.HeldOut`
    returns: the manifest, and the validation images as they were judged
    """
    known = set(manifest.class_names)
    validation = dataset.split("val").where(
        lambda sample: {annotation.label for annotation in sample.annotations} <= known
    )
    evaluator = evaluate_samples(inspector, validation, reporter, title="choosing the operating point")
    for sample, judge in held_out:
        add(evaluator, sample, judge.inspect(sample.image, with_maps=True), dataset)
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
    in_review = [point.verdict(score) is Verdict.REVIEW for score in scores[~defective].tolist()]
    for line in (summary(point, proportion_bound(sum(in_review), len(in_review))), *point.notes):
        reporter.line(line)
    evaluation = evaluator.result(method=manifest.method, split="val", seed=request.seed)
    metrics = {key: value for key, value in evaluation.metrics.items() if key not in METRICS_LEFT_OUT}
    chosen = {
        "thresholds": thresholds,
        "operating_point": StoredOperatingPoint.model_validate(point.to_json()),
        "metrics": {"val": metrics},
    }
    return manifest.model_copy(update=chosen), evaluator


def followed_rules(settings: Mapping[str, Any], *, any_defective: bool) -> tuple[str, str]:
    """Rules of the NG and the REVIEW threshold: as set, or for "auto" as the data allow.

    any_defective: whether a validation image is
    """
    ng_rule, review_rule = (
        automatic if settings[key] == AUTO else settings[key]
        for key, automatic in zip(
            ("ng_rule", "review_rule"), default_rules(any_defective=any_defective), strict=True
        )
    )
    return ng_rule, review_rule


def summary(point: OperatingPoint, good_in_review: ProportionBound) -> str:
    """Line for the user on the thresholds chosen and what they cost on the validation images, with bounds."""
    return (
        f"NG from a score of {point.threshold:.3f}, REVIEW from {point.review_threshold:.3f}. "
        f"Validation images: {point.escapes.sentence('defective passed')}, "
        f"{point.overkill.sentence('good rejected')}, {good_in_review.sentence('good for review')}. "
        "`blemish decide` with images of the line chooses them anew: the more images, the narrower the band."
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
