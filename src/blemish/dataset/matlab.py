"""Reading segment numbers from MATLAB files, as CrackForest has them, of unknown origin and within limits.

The variables are listed before any is read, what is compressed is unpacked up to a limit to see that it ends,
and only `groundTruth` is loaded.
Source: MathWorks, "MAT-File Format", level 5: an element is its type, its length and its bytes.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.optional_dependencies import import_optional
from blemish.untrusted import read_bytes

MAX_BYTES = 2**28  # of a file, and of what it unpacks to
HEADER_BYTES, TAG_BYTES = 128, 8
COMPRESSED = 15  # type of an element
HDF5 = b"\x89HDF"
HDF5_PLACES = (0, 512)  # MATLAB 7.3 puts its own header before it
VARIABLE = "groundTruth"


def matlab_segments(path: Path) -> NDArray[Any]:
    """[H, W] segment numbers of CrackForest's ground truth: 1 background, 2 and above defects.

    Raises BlemishError for any other file, in one line that says what it is.
    """
    reader = import_optional("scipy.io", f"{path}: reading a .mat file")  # 0.2 s, and few datasets need it
    content = read_bytes(path, max_bytes=MAX_BYTES)
    try:
        refuse_bomb(content)
        found = {
            name: f"{kind} {'×'.join(map(str, shape))}" for name, shape, kind in reader.whosmat(str(path))
        }
        if found.get(VARIABLE) != "struct 1×1":
            raise ValueError(", ".join(f"{name} ({kind})" for name, kind in found.items()) or "no variable")
        truth = reader.loadmat(str(path), variable_names=[VARIABLE])[VARIABLE]
        return numbers_in(truth[0, 0]["Segmentation"])
    except Exception as error:  # SciPy raises many types on damaged files
        reason = str(error) if type(error) is ValueError else type(error).__name__
        raise BlemishError(
            f"{path} must be a MATLAB file with groundTruth.Segmentation. Received: "
            f"{' '.join(reason.split())[:200]}. Replace or remove it."
        ) from error


def numbers_in(segments: Any) -> NDArray[Any]:
    """The whole numbers of an array [H, W], as int32. Raises ValueError for anything else."""
    numbers = np.asarray(segments)
    if numbers.ndim != 2 or not numbers.size or numbers.dtype.kind not in "buif":
        raise ValueError(f"a Segmentation of shape {numbers.shape} and type {numbers.dtype}")
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int32)
    if (whole != numbers).any() or whole.min() < 0:
        raise ValueError("a Segmentation with other values than numbers of segments")
    return whole


def refuse_bomb(content: bytes) -> None:
    """Raise ValueError for a file of another format, and for one that unpacks to more than is allowed."""
    if any(content[place : place + len(HDF5)] == HDF5 for place in HDF5_PLACES):
        raise ValueError("a file of MATLAB 7.3 (HDF5); save it with -v7")
    order = "<" if content[126:128] == b"IM" else ">"
    place, total = HEADER_BYTES, 0
    while place + TAG_BYTES <= len(content):
        kind, length = struct.unpack(f"{order}II", content[place : place + TAG_BYTES])
        if kind == COMPRESSED:
            part = content[place + TAG_BYTES : place + TAG_BYTES + length]
            total += unpacked_length(part, MAX_BYTES - total)
        place += TAG_BYTES + length


def unpacked_length(part: bytes, limit: int) -> int:
    """Length of zlib's data when unpacked. Raises ValueError where it exceeds the limit."""
    unpacker, total = zlib.decompressobj(), 0
    while part and not unpacker.eof:
        total += len(unpacker.decompress(part, 2**20))
        part = unpacker.unconsumed_tail
        if total > limit:
            raise ValueError(f"data that unpacks to more than {MAX_BYTES:,} bytes")
    return total
