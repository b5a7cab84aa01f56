"""Which tool wrote a label file, told by its beginning; for tools without a reader, what to export instead.

Looks are bounded: the first 16 kB of a few files of each folder, so that a folder of a million files is
recognised as fast as a small one.
"""

from __future__ import annotations

from pathlib import Path

from blemish.dataset.layouts.common import Tree, grouped, parent, stem
from blemish.dataset.layouts.tool_table import TOOLS, Tool
from blemish.errors import BlemishError
from blemish.untrusted import read_json, regular_file

HEAD_BYTES = 16384
MAX_FILES = 200  # files of a kind in a tree
MAX_PER_FOLDER = 3  # of those that are called as images are; others are looked at first


COCO_TOO = ("COCO captions", "COCO panoptic")  # by the reader of COCO left out beside instances


def head(path: Path) -> str:
    """Text at the beginning of a file, as far as it is text; "" for what is no file."""
    try:
        with regular_file(path).open("rb") as file:
            start = file.read(HEAD_BYTES)
    except (BlemishError, OSError):
        return ""
    encoding = "utf-16" if start.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return start.decode(encoding, errors="replace").replace("\r\n", "\n")


def tool_of(tree: Tree, file: str) -> str | None:
    """Name of the tool that wrote a file; None where it is none of TOOLS."""
    tool = entry_of(tree, file)
    return tool.name if tool else None


def entry_of(tree: Tree, file: str) -> Tool | None:
    """Entry of TOOLS for a file; None where it is none of them."""
    fitting = [tool for tool in TOOLS if file.lower().endswith(tool.suffixes)]
    text = head(tree.root / file) if any(tool.fits for tool in fitting) else ""
    return next((tool for tool in fitting if tool.is_of(file, text)), None)


def files_to_look_at(tree: Tree, suffixes: tuple[str, ...]) -> list[str]:
    """A few files of every folder, those first that are not called as an image is: they tell of many."""
    found = [file for file in tree.files if file.lower().endswith(suffixes)]
    lone = [file for file in found if not {stem(file), stem(stem(file))} & tree.by_stem.keys()]
    telling = [file for files in grouped(lone, parent).values() for file in files[: MAX_FILES // 4]]
    single = [file for files in grouped(found, parent).values() for file in files[:MAX_PER_FOLDER]]
    return list(dict.fromkeys(telling[: MAX_FILES // 2] + single[: MAX_FILES // 2]))


def written_by(tree: Tree, name: str) -> str | None:
    """First file that looks as this tool writes them, among those looked at."""
    suffixes = tuple(suffix for tool in TOOLS if tool.name == name for suffix in tool.suffixes)
    return next((file for file in files_to_look_at(tree, suffixes) if tool_of(tree, file) == name), None)


def files_of(tree: Tree, name: str, *, per_image: bool = False) -> list[str]:
    """All files that look as this tool writes them; every file of its suffix is looked at.

    per_image: take those too that are called as an image is and are no JSON object, as they are broken, and
    their image would pass for one without labels
    """
    suffixes = tuple(suffix for tool in TOOLS if tool.name == name for suffix in tool.suffixes)
    found = {file: tool_of(tree, file) for file in tree.files if file.lower().endswith(suffixes)}
    return [
        file
        for file, tool in found.items()
        if tool == name or (per_image and tool is None and is_broken_label(tree, file))
    ]


def is_broken_label(tree: Tree, file: str) -> bool:
    """Tell a JSON file that is called as an image is, and holds no object."""
    if not {stem(file), stem(stem(file))} & tree.by_stem.keys():
        return False
    try:
        return not isinstance(read_json(tree.root / file), dict)
    except BlemishError:
        return True


def unread_files(tree: Tree) -> list[tuple[Tool, str]]:
    """Files of tools that have no reader, among those looked at; tools in the order of TOOLS."""
    suffixes = tuple(suffix for tool in TOOLS if tool.advice for suffix in tool.suffixes)
    found = ((entry_of(tree, file), file) for file in files_to_look_at(tree, suffixes))
    unread = [(TOOLS.index(tool), file) for tool, file in found if tool is not None and tool.advice]
    return [(TOOLS[place], file) for place, file in sorted(unread)]


def nearest_guess(tree: Tree) -> str:
    """Line on a file of a tool that has no reader: which, and what to do; "" without any."""
    for tool, file in unread_files(tree):
        return f"{file} {tool.called or f'looks like {tool.name}'}, which is not read. {tool.advice}"
    return ""
