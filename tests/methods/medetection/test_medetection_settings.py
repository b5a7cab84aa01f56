"""Presets, the target's place, and values that do not fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.methods.medetection.settings import PRESETS, MedetectionSettings


def fault(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        MedetectionSettings.model_validate(values)
    return first_fault(caught.value, MedetectionSettings.model_fields)


def test_the_papers_preset_has_the_papers_numbers() -> None:
    paper = MedetectionSettings(preset="paper")
    assert (paper.inner_learning_rate, paper.meta_learning_rate, paper.learning_rate, paper.batch) == (
        1e-5,
        1e-3,
        1e-4,
        64,
    )
    assert (paper.support, paper.query, paper.support_share, paper.size) == (64, 20, 0.7, 256)
    assert (paper.beta1, paper.beta2, paper.products_per_step) == (0.5, 0.999, None)
    assert (paper.backbone, paper.stem_widths, paper.stem_activation) == ("paper", (64, 128, 256), False)
    assert (paper.norm, paper.resize_difference, paper.attention) == ("batch", True, "low")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_field_that_is_given_wins_over_its_preset(preset: str) -> None:
    assert MedetectionSettings(preset=preset).preset == preset
    given = MedetectionSettings(preset=preset, meta_steps=3, norm="batch", widths=5)
    assert (given.meta_steps, given.norm, given.widths) == (3, "batch", 5)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_bundle_remembers_reads_back_equal(preset: str) -> None:
    settings = MedetectionSettings(preset=preset, target="cap", others=("tile", "wood"))
    assert MedetectionSettings.model_validate_json(settings.model_dump_json()) == settings


def test_a_target_among_the_products_of_meta_training_is_refused_by_name() -> None:
    message = fault(target="cap", others=("tile", "cap"))
    assert message == (
        "others must not hold the target, which meta-training must not learn from. Received: cap in both. "
        "Take it out of others."
    )


@pytest.mark.parametrize(("size", "remedy"), [(250, 256), (40, 32), (41, 48)])
def test_a_size_off_the_last_maps_grid_is_refused_with_the_nearest(size: int, remedy: int) -> None:
    assert fault(size=size) == f"size must be a multiple of 16. Received: {size}. Use {remedy}."


def test_a_bank_must_hold_as_many_as_are_averaged() -> None:
    assert fault(align="nearest", references=9, bank=8).startswith(
        "references must not be more than the bank of 8"
    )
    assert MedetectionSettings(references=9, bank=8).references == 9


def test_an_unknown_key_names_the_nearest() -> None:
    assert fault(reference=1) == "unknown key 'reference'. Did you mean 'references'?"


@pytest.mark.parametrize(
    ("changes", "learns"),
    [({"backbone": "paper"}, True), ({"backbone": "resnet18"}, False), ({"backbone_frozen": False}, True)],
)
def test_only_a_frozen_resnet_does_not_learn(changes: dict, learns: bool) -> None:
    assert MedetectionSettings(**changes).stem_learns is learns


def test_a_stem_without_channels_is_refused():
    with pytest.raises(ValueError, match=r"stem_widths\.1\n.*greater than or equal to 1"):
        MedetectionSettings(stem_widths=(4, 0, 4))


def test_a_bundle_keeps_a_bank_only_to_choose_from() -> None:
    assert MedetectionSettings(references=3).num_kept_references == 3
    assert MedetectionSettings(references=3, align="rigid").num_kept_references == 3
    assert MedetectionSettings(references=3, align="nearest", bank=20).num_kept_references == 20
