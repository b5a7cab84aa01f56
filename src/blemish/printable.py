"""Text from files made printable: what a name or a label holds must not steer the terminal that shows it.

Control characters can move the cursor, set colours, write into the clipboard or start a line of their own,
and marks of direction can turn a line around. All become escapes, such as \\x1b, as do halves of characters,
in which bytes of a file name that are no UTF-8 come along.
"""

from __future__ import annotations

import re

_DIRECTIONS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_OTHERS = f"\x7f-\x9f\u2028\u2029\ud800-\udfff{_DIRECTIONS}"
_IN_A_LINE = re.compile(f"[\\x00-\\x1f{_OTHERS}]")
_IN_TEXT = re.compile(f"[\\x00-\\x08\\x0b-\\x1f{_OTHERS}]")


def printable(text: str) -> str:
    """Text for a line of the console: every control character as an escape, line ends and tabs as well."""
    return _IN_A_LINE.sub(escape, text)


def printable_text(text: str) -> str:
    """Text of several lines for the console: as `printable`, but line ends and tabs stay."""
    return _IN_TEXT.sub(escape, text)


def escape(match: re.Match[str]) -> str:
    return ascii(match[0])[1:-1]
