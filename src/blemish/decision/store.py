"""decision.yaml on disk: read and checked; a new revision keeps the previous one beside it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.bundle.manifest import Strict
from blemish.bundle.store import DECISION
from blemish.decision.decision import MAX_REVISION, SCHEMA_VERSION, Decision
from blemish.decision.rules import Chosen, Costs, Grade, Ignored, Limit, Thresholds
from blemish.errors import BlemishError, nearest_name
from blemish.files import write_atomically
from blemish.untrusted import read_yaml

PARTS: dict[str, type[Strict]] = {
    "score": Thresholds,
    "classes": Thresholds,
    "limits": Limit,
    "ignore": Ignored,
    "grades": Grade,
    "costs": Costs,
    "chosen": Chosen,
}
# Part of the digest that usage.json holds of a decision: another text would make every decision look changed.
HEADING = """\
# What blemish does with what the bundle finds. Written by `blemish decide`; may be changed by hand: count
# `revision` up then. Every rule that is met counts, and the worst of them is the verdict.
"""


def read_decision(file: Path, *, bundle: str) -> Decision:
    """Decision in a YAML file, for the bundle of that id.

    Raises BlemishError for what is not YAML, a newer schema, another bundle's decision, an unknown key (with
    the nearest known one), and values that are out of range, cross or are out of order.
    """
    fields = yaml_fields(file)
    refuse_other_schema(fields, file)
    if fields.get("bundle") != bundle:
        raise BlemishError(
            f"{file}: 'bundle' must be {bundle}, the bundle it lies in. Received: {fields.get('bundle')}. "
            "Thresholds of another bundle do not apply: remove the file, or run `blemish decide`."
        )
    try:
        return Decision.model_validate_json(json.dumps(fields, default=str), strict=True)
    except ValidationError as error:
        raise BlemishError(f"{file}: {fault_line(error)}") from error
    except (TypeError, ValueError) as error:  # a key that is no text, half a character
        raise BlemishError(f"{file} must hold text and numbers. Received: {error}. Correct it.") from error


def yaml_fields(file: Path) -> dict[str, Any]:
    """Keys and values of a YAML file. Raises BlemishError for anything else."""
    fields = read_yaml(file)
    if not isinstance(fields, dict):
        kind = type(fields).__name__
        raise BlemishError(f"{file} must hold 'key: value' lines. Received: {kind}. Correct or remove it.")
    return fields


def refuse_other_schema(fields: dict[str, Any], file: Path) -> None:
    version = fields.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        raise BlemishError(
            f"{file}: schema_version must be {SCHEMA_VERSION} for this blemish. Received: {version}. "
            f"{'Update blemish' if newer else 'Write it again with `blemish decide`'}."
        )


def fault_line(error: ValidationError) -> str:
    """First fault of a decision file as a line that names the key."""
    fault = error.errors()[0]
    parts = [str(part) for part in fault["loc"]]
    if fault["type"] == "value_error":
        return f"'{'.'.join(parts)}': {fault['ctx']['error']}"
    known = PARTS[parts[0]].model_fields if len(parts) > 1 and parts[0] in PARTS else Decision.model_fields
    return first_fault(error, [".".join((*parts[:-1], name)) for name in known])


def refuse_unfit(
    decision: Decision,
    source: str,
    *,
    labels: Sequence[str],
    scale: float | None,
    severity_max: float | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Raises BlemishError for a class that the bundle does not name, a rule in mm without a scale, and a
    severity that no defect reaches.

    source: the file, for messages; labels: class names of the bundle; scale: mm per pixel
    severity_max: greatest severity that the bundle gives; None where that is not known
    options: by key of the file, where its rules do not come from there: "--limit" for "limits"
    """
    named = [(f"{source}: 'classes.{name}'", name) for name in decision.classes]
    for key, number, rule in decision.measured:
        option, place = options.get(key), f"{source}: '{key}.{number}"
        if rule.of is not None:
            named.append((f"{option}: CLASS" if option else f"{place}.of'", rule.of))
        if rule.unit == "mm" and scale is None:
            where, remedy = (
                (f"{option}: {rule.measure}", "Give")
                if option
                else (f"{place}'", "Add 'mm_per_px' to the file, give")
            )
            raise BlemishError(
                f"{where} is in mm, but the scale is unknown. {remedy} --mm-per-px, or write the rule in px."
            )
        for level, value in rule.levels.items() if rule.measure == "severity" else ():
            if severity_max is not None and value is not None and value > severity_max:
                where = f"{option}: severity for {level}" if option else f"{place}.{level}'"
                raise BlemishError(
                    f"{where} must be at most {severity_max:g}, the greatest severity of this bundle. "
                    f"Received: {value:g}. Lower it, or leave the rule out."
                )
    for place, name in named:
        if name not in labels:
            raise BlemishError(
                f"{place} must be a class that the bundle names: {', '.join(labels)}. "
                f"Received: '{name}'.{nearest_name(name, labels)}"
            )


def refuse_open(decision: Decision, source: str) -> None:
    """Raises BlemishError for a decision by which every image is OK, whatever is found on it."""
    thresholds = [decision.score, *decision.classes.values()]
    if any(each.review is not None or each.ng is not None for each in thresholds):
        return
    if not decision.limits and not decision.grades:
        raise BlemishError(
            f"{source}: 'score' must have a threshold where there is no other rule. Received: none, by which "
            "every image is OK. Add 'review' or 'ng', or run `blemish decide`."
        )


def stored_decision(folder: Path, *, bundle: str) -> Decision | None:
    """Decision in a bundle's folder; None where there is none.

    Raises BlemishError as `read_decision` does, and where something is there that is no readable file.
    """
    file = folder / DECISION
    return read_decision(file, bundle=bundle) if os.path.lexists(file) else None


def write_decision(file: Path, decision: Decision) -> Path | None:
    """Write `file` in one step; an existing one is first saved as NAME-REVISION.yaml.

    returns: the path of the saved one; None where there was none
    Raises BlemishError where the existing file is no decision, where another one of its revision was saved
    before, or nothing can be written.
    """
    previous = None
    if os.path.lexists(file):
        revision = yaml_fields(file).get("revision")
        if not isinstance(revision, int) or not 0 < revision <= MAX_REVISION:
            raise BlemishError(
                f"{file} is no decision: it has no 'revision'. Remove it, or choose another name."
            )
        previous = file.with_name(f"{file.stem}-{revision}{file.suffix}")
        content = file.read_bytes()
        if previous.exists() and previous.read_bytes() != content:
            raise BlemishError(
                f"{file}: 'revision' must be one that no other decision has. Received: {revision}, which is "
                f"{previous.name}, too. Count it up to {next_revision(file, revision)}."
            )
        write_atomically(previous, content)
    write_atomically(file, decision_text(decision))
    return previous


def next_revision(file: Path, revision: int = 0) -> int:
    """Number above that revision and those saved beside a decision file, see `write_decision`."""
    kept = re.compile(rf"{re.escape(file.stem)}-(\d{{1,9}}){re.escape(file.suffix)}")
    beside = (kept.fullmatch(path.name) for path in file.parent.glob("*") if file.parent.is_dir())
    return 1 + max([revision, *(int(match[1]) for match in beside if match)])


def decision_text(decision: Decision) -> str:
    """Text of decision.yaml; keys that are not set are left out."""
    fields = decision.model_dump(mode="json", exclude_none=True)
    full = {name: value for name, value in fields.items() if value not in ({}, []) or name == "score"}
    if decision.chosen is not None:
        full["chosen"]["seen"] = FlowList(full["chosen"]["seen"])
    return HEADING + yaml.dump(full, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


class FlowList(list[str]):
    """A list that is written in YAML's flow style, [a, b, …], instead of an entry a line."""


class Dumper(yaml.SafeDumper):
    """Dumper of plain data and of `FlowList`."""


Dumper.add_representer(
    FlowList,
    lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True),
)
