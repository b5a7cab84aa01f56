"""Checks before a training's first step of what would only fail after hours.

Each names the setting or the data that is at fault, in one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from blemish.bundle.store import Bundle
from blemish.dataset.samples import Dataset
from blemish.dataset.splits.support_sets import SupportSet
from blemish.errors import BlemishError, nearest_name
from blemish.methods.common.warm_start import refuse_changed
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.methods.tlsdd.training.validation_images import validation_samples, with_unlisted_ignored

NEED_NO_DEFECT = ("auto", "overkill", "max-iou")  # beginnings of rules
# Settings that a trained network depends on, whether or not a tensor's shape shows them.
OF_THE_NETWORK = (
    "feature_fusion", "reweight", "metric_head", "backbone", "backbone_strides", "deepest", "width",
    "deformable", "support_widths", "activation", "region_size", "hidden", "embedding", "normalize",
    "background", "box_regression", "roi_canonical_size", "padding", "log_scale", "centred",
    "background_init", "prototype_offsets", "linear_head",
)  # fmt: skip


def refuse_other_network(settings: TlsddSettings, start: Bundle | None) -> None:
    """Raise BlemishError for a start bundle whose network is not that of the settings."""
    if start is None:
        return
    if not settings.two_phase:
        raise BlemishError(
            f"setting two_phase: a training from a bundle, {start.path}, is the second of two. "
            "Received: false. Set two_phase=true, or leave --from out."
        )
    refuse_changed(settings, start, OF_THE_NETWORK)


def refuse_unknown_classes(dataset: Dataset, settings: TlsddSettings) -> None:
    """Raise BlemishError for a class in the settings that the data do not have."""
    rare = () if settings.rare == "auto" else settings.rare
    known = dataset.class_names
    for setting, names in (("common", settings.common), ("rare", rare)):
        for name in names:
            if name not in known:
                raise BlemishError(
                    f"setting {setting}: {dataset.root} has no class '{name}'."
                    f"{nearest_name(name, known)} It has {', '.join(known)}."
                )


def refuse_no_validation(dataset: Dataset, names: Sequence[str], rule: str) -> None:
    """Raise BlemishError where no validation image can tell when these classes are found.

    rule: of the operating point; some need no defective image
    """
    samples = dataset.split("val").samples
    shown = validation_samples(with_unlisted_ignored(dataset, names), names)
    if any(sample.is_defective for sample in shown) or (shown and rule.startswith(NEED_NO_DEFECT)):
        return
    raise BlemishError(
        f"{dataset.root}: thresholds need validation images that show {', '.join(names)}. "
        f"Received: none of {len(samples)}. Move some into the val split."
    )


def refuse_lacking(draw: SupportSet, rare: Sequence[str], file: Path) -> None:
    """Raise BlemishError for a support set without boxes of a rare class, which could not be learned."""
    for name in rare:
        if not draw.classes.get(name):
            raise BlemishError(
                f"{file} must name boxes of every rare class. Received: none of '{name}'. "
                "Draw again, or take the class out of rare."
            )
