"""Inspecting images, videos and line scans with a bundle or a chain; the answers go to files as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.inspection import Inspection
from blemish.inspector.chain import judge_of
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.line_scan import Web, web_answers
from blemish.inspector.pipeline import answers_of
from blemish.inspector.sources import source_of
from blemish.progress import Reporter
from blemish.workflows.inspection_writer import Overlays, write_answers


@dataclass(frozen=True)
class RecordedInspections:
    """Inspections in a file, a line each, in the order of the images; iterating reads them one by one.

    file: inspections.jsonl; failures: how many have the verdict ERROR
    """

    file: Path
    failures: int

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
    Raises BlemishError for a bundle, a path or an image size that is refused.
    """
    reporter = Reporter(quiet=quiet)
    source = source_of(paths, reporter.line, every=every)
    judge = judge_of(
        [load_bundle(folder) for folder in bundles], device=device, mm_per_px=mm_per_px, limits=limits
    )
    overlays = Overlays(out / "overlays", judge.inference.score_map_max) if overlay else None
    opened = (
        answers_of(judge, source.items, with_maps=overlay, recorded=True)
        if web is None
        else web_answers(judge, source.items, web, with_pixels=overlay, recorded=True)
    )
    with opened as answers:
        coming = reporter.track(answers.coming, "inspecting", total=source.count if web is None else None)
        return RecordedInspections(*write_answers(replace(answers, coming=coming), out, overlays))
