"""Training a method on a dataset: settings from a file and KEY=VALUE, then the bundle in its run folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.migrations import rename_settings
from blemish.dataset.opening import naming_the_option
from blemish.durations import parse_duration
from blemish.errors import BlemishError, WrongUseError, refused_as_wrong_use
from blemish.folder_lock import locks_out
from blemish.methods.contract import Method, MethodSettings
from blemish.progress import Reporter
from blemish.threads import set_threads
from blemish.training.clock import Clock
from blemish.training.time_plan import Budget, preset_seconds
from blemish.untrusted import read_yaml
from blemish.workflows.reading import read_dataset

FILLING = ("preset", "variant")  # settings that fill others


@locks_out
def train_bundle(  # noqa: PLR0913 - every option of a training
    method_name: str | None,
    data: Path | None,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
    resume: bool = False,
    initial_bundle: Path | None = None,
    time_budget: str | float | None = None,
    plan: bool = True,
    threads: int | None = None,
    skip_broken: bool = False,
    quiet: bool = False,
) -> Path:
    """Train a method and write OUT/bundle; returns the bundle's path.

    With `resume`, what is not given is that of the run in OUT; else a method and data must be given.
    settings: by name, before those of the YAML file `config`
    options: settings that have an option of their own, before both
    initial_bundle: to go on from, with its settings
    time_budget: seconds, or text such as "15m", that training may take; None: as the preset says
    skip_broken: leave out broken files, each with a line, and note them in the bundle; a run that is resumed
        leaves out what it left out before
    plan: whether the time is measured and told beforehand, and kept
    threads: None takes those of the run that is resumed where there are so many cores, else `thread_count`
    Raises WrongUseError for a wrong method or wrong settings, BlemishError for data that cannot be used.
    """
    from blemish.workflows.resume import Asked, resolve

    clock, reporter = Clock(), Reporter(quiet=quiet)
    asked = Asked(method_name, data, seed, initial_bundle, threads, skip_broken)
    resolved = resolve(asked, out, reporter, resume=resume)
    set_threads(resolved.threads)  # before torch is imported
    from blemish.bundle.store import load_bundle
    from blemish.training.request import Request, refuse_unknown_rules
    from blemish.training.run import train

    method = resolved.method
    start = load_bundle(resolved.initial_bundle) if resolved.initial_bundle else None
    with refused_as_wrong_use():
        refuse_foreign_options(method, options or {})
        base, of = resolved.settings, resolved.source
        if not base and start is not None and start.manifest.method == method.name:
            # A start of another method is refused by `train`.
            base, of = start.manifest.settings, "the bundle that training starts from"
        checked = read_settings(method, config, {**(settings or {}), **(options or {})}, base, of=of)
        refuse_unknown_rules(checked)
        given = {
            *rename_settings(method.name, read_config(config) if config else {}, source=f"--config {config}"),
            *rename_settings(method.name, settings or {}, source="--set"),
            *(options or {}),
        }
        budget = allowed_time(time_budget, checked, given)
    dataset = read_dataset(resolved.data, reporter, skip_broken=skip_broken or resolved.skip_broken)
    request = Request(
        method,
        dataset,
        checked,
        out,
        seed=resolved.seed,
        resume=resume,
        origin=resolved.origin,
        data=resolved.data,
        initial_bundle=start,
        budget=budget if plan else None,
    )
    with naming_the_option(dataset):
        return train(request, reporter, clock).path


def allowed_time(time_budget: str | float | None, settings: MethodSettings, given: Collection[str]) -> Budget:
    """Time that training may take: as given, or else as the preset says. given: names of settings given

    Raises BlemishError for what is no time.
    """
    from blemish.inspector.torch_backend import pick_device

    fixed = frozenset(given)
    if time_budget is not None:
        return Budget(parse_duration(str(time_budget), "--time-budget"), "--time-budget", True, fixed)
    preset = getattr(settings, "preset", "default")
    seconds = preset_seconds(preset, on_gpu=pick_device(settings.device) == "cuda")
    return Budget(seconds, f"preset {preset}", False, fixed)


def refuse_foreign_options(method: Method, options: Mapping[str, Any]) -> None:
    """Raise WrongUseError for an option whose setting the method does not have."""
    for name in options:
        if name not in method.settings_type.model_fields:
            option = f"--{name.replace('_', '-')}"
            raise WrongUseError(f"Method {method.name} has no setting '{name}'. Leave {option} out.")


def read_settings(
    method: Method,
    config: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
    *,
    of: str = "",
) -> MethodSettings:
    """Read a method's settings: its defaults or `base`, then the YAML file `config`, then `settings`.

    of: what `base` are the settings of, for the message
    Raises BlemishError for an unknown key (with the nearest) or a value out of range.
    """
    values: dict[str, Any] = dict(base or {})
    if config:
        values |= rename_settings(method.name, read_config(config), source=f"--config {config}")
    values |= rename_settings(method.name, settings or {}, source="--set")
    refuse_other_preset(values, base or {}, of=of)
    try:
        return method.settings_type.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, method.settings_type.model_fields)
        raise BlemishError(f"settings of {method.name}: {fault}{list_remedy(error)}") from error


def refuse_other_preset(values: Mapping[str, Any], base: Mapping[str, Any], *, of: str) -> None:
    """Raise BlemishError for another preset or variant than that of `base`, which has filled all settings."""
    for key in FILLING:
        if key in base and values[key] != base[key]:
            raise BlemishError(
                f"setting {key} must be {base[key]}, as in {of}. Received: {values[key]}. Leave it out."
            )


def list_remedy(error: ValidationError) -> str:
    """Remedy where the first fault is a word in place of a list; else ""."""
    fault = error.errors()[0]
    name = fault["loc"][:1]
    if "tuple_type" not in {each["type"] for each in error.errors() if each["loc"][:1] == name}:
        return ""
    value = "" if fault["input"] is None else fault["input"]
    return f" Write a list: '{fault['loc'][0]}=[{value}]'."


def read_config(config: Path) -> Mapping[str, Any]:
    values = read_yaml(config)
    if not isinstance(values, dict):
        raise BlemishError(
            f"--config {config} must hold a mapping of settings. Received: {type(values).__name__}."
        )
    return values
