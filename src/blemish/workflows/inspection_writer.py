"""Writing the files of an inspection: a line of inspections.jsonl for each answer, and overlays."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.drawing import draw_inspection
from blemish.images.encode import png_bytes
from blemish.inspection import Verdict
from blemish.inspector.pipeline import Answer, Answers

try:
    import fcntl
except ImportError:  # not POSIX: the user sees to it that two inspections do not write into one folder
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Overlays:
    """Drawn answers in a folder. score_map_max: see `draw_inspection`"""

    folder: Path
    score_map_max: float | None
    taken: Counter[str] = field(default_factory=Counter)

    def draw(self, answer: Answer) -> None:
        if answer.pixels is None or answer.inspection.verdict is Verdict.ERROR:
            return
        # Of a web, the defects are in pixels of the whole; the image begins at row `top`.
        defects = tuple(defect.moved(-answer.top) for defect in answer.inspection.defects)
        inspection = replace(answer.inspection, defects=defects)
        overlay = draw_inspection(answer.pixels, inspection, score_map_max=self.score_map_max)
        write_atomically(self.folder / self.file_name(answer.stem), png_bytes(overlay))

    def file_name(self, stem: str) -> str:
        """Name for an overlay: the stem, with a number where it is taken."""
        name = stem
        while self.taken[name]:
            self.taken[stem] += 1
            name = f"{stem}__{self.taken[stem]}"
        self.taken[name] += 1
        return f"{name}.png"


def write_answers(answers: Answers, out: Path, overlays: Overlays | None) -> tuple[Path, int]:
    """Write every answer; returns the path of inspections.jsonl and how many are ERROR.

    Lines go to a temporary name, which is renamed when all are written, where nobody can tell what comes
    next, as of a damaged list, or when the user stops; then what is ready is written, too. Where there is no
    line, nothing is left.
    Raises BlemishError where there is no place to write, or another inspection writes to it.
    """
    target, draft = out / "inspections.jsonl", out / "inspections.jsonl.part"
    failures = 0
    with open_draft(draft) as file:
        finished = False  # whether every line written so far is whole
        try:
            for answer in answers.coming:
                failures += write_line(answer, file, overlays)
            finished = True
        except KeyboardInterrupt:
            for answer in answers.drain():
                write_line(answer, file, overlays)
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
            if finished:
                put_in_place(file, draft, target)
    return target, failures


def put_in_place(file: TextIO, draft: Path, target: Path) -> None:
    """Rename the draft while it is still locked; one without a line goes, and what was there before stays."""
    if fcntl is None:
        file.close()
    if draft.stat().st_size:
        draft.replace(target)
    else:
        draft.unlink()


def write_line(answer: Answer, file: TextIO, overlays: Overlays | None) -> bool:
    """Write an answer, at once to be read by others; returns whether it is ERROR."""
    file.write(json.dumps(answer.inspection.to_json(), ensure_ascii=False, allow_nan=False) + "\n")
    file.flush()
    if overlays is not None:
        overlays.draw(answer)
    return answer.inspection.verdict is Verdict.ERROR


def open_draft(draft: Path) -> TextIO:
    """Open the draft, empty and locked: it is this process's until it is closed.

    Raises BlemishError where it cannot be written, or another inspection holds it.
    """
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        while True:
            # Bytes of a file name that are not UTF-8 become escapes, which JSON reads back as they were.
            file = draft.open("a", encoding="utf-8", errors="backslashreplace")
            lock(file, draft)
            if draft.exists() and os.path.samestat(draft.stat(), os.fstat(file.fileno())):
                file.truncate(0)  # what a killed inspection left
                return file
            file.close()  # another inspection renamed it in between
    except OSError as error:
        raise BlemishError(f"{draft} cannot be written: {error.strerror}. Choose another --out.") from error


def lock(file: TextIO, draft: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise BlemishError(
            f"{draft.parent} is being written by another inspection. Wait for its end, or choose another "
            "--out."
        ) from error
