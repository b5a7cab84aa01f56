"""The picture of an inspection: the image with heat, each defect marked and named, and below it what it says.

Nothing is written on the image but labels, beside the defects that they name. Verdict, reasons, the scale of
the heat and labels without a place on the image stand in a margin below, or at the right of a narrow image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Colour, Pixels, RgbImage
from blemish.defect import Defect
from blemish.images.drawing import (
    STRIP_ROWS,
    draw_cased_,
    draw_tag_,
    for_screen,
    heated,
    line_width,
    mark_defect_,
    overlay_heatmap_,
    tag_image,
)
from blemish.images.label_placement import LabelGrid, Place
from blemish.images.palette import VERDICT_COLOURS, class_colours
from blemish.images.text import shortened, text_mask, text_width
from blemish.inspection import Inspection

SMALL = 512  # pixels; a smaller image is enlarged by the greatest whole number that keeps within it
SHOWN_AT = 800  # pixels of the longer side, at which text can be read
MIN_TEXT = 18  # height of a line there, in pixels
MIN_WIDTH = 17  # of the picture, in heights of a line
WIDENED_TO = 2048  # pixels at most, of a picture that is narrower, however long it is
MAX_LABELS = 24  # the most severe and sure; the others are marked and counted
MAX_MARGIN = 8  # lines of labels below the image
MAX_REASONS = 3
OPACITY = 0.55  # of heat where it is hottest
PAPER, INK, GROUND = (38, 41, 46), (235, 235, 235), (128, 128, 128)
Part = NDArray[np.float64]  # [N, 2], a polygon in pixels of the picture


def draw_inspection(
    image: Pixels,
    inspection: Inspection,
    *,
    score_map_max: float | None = 12.0,
    threshold: float | None = None,
    class_names: Sequence[str] | None = None,
    opacity: float = OPACITY,
) -> RgbImage:
    """The image with heat where the maps hold any, defects marked and named, and the verdict below.

    Pixels of the image keep their places, times a whole number where the image is small (`SMALL`). Of two
    heat maps, as a chain may have, one is drawn: severity where there are defects, else "heat_map".
    image: [H, W] or [H, W, 3]; returns: [H', W', 3], H' ≥ H, W' ≥ W
    score_map_max: the severity drawn in the hottest colour; None draws none; of the map "heat_map" it is 1
    threshold: of the score map, from which a pixel is defective, for the scale; None if unknown
    class_names: in the order of their colours; None takes the sorted labels of this image
    opacity: where it is hottest, in [0, 1]
    """
    heat = heat_of(inspection, score_map_max, threshold)
    names = class_names or sorted({defect.label for defect in inspection.defects})
    return Picture(image, inspection, heat, tuple(names), opacity).drawn()


@dataclass(frozen=True)
class Heat:
    """A map to be drawn as heat, [H, W]. top: its hottest value; threshold: to be marked on the scale"""

    values: NDArray[np.generic]
    name: str
    top: float
    threshold: float | None


def heat_of(inspection: Inspection, score_map_max: float | None, threshold: float | None) -> Heat | None:
    """The map of an inspection that is drawn as heat; None where there is none."""
    maps = inspection.maps
    found = []
    if score_map_max is not None and "score_map" in maps:
        found.append(Heat(maps["score_map"], "pixel score", score_map_max, threshold))
    if "heat_map" in maps:
        found.append(Heat(maps["heat_map"], "evidence", 1.0, None))
    return next(iter(found if inspection.defects else reversed(found)), None)


@dataclass(frozen=True)
class Picture:
    """The picture of an inspection, as far as it is planned."""

    image: Pixels
    inspection: Inspection
    heat: Heat | None
    class_names: tuple[str, ...]
    opacity: float

    def drawn(self) -> RgbImage:
        places = self.places
        margin_end = max([self.shown_height, *(place.box[3] for place in places if place)])
        footer = flow(self.footer_pieces(places), self.width, self.text)
        canvas = np.full((margin_end + len(footer), self.width, 3), PAPER, np.uint8)
        canvas[margin_end:] = footer
        shown = canvas[: self.shown_height, : self.shown_width]
        self.draw_image_(shown)
        for defect in sorted(self.inspection.defects, key=box_area, reverse=True):  # small ones on top
            mark_defect_(shown, defect, colour=self.colour_of(defect), scale=self.scale)
        width = line_width(shown)
        named = list(zip(self.named, places, strict=True))
        for defect, place in named:
            if place and place.line:
                draw_cased_(canvas, place.line, self.colour_of(defect), width, closed=False)
        for defect, place in named:
            if place:
                draw_tag_(canvas, place.box, self.label(defect), colour=self.colour_of(defect))
        return canvas

    def draw_image_(self, shown: RgbImage) -> None:
        """Draw the image and its heat into their part of the canvas, a strip after the other."""
        for start in range(0, len(self.image), STRIP_ROWS):
            strip = for_screen(self.image[start : start + STRIP_ROWS])
            if self.heat is not None:
                values = self.heat.values[start : start + STRIP_ROWS]
                overlay_heatmap_(strip, values, top=self.heat.top, opacity=self.opacity)
            if self.scale > 1:
                strip = strip.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            shown[start * self.scale :][: len(strip)] = strip

    # Sizes, in pixels of the picture

    @cached_property
    def scale(self) -> int:
        """Number of pixels that a pixel of the image becomes, along either side."""
        return max(1, SMALL // max(self.image.shape[:2]))

    @cached_property
    def shown_height(self) -> int:
        return self.image.shape[0] * self.scale

    @cached_property
    def shown_width(self) -> int:
        return self.image.shape[1] * self.scale

    @cached_property
    def text(self) -> int:
        """Height of a line of text."""
        readable = round(max(self.shown_height, self.shown_width) * MIN_TEXT / SHOWN_AT)
        return max(MIN_TEXT, min(readable, max(self.shown_width, WIDENED_TO) // MIN_WIDTH))

    @cached_property
    def cell(self) -> int:
        """Side of a cell of the grid that labels are placed on."""
        return self.text // 4

    @cached_property
    def width(self) -> int:
        return max(self.shown_width, MIN_WIDTH * self.text)

    # Labels

    @cached_property
    def named(self) -> list[Defect]:
        """Defects with a label, the most severe and sure first."""
        by_weight = sorted(self.inspection.defects, key=weight, reverse=True)
        return by_weight[:MAX_LABELS]

    def colour_of(self, defect: Defect) -> Colour:
        return colour_of(defect.label, self.class_names)

    def label(self, defect: Defect) -> str:
        """Text of the defect that fits into the picture; a long name is shortened before the figures are."""
        figures, room = defect_figures(defect), self.width // self.cell * self.cell
        name = shortened(defect.label, self.text, room - text_width(f" {figures}", self.text))
        return f"{name} {figures}" if name else shortened(f"{defect.label} {figures}", self.text, room)

    def parts(self, defect: Defect) -> list[Part]:
        left, top, right, bottom = defect.box_xyxy
        outline = defect.contour or (((left, top), (right, top), (right, bottom), (left, bottom)),)
        return [self.scale * np.asarray(part, np.float64) for part in outline]

    @property
    def image_corners(self) -> Part:
        right, bottom = self.shown_width, self.shown_height
        return np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float64)

    @cached_property
    def places(self) -> list[Place | None]:
        """Place of each named defect's label: on the image, or at its right, else below it."""
        margin = min(len(self.named), MAX_MARGIN) * (self.text + self.cell) + 3 * self.cell
        grid = LabelGrid(self.shown_height + margin, self.width, self.cell)
        if self.shown_width < self.width / 2:  # labels would cover a narrow image: they go beside it
            grid.take(grid.cells_of([self.image_corners]))
        for defect in self.inspection.defects:
            grid.take(grid.cells_of(self.parts(defect)))
        sizes = [(self.text, text_width(self.label(defect), self.text)) for defect in self.named]
        places = [
            grid.place(size, self.parts(defect), max_bottom=self.shown_height)
            for defect, size in zip(self.named, sizes, strict=True)
        ]
        return [
            place or grid.place(size, self.parts(defect))
            for defect, size, place in zip(self.named, sizes, places, strict=True)
        ]

    # Below the image

    def footer_pieces(self, places: Sequence[Place | None]) -> list[RgbImage]:
        """Verdict, number of defects without a label, scale of the heat, reasons."""
        inspection = self.inspection
        pieces = [self.tag(verdict_text(inspection), VERDICT_COLOURS[inspection.verdict])]
        more = len(inspection.defects) - sum(place is not None for place in places)
        if more:
            pieces.append(self.words(f"and {more} more without a label"))
        if self.heat is not None:
            pieces += heat_scale(self.heat, self.text, self.opacity)
        return pieces + [self.words(reason) for reason in inspection.reasons[:MAX_REASONS]]

    def tag(self, text: str, colour: Colour) -> RgbImage:
        return tag_image(shortened(text, self.text, self.width), self.text, colour)

    def words(self, text: str) -> RgbImage:
        return written(shortened(text, self.text, self.width), self.text)


def heat_scale(heat: Heat, height: int, opacity: float) -> list[RgbImage]:
    """Scale of a heat map, `height` pixels high: its colours from 0 to the hottest value, over mid-gray.

    Where there is a threshold, a line marks it, and a second piece says its value.
    """
    length, rim = 6 * height, max(1, height // 12)
    values = np.linspace(0, heat.top, length, dtype=np.float32)
    colours = heated(np.full((length, 3), GROUND, np.uint8), values, heat.top, opacity)
    bar = np.repeat(colours[None], height, axis=0)
    bar[:rim], bar[-rim:] = PAPER, PAPER
    pieces = [written(f"{heat.name} 0", height), bar, written(f"{heat.top:g}", height)]
    if heat.threshold is None or not 0 <= heat.threshold <= heat.top:
        return [np.concatenate(pieces, axis=1)]
    at = round(heat.threshold / heat.top * (length - 1))
    bar[:, max(0, at - rim) : at + rim + 1] = INK
    return [np.concatenate(pieces, axis=1), written(f"▏defect from {heat.threshold:.3g}", height)]


def flow(pieces: Sequence[RgbImage], width: int, height: int) -> RgbImage:
    """Pieces of `height` pixels side by side, in as many lines as that takes, [H, width, 3]."""
    gap = max(2, height // 4)
    lines: list[list[RgbImage]] = []
    used = width
    for piece in pieces:
        if used + gap + piece.shape[1] > width:
            lines.append([])
            used = -gap
        lines[-1].append(piece)
        used += gap + piece.shape[1]
    sheet = np.full((gap + len(lines) * (height + gap), width, 3), PAPER, np.uint8)
    for number, line in enumerate(lines):
        top, left = gap + number * (height + gap), 0
        for piece in line:
            room = sheet[top : top + height, left : left + piece.shape[1]]
            room[:] = piece[:, : room.shape[1]]
            left += piece.shape[1] + gap
    return sheet


def written(text: str, height: int) -> RgbImage:
    """A line of light text on the margin's dark ground, [height, W, 3]."""
    strength = text_mask(text, height)[:, :, None] / np.float32(255)
    return np.rint(np.array(PAPER) * (1 - strength) + np.array(INK) * strength).astype(np.uint8)


def colour_of(label: str, class_names: Sequence[str]) -> Colour:
    """Colour of a class by its place in the list; one more for those that are not in it."""
    number = class_names.index(label) if label in class_names else -1
    return class_colours(len(class_names) + 1)[number]


def verdict_text(inspection: Inspection) -> str:
    """Verdict, score, spread of the score over its references, and grade: "NG 0.83 ± 0.02 · scrap"."""
    score = "" if inspection.score is None else f" {inspection.score:.2f}"
    spread = "" if inspection.spread is None else f" ± {inspection.spread:.2f}"
    grade = f" · {inspection.grade}" if inspection.grade else ""
    return f"{inspection.verdict}{score}{spread}{grade}"


def defect_figures(defect: Defect) -> str:
    """Confidence, severity and size in mm, as far as they are known: "0.91 · severity 7.3"."""
    severity = "" if defect.severity_max is None else f" · severity {defect.severity_max:.1f}"
    size = f" · {defect.size_text}" if defect.mm_per_px else ""
    return f"{defect.confidence:.2f}{severity}{size}"


def weight(defect: Defect) -> tuple[float, float, float]:
    return defect.severity_max or 0.0, defect.confidence, defect.area


def box_area(defect: Defect) -> float:
    left, top, right, bottom = defect.box_xyxy
    return (right - left) * (bottom - top)
