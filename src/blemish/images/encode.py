"""Images as the bytes of a PNG file."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def png_bytes(image: NDArray[np.uint8]) -> bytes:
    """Content of a PNG file. image: [H, W] gray or [H, W, 3] RGB"""
    stored = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", stored)
    return encoded.tobytes()
