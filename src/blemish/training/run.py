"""`train`: from a dataset and settings to a bundle in a run folder, resumable at any point."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from blemish.bundle.manifest import Manifest, Preprocessing, StoredOperatingPoint
from blemish.bundle.older import unsaid
from blemish.bundle.store import Bundle, save_bundle
from blemish.dataset.fingerprint import fingerprint, image_digests
from blemish.dataset.product_sets.products import of_product
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.split import split_dataset
from blemish.errors import BlemishError
from blemish.evaluation.image import image_scores
from blemish.evaluation.operating_point import OperatingPoint, choose, parse_rule
from blemish.evaluation.run import evaluate_samples
from blemish.files import write_atomically
from blemish.inspector.inspector import Inspector
from blemish.inspector.loading import assemble, refuse_exported
from blemish.methods.contract import Fitted, Method, MethodSettings
from blemish.progress import Reporter
from blemish.provenance import provenance
from blemish.training.log import LOG_FILE, read_log
from blemish.training.trainer import CHECKPOINTS, PICTURES, RunTrainer

RUN_FILE = "run.json"
VALIDATION_SHARE = 0.2
CURVE_POINTS = 200
# Not of the bundle: verdicts, which are chosen on these very images, and how busy the machine was.
METRICS_LEFT_OUT = ("image", "operating_point", "seconds_per_image")


@dataclass(frozen=True)
class Request:
    """One training: what, on what, into which folder.

    origin: the dataset's path as the user gave it, remembered for messages and the report
    start: the bundle to go on from, where the method can
    """

    method: Method
    dataset: Dataset
    settings: MethodSettings
    run: Path
    seed: int = 0
    resume: bool = False
    origin: str = ""
    start: Bundle | None = None


def train(request: Request, reporter: Reporter) -> Bundle:
    """Train, choose thresholds on the validation images, write RUN/bundle.

    Raises BlemishError for data that cannot be trained on, a folder that already holds another run, or a loss
    that is not finite. Whatever stops it, checkpoints and an earlier bundle stay whole.
    """
    refuse_unknown_rules(request.settings)
    refuse_several_processes()
    refuse_unfit_start(request)
    request = with_scale(request)
    dataset = with_validation(request.dataset, request.seed, reporter)
    digest = fingerprint(dataset)
    claim_folder(request, digest)
    try:
        return trained(request, dataset, digest, reporter)
    except BlemishError:
        forget_untrained(request.run)
        raise


def trained(request: Request, dataset: Dataset, digest: str, reporter: Reporter) -> Bundle:
    """The training itself, in a folder that is its own."""
    trainer = RunTrainer(
        request.run, request.settings, seed=request.seed, reporter=reporter, start=request.start
    )
    try:
        fitted = request.method.fit(dataset, request.settings, trainer)
        for name, other in fitted.also.items():
            reporter.line(f"{name}: a bundle of its own, in {request.run / name}")
            keep(request.run / name, other, request, dataset, digest, trainer)
        return keep(request.run / "bundle", fitted, request, dataset, digest, trainer)
    finally:
        trainer.log.close()


def keep(
    path: Path, fitted: Fitted, request: Request, dataset: Dataset, digest: str, trainer: RunTrainer
) -> Bundle:
    """Write the bundle of what was fitted, with the operating point chosen for it where it judges images."""
    own = fitted.dataset or dataset
    manifest = describe(request, own, fitted, digest)
    if fitted.judges:
        inspector = assemble(
            request.method.inference(manifest), trainer.networks(fitted.modules), manifest, "validation"
        )
        manifest = with_operating_point(manifest, inspector, own, request, trainer.reporter)
    networks = {name: state_of(module) for name, module in fitted.modules.items()}
    return save_bundle(path, manifest, networks)


def refuse_unknown_rules(settings: MethodSettings) -> None:
    """Now, not after hours of training, when they are first followed."""
    for key in ("ng_rule", "review_rule"):
        try:
            parse_rule(getattr(settings, key))
        except BlemishError as error:
            raise BlemishError(f"setting {key}: {error}") from error


def refuse_unfit_start(request: Request) -> None:
    start, method = request.start, request.method
    if start is not None:
        refuse_exported(start)
    if start is not None and (not method.takes_start or start.manifest.method != method.name):
        what = f"a bundle of {method.name}" if method.takes_start else f"no bundle: {method.name} starts anew"
        raise BlemishError(f"--from must name {what}. Received: {start.path}, of {start.manifest.method}.")


def refuse_several_processes() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BlemishError(
            f"train runs in one process. Received: WORLD_SIZE={os.environ['WORLD_SIZE']}. "
            "Start it without torchrun."
        )


def with_scale(request: Request) -> Request:
    """The request with the scale of its dataset.yaml where the settings name none."""
    scale = request.dataset.info.get("mm_per_px")
    if scale is None or request.settings.mm_per_px is not None:
        return request
    return replace(request, settings=request.settings.model_copy(update={"mm_per_px": scale}))


def with_validation(dataset: Dataset, seed: int, reporter: Reporter) -> Dataset:
    """The dataset with the splits "train" and "val": its own, or a share of its training images for "val".

    In a dataset of several products each of them has both.
    """
    if not dataset.products:
        return with_own_validation(dataset, seed, reporter)
    split_of: dict[str, str | None] = {}
    for name in dataset.products:
        own = with_own_validation(of_product(dataset, name), seed, reporter, of=f" of {name}")
        split_of |= {sample.id: sample.split for sample in own}
    return dataset.with_splits(split_of)


def with_own_validation(dataset: Dataset, seed: int, reporter: Reporter, *, of: str = "") -> Dataset:
    """The same of one product."""
    splits = dataset.splits
    if splits.get("val") and splits.get("train"):
        return dataset
    pool = (
        dataset.split("train") if splits.get("train") else dataset.where(lambda sample: sample.split is None)
    )
    if not len(pool):
        raise BlemishError(
            f"{dataset.root} has no training images{of}: splits are {splits}. Run `blemish data split`."
        )
    by: Literal["content", "group"] = "group" if any(sample.group for sample in pool) else "content"
    cut = split_dataset(pool, test=0.0, val=VALIDATION_SHARE, by=by, seed=seed)
    split_of = {sample.id: sample.split for sample in (*dataset, *cut)}
    held_out = cut.splits.get("val", 0)
    reporter.line(f"{held_out} of {len(pool)} images for training{of} are held out for validation.")
    return dataset.with_splits(split_of)


def claim_folder(request: Request, digest: str) -> None:
    """Write RUN/run.json, or check on resume that method, settings, seed and data are those of the run
    there.
    """
    file = request.run / RUN_FILE
    wanted = {
        "method": request.method.name,
        "seed": request.seed,
        "data_fingerprint": digest,
        "settings": with_whole_paths(request.settings),
        "start": request.start.id if request.start else None,
    }
    if file.is_file() and any((request.run / CHECKPOINTS).glob("*")):
        if not request.resume:
            raise BlemishError(
                f"{request.run} already holds a run. Add --resume to go on, or choose another --out."
            )
        there = read_run(file)
        older = unsaid(request.method.name, type(request.settings))
        there = {**there, "settings": {**older, **there["settings"]}}
        refuse_other_run(there, wanted, file, request.settings.paths)
        return
    for picture in (request.run / PICTURES).glob("*.png"):
        picture.unlink()  # of an attempt that was stopped before it had a checkpoint
    write_atomically(file, json.dumps(wanted, indent=1, ensure_ascii=False) + "\n")


def with_whole_paths(settings: MethodSettings) -> dict[str, Any]:
    """The settings as JSON, with paths that mean the same from every working directory."""
    values = settings.model_dump(mode="json")
    named = [name for name in settings.paths if values[name] is not None]
    return values | {name: str(Path(values[name]).resolve()) for name in named}


def forget_untrained(run: Path) -> None:
    """Remove what a training wrote that was refused before its first steps, as if it had not been started."""
    log = run / LOG_FILE
    if any((run / CHECKPOINTS).glob("*")) or any("loss" in entry for entry in read_log(log)):
        return
    for file in (run / RUN_FILE, log):
        file.unlink(missing_ok=True)
    if not any(run.iterdir()):
        run.rmdir()


def read_run(file: Path) -> dict[str, Any]:
    """What `claim_folder` wrote. Raises BlemishError for anything else."""
    try:
        there = json.loads(file.read_bytes())
    except ValueError as error:
        raise BlemishError(f"{file} is not JSON ({error}). Choose another --out.") from error
    if not isinstance(there, dict) or not isinstance(there.get("settings"), dict):
        raise BlemishError(f"{file} describes no run. Choose another --out.")
    return there


def refuse_other_run(
    there: Mapping[str, Any], wanted: Mapping[str, Any], file: Path, paths: Mapping[str, str]
) -> None:
    for key in wanted:
        if key == "settings":
            continue
        if there.get(key) != wanted[key]:
            raise BlemishError(
                f"{file}: --resume needs the same {key}. Received: {wanted[key]}, the run has "
                f"{there.get(key)}. Choose another --out."
            )
    for key, value in wanted["settings"].items():
        if not same_setting(there["settings"].get(key), value):
            remedy = f"Give the same {paths[key]}, or choose" if key in paths else "Choose"
            raise BlemishError(
                f"{file}: --resume needs the same settings. Received: {key}={value}, the run has "
                f"{there['settings'].get(key)}. {remedy} another --out."
            )


def same_setting(one: Any, other: Any) -> bool:
    """Whether two values are equal, or two ways to name one file."""
    if one == other or not (isinstance(one, str) and isinstance(other, str)):
        return bool(one == other)
    try:
        return Path(one).samefile(other)
    except (OSError, ValueError):
        return False


def describe(request: Request, dataset: Dataset, fitted: Fitted, digest: str) -> Manifest:
    """The manifest of what was trained, before an operating point is chosen."""
    return Manifest(
        method=request.method.name,
        class_names=fitted.class_names,
        preprocessing=Preprocessing(channels=fitted.channels),
        tiling=dict(fitted.tiling),
        thresholds=dict(fitted.thresholds),
        scales=dict(fitted.scales),
        settings=(fitted.settings or request.settings).model_dump(mode="json"),
        curves={**fitted.curves, "training": loss_curves(request.run)},
        memory=dict(fitted.memory),
        notes=fitted.notes,
        data={
            "origin": request.origin,
            "layout": dataset.layout,
            "reason": dataset.reason,
            "images": len(dataset),
            "splits": dataset.splits,
            "classes": dataset.class_counts,
            **known_images(dataset, fitted, request.start),
        },
        data_fingerprint=digest,
        provenance={**provenance(), "seed": request.seed},
    )


def known_images(dataset: Dataset, fitted: Fitted, start: Bundle | None) -> dict[str, list[str]]:
    """Marks of the images that the bundle knows, see `dataset.fingerprint.image_digests`.

    "seen": all of them; "watched": those that nothing was learned from, only states and thresholds chosen on;
    "seen_before": what was learned from besides the dataset
    """
    before = start.manifest.data if start else {}
    learned = {*image_digests(dataset.split("train")), *fitted.seen_before}
    learned |= {*before.get("seen", ())} - {*before.get("watched", ())}
    watched = {*image_digests(dataset.split("val"))} - learned
    return {
        "seen": sorted({*learned, *watched, *before.get("seen", ())}),
        "watched": sorted(watched),
        "seen_before": list(fitted.seen_before),
    }


def with_operating_point(
    manifest: Manifest, inspector: Inspector, dataset: Dataset, request: Request, reporter: Reporter
) -> Manifest:
    """The manifest with the two image thresholds and what they cost, both from the validation images
    alone.
    """
    known = set(manifest.class_names)
    validation = dataset.split("val").where(lambda sample: {one.label for one in sample.annotations} <= known)
    evaluator = evaluate_samples(inspector, validation, reporter, title="choosing the operating point")
    scores, defective = image_scores(evaluator.records)
    settings = manifest.settings
    point: OperatingPoint = choose(
        scores,
        defective,
        settings["ng_rule"],
        review_rule=settings["review_rule"],
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


def summary(point: OperatingPoint) -> str:
    """One line on the thresholds chosen and what they cost on the validation images."""
    return (
        f"NG from a score of {point.threshold:.3f}, REVIEW from {point.review_threshold:.3f}. "
        f"Validation images: {point.escapes.n} of {point.escapes.of} defective passed, "
        f"{point.overkill.n} of {point.overkill.of} good rejected, {point.review.n} for review."
    )


def loss_curves(run: Path) -> dict[str, dict[str, list[float]]]:
    """Logged steps and losses by stage, thinned to at most 200 points each."""
    curves: dict[str, dict[str, list[float]]] = {}
    for entry in read_log(run / LOG_FILE):
        if "loss" in entry:
            curve = curves.setdefault(entry["stage"], {"step": [], "loss": []})
            curve["step"].append(entry["step"])
            curve["loss"].append(entry["loss"])
    return {
        stage: {name: values[:: -(-len(values) // CURVE_POINTS)] for name, values in curve.items()}
        for stage, curve in curves.items()
    }


def state_of(module: Any) -> dict[str, NDArray[np.generic]]:
    """The module's tensors as arrays in C order."""
    return {
        name: np.ascontiguousarray(tensor.detach().cpu().numpy())
        for name, tensor in module.state_dict().items()
    }
