"""The station: lines that inspect parts, a record of every decision, and a server that people work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from blemish.station.client import Client as Client

__all__ = ["Client"]


def __getattr__(name: str) -> Any:
    """Load the client when it is first used: the lines of a station do without httpx."""
    if name == "Client":
        from blemish.station.client import Client

        return Client
    raise AttributeError(name)
