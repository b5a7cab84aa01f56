"""Align a normal image with the image it is compared with, so that their difference is of defects alone.

Beyond the paper, whose difference needs aligned pairs and fails on screws that lie anyhow (Fig. 3). A shift,
or a turn and a shift, is searched for among all on thumbnails, by correlation of edges, and refined by ECC
(Evangelidis & Psarakis 2008). Edges, because the light stays where it is when a part turns. What moves in
from beyond the reference's border repeats that border: it goes on the ground that a part lies on, where a
reflection would show a second part.
Letters: R references, s side in pixels, t side of a thumbnail, T turns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import RgbImage

Alignment = Literal["none", "translation", "rigid", "nearest"]
RgbImages = NDArray[np.uint8]  # [R, s, s, 3]
Gray = NDArray[np.float32]  # [s, s]
Move = NDArray[np.float32]  # [2, 3], pixels of the image to pixels of the reference
StopRule = tuple[int, int, float]  # of ECC: which limits, max. iterations, min. gain

Values = TypeVar("Values", NDArray[np.uint8], NDArray[np.float32])

THUMBNAIL = 64  # side of the search among all shifts and turns
TURN_STEP = 5.0  # degrees
CANDIDATES = 3  # turns of the search that are refined
REFINED = 192  # side that the best one is refined at
LIMITS = cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS
EARLY_STOP: StopRule = (LIMITS, 15, 1e-3)
STOP: StopRule = (LIMITS, 20, 1e-4)
SMOOTHING = 5  # pixels of ECC's Gaussian
EDGE_SIGMA = 0.8  # pixels; wider ones mix the edge with the shadow beside it
BANK_THUMBNAIL = 32  # side of the search for the nearest


@dataclass(frozen=True)
class Matcher:
    """Finds the references to compare an image with. Set up once for a product.

    references: [R, s, s, 3]; count: how many are returned, at most R
    how: the first `count` as they are, each shifted, each turned and shifted, or the `count` most like the
        image, each as it is or turned by quarters
    """

    references: RgbImages
    how: Alignment = "none"
    count: int = 1

    def matched(self, image: RgbImage) -> RgbImages:
        """References for the image, [count, s, s, 3]."""
        if self.how == "nearest":
            return np.stack([np.rot90(self.references[best], turns) for best, turns in self.nearest(image)])
        return np.stack([align(reference, image, self.how) for reference in self.references[: self.count]])

    def nearest(self, image: RgbImage) -> list[tuple[int, int]]:
        """Most similar references, (number, quarter turns anticlockwise), the best first."""
        similarity = self.thumbnails @ bank_thumbnail(gray(image)).ravel()
        turns = similarity.reshape(len(self.references), 4).argmax(axis=1)
        best = np.argsort(-similarity.reshape(-1, 4).max(axis=1), kind="stable")[: self.count]
        return [(int(number), int(turns[number])) for number in best]

    @cached_property
    def thumbnails(self) -> NDArray[np.float32]:
        """Thumbnails of each reference as it is and after one, two, three quarter turns, [4·R, t·t]."""
        small = (bank_thumbnail(gray(reference)) for reference in self.references)
        return np.stack([np.rot90(thumbnail, turns).ravel() for thumbnail in small for turns in range(4)])


def align(reference: RgbImage, image: RgbImage, how: Alignment) -> RgbImage:
    """Move the reference onto the image: shifted ("translation"), or turned and shifted ("rigid").

    It stays as it is where no move found makes it more like the image. "none" and "nearest" change nothing.
    reference, image, returns: [s, s, 3]
    """
    if how in ("none", "nearest"):
        return reference
    move = found_move(gray(reference), gray(image), turns=how == "rigid")
    return reference if move is None else moved(reference, move)


def found_move(reference: Gray, image: Gray, *, turns: bool) -> Move | None:
    """Find the move of the reference onto the image; None where no move makes the two more alike."""
    if reference.shape != image.shape:
        raise ValueError(
            f"reference and image must have the same size. Received: {reference.shape}, {image.shape}."
        )
    first, second = edges(shrunk(reference, REFINED)), edges(shrunk(image, REFINED))
    start = searched(shrunk(first, THUMBNAIL), shrunk(second, THUMBNAIL), turns=turns)
    start = scaled(start, first.shape[0] / min(THUMBNAIL, first.shape[0]))
    candidates = (start, refined(first, second, start, turns=turns, stop=STOP))
    alike = [likeness(moved(first, move), second) for move in candidates]
    if max(alike) <= likeness(first, second):
        return None
    return scaled(candidates[int(np.argmax(alike))], reference.shape[0] / first.shape[0])


def searched(reference: Gray, image: Gray, *, turns: bool) -> Move:
    """Best of all shifts and, with `turns`, of all turns. reference, image: edges, [t, t]"""
    side = image.shape[0]
    angles = np.arange(0.0, 360.0, TURN_STEP) if turns else np.zeros(1)
    turned = np.stack([moved(reference, turn_about_middle(angle, side)) for angle in angles])
    heights = correlations(turned, image[None]).reshape(len(angles), -1)
    peaks = heights.argmax(axis=1)
    starts = []
    for best in np.argsort(-heights.max(axis=1), kind="stable")[:CANDIDATES]:
        down, right = divmod(int(peaks[best]), side)
        # A step beyond the middle is one the other way round.
        shift = (right - side * (right > side // 2), down - side * (down > side // 2))
        starts.append(shifted(turn_about_middle(float(angles[best]), side), shift))
    moves = [refined(reference, image, start, turns=turns, stop=EARLY_STOP) for start in starts]
    return max(moves, key=lambda move: likeness(moved(reference, move), image))


def correlations(turned: Gray, image: Gray) -> Gray:
    """Correlation of each turned reference with the image at every shift of it, (down, right), circularly.

    turned: [T, t, t]; image: [1, t, t]; returns: [T, t, t]
    """
    centred = turned - turned.mean(axis=(1, 2), keepdims=True)
    spectrum = cv2.dft(image[0] - image.mean())
    inverse = cv2.DFT_INVERSE | cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT
    products = (cv2.mulSpectrums(spectrum, cv2.dft(turn), 0, conjB=True) for turn in centred)
    heights = np.stack([cv2.dft(product, flags=inverse) for product in products])
    return heights / (np.linalg.norm(centred, axis=(1, 2), keepdims=True) + np.float32(1e-6))


def refined(reference: Gray, image: Gray, start: Move, *, turns: bool, stop: StopRule) -> Move:
    """Move near the start at which both correlate best, by ECC; the start where that does not converge."""
    motion = cv2.MOTION_EUCLIDEAN if turns else cv2.MOTION_TRANSLATION
    still = np.eye(2, 3, dtype=np.float32)  # OpenCV takes the angle as an arcsine, so it must start near 0
    try:
        _, rest = cv2.findTransformECC(image, moved(reference, start), still, motion, stop, None, SMOOTHING)
    except cv2.error:
        return start
    return composed(start, rest) if np.isfinite(rest).all() else start


def composed(first: Move, then: Move) -> Move:
    """Composition of two moves, one after the other."""
    return np.concatenate([first[:, :2] @ then[:, :2], first[:, :2] @ then[:, 2:] + first[:, 2:]], axis=1)


def likeness(reference: Gray, image: Gray) -> float:
    """Correlation coefficient of two images; 0 where one is of a single value."""
    first, second = reference - reference.mean(), image - image.mean()
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float((first * second).sum()) / norm if norm > 0 else 0.0


def edges(image: Gray) -> Gray:
    """Gradient magnitude, whichever side of a part the light falls on."""
    smooth = cv2.GaussianBlur(image, (0, 0), EDGE_SIGMA)
    steep = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    return np.asarray(cv2.GaussianBlur(steep, (0, 0), EDGE_SIGMA), np.float32)


def gray(image: RgbImage) -> Gray:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.float32)


def shrunk(image: Gray, side: int) -> Gray:
    """Image resized down to `side`, or as it is where it is no larger."""
    if image.shape[0] <= side:
        return image
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), np.float32)


def bank_thumbnail(image: Gray) -> Gray:
    """Thumbnail [t, t] of mean 0 and norm 1, so that a product of two is their correlation."""
    small = np.asarray(
        cv2.resize(image, (BANK_THUMBNAIL, BANK_THUMBNAIL), interpolation=cv2.INTER_AREA), np.float32
    )
    small = small - small.mean()
    return small / (float(np.linalg.norm(small)) + 1e-6)


def moved(image: Values, move: Move) -> Values:
    """Image with each pixel taken from where `move` says, linearly interpolated."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, move, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REPLICATE)


def turn_about_middle(angle_deg: float, side: int) -> Move:
    """Move that turns an image clockwise as seen."""
    middle = (side - 1) / 2
    return np.asarray(cv2.getRotationMatrix2D((middle, middle), angle_deg, 1.0), np.float32)


def shifted(move: Move, shift_xy: tuple[int, int]) -> Move:
    """Move followed by a shift to the right and down."""
    back = move.copy()
    back[:, 2] -= move[:, :2] @ np.array(shift_xy, np.float32)
    return back


def scaled(move: Move, factor: float) -> Move:
    """Move for images `factor` times as large; pixel centres lie at (n + 0.5)·factor − 0.5."""
    larger = move.copy()
    middle = np.full(2, 0.5 * (factor - 1), np.float32)
    larger[:, 2] = factor * move[:, 2] + middle - move[:, :2] @ middle
    return larger
