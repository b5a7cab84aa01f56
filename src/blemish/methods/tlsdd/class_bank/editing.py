"""Removing an added class, and renaming any: data alone, the detector stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from blemish.bundle.manifest import Manifest
from blemish.bundle.store import Tensors
from blemish.errors import BlemishError
from blemish.methods.tlsdd.class_bank.enrolled import ENROLLED, EnrolledClasses, enrolled_names
from blemish.methods.tlsdd.settings import TlsddSettings


def without_class(
    networks: Mapping[str, Tensors], manifest: Manifest, name: str
) -> tuple[Mapping[str, Tensors], Mapping[str, Any]]:
    """Tensors and memory without an added class; see `capabilities.AddsClasses.remove_class`.

    Raises BlemishError for a class that training taught, which the detector's own weights know.
    """
    settings = TlsddSettings.model_validate(manifest.settings)
    added = enrolled_names(manifest)
    if name in added:
        rows = EnrolledClasses.from_tensors(networks[ENROLLED], settings, len(added))
        changed = {ENROLLED: rows.without(added.index(name)).tensors(settings)}
    elif name in manifest.data.get("added", {}):  # by its prototype, in a bundle without background
        bank, number = networks["bank"], manifest.class_names.index(name)
        changed = {"bank": {key: without_row(key, array, number) for key, array in bank.items()}}
    else:
        raise BlemishError(
            f"'{name}' was learned in training and stays: only classes that add-class added can be removed. "
            "Train again without it, or rename it."
        )
    return {**networks, **changed}, without_name(manifest.memory, name)


def without_row(key: str, array: np.ndarray[Any, Any], number: int) -> np.ndarray[Any, Any]:
    """Array of a bank without the row of a class."""
    return array if key == "made_for" else np.delete(array, number, axis=0)


def without_name(memory: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Memory as if the class had never been added: a list that is empty then was not there before."""
    rest = {**memory}
    for key in ("rare", ENROLLED):
        if key in rest:
            rest[key] = [other for other in rest[key] if other != name]
    for key in ("examples", "class_shifts"):
        if key in rest:
            rest[key] = {other: value for other, value in rest[key].items() if other != name}
    if not rest.get(ENROLLED, [name]):
        del rest[ENROLLED]
    return rest


def renamed(manifest: Manifest, name: str, new: str) -> Manifest:
    """Manifest in which a class has another name; see `capabilities.AddsClasses.rename_class`."""

    def called(value: Any) -> Any:
        """Value in which the class's name is the new one, as an entry of a list or as a key."""
        if isinstance(value, dict):
            return {new if key == name else key: each for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [new if each == name else each for each in value]
        return value

    memory = {key: called(value) for key, value in manifest.memory.items()}
    draw = memory.get("draw", {})
    if "classes" in draw:
        memory["draw"] = {**draw, "classes": called(draw["classes"])}
    settings = {
        key: called(value) if key in ("common", "rare") else value for key, value in manifest.settings.items()
    }
    return manifest.model_copy(
        update={
            "class_names": tuple(called(manifest.class_names)),
            "memory": memory,
            "settings": settings,
        }
    )
