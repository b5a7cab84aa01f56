"""The child that reads images: `python -m blemish.station.images.reader`, requests in, pictures out.

A request is a line of JSON on standard input, an answer a line of JSON on standard output and then as many
bytes as it says. Whatever an image does to its decoder, it does to this process alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.station.images.pyramid import (
    Window,
    default_window,
    jpeg,
    levels_of,
    png,
    shown,
    tile_of,
    write_pyramid,
)
from blemish.station.images.tiles import TILE

JPEG, PNG = "image/jpeg", "image/png"


class Reader:
    """Answers requests; the image asked for last stays decoded, with its levels."""

    def __init__(self) -> None:
        self.file = ""
        self.levels: list[Pixels] = []

    def image(self, file: str) -> Pixels:
        """Decoded image of a file."""
        if file != self.file:
            self.file, self.levels = "", []  # the memory goes first
            self.levels = [read_image(Path(file))]
            self.file = file
        return self.levels[-1]

    def answer(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        """Type and bytes of what is asked for. Raises BlemishError for an image that does not read."""
        image = self.image(request["file"])
        if request["do"] == "pyramid":
            write_pyramid(image, Path(request["out"]))
            return "", b""
        if request["do"] == "tile":
            return self.tile(request)
        return picture(self.crop(image, request), request, largest=request["largest"])

    def tile(self, request: Mapping[str, Any]) -> tuple[str, bytes]:
        """Tile that is cut from the image itself."""
        if len(self.levels) == 1:
            self.levels = levels_of(self.levels[0])
        level = request["level"]
        tile = tile_of(self.levels[level], request["x"], request["y"]) if level < len(self.levels) else None
        if tile is None:
            raise BlemishError("The image has no tile there.")
        return picture(tile, request, largest=TILE)

    def crop(self, image: Pixels, request: Mapping[str, Any]) -> Pixels:
        """Part of an image; its corners are moved into the image."""
        height, width = image.shape[:2]
        x0, y0, x1, y1 = request["box"] or (0, 0, width, height)
        x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if x0 >= x1 or y0 >= y1:
            raise BlemishError(f"The crop must lie in the image of {width} × {height} pixels.")
        return image[y0:y1, x0:x1]


def picture(pixels: Pixels, request: Mapping[str, Any], *, largest: int) -> tuple[str, bytes]:
    """Type and bytes of pixels: exactly as they are, as PNG, or as JPEG of at most `largest` a side."""
    height, width = pixels.shape[:2]
    if max(height, width) > largest:
        ratio = largest / max(height, width)
        size = max(1, round(width * ratio)), max(1, round(height * ratio))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    window = None if request["low"] is None else Window(request["low"], request["high"])
    if request["exact"]:
        return PNG, png(pixels if window is None else shown(pixels, window))
    if window is None and pixels.dtype == np.uint16:
        window = default_window(pixels)
    return JPEG, jpeg(shown(pixels, window))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    reader = Reader()
    for line in requests:
        try:
            kind, data = reader.answer(json.loads(line))
            head: dict[str, Any] = {"type": kind, "bytes": len(data)}
        except (BlemishError, OSError, MemoryError) as error:
            head, data = {"error": str(error) or "too little memory", "bytes": 0}, b""
        answers.write(json.dumps(head).encode() + b"\n" + data)
        answers.flush()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    serve(sys.stdin.buffer, sys.stdout.buffer)
