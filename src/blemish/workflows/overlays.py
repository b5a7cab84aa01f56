"""Overlays of an inspection: a picture of each image with its defects, under names that fit every system."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blemish.dataset.layouts.identity import folded
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.encode import png_bytes
from blemish.images.overlay import draw_inspection
from blemish.inspection import Verdict
from blemish.inspector.pipeline import Answer
from blemish.workflows.inspection_counts import InspectionCounts

LONGEST_NAME = 255  # bytes; of most file systems


@dataclass(frozen=True)
class Overlays:
    """Drawn answers in a folder. score_map_max, threshold, class_names: see `draw_inspection`"""

    folder: Path
    score_map_max: float | None
    threshold: float | None = None
    class_names: Sequence[str] = ()
    taken: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, answer: Answer) -> None:
        """Draw an answer; a picture that cannot be written is kept in `failures`, and the work goes on."""
        if answer.pixels is None or answer.inspection.verdict is Verdict.ERROR:
            return
        file = self.folder / self.file_name(answer.stem)
        if answer.earlier and file.exists():  # drawn then, with its heat map
            return
        # Of a web, the defects are in pixels of the whole; the image begins at row `top`.
        inspection = answer.inspection.moved(-answer.top)
        overlay = draw_inspection(
            answer.pixels,
            inspection,
            score_map_max=self.score_map_max,
            threshold=self.threshold,
            class_names=self.class_names,
        )
        try:
            write_atomically(file, png_bytes(overlay))
        except BlemishError as error:
            self.failures.append(str(error))

    def finish(self, record: Path, counts: InspectionCounts) -> None:
        """All are drawn already."""

    def lack(self) -> str:
        """Sentence on overlays that could not be written; "" where all were."""
        number = len(self.failures)
        what = "1 overlay" if number == 1 else f"{number} overlays"
        return f"{what} could not be written. The first: {self.failures[0]}" if number else ""

    def file_name(self, stem: str) -> str:
        """Name for an overlay: the stem, with a number where it is taken, and cut where it is too long.

        Names that differ in the case or the composition of letters alone are one to some file systems.
        """
        stem = shortened(stem, LONGEST_NAME - len(".png") - len("__999999"))
        name = stem
        while self.taken[folded(name)]:
            self.taken[folded(stem)] += 1
            name = f"{stem}__{self.taken[folded(stem)]}"
        self.taken[folded(name)] += 1
        return f"{name}.png"


def shortened(stem: str, most_bytes: int) -> str:
    """The stem, or its beginning and a hash of it all, in at most so many bytes."""
    data = os.fsencode(stem)
    if len(data) <= most_bytes:
        return stem
    digest = hashlib.sha256(data).hexdigest()[:12]
    cut = data[: most_bytes - len(digest) - 2].decode(errors="ignore")  # no part of a character
    return f"{cut}__{digest}"
