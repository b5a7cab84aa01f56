"""Text as pixels, in any script: fonts that come with blemish, then the system's, else an escape.

A letter that no font has is written as its number, such as \\u0e01, never as an empty box;
`letters_without_font` names these letters.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

from blemish.printable import printable

Font = ImageFont.FreeTypeFont
FOLDER = Path(__file__).parent / "fonts"
SHIPPED = ("DejaVuSans-subset.ttf", "DroidSansFallback-subset.ttf")
# For letters that these lack: file names on Linux, Windows and macOS, which Pillow finds in their folders.
SYSTEM = (
    *("NotoSansCJK-Regular.ttc", "NotoSans-Regular.ttf", "DejaVuSans.ttf", "FreeSans.ttf"),
    *("NotoSansThai-Regular.ttf", "NotoSansDevanagari-Regular.ttf", "NotoSansBengali-Regular.ttf"),
    *("NotoSansTamil-Regular.ttf", "NotoSansTelugu-Regular.ttf", "NotoSansSymbols-Regular.ttf"),
    *("segoeui.ttf", "msyh.ttc", "simsun.ttc", "YuGothM.ttc", "malgun.ttf", "LeelawUI.ttf", "Nirmala.ttc"),
    *("Nirmala.ttf", "seguisym.ttf", "Arial Unicode.ttf", "PingFang.ttc", "Thonburi.ttc", "unifont.ttf"),
)
EM = 0.72  # size of the letters, in heights of their line
BASELINE = 0.74  # from the top of the line
TESTED_AT = 24  # pixels; letters are compared at this size
NOT_A_CHARACTER = "\U0010ffff"
# Of the whole line, whatever scripts it holds; Pillow without Raqm knows no other.
DIRECTION = "ltr" if features.check("raqm") else None
_escaped: set[str] = set()


def text_mask(text: str, height: int) -> NDArray[np.uint8]:
    """The text in one line, 255 on the letters, with some room at both ends: [height, width]."""
    return _drawn(one_line(text), height)


def text_width(text: str, height: int) -> int:
    """Width of `text_mask` in pixels."""
    return _width(one_line(text), height)


def shortened(text: str, height: int, width: int, *, from_start: bool = False) -> str:
    """The text, or as much of it as fits into `width` pixels, with "…" for the rest; "" where that does not.

    from_start: leave out its beginning, not its end
    """
    text = one_line(text)
    if text_width(text, height) <= width:
        return text

    def kept(number: int) -> str:
        return f"…{text[len(text) - number :].lstrip()}" if from_start else f"{text[:number].rstrip()}…"

    fits, too_long = -1, len(text)  # numbers of letters
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if text_width(kept(middle), height) <= width:
            fits = middle
        else:
            too_long = middle
    return kept(fits) if fits >= 0 else ""


def letters_without_font() -> str:
    """Letters that were drawn as escapes since the process began, in order."""
    return "".join(sorted(_escaped))


def one_line(text: str) -> str:
    """The text in one line, composed, with escapes for control characters and letters without a font."""
    line = printable(" ".join(unicodedata.normalize("NFC", text).split()))
    return "".join(letter if font_number(letter) is not None else escape(letter) for letter in line)


def escape(letter: str) -> str:
    _escaped.add(letter)
    return ascii(letter)[1:-1]


@lru_cache(maxsize=512)
def _drawn(line: str, height: int) -> NDArray[np.uint8]:
    sheet = Image.new("L", (_width(line, height), height))
    draw, x = ImageDraw.Draw(sheet), float(padding(height))
    for part, font in runs(line, height):
        draw.text((x, BASELINE * height), part, fill=255, font=font, anchor="ls", direction=DIRECTION)
        x += length(part, font)
    return np.asarray(sheet)


@lru_cache(maxsize=4096)
def _width(line: str, height: int) -> int:
    return round(sum(length(part, font) for part, font in runs(line, height))) + 2 * padding(height)


def length(part: str, font: Font) -> float:
    return font.getlength(part, direction=DIRECTION)


def padding(height: int) -> int:
    return max(2, height // 5)


def runs(line: str, height: int) -> list[tuple[str, Font]]:
    """Parts of the line that have the same font, with it."""
    numbers: list[int] = []
    for letter in line:
        mark = unicodedata.category(letter).startswith("M")
        numbers.append(numbers[-1] if mark and numbers else font_number(letter) or 0)
    parts = groupby(zip(line, numbers, strict=True), key=lambda pair: pair[1])
    size = max(1.0, EM * height)
    return [("".join(letter for letter, _ in part), sized(number, size)) for number, part in parts]


@lru_cache(maxsize=16384)
def font_number(letter: str) -> int | None:
    """Number of the first of `SHIPPED` and `SYSTEM` that has the letter; None where none has it."""
    if letter.isspace() or unicodedata.category(letter) == "Cf":  # joiners, which are not drawn
        return 0
    return next((number for number in range(len(SHIPPED) + len(SYSTEM)) if has(number, letter)), None)


def has(number: int, letter: str) -> bool:
    """True where a font draws the letter, and not what stands for those it lacks."""
    font = unshaped(number)
    if font is None:
        return False
    drawn = bytes(font.getmask(letter))
    return any(drawn) and drawn != bytes(font.getmask(NOT_A_CHARACTER))


@lru_cache(maxsize=64)
def unshaped(number: int) -> Font | None:
    """Font that draws letters as they are, without the circle below a lone mark; None where it is lacking."""
    try:
        return ImageFont.truetype(file_of(number), TESTED_AT, layout_engine=ImageFont.Layout.BASIC)
    except OSError:
        return None


@lru_cache(maxsize=64)
def sized(number: int, size: float) -> Font:
    """Font of a size in pixels, kept because reading it takes longer than writing a word."""
    return ImageFont.truetype(file_of(number), size)


def file_of(number: int) -> str:
    return str(FOLDER / SHIPPED[number]) if number < len(SHIPPED) else SYSTEM[number - len(SHIPPED)]
