"""Frames of a video, one after the other, as RGB pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2

from blemish.arrays import Pixels
from blemish.errors import BlemishError

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
# What is wrong with a file is said here, in one line. FFmpeg asks once in a process.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

Frame = tuple[int, Callable[[], Pixels]]


def video_frames(path: Path, *, every: int = 1) -> Iterator[Frame]:
    """Number and pixels of frame 0, `every`, 2 · `every`, …; of those between none is turned into a picture.

    Pixels are to be asked for before the next frame is, [H, W, 3].
    Raises BlemishError for a file that is no video, and behind the last frame where the header told of more.
    """
    capture = opened(path)
    try:
        number = 0
        while capture.grab():
            if number % every == 0:
                yield number, partial(picture, capture, path, number)
            number += 1
        refuse_shortened(capture, path, number)
    finally:
        capture.release()


def frame_count(path: Path) -> int:
    """How many frames the header tells of; 0 where it does not say, or cannot be read."""
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


def picture(capture: cv2.VideoCapture, path: Path, number: int) -> Pixels:
    there, frame = capture.retrieve()
    if not there:
        raise BlemishError(f"{path}: frame {number} cannot be decoded. Record the video again.")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def refuse_shortened(capture: cv2.VideoCapture, path: Path, frames: int) -> None:
    """Raises BlemishError where over a second is missing; some formats round their length to that."""
    told = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    if frames + max(1.0, capture.get(cv2.CAP_PROP_FPS)) < told:
        raise BlemishError(
            f"{path} ends after {frames} of {told:.0f} frames. What was read is judged; copy the file again."
        )
