"""Shapes that people draw on an image: boxes, turned boxes, polygons, masks, or the image as a whole.

Coordinates are pixels of the image as decoded, half-open as everywhere: the first pixel is [0, 0, 1, 1].
A mask is COCO's run lengths of its box: column by column, zeros first.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

MAX_EDGE = 2**26
MAX_POINTS = 20_000
MAX_RUNS = 4_000_000
Coordinate = Annotated[float, Field(ge=-MAX_EDGE, le=MAX_EDGE)]
Pixel = Annotated[int, Field(ge=0, le=MAX_EDGE)]
Point = tuple[Coordinate, Coordinate]


class Shape(BaseModel):
    """Shape that does not change; a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class BoxShape(Shape):
    kind: Literal["box"]
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    """x0, y0, x1, y1; half-open."""

    @model_validator(mode="after")
    def has_area(self) -> BoxShape:
        x0, y0, x1, y1 = self.box
        if not (x0 < x1 and y0 < y1):
            raise ValueError("a box must have x0 < x1 and y0 < y1")
        return self


class TurnedBoxShape(Shape):
    kind: Literal["turned_box"]
    center: Point
    length: Annotated[float, Field(gt=0, le=MAX_EDGE)]
    width: Annotated[float, Field(gt=0, le=MAX_EDGE)]
    angle_deg: Annotated[float, Field(ge=-180, le=180)]
    """Of the length against the x axis, clockwise as the image is seen."""


class PolygonShape(Shape):
    kind: Literal["polygon"]
    rings: Annotated[list[Annotated[list[Point], Field(min_length=3)]], Field(min_length=1, max_length=1000)]
    """Outlines, each closed by itself, one a part."""

    @model_validator(mode="after")
    def is_drawable(self) -> PolygonShape:
        if sum(map(len, self.rings)) > MAX_POINTS:
            raise ValueError(f"a polygon must have at most {MAX_POINTS} points; draw a mask instead")
        return self


class MaskShape(Shape):
    kind: Literal["mask"]
    box: tuple[Pixel, Pixel, Pixel, Pixel]
    """x0, y0, x1, y1 of the part of the image that the runs fill; half-open."""
    counts: Annotated[list[Annotated[int, Field(ge=0, le=2**53)]], Field(min_length=1, max_length=MAX_RUNS)]
    """COCO's run lengths of that part: column by column, zeros first."""

    @model_validator(mode="after")
    def fills_its_box(self) -> MaskShape:
        x0, y0, x1, y1 = self.box
        if not (x0 < x1 and y0 < y1):
            raise ValueError("a mask's box must have x0 < x1 and y0 < y1")
        if sum(self.counts) != (x1 - x0) * (y1 - y0):
            raise ValueError("a mask's counts must sum to the pixels of its box")
        if not sum(self.counts[1::2]):
            raise ValueError("a mask must have a pixel; remove it instead")
        return self


class WholeImageShape(Shape):
    kind: Literal["whole_image"]


AnyShape = Annotated[
    BoxShape | TurnedBoxShape | PolygonShape | MaskShape | WholeImageShape, Field(discriminator="kind")
]
SHAPES: TypeAdapter[AnyShape] = TypeAdapter(AnyShape)


def stored(shape: AnyShape) -> tuple[dict[str, Any], bytes | None]:
    """Geometry and packed runs of a shape, as the database has them."""
    fields = shape.model_dump(mode="json", exclude={"kind", "counts"})
    return fields, packed(shape.counts) if isinstance(shape, MaskShape) else None


def restored(kind: str, geometry: dict[str, Any], mask: bytes | None) -> AnyShape:
    """Shape from what the database has."""
    runs = {} if mask is None else {"counts": unpacked(mask)}
    return SHAPES.validate_python({"kind": kind, **geometry, **runs})


def packed(counts: list[int]) -> bytes:
    """Runs as compressed bytes: 8 a run, little-endian."""
    return zlib.compress(struct.pack(f"<{len(counts)}Q", *counts), 6)


def unpacked(data: bytes) -> list[int]:
    """Runs from compressed bytes."""
    raw = zlib.decompress(data)
    return list(struct.unpack(f"<{len(raw) // 8}Q", raw))


def inside_image(shape: AnyShape, height: int, width: int) -> bool:
    """True where a shape has a part in the image; a mask must lie in it as a whole."""
    if isinstance(shape, MaskShape):
        return shape.box[2] <= width and shape.box[3] <= height
    x0, y0, x1, y1 = extent(shape, height, width)
    return x0 < width and y0 < height and x1 > 0 and y1 > 0


def extent(shape: AnyShape, height: int, width: int) -> tuple[float, float, float, float]:
    """Box around a shape, xyxy. height, width: of the image"""
    if isinstance(shape, BoxShape | MaskShape):
        return shape.box
    if isinstance(shape, WholeImageShape):
        return 0, 0, width, height
    points = [point for ring in rings_of(shape) for point in ring]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def rings_of(shape: TurnedBoxShape | PolygonShape) -> list[list[Point]]:
    """Outlines of a shape."""
    if isinstance(shape, PolygonShape):
        return shape.rings
    (x, y), angle = shape.center, math.radians(shape.angle_deg)
    along = (math.cos(angle) * shape.length / 2, math.sin(angle) * shape.length / 2)
    across = (-math.sin(angle) * shape.width / 2, math.cos(angle) * shape.width / 2)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [[(x + a * along[0] + b * across[0], y + a * along[1] + b * across[1]) for a, b in signs]]


def whole_image_counts(shape: MaskShape, height: int, width: int) -> list[int]:
    """COCO's run lengths of a mask over the whole image [height, width]."""
    x0, y0, x1, y1 = shape.box
    counts = [x0 * height]
    runs, value, rows = iter(shape.counts), False, y1 - y0
    left = next(runs)

    def add(length: int, ones: bool) -> None:
        if not length:
            return
        if (len(counts) % 2 == 0) == ones:
            counts[-1] += length
        else:
            counts.append(length)

    for _ in range(x0, x1):
        add(y0, ones=False)
        column = rows
        while column:
            while not left:
                left, value = next(runs), not value
            step = min(left, column)
            add(step, ones=value)
            left, column = left - step, column - step
        add(height - y1, ones=False)
    add((width - x1) * height, ones=False)
    return counts
