"""Drawing of findings onto an image: severity or evidence as heat, outlines, boxes, name tags.

Functions return a new image, uint8 RGB [H, W, 3]; those whose name ends in "_" draw into the one they are
given. Pixels that nothing is drawn on keep their values. Points are in pixel-edge coordinates: pixel (x, y)
spans x…x+1, so outlines run between pixels.
Colours: Okabe & Ito 2008, "Color Universal Design", told apart by the colour-blind; heat: "inferno".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from blemish.arrays import Colour, Pixels, Point, RgbImage
from blemish.defect import Defect
from blemish.images.decode import to_bytes
from blemish.inspection import Inspection, Verdict

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
MIN_CHANGE = 0.49 / 255  # of opacity, under which no value of a pixel rounds to another
STRIP_ROWS = 512  # so that blending an image of 10^8 pixels needs little memory beside it


def draw_inspection(
    image: Pixels,
    inspection: Inspection,
    *,
    score_map_max: float | None = 12.0,
    opacity: float = 0.55,
) -> RgbImage:
    """The image with heat where the maps hold any, outlines and tags, as `inspect --overlay` writes it.

    Of two heat maps, as a chain may have, one is drawn: severity where there are defects, else "heat_map".
    image: [H, W] or [H, W, 3]; returns: [H, W, 3]
    score_map_max: the severity drawn in the hottest colour; None draws none; of the map "heat_map" it is 1
    opacity: where it is hottest, in [0, 1]
    """
    canvas = for_screen(image)  # the one copy, which all else is drawn into
    tops = {"score_map": score_map_max, "heat_map": 1.0}
    for name in ("score_map", "heat_map") if inspection.defects else ("heat_map", "score_map"):
        top = tops[name]
        if top is not None and name in inspection.maps:
            overlay_heatmap_(canvas, inspection.maps[name], top=top, opacity=opacity)
            break
    draw_defects_(canvas, inspection.defects)
    colour = VERDICT_COLOURS[inspection.verdict]
    draw_label_(canvas, verdict_text(inspection), (0.0, 0.0), colour=colour)
    return canvas


def verdict_text(inspection: Inspection) -> str:
    """Verdict, score, spread of the score over its references, and grade: "NG 0.83 ± 0.02 · scrap"."""
    score = "" if inspection.score is None else f" {inspection.score:.2f}"
    spread = "" if inspection.spread is None else f" ± {inspection.spread:.2f}"
    grade = f" · {inspection.grade}" if inspection.grade else ""
    return f"{inspection.verdict}{score}{spread}{grade}"


def draw_defects(image: Pixels, defects: Sequence[Defect]) -> RgbImage:
    """A copy with each defect's outline, or box where it has none, and a tag: name, confidence, sizes."""
    canvas = for_screen(image)
    draw_defects_(canvas, defects)
    return canvas


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
    canvas = for_screen(image)
    draw_outlines_(canvas, contours, colour=colour, thickness=thickness, dash=dash)
    return canvas


def draw_label(
    image: Pixels,
    text: str,
    corner_xy: Point,
    *,
    colour: Colour,
    height: int | None = None,
) -> RgbImage:
    """A copy with a tag that says `text`: its top left corner at `corner_xy`, pushed inside the image.

    colour: of the tag; the text is black or white, whichever stands out
    height: pixels, by default what the image's size asks for
    """
    canvas = for_screen(image)
    draw_label_(canvas, text, corner_xy, colour=colour, height=height)
    return canvas


def blend_severity(
    image: Pixels,
    severity_map: NDArray[np.float32],
    *,
    top: float,
    opacity: float = 0.55,
) -> RgbImage:
    """A copy with severity laid over it as heat, the more severe the less transparent; ≤ 0 changes nothing.

    severity_map: [H, W]; top: the severity drawn in the hottest colour and at full `opacity` in [0, 1]
    Raises ValueError for a map of another size.
    """
    if severity_map.shape != image.shape[:2]:
        raise ValueError(
            f"The severity map must have the image's size {image.shape[:2]}. Received: {severity_map.shape}."
        )
    canvas = for_screen(image)
    overlay_heatmap_(canvas, severity_map, top=top, opacity=opacity)
    return canvas


def overlay_heatmap_(
    canvas: RgbImage, heat_map: NDArray[np.generic], *, top: float, opacity: float = 0.55
) -> None:
    """Lay a map over the canvas as heat, see `blend_severity`.

    canvas: [H, W, 3]; heat_map: [H, W], any dtype
    """
    for start in range(0, len(canvas), STRIP_ROWS):
        strip, values = canvas[start : start + STRIP_ROWS], heat_map[start : start + STRIP_ROWS]
        # Anything below changes no pixel by as much as rounds up.
        hot = opacity * np.nan_to_num(values.astype(np.float32, copy=False)) >= top * MIN_CHANGE
        if hot.any():
            strip[hot] = heated(strip[hot], values[hot].astype(np.float32), top, opacity)


def heated(colours: RgbImage, severities: NDArray[np.float32], top: float, opacity: float) -> RgbImage:
    """Pixels [N, 3] with severities [N] laid over them as heat; returns: [N, 3]"""
    share = np.clip(np.nan_to_num(severities) / top, 0.0, 1.0)
    heat = cv2.applyColorMap((share * 255).astype(np.uint8)[None], cv2.COLORMAP_INFERNO)[0, :, ::-1]
    alpha = (opacity * share)[:, None]
    return np.rint(colours * (1.0 - alpha) + heat * alpha).astype(np.uint8)


def draw_defects_(canvas: RgbImage, defects: Sequence[Defect]) -> None:
    """Draw each defect's outline and tag into the canvas, see `draw_defects`. canvas: [H, W, 3]"""
    draw_outlines_(canvas, [part for defect in defects for part in defect.contour], colour=FOUND)
    boxes = [defect.box_xyxy for defect in defects if not defect.contour]
    corners = [((x0, y0), (x1, y0), (x1, y1), (x0, y1)) for x0, y0, x1, y1 in boxes]
    draw_outlines_(canvas, corners, colour=FOUND)
    tag, gap = label_height(canvas), line_width(canvas)
    for defect in defects:
        x_min, y_min, _, y_max = defect.box_xyxy
        # Above the defect, or below it where the verdict's tag may be above.
        upper = y_min - gap - tag if y_min - gap >= 2 * tag else y_max + gap
        draw_label_(canvas, defect_text(defect), (x_min, upper), colour=FOUND)


def draw_outlines_(
    canvas: RgbImage,
    contours: Contours,
    *,
    colour: Colour,
    thickness: int | None = None,
    dash: float = 0.0,
) -> None:
    """Draw closed outlines into the canvas, without the corners that a line of this width hides.

    canvas: [H, W, 3]; the other arguments as in `draw_outlines`
    """
    width = thickness or line_width(canvas)
    for contour in contours:
        strokes = (
            [to_drawing(thinned(contour, width * HIDDEN))]
            if dash <= 0
            else [to_drawing(part) for part in dashes(contour, dash)]
        )
        cv2.polylines(canvas, strokes, dash <= 0, colour, width, cv2.LINE_AA, SHIFT)


def thinned(contour: Sequence[Point], tolerance: float) -> NDArray[np.float64]:
    """The polygon with fewer corners, [N, 2], off by at most `tolerance` pixels; unchanged below 0.5."""
    corners = np.asarray(contour, dtype=np.float64)
    if tolerance < 0.5:
        return corners
    origin = corners.min(axis=0)
    fewer = cv2.approxPolyDP((corners - origin).astype(np.float32), tolerance, closed=True)
    return fewer.reshape(-1, 2) + origin


def line_width(image: NDArray[np.generic]) -> int:
    """Width of a line seen when the whole image fills a screen: 1 px to a diagonal of 900, 25 at 15,000."""
    return max(1, round(float(np.hypot(*image.shape[:2])) / 600))


def label_height(image: NDArray[np.generic]) -> int:
    """Height in pixels of a tag that can be read when the whole image fills a screen."""
    return max(16, round(float(np.hypot(*image.shape[:2])) / 45))


def defect_text(defect: Defect) -> str:
    severity = "" if defect.severity_max is None else f" · severity {defect.severity_max:.1f}"
    size = f" · {defect.size_text}" if defect.mm_per_px else ""
    return f"{defect.label} {defect.confidence:.2f}{severity}{size}"


def to_drawing(points: Sequence[Point] | NDArray[np.float64]) -> NDArray[np.int32]:
    """Points [N, 2] in pixel-edge coordinates as OpenCV's fixed point, whose integers are pixel centres."""
    centred = np.asarray(points, dtype=np.float64).reshape(-1, 2) - 0.5
    fixed: NDArray[np.int32] = np.rint(centred * 2**SHIFT).astype(np.int32)
    return fixed


def dashes(contour: Sequence[Point], dash: float) -> Iterator[NDArray[np.float64]]:
    """Strokes of a dashed closed outline, each [N, 2] points that follow its corners. dash: pixels"""
    points = np.asarray([*contour, contour[0]], dtype=np.float64)
    travelled = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    for start in np.arange(0.0, travelled[-1], 2 * dash):
        end = min(start + dash, travelled[-1])
        corners = travelled[(travelled > start) & (travelled < end)]
        at = np.concatenate([[start], corners, [end]])
        yield np.stack([np.interp(at, travelled, points[:, axis]) for axis in (0, 1)], axis=1)


def draw_label_(
    canvas: RgbImage, text: str, corner_xy: Point, *, colour: Colour, height: int | None = None
) -> None:
    """Draw a tag into the canvas, pushed inside it; a larger one is cut off at right and bottom.

    canvas: [H, W, 3]; the other arguments as in `draw_label`
    """
    rows, columns = canvas.shape[:2]
    ink = text_mask(text, height or label_height(canvas))[:rows, :columns]
    left = int(min(max(0, round(corner_xy[0])), columns - ink.shape[1]))
    upper = int(min(max(0, round(corner_xy[1])), rows - ink.shape[0]))
    tag = cv2.LUT(cv2.cvtColor(ink, cv2.COLOR_GRAY2RGB), inked(colour))
    canvas[upper : upper + ink.shape[0], left : left + ink.shape[1]] = tag


@lru_cache(maxsize=16)
def inked(colour: Colour) -> NDArray[np.uint8]:
    """Lookup table [1, 256, 3] from no ink, the tag's colour, to full ink, its text's."""
    strength = np.arange(256, dtype=np.float32)[:, None] / 255.0
    shades = np.array(colour, dtype=np.float32) * (1.0 - strength) + text_shade(colour) * strength
    return np.rint(shades).astype(np.uint8)[None]


def text_shade(colour: Colour) -> float:
    """Gray level of text on a colour: 0 on bright ones, 255 on dark ones."""
    luminance = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]
    return 0.0 if luminance > 128 else 255.0


@lru_cache(maxsize=256)
def text_mask(text: str, height: int) -> NDArray[np.uint8]:
    """The text in one line, 255 on the letters: [height, width].

    Characters that the font lacks show as boxes.
    """
    line = " ".join(text.split())
    font = font_of(height)
    padding = max(2, height // 5)
    width = round(font.getlength(line)) + 2 * padding
    sheet = Image.new("L", (width, height))
    ImageDraw.Draw(sheet).text((padding, height / 2), line, fill=255, font=font, anchor="lm")
    return np.asarray(sheet)


@lru_cache(maxsize=16)
def font_of(height: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Font for tags of a height in pixels, kept because reading it takes longer than writing a word."""
    return ImageFont.load_default(size=0.7 * height)
