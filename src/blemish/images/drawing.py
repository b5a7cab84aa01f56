"""Drawing what was found onto an image: severity or evidence as heat, outlines, boxes, name tags.

Every function returns a new picture, uint8 RGB [H, W, 3]; pixels that nothing is drawn on keep their
values. Points are in pixel-edge coordinates: pixel (x, y) spans x…x+1, so outlines run between pixels.
Colours: Okabe & Ito 2008, "Color Universal Design", told apart by the colour-blind; heat: "inferno".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blemish.arrays import Pixels
from blemish.defect import Box, Defect, Point
from blemish.images.decode import to_bytes
from blemish.inspection import Inspection, Verdict

Colour = tuple[int, int, int]
RgbImage = NDArray[np.uint8]
Contours = Sequence[Sequence[Point]]

FOUND: Colour = (230, 159, 0)
TRUTH: Colour = (86, 180, 233)
VERDICT_COLOURS: dict[Verdict, Colour] = {
    Verdict.OK: (0, 158, 115),
    Verdict.REVIEW: (240, 228, 66),
    Verdict.NG: (213, 94, 0),
    Verdict.ERROR: (150, 150, 150),
}
HIDDEN = 1 / 8  # of a line's width, by which its course may differ unseen
SHIFT = 4  # OpenCV draws at 1/16 pixel
LEAST_CHANGE = 0.49 / 255  # of opacity, under which no value of a pixel rounds to another
STRIP_ROWS = 512  # so that blending a picture of 10^8 pixels needs little memory beside it


def draw_inspection(
    image: Pixels,
    inspection: Inspection,
    *,
    score_map_max: float | None = 12.0,
    opacity: float = 0.55,
) -> RgbImage:
    """The picture that `inspect --overlay` writes: heat where the maps hold any, outlines, tags.

    Of two heat maps, as a chain may have, one is drawn: severity where there are defects, else "heat_map".
    score_map_max: the severity drawn in the hottest colour; None draws none; of the map "heat_map" it is 1
    """
    picture = for_screen(image)  # the one copy, which all else is drawn into
    tops = {"score_map": score_map_max, "heat_map": 1.0}
    for name in ("score_map", "heat_map") if inspection.defects else ("heat_map", "score_map"):
        top = tops[name]
        if top is not None and name in inspection.maps:
            overlay_heatmap_(picture, inspection.maps[name], top=top, opacity=opacity)
            break
    draw_defects_(picture, inspection.defects)
    colour = VERDICT_COLOURS[inspection.verdict]
    draw_label_(picture, verdict_text(inspection), (0.0, 0.0), colour=colour)
    return picture


def verdict_text(inspection: Inspection) -> str:
    """Verdict, score, what the score's references differ by, and the grade."""
    score = "" if inspection.score is None else f" {inspection.score:.2f}"
    spread = "" if inspection.spread is None else f" ± {inspection.spread:.2f}"
    grade = f" · {inspection.grade}" if inspection.grade else ""
    return f"{inspection.verdict}{score}{spread}{grade}"


def draw_defects(image: Pixels, defects: Sequence[Defect]) -> RgbImage:
    """Each defect's outline (its box where it has none) and a tag: name, confidence, severity, mm."""
    picture = for_screen(image)
    draw_defects_(picture, defects)
    return picture


def for_screen(image: Pixels) -> RgbImage:
    """A copy as 8-bit RGB: gray is repeated, 16-bit is divided by 257.

    image: [H, W] or [H, W, 3]
    """
    eight_bit = to_bytes(image)
    if eight_bit.ndim == 3:
        return eight_bit.copy()
    return np.asarray(cv2.cvtColor(eight_bit, cv2.COLOR_GRAY2RGB), np.uint8)


def draw_outlines(
    image: Pixels,
    contours: Contours,
    *,
    colour: Colour,
    thickness: int | None = None,
    dash: float = 0.0,
) -> RgbImage:
    """Closed outlines on a copy of the image.

    contours: polygons of (x, y); thickness: pixels, by default what the image's size asks for
    dash: length of strokes and gaps in pixels, 0 for a solid line
    """
    picture = for_screen(image)
    draw_outlines_(picture, contours, colour=colour, thickness=thickness, dash=dash)
    return picture


def draw_boxes(
    image: Pixels,
    boxes_xyxy: Sequence[Box],
    *,
    colour: Colour,
    thickness: int | None = None,
    dash: float = 0.0,
) -> RgbImage:
    """Boxes on a copy of the image; arguments as in `draw_outlines`."""
    return draw_outlines(image, corners_of(boxes_xyxy), colour=colour, thickness=thickness, dash=dash)


def draw_label(
    image: Pixels,
    text: str,
    corner_xy: Point,
    *,
    colour: Colour,
    height: int | None = None,
) -> RgbImage:
    """A tag with `text` on a copy of the image: top left corner at `corner_xy`, pushed inside the image.

    colour: of the tag; the text is black or white, whichever stands out
    height: pixels, by default what the image's size asks for
    """
    picture = for_screen(image)
    draw_label_(picture, text, corner_xy, colour=colour, height=height)
    return picture


def blend_severity(
    image: Pixels,
    severity_map: NDArray[np.float32],
    *,
    top: float,
    opacity: float = 0.55,
) -> RgbImage:
    """Severity laid over the image as heat, the more severe the less transparent; ≤ 0 changes nothing.

    severity_map: [H, W]; top: the severity drawn in the hottest colour and at full `opacity` in [0, 1]
    """
    if severity_map.shape != image.shape[:2]:
        raise ValueError(
            f"severity map must have the image's size {image.shape[:2]}. Received: {severity_map.shape}"
        )
    picture = for_screen(image)
    overlay_heatmap_(picture, severity_map, top=top, opacity=opacity)
    return picture


def overlay_heatmap_(
    picture: RgbImage, heat_map: NDArray[np.generic], *, top: float, opacity: float = 0.55
) -> None:
    """`blend_severity` into the picture itself. heat_map: [H, W], of any dtype"""
    for start in range(0, len(picture), STRIP_ROWS):
        strip, values = picture[start : start + STRIP_ROWS], heat_map[start : start + STRIP_ROWS]
        # What is less changes no pixel by as much as rounds up.
        hot = opacity * np.nan_to_num(values.astype(np.float32, copy=False)) >= top * LEAST_CHANGE
        if hot.any():
            strip[hot] = heated(strip[hot], values[hot].astype(np.float32), top, opacity)


def heated(colours: RgbImage, severities: NDArray[np.float32], top: float, opacity: float) -> RgbImage:
    """Pixels [N, 3] with their severities [N] laid over them."""
    share = np.clip(np.nan_to_num(severities) / top, 0.0, 1.0)
    heat = cv2.applyColorMap((share * 255).astype(np.uint8)[None], cv2.COLORMAP_INFERNO)[0, :, ::-1]
    alpha = (opacity * share)[:, None]
    return np.rint(colours * (1.0 - alpha) + heat * alpha).astype(np.uint8)


def draw_defects_(picture: RgbImage, defects: Sequence[Defect]) -> None:
    """`draw_defects` into the picture itself."""
    draw_outlines_(picture, [part for defect in defects for part in defect.contour], colour=FOUND)
    boxes = [defect.box_xyxy for defect in defects if not defect.contour]
    draw_outlines_(picture, corners_of(boxes), colour=FOUND)
    for defect in defects:
        draw_label_(picture, defect_text(defect), label_corner(defect, picture), colour=FOUND)


def draw_outlines_(
    picture: RgbImage,
    contours: Contours,
    *,
    colour: Colour,
    thickness: int | None = None,
    dash: float = 0.0,
) -> None:
    """`draw_outlines` into the picture itself, without the corners that so thick a line hides."""
    width = thickness or line_width(picture)
    for contour in contours:
        strokes = (
            [to_drawing(thinned(contour, width * HIDDEN))]
            if dash <= 0
            else [to_drawing(part) for part in dashes(contour, dash)]
        )
        cv2.polylines(picture, strokes, dash <= 0, colour, width, cv2.LINE_AA, SHIFT)


def thinned(contour: Sequence[Point], tolerance: float) -> NDArray[np.float64]:
    """The polygon with fewer corners, [N, 2], nowhere further from the first than that, in pixels; below half
    a pixel as it is.
    """
    corners = np.asarray(contour, dtype=np.float64)
    if tolerance < 0.5:
        return corners
    origin = corners.min(axis=0)
    fewer = cv2.approxPolyDP((corners - origin).astype(np.float32), tolerance, closed=True)
    return fewer.reshape(-1, 2) + origin


def corners_of(boxes_xyxy: Sequence[Box]) -> Contours:
    """Each box as a polygon."""
    return [((x0, y0), (x1, y0), (x1, y1), (x0, y1)) for x0, y0, x1, y1 in boxes_xyxy]


def line_width(image: NDArray[np.generic]) -> int:
    """A line to be seen when the whole image fills a screen: 1 px up to 900 px of diagonal, 25 at 15,000."""
    return max(1, round(float(np.hypot(*image.shape[:2])) / 600))


def label_height(image: NDArray[np.generic]) -> int:
    """Height of a tag that can be read when the whole image fills a screen."""
    return max(16, round(float(np.hypot(*image.shape[:2])) / 45))


def label_corner(defect: Defect, image: NDArray[np.generic]) -> Point:
    """Where a defect's tag hides least: above it, or below it where the verdict's tag may be above."""
    x_min, y_min, _, y_max = defect.box_xyxy
    tag, gap = label_height(image), line_width(image)
    return (x_min, y_min - gap - tag) if y_min - gap >= 2 * tag else (x_min, y_max + gap)


def defect_text(defect: Defect) -> str:
    severity = "" if defect.severity_max is None else f" · severity {defect.severity_max:.1f}"
    size = f" · {defect.size_text}" if defect.mm_per_px else ""
    return f"{defect.label} {defect.confidence:.2f}{severity}{size}"


def to_drawing(points: Sequence[Point] | NDArray[np.float64]) -> NDArray[np.int32]:
    """Pixel-edge coordinates as OpenCV's fixed point, whose integers are pixel centres."""
    centred = np.asarray(points, dtype=np.float64).reshape(-1, 2) - 0.5
    fixed: NDArray[np.int32] = np.rint(centred * 2**SHIFT).astype(np.int32)
    return fixed


def dashes(contour: Sequence[Point], dash: float) -> Iterator[NDArray[np.float64]]:
    """The strokes of a closed outline, each [N, 2] points that follow its corners."""
    points = np.asarray([*contour, contour[0]], dtype=np.float64)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    for start in np.arange(0.0, travelled[-1], 2 * dash):
        end = min(start + dash, travelled[-1])
        corners = travelled[(travelled > start) & (travelled < end)]
        at = np.concatenate([[start], corners, [end]])
        yield np.stack([np.interp(at, travelled, points[:, axis]) for axis in (0, 1)], axis=1)


def draw_label_(
    picture: RgbImage, text: str, corner_xy: Point, *, colour: Colour, height: int | None = None
) -> None:
    """Write a tag into the picture itself; a tag larger than the picture is cut off at right and bottom."""
    rows, columns = picture.shape[:2]
    ink = text_mask(text, height or label_height(picture))[:rows, :columns]
    left = int(min(max(0, round(corner_xy[0])), columns - ink.shape[1]))
    upper = int(min(max(0, round(corner_xy[1])), rows - ink.shape[0]))
    tag = cv2.LUT(cv2.cvtColor(ink, cv2.COLOR_GRAY2RGB), inked(colour))
    picture[upper : upper + ink.shape[0], left : left + ink.shape[1]] = tag


@lru_cache(maxsize=16)
def inked(colour: Colour) -> RgbImage:
    """The colours from a tag of that colour to its text, by how much ink there is, [1, 256, 3]."""
    strength = np.arange(256, dtype=np.float32)[:, None] / 255.0
    shades = np.array(colour, dtype=np.float32) * (1.0 - strength) + text_shade(colour) * strength
    return np.rint(shades).astype(np.uint8)[None]


def text_shade(colour: Colour) -> float:
    """Black on bright colours, white on dark ones."""
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return 0.0 if luminance > 128 else 255.0


@lru_cache(maxsize=256)
def text_mask(text: str, height: int) -> RgbImage:
    """The text in one line, 255 on the letters: [height, width]. Signs the font lacks show as boxes."""
    line = " ".join(text.split())
    font = font_of(height)
    padding = max(2, height // 5)
    width = round(font.getlength(line)) + 2 * padding
    sheet = Image.new("L", (width, height))
    ImageDraw.Draw(sheet).text((padding, height / 2), line, fill=255, font=font, anchor="lm")
    return np.asarray(sheet)


@lru_cache(maxsize=16)
def font_of(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """For tags of that height; reading it takes longer than writing a word."""
    return ImageFont.load_default(size=0.7 * height)
