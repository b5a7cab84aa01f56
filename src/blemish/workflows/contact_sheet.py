"""Contact sheet of an inspection: small pictures of the images, the worst first, in pages of one size.

However many images there are, few are kept in memory: the worst of `MAX_TILES`, compressed.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from blemish.arrays import Pixels, RgbImage
from blemish.defect import Defect
from blemish.errors import BlemishError
from blemish.files import write_atomically
from blemish.images.drawing import for_screen, mark_defect_, tag_image
from blemish.images.encode import png_bytes
from blemish.images.overlay import PAPER, colour_of, verdict_text, written
from blemish.images.palette import VERDICT_COLOURS
from blemish.images.text import shortened
from blemish.inspection import Inspection, Verdict
from blemish.inspector.found_files import SHEET, sheet_pages
from blemish.inspector.pipeline import Answer
from blemish.workflows.inspection_counts import InspectionCounts
from blemish.workflows.inspection_tables import classes

COLUMNS, ROWS = 6, 7  # tiles of a page
SIDE, GAP, TEXT = 224, 8, 18  # pixels: of a small picture, between tiles, of a line of text
TILE_HEIGHT = SIDE + 2 * TEXT + GAP
PER_PAGE = COLUMNS * ROWS
MAX_TILES = 10 * PER_PAGE
WORST_FIRST = (Verdict.NG, Verdict.REVIEW, Verdict.ERROR, Verdict.OK)
JPEG_QUALITY = 92


@dataclass(frozen=True, order=True)
class Tile:
    """A small picture, compressed, with what its inspection says; greater is worse.

    badness: verdict and score, the higher the worse; order: later images are less bad than equal ones before
    """

    badness: tuple[int, float]
    order: int
    name: str = field(compare=False)
    verdict: Verdict = field(compare=False)
    words: str = field(compare=False)
    classes: str = field(compare=False)
    picture: bytes = field(compare=False)


class ContactSheet:
    """Sheet in a folder, written at the end. class_names: in the order of their colours"""

    def __init__(self, folder: Path, class_names: Sequence[str] = (), *, max_tiles: int = MAX_TILES) -> None:
        self.folder, self.class_names, self.max_tiles = folder, class_names, max_tiles
        self.kept: list[Tile] = []  # a heap, the least bad first
        self.number = 0
        self.failure = ""

    def add(self, answer: Answer) -> None:
        self.number += 1
        inspection = answer.inspection
        badness = badness_of(inspection)
        if len(self.kept) == self.max_tiles and (badness, -self.number) < (
            self.kept[0].badness,
            self.kept[0].order,
        ):
            return
        # Of a web, the defects are in pixels of the whole; the image begins at row `top`.
        defects = inspection.moved(-answer.top).defects
        tile = Tile(
            badness,
            -self.number,
            inspection.image,
            inspection.verdict,
            verdict_text(inspection),
            inspection.error or classes(inspection.defects),
            compressed(small_picture(answer.pixels, defects, self.class_names)),
        )
        keep = heapq.heappushpop if len(self.kept) == self.max_tiles else heapq.heappush
        keep(self.kept, tile)

    def finish(self, record: Path, counts: InspectionCounts) -> None:
        """Write sheet.png, or sheet-01.png and so on; pages of an earlier inspection go."""
        tiles = sorted(self.kept, reverse=True)
        pages = [tiles[start : start + PER_PAGE] for start in range(0, len(tiles), PER_PAGE)]
        try:
            for old in sheet_pages(self.folder):
                old.unlink()
            for number, page in enumerate(pages, start=1):
                name = f"{SHEET}.png" if len(pages) == 1 else f"{SHEET}-{number:02}.png"
                head = heading(counts, len(tiles), number, len(pages))
                write_atomically(self.folder / name, png_bytes(page_image(page, head)))
        except BlemishError as error:
            self.failure = str(error)
        except OSError as error:
            self.failure = f"{error.filename} cannot be replaced: {error.strerror}. Remove it."

    def lack(self) -> str:
        return self.failure


def badness_of(inspection: Inspection) -> tuple[int, float]:
    score = -1.0 if inspection.score is None else inspection.score
    return -WORST_FIRST.index(inspection.verdict), score


def small_picture(pixels: Pixels | None, defects: Sequence[Defect], class_names: Sequence[str]) -> RgbImage:
    """The image in a square of `SIDE` pixels, with its defects marked; an empty square without one."""
    square = np.full((SIDE, SIDE, 3), PAPER, np.uint8)
    if pixels is None:
        return square
    height, width = pixels.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    picture = for_screen(cv2.resize(pixels, size, interpolation=method))
    for defect in defects:
        mark_defect_(picture, defect, colour=colour_of(defect.label, class_names), scale=scale)
    top, left = (SIDE - size[1]) // 2, (SIDE - size[0]) // 2
    square[top : top + size[1], left : left + size[0]] = picture
    return square


def compressed(picture: RgbImage) -> bytes:
    _, data = cv2.imencode(".jpg", picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return data.tobytes()


def heading(counts: InspectionCounts, tiles: int, page: int, pages: int) -> str:
    """What a page shows: "900 images found: …; the worst 420 of them; page 1 of 10"."""
    shown = f"; the worst {tiles} of them" if tiles < counts.images else ""
    return f"{counts.line()}{shown}; page {page} of {pages}"


def page_image(tiles: Sequence[Tile], head: str) -> RgbImage:
    """A page of tiles below its heading, [H, W, 3]; the last page is as long as its tiles ask for."""
    width = COLUMNS * (SIDE + GAP) + GAP
    rows = -(-len(tiles) // COLUMNS)
    page = np.full((GAP + TEXT + GAP + rows * (TILE_HEIGHT + GAP), width, 3), PAPER, np.uint8)
    words = written(shortened(head, TEXT, width - 2 * GAP), TEXT)
    page[GAP : GAP + TEXT, GAP : GAP + words.shape[1]] = words
    for number, tile in enumerate(tiles):
        top = 2 * GAP + TEXT + number // COLUMNS * (TILE_HEIGHT + GAP)
        left = GAP + number % COLUMNS * (SIDE + GAP)
        page[top : top + TILE_HEIGHT, left : left + SIDE] = tile_image(tile)
    return page


def tile_image(tile: Tile) -> RgbImage:
    """A small picture with the image's name, its verdict and its score below, [TILE_HEIGHT, SIDE, 3]."""
    image = np.full((TILE_HEIGHT, SIDE, 3), PAPER, np.uint8)
    picture = cv2.imdecode(np.frombuffer(tile.picture, np.uint8), cv2.IMREAD_COLOR)
    image[:SIDE] = cv2.cvtColor(np.asarray(picture), cv2.COLOR_BGR2RGB)
    cv2.rectangle(image, (0, 0), (SIDE - 1, SIDE - 1), VERDICT_COLOURS[tile.verdict], 2)
    tag = tag_image(shortened(tile.words, TEXT, SIDE), TEXT, VERDICT_COLOURS[tile.verdict])
    found = written(shortened(tile.classes, TEXT, SIDE - tag.shape[1]), TEXT)
    name = written(shortened(tile.name, TEXT, SIDE, from_start=True), TEXT)
    image[SIDE + GAP // 2 :][:TEXT, : tag.shape[1]] = tag
    image[SIDE + GAP // 2 :][:TEXT, tag.shape[1] :][:, : found.shape[1]] = found
    image[SIDE + GAP // 2 + TEXT :][:TEXT, : name.shape[1]] = name
    return image
