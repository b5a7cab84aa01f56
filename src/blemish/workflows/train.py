"""Training a method on a dataset: settings from a file and KEY=VALUE, then the bundle in its run folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blemish.bundle.manifest import first_fault
from blemish.bundle.migrations import rename_settings
from blemish.errors import BlemishError, refused_as_wrong_use
from blemish.folder_lock import locks_out
from blemish.methods import find_method
from blemish.methods.contract import Method, MethodSettings
from blemish.progress import Reporter
from blemish.training.time_plan import Budget, parse_duration, preset_seconds
from blemish.untrusted import read_yaml
from blemish.workflows.reading import read_dataset

FILLING = ("preset", "variant")  # settings that fill others


@locks_out
def train_bundle(  # noqa: PLR0913 - every option of a training
    method_name: str,
    data: Path,
    out: Path,
    *,
    settings: Mapping[str, Any] | None = None,
    config: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    initial_bundle: Path | None = None,
    time_budget: str | float | None = None,
    plan: bool = True,
    quiet: bool = False,
) -> Path:
    """Train a method and write OUT/bundle; returns the bundle's path.

    settings: by name, before those of the YAML file `config`
    initial_bundle: to go on from, with its settings
    time_budget: seconds, or text such as "15m", that training may take; None: as the preset says
    plan: whether the time is measured and told beforehand, and kept
    Raises WrongUseError for a wrong method or wrong settings, BlemishError for data that cannot be used.
    """
    from blemish.bundle.store import load_bundle
    from blemish.training.request import Request, refuse_unknown_rules
    from blemish.training.run import train

    reporter = Reporter(quiet=quiet)
    start = load_bundle(initial_bundle) if initial_bundle else None
    with refused_as_wrong_use():
        method = find_method(method_name)
        own = start is not None and start.manifest.method == method.name  # another's is refused by `train`
        checked = read_settings(method, config, settings, start.manifest.settings if start and own else {})
        refuse_unknown_rules(checked)
        given = {
            *rename_settings(method.name, read_config(config) if config else {}, source=f"--config {config}"),
            *rename_settings(method.name, settings or {}, source="--set"),
        }
        budget = allowed_time(time_budget, checked, given)
    dataset = read_dataset(data, reporter)
    request = Request(
        method,
        dataset,
        checked,
        out,
        seed=seed,
        resume=resume,
        origin=str(data),
        initial_bundle=start,
        budget=budget if plan else None,
    )
    return train(request, reporter).path


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


def read_settings(
    method: Method,
    config: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    base: Mapping[str, Any] | None = None,
) -> MethodSettings:
    """Read a method's settings: its defaults or `base`, then the YAML file `config`, then `settings`.

    Raises BlemishError for an unknown key (with the nearest) or a value out of range.
    """
    values: dict[str, Any] = dict(base or {})
    if config:
        values |= rename_settings(method.name, read_config(config), source=f"--config {config}")
    values |= rename_settings(method.name, settings or {}, source="--set")
    refuse_other_preset(values, base or {})
    try:
        return method.settings_type.model_validate(values)
    except ValidationError as error:
        fault = first_fault(error, method.settings_type.model_fields)
        raise BlemishError(f"settings of {method.name}: {fault}{list_remedy(error)}") from error


def refuse_other_preset(values: Mapping[str, Any], base: Mapping[str, Any]) -> None:
    """Raise BlemishError for another preset or variant than that of `base`, which has filled all settings."""
    for key in FILLING:
        if key in base and values[key] != base[key]:
            raise BlemishError(
                f"setting {key} must be {base[key]}, as in the bundle that training starts from. "
                f"Received: {values[key]}. Set single settings that are to differ."
            )


def list_remedy(error: ValidationError) -> str:
    """Remedy where the first fault is a word in place of a list; else ""."""
    fault = error.errors()[0]
    if fault["type"] != "tuple_type":
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
