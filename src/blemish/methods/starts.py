"""Training that goes on from a bundle: whose network it takes, and which settings must stay as they were."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.methods.contract import MethodSettings

if TYPE_CHECKING:
    from torch import nn


def refuse_changed(settings: MethodSettings, start: Bundle, keys: Iterable[str]) -> None:
    """Raises BlemishError where one of the settings `keys` is not that of the start bundle.

    keys: what a network rests on, whether or not a tensor's shape tells
    """
    values = settings.model_dump(mode="json")
    for key in keys:
        there = start.manifest.settings.get(key, values[key])
        if values[key] != there:
            raise BlemishError(
                f"setting {key}: the network is that of {start.path}, with {key}={there}. "
                f"Received: {values[key]}. Leave {key} out, or train without --from."
            )


def load_start(network: nn.Module, tensors: Mapping[str, Any], source: str) -> None:
    """Put a start's tensors into a network. Raises BlemishError where they do not fit."""
    import torch

    copies = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    try:
        network.load_state_dict(copies)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise BlemishError(
            f"{source}: its network does not fit the settings: {reason} Leave settings of the network out."
        ) from error
