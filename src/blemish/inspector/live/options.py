"""Options of live sources, and the source that they and the paths ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blemish.errors import WrongUseError
from blemish.inspector.live.address import CAMERA, camera_index, is_live, parsed
from blemish.inspector.live.source import Ending, LiveSource
from blemish.inspector.live.stream import LiveStream
from blemish.inspector.live.watched import WatchedFolder
from blemish.inspector.sources import Note


@dataclass(frozen=True)
class LiveOptions:
    """Options of a live source. watch: wait for images that come into the folder

    duration: in seconds; max_images: that are inspected; None: until the user stops it
    """

    watch: bool = False
    duration: float | None = None
    max_images: int | None = None


FILES_ALONE = LiveOptions()


def live_source(
    paths: Sequence[Path | str], options: LiveOptions, note: Note, *, every: int
) -> LiveSource | None:
    """Live source of these paths, not opened; None where they are files that are there.

    note: called with a line when a connection is lost or back; every: n, for every n-th frame
    Raises WrongUseError for options and paths that do not go together.
    """
    live = [path for path in paths if isinstance(path, str) and is_live(path)]
    ending = Ending(options.duration, options.max_images)
    if (live or options.watch) and len(paths) > 1:
        raise WrongUseError(
            f"A live source must be alone. Received: {len(paths)} paths. Start a command for each, with an "
            "--out of its own."
        )
    if live and options.watch:
        raise WrongUseError("--watch is for a folder. Received: an address. Leave --watch out.")
    if live:
        address = live[0]
        if address.lower().startswith(CAMERA):
            camera_index(address)
        else:
            parsed(address)
        return LiveStream(address, every=every, ending=ending, note=note)
    if options.watch:
        return WatchedFolder(Path(paths[0]), every=every, ending=ending, note=note)
    for name, value in (("--duration", options.duration), ("--max-images", options.max_images)):
        if value is not None:
            raise WrongUseError(
                f"{name} is for a live source: an address, camera:0, or a folder with --watch. Received: "
                f"{paths[0]}. Leave it out."
            )
    return None
