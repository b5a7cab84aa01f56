"""Images of a report: the surroundings of a defect and the whole image, small, with outlines as vectors.

Outlines lie over the image as SVG paths, to stay sharp when zoomed or printed, and heat is an image of its
own, so that both can be switched off.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Box, Pixels, Point
from blemish.errors import BlemishError
from blemish.evaluation.records import ImageRecord
from blemish.evaluation.report.cases import Case
from blemish.images.decode import read_image

CropWindow = tuple[int, int, int, int]  # left, top, right, bottom

CROP_SIDE = 480
WHOLE_SIDE = 240
SURROUNDINGS = 2.4  # side of a crop, in longest sides of its defect
MIN_CROP = 72  # pixels of the image; a smaller crop shows blocks and no surface
MOSTLY_ALL = 0.5  # a crop of more than this share of the image is not shown beside it
MAX_BYTES = 90_000  # of an image
MAX_PATH = 20_000  # characters of outlines on an image
HEAT_SIDE = 96  # pixels of a heat image; the browser smooths it
HEAT_OPACITY = 0.55  # where it is hottest


@dataclass(frozen=True)
class EmbeddedImage:
    """An image embedded in the page, width × height pixels of its own, with outlines over it (SVG path data).

    frame: (x, y, width, height) of the part that the image beside it shows
    heat: transparent image to lay over it, "" where there is none
    """

    uri: str
    width: int
    height: int
    truth: str
    found: str
    under_limit: str
    frame: tuple[float, float, float, float] | None = None
    heat: str = ""


@dataclass(frozen=True)
class CaseImages:
    """Images of a case.

    crop: None where the whole image shows as much; whole: None if unreadable, see `problem`
    """

    crop: EmbeddedImage | None
    whole: EmbeddedImage | None
    problem: str = ""
    stretched: bool = False


def case_images(case: Case) -> CaseImages:
    """Images of a case: read, cut, reduced and encoded."""
    try:
        stored = read_image(case.record.sample.image, channels=3)
    except BlemishError as error:
        return CaseImages(crop=None, whole=None, problem=str(error))
    size = stored.shape[:2]
    window = crop_window(case.box_xyxy, size)
    everything = (0, 0, size[1], size[0])
    stretched = stored.dtype != np.uint8
    if window is None:
        return CaseImages(None, cut(stored, everything, CROP_SIDE, case.record), stretched=stretched)
    crop = cut(stored, window, CROP_SIDE, case.record)
    whole = cut(stored, everything, WHOLE_SIDE, case.record, frame=window)
    return CaseImages(crop, whole, stretched=stretched)


def crop_window(box: Box | None, size: tuple[int, int]) -> CropWindow | None:
    """Square around a box, inside an image of `size`; None where it would be most of the image."""
    if box is None:
        return None
    height, width = size
    side = max(SURROUNDINGS * max(box[2] - box[0], box[3] - box[1]), MIN_CROP)
    columns, rows = min(round(side), width), min(round(side), height)
    if columns * rows > MOSTLY_ALL * width * height:
        return None
    left = round(min(max(0.0, (box[0] + box[2] - columns) / 2), width - columns))
    upper = round(min(max(0.0, (box[1] + box[3] - rows) / 2), height - rows))
    return left, upper, left + columns, upper + rows


def cut(
    image: Pixels,
    window: CropWindow,
    longest: int,
    record: ImageRecord,
    *,
    frame: CropWindow | None = None,
) -> EmbeddedImage:
    """A window of the image, at most `longest` pixels a side, with the record's outlines over it."""
    left, upper, right, lower = window
    scale = min(1.0, longest / max(right - left, lower - upper))
    width, height = max(1, round((right - left) * scale)), max(1, round((lower - upper) * scale))
    part = image[upper:lower, left:right]
    small = part if scale == 1.0 else cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
    zoom = np.array([width / (right - left), height / (lower - upper)])
    truth = [part for defect in record.truth for part in defect.contour or [corners(defect.box_xyxy)]]
    found, under_limit = (
        [part for defect in defects for part in defect.contour or [corners(defect.box_xyxy)]]
        for defects in (record.inspection.defects, record.inspection.under_limit)
    )
    return EmbeddedImage(
        uri=jpeg_uri(eight_bit(small)),
        width=width,
        height=height,
        truth=path_data(truth, window, zoom),
        found=path_data(found, window, zoom),
        under_limit=path_data(under_limit, window, zoom),
        frame=None if frame is None else placed(frame, zoom),
        heat="" if record.heat is None else heat_uri(record.heat, window, image.shape[:2]),
    )


def placed(frame: CropWindow, zoom: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Frame (x, y, width, height) of a window at a zoom along x and y."""
    x, y = float(zoom[0]), float(zoom[1])
    return frame[0] * x, frame[1] * y, (frame[2] - frame[0]) * x, (frame[3] - frame[1]) * y


def corners(box: Box) -> tuple[Point, ...]:
    """Corners of a box as a polygon."""
    return ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))


def eight_bit(image: Pixels) -> NDArray[np.uint8]:
    """Image in 8 bits; 16 bits are stretched from darkest to brightest, as cameras seldom use all of them."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    values = image.astype(np.float32)
    darkest, brightest = float(values.min()), float(values.max())
    return ((values - darkest) * (255.0 / max(brightest - darkest, 1.0))).astype(np.uint8)


def jpeg_uri(image: NDArray[np.uint8]) -> str:
    """Image as a JPEG data URI, of the best quality that keeps within `MAX_BYTES`."""
    for quality in (88, 75, 60, 40, 20):
        _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) <= MAX_BYTES:
            break
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()


def heat_uri(heat: NDArray[np.uint8], window: CropWindow, size: tuple[int, int]) -> str:
    """Heat of a window of an image as a PNG data URI, the hotter the less transparent.

    heat: see `ImageRecord`; size: (height, width) of the image
    """
    share = heat_in(heat, window, size)
    levels = np.rint(255 * share).astype(np.uint8)
    colours = cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)
    alpha = np.rint(255 * HEAT_OPACITY * share).astype(np.uint8)
    _, data = cv2.imencode(".png", np.dstack([colours, alpha]))
    return "data:image/png;base64," + base64.b64encode(data.tobytes()).decode()


def heat_in(heat: NDArray[np.uint8], window: CropWindow, size: tuple[int, int]) -> NDArray[np.float32]:
    """Heat of a window of the image in [0, 1], `HEAT_SIDE` pixels at its longer side."""
    left, upper, right, lower = window
    scale = HEAT_SIDE / max(right - left, lower - upper)
    width, height = max(1, round((right - left) * scale)), max(1, round((lower - upper) * scale))
    columns = (left + (np.arange(width, dtype=np.float32) + 0.5) / width * (right - left)) / size[1]
    rows = (upper + (np.arange(height, dtype=np.float32) + 0.5) / height * (lower - upper)) / size[0]
    x, y = np.meshgrid(columns * heat.shape[1] - 0.5, rows * heat.shape[0] - 0.5)
    unit = heat.astype(np.float32) / np.float32(255)
    return cv2.remap(
        unit, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def path_data(outlines: Iterable[Sequence[Point]], window: CropWindow, zoom: NDArray[np.float64]) -> str:
    """SVG path of the outlines that reach into the window, up to about `MAX_PATH` characters."""
    pieces: list[str] = []
    room = MAX_PATH
    for outline in outlines:
        points = (np.asarray(outline, dtype=np.float64).reshape(-1, 2) - window[:2]) * zoom
        if reaches(points, window, zoom) and room > 0:
            pieces.append(closed_path(points, max_length=room))
            room -= len(pieces[-1])
    return "".join(pieces)


def closed_path(points: NDArray[np.float64], *, max_length: int) -> str:
    """SVG path of an outline to half a pixel, or coarser where longer than `max_length` characters."""
    for tolerance in (0.5, 1.0, 2.0, 4.0):
        simple = cv2.approxPolyDP(points.astype(np.float32), tolerance, True).reshape(-1, 2)
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (simple if len(simple) > 1 else points)) + "Z"
        if len(path) <= max_length:
            break
    return path


def reaches(points: NDArray[np.float64], window: CropWindow, zoom: NDArray[np.float64]) -> bool:
    """True where an outline [N, 2], moved and zoomed to the window, reaches into it."""
    if len(points) == 0:
        return False
    extent = np.array([window[2] - window[0], window[3] - window[1]]) * zoom
    return bool((points.max(axis=0) >= 0).all() and (points.min(axis=0) <= extent).all())
