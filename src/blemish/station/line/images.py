"""Images that a line keeps: which ones, by rules and keyed draws, and how they come onto the disk."""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass

import cv2

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.files import atomic_file
from blemish.inspection import Verdict
from blemish.station.journal import sync_folder
from blemish.station.layout import StationFolder, image_name
from blemish.station.line.settings import Keep

# First bytes of each format, and the suffix that such a file is kept under, whatever it was called.
MAGIC = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"BM", ".bmp"),
    (b"II*\0", ".tif"),
    (b"MM\0*", ".tif"),
    (b"II+\0", ".tif"),
    (b"MM\0+", ".tif"),
    (b"RIFF", ".webp"),
    (b"P1", ".pbm"),
    (b"P4", ".pbm"),
    (b"P2", ".pgm"),
    (b"P5", ".pgm"),
    (b"P3", ".ppm"),
    (b"P6", ".ppm"),
)


@dataclass(frozen=True)
class KeptImage:
    """A stored image. file: below the folder `images`; bytes: its size"""

    sha256: str
    file: str
    bytes: int


def draw(key: bytes, purpose: str, line: str, seq: int) -> float:
    """Number in [0, 1) of a part: the same each time, and foreseen by nobody without the key."""
    digest = hmac.new(key, f"{purpose}/{line}/{seq}".encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def reason_to_keep(keep: Keep, verdict: Verdict, *, audit: bool, drawn: float) -> str | None:
    """Reason why a part's image is kept; None where it is not. drawn: in [0, 1), of the share of OK parts"""
    if audit:
        return "audit"
    if verdict is Verdict.OK:
        return "sample" if drawn < keep.ok_share else None
    wanted = {Verdict.REVIEW: keep.review, Verdict.NG: keep.ng, Verdict.ERROR: keep.error}
    return str(verdict).lower() if wanted[verdict] else None


def keep_image(station: StationFolder, content: bytes) -> KeptImage:
    """Store an image's file under its SHA-256, on the disk on return; one that is there already stays.

    Raises BlemishError where it cannot be written.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    suffix = suffix_of(content)
    file = station.image(sha256, suffix)
    kept = KeptImage(sha256, image_name(sha256, suffix), len(content))
    if file.is_file() and file.stat().st_size == len(content):
        return kept
    with atomic_file(file) as stream:
        stream.write(content)
    try:
        sync_folder(file.parent)
        sync_folder(station.images)
    except OSError as error:
        with suppress(OSError):  # its name may be lost, and is written again
            file.unlink()
        raise BlemishError(f"{file} cannot be written: {error.strerror}. Check the disk.") from error
    return kept


def suffix_of(content: bytes) -> str:
    """Suffix for a file by its first bytes; ".bin" for what is no image."""
    return next((suffix for magic, suffix in MAGIC if content.startswith(magic)), ".bin")


def frame_file(pixels: Pixels) -> bytes:
    """PNG of a frame's pixels, [H, W] or [H, W, 3] RGB, uint8 or uint16."""
    stored = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return bytes(encoded.tobytes())
