"""Images of a record, found by the SHA-256 of their bytes whatever they are called now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from operator import eq
from pathlib import Path

from blemish.dataset.hashing import file_hash, in_threads
from blemish.errors import BlemishError
from blemish.inspector.found_files import files_below, is_inspected
from blemish.inspector.sources import Item, items_of
from blemish.workflows.record_differences import NotReplayedError, short, values


@dataclass
class Images:
    """The images and videos of a folder by the SHA-256 of their bytes, hashed when first asked for."""

    folder: Path
    playing: dict[Path, Iterator[Item]] = field(default_factory=dict)

    @cached_property
    def files(self) -> list[Path]:
        return [path for path in files_below(self.folder).images if path.is_file()]

    @cached_property
    def by_digest(self) -> dict[str, Path]:
        digests = zip(in_threads(readable_hash, self.files), self.files, strict=True)
        return {digest: file for digest, file in digests if digest is not None}

    def find(self, name: str, digest: str | None) -> tuple[Item, str]:
        """Find the image with those bytes, else one of that name; returns also how its bytes differ, or "".

        name: as recorded, of a page or a video's frame with "#" and its number
        Raises NotReplayedError where there is neither.
        """
        path, _, frame = name.rpartition("#")
        if not is_inspected(path):
            path, frame = name, ""
        file = self.by_digest.get(digest or "")
        if file is not None:
            return self.item_of(file, frame), ""
        named = [file for file in self.files if file.name == Path(path).name]
        if not named:
            raise NotReplayedError(
                f"no image in {self.folder} has the recorded SHA-256 {short(digest)}, and none is called "
                f"{Path(path).name}"
            )
        ending = Path(path).parts[::-1]
        # That with the most names alike, from the last on.
        nearest = max(named, key=lambda file: [*map(eq, file.parts[::-1], ending)])
        differs = f"{nearest}: {values(short(digest), short(readable_hash(nearest)))}"
        return self.item_of(nearest, frame), differs

    def item_of(self, file: Path, frame: str) -> Item:
        """Item of an image, or of a page or frame; those of a file are read once where they come in order."""
        if not frame:
            return next(items_of(file, 1))
        for _ in range(2):
            for item in self.playing.get(file, ()):
                if item.name.endswith(f"#{frame}"):
                    return item
            self.playing[file] = items_of(file, 1)
        raise NotReplayedError(f"{file} has no frame {frame}")


def readable_hash(file: Path) -> str | None:
    """SHA-256 of a file; None where it cannot be read, as it may not be a recorded one."""
    try:
        return file_hash(file)
    except BlemishError:
        return None
