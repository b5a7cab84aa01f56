"""Roles of bundles in a chain, and checks that bundles in this order make one."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import isinf

from blemish.errors import BlemishError
from blemish.inspector.inspector import BundleInspector
from blemish.methods.capabilities import MayGate
from blemish.methods.contract import Inference


class Role(StrEnum):
    """Task of a stage; the members are in the order of a chain."""

    GATE = "gate"
    SEGMENTER = "segmenter"
    DETECTOR = "detector"


def roles_of(stages: Sequence[BundleInspector]) -> tuple[Role, ...]:
    """Role of each stage; the first of two segmenters is the gate where it may be one."""
    first, *later = (role_of(stage.inference) for stage in stages)
    if Role.SEGMENTER in later and isinstance(stages[0].inference, MayGate):
        first = Role.GATE
    return first, *later


def role_of(inference: Inference) -> Role:
    """Role of a bundle in a chain, by what it can do."""
    if inference.segments:
        return Role.SEGMENTER
    return Role.DETECTOR if inference.classifies else Role.GATE


def refuse_order(stages: Sequence[BundleInspector]) -> None:
    roles = roles_of(stages)
    places = [list(Role).index(role) for role in roles]
    if places == sorted(set(places)):
        return
    received = ", then ".join(f"{stage.bundle} ({role})" for stage, role in zip(stages, roles, strict=True))
    double = next((role for role in Role if roles.count(role) > 1), None)
    late = next((number for number, place in enumerate(places) if place < max(places[: number + 1])), 0)
    remedy = f"Leave out one {double}" if double else f"Put the {roles[late]} before the {roles[late - 1]}"
    raise BlemishError(
        "A chain must be a gate (answers for the image), a segmenter (finds regions) and a detector (finds "
        f"named boxes), in this order, each at most once. Received: {received}. {remedy}."
    )


def refuse_open_gate(stages: Sequence[BundleInspector]) -> None:
    first = stages[0]
    if roles_of(stages)[0] is Role.GATE and isinf(first.review):
        raise BlemishError(
            f"{first.bundle} must have thresholds to be a gate; without them it lets everything pass. "
            "Train it again with validation images."
        )


def refuse_scales(stages: Sequence[BundleInspector]) -> None:
    """Raise BlemishError for two different scales; a single known one serves the stages that know none."""
    scales = {stage.bundle: stage.scale for stage in stages if stage.scale is not None}
    if len(set(scales.values())) > 1:
        received = ", ".join(f"{scale:g} of {bundle}" for bundle, scale in scales.items())
        raise BlemishError(
            f"The bundles of a chain must have one scale, in mm per pixel. Received: {received}. "
            "Train one of them again with the other's mm_per_px."
        )


def refuse_bits(stages: Sequence[BundleInspector]) -> None:
    """Raise BlemishError for bundles that take the values of 16-bit images in different ranges."""
    bits = {stage.bundle: stage.bits or 16 for stage in stages}
    if len(set(bits.values())) > 1:
        received = ", ".join(f"{used} of {bundle}" for bundle, used in bits.items())
        raise BlemishError(
            f"The bundles of a chain must take images of the same bits. Received: {received}. "
            "Train one of them again with the other's bits."
        )
