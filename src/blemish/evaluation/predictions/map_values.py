"""Values of a map of pixel scores: read from a file, and looked at for scales that are in doubt.

Shape letters: H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.decode import read_image, to_unit
from blemish.images.opening import open_unlimited, opened
from blemish.untrusted import regular_file

STEP_16 = 1 / 65535
LOW_TOP = 0.1  # of the highest pixel of all maps: 12 bits in 16 reach 0.0625


def read_map(file: Path) -> NDArray[np.float32]:
    """Pixel scores [H, W] in [0, 1]: of a PNG by its bits, of .npy and of a TIFF of floats as stored.

    Raises BlemishError for anything else.
    """
    values = read_array(file) if is_array(file) else read_picture(file)
    if values.ndim != 2:
        raise BlemishError(
            f"{file} must be a gray map, [H, W]. Received: {list(values.shape)}. Save scores, not colours."
        )
    if not values.size:
        raise BlemishError(f"{file} must hold pixel scores. Received: an empty array. Predict again.")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if not (low >= 0 and high <= 1):
        raise BlemishError(
            f"{file} must hold pixel scores in [0, 1]. Received: {low:g} to {high:g}. Scale all maps by the "
            "same factor."
        )
    return values


def is_array(file: Path) -> bool:
    return file.suffix.lower() == ".npy"


def read_picture(file: Path) -> NDArray[np.float32]:
    """Scores [H, W] of an image file, or its colours [H, W, 3].

    Raises BlemishError for an alpha channel that is not full everywhere.
    """
    with opened(file) as stream, open_unlimited(stream) as image:
        mode = image.mode
        if mode == "F":
            return np.array(image, np.float32)
        has_alpha = mode in ("LA", "RGBA", "PA", "La", "RGBa")
        lowest = image.getchannel("A").getextrema()[0] if has_alpha else 255
    if lowest != 255:
        raise BlemishError(
            f"{file} must be a gray map without alpha. Received: an alpha channel from {lowest} on. Save the "
            "scores alone."
        )
    return to_unit(read_image(file))


def read_array(file: Path) -> NDArray[np.float32]:
    """Array of a .npy file without axes of length 1 at its ends.

    Raises BlemishError for anything but floats.
    """
    try:
        values = np.load(regular_file(file), allow_pickle=False)
    except Exception as error:  # its header is Python text, which may be wrong in many ways
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BlemishError(f"{file} must be an array file. Received: {reason}. Replace it.") from error
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fb":
        kind = getattr(values, "dtype", type(values).__name__)
        raise BlemishError(f"{file} must hold floats in [0, 1]. Received: {kind}. Save it as float32.")
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    return values.astype(np.float32, copy=False)


@dataclass(frozen=True)
class ValueStatistics:
    """Values of a map. top: the highest, as a share of what its file can hold

    two_valued: True for 0 and `top` alone; bright: share of pixels above one half
    step: share of the range between two levels of its file; 0 for floats
    """

    file: Path
    top: float
    two_valued: bool
    bright: float
    step: float


def value_statistics(file: Path) -> ValueStatistics:
    """Statistics of a map's values. Raises BlemishError for one that cannot be read, see `read_map`."""
    values = read_map(file)
    top = float(values.max(initial=0))
    two_valued = top > 0 and bool(((values == 0) | (values == top)).all())
    bright = float((values > 0.5).mean()) if values.size else 0.0
    return ValueStatistics(file, top, two_valued, bright, step_of(file))


def step_of(file: Path) -> float:
    if is_array(file):
        return 0.0
    with opened(file) as stream, open_unlimited(stream) as image:
        return {"F": 0.0}.get(image.mode, STEP_16 if image.mode.startswith("I") else 1 / 255)


def remarks_on_values(maps: Sequence[ValueStatistics]) -> tuple[str, ...]:
    """Sentences on values that are doubtful.

    Raises BlemishError for maps of two values where the higher is not the highest that the file can hold, and
    for maps that are all of 16 bits with values of 8.
    """
    marked = [each for each in maps if each.top > 0]
    faint = [each for each in marked if each.two_valued and each.step and each.top < 1]
    of_bytes = marked and all(each.step == STEP_16 and each.top < 256 * STEP_16 for each in marked)
    if faint and (of_bytes or all(each.two_valued for each in marked)):
        levels = round(faint[0].top / faint[0].step)
        raise BlemishError(
            f"{faint[0].file}: a map of two values must be 0 on the surface, {round(1 / faint[0].step)} on "
            f"defects. Received: 0 and {levels}. Save all maps so, or give scores."
        )
    if of_bytes:
        highest = max(marked, key=lambda each: each.top)
        raise BlemishError(
            f"{highest.file}: scores of 16 bits must reach from 0 to 65535. Received: none above "
            f"{round(highest.top / STEP_16)} in any map. Save the maps in 8 bits, or scale them all alike."
        )
    ones = [each.file.name for each in faint if round(each.top / each.step) == 1]
    top = max((each.top for each in marked), default=0.0)
    remarks = [
        f"Maps of 0 and 1 alone: {len(ones)}, first {ones[0]}. Their 1 is read as a score of almost 0."
        if ones
        else "",
        f"No pixel of any map scores above {top:.3g}: were the maps saved in their whole range?"
        if 0 < top < LOW_TOP
        else "",
        "Most pixels of most maps score above 0.5: are the maps inverted, high on the surface?"
        if sum(each.bright > 0.5 for each in maps) > len(maps) / 2
        else "",
    ]
    return tuple(remark for remark in remarks if remark)
