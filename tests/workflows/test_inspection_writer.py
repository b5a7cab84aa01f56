"""Files of an inspection: two of them never share one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict
from blemish.inspector.pipeline import Answer, Answers
from blemish.workflows.inspection_writer import open_draft, write_answers

OTHER = """
import sys
from pathlib import Path
from blemish.errors import BlemishError
from blemish.workflows.inspection_writer import open_draft
try:
    open_draft(Path(sys.argv[1])).write("other")
except BlemishError as error:
    sys.exit(str(error))
"""


def answers(*names: str) -> Iterator[Answer]:
    for name in names:
        yield Answer(name, Inspection(name, (2, 2), Verdict.OK, 0.0, (), "bundle"), None)


def names_in(file: Path) -> list[str]:
    return [json.loads(line)["image"] for line in file.read_text().splitlines()]


def other_process(draft: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", OTHER, str(draft)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_second_inspection_into_the_folder_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    refused: list[subprocess.CompletedProcess[str]] = []

    def coming() -> Iterator[Answer]:
        yield from answers("a.png")
        refused.append(other_process(tmp_path / "inspections.jsonl.part"))
        with pytest.raises(BlemishError, match="another inspection"):
            write_answers(Answers(answers("z.png"), drain=answers), tmp_path, None)
        yield from answers("b.png")

    file, _ = write_answers(Answers(coming(), drain=answers), tmp_path, None)
    assert refused[0].returncode == 1
    assert f"{tmp_path} is being written by another inspection." in refused[0].stderr
    assert names_in(file) == ["a.png", "b.png"]


def test_the_next_inspection_may_write_there(tmp_path: Path) -> None:
    write_answers(Answers(answers("a.png"), drain=answers), tmp_path, None)
    file, _ = write_answers(Answers(answers("b.png"), drain=answers), tmp_path, None)
    assert names_in(file) == ["b.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["inspections.jsonl"]


def test_lines_of_a_killed_inspection_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    draft = tmp_path / "inspections.jsonl.part"
    draft.write_text('{"image": "torn')
    with open_draft(draft) as file:
        assert draft.read_text() == ""
        file.write("{}\n")
    assert draft.read_text() == "{}\n"


def test_a_draft_renamed_before_it_was_locked_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first inspection ends between the second one's opening and locking of its draft."""
    from blemish.workflows import inspection_writer

    draft, target = tmp_path / "inspections.jsonl.part", tmp_path / "inspections.jsonl"
    draft.write_text("first\n")
    lock = inspection_writer.lock

    def renamed_first(file: object, path: Path) -> None:
        if not target.exists():
            path.rename(target)
        lock(file, path)  # type: ignore[arg-type]

    monkeypatch.setattr(inspection_writer, "lock", renamed_first)
    with open_draft(draft) as file:
        file.write("second\n")
    assert (target.read_text(), draft.read_text()) == ("first\n", "second\n")
