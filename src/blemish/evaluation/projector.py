"""Image of the metric space: regions and prototypes along the two directions in which they vary most.

Source: TL-SDD Fig. 9. Filled marks are true defects in the colour of their class, rings are false detections
in the colour of the class that they were assigned, and a named diamond is a prototype. Letters: N points.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from blemish.arrays import Colour
from blemish.evaluation.metric_space import MetricSpace, principal_axes
from blemish.files import write_atomically
from blemish.images.encode import png_bytes
from blemish.images.palette import ON_PAPER, class_colours
from blemish.images.text import shortened, text_mask

WIDTH, HEIGHT, KEY_WIDTH, MARGIN = 1280, 960, 300, 48  # pixels
FOOT = 56  # room for the caption
FINER = 2  # factor by which it is drawn larger, and then reduced, so that edges are smooth
DOT, RING, DIAMOND = 6, 7, 13  # half sides, pixels
LINE_HEIGHT, MIDDLE = 26, 13  # of a line of letters, and of their middle below its top
PAPER, INK, SOFT, LINE = (255, 255, 255), (27, 31, 36), (91, 101, 112), (223, 227, 231)


def write_projector(path: Path, space: MetricSpace, *, title: str = "") -> None:
    """Write the image of the space as PNG."""
    write_atomically(path, png_bytes(draw_space(space, title=title)))


def draw_space(space: MetricSpace, *, title: str = "") -> NDArray[np.uint8]:
    """Image of the space, uint8 RGB [960, 1280, 3]."""
    centre, axes, share = principal_axes(np.concatenate([space.own, space.prototypes]))
    points, prototypes = ((part - centre) @ axes.T for part in (space.own, space.prototypes))
    places = to_sheet(np.concatenate([points, prototypes]))
    sheet = ProjectorCanvas()
    sheet.frame()
    colours = class_colours(len(space.class_names), ON_PAPER)
    for place, label, true in zip(places, space.labels, space.true, strict=False):
        sheet.dot(place, colours[label]) if true else sheet.ring(place, colours[label])
    for name, place, colour in zip(space.class_names, places[len(points) :], colours, strict=True):
        sheet.diamond(place, colour, name)
    sheet.key(space, colours)
    caption = f"Principal components 1 and 2, which hold {share:.0%} of the variance"
    sheet.text((MARGIN, HEIGHT - FOOT + 20), caption, SOFT)
    sheet.text((MARGIN, 12), title, INK)
    return sheet.pixels()


def to_sheet(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points [N, 2] as positions inside the frame, both axes at the same scale, the second upwards."""
    low, high = points.min(0), points.max(0)
    room = np.array([WIDTH - KEY_WIDTH - 2 * MARGIN, HEIGHT - FOOT - MARGIN]) - 2 * MARGIN
    scale = float((room / np.maximum(high - low, 1e-9)).min())
    middle = np.array([(WIDTH - KEY_WIDTH) / 2, (HEIGHT - FOOT + MARGIN) / 2])
    return middle + (points - (low + high) / 2) * scale * np.array([1, -1])


class ProjectorCanvas:
    """White canvas; coordinates are pixels of the finished image."""

    def __init__(self) -> None:
        self.image = Image.new("RGB", (FINER * WIDTH, FINER * HEIGHT), PAPER)
        self.draw = ImageDraw.Draw(self.image)

    def pixels(self) -> NDArray[np.uint8]:
        """Finished image, [HEIGHT, WIDTH, 3]."""
        return np.asarray(self.image.resize((WIDTH, HEIGHT), Image.Resampling.BOX))

    def frame(self) -> None:
        corners = (MARGIN, MARGIN, WIDTH - KEY_WIDTH - MARGIN, HEIGHT - FOOT)
        self.draw.rectangle([FINER * corner for corner in corners], outline=LINE, width=FINER)

    def dot(self, place: NDArray[np.float64], colour: Colour) -> None:
        self.draw.ellipse(around(place, DOT), fill=colour, outline=PAPER, width=FINER)

    def ring(self, place: NDArray[np.float64], colour: Colour) -> None:
        self.draw.ellipse(around(place, RING), outline=colour, width=2 * FINER)

    def diamond(self, place: NDArray[np.float64], colour: Colour, name: str = "") -> None:
        x, y = (float(value) for value in place)
        corners = [(x, y - DIAMOND), (x + DIAMOND, y), (x, y + DIAMOND), (x - DIAMOND, y)]
        points = [(FINER * across, FINER * down) for across, down in corners]
        self.draw.polygon(points, fill=colour, outline=INK, width=2 * FINER)
        self.text((x + DIAMOND + 4, y - MIDDLE), name, INK, outlined=True)

    def text(
        self, corner: tuple[float, float], words: str, colour: Colour, *, outlined: bool = False
    ) -> None:
        """Write words from their top left corner on. outlined: in white, for words on top of marks"""
        if not words:
            return
        ink = text_mask(words, FINER * LINE_HEIGHT)
        at = (round(FINER * corner[0]), round(FINER * corner[1]))
        if outlined:
            halo = cv2.dilate(ink, np.ones((6 * FINER + 1, 6 * FINER + 1), np.uint8))
            self.draw.bitmap(at, Image.fromarray(halo), PAPER)
        self.draw.bitmap(at, Image.fromarray(ink), colour)

    def key(self, space: MetricSpace, colours: list[Colour]) -> None:
        """Draw the key: numbers and names of the classes, then the meaning of the marks."""
        left, row = WIDTH - KEY_WIDTH, 32
        for number, (name, colour) in enumerate(zip(space.class_names, colours, strict=True)):
            here = np.array([left, MARGIN + row * number + MIDDLE])
            true = int((space.true & (space.labels == number)).sum())
            self.dot(here, colour)
            self.text(
                (left + 20, MARGIN + row * number),
                shortened(f"{true} {name}", LINE_HEIGHT, KEY_WIDTH - 20 - 12),
                INK,
            )
        top = MARGIN + row * (len(colours) + 1)
        marks = ((self.dot, "true defect"), (self.ring, "false detection"), (self.diamond, "prototype"))
        for number, (mark, meaning) in enumerate(marks):
            mark(np.array([left, top + row * number + MIDDLE]), SOFT)
            self.text((left + 20, top + row * number), meaning, SOFT)


def around(place: NDArray[np.float64], half: float) -> list[float]:
    x, y = (float(value) for value in place)
    return [FINER * value for value in (x - half, y - half, x + half, y + half)]
