"""Inspecting images, videos and line scans with a bundle or a chain; the answers go to files as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.folder_lock import folder_lock
from blemish.images.text import letters_without_font
from blemish.inspection import Inspection, Verdict
from blemish.inspector.certificates import certificate_warnings
from blemish.inspector.chain import Abilities, judge_of, stages_of
from blemish.inspector.found_files import OVERLAYS
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.line_scan import Web, web_answers
from blemish.inspector.loading import class_names_of
from blemish.inspector.pipeline import answers_of
from blemish.inspector.sources import Item, source_of
from blemish.methods.contract import Inference
from blemish.progress import Reporter
from blemish.workflows.contact_sheet import ContactSheet
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_tables import Tables, inspections_in
from blemish.workflows.inspection_writer import Output, write_answers
from blemish.workflows.overlays import Overlays


@dataclass(frozen=True)
class RecordedInspections:
    """Inspections in a file, a line each, in the order of the images; iterating reads them one by one.

    file: inspections.jsonl; failures: how many have the verdict ERROR; counts: of all that was found
    output_lack: sentences on pictures and tables that could not be written; "" where all were
    """

    file: Path
    failures: int
    counts: InspectionCounts = field(default_factory=InspectionCounts)
    output_lack: str = ""

    def __iter__(self) -> Iterator[Inspection]:
        return inspections_in(self.file)


def inspect_images(  # noqa: PLR0913 - every option of an inspection
    bundles: Sequence[Path],
    paths: list[Path],
    out: Path,
    *,
    overlay: bool = False,
    sheet: bool = False,
    csv: bool = False,
    every: int = 1,
    web: Web | None = None,
    mm_per_px: float | None = None,
    device: str = "auto",
    limits: Limits = DEFAULT_LIMITS,
    quiet: bool = False,
) -> RecordedInspections:
    """Inspect images, folders, videos, globs and lists; writes OUT/inspections.jsonl and more.

    bundles: folder of a bundle, or folders of a chain's bundles in their order
    overlay: also OUT/overlays, a picture of each image with its defects
    sheet: also OUT/sheet.png, or several pages: small pictures of the images, the worst first
    csv: also OUT/inspections.csv and OUT/defects.csv
    every: n, for every n-th frame of a video; web: that the images are strips of, where they are
    limits: of each image; one that takes more is an ERROR
    Raises BlemishError for a bundle, a path or an image size that is refused, and a folder in use.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, note=reporter.line):
        source = source_of(paths, reporter.line, every=every)
        loaded = [load_bundle(folder) for folder in bundles]
        for warning in chain.from_iterable(map(certificate_warnings, loaded)):
            reporter.line(f"warning: {warning}")
        judge = judge_of(loaded, device=device, mm_per_px=mm_per_px, limits=limits)
        names = class_names_of(stages_of(judge), loaded)
        outputs = outputs_of(out, judge.inference, names, overlay=overlay, sheet=sheet, csv=csv)
        items = CountedItems(source.items)
        opened = (
            answers_of(judge, items, with_maps=overlay, recorded=True)
            if web is None
            else web_answers(judge, items, web, with_pixels=overlay or sheet, recorded=True)
        )

        def counts_of(verdicts: Mapping[Verdict, int]) -> InspectionCounts:
            return InspectionCounts(verdicts, tuple(source.left_out), strips=items.taken if web else None)

        with opened as answers:
            total = None if web else source.count
            coming = reporter.track(answers.coming, "inspecting", total=total)
            file, counts = write_answers(replace(answers, coming=coming), out, outputs, counts_of)
        assert web or counts.images == items.taken, "an image was lost on its way"
        if (overlay or sheet) and (letters := letters_without_font()):
            reporter.line(f"warning: {no_font(letters)}")
        lack = " ".join(filter(None, (output.lack() for output in outputs)))
        return RecordedInspections(file, counts.errors, counts, lack)


def outputs_of(
    out: Path,
    ability: Inference | Abilities,
    class_names: Sequence[str],
    *,
    overlay: bool,
    sheet: bool,
    csv: bool,
) -> list[Output]:
    """Pictures and tables that are asked for, in the folder. ability: of the judge"""
    overlays = Overlays(out / OVERLAYS, ability.score_map_max, ability.pixel_threshold, class_names)
    asked = ((overlay, overlays), (sheet, ContactSheet(out, class_names)), (csv, Tables(out)))
    return [output for wanted, output in asked if wanted]


def no_font(letters: str) -> str:
    """Sentence on letters that are drawn as escapes."""
    shown = "".join(letters[:20]) + ("…" if len(letters) > 20 else "")
    return (
        f"no font has the letters {shown}; pictures show their numbers, such as {ascii(letters[0])[1:-1]}. "
        "Install a font of that script, such as Noto Sans."
    )


class CountedItems:
    """Items that are counted as they are taken."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items, self.taken = items, 0

    def __iter__(self) -> Iterator[Item]:
        for item in self.items:
            self.taken += 1
            yield item
