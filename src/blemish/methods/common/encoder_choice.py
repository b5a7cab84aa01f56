"""Choice of the encoder where the settings leave it to what weights can be had."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from blemish.errors import UnavailableError
from blemish.methods.common.backbone_choice import ENCODER, with_chosen_network, with_values
from blemish.methods.common.encoder_settings import ENCODER_SETTINGS, PAPER, EncoderSettings

SettingsOf = TypeVar("SettingsOf", bound=EncoderSettings)


def with_chosen_encoder(settings: SettingsOf, note: Callable[[str], None]) -> SettingsOf:
    """Settings whose encoder is a network in place of "auto". note: called with a line on what
    could not be had

    Raises BlemishError for a file of weights that is of no ResNet, of another, or ends too early.
    """
    if settings.encoder == PAPER:
        return settings
    try:
        return with_chosen_network(settings, ENCODER)
    except UnavailableError as error:
        note(f"The paper's network learns from random weights, as there is no pretrained encoder. {error}")
        defaults = {name: type(settings).model_fields[name].default for name in ENCODER_SETTINGS}
        others = settings.with_paper_encoder.items()
        fitting = {name: value for name, value in others if name not in settings.model_fields_set}
        return with_values(settings, {"encoder": PAPER, **defaults, **fitting})
