"""Inspecting images, videos and line scans with a bundle or a chain; the answers go to files as they come."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from blemish.bundle.store import load_bundle
from blemish.errors import BlemishError, WrongUseError
from blemish.folder_lock import folder_lock
from blemish.images.text import letters_without_font
from blemish.inspection import Inspection, Verdict
from blemish.inspector.certificates import certificate_warnings
from blemish.inspector.chain import Abilities, judge_of, stages_of
from blemish.inspector.chain_data import notes_on_data
from blemish.inspector.found_files import OVERLAYS
from blemish.inspector.limits import DEFAULT_LIMITS, Limits
from blemish.inspector.line_scan import Web, web_answers
from blemish.inspector.live.options import FILES_ALONE, LiveOptions, live_source
from blemish.inspector.live.source import LiveSource
from blemish.inspector.loading import class_names_of
from blemish.inspector.pipeline import IMAGES_AHEAD, answers_of
from blemish.inspector.sources import source_of
from blemish.methods.contract import Inference
from blemish.progress import Reporter
from blemish.workflows.contact_sheet import ContactSheet
from blemish.workflows.earlier_answers import NewItems, earlier_answers
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_tables import Tables, inspections_in
from blemish.workflows.inspection_writer import Output, write_answers
from blemish.workflows.overlays import Overlays

LIVE_IMAGES_AHEAD = 1  # so that the image that is judged next is a new one


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
    paths: Sequence[Path | str],
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
    input_check: bool = True,
    live: LiveOptions = FILES_ALONE,
    resume: bool = False,
    quiet: bool = False,
) -> RecordedInspections:
    """Inspect images, folders, videos, globs and lists, or a live source; writes OUT/inspections.jsonl.

    paths: files and folders, or as text the address of a live source, alone
    bundles: folder of a bundle, or folders of a chain's bundles in their order
    overlay: also OUT/overlays, a picture of each image with its defects
    sheet: also OUT/sheet.png, or several pages: small pictures of the images, the worst first
    csv: also OUT/inspections.csv and OUT/defects.csv
    every: n, for every n-th frame of a video; web: that the images are strips of, where they are
    limits: of each image; one that takes more is an ERROR
    input_check: whether an image unlike those of the training is REVIEW in place of OK
    live: whether a folder is watched, and when a live source ends
    resume: keep the answers that are in OUT, and inspect the images that have none
    Raises BlemishError for a bundle, a path or an image size that is refused, and a folder in use.
    """
    reporter = Reporter(quiet=quiet)
    with folder_lock(out, note=reporter.line):
        source = live_source(paths, live, reporter.line, every=every)
        refuse_live_web(source, web)
        if resume:
            refuse_no_files(source, web)
        files = None if source else source_of([Path(path) for path in paths], reporter.line, every=every)
        loaded = [load_bundle(folder) for folder in bundles]
        judge = judge_of(loaded, device=device, mm_per_px=mm_per_px, limits=limits, input_check=input_check)
        doubts = tuple(notes_on_data(loaded))
        for warning in chain(doubts, *map(certificate_warnings, loaded)):
            reporter.line(f"warning: {warning}")
        names = class_names_of(stages_of(judge), loaded)
        outputs = outputs_of(out, judge.inference, names, overlay=overlay, sheet=sheet, csv=csv)
        if source:
            source.open()
        used = [stage.used for stage in stages_of(judge) if stage.used is not None]
        earlier = earlier_answers(out, used) if resume else None
        every_item = source.items() if source else files.items if files else ()
        items = NewItems(every_item, earlier, drawn=overlay or sheet)
        opened = (
            answers_of(
                judge,
                items,
                with_maps=overlay,
                recorded=True,
                max_ahead=LIVE_IMAGES_AHEAD if source else IMAGES_AHEAD,
            )
            if web is None
            else web_answers(judge, items, web, with_pixels=overlay or sheet, recorded=True)
        )

        def counts_of(verdicts: Mapping[Verdict, int]) -> InspectionCounts:
            if source:
                source.stop()
            losses = source.losses(sum(verdicts.values())) if source else None
            left_out = losses.left_out if losses else tuple(files.left_out) if files else ()
            strips = items.taken if web else None
            return InspectionCounts(verdicts, left_out, strips=strips, losses=losses, chain=doubts)

        with opened as answers:
            total = None if web or earlier or files is None else files.count
            coming = reporter.track(answers.coming, "inspecting", total=total)
            file, counts = write_answers(
                replace(answers, coming=coming),
                out,
                outputs,
                counts_of,
                endless=source is not None,
                earlier=earlier,
                note=reporter.line,
            )
        kept = len(earlier.verdicts) if earlier else 0
        assert web or source or counts.images == kept + items.taken, "an image was lost on its way"
        if (overlay or sheet) and (letters := letters_without_font()):
            reporter.line(f"warning: {no_font(letters)}")
        lack = " ".join(filter(None, (output.lack() for output in outputs)))
        return RecordedInspections(file, counts.errors, counts, lack)


def refuse_live_web(source: LiveSource | None, web: Web | None) -> None:
    """Raise WrongUseError for a line scan of a live source."""
    if source is not None and web is not None:
        raise WrongUseError(
            "--line-scan must have strips without a gap. Received: a live source, which leaves out what "
            "comes too fast. Write the strips to files, and give these."
        )


def refuse_no_files(source: LiveSource | None, web: Web | None) -> None:
    """Raise WrongUseError for --resume of what is no set of images, each of which has an answer or none."""
    if source is not None or web is not None:
        what = "a live source or --watch" if source is not None else "--line-scan"
        raise WrongUseError(
            f"--resume goes on with images, videos, folders and lists. Received: {what}. Leave --resume out."
        )


def outputs_of(
    out: Path,
    ability: Inference | Abilities,
    class_names: Sequence[str],
    *,
    overlay: bool,
    sheet: bool,
    csv: bool,
) -> list[Output]:
    """Pictures and tables that are asked for, in the folder. ability: of the judge

    Raises BlemishError for a link in place of the folder of overlays, which may lead anywhere.
    """
    if overlay and (out / OVERLAYS).is_symlink():
        raise BlemishError(
            f"{out / OVERLAYS} must be a folder. Received: a link. Remove it, or choose another --out."
        )
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
