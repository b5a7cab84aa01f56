"""Check that a training from a bundle keeps the settings that the bundle's network depends on."""

from __future__ import annotations

from collections.abc import Iterable

from blemish.bundle.store import Bundle
from blemish.errors import BlemishError
from blemish.methods.contract import MethodSettings


def refuse_changed(settings: MethodSettings, start: Bundle, keys: Iterable[str]) -> None:
    """Raise BlemishError where a setting differs from that of the bundle that training starts from.

    keys: settings that the network depends on, including those that no tensor's shape shows
    """
    values = settings.model_dump(mode="json")
    for key in keys:
        there = start.manifest.settings.get(key, values[key])
        if values[key] != there:
            raise BlemishError(
                f"setting {key} must stay as in {start.path}, whose network was trained with {key}={there}. "
                f"Received: {values[key]}. Leave {key} out, or train without --from."
            )
