"""Adding a line to a station, and changing one, by its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from blemish.errors import BlemishError
from blemish.station.bundles import add_bundle
from blemish.station.layout import StationFolder
from blemish.station.line.settings import (
    FolderSource,
    LineSettings,
    ListSource,
    VideoSource,
    read_settings,
    write_settings,
)


def add_line(
    root: Path,
    name: str,
    *,
    bundle: Path | None = None,
    source: FolderSource | ListSource | VideoSource | None = None,
    deadline_ms: int | None = None,
) -> LineSettings:
    """Write the settings of a line; what is None stays as it was. Returns the settings.

    bundle: copied into the station, see `add_bundle`
    Raises BlemishError for a name, a bundle or a source that is refused, before anything is written.
    """
    station = StationFolder(root.absolute())
    folder = station.line(name)
    if source is not None:
        refuse_missing(source)
    changes: dict[str, Any] = {"source": source, "deadline_ms": deadline_ms}
    changes["bundle"] = add_bundle(station, bundle) if bundle is not None else None
    changes = {key: value for key, value in changes.items() if value is not None}
    if folder.settings.exists():
        settings = read_settings(folder)
        settings = settings.model_copy(update={**changes, "revision": settings.revision + 1})
    else:
        settings = LineSettings(name=name, **changes)
    write_settings(folder, settings)
    return settings


def refuse_missing(source: FolderSource | ListSource | VideoSource) -> None:
    """Raise BlemishError for a source that is not there."""
    folder = isinstance(source, FolderSource)
    if not (source.path.is_dir() if folder else source.path.is_file()):
        what = "folder" if folder else "file"
        raise BlemishError(f"{source.path} must be a {what} that is there. Received: none. Make it first.")
