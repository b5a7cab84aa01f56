"""Frames of a video file, one after the other, as RGB images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2

from blemish.arrays import Pixels
from blemish.errors import BlemishError

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
# This module reports faults of a file itself, in one line. FFmpeg reads the variable once in a process.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

Frame = tuple[int, Callable[[], Pixels]]


def video_frames(path: Path, *, every: int = 1) -> Iterator[Frame]:
    """Number and pixels of frame 0, `every`, 2 · `every`, …; frames between them are not decoded.

    Pixels, [H, W, 3] uint8, must be read before the next frame is.
    Raises BlemishError for a file that is no video, and behind the last frame where the header promised more.
    """
    capture = opened(path)
    try:
        number = 0
        while capture.grab():
            if number % every == 0:
                yield number, partial(frame_pixels, capture, path, number)
            number += 1
        refuse_shortened(capture, path, number)
    finally:
        capture.release()


def frame_count(path: Path) -> int:
    """Number of frames by the header; 0 where it does not say, or cannot be read."""
    try:
        capture = opened(path)
    except BlemishError:
        return 0
    count = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    capture.release()
    return count


def opened(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise BlemishError(
            f"{path} must be a video. Received: something else, or a damaged file. Replace it."
        )
    return capture


def frame_pixels(capture: cv2.VideoCapture, path: Path, number: int) -> Pixels:
    """The grabbed frame, [H, W, 3] RGB. Raises BlemishError where it cannot be decoded."""
    decoded, frame = capture.retrieve()
    if not decoded:
        raise BlemishError(f"{path}: frame {number} cannot be decoded. Record the video again.")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def refuse_shortened(capture: cv2.VideoCapture, path: Path, frames: int) -> None:
    """Raises BlemishError where more than a second is missing; some formats round their length to that."""
    promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if frames + max(1.0, capture.get(cv2.CAP_PROP_FPS)) < promised:
        raise BlemishError(
            f"{path} ends after {frames} of {promised:.0f} frames. These were judged; copy the file again."
        )
