"""Colours of pictures: of classes and verdicts, told apart by the colour-blind, and of text on them.

Source: Okabe & Ito 2008, "Color Universal Design".
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from blemish.arrays import Colour
from blemish.inspection import Verdict

ORANGE: Colour = (230, 159, 0)
SKY_BLUE: Colour = (86, 180, 233)
GREEN: Colour = (0, 158, 115)
YELLOW: Colour = (240, 228, 66)
BLUE: Colour = (0, 114, 178)
VERMILION: Colour = (213, 94, 0)
PURPLE: Colour = (204, 121, 167)
GRAY: Colour = (150, 150, 150)
WHITE: Colour = (255, 255, 255)

ON_IMAGES = (ORANGE, SKY_BLUE, YELLOW, PURPLE, GREEN, VERMILION, BLUE, WHITE)
# Without yellow and white, which are lost on white.
ON_PAPER = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY_BLUE, (110, 110, 110), (0, 0, 0))
VERDICT_COLOURS: dict[Verdict, Colour] = {
    Verdict.OK: GREEN,
    Verdict.REVIEW: YELLOW,
    Verdict.NG: VERMILION,
    Verdict.ERROR: GRAY,
}


def class_colours(count: int, palette: Sequence[Colour] = ON_IMAGES) -> list[Colour]:
    """Colours of `count` classes; beyond the palette, hues that are far from each other."""
    more = (colorsys.hsv_to_rgb(0.618 * number % 1, 0.65, 0.75) for number in range(count - len(palette)))
    found = [*palette, *((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in more)]
    return found[:count]


def text_shade(colour: Colour) -> int:
    """Gray level, 0 or 255, of the text that stands out more on a colour.

    Source: contrast ratio of the Web Content Accessibility Guidelines 2.2
    """
    luminance = relative_luminance(colour)
    return 0 if (luminance + 0.05) / 0.05 >= 1.05 / (luminance + 0.05) else 255


def relative_luminance(colour: Colour) -> float:
    """Luminance of an sRGB colour, 0 for black to 1 for white."""
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
        for share in (value / 255 for value in colour)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
