"""Keys of `classes:` in dataset.yaml: values or colours of masks, or old names of classes."""

from __future__ import annotations

import re
from typing import NamedTuple

from blemish.arrays import Colour

VALUE = re.compile(r"\d{1,5}", re.ASCII)
HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
TRIPLE = re.compile(r"[(\[]?\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*[)\]]?", re.ASCII)


class ClassKeys(NamedTuple):
    """The mapping `classes:`, by what its keys are. renamed: old name → new name, for all other keys"""

    by_value: dict[int, str]
    by_colour: dict[Colour, str]
    renamed: dict[str, str]


def class_keys(classes: object) -> ClassKeys:
    """Sort the keys of `classes:`; none where it is a list or absent.

    Raises ValueError for a key that begins as a colour does and is none.
    """
    keys = ClassKeys({}, {}, {})
    for key, name in classes.items() if isinstance(classes, dict) else ():
        if VALUE.fullmatch(key):
            keys.by_value[int(key)] = name
        elif (colour := colour_of(key)) is not None:
            keys.by_colour[colour] = name
        else:
            keys.renamed[key] = name
    return keys


def colour_of(text: str) -> Colour | None:
    """Colour of '#rrggbb' or 'red,green,blue'; None for other text. Raises ValueError for a faulty one."""
    if match := HEX.fullmatch(text):
        return int(match[1], 16), int(match[2], 16), int(match[3], 16)
    if match := TRIPLE.fullmatch(text):
        red, green, blue = (int(part) for part in match.groups())
        if max(red, green, blue) <= 255:
            return red, green, blue
    if text.startswith("#") or match:
        raise ValueError(f"'{text}', not a colour such as '#ff0000' or '255,0,0'")
    return None
