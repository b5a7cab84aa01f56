"""Frames of a video file, one after the other, as RGB images; lost frames keep their numbers and are errors.

FFmpeg, through OpenCV, stops at a packet that it cannot decode, and paints over damage without a word. So
frames are looked for behind a damaged one, packets are searched for lost blocks, and what is predicted from a
lost frame is lost too, up to the next frame that stands alone. Motion JPEG is decoded strictly, as a file of
the same bytes is. What remains unseen: changed bytes inside a packet of another codec, which has no checksum.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.arrays import Pixels
from blemish.errors import BlemishError
from blemish.images.jpeg import jpeg_pixels, jpeg_size
from blemish.untrusted import regular_file

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv"})
# This module reports faults of a file itself, in one line. FFmpeg reads the variable once in a process.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

MAX_FAILURES = 4096  # frames in a row that cannot be decoded, before the rest counts as missing
_MP4_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # that a file may begin with
_MJPEG = frozenset({"mjpg", "mjpa", "mjpb", "jpeg", "avrn"})
# Codecs whose data never holds so many zeros: the first break what looks like a start code, the others leave
# no room for them but in pictures of more than 100 megapixels. Lossless codecs may store flat areas so.
_START_CODES = (
    "h264",
    "avc1",
    "avc3",
    "x264",
    "h265",
    "hevc",
    "hvc1",
    "hev1",
    "h263",
    "fmp4",
    "mp4v",
    "xvid",
)
_MORE_START_CODES = ("divx", "dx50", "mp42", "mp43", "mpg1", "mpg2", "mpeg", "wmv1", "wmv2", "wmv3", "wvc1")
_ZEROS = dict.fromkeys(_START_CODES + _MORE_START_CODES, bytes(64)) | dict.fromkeys(
    ("vp80", "vp90", "av01"), bytes(256)
)

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
    name = str(regular_file(path))
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
    """Whether each packet is a JPEG of a whole frame; other kinds of Motion JPEG hold two fields."""
    if codec(capture) not in _MJPEG or capture.get(cv2.CAP_PROP_ORIENTATION_META):
        return False
    first = opened(path, raw=True)
    found, packet = first.read()
    first.release()
    try:
        size = jpeg_size(packet.tobytes() if found else b"")
    except ValueError:  # a damaged frame, which is an error of its own
        return True
    return size == (capture.get(cv2.CAP_PROP_FRAME_HEIGHT), capture.get(cv2.CAP_PROP_FRAME_WIDTH))


def jpeg_frames(_: cv2.VideoCapture, packets: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    """Frames of Motion JPEG, each decoded by itself."""
    number = 0
    while packets.grab():
        yield number, partial(jpeg_frame, packets, path, number)
        number += 1


def jpeg_frame(packets: cv2.VideoCapture, path: Path, number: int) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] of the grabbed packet."""
    found, packet = packets.retrieve()
    try:
        return jpeg_pixels(packet.tobytes() if found else b"", gray=False)
    except ValueError as error:
        raise BlemishError(
            f"{path}: frame {number} is damaged ({error}). Record or copy the video again."
        ) from error


def decoded_frames(capture: cv2.VideoCapture, packets: cv2.VideoCapture, path: Path) -> Iterator[Frame]:
    """Frames as FFmpeg decodes them.

    Lost are those that it refuses, those of damaged packets, and those that are predicted from either.
    """
    damage = PacketDamage(packets, ahead=max(0, int(capture.get(cv2.CAP_PROP_DTS_DELAY))))
    expected, number, sound = promised(capture), 0, True
    cut = float("inf") if ends_early(path) else expected - tolerance(capture, path)
    while (failures := failures_before_next(capture, expected - number)) is not None:
        for lost in range(number, number + failures):
            yield lost, partial(refused, f"{path}: frame {lost} cannot be decoded. Copy the video again.")
        number += failures
        alone = capture.get(cv2.CAP_PROP_FRAME_TYPE) == ord("I")
        sound = not damage.reaches(number) and (alone or (sound and not failures))
        sound = sound and not (
            damage.ended and damage.read <= number + 1 < cut
        )  # the end may lie in this packet
        if sound:
            yield number, partial(frame_pixels, capture, path, number)
        else:
            what = "is damaged, or predicted from a damaged one"
            yield number, partial(refused, f"{path}: frame {number} {what}. Copy the video again.")
        number += 1


def failures_before_next(capture: cv2.VideoCapture, remaining: int) -> int | None:
    """Grab the next frame that decodes; returns how many did not before it, None where none comes any more.

    remaining: frames that the header promises still
    """
    for failures in range(max(1, min(remaining, MAX_FAILURES))):
        if capture.grab():
            return failures
    return None


class PacketDamage:
    """Search of a video's packets for lost blocks, in step with its frames.

    packets: the video, opened raw; ahead: packets by which frames may be stored earlier than they are shown
    """

    def __init__(self, packets: cv2.VideoCapture, ahead: int) -> None:
        self.packets, self.ahead = packets, ahead
        self.zeros = _ZEROS.get(codec(packets))
        self.first, self.last = 0, -1  # frames that the damage found last may reach
        self.read, self.ended = 0, False

    def reaches(self, number: int) -> bool:
        """Whether a damaged packet is that of frame `number`, or may be one that it needs."""
        while not self.ended and self.read <= number + self.ahead + 1:
            self.ended = not self.packets.grab()
            if not self.ended:
                found, packet = self.packets.retrieve()
                content = packet.tobytes().rstrip(b"\0") if found else b""
                if self.zeros and self.zeros in content:
                    self.first, self.last = self.read - self.ahead, self.read
                self.read += 1
        return self.first <= number <= self.last


def ends_early(path: Path) -> bool:
    """Whether an AVI or MP4 file is shorter than its outermost parts say."""
    size, place = path.stat().st_size, 0
    with path.open("rb") as file:
        while place + 16 <= size:
            file.seek(place)
            head = file.read(16)
            if head[:4] == b"RIFF":
                return place + 8 + int.from_bytes(head[4:8], "little") > size
            if place == 0 and head[4:8] not in _MP4_BOXES:
                return False
            length = int.from_bytes(head[8:16] if head[:4] == b"\0\0\0\1" else head[:4], "big")
            place = place + length if length else size  # 0: up to the end of the file
    return place > size


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
    if frames + tolerance(capture, path) < expected:
        raise BlemishError(
            f"{path} ends after {frames} of {expected} frames; those behind a gap may be numbered too low. "
            "Record or copy the video again."
        )


def tolerance(capture: cv2.VideoCapture, path: Path) -> float:
    """Frames by which the header may be wrong: none where it counts them, else those of a rounded length."""
    with path.open("rb") as file:
        start = file.read(12)
    counted = start[:4] == b"RIFF" or start[4:8] in _MP4_BOXES
    matroska = start[:4] == b"\x1a\x45\xdf\xa3"
    return 0.0 if counted else 2.0 if matroska else max(1.0, capture.get(cv2.CAP_PROP_FPS))
