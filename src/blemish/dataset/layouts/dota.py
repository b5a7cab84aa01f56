"""The DOTA layout of turned boxes: `labelTxt/NAME.txt` with "x1 y1 x2 y2 x3 y3 x4 y4 class difficult" lines.

Lines `imagesource:` and `gsd:` are notes.
Source: Xia et al. 2018, DOTA; https://captain-whu.github.io/DOTA/dataset.html.
"""

from __future__ import annotations

import re
from dataclasses import replace

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, parent, stem
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import number, refusal
from blemish.dataset.layouts.shapes import polygon
from blemish.dataset.layouts.tools import files_to_look_at, head
from blemish.dataset.samples import Annotation
from blemish.untrusted import read_text

NOTES = (re.compile(r"imagesource:.*"), re.compile(r"gsd:\s*(?:null|None|[0-9.eE-]+)\s*"))  # both or none


def detect(tree: Tree) -> str | None:
    """Folders labelTxt of text files with four corners, a class and a difficulty in each line."""
    files = (file for file in files_to_look_at(tree, (".txt",)) if in_folder(file))
    file = next((file for file in files if looks_right(head(tree.root / file))), None)
    return f"{file} holds turned boxes as DOTA has them" if file else None


def in_folder(file: str) -> bool:
    return parent(file).rpartition("/")[2].lower().startswith("labeltxt")


def looks_right(text: str) -> bool:
    lines = box_lines(text)
    return not lines or len(lines[0].split()) == 10


def box_lines(text: str) -> list[str]:
    """Lines of a file that are not empty, without the two notes at its beginning."""
    lines = [line for line in text.splitlines() if line.strip()]
    noted = len(lines) > 1 and all(note.fullmatch(line) for note, line in zip(NOTES, lines[:2], strict=True))
    return lines[2:] if noted else lines


def read(source: Source) -> Contents:
    files = [file for file in source.tree.files if file.lower().endswith(".txt") and in_folder(file)]
    return read_entries(source, files, lambda file: [entry_in(source, file)], to_annotation)


def entry_in(source: Source, file: str) -> DescribedImage:
    return DescribedImage(file, stem(file), tuple(box_lines(read_text(source.root / file))))


def to_annotation(line: str, place: str, size: Size) -> Annotation:
    words = line.split()
    if len(words) != 10 or words[9] not in ("0", "1", "2"):
        raise refusal(place, "be four corners, a class and a difficulty of 0, 1 or 2", line)
    values = [number(word, place) for word in words[:8]]
    marked = polygon(words[8], list(zip(values[::2], values[1::2], strict=True)))
    return replace(marked, difficult=words[9] != "0")
