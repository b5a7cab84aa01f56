"""Layout of a TIFF picture in its file, and the layouts that are refused by name.

Letters: S samples of a pixel. Source: TIFF 6.0 (Adobe 1992).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from blemish.errors import BlemishError
from blemish.images.tiff import tags as tag
from blemish.images.tiff.tags import Directory

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK, YCBCR, BAYER = 0, 1, 2, 3, 5, 6, 32803
NONE, LZW, JPEG, PACKBITS = 1, 5, 7, 32773
FAX = frozenset({2, 3, 4})
DEFLATE = frozenset({8, 32946})
ASSOCIATED, UNASSOCIATED = 1, 2  # alpha: that the colours are multiplied by; that they are not
_COLOURS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, CMYK: 4, YCBCR: 3}


@dataclass(frozen=True)
class Layout:
    """How a picture lies in its file. Chunks are its strips or tiles.

    depth: samples of a pixel in a chunk, 1 where each lies in a plane of its own
    """

    height: int
    width: int
    bits: int
    samples: int
    planes: int
    chunk_height: int
    chunk_width: int
    compression: int
    photometric: int
    predictor: int
    order: str
    tiled: bool

    @property
    def depth(self) -> int:
        return self.samples // self.planes

    @property
    def row_bytes(self) -> int:
        """Bytes of a chunk's row, unpacked."""
        return -(-self.chunk_width * self.depth * self.bits // 8)

    def places(self) -> Iterator[tuple[int, int, int]]:
        """Plane, first row and first column of each chunk, in the order of the file."""
        for plane in range(self.planes):
            for row in range(0, self.height, self.chunk_height):
                for column in range(0, self.width, self.chunk_width):
                    yield plane, row, column

    def rows(self, first: int) -> int:
        """Stored rows of the chunk whose first row this is; the last strip is short, the last tile is not."""
        return self.chunk_height if self.tiled else min(self.chunk_height, self.height - first)


def layout_of(directory: Directory, name: str) -> Layout:
    """Layout of a picture.

    Raises BlemishError for one that is not read, ValueError for one that cannot be.
    """
    height, width = directory.number(tag.HEIGHT), directory.number(tag.WIDTH)
    samples = directory.number(tag.SAMPLES, 1)
    bits = set(directory.numbers(tag.BITS)) or {1}
    tiled = bool(directory.numbers(tag.TILE_OFFSETS))
    strip_rows = min(directory.number(tag.STRIP_ROWS, height), height)
    layout = Layout(
        height=height,
        width=width,
        bits=min(bits),
        samples=samples,
        planes=samples if directory.number(tag.PLANES, 1) == 2 else 1,
        chunk_height=directory.number(tag.TILE_HEIGHT) if tiled else strip_rows,
        chunk_width=directory.number(tag.TILE_WIDTH) if tiled else width,
        compression=directory.number(tag.COMPRESSION, NONE),
        photometric=directory.number(tag.PHOTOMETRIC, BLACK_IS_ZERO),
        predictor=directory.number(tag.PREDICTOR, 1),
        order=directory.order,
        tiled=tiled,
    )
    if min(height, width, layout.chunk_height, layout.chunk_width) < 1:
        raise ValueError("a picture without pixels")
    if layout.chunk_height * layout.chunk_width > 4 * height * width + 2**24:
        raise ValueError(f"tiles of {layout.chunk_width}×{layout.chunk_height} for {width}×{height} pixels")
    refuse_sample_type(directory, bits, name)
    if what := rare_encoding(layout) or rare_samples(layout, directory):
        raise BlemishError(
            f"{name} must be a common TIFF. Received: a rare encoding ({what}). Save it as PNG."
        )
    return layout


def refuse_sample_type(directory: Directory, bits: set[int], name: str) -> None:
    """Raises BlemishError unless all samples are unsigned whole numbers of the same 1 to 16 bits."""
    forms = set(directory.numbers(tag.SAMPLE_FORMAT)) or {1}
    if forms <= {1, 4} and len(bits) == 1 and max(bits) in range(1, 17):
        return
    kind = {2: "signed ", 3: "floating-point ", 5: "complex ", 6: "complex "}.get(max(forms), "")
    raise BlemishError(
        f"{name} must hold 8-bit or 16-bit unsigned pixels. Received: {kind}samples of "
        f"{', '.join(map(str, sorted(bits)))} bits. Scale them by their known range and save as PNG."
    )


def rare_encoding(layout: Layout) -> str | None:
    """Compression, or use of it, that is not read; None for one that is."""
    compression, bits, samples = layout.compression, layout.bits, layout.samples
    if compression not in {NONE, LZW, JPEG, PACKBITS} | DEFLATE | FAX:
        return f"compression {compression}"
    if layout.predictor != 1 and not (layout.predictor == 2 and bits in (8, 16)):
        return f"predictor {layout.predictor} of {bits} bits"
    if compression == JPEG and (bits != 8 or layout.depth not in (1, 3)):
        return f"JPEG of {samples} samples, {bits} bits"
    if compression in FAX and (bits, samples) != (1, 1):
        return "fax encoding of more than black and white"
    return None


def rare_samples(layout: Layout, directory: Directory) -> str | None:
    """Meaning of the samples that is not read; None for one that is."""
    photometric, surplus = layout.photometric, layout.samples - _COLOURS.get(layout.photometric, 0)
    if photometric == BAYER:
        return "a raw Bayer pattern"
    if photometric not in _COLOURS or (photometric == YCBCR and layout.compression != JPEG):
        return f"photometric interpretation {photometric}"
    if surplus not in (0, 1):
        return f"{layout.samples} samples a pixel"
    alpha = set(directory.numbers(tag.EXTRA_SAMPLES)) & {ASSOCIATED, UNASSOCIATED}
    if surplus and photometric != RGB and not alpha:
        return "a second channel that is not said to be alpha"
    if photometric == CMYK and (layout.bits != 8 or directory.number(tag.INK_SET, 1) != 1):
        return f"{layout.bits}-bit inks"
    return None
