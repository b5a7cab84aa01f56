"""Files that name the classes of masks: `labelmap.txt` (CVAT), `_classes.csv` (Roboflow), `class_names.txt`.

The last is labelme's, one name a line, `_background_` first.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

from blemish.arrays import Colour
from blemish.dataset.layouts.common import Source
from blemish.dataset.mask_sets.mask_set import MaskNames
from blemish.dataset.mask_sets.numbers import BACKGROUND_NAMES, VOID_NAMES
from blemish.dataset.settings import SETTINGS_NAME
from blemish.errors import BlemishError
from blemish.untrusted import read_text

LABEL_MAP, PIXEL_VALUES, NAME_LIST = "labelmap.txt", "_classes.csv", "class_names.txt"
DescribedImage = tuple[int | None, str, Colour | None]  # value, name, colour


def read_mask_names(source: Source) -> tuple[MaskNames, frozenset[str]]:
    """Names of mask values and colours, and the files that hold them; none without such files.

    Those of dataset.yaml go before. Raises BlemishError where two files differ, or 0 has a class.
    """
    files = [file for file in source.tree.files if file.rpartition("/")[2].lower() in READERS]
    by_value: dict[int, str] = {}
    by_colour: dict[Colour, str] = {}
    read: set[str] = set()
    for file in files:
        for value, name, colour in READERS[file.rpartition("/")[2].lower()](source, file):
            read.add(file)
            old = by_value.setdefault(value, name) if value is not None else name
            old = by_colour.setdefault(colour, name) if old == name and colour is not None else old
            if old != name:
                raise BlemishError(
                    f"{source.root / file} must give the names that the other files give. Received: '{name}' "
                    f"for '{old}'. Correct one of them."
                )
    own_values, own_colours = source.settings.value_names, source.settings.colour_names
    background = own_values.get(0, "background")
    if background.lower() not in BACKGROUND_NAMES | VOID_NAMES:
        raise BlemishError(
            f"{source.home / SETTINGS_NAME}: 'classes' must name defects, from value 1 on, as 0 is the "
            f"background. Received: '0: {background}'. Remove it."
        )
    return named(by_value | own_values, by_colour | own_colours), frozenset(read)


def named(by_value: dict[int, str], by_colour: dict[Colour, str]) -> MaskNames:
    """Names of classes alone; the background is left out, void values and colours are told apart."""
    classes = {v: n for v, n in by_value.items() if v and n.lower() not in BACKGROUND_NAMES | VOID_NAMES}
    shown = {c: n for c, n in by_colour.items() if any(c) and n.lower() not in BACKGROUND_NAMES | VOID_NAMES}
    return MaskNames(
        classes,
        shown,
        frozenset(value for value, name in by_value.items() if value and name.lower() in VOID_NAMES),
        frozenset(colour for colour, name in by_colour.items() if any(colour) and name.lower() in VOID_NAMES),
    )


def label_map(source: Source, file: str) -> Iterator[DescribedImage]:
    """Lines `name:red,green,blue:parts:actions`; a class's number is its line's."""
    lines = (line.strip() for line in read_text(source.root / file).splitlines())
    for number, line in enumerate(line for line in lines if line and not line.startswith("#")):
        name, _, rest = line.partition(":")
        parts = rest.partition(":")[0].split(",")
        yield number, name.strip(), rgb(parts, f"{source.root / file}: '{line}'")


def pixel_values(source: Source, file: str) -> Iterator[DescribedImage]:
    """Rows of value and name; a table of another kind of this name has none."""
    rows = list(csv.reader(read_text(source.root / file).splitlines()))
    if not rows or [cell.strip().lower() for cell in rows[0]] != ["pixel value", "class"]:
        return
    for row in (row for row in rows[1:] if any(cell.strip() for cell in row)):
        cells = [cell.strip() for cell in row]
        if len(cells) != 2 or not cells[0].isdecimal() or not cells[1]:
            raise BlemishError(
                f"{source.root / file} must hold rows 'value, class'. Received: '{','.join(row)}'. "
                "Correct the row."
            )
        yield int(cells[0]), cells[1], None


def name_list(source: Source, file: str) -> Iterator[DescribedImage]:
    """Names in the order of their numbers; labelme's list for training has `__ignore__` before number 0."""
    names = [line.strip() for line in read_text(source.root / file).splitlines() if line.strip()]
    if not names or names[0].lower() not in BACKGROUND_NAMES | VOID_NAMES:
        return
    start = -1 if names[0].lower() in VOID_NAMES else 0
    yield from ((number, name, None) for number, name in enumerate(names, start) if number >= 0)


def rgb(parts: list[str], place: str) -> Colour | None:
    """Colour of three numbers, None for an empty field. Raises BlemishError for anything else."""
    if not "".join(parts).strip():
        return None
    try:
        red, green, blue = (int(part) for part in parts)
    except ValueError:
        red = green = blue = -1
    if not 0 <= min(red, green, blue) <= max(red, green, blue) <= 255:
        raise BlemishError(
            f"{place} must be 'name:red,green,blue::'. Received: other numbers. Correct the line."
        )
    return red, green, blue


READERS = {LABEL_MAP: label_map, PIXEL_VALUES: pixel_values, NAME_LIST: name_list}
