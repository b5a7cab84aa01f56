"""The manifest of a bundle: everything about a trained model but its weights, as data checked key by key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic import Strict as StrictNumber  # no truth values, no text

from blemish.bundle.faults import first_fault
from blemish.bundle.migrations import upgrade_manifest
from blemish.errors import BlemishError
from blemish.untrusted import MAX_DEPTH, unique_keys

SCHEMA_VERSION = 1
MAX_WHOLE = 2**63 - 1


class Strict(BaseModel):
    """Frozen model; an unknown key is an error, and so is NaN, which would pass every threshold."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Preprocessing(Strict):
    """Preparation of pixels for the network; full scale of the dtype is always 1. channels: None as stored"""

    channels: int | None


class StoredShare(Strict):
    """A count n of `of`, and 95 % bounds of the share in [0, 1]; see `evaluation.bounds.ProportionBound`."""

    n: int = Field(ge=0)
    of: int = Field(ge=0)
    lower95: float
    upper95: float


class StoredOperatingPoint(Strict):
    """Thresholds on the image score and their cost, as `evaluation.operating_point` writes them."""

    rule: str
    threshold: float
    review_threshold: float
    escapes: StoredShare
    overkill: StoredShare
    review: StoredShare
    notes: tuple[str, ...]


class StoredInput(Strict):
    """Input of a graph. shape: None for an axis whose length may differ"""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class StoredGraph(Strict):
    """Graph of an exported bundle. files: of it, the one that is opened first"""

    files: tuple[str, ...]
    inputs: tuple[StoredInput, ...]
    outputs: tuple[str, ...]


class StoredRuntime(Strict):
    """Graphs of an exported bundle, which runs without torch.

    source: id of the bundle that it was exported from; opset: of the ONNX that graphs were made through
    """

    kind: Literal["onnx", "openvino"]
    precision: Literal["fp32", "fp16", "int8"]
    opset: int
    source: str
    graphs: dict[str, StoredGraph]


class Manifest(Strict):
    """manifest.json. Lengths in pixels, scores in [0, 1].

    curves, memory: of the method, by names of its choice, checked by it when the bundle is opened
    runtime: of an exported bundle; None: its networks are run by torch
    data: origin of the training images, and their digests (see `known_images`)
    notes: sentences for the report, on the training and on later changes
    """

    schema_version: int = SCHEMA_VERSION
    method: str
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    tiling: dict[str, Annotated[int, StrictNumber()]] = {}
    thresholds: dict[str, Annotated[float, StrictNumber()]] = {}
    settings: dict[str, Any] = {}
    operating_point: StoredOperatingPoint | None = None
    runtime: StoredRuntime | None = None
    metrics: dict[str, Any] = {}
    curves: dict[str, Any] = {}
    memory: dict[str, Any] = {}
    notes: tuple[str, ...] = ()
    data: dict[str, Any] = {}
    data_fingerprint: str = ""
    provenance: dict[str, Any] = {}
    files: dict[str, str] = Field(default={}, description="SHA-256 of every other file of the bundle")

    @field_validator("data")
    @classmethod
    def _digests_are_texts(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Without the digests, an image known in training would count as new."""
        for key in ("trained_on", "validated_on", "trained_on_before"):
            value = data.get(key, ())
            if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"'data.{key}' must be a list of digests. Train or copy the bundle again.")
        return data

    def to_json(self) -> str:
        fields = self.model_dump(mode="json", exclude=None if self.runtime else {"runtime"})
        return manifest_json(fields)


def manifest_json(fields: Mapping[str, Any]) -> str:
    """Text of manifest.json. fields: its content, NaN refused with ValueError"""
    return json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def known_images(data: Mapping[str, Any]) -> frozenset[str]:
    """Digests of the images that a bundle was trained or validated on, by the `data` of its manifest."""
    return frozenset([*data.get("trained_on", ()), *data.get("validated_on", ())])


def parse_manifest(text: str | bytes, path: Path) -> Manifest:
    """Parse the text of a manifest (bytes: UTF-8), an older one upgraded; `path` is for messages alone.

    Raises BlemishError for what is not JSON, a newer schema, an unknown key (with the nearest known one), a
    missing key or a value of the wrong type.
    """
    try:
        fields = json.loads(text, object_pairs_hook=unique_keys)
        refuse_odd_values(fields)
    except (ValueError, RecursionError) as error:  # ValueError: bytes that are no text as well
        raise BlemishError(f"{path} is not JSON ({error}). Train or copy the bundle again.") from error
    if not isinstance(fields, dict):
        raise BlemishError(f"{path} must hold a JSON object. Train or copy the bundle again.")
    refuse_other_schema(fields, path)
    try:
        manifest = Manifest.model_validate(upgrade_manifest(fields))
    except BlemishError as error:
        raise BlemishError(f"{path}: {error}") from error
    except ValidationError as error:
        raise BlemishError(f"{path}: {first_fault(error, Manifest.model_fields)}") from error
    if not all(math.isfinite(value) for value in values_of(fields) if isinstance(value, float)):
        raise BlemishError(f"{path} must hold finite numbers. Received: NaN or Infinity. Train it again.")
    return manifest


def refuse_odd_values(fields: Any) -> None:
    """Raise ValueError for values that are nested too deep, for halves of characters, and for whole numbers
    of more digits than any setting has.
    """
    for value in values_of(fields):
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, int) and abs(value) > MAX_WHOLE:
            raise ValueError(f"a whole number must be at most {MAX_WHOLE}")


def values_of(fields: Any) -> Iterator[Any]:
    """Keys, texts and numbers in plain data. Raises ValueError where it is nested more than `MAX_DEPTH`."""
    waiting: list[tuple[Any, int]] = [(fields, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"values are nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            waiting += ((part, depth + 1) for pair in value.items() for part in pair)
        elif isinstance(value, list):
            waiting += ((part, depth + 1) for part in value)
        else:
            yield value


def refuse_other_schema(fields: Mapping[str, Any], path: Path) -> None:
    version = fields.get("schema_version")
    if version != SCHEMA_VERSION or isinstance(version, bool):
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        raise BlemishError(
            f"{path}: schema_version must be {SCHEMA_VERSION} for this blemish. Received: {version}. "
            f"{'Update blemish' if newer else 'Train it again'}."
        )
