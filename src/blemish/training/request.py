"""A request for a training, the checks before any work, and the run folder that it claims."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from blemish.bundle.migrations import AUTO, comparable_settings, legacy_defaults, rename_settings
from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.operating_point import parse_rule
from blemish.files import write_atomically
from blemish.inspector.loading import refuse_exported
from blemish.inspector.torch_backend import pick_device
from blemish.methods.contract import Method, MethodSettings
from blemish.threads import thread_count
from blemish.training.log import LOG_FILE, read_log
from blemish.training.time_plan import Budget
from blemish.training.trainer import CHECKPOINTS, PICTURES

RUN_FILE, PLAN_FILE = "run.json", "plan.json"
THREADS = "threads"  # in it; null on a GPU, where sums do not depend on them


@dataclass(frozen=True)
class Request:
    """A training to be done: method, data, settings and the run's folder.

    origin: the dataset's path as the user gave it, for the manifest
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
    initial_bundle: Bundle | None = None
    budget: Budget | None = None


def refuse_unknown_rules(settings: MethodSettings) -> None:
    """Raises BlemishError for rules of thresholds that cannot be read, before hours of training."""
    for key in ("ng_rule", "review_rule"):
        try:
            if getattr(settings, key) != AUTO:
                parse_rule(getattr(settings, key))
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
        use = {"train": "learns from defects", "val": "chooses its threshold on defects"}[split]
        raise BlemishError(
            f"{dataset.root}: {method.name} {use}, so split '{split}' must show some. "
            f"Received: {len(images)} images without one. Mark defects or add images that show them."
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


def claim_folder(request: Request, digest: str) -> None:
    """Write RUN/run.json, or check on resume that method, settings, seed and data are those of the run
    there.
    """
    file = request.run / RUN_FILE
    settings = request.settings.model_dump(mode="json")
    paths = {name: settings[name] for name in request.settings.paths if settings[name] is not None}
    absolute = {name: str(Path(path).resolve()) for name, path in paths.items()}
    wanted = {
        "method": request.method.name,
        "seed": request.seed,
        "data_fingerprint": digest,
        "settings": settings | absolute,
        "start": request.initial_bundle.id if request.initial_bundle else None,
        THREADS: thread_count() if pick_device(request.settings.device) == "cpu" else None,
    }
    if any((request.run / CHECKPOINTS).glob("*")):
        if not file.is_file():
            raise BlemishError(
                f"{file} must tell which settings and data the checkpoints beside it are of. "
                "Received: no such file. Restore it, or choose another --out."
            )
        if not request.resume:
            raise BlemishError(
                f"{request.run} already holds a run. Add --resume to go on, or choose another --out."
            )
        stored = read_run(file)
        older = legacy_defaults(request.method.name, type(request.settings))
        renamed = rename_settings(request.method.name, stored["settings"], source=str(file))
        noted = {THREADS: wanted[THREADS], **stored}  # 0.1 noted no threads
        stored = {**noted, "settings": {**older, **renamed}}
        refuse_other_run(stored, wanted, file, request.settings.paths)
        return
    for image in (request.run / PICTURES).glob("*.png"):
        image.unlink()  # of an attempt that was stopped before it had a checkpoint
    write_atomically(file, json.dumps(wanted, indent=1, ensure_ascii=False) + "\n")


def remove_empty_run(run: Path) -> None:
    """Remove the files of a training that was refused before its first step."""
    log = run / LOG_FILE
    if any((run / CHECKPOINTS).glob("*")) or any("loss" in entry for entry in read_log(log)):
        return
    for file in (run / RUN_FILE, run / PLAN_FILE, log):
        file.unlink(missing_ok=True)
    if not any(run.iterdir()):
        run.rmdir()


def read_run(file: Path) -> dict[str, Any]:
    """Read a run.json. Raises BlemishError for a file that `claim_folder` did not write."""
    try:
        stored = json.loads(file.read_bytes())
    except ValueError as error:
        raise BlemishError(f"{file} is not JSON ({error}). Choose another --out.") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("settings"), dict):
        raise BlemishError(f"{file} describes no run. Choose another --out.")
    return stored


def refuse_other_run(
    stored: Mapping[str, Any], wanted: Mapping[str, Any], file: Path, paths: Mapping[str, str]
) -> None:
    for key in wanted:
        if key == "settings":
            continue
        if key == THREADS and stored[key] != wanted[key]:
            raise BlemishError(
                f"{file}: --resume needs the same number of threads, with another of which sums are rounded "
                f"otherwise. Received: {wanted[key]}, the run has {stored[key]}. "
                f"Give --threads {stored[key]}."
            )
        if key == "data_fingerprint" and stored.get(key) != wanted[key]:
            raise BlemishError(
                f"{file}: --resume needs the same images, annotations and splits. Received: others, or "
                f"changed ones (fingerprint {wanted[key][:12]}, the run has {str(stored.get(key))[:12]}). "
                "Restore them, or choose another --out."
            )
        if stored.get(key) != wanted[key]:
            raise BlemishError(
                f"{file}: --resume needs the same {key}. Received: {wanted[key]}, the run has "
                f"{stored.get(key)}. Choose another --out."
            )
    settings, now = comparable_settings(stored["settings"]), comparable_settings(wanted["settings"])
    for key, value in now.items():
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
