"""A request for a training, the checks before any work, and the run folder that it claims."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.bundle.migrations import AUTO, comparable_settings
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.operating_point import parse_rule
from blemish.inspector.loading import refuse_exported
from blemish.inspector.torch_backend import pick_device
from blemish.methods import learning_from_good_images
from blemish.methods.contract import Method, MethodSettings
from blemish.threads import thread_count
from blemish.training.log import LOG_FILE, read_log
from blemish.training.record import RUN_FILE, RunRecord, read_record, write_record
from blemish.training.time_plan import Budget
from blemish.training.trainer import CHECKPOINTS, PICTURES

PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class Request:
    """A training to be done: method, data, settings and the run's folder.

    origin: the dataset's path as the user gave it, for the manifest
    data: the dataset's path, for a resume that is not told it again
    initial_bundle: to start from, where the method can
    budget: time that it may take, for which it is planned; None: neither limit nor plan
    """

    method: Method
    dataset: Dataset
    settings: MethodSettings
    run: Path
    seed: int = 0
    resume: bool = False
    origin: str = ""
    data: Path | None = None
    initial_bundle: Bundle | None = None
    budget: Budget | None = None


def refuse_unknown_rules(settings: MethodSettings) -> None:
    """Raises BlemishError for rules of thresholds that cannot be read, before hours of training."""
    for key in ("ng_rule", "review_rule"):
        try:
            if getattr(settings, key) != AUTO:
                parse_rule(getattr(settings, key), review=key == "review_rule")
        except BlemishError as error:
            raise BlemishError(f"setting {key}: {error}") from error


def refuse_unfit_start(request: Request) -> None:
    start, method = request.initial_bundle, request.method
    if start is not None:
        refuse_exported(start)
    if start is not None and (not method.supports_warm_start or start.manifest.method != method.name):
        what = (
            f"a bundle of {method.name}"
            if method.supports_warm_start
            else f"no bundle: {method.name} starts anew"
        )
        raise BlemishError(f"--from must name {what}. Received: {start.path}, of {start.manifest.method}.")


def refuse_good_images_alone(method: Method, dataset: Dataset) -> None:
    """Raises BlemishError where a split that must hold defective images for the method holds none."""
    for split in method.needs_defects_in:
        images = dataset.split(split)
        if any(sample.is_defective for sample in images):
            continue
        able = learning_from_good_images()
        others = f", or train {' or '.join(able)}, which needs none" if able else ""
        use = {"train": "learns from defects", "val": "chooses its threshold on defects"}[split]
        raise BlemishError(
            f"{dataset.root}: {method.name} {use}, so split '{split}' must show some. "
            f"Received: {len(images)} images without one. Mark defects or add images that show them{others}."
        )


def refuse_several_processes() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BlemishError(
            f"train runs in one process. Received: WORLD_SIZE={os.environ['WORLD_SIZE']}. "
            "Start it without torchrun."
        )


def with_scale(request: Request) -> Request:
    """Set the scale and the bits of dataset.yaml in a request whose settings have none."""
    found = {name: request.dataset.info.get(name) for name in ("mm_per_px", "bits")}
    unset = {name: value for name, value in found.items() if getattr(request.settings, name) is None}
    return replace(request, settings=request.settings.model_copy(update=unset))


def run_to_go_on(request: Request) -> RunRecord | None:
    """Record of the run whose checkpoints the folder holds; None where it holds none.

    Raises BlemishError where it cannot be resumed or is not to be.
    """
    if not any((request.run / CHECKPOINTS).glob("*")):
        return None
    stored = read_record(request.run)
    if stored is None:
        raise BlemishError(
            f"{request.run / RUN_FILE} must tell which settings and data the checkpoints beside it are of. "
            "Received: no such file. Restore it, or choose another --out."
        )
    if not request.resume:
        raise BlemishError(
            f"{request.run} already holds a run. Add --resume to go on, or choose another --out."
        )
    return stored


def claim_folder(request: Request, digest: str) -> None:
    """Write RUN/run.json, or check on resume that method, settings, seed and data are those of the run
    there.
    """
    wanted, file = record_of(request, digest), request.run / RUN_FILE
    stored = run_to_go_on(request)
    if stored is not None:
        refuse_other_run(stored, wanted, file)
        before = stored.upgraded_settings(type(request.settings), request.run)
        refuse_other_settings(before, wanted.settings, file, request.settings.paths)
        return
    for image in (request.run / PICTURES).glob("*.png"):
        image.unlink()  # of an attempt that was stopped before it had a checkpoint
    write_record(request.run, wanted)


def record_of(request: Request, digest: str) -> RunRecord:
    """Record of the run that a request starts. digest: fingerprint of the data"""
    settings = request.settings.model_dump(mode="json")
    paths = {name: settings[name] for name in request.settings.paths if settings[name] is not None}
    absolute = {name: str(Path(path).resolve()) for name, path in paths.items()}
    start = request.initial_bundle
    return RunRecord(
        method=request.method.name,
        seed=request.seed,
        data_fingerprint=digest,
        settings=settings | absolute,
        data=request.origin or None,
        data_path=str(request.data.resolve()) if request.data else None,
        start=start.id if start else None,
        start_path=str(start.path.resolve()) if start else None,
        skipped=dict(request.dataset.skipped),
        threads=thread_count() if pick_device(request.settings.device) == "cpu" else None,
    )


def remove_empty_run(run: Path) -> None:
    """Remove the files of a training that was refused before its first step."""
    log = run / LOG_FILE
    if any((run / CHECKPOINTS).glob("*")) or any("loss" in entry for entry in read_log(log)):
        return
    for file in (run / RUN_FILE, run / PLAN_FILE, log):
        file.unlink(missing_ok=True)
    if not any(run.iterdir()):
        run.rmdir()


def refuse_other_run(stored: RunRecord, wanted: RunRecord, file: Path) -> None:
    """Raise BlemishError where a run that is to go on is of another method, seed, start, data or threads."""
    for key in ("method", "seed", "start"):
        then, now = getattr(stored, key), getattr(wanted, key)
        if then != now:
            raise BlemishError(
                f"{file}: --resume needs the same {key}. Received: {now}, the run has {then}. "
                "Choose another --out."
            )
    if stored.data_fingerprint != wanted.data_fingerprint:
        raise BlemishError(
            f"{file}: --resume needs the same images, annotations and splits. Received: others, or "
            f"changed ones (fingerprint {wanted.data_fingerprint[:12]}, the run has "
            f"{stored.data_fingerprint[:12]}). Restore them, or choose another --out."
        )
    then, now = stored.threads, wanted.threads
    if "threads" not in stored.model_fields_set or then == now:
        return
    if then is None or now is None:
        device, other = ("cuda", "cpu") if then is None else ("cpu", "cuda")
        raise BlemishError(
            f"{file}: --resume needs the same kind of device, as another rounds otherwise. "
            f"Received: {other}, the run was on {device}. Go on where there is one, or choose another --out."
        )
    raise BlemishError(
        f"{file}: --resume needs the same number of threads, with another of which sums are rounded "
        f"otherwise. Received: {now}, the run has {then}. Give --threads {then}."
    )


def refuse_other_settings(
    stored: Mapping[str, Any], wanted: Mapping[str, Any], file: Path, paths: Mapping[str, str]
) -> None:
    """Raise BlemishError for the first setting that differs from that of the run that is to go on."""
    settings = comparable_settings(stored)
    for key, value in comparable_settings(wanted).items():
        if not same_setting(settings.get(key), value):
            remedy = f"Give the same {paths[key]}, or choose" if key in paths else "Choose"
            raise BlemishError(
                f"{file}: --resume needs the same settings. Received: {key}={value}, the run has "
                f"{settings.get(key)}. {remedy} another --out."
            )


def same_setting(first: Any, second: Any) -> bool:
    """True where two values are equal, or two ways to name one file."""
    if first == second or not (isinstance(first, str) and isinstance(second, str)):
        return bool(first == second)
    try:
        return Path(first).samefile(second)
    except (OSError, ValueError):
        return False
