"""Type aliases of arrays and coordinates, one meaning each for the whole package.

Needs numpy alone. Boxes are xyxy float pixels of the image, half-open; sizes are (height, width).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8] | NDArray[np.uint16]  # an image: [H, W] or [H, W, channels]
RgbImage = NDArray[np.uint8]  # [H, W, 3]
Floats = NDArray[np.floating[Any]]  # of either precision; float32 wherever networks give or take them
Integers = NDArray[np.signedinteger[Any]]  # class numbers, positions, counts
Boxes = NDArray[np.floating[Any]]  # [N, 4] xyxy pixels
Box = tuple[float, float, float, float]  # xyxy pixels
Point = tuple[float, float]  # (x, y) pixels
Size = tuple[int, int]  # (height, width) pixels
Colour = tuple[int, int, int]  # (red, green, blue), 0 to 255
