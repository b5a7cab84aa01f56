"""Lists of paths: text files and standard input, a path a line, and glob patterns.

A line names a regular file and nothing else: no address, device or protocol of a video library is followed.
"""

from __future__ import annotations

import fnmatch
import glob
import io
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from blemish.errors import BlemishError
from blemish.inspector.found_files import (
    FoundFiles,
    LeftOut,
    Why,
    files_below,
    folders_below,
    is_inspected,
    why_not,
)

MAX_LINE = 1 << 16  # characters; a path has far fewer, a file that is no text may have no line end at all
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")  # two letters at least: one is a drive
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def file_lines(path: Path) -> Iterator[str]:
    """Lines of a list as they are needed. Raises BlemishError for what is no text."""
    try:
        with path.open("rb") as file:
            yield from decoded_lines(file, str(path))
    except OSError as error:
        raise BlemishError(
            f"{path} must be a list of paths, one a line. Received: {error.strerror}. Check the file."
        ) from error


def stdin_lines() -> Iterator[str]:
    """Lines of stdin as they come. `sys.stdin` is left alone: no process ends while a thread waits in it."""
    with os.fdopen(os.dup(0), "rb") as file:
        yield from decoded_lines(file, "standard input")


def decoded_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Lines of UTF-8, or of what a byte order mark says; bytes that are none are those of a file's name.

    Raises BlemishError for NUL characters, and a line without an end.
    """
    reader = io.BufferedReader(file) if isinstance(file, io.RawIOBase) else file
    head = reader.peek(4)[:4] if isinstance(reader, io.BufferedReader) else b""
    encoding = next((known for mark, known in BYTE_ORDER_MARKS if head.startswith(mark)), "utf-8")
    errors = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    text = io.TextIOWrapper(reader, encoding=encoding, errors=errors)
    try:
        while line := text.readline(MAX_LINE):
            if "\0" in line or len(line) == MAX_LINE:
                raise ValueError("NUL characters" if "\0" in line else "a line without an end")
            yield line.removesuffix("\n")
    except ValueError as error:  # UnicodeDecodeError is one
        reason = " ".join(str(error).split())
        raise BlemishError(
            f"{name} must be a list of paths, one a line, in UTF-8. Received: {reason}. Save it as UTF-8."
        ) from error
    finally:
        text.detach()  # the file is closed by whoever has opened it


def path_of(line: str, folder: Path) -> Path | None:
    """Path that a line of a list names, relative to a folder; None for a blank line or a comment.

    That of a file which is there, with the line as it is or as other programs write one: between spaces or
    quotes, with the backslashes of Windows, its letters composed or not. Else the line as it is.
    """
    plain = line.strip().removeprefix("\ufeff").strip()  # a mark also stands between lists that were joined
    if not plain:
        return None
    bare = plain[1:-1] if len(plain) > 2 and plain[0] == plain[-1] and plain[0] in "\"'" else plain
    forms = [line, plain, bare, bare.replace("\\", "/")]
    forms += [unicodedata.normalize(form, text) for text in forms for form in ("NFC", "NFD")]
    for form in dict.fromkeys(forms):
        if os.path.lexists(folder / form):
            return folder / form
    return None if plain.startswith("#") else folder / bare


def is_address(line: str) -> bool:
    """True for an address or a protocol, such as https:// or concat:, in place of a path."""
    return ADDRESS.match(line.strip()) is not None


# Patterns


def matching(pattern: Path) -> FoundFiles:
    """Files that a glob matches, sorted, and those of a matched folder in which nothing else is matched.

    ** stands for any folders; links to folders are followed, each real folder once. A pattern without a
    suffix matches any file: those that are no images are left out.
    Raises BlemishError where nothing is there.
    """
    if not glob.has_magic(str(pattern)):
        raise BlemishError(f"{pattern} does not exist. Give an image or a folder of images.")
    found = FoundFiles()
    search = deep_matches if "**" in pattern.parts else flat_matches
    matched = search(*root_and_pattern(pattern), found)
    inside = {parent for path in matched for parent in path.parents}
    for path in sorted(matched):
        if path.is_dir():
            if path not in inside:
                found.add(files_below(path))
        elif pattern.suffix or is_inspected(path.name):
            found.images.append(path)
        else:
            found.leave_out(path, why_not(path))
    if not found.images:
        closed = [left.path for left in found.left_out if left.why is Why.CLOSED]
        lack = f" {closed[0]} cannot be read." if closed else ""
        raise BlemishError(f"{pattern} matches no image.{lack} Check the path and the pattern.")
    return found


def root_and_pattern(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """Folder that a search starts in, and the parts of the pattern below it.

    A name that is there goes before the pattern that it could be, such as a folder [1].
    """
    parts = pattern.parts
    start = 0
    while start < len(parts):
        if glob.has_magic(parts[start]) and not os.path.lexists(Path(*parts[: start + 1])):
            break
        start += 1
    return Path(*parts[:start]), parts[start:]


def flat_matches(root: Path, wanted: tuple[str, ...], found: FoundFiles) -> set[Path]:
    """Matches of a pattern without **; found: takes folders that cannot be read"""
    places = [root]
    for part in wanted:
        places = [place / name for place in places for name in names_like(part, place, found)]
    return set(places)


def names_like(part: str, place: Path, found: FoundFiles) -> list[str]:
    """Names in a folder that match a part of a pattern; hidden ones as shells have them."""
    try:
        if not glob.has_magic(part):
            os.lstat(place / part)
            return [part]
        names = os.listdir(place)  # noqa: PTH208 - names alone
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        found.leave_out(place, Why.CLOSED)
        return []
    shown = part.startswith(".")
    return [name for name in names if (shown or not name.startswith(".")) and fnmatch.fnmatch(name, part)]


def deep_matches(root: Path, wanted: tuple[str, ...], found: FoundFiles) -> set[Path]:
    """Matches of a pattern with **, which glob would follow through a loop of links without end."""
    matched = set()
    for place, names, drawn in folders_below(root, found):
        paths = [place, *(place / name for name in names if not name.startswith("."))]
        fitting = [path for path in paths if matches(path.relative_to(root).parts, wanted)]
        if drawn:
            found.left_out += [LeftOut(str(path), Why.WRITTEN) for path in fitting]
        else:
            matched.update(fitting)
    return matched


def matches(names: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """True where the parts of a pattern match all names of a path, ** any number of them."""
    if not parts:
        return not names
    if parts[0] == "**":
        return any(matches(names[number:], parts[1:]) for number in range(len(names) + 1))
    return bool(names) and fnmatch.fnmatchcase(names[0], parts[0]) and matches(names[1:], parts[1:])
