"""A list of images or a video as a source: its items from the first to the last, each once.

After a restart it goes on behind the last item whose record is on the disk. A list or a video whose content
has changed is another one, which begins at its first item.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from time import perf_counter

from blemish.dataset.hashing import file_hash
from blemish.errors import BlemishError
from blemish.inspector.found_files import LeftOut
from blemish.inspector.path_lists import file_lines
from blemish.inspector.sources import Item, frames_of, listed, refused
from blemish.station.line.parts import Part
from blemish.station.line.settings import ListSource, VideoSource
from blemish.station.sources.folder import identical, read_whole
from blemish.station.sources.taken import Taken


class ItemParts:
    """Parts of a list or a video. Raises BlemishError for a file that cannot be read"""

    def __init__(self, settings: ListSource | VideoSource, taken: Taken) -> None:
        self.settings, self.taken = settings, taken
        self.of = file_hash(settings.path)
        self.stopped = Event()

    def parts(self) -> Iterator[Part]:
        """Parts that were not taken yet, until the end or until `stop` is called."""
        done = self.taken.places.get(self.of, 0)
        for number, item in enumerate(self.items()):
            if self.stopped.is_set():
                return
            if number >= done:
                yield self.part(item, number)

    def items(self) -> Iterator[Item]:
        path = self.settings.path
        if isinstance(self.settings, VideoSource):
            return frames_of(path, self.settings.every)
        left_out: list[LeftOut] = []  # comments alone
        return listed(file_lines(path), str(path), path.parent, 1, left_out)

    def stop(self) -> None:
        """End the parts, from any thread."""
        self.stopped.set()

    def part(self, item: Item, number: int) -> Part:
        """Part of an item, decoded: a frame is there only until the next one is asked for."""
        content = own_content(item)
        start = perf_counter()
        try:
            pixels = item.read()
            item = replace(item, read=partial(identical, pixels))
        except BlemishError as error:
            item = replace(item, read=partial(refused, str(error)))
        origin = {"path": str(self.settings.path), "of": self.of, "item": number}
        return Part(
            item,
            self.settings.kind,
            serial=Path(item.name).stem if content is not None else Path(item.name).name,
            origin=origin,
            content=content,
            decode_ms=1e3 * (perf_counter() - start),
        )


def own_content(item: Item) -> bytes | None:
    """Bytes of an item that is a whole file; None for a page, a frame, or what cannot be read."""
    path = Path(item.name)
    try:
        return read_whole(path) if path.is_file() else None
    except (BlemishError, OSError):
        return None
