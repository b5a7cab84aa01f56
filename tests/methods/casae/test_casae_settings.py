"""Presets, both scales of the threshold, and sides that do not fit."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError
from blemish.methods.casae.gray_levels import gray_of, probability_of
from blemish.methods.casae.presets import PRESETS
from blemish.methods.casae.settings import CasaeSettings


def fault(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        CasaeSettings.model_validate(values)
    return first_fault(caught.value, CasaeSettings.model_fields)


def test_the_papers_preset_has_the_papers_numbers() -> None:
    paper = CasaeSettings(preset="paper")
    assert (paper.width, paper.size, paper.channels, paper.atrous, paper.cascade) == (64, 512, 1, True, True)
    assert (paper.defect_weight, paper.background_weight, paper.gray_threshold) == (0.8, 0.2, 100)
    assert (paper.steps, paper.second_steps) == (3000 * 30 / 2, 3000 * 20 / 2)
    assert (paper.learning_rate, paper.batch, paper.schedule) == (1e-4, 2, "constant")
    assert (paper.types_size, paper.types_steps, paper.types_batch, paper.types_learning_rate) == (
        227,
        30_000,
        8,
        1e-3,
    )
    assert (paper.noise, paper.illumination, paper.contrast, paper.flips) == (0, 0, 0, False)
    assert (paper.types_jitter, paper.types_rotation_deg) == (0, 0)
    assert (paper.types_momentum, paper.types_weight_decay, paper.types_initial) == (0.9, 5e-5, "paper")
    assert not paper.second_sees_image
    assert not paper.tiled
    assert (paper.norm, paper.area_balance) == ("none", 0)
    assert (paper.standardise, paper.types_standardise) == (False, False)


def test_the_papers_networks_see_whole_images_and_an_encoder_tiles() -> None:
    plain = CasaeSettings()
    assert (plain.tiled, plain.patch, plain.cascade) == (True, 160, False)
    for chosen in (
        CasaeSettings(encoder="paper"),
        CasaeSettings(network="fcn"),
        CasaeSettings(preset="tiny"),
    ):
        assert not chosen.tiled
    assert CasaeSettings(encoder="paper").cascade
    assert CasaeSettings(encoder="paper", tiled=True).patch == 512
    for whole in ({"size": 320}, {"norm": "group"}):
        assert not CasaeSettings(**whole).tiled
    assert CasaeSettings(size=320, tiled=True).tiled


@pytest.mark.parametrize("preset", PRESETS)
def test_a_field_that_is_given_wins_over_its_preset(preset: str) -> None:
    given = CasaeSettings(preset=preset, width=5, steps=7, types_initial="he", threshold=0.25)
    assert (given.width, given.steps, given.types_initial, given.threshold) == (5, 7, "he", 0.25)


@pytest.mark.parametrize("preset", PRESETS)
def test_what_a_bundle_remembers_reads_back_equal(preset: str) -> None:
    for settings in (
        CasaeSettings(preset=preset, tiled=True),
        CasaeSettings(preset=preset, gray_threshold=33.3),
    ):
        assert CasaeSettings.model_validate_json(settings.model_dump_json()) == settings


def test_a_darker_gray_is_a_surer_defect() -> None:
    """The paper's map is 255 on the surface: gray 100 is p(background) = 100 / 255."""
    assert probability_of(100) == pytest.approx(155 / 255)
    assert probability_of(255) == 0
    assert gray_of(probability_of(37)) == 37


@pytest.mark.parametrize("preset", ["paper", "default"])
def test_the_threshold_is_given_on_either_scale_and_known_on_both(preset: str) -> None:
    by_gray, by_probability = (
        CasaeSettings(preset=preset, gray_threshold=51),
        CasaeSettings(preset=preset, threshold=0.8),
    )
    assert by_gray == by_probability
    assert (by_gray.threshold, by_gray.gray_threshold) == (pytest.approx(0.8), 51)


def test_without_a_threshold_neither_scale_has_one() -> None:
    assert (CasaeSettings().threshold, CasaeSettings().gray_threshold) == (None, None)


def test_two_thresholds_that_differ_are_refused() -> None:
    assert fault(threshold=0.5, gray_threshold=100) == (
        "gray_threshold must say the same as threshold=0.5, which is 127.5. Received: 100. "
        "Give one of the two."
    )


@pytest.mark.parametrize("gray", [0, 255, -3, 300])
def test_a_gray_off_the_papers_scale_is_refused(gray: int) -> None:
    assert fault(gray_threshold=gray).startswith("'gray_threshold' must be")


@pytest.mark.parametrize(
    ("name", "value", "remedy"), [("size", 500, 512), ("patch", 33, 48), ("tile", 1000, 1008)]
)
def test_a_side_off_the_poolings_grid_is_refused_with_the_next_one_up(
    name: str, value: int, remedy: int
) -> None:
    assert fault(**{name: value}) == f"{name} must be a multiple of 16. Received: {value}. Use {remedy}."


def test_a_tile_that_is_all_halo_is_refused_with_one_that_fits() -> None:
    with pytest.raises(BlemishError, match=r"twice the halo 384\. Received: 768\. Use 1024 or more\."):
        CasaeSettings(encoder="paper", tiled=True, tile=768)
    assert CasaeSettings(encoder="paper", tiled=True, tile=784).tiling.tile == 784
    assert CasaeSettings(encoder="paper", tiled=True, tile=768, cascade=False).tiling.tile == 768


def test_a_side_of_the_fcn_is_a_multiple_of_32() -> None:
    assert fault(network="fcn", size=48) == "size must be a multiple of 32. Received: 48. Use 64."
    assert CasaeSettings(network="fcn", tiled=True, tile=1088).tiling.tile == 1088


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["cascade", "atrous"])
def test_the_fcn_is_one_network_and_not_atrous(preset: str, name: str) -> None:
    settings = CasaeSettings(preset=preset, network="fcn")
    assert (settings.cascade, settings.atrous) == (False, False)
    assert CasaeSettings.model_validate_json(settings.model_dump_json()) == settings
    expected = f"{name} must be off with network fcn. Received: on. Leave it out."
    assert fault(preset=preset, network="fcn", **{name: True}) == expected


def test_an_unknown_key_names_the_nearest() -> None:
    assert fault(gray_treshold=100) == "unknown key 'gray_treshold'. Did you mean 'gray_threshold'?"


def test_a_value_of_the_wrong_type_is_refused_by_its_own_name() -> None:
    assert fault(threshold="high").startswith("'threshold' must be a number.")
    assert fault(gray_threshold="dark").startswith("'gray_threshold' must be")


def test_tiles_take_no_norm_that_sees_a_tile_as_a_whole() -> None:
    with pytest.raises(ValidationError, match="norm must be batch or none with tiled"):
        CasaeSettings(tiled=True, norm="group")
    assert CasaeSettings(tiled=True).norm == "batch"


@pytest.mark.parametrize("preset", PRESETS)
def test_what_would_do_nothing_is_refused_with_the_switch_it_needs(preset: str) -> None:
    assert fault(preset=preset, tiled=False, tile=1024) == (
        "tile has no effect with tiled off. Received: 1024. Leave it out, or turn tiled on."
    )
    for off in ({"cascade": False}, {"network": "fcn"}):
        message = fault(preset=preset, second_sees_image=True, **off)
        assert message.startswith("second_sees_image has no effect with cascade off.")
    assert CasaeSettings(preset=preset, tiled=True, patch=96, tile=1024).patch == 96
    assert CasaeSettings(preset=preset, second_sees_image=True).second_sees_image


@pytest.mark.parametrize("preset", PRESETS)
def test_a_bundle_without_tiles_or_cascade_reads_back_though_it_holds_every_field(preset: str) -> None:
    """And tables of rows with and without cascade share the steps of the second network."""
    for settings in (
        CasaeSettings(preset=preset),
        CasaeSettings(preset=preset, cascade=False, second_steps=77),
    ):
        assert CasaeSettings.model_validate(settings.model_dump(mode="json")) == settings
