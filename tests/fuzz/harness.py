"""Ground of the fuzz tests: a valid tree of files gets one mutation, and is then read.

The rule for every reader: a mutated tree is read with the counts of the whole one, or with a word more (a
warning, a file left out by name), or refused by a BlemishError. Any other exception, and counts that change
without a word, are faults. BLEMISH_FUZZ_EXAMPLES sets the number of examples of each test.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.dataset.quality.check import check_dataset
from blemish.errors import BlemishError
from tests.fuzz.outcomes import note_outcome

EXAMPLES = int(os.environ.get("BLEMISH_FUZZ_EXAMPLES", "100"))
settings = hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="BLEMISH_FUZZ_EXAMPLES" not in os.environ,  # `make fuzz` looks for new examples
    database=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),  # a mutation says by itself what it is
    suppress_health_check=list(hypothesis.HealthCheck),
)
TEXT = (".txt", ".xml", ".json", ".csv", ".yaml", ".yml", ".jsonl")
ODD_NUMBERS = ("nan", "inf", "-1", "1e21", "99999999999999999999", "0x10", "1,5", "x", "-0", "1.0", "٣", "")
ODD_VALUES = (None, True, -1, 1e300, float("nan"), "", "x", [], {}, [[]], {"a": 1}, "../a", 2**70, "\0")

Draw = Callable[[st.SearchStrategy[Any]], Any]
Mutation = Callable[[Path, Draw], str]  # changes a tree and says how


@dataclass(frozen=True)
class Reading:
    """Number of annotations of each image that was read, by its id, and all that was said about the tree."""

    marks: Mapping[str, int]
    words: frozenset[str]

    def counts(self, *, without: str | None = None) -> tuple[int, int, int]:
        """Numbers of images, of defective ones, and of annotations. without: an image that is not there."""
        marks = [number for name, number in self.marks.items() if name != without]
        return len(marks), sum(map(bool, marks)), sum(marks)


def reading(root: Path) -> Reading:
    """Read and check the tree. Raises BlemishError where it is refused, TimeoutError where reading hangs."""
    with limited_time(root):
        dataset = load_dataset(root)
        words = {problem.message for problem in check_dataset(dataset).problems}
    assert_adds_up(root, dataset)
    return Reading({sample.id: len(sample.annotations) for sample in dataset}, frozenset(words))


@cache
def whole_reading(template: Path) -> Reading:
    """Reading of a tree that stays as it is, the same for all its mutated copies."""
    return reading(template)


@contextmanager
def limited_time(root: Path, seconds: int = 20) -> Iterator[None]:
    """Context in which work that does not end raises TimeoutError, even where a thread waits at a FIFO."""

    def end(*_: object) -> None:
        for path in (path for path in root.rglob("*") if path.is_fifo()):
            os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK))
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def assert_adds_up(root: Path, dataset: Any) -> None:
    """Every file that is neither hidden nor a split list is in one part of the account."""
    account = dataset.account
    parts = [set(account.used), set(account.left_out), set(account.skipped), set(account.notes)]
    entries = (path for path in root.rglob("*") if path.is_symlink() or not path.is_dir())
    found = {path.relative_to(root).as_posix() for path in entries}
    found = {name for name in found if not any(part.startswith(".") for part in name.split("/"))}
    found = {name for name in found if not name.startswith("splits/")}
    assert set().union(*parts) == found
    assert sum(map(len, parts)) == len(found) == account.files


def assert_read_or_told(template: Path, draw: Draw, mutations: Sequence[Mutation]) -> None:
    """Apply one of the mutations to a copy of the tree, and hold its reading against the whole tree's."""
    whole = whole_reading(template)
    with TemporaryDirectory() as folder:
        root = Path(folder) / template.name
        shutil.copytree(template, root)
        change = draw(st.sampled_from(list(mutations)))(root, draw)
        hypothesis.note(change)
        # A picture that was taken away may leave no trace, where no list and no label names it.
        gone = next((n for n in whole.marks if (root / n).is_dir() or not os.path.lexists(root / n)), None)
        try:
            read = reading(root)
        except BlemishError as error:
            assert "\n" not in str(error), "a refusal is one line"
            note_outcome("datasets", "refused")
            return
    told = without(read.words, root) - without(whole.words, template)
    allowed = {whole.counts(), whole.counts(without=gone)}
    assert told or read.counts() in allowed, f"{change}: {whole.counts()} became {read.counts()}, unsaid"
    note_outcome("datasets", "read with a word more" if told else "read as whole")


def without(words: frozenset[str], root: Path) -> set[str]:
    """Words whose names of files do not tell where the tree lies."""
    return {word.replace(str(root), "") for word in words}


def files_of(root: Path, suffixes: Sequence[str] = ()) -> list[Path]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return [path for path in found if not suffixes or path.suffix.lower() in suffixes]


def drawn_file(root: Path, draw: Draw, suffixes: Sequence[str] = ()) -> Path:
    files = files_of(root, suffixes)
    hypothesis.assume(files)
    path: Path = draw(st.sampled_from(files))
    return path


# Mutations that leave the meaning as it is.


def mark_and_line_ends(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw, TEXT)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    text = path.read_text("utf-8").replace("\n", draw(st.sampled_from(["\n", "\r\n", "\r"])))
    path.write_bytes((text + draw(st.sampled_from(["", "\n", "\n\n", " "]))).encode(encoding))
    return f"{path.name} in {encoding}"


def suffix_case(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    path.rename(path.with_suffix(path.suffix.upper()))
    return f"{path.name} with an upper case suffix"


def other_composition(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    path.rename(path.with_name(unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), path.name)))
    return f"{path.name} in another normal form"


def strange_file(root: Path, draw: Draw) -> str:
    name = draw(
        st.sampled_from(
            ["README.md", ".hidden.png", "Thumbs.db", "notes.txt", "extra.json", "x.xml", "a.csv"]
        )
    )
    folder = draw(st.sampled_from(sorted({path.parent for path in files_of(root)})))
    (folder / name).write_text(draw(st.sampled_from(["", "x", "{}", "[]", "<a/>", "0 0.5 0.5 0.1 0.1"])))
    return f"{name} added in {folder.name}"


# Mutations that lose something.


def removed_file(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    path.unlink()
    return f"{path.relative_to(root)} removed"


def renamed_file(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    name = draw(
        st.sampled_from([f"x{path.name}", f"{path.stem}x{path.suffix}", f"{path.stem}_mask{path.suffix}"])
    )
    path.rename(path.with_name(name))
    return f"{path.relative_to(root)} renamed to {name}"


def moved_file(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    folder = path.parent / draw(st.sampled_from(["sub", "..", "mask", "good"]))
    hypothesis.assume(folder.resolve().is_relative_to(root))
    folder.mkdir(exist_ok=True)
    hypothesis.assume(not (folder / path.name).exists())
    path.rename(folder / path.name)
    return f"{path.relative_to(root)} moved to {folder.name}"


def cut_file(root: Path, draw: Draw) -> str:
    """Cut a binary file, or a text inside a line: lines that are whole may be all there ever were."""
    path = drawn_file(root, draw)
    content = path.read_bytes()
    hypothesis.assume(len(content) > 2)
    end = draw(st.integers(0 if path.suffix not in TEXT else 1, len(content) - 2))
    hypothesis.assume(path.suffix not in TEXT or b"\n" not in content[end - 1 : end + 1])
    path.write_bytes(content[:end])
    return f"{path.relative_to(root)} cut to {end} of {len(content)} bytes"


def replaced_by_odd_file(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw)
    path.unlink()
    kind = draw(st.sampled_from(["folder", "dangling link", "fifo", "loop"]))
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere" if kind == "dangling link" else path.name)
    return f"{path.relative_to(root)} is a {kind}"


# Mutations of the content.


def odd_number(root: Path, draw: Draw) -> str:
    path = drawn_file(root, draw, TEXT)
    text = path.read_text("utf-8")
    numbers = list(re.finditer(r"-?\d+(\.\d+)?", text))
    hypothesis.assume(numbers)
    number, odd = draw(st.sampled_from(numbers)), draw(st.sampled_from(ODD_NUMBERS))
    path.write_text(text[: number.start()] + odd + text[number.end() :], "utf-8")
    return f"{path.relative_to(root)}: {number[0]} at {number.start()} is '{odd}'"


def flipped_byte(root: Path, draw: Draw) -> str:
    """Change a byte of a file, but no line end: two lines made one are a line less in any reader's eyes."""
    path = drawn_file(root, draw)
    content = bytearray(path.read_bytes())
    hypothesis.assume(content)
    place = draw(st.integers(0, len(content) - 1))
    hypothesis.assume(content[place] != ord("\n"))
    content[place] = draw(st.integers(0, 255).filter(lambda value: value != ord("\n")))
    path.write_bytes(content)
    return f"{path.relative_to(root)}: byte {place} is {content[place]}"


def json_node(root: Path, draw: Draw) -> str:
    """Replace a value of a JSON file by an odd one; whole entries of lists stay, as fewer may be meant."""
    path = drawn_file(root, draw, (".json",))
    content = json.loads(path.read_text("utf-8"))
    places = list(nodes(content))
    hypothesis.assume(places)
    holder, key = draw(st.sampled_from(places))
    old, odd = holder[key], draw(st.sampled_from(ODD_VALUES))
    hypothesis.assume(not (isinstance(old, list) and odd == []))
    holder[key] = odd
    path.write_text(json.dumps(content), "utf-8")
    return f"{path.relative_to(root)}: '{key}' was {str(old)[:40]}, is {odd!r}"


def nodes(value: Any) -> Any:
    """Places (holder, key) of all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from nodes(inner)


HARMLESS = (mark_and_line_ends, suffix_case, other_composition, strange_file)
LOSSES = (removed_file, renamed_file, moved_file, cut_file, replaced_by_odd_file)
DAMAGE = (odd_number, flipped_byte, json_node)
MUTATIONS: tuple[Mutation, ...] = (*HARMLESS, *LOSSES, *DAMAGE)
