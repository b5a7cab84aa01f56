"""Writing the files of an inspection: inspections.jsonl, a line for each answer, and a summary."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Protocol

from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.inspection import Verdict
from blemish.inspector.found_files import DRAFT, RECORD, SUMMARY
from blemish.inspector.pipeline import Answer, Answers
from blemish.workflows.earlier_answers import EarlierAnswers, is_unfinished, keep_aside
from blemish.workflows.inspection_counts import InspectionCounts


class Output(Protocol):
    """Something else that is made of the answers, such as pictures or tables.

    What cannot be written is told by `lack`, a sentence or "", and does not end the work.
    """

    def add(self, answer: Answer) -> None: ...

    def finish(self, record: Path, counts: InspectionCounts) -> None:
        """Write what is written at the end, from inspections.jsonl and the answers."""

    def lack(self) -> str: ...


class UncutOutputs:
    """Outputs at work in a thread of their own, one answer after the other: no signal cuts that off."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.outputs = outputs
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.last: Answer | None = None

    def add(self, answer: Answer) -> None:
        """Hand an answer to each output, and wait; the last one again changes nothing."""
        if self.outputs:
            self.thread.submit(self.add_once, answer).result()

    def add_once(self, answer: Answer) -> None:
        if answer is not self.last:
            self.last = answer
            for output in self.outputs:
                output.add(answer)

    def finish(self, record: Path, counts: InspectionCounts) -> None:
        work = [self.thread.submit(output.finish, record, counts) for output in self.outputs]
        for each in work:
            each.result()

    def close(self) -> None:
        """Wait for what is under way."""
        self.thread.shutdown()


class AnswerFile:
    """Lines of inspections.jsonl under the name of a draft, and the outputs of what was written."""

    def __init__(self, file: FileIO, outputs: Sequence[Output], earlier: EarlierAnswers) -> None:
        self.file, self.outputs = file, UncutOutputs(outputs)
        self.whole, self.lines = earlier.size, len(earlier.verdicts)  # bytes and number of the whole lines
        self.verdicts, self.labels = list(earlier.verdicts), list(earlier.labels)
        self.first_error = earlier.first_error
        self.writing: Answer | None = None
        self.handing: Answer | None = None

    def add(self, answer: Answer) -> None:
        """Write an answer, at once to be read by others, and hand it on; an earlier one is there already."""
        if answer.earlier:
            self.handing = answer
            self.outputs.add(answer)
            return
        self.writing = answer
        text = json.dumps(answer.inspection.to_json(), ensure_ascii=False, allow_nan=False) + "\n"
        # Bytes of a file name that are not UTF-8 become escapes, which JSON reads back as they were.
        line = text.encode(errors="backslashreplace")
        size, rest = len(line), memoryview(line)
        while rest:
            rest = rest[self.file.write(rest) :]
        self.verdicts.append(answer.inspection.verdict)
        self.labels.append(tuple(defect.label for defect in answer.inspection.defects))
        self.first_error = self.first_error or answer.inspection.error or ""
        # Python handles no signal between these.
        self.whole += size
        self.lines += 1
        self.writing, self.handing = None, answer
        self.outputs.add(answer)

    def mend(self) -> None:
        """Write the answer again whose line a signal has cut off, and hand on one that was not."""
        self.file.seek(self.whole)
        self.file.truncate()
        del self.verdicts[self.lines :]
        del self.labels[self.lines :]
        if self.handing is not None:
            self.outputs.add(self.handing)
        if self.writing is not None:
            self.add(self.writing)


def write_answers(
    answers: Answers,
    out: Path,
    outputs: Sequence[Output] = (),
    counts_of: Callable[[Mapping[Verdict, int]], InspectionCounts] = InspectionCounts,
    *,
    endless: bool = False,
    earlier: EarlierAnswers | None = None,
    note: Callable[[str], None] = lambda line: None,
) -> tuple[Path, InspectionCounts]:
    """Write every answer, the summary and the outputs; returns the path of inspections.jsonl and the counts.

    Lines go to a temporary name, which is renamed when all are written, where nobody can tell what comes
    next, as of a damaged list, or when the user stops; then what is ready is written, too. Where there is no
    line, nothing is left.
    counts_of: makes the counts from the number of each verdict, at the end
    endless: of a live source, which the user stops to end it: no error, and a file also without a line
    earlier: answers in the folder that are gone on with; without them, those of an inspection that did not
        end are kept under another name
    note: called with a line that says so
    Raises BlemishError where there is no place to write.
    """
    target, draft = out / RECORD, out / DRAFT
    with opened(draft, earlier, note) as raw:
        file = AnswerFile(raw, outputs, earlier or EarlierAnswers(draft))
        finished = complete = False  # whether every line written so far is whole; whether all are written
        try:
            for answer in answers.coming:
                file.add(answer)
            finished = complete = True
        except KeyboardInterrupt as stop:
            file.mend()
            for answer in answers.drain():
                file.add(answer)
            finished, complete = True, endless
            if not endless:
                stop.add_note(kept_by_a_stop(file.lines, target))
                raise
        except BlemishError:
            finished = True
            raise
        except OSError as error:
            raise BlemishError(
                f"{draft} cannot be written: {error.strerror}. Free some space and try again."
            ) from error
        finally:
            defects = Counter(label for labels in file.labels for label in labels)
            counts = counts_of(Counter(file.verdicts))
            counts = replace(counts, first_error=file.first_error, defects=defects)
            if finished:
                os.fsync(raw.fileno())
                raw.close()
                also_empty = endless and complete
                if (counts.images or also_empty) and is_unfinished(target):
                    note_aside(keep_aside(target), note)
                put_in_place(draft, target, counts, complete=complete, also_empty=also_empty)
                if counts.images or also_empty:
                    file.outputs.finish(target, counts)
            file.outputs.close()
    return target, counts


def kept_by_a_stop(answers: int, target: Path) -> str:
    """Sentence on what a stopped inspection has written."""
    if not answers:
        return "No image was judged, and nothing was written."
    were = "1 image was" if answers == 1 else f"{answers} images were"
    return f"{were} judged; {target} and whatever else was asked for are complete for them."


def opened(draft: Path, earlier: EarlierAnswers | None, note: Callable[[str], None]) -> FileIO:
    """Open the draft at the end of the earlier answers, else empty; a link in its place is not followed.

    Raises BlemishError where it cannot be written, and where a folder stands in place of a file.
    """
    for file in (draft.with_name(RECORD), draft.with_name(SUMMARY)):
        if file.is_dir():
            raise BlemishError(
                f"{file} must be a file. Received: a folder. Remove it, or choose another --out."
            )
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        if earlier is not None:
            earlier.file.replace(draft)
            gone_on = draft.open("r+b", buffering=0)
            gone_on.truncate(earlier.size)  # a line that was cut
            gone_on.seek(earlier.size)
            return gone_on
        note_aside(keep_aside(draft), note)
        draft.unlink(missing_ok=True)
        return draft.open("xb", buffering=0)
    except OSError as error:
        raise BlemishError(f"{draft} cannot be written: {error.strerror}. Choose another --out.") from error


def note_aside(kept: Path | None, note: Callable[[str], None]) -> None:
    if kept is not None:
        note(f"{kept} keeps the answers of an inspection that did not end; --resume would have gone on.")


def put_in_place(
    draft: Path, target: Path, counts: InspectionCounts, *, complete: bool, also_empty: bool
) -> None:
    """Rename the draft and write its summary.

    also_empty: else a draft without a line goes, and what was there before stays
    """
    if not counts.images and not also_empty:
        draft.unlink()
        return
    draft.replace(target)
    text = json.dumps(counts.to_json(complete=complete), indent=1, ensure_ascii=False) + "\n"
    write_atomically(target.with_name(SUMMARY), text.encode(errors="backslashreplace"))
