"""Bundles of a station: copies under their ids, which nothing outside the station changes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.errors import BlemishError
from blemish.station.layout import StationFolder


def add_bundle(station: StationFolder, source: Path) -> Path:
    """Copy a bundle into a station, with its decision; returns its folder, relative to the station's.

    A copy that is there already goes on: its decision is the station's.
    Raises BlemishError for a bundle that is damaged, and where there is no place for the copy.
    """
    bundle = load_bundle(source)
    target = station.bundles / bundle.id
    relative = target.relative_to(station.root)
    if target.exists():
        load_bundle(target)
        return relative
    try:
        station.bundles.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".new-", dir=station.bundles))
        try:
            shutil.copytree(source, draft / bundle.id, ignore=shutil.ignore_patterns(".*"))
            load_bundle(draft / bundle.id)
            (draft / bundle.id).rename(target)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise BlemishError(f"{target} cannot be written: {error.strerror}. Free some space.") from error
    return relative
