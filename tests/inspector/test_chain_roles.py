"""Roles of the stages of a chain: by what each can do, and a gate that outlines defects as well."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from blemish.inspector.chain_order import Role, roles_of
from blemish.methods.capabilities import MayGate


class Outlining:
    segments, classifies = True, False


class OutliningGate(Outlining, MayGate):
    pass


class Boxing:
    segments, classifies = False, True


class Judging:
    segments, classifies = False, False


@pytest.mark.parametrize(
    ("halves", "roles"),
    [
        ([Judging, Outlining, Boxing], [Role.GATE, Role.SEGMENTER, Role.DETECTOR]),
        ([OutliningGate, Outlining, Boxing], [Role.GATE, Role.SEGMENTER, Role.DETECTOR]),
        ([OutliningGate, Boxing], [Role.SEGMENTER, Role.DETECTOR]),
        ([OutliningGate], [Role.SEGMENTER]),
        ([Outlining, OutliningGate], [Role.SEGMENTER, Role.SEGMENTER]),
        ([Judging, OutliningGate], [Role.GATE, Role.SEGMENTER]),
    ],
)
def test_the_first_of_two_segmenters_is_the_gate_where_it_may_be(
    halves: list[Any], roles: list[Role]
) -> None:
    stages: Any = [SimpleNamespace(inference=half()) for half in halves]
    assert list(roles_of(stages)) == roles
