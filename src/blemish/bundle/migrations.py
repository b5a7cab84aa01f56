"""Migrations: what bundles, runs, table rows and configurations written by older versions mean today.

Stored files are never rewritten; they are upgraded each time they are read. Every function takes plain data,
changes nothing in place, and leaves what is up to date as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from blemish.errors import BlemishError

# By method: what was done before there was a setting for it, where that is not the setting's default. A
# bundle, a run or a row of a table that does not know the setting is older than it.
LEGACY: Mapping[str, Mapping[str, Any]] = {
    "casae": {
        "encoder": "paper",
        "standardise": False,
        "types_standardise": False,
        "area_balance": 0.0,
        "image_score": "max",
        "hard_clean_weight": 0.0,
        "threshold_criterion": "pixel-f1",
    },
    "medetection": {"linear_path": "none", "schedule": "constant", "early_stopping": True},
    "severity": {
        "encoder": "paper",
        "image_score": "max",
        "threshold_criterion": "mean-iou",
        "padding": "zeros",
        "patch_balance": 1.0,
        "types_regions": None,
        "score_values": "clipped",
        "drop_rule": "lossless",
    },
    "tlsdd": {
        "padding": "black",
        "roi_canonical_size": 224,
        "rpn_positive_iou": 0.7,
        "moved_boxes": 0,
        "clean_queries": 0,
        "fine_tune_images": "uniform",
        "clean_weight": 0.0,
        "class_threshold_boxes": None,
        "background_images": 0,
        "image_score": "max",
    },
}
# By method: older names of settings, and what they are called now.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "severity": {
        "minimum_area": "min_area",
        "types_weights": "types_backbone_weights",
        "types_strides": "types_backbone_strides",
    },
    "tlsdd": {
        "fine_rate": "fine_tune_learning_rate_ratio",
        "fine_steps": "fine_tune_steps",
        "fine_common": "fine_tune_common",
    },
    "medetection": {
        "stem": "backbone",
        "stem_weights": "backbone_weights",
        "stem_strides": "backbone_strides",
        "stem_level": "backbone_level",
        "stem_frozen": "backbone_frozen",
        "attention_least": "attention_min_channels",
        "rate": "learning_rate",
        "meta_rate": "meta_learning_rate",
        "inner_rate": "inner_learning_rate",
    },
    "casae": {"minimum_area": "min_area", "types_rate": "types_learning_rate"},
}
# Settings that "auto" leaves to the data, and what they had to be before. Stored rules keep their meaning; an
# older run or row counts as one of "auto".
AUTO = "auto"
BEFORE_AUTO: Mapping[str, Any] = {"ng_rule": "f1", "review_rule": "escape<=0"}


def legacy_defaults(method: str, settings_type: type[BaseModel]) -> dict[str, Any]:
    """Value of each setting of a method where stored settings do not know it: its default, or `LEGACY`."""
    return {**settings_type().model_dump(mode="json"), **LEGACY.get(method, {})}


def rename_settings(method: str, settings: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Rename settings to today's names. source: of the settings, for the message

    Raises BlemishError where a setting is given by both of its names.
    """
    renamed: dict[str, Any] = {}
    names = RENAMED.get(method, {})
    for key, value in settings.items():
        name = names.get(key, key)
        if name != key and name in settings:
            raise BlemishError(
                f"{source}: '{key}' is the older name of setting '{name}'. Received: both. Leave '{key}' out."
            )
        renamed[name] = value
    return renamed


def upgrade_settings(method: str, settings: Mapping[str, Any], *, source: str = "settings") -> dict[str, Any]:
    """Stored settings by today's names, and behind them what was done in place of those they do not know.

    Raises BlemishError as `rename_settings` does.
    """
    renamed = rename_settings(method, settings, source=source)
    return {**renamed, **{key: v for key, v in LEGACY.get(method, {}).items() if key not in renamed}}


def comparable_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in which "auto" is spelled as before it was possible, so that older ones equal newer ones.

    Keys may stand behind a prefix and a dot, as in a table's rows.
    """
    return {
        key: BEFORE_AUTO.get(key.rpartition(".")[2], value) if value == AUTO else value
        for key, value in settings.items()
    }


def upgrade_manifest(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Upgrade the fields of a manifest to those of today's `Manifest`.

    A value of an unexpected type is left as it is, to be refused there. Raises BlemishError as
    `rename_settings` does.
    """
    upgraded = {key: value for key, value in fields.items() if key != "scales"}
    preprocessing = fields.get("preprocessing")
    if isinstance(preprocessing, dict):
        upgraded["preprocessing"] = {k: v for k, v in preprocessing.items() if k != "divisors"}
    method, settings = fields.get("method"), fields.get("settings", {})
    if isinstance(method, str) and isinstance(settings, dict):
        upgraded["settings"] = upgrade_settings(method, settings)
    if isinstance(fields.get("data"), dict):
        upgraded["data"] = upgrade_data(fields["data"])
    return upgraded


def are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def upgrade_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """Replace "seen" and "watched" in a manifest's `data` by "trained_on" and "validated_on".

    "seen" held the digests of both, "watched" those of the validation images.
    Raises BlemishError where they are anything else: without them, an image of the training would count as
    new.
    """
    upgraded = {k: v for k, v in data.items() if k not in ("seen", "watched", "seen_before")}
    seen, watched = data.get("seen"), data.get("watched") or []
    for key, value in (("seen", seen), ("watched", data.get("watched"))):
        if value is not None and not are_texts(value):
            raise BlemishError(f"'data.{key}' must be a list of digests. Train or copy the bundle again.")
    if seen is not None:
        upgraded["trained_on"] = sorted({*seen} - {*watched})
        upgraded["validated_on"] = sorted(watched)
    if "seen_before" in data:
        upgraded["trained_on_before"] = data["seen_before"]
    return upgraded
