"""What the commands train, evaluate and inspect do, without the command line around it."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import yaml
from pydantic import ValidationError

from blemish.bundle.manifest import Manifest, first_fault
from blemish.cli.chained import of_chain
from blemish.cli.outcome import refused_as_wrong_use
from blemish.dataset.layouts import load_dataset
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.inspection import Inspection, Verdict
from blemish.methods import find_method
from blemish.methods.contract import Method, MethodSettings
from blemish.progress import Reporter

if TYPE_CHECKING:
    from blemish.bundle.store import Bundle
    from blemish.evaluation.report import ReportContext

FILLING = ("preset", "variant")  # settings that fill others


def train_bundle(  # noqa: PLR0913 - what the command is given
    method_name: str,
    data: Path,
    out: Path,
    *,
    config: Path | None,
    assignments: list[str],
    seed: int,
    resume: bool,
    quiet: bool,
    start: Path | None = None,
) -> Path:
    """Train and write OUT/bundle; returns its path. start: a bundle to go on from, with its settings

    Raises WrongUseError for a wrong method or wrong settings, BlemishError for data that cannot be used.
    """
    from blemish.bundle.store import load_bundle
    from blemish.training.run import Request, refuse_unknown_rules, train

    reporter = Reporter(quiet=quiet)
    begun = load_bundle(start) if start else None
    with refused_as_wrong_use():
        method = find_method(method_name)
        own = begun is not None and begun.manifest.method == method.name  # another's is refused by `train`
        settings = read_settings(
            method, config, assignments, begun.manifest.settings if begun and own else {}
        )
        refuse_unknown_rules(settings)
    dataset = load_dataset(data)
    reporter.line(f"{data}: {len(dataset)} images, {dataset.layout} ({dataset.reason})")
    request = Request(method, dataset, settings, out, seed=seed, resume=resume, origin=str(data), start=begun)
    return train(request, reporter).path


def read_settings(
    method: Method, config: Path | None, assignments: list[str], start: Mapping[str, Any] | None = None
) -> MethodSettings:
    """The method's settings: defaults or those of a start, then the YAML file, then each KEY=VALUE.

    Raises BlemishError for an unknown key (with the nearest) or a value out of range.
    """
    values: dict[str, Any] = {**(start or {}), **(read_config(config) if config else {})}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise BlemishError(f"--set must be KEY=VALUE. Received: '{assignment}'.")
        values[key.strip()] = parse_value(key, value)
    refuse_beaten(values, start or {})
    try:
        return method.settings_type.model_validate(values)
    except ValidationError as error:
        raise BlemishError(
            f"settings of {method.name}: {first_fault(error, method.settings_type.model_fields)}"
            f"{as_a_list(error)}"
        ) from error


def refuse_beaten(values: Mapping[str, Any], start: Mapping[str, Any]) -> None:
    """Raises BlemishError for another preset or variant than the start's: all that it fills is filled."""
    for key in FILLING:
        if key in start and values[key] != start[key]:
            raise BlemishError(
                f"setting {key}: a training from a bundle has the bundle's settings, {key}={start[key]} "
                f"among them. Received: {values[key]}. Set one by one what shall differ."
            )


def as_a_list(error: ValidationError) -> str:
    """How to write it, where the first fault is a word in place of a list; else ""."""
    fault = error.errors()[0]
    if fault["type"] != "tuple_type":
        return ""
    value = "" if fault["input"] is None else fault["input"]
    return f" Write a list: '{fault['loc'][0]}=[{value}]'."


def parse_value(key: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise BlemishError(f"--set {key}: '{value}' is not YAML. Use KEY=3, KEY=true or KEY=word.") from error


def read_config(config: Path) -> Mapping[str, Any]:
    try:
        values = yaml.safe_load(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise BlemishError(f"--config {config} cannot be read: {error.strerror}. Check the path.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise BlemishError(
            f"--config {config} cannot be read as YAML: {' '.join(str(error).split())}."
        ) from error
    if not isinstance(values, dict):
        raise BlemishError(
            f"--config {config} must hold a mapping of settings. Received: {type(values).__name__}."
        )
    return values


def evaluate_bundle(
    bundle: Path,
    data: Path,
    out: Path,
    *,
    split: str,
    device: str,
    quiet: bool,
    then: Sequence[Path] = (),
) -> Path:
    """Measure a bundle on a split; writes metrics.json and report.html and returns the report's path.

    then: bundles that are asked after it, as a chain
    """
    from blemish.bundle.store import load_bundle
    from blemish.evaluation.evaluator import metrics_json
    from blemish.evaluation.operating_point import OperatingPoint
    from blemish.evaluation.report import write_report
    from blemish.evaluation.run import evaluate_samples, for_judge, split_to_evaluate
    from blemish.inspector.chain import judge_of

    reporter = Reporter(quiet=quiet)
    places = (bundle, *then)
    stages = [load_bundle(place) for place in places]
    dataset = load_dataset(data)
    inspector = judge_of(stages, device=device)
    manifests = [stage.manifest for stage in stages]
    chosen, left_out = for_judge(split_to_evaluate(dataset, split), inspector, manifests)
    notes = (*left_out, *(note for manifest in manifests for note in notes_on_seen(manifest, chosen)))
    for note in notes:
        reporter.line(f"warning: {note}")
    context = report_context(stages[0], bundle, chosen, data, notes)  # before the long work: it may refuse
    evaluation = evaluate_samples(inspector, chosen, reporter).result(
        method="+".join(manifest.method for manifest in manifests),
        split=split,
        seed=manifests[0].provenance.get("seed"),
        operating_point=OperatingPoint.from_json(manifests[0].operating_point),
        pixel_threshold=inspector.inference.pixel_threshold,
    )
    write_atomically(out / "metrics.json", metrics_json(evaluation))
    write_report(out / "report.html", evaluation, of_chain(context, stages, places))
    return out / "report.html"


def notes_on_seen(manifest: Manifest, chosen: Dataset) -> tuple[str, ...]:
    """A sentence when the bundle was trained, or its thresholds chosen, on images that are to be measured."""
    from blemish.dataset.fingerprint import image_marks

    seen = set(manifest.data.get("seen", ())) & set(image_marks(chosen))
    if not seen:
        return ()
    return (
        f"{len(seen)} of these {len(chosen)} images were used to train the bundle or to choose its "
        "thresholds: on them the figures and bounds say nothing about new parts.",
    )


def inspect_images(
    bundle: Path,
    paths: list[Path],
    out: Path,
    *,
    overlay: bool,
    device: str,
    quiet: bool,
    then: Sequence[Path] = (),
) -> tuple[Path, int]:
    """Inspect images one by one; returns the path of inspections.jsonl and how many images failed.

    then: bundles that are asked after the first one, as a chain
    Lines are written as they come to a temporary name, which is renamed when all are done or the user stops.
    """
    from blemish.bundle.store import load_bundle
    from blemish.inspector.chain import judge_of
    from blemish.inspector.inspector import image_paths

    reporter = Reporter(quiet=quiet)
    images = list(image_paths(paths, reporter.line))
    inspector = judge_of([load_bundle(place) for place in (bundle, *then)], device=device)
    names = overlay_names(images) if overlay else {}
    target, draft = out / "inspections.jsonl", out / "inspections.jsonl.part"
    failures = 0
    finished = False
    try:
        with open_draft(draft) as file:
            for path in reporter.track(images, "inspecting"):
                inspection = inspector.inspect(path, with_maps=overlay)
                file.write(json.dumps(inspection.to_json(), ensure_ascii=False, allow_nan=False) + "\n")
                failures += inspection.verdict is Verdict.ERROR
                if overlay and inspection.verdict is not Verdict.ERROR:
                    write_overlay(
                        inspection, path, out / "overlays" / names[path], inspector.inference.severity_top
                    )
        finished = True
    except KeyboardInterrupt:
        finished = True  # every line written so far is whole
        raise
    except OSError as error:
        raise BlemishError(
            f"{draft} cannot be written: {error.strerror}. Free some space and try again."
        ) from error
    finally:
        if finished:
            draft.replace(target)
    return target, failures


def open_draft(draft: Path) -> TextIO:
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        return draft.open("w", encoding="utf-8")
    except OSError as error:
        raise BlemishError(f"{draft} cannot be written: {error.strerror}. Choose another --out.") from error


def write_overlay(inspection: Inspection, path: Path, file: Path, severity_top: float | None) -> None:
    """The inspected image with heat, outlines and labels. severity_top: see `draw_inspection`"""
    from blemish.images.decode import read_image
    from blemish.images.drawing import draw_inspection
    from blemish.images.encode import png_bytes

    picture = draw_inspection(read_image(path), inspection, severity_top=severity_top)
    write_atomically(file, png_bytes(picture))


def overlay_names(images: list[Path]) -> dict[Path, str]:
    """A file name for each image: its folder and name, and a number where that is taken."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in images:
        base = f"{path.parent.name}__{path.stem}" if path.parent.name else path.stem
        name, number = f"{base}.png", 1
        while name in taken:
            number += 1
            name = f"{base}__{number}.png"
        taken.add(name)
        names[path] = name
    return names


def report_context(
    loaded: Bundle, bundle: Path, dataset: Dataset, data: Path, notes: tuple[str, ...]
) -> ReportContext:
    """What the report shows beside the figures. Raises BlemishError for stored curves that cannot be drawn.

    bundle, data: the paths as the user gave them
    """
    from blemish.dataset.fingerprint import fingerprint
    from blemish.evaluation.report import ReportContext
    from blemish.evaluation.stored import threshold_sweep, training_curve
    from blemish.provenance import provenance

    made, manifest = provenance(), loaded.manifest
    return ReportContext(
        title=f"{find_method(manifest.method).title} on {dataset.root.name}",
        method=manifest.method,
        bundle_name=str(bundle),
        bundle_hash=loaded.id,
        dataset_root=str(data),
        dataset_counts=dataset.splits,
        dataset_layout=dataset.layout,
        dataset_reason=dataset.reason,
        training=training_curve(manifest, bundle),
        threshold_sweep=threshold_sweep(manifest, bundle),
        data_fingerprint=fingerprint(dataset),
        skipped=dataset.skipped,
        settings=manifest.settings,
        command=shlex.join(["blemish", *sys.argv[1:]]),
        created=made["created"],
        hardware=made["hardware"],
        versions={name: made[name] for name in ("blemish", "commit", "python", "torch") if made[name]},
        notes=notes,
        noticed=manifest.notes,
    )
