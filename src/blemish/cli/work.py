"""What the commands train, evaluate and inspect do, without the command line around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from blemish.bundle.manifest import first_fault
from blemish.bundle.migrations import rename_settings
from blemish.cli.outcome import refused_as_wrong_use
from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.methods import find_method
from blemish.methods.contract import Method, MethodSettings
from blemish.progress import Reporter

if TYPE_CHECKING:
    from blemish.inspector.line_scan import Web

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
    from blemish.training.request import Request, refuse_unknown_rules
    from blemish.training.run import train

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
    values: dict[str, Any] = dict(start or {})
    if config:
        values |= rename_settings(method.name, read_config(config), source=f"--config {config}")
    assigned: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise BlemishError(f"--set must be KEY=VALUE. Received: '{assignment}'.")
        assigned[key.strip()] = parse_value(key, value)
    values |= rename_settings(method.name, assigned, source="--set")
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


def inspect_images(  # noqa: PLR0913 - what the command is given
    places: Sequence[Path],
    paths: list[Path],
    out: Path,
    *,
    overlay: bool,
    device: str,
    quiet: bool,
    mm_per_px: float | None = None,
    every: int = 1,
    web: Web | None = None,
) -> tuple[Path, int]:
    """Inspect what `source_of` makes of the paths; returns the path of inspections.jsonl and how many failed.

    places: of a bundle, or of several that are asked as a chain
    every: so manyth frame of a video; web: that the images are strips of, where they are
    """
    from blemish.bundle.store import load_bundle
    from blemish.cli.recording import Overlays, record
    from blemish.inspector.chain import judge_of
    from blemish.inspector.line_scan import web_answers
    from blemish.inspector.pipeline import answers_of
    from blemish.inspector.sources import source_of

    reporter = Reporter(quiet=quiet)
    source = source_of(paths, reporter.line, every=every)
    judge = judge_of([load_bundle(place) for place in places], device=device, mm_per_px=mm_per_px)
    overlays = Overlays(out / "overlays", judge.inference.severity_top) if overlay else None
    opened = (
        answers_of(judge, source.items, with_maps=overlay)
        if web is None
        else web_answers(judge, source.items, web, with_pixels=overlay)
    )
    with opened as answers:
        coming = reporter.track(answers.coming, "inspecting", total=source.count if web is None else None)
        return record(replace(answers, coming=coming), out, overlays)
