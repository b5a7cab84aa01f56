"""Frames of a video file, one after the other, as RGB images; lost frames keep their numbers and are errors.

FFmpeg, through OpenCV, stops at a packet that it cannot decode, and paints over damage without a word. So
frames are looked for behind a damaged one, packets are searched for lost blocks, and what is predicted from a
lost frame is lost too, up to the next frame that stands alone. Motion JPEG is decoded strictly, as a file of
the same bytes is. What remains unseen: changed bytes inside a packet of another codec, which has no checksum.
"""

from __future__ import annotations

import math
import os
from bisect import insort
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.containers import refuse_other_content
from blemish.images.jpeg import jpeg_pixels, jpeg_size
from blemish.images.video_container import ends_early, hidden_frames, uncounted_frames
from blemish.untrusted import regular_file

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
# This module reports faults of a file itself, in one line. FFmpeg reads the variable once in a process.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

MAX_FAILURES = 4096  # frames in a row that cannot be decoded, before the rest counts as missing
MAX_REORDERED = 17  # packets that a frame may be stored before it is shown
MIN_TRIES = 16  # where the header promises no more, or nothing
_MJPEG = frozenset({"mjpg", "mjpa", "mjpb", "jpeg", "avrn"})
# Codecs whose data never holds so many zeros: the first break what looks like a start code, the others leave
# no room for them but in pictures of more than 100 megapixels. Lossless codecs may store flat areas so.
_BREAKING = frozenset(
    {"h264", "avc1", "avc3", "x264", "h265", "hevc", "hvc1", "hev1", "h263", "wmv3", "wvc1"}
)
_BREAKING_TOO = frozenset({"fmp4", "mp4v", "xvid", "divx", "dx50", "mp42", "mp43", "wmv1", "wmv2"})
_ZEROS = {
    **dict.fromkeys(_BREAKING | _BREAKING_TOO, bytes(64)),
    **dict.fromkeys(("vp80", "vp90", "av01", "mpg1", "mpg2"), bytes(256)),
}

Frame = tuple[int, Callable[[], Pixels]]


def video_frames(path: Path, *, every: int = 1) -> Iterator[Frame]:
    """Number and pixels of frame 0, `every`, 2 · `every`, …; frames between them are not decoded.

    Pixels, [H, W, 3] uint8, must be read before the next frame is; those of a lost frame raise BlemishError.
    Raises BlemishError for a file that is no video, and behind the last frame where there must be more.
    """
    capture = opened(path)
    packets = opened(path, raw=True)
    try:
        frames = jpeg_frames if holds_jpegs(capture, path) else decoded_frames
        count = 0
        for number, read in frames(capture, packets, path):
            count = number + 1
            if number % every == 0:
                yield number, read
        refuse_shortened(capture, path, count)
    finally:
        capture.release()
        packets.release()


def frame_count(path: Path) -> int:
    """Number of frames by the header; 0 where it does not say, or cannot be read."""
    try:
        capture = opened(path)
    except BlemishError:
        return 0
    count = promised(capture)
    capture.release()
    return count


def opened(path: Path, *, raw: bool = False) -> cv2.VideoCapture:
    """The video, positioned before its first frame. raw: to be read as packets that are not decoded"""
    name = str(regular_file(path).absolute())  # a relative one may begin as an address does
    refuse_other_content(path)
    packets = cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1]
    capture = cv2.VideoCapture(name, *packets) if raw else cv2.VideoCapture(name)
    if not capture.isOpened():
        raise BlemishError(
            f"{path} must be a video. Received: something else, or a damaged file. Replace it."
        )
    return capture


def promised(capture: cv2.VideoCapture) -> int:
    return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))


def codec(capture: cv2.VideoCapture) -> str:
    """Four letters that name the codec, in lower case."""
    return int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little").decode("latin-1").lower()


def holds_jpegs(capture: cv2.VideoCapture, path: Path) -> bool:
    """True where each packet is a JPEG of a whole frame; other kinds of Motion JPEG hold two fields."""
    if codec(capture) not in _MJPEG or capture.get(cv2.CAP_PROP_ORIENTATION_META):
        return False
    first = opened(path, raw=True)
    data = packet_bytes(first) if first.grab() else b""
    first.release()
    try:
        return jpeg_size(data) == frame_size(capture)
    except ValueError:  # a damaged frame, which is an error of its own
        return True


def frame_size(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(height, width) by the header."""
    height, width = (capture.get(name) for name in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    return int(height), int(width)


def jpeg_frames(capture: cv2.VideoCapture, packets: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    """Frames of Motion JPEG, each decoded by itself."""
    number, size = 0, frame_size(capture)
    while packets.grab():
        yield number, partial(jpeg_frame, packets, size, f"{path}: frame {number}")
        number += 1


def jpeg_frame(packets: cv2.VideoCapture, size: tuple[int, int], name: str) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of the grabbed packet. size: that they must have; name: for messages"""
    data = packet_bytes(packets)
    try:
        if (found := jpeg_size(data)) != size:
            raise ValueError(f"{found[1]}×{found[0]} in place of {size[1]}×{size[0]}")
        return jpeg_pixels(data, gray=False)
    except ValueError as error:
        raise BlemishError(f"{name} is damaged ({error}). Record or copy the video again.") from error


def packet_bytes(packets: cv2.VideoCapture) -> bytes:
    """Content of the grabbed packet; empty ones stand for a frame that repeats the one before."""
    found, packet = packets.retrieve()
    return packet.tobytes() if found and packet is not None else b""


def decoded_frames(capture: cv2.VideoCapture, packets: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    """Frames as FFmpeg decodes them.

    Lost are those that it refuses, those of damaged packets, and those that are predicted from either.
    """
    expected, rate = promised(capture), capture.get(cv2.CAP_PROP_FPS)
    fewest = math.inf if ends_early(path) else expected - uncounted_frames(path, expected, rate)
    damage = PacketDamage(packets, hidden=hidden_frames(path, expected, rate), fewest=fewest)
    number, sound = 0, True
    while (failures := failures_before_next(capture, expected - number)) is not None:
        for lost in range(number, number + failures):
            yield lost, partial(refused, f"{path}: frame {lost} cannot be decoded. Copy the video again.")
        number += failures
        alone = capture.get(cv2.CAP_PROP_FRAME_TYPE) == ord("I")
        sound = alone or (sound and not failures)
        damaged = damage.reaches(number)
        if sound and not damaged:
            yield number, partial(frame_pixels, capture, path, number)
        else:
            what = "is damaged, or predicted from a damaged one"
            yield number, partial(refused, f"{path}: frame {number} {what}. Copy the video again.")
        number += 1


def failures_before_next(capture: cv2.VideoCapture, remaining: int) -> int | None:
    """Grab the next frame that decodes; returns how many did not before it, None where none comes any more.

    remaining: frames that the header promises still
    """
    for failures in range(max(MIN_TRIES, min(remaining, MAX_FAILURES))):
        if capture.grab():
            return failures
    return None


class PacketDamage:
    """Search of a video's packets for lost blocks, in step with its frames.

    Packets are stored in another order than frames are shown in: frame n is that of the packet with the n-th
    time of showing. It needs what is stored before it, from a frame on that stands alone.
    packets: the video, opened raw; hidden: packets whose frames may not be shown
    fewest: packets that there must be; with fewer, the last one may be cut
    """

    def __init__(self, packets: cv2.VideoCapture, *, hidden: int, fewest: float) -> None:
        self.packets, self.hidden, self.fewest = packets, hidden, fewest
        self.zeros = _ZEROS.get(codec(packets))
        self.shown: list[tuple[float, int]] = []  # time and number of each packet, sorted
        self.alone: list[tuple[int, float]] = []  # number and time of those that stand alone
        self.damaged: list[int] = []
        self.ended = False

    def reaches(self, number: int) -> bool:
        """True where frame `number` is that of a damaged packet, or may need one."""
        while not self.ended and len(self.shown) <= number + self.hidden + MAX_REORDERED:
            self.read_on()
        candidates = self.shown[number : number + self.hidden + 1]
        return bool(self.damaged) and any(self.needs_damaged(*packet) for packet in candidates)

    def needs_damaged(self, time: float, number: int) -> bool:
        last = max((damaged for damaged in self.damaged if damaged <= number), default=None)
        if last is None:
            return False
        return not any(last < alone <= number and shown <= time for alone, shown in self.alone)

    def read_on(self) -> None:
        """Read the next packet; behind the last one see whether it may be cut."""
        number = len(self.shown)
        if not self.packets.grab():
            self.ended = True
            if 0 < number < self.fewest:
                self.damaged.append(number - 1)
            return
        content = packet_bytes(self.packets)
        time = self.packets.get(cv2.CAP_PROP_PTS)
        insort(self.shown, (time, number))
        if self.packets.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME):
            self.alone.append((number, time))
        if self.zeros and self.zeros in content.rstrip(b"\0"):
            self.damaged.append(number)


def refused(message: str) -> Pixels:
    raise BlemishError(message)


def frame_pixels(capture: cv2.VideoCapture, path: Path, number: int) -> Pixels:
    """The grabbed frame, [H, W, 3] RGB. Raises BlemishError where it cannot be decoded."""
    decoded, frame = capture.retrieve()
    if not decoded:
        raise BlemishError(f"{path}: frame {number} cannot be decoded. Record the video again.")
    return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def refuse_shortened(capture: cv2.VideoCapture, path: Path, frames: int) -> None:
    """Raises BlemishError where frames are missing that the header promises."""
    expected = promised(capture)
    if frames + uncounted_frames(path, expected, capture.get(cv2.CAP_PROP_FPS)) < expected:
        raise BlemishError(
            f"{path} ends after {frames} of {expected} frames; those behind a gap may be numbered too low. "
            "Record or copy the video again."
        )
