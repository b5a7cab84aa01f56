"""Writing the files of an inspection: inspections.jsonl, a line for each answer, overlays, and a summary."""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import FileIO
from pathlib import Path

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.drawing import draw_inspection
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY
from blemish.inspector.pipeline import Answer, Answers
from blemish.workflows.inspection_counts import InspectionCounts

LONGEST_NAME = 255  # bytes; of most file systems


@dataclass(frozen=True)
class Overlays:
    """Drawn answers in a folder. score_map_max: see `draw_inspection`"""

    folder: Path
    score_map_max: float | None
    taken: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def draw(self, answer: Answer) -> None:
        """Draw an answer; a picture that cannot be written is kept in `failures`, and the work goes on."""
        if answer.pixels is None or answer.inspection.verdict is Verdict.ERROR:
            return
        # Of a web, the defects are in pixels of the whole; the image begins at row `top`.
        inspection = answer.inspection.moved(-answer.top)
        overlay = draw_inspection(answer.pixels, inspection, score_map_max=self.score_map_max)
        try:
            write_atomically(self.folder / self.file_name(answer.stem), png_bytes(overlay))
        except BlemishError as error:
            self.failures.append(str(error))

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
        while self.taken[same_name(name)]:
            self.taken[same_name(stem)] += 1
            name = f"{stem}__{self.taken[same_name(stem)]}"
        self.taken[same_name(name)] += 1
        return f"{name}.png"


def same_name(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def shortened(stem: str, most_bytes: int) -> str:
    """The stem, or its beginning and a hash of it all, in at most so many bytes."""
    data = os.fsencode(stem)
    if len(data) <= most_bytes:
        return stem
    digest = hashlib.sha256(data).hexdigest()[:12]
    cut = data[: most_bytes - len(digest) - 2].decode(errors="ignore")  # no part of a character
    return f"{cut}__{digest}"


class AnswerFile:
    """Lines of inspections.jsonl under the name of a draft, and the overlays of what was written."""

    def __init__(self, file: FileIO, overlays: Overlays | None) -> None:
        self.file, self.overlays = file, overlays
        self.whole = self.lines = 0  # bytes and number of the lines that are whole
        self.verdicts: list[Verdict] = []
        self.first_error = ""
        self.writing: Answer | None = None

    def add(self, answer: Answer) -> None:
        """Write an answer, at once to be read by others, and draw it."""
        self.writing = answer
        text = json.dumps(answer.inspection.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
        # Bytes of a file name that are not UTF-8 become escapes, which JSON reads back as they were.
        line = text.encode(errors="backslashreplace")
        size, rest = len(line), memoryview(line)
        while rest:
            rest = rest[self.file.write(rest) :]
        self.verdicts.append(answer.inspection.verdict)
        self.first_error = self.first_error or answer.inspection.error or ""
        # Python handles no signal between these.
        self.whole += size
        self.lines += 1
        self.writing = None
        if self.overlays is not None:
            self.overlays.draw(answer)

    def mend(self) -> None:
        """Write the answer again whose line a signal has cut off."""
        self.file.seek(self.whole)
        self.file.truncate()
        del self.verdicts[self.lines :]
        if self.writing is not None:
            self.add(self.writing)


def write_answers(
    answers: Answers,
    out: Path,
    overlays: Overlays | None,
    counts_of: Callable[[Mapping[Verdict, int]], InspectionCounts] = InspectionCounts,
) -> tuple[Path, InspectionCounts]:
    """Write every answer, then the summary; returns the path of inspections.jsonl and the counts.

    Lines go to a temporary name, which is renamed when all are written, where nobody can tell what comes
    next, as of a damaged list, or when the user stops; then what is ready is written, too. Where there is no
    line, nothing is left.
    counts_of: makes the counts from the number of each verdict, at the end
    Raises BlemishError where there is no place to write.
    """
    target, draft = out / RECORD, out / DRAFT
    with opened(draft) as raw:
        file = AnswerFile(raw, overlays)
        finished = complete = False  # whether every line written so far is whole; whether all are written
        try:
            for answer in answers.coming:
                file.add(answer)
            finished = complete = True
        except KeyboardInterrupt:
            file.mend()
            for answer in answers.drain():
                file.add(answer)
            finished = True
            raise
        except BlemishError:
            finished = True
            raise
        except OSError as error:
            raise BlemishError(
                f"{draft} cannot be written: {error.strerror}. Free some space and try again."
            ) from error
        finally:
            counts = replace(counts_of(Counter(file.verdicts)), first_error=file.first_error)
            if finished:
                raw.close()
                put_in_place(draft, target, counts, complete=complete)
    return target, counts


def opened(draft: Path) -> FileIO:
    """Make the draft, empty; a link in its place goes and is not followed.

    Raises BlemishError where it cannot be written, and where a folder stands in place of a file.
    """
    for file in (draft.with_name(RECORD), draft.with_name(SUMMARY)):
        if file.is_dir():
            raise BlemishError(
                f"{file} must be a file. Received: a folder. Remove it, or choose another --out."
            )
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        return draft.open("xb", buffering=0)
    except OSError as error:
        raise BlemishError(f"{draft} cannot be written: {error.strerror}. Choose another --out.") from error


def put_in_place(draft: Path, target: Path, counts: InspectionCounts, *, complete: bool) -> None:
    """Rename the draft and write its summary; one without a line goes, and what was there before stays."""
    if not counts.images:
        draft.unlink()
        return
    draft.replace(target)
    text = json.dumps(counts.to_json(complete=complete), indent=1, ensure_ascii=False) + "\n"
    write_atomically(target.with_name(SUMMARY), text.encode(errors="backslashreplace"))
