"""Images: the file as it came, tiles of its pyramid, crops."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response
from sqlalchemy.orm import Session

from blemish.station.database.parts import ImageRow
from blemish.station.images.tiles import TILE, level_count, stored_tile
from blemish.station.images.worker import ImageUnreadableError, Picture, View
from blemish.station.server.errors import ApiError, not_found
from blemish.station.server.fields import Sha256
from blemish.station.server.identity import role
from blemish.station.server.routes.inspections import Image, image_answer
from blemish.station.server.state import Reading, Station, TheStation

router = APIRouter(tags=["images"])
FOREVER = {"Cache-Control": "private, max-age=31536000, immutable"}
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".tif": "image/tiff",
         ".tiff": "image/tiff", ".bmp": "image/bmp", ".webp": "image/webp"}  # fmt: skip
Low = Annotated[int | None, Query(ge=0, le=65535, description="16-bit value that is shown black.")]
High = Annotated[int | None, Query(ge=0, le=65535, description="16-bit value that is shown white.")]
Place = Annotated[int, InPath(ge=0, le=2**20)]
MAX_EDGE = 2**31
Edge = Annotated[int, Query(ge=0, le=MAX_EDGE)]
PICTURE: dict[str, Any] = {
    "responses": {200: {"content": {"image/jpeg": {}, "image/png": {}}}},
    "response_class": Response,
}


class ImageInFull(Image):
    """An image with its pyramid. levels: the last is the image itself; tile_size: pixels a side"""

    levels: int
    tile_size: int


@router.get("/images/{sha256}", openapi_extra=role("viewer"))
def image(sha256: Sha256, reading: Reading) -> ImageInFull:
    """Size, type and pyramid of an image."""
    row = image_row(reading, sha256)
    levels = level_count(row.height, row.width) if row.height and row.width else 0
    return ImageInFull(**image_answer(row).model_dump(), levels=levels, tile_size=TILE)


@router.get("/images/{sha256}/original", openapi_extra=role("viewer"), response_class=FileResponse)
def original(sha256: Sha256, reading: Reading, station: TheStation) -> FileResponse:
    """File of an image, byte for byte as it came."""
    file = image_file(station, image_row(reading, sha256))
    kind = TYPES.get(file.suffix.lower(), "application/octet-stream")
    return FileResponse(file, media_type=kind, filename=file.name, headers=FOREVER)


def window(exact: bool = False, lo: Low = None, hi: High = None) -> View:
    """View of pixels; an edge of the window that is not given is that of the type.

    exact: PNG of the pixels as they are, 16 bits included; lo, hi: the window in which 16 bits are shown
    """
    if lo is None and hi is None:
        return View(exact=exact)
    low, high = lo or 0, 65535 if hi is None else hi
    if low >= high:
        raise ApiError(422, f"lo must be less than hi. Received: {low} and {high}.")
    return View(low, high, exact)


def corners(
    x0: Edge = 0,
    y0: Edge = 0,
    x1: Annotated[Edge, Query(description="Default: the width.")] = MAX_EDGE,
    y1: Annotated[Edge, Query(description="Default: the height.")] = MAX_EDGE,
) -> tuple[int, int, int, int]:
    """Corners of a part of an image."""
    return x0, y0, x1, y1


@router.get("/images/{sha256}/tiles/{level}/{x}_{y}", openapi_extra=role("viewer"), **PICTURE)
def tile(
    sha256: Sha256,
    level: Annotated[int, InPath(ge=0, le=30)],
    x: Place,
    y: Place,
    view: Annotated[View, Depends(window)],
    reading: Reading,
    station: TheStation,
) -> Response:
    """Tile of an image's pyramid, which is made when first asked for."""
    file = image_file(station, image_row(reading, sha256))
    if view != View():
        return picture(lambda: station.images.tile(file, level, x, y, view))
    archive = station.folder.tile_file(sha256)
    if not archive.is_file():
        make_pyramid(station, file, sha256)
    try:
        data = stored_tile(archive, level, x, y)
    except (zipfile.BadZipFile, OSError) as error:
        archive.unlink(missing_ok=True)
        raise ApiError(503, "The tiles were damaged and are made anew. Ask again.") from error
    if data is None:
        raise not_found("tile", f"{level}/{x}_{y}")
    return Response(data, media_type="image/jpeg", headers=FOREVER)


@router.get("/images/{sha256}/crop", openapi_extra=role("viewer"), **PICTURE)
def crop(
    sha256: Sha256,
    box: Annotated[tuple[int, int, int, int], Depends(corners)],
    view: Annotated[View, Depends(window)],
    reading: Reading,
    station: TheStation,
    largest: Annotated[int, Query(ge=1, le=4096, description="Longest side of the picture.")] = 1280,
) -> Response:
    """Part of an image, or the whole, scaled down to `largest` pixels a side: for lists and thumbnails."""
    file = image_file(station, image_row(reading, sha256))
    return picture(lambda: station.images.crop(file, box, largest, view))


def image_row(session: Session, sha256: str) -> ImageRow:
    """Row of an image. Raises ApiError 404 where there is none."""
    row = session.get(ImageRow, sha256)
    if row is None:
        raise not_found("image", sha256)
    return row


def image_file(station: Station, row: ImageRow) -> Path:
    """File of an image. Raises ApiError 410 where it was not kept, or is kept no longer."""
    file = station.folder.images / row.file if row.file is not None else None
    if file is None or not file.is_file():
        raise ApiError(410, "The pixels of this image were not kept; its record is.")
    return file


def picture(make: Callable[[], Picture]) -> Response:
    """Answer with a picture that the child makes."""
    try:
        made = make()
    except ImageUnreadableError as error:
        raise ApiError(422, str(error)) from error
    return Response(made.data, media_type=made.type, headers=FOREVER)


def make_pyramid(station: Station, file: Path, sha256: str) -> None:
    """Make the tiles of an image, and note that they are there."""
    try:
        station.images.pyramid(file, station.folder.tile_file(sha256))
    except ImageUnreadableError as error:
        raise ApiError(422, str(error)) from error

    def change(session: Session) -> None:
        image_row(session, sha256).tiles = "ready"

    station.write(change)
