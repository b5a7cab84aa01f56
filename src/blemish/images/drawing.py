"""Drawing on images: defects marked around, heat, outlines, tags.

Functions return a new image, uint8 RGB [H, W, 3]; those whose name ends in "_" draw into the one they are
given. Pixels that nothing is drawn on keep their values. Points are in pixel-edge coordinates: pixel (x, y)
spans x…x+1, so outlines run between pixels. Heat: "inferno".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Colour, Pixels, Point, RgbImage
from blemish.defect import Defect
from blemish.images.decode import to_bytes
from blemish.images.palette import ORANGE, SKY_BLUE, text_shade
from blemish.images.text import text_mask
from blemish.regions.polygons import filled

Contours = Sequence[Sequence[Point]]

FOUND: Colour = ORANGE
TRUTH: Colour = SKY_BLUE
CASING: Colour = (0, 0, 0)  # beside every line, so that it is seen on a ground of its own colour
HIDDEN = 1 / 8  # of a line's width, by which its course may differ unseen
SHIFT = 4  # OpenCV draws at 1/16 pixel
MIN_CHANGE = 0.49 / 255  # of opacity, under which no value of a pixel rounds to another
STRIP_ROWS = 512  # so that blending an image of 10^8 pixels needs little memory beside it


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


def mark_defect_(canvas: RgbImage, defect: Defect, *, colour: Colour, scale: float = 1) -> None:
    """Draw a line around the defect, along its outline or its box; pixels of the defect stay as they are.

    At the edges of the canvas alone the line runs on the defect. canvas: [H, W, 3], `scale` times the image
    """
    width = line_width(canvas)
    if defect.contour and not is_box(defect):
        surround_(canvas, [scale * np.asarray(part) for part in defect.contour], colour, width)
    else:
        left, top, right, bottom = (scale * value for value in defect.box_xyxy)
        frame_(canvas, (int(left), int(top), int(np.ceil(right)), int(np.ceil(bottom))), colour, width)


def frame_(canvas: RgbImage, box: tuple[int, int, int, int], colour: Colour, width: int) -> None:
    """Draw a line and its casing around a box: left, top, right, bottom in whole pixels."""
    rows, columns = canvas.shape[:2]
    casing = casing_width(width)
    room = width + 2 * casing
    left, top = max(box[0] - room, 0), max(box[1] - room, 0)
    right, bottom = min(box[2] + room, columns), min(box[3] + room, rows)
    for inset, thickness, shade in ((0, room, CASING), (casing, width, colour)):
        ring = canvas[top + inset : bottom - inset, left + inset : right - inset]
        for side in (ring[:thickness], ring[-thickness:], ring[:, :thickness], ring[:, -thickness:]):
            side[:] = shade


def is_box(defect: Defect) -> bool:
    """True where the outline of a defect is its box."""
    left, top, right, bottom = defect.box_xyxy
    return len(defect.contour) == 1 and set(defect.contour[0]) == {
        *((left, top), (right, top), (right, bottom), (left, bottom))
    }


def surround_(canvas: RgbImage, parts: Sequence[NDArray[np.float64]], colour: Colour, width: int) -> None:
    """Draw a line of `width` pixels and its casing around each of the polygons [N, 2], outside of them."""
    rows, columns = canvas.shape[:2]
    room = 2 * width + 2
    low, high = np.concatenate(parts).min(axis=0) - room, np.concatenate(parts).max(axis=0) + room
    left, top = (int(value) for value in np.maximum(0, np.floor(low)))
    right, bottom = (int(value) for value in np.minimum((columns, rows), np.ceil(high)))
    if left >= right or top >= bottom:
        return
    part_of_canvas = np.ascontiguousarray(canvas[top:bottom, left:right])
    inside = np.zeros((bottom - top, right - left), np.bool_)
    for part in parts:
        inside |= filled(part - (left, top), (bottom - top, right - left))
    # There is no outside beyond the edges of the image: there the line stays.
    for edge, strip in (
        (top == 0, inside[:width]),
        (left == 0, inside[:, :width]),
        (bottom == rows, inside[-width:]),
        (right == columns, inside[:, -width:]),
    ):
        if edge:
            strip[:] = False
    kept = part_of_canvas[inside]
    for part in parts:
        draw_cased_(
            part_of_canvas, thinned(part - (left, top), width * HIDDEN), colour, 2 * width, closed=True
        )
    part_of_canvas[inside] = kept
    canvas[top:bottom, left:right] = part_of_canvas


def draw_cased_(
    canvas: RgbImage,
    points: Sequence[Point] | NDArray[np.float64],
    colour: Colour,
    width: int,
    *,
    closed: bool,
) -> None:
    """Draw a line through points, `width` pixels wide, with black on both of its sides."""
    line = [to_drawing(points)]
    cv2.polylines(canvas, line, closed, CASING, width + 2 * casing_width(width), cv2.LINE_AA, SHIFT)
    cv2.polylines(canvas, line, closed, colour, width, cv2.LINE_AA, SHIFT)


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


def casing_width(width: int) -> int:
    """Width in pixels of the black beside a line of a width."""
    return max(1, width // 3)


def thinned(contour: Sequence[Point] | NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
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


def draw_tag_(canvas: RgbImage, box: tuple[int, int, int, int], text: str, *, colour: Colour) -> None:
    """Draw a filled tag with a line of text into the canvas, with a rim in the text's shade.

    box: left, top, right, bottom in the canvas; the text is cut off at its right end
    colour: of the tag; the text is black or white, whichever stands out
    """
    left, top, right, bottom = box
    tag = tag_image(text, bottom - top, colour)[:, : right - left]
    canvas[top:bottom, left : left + tag.shape[1]] = tag


def tag_image(text: str, height: int, colour: Colour) -> RgbImage:
    """Tag with a line of text, [height, W, 3]."""
    tag = cv2.LUT(cv2.cvtColor(text_mask(text, height), cv2.COLOR_GRAY2RGB), inked(colour))
    rim = max(1, height // 18)
    shade = (text_shade(colour),) * 3
    cv2.rectangle(tag, (0, 0), (tag.shape[1] - 1, height - 1), shade, rim)
    return np.asarray(tag, np.uint8)


@lru_cache(maxsize=64)
def inked(colour: Colour) -> NDArray[np.uint8]:
    """Lookup table [1, 256, 3] from no ink, the tag's colour, to full ink, its text's."""
    strength = np.arange(256, dtype=np.float32)[:, None] / 255.0
    shades = np.array(colour, dtype=np.float32) * (1.0 - strength) + text_shade(colour) * strength
    return np.rint(shades).astype(np.uint8)[None]
