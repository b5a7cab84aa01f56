"""Inspecting images, videos and line scans with a bundle or a chain; the answers go to files as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.folder_lock import folder_lock
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import judge_of
from blemish.inspector.found_files import OVERLAYS
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.line_scan import Web, web_answers
from blemish.inspector.pipeline import answers_of
from blemish.inspector.sources import Item, source_of
from blemish.progress import Reporter
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_writer import Overlays, write_answers


@dataclass(frozen=True)
class RecordedInspections:
    """Inspections in a file, a line each, in the order of the images; iterating reads them one by one.

    file: inspections.jsonl; failures: how many have the verdict ERROR; counts: of all that was found
    overlay_lack: sentence on overlays that could not be written; "" where all were
    """

    file: Path
    failures: int
    counts: InspectionCounts = field(default_factory=InspectionCounts)
    overlay_lack: str = ""

    def __iter__(self) -> Iterator[Inspection]:
        with self.file.open(encoding="utf-8") as lines:
            for line in lines:
                yield Inspection.from_json(json.loads(line))


def inspect_images(  # noqa: PLR0913 - every option of an inspection
    bundles: Sequence[Path],
    paths: list[Path],
    out: Path,
    *,
    overlay: bool = False,
    every: int = 1,
    web: Web | None = None,
    mm_per_px: float | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    quiet: bool = False,
) -> RecordedInspections:
    """Inspect images, folders, videos, globs and lists; writes OUT/inspections.jsonl and the overlays.

    bundles: folder of a bundle, or folders of a chain's bundles in their order
    every: n, for every n-th frame of a video; web: that the images are strips of, where they are
    limits: of each image; one that takes more is an ERROR
    Raises BlemishError for a bundle, a path or an image size that is refused, and a folder in use.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, note=reporter.line):
        source = source_of(paths, reporter.line, every=every)
        loaded = [load_bundle(folder) for folder in bundles]
        judge = judge_of(loaded, device=device, mm_per_px=mm_per_px, limits=limits)
        overlays = Overlays(out / OVERLAYS, judge.inference.score_map_max) if overlay else None
        items = CountedItems(source.items)
        opened = (
            answers_of(judge, items, with_maps=overlay, recorded=True)
            if web is None
            else web_answers(judge, items, web, with_pixels=overlay, recorded=True)
        )

        def counts_of(verdicts: Mapping[Verdict, int]) -> InspectionCounts:
            return InspectionCounts(verdicts, tuple(source.left_out), strips=items.taken if web else None)

        with opened as answers:
            total = None if web else source.count
            coming = reporter.track(answers.coming, "inspecting", total=total)
            file, counts = write_answers(replace(answers, coming=coming), out, overlays, counts_of)
        assert web or counts.images == items.taken, "an image was lost on its way"
        return RecordedInspections(file, counts.errors, counts, overlays.lack() if overlays else "")


class CountedItems:
    """Items that are counted as they are taken."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            self.taken += 1
            yield item
