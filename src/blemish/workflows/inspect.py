"""Inspecting images, videos and line scans with a bundle or a chain; the answers go to files as they come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.errors import WrongUseError
from blemish.folder_lock import folder_lock
from blemish.inspection import Inspection, Verdict
from blemish.inspector.chain import judge_of
from blemish.inspector.chain_data import notes_on_data
from blemish.inspector.found_files import OVERLAYS
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.line_scan import Web, web_answers
from blemish.inspector.live.options import FILES_ALONE, LiveOptions, live_source
from blemish.inspector.live.source import LiveSource
from blemish.inspector.pipeline import IMAGES_AHEAD, answers_of
from blemish.inspector.sources import Item, source_of
from blemish.progress import Reporter
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_writer import Overlays, write_answers

LIVE_IMAGES_AHEAD = 1  # so that the image that is judged next is a new one


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
    paths: Sequence[Path | str],
    out: Path,
    *,
    overlay: bool = False,
    every: int = 1,
    web: Web | None = None,
    mm_per_px: float | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    input_check: bool = True,
    live: LiveOptions = FILES_ALONE,
    quiet: bool = False,
) -> RecordedInspections:
    """Inspect images, folders, videos, globs and lists, or a live source; writes OUT/inspections.jsonl.

    paths: files and folders, or as text the address of a live source, alone
    bundles: folder of a bundle, or folders of a chain's bundles in their order
    every: n, for every n-th frame of a video; web: that the images are strips of, where they are
    limits: of each image; one that takes more is an ERROR
    input_check: whether an image unlike those of the training is REVIEW in place of OK
    live: whether a folder is watched, and when a live source ends
    Raises BlemishError for a bundle, a path or an image size that is refused, and a folder in use.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, note=reporter.line):
        source = live_source(paths, live, reporter.line, every=every)
        refuse_live_web(source, web)
        files = None if source else source_of([Path(path) for path in paths], reporter.line, every=every)
        loaded = [load_bundle(folder) for folder in bundles]
        judge = judge_of(loaded, device=device, mm_per_px=mm_per_px, limits=limits, input_check=input_check)
        chain = tuple(notes_on_data(loaded))
        for note in chain:
            reporter.line(f"warning: {note}")
        overlays = Overlays(out / OVERLAYS, judge.inference.score_map_max) if overlay else None
        if source:
            source.open()
        items = CountedItems(source.items() if source else files.items if files else ())
        opened = (
            answers_of(
                judge,
                items,
                with_maps=overlay,
                recorded=True,
                max_ahead=LIVE_IMAGES_AHEAD if source else IMAGES_AHEAD,
            )
            if web is None
            else web_answers(judge, items, web, with_pixels=overlay, recorded=True)
        )

        def counts_of(verdicts: Mapping[Verdict, int]) -> InspectionCounts:
            if source:
                source.stop()
            losses = source.losses(sum(verdicts.values())) if source else None
            left_out = losses.left_out if losses else tuple(files.left_out) if files else ()
            strips = items.taken if web else None
            return InspectionCounts(verdicts, left_out, strips=strips, losses=losses, chain=chain)

        with opened as answers:
            total = None if web or files is None else files.count
            coming = reporter.track(answers.coming, "inspecting", total=total)
            file, counts = write_answers(
                replace(answers, coming=coming), out, overlays, counts_of, endless=source is not None
            )
        assert web or source or counts.images == items.taken, "an image was lost on its way"
        return RecordedInspections(file, counts.errors, counts, overlays.lack() if overlays else "")


def refuse_live_web(source: LiveSource | None, web: Web | None) -> None:
    """Raise WrongUseError for a line scan of a live source."""
    if source is not None and web is not None:
        raise WrongUseError(
            "--line-scan must have strips without a gap. Received: a live source, which leaves out what "
            "comes too fast. Write the strips to files, and give these."
        )


class CountedItems:
    """Items that are counted as they are taken."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            self.taken += 1
            yield item
