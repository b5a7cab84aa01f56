from __future__ import annotations

import pytest
from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError
from blemish.methods.severity.settings import SeveritySettings


def fault(**values: object) -> str:
    with pytest.raises(ValidationError) as caught:
        SeveritySettings.model_validate(values)
    return first_fault(caught.value, SeveritySettings.model_fields)


def test_the_preset_paper_has_the_papers_numbers() -> None:
    settings = SeveritySettings.model_validate({"preset": "paper"})
    assert (settings.patch, settings.patch_step, settings.truncation) == (256, 64, 500)
    assert (settings.types, settings.image_score) == (True, "max")
    assert (settings.loss, settings.defect_cells, settings.padding, settings.context) == (
        "paper",
        None,
        "zeros",
        1,
    )
    assert (settings.join_distance, settings.types_backbone, settings.types_window) == (4, "resnet101", 64)


@pytest.mark.parametrize(
    ("key", "nearest"), [("step", "steps"), ("floors", "floor"), ("tresholds", "threshold")]
)
def test_an_unknown_key_names_the_nearest(key: str, nearest: str) -> None:
    assert fault(**{key: 1}) == f"unknown key '{key}'. Did you mean '{nearest}'?"


def test_a_value_out_of_range_names_key_rule_and_value() -> None:
    assert fault(cell=3) == "'cell' must be 1, 2 or 4. Received: 3."


def test_a_patch_off_the_cell_is_refused_with_the_next_one_up_and_nothing_else() -> None:
    assert fault(patch=66, cell=4) == "patch must be a multiple of the cell 4. Received: 66. Use 68."


@pytest.mark.parametrize(("context", "remedy"), [(2, 104), (8, 112)])
def test_a_patch_off_the_grid_of_the_context_is_refused(context: int, remedy: int) -> None:
    assert fault(patch=100, cell=4, context=context) == (
        f"patch must be a multiple of {max(2, context // 2) * 4} with cell=4 and context={context}. "
        f"Received: 100. Use {remedy}."
    )


def test_the_brightest_channel_of_a_gray_image_is_refused() -> None:
    assert fault(intensity="brightest").startswith("intensity must be luminance with channels=1")
    assert SeveritySettings(intensity="brightest", channels=3).intensity == "brightest"


@pytest.mark.parametrize(("network", "tile", "remedy"), [("paper", 641, 642), ("unet", 642, 656)])
def test_a_tile_off_the_grid_is_refused_with_the_next_one_up(network: str, tile: int, remedy: int) -> None:
    with pytest.raises(BlemishError, match=rf"tile must be a multiple of .* Received: {tile}. Use {remedy}."):
        SeveritySettings.model_validate({"encoder": "paper", "network": network, "tile": tile})


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        SeveritySettings().steps = 3  # type: ignore[misc]
