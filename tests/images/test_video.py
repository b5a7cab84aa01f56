"""Frames of videos: whole ones against OpenCV, and copies with damaged, lost and missing frames."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from blemish.errors import BlemishError
from blemish.images.decode import read_image
from blemish.images.opening import EncodedImage
from blemish.images.video import frame_count, video_frames
from blemish.images.video_container import ends_early, hidden_frames

FRAMES, SIZE = 12, (160, 120)
KINDS = {"clip.avi": "MJPG", "clip.mkv": "MJPG", "clip.mp4": "mp4v", "xvid.avi": "XVID", "clip.webm": "VP80"}


def pictures() -> list[NDArray[np.uint8]]:
    """BGR frames that move and differ, with grain."""
    generator, (width, height) = np.random.default_rng(2), SIZE
    rows, columns = np.mgrid[:height, :width]
    made = []
    for number in range(FRAMES):
        base = 120 + 60 * np.sin((columns + 5 * number) / 17) + 40 * np.cos(rows / 9)
        gray = np.clip(base + generator.normal(0, 6, base.shape), 1, 255).astype(np.uint8)
        made.append(np.stack([gray, gray // 2 + 20, 255 - gray], axis=-1))
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for name, codec in KINDS.items():
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter.fourcc(*codec), 25, SIZE)
        assert writer.isOpened()
        for picture in pictures():
            writer.write(picture)
        writer.release()
    return folder


def read(path: Path, every: int = 1) -> tuple[dict[int, NDArray[Any] | str], str]:
    """Pixels or the message of each frame, and the message behind them."""
    found: dict[int, NDArray[Any] | str] = {}
    try:
        for number, pixels in video_frames(path, every=every):
            try:
                found[number] = pixels()
            except BlemishError as error:
                found[number] = str(error)
    except BlemishError as error:
        return found, str(error)
    return found, ""


def packet_places(path: Path, count: int = FRAMES) -> list[tuple[int, int]]:
    """Start and length of each frame's packet in the file."""
    data, capture = path.read_bytes(), cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    places, start = [], 0
    for _ in range(count):
        _, packet = capture.read()
        start = data.index(packet.tobytes(), start)
        places.append((start, packet.size))
    return places


def zeroed(path: Path, start: int, length: int) -> Path:
    data = bytearray(path.read_bytes())
    data[start : start + length] = bytes(length)
    damaged = path.with_stem(f"damaged-{start}-{length}")
    damaged.write_bytes(data)
    return damaged


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("every", [1, 3])
def test_whole_videos_are_read_frame_by_frame(folder: Path, name: str, every: int) -> None:
    found, end = read(folder / name, every)
    assert list(found) == list(range(0, FRAMES, every)) and not end
    assert frame_count(folder / name) == FRAMES
    capture = cv2.VideoCapture(str(folder / name))
    for number in range(FRAMES):
        _, expected = capture.read()
        if number in found:
            # FFmpeg and libjpeg differ in how they widen the colours of Motion JPEG.
            difference = found[number] - expected[..., ::-1].astype(int)
            assert np.abs(difference).mean() < (3 if KINDS[name] == "MJPG" else 1e-9)


def test_a_frame_of_motion_jpeg_is_the_picture_of_its_bytes(folder: Path) -> None:
    data = (folder / "clip.avi").read_bytes()
    found, _ = read(folder / "clip.avi")
    for number, (start, length) in enumerate(packet_places(folder / "clip.avi")):
        alone = EncodedImage(data[start : start + length], "frame.jpg")
        assert np.array_equal(found[number], read_image(alone))


@pytest.mark.parametrize("name", ["clip.avi", "clip.mkv"])
@pytest.mark.parametrize("lost", [0, 4, 11])
@pytest.mark.parametrize("share", [1.0, 0.4])
def test_a_damaged_jpeg_is_an_error_and_the_others_keep_their_numbers(
    folder: Path, name: str, lost: int, share: float
) -> None:
    whole, _ = read(folder / name)
    start, length = packet_places(folder / name)[lost]
    cut = int(length * share)
    found, end = read(zeroed(folder / name, start + length - cut, cut))
    assert list(found) == list(range(FRAMES)) and not end
    assert str(found.pop(lost)).endswith("Record or copy the video again.")
    assert all(np.array_equal(pixels, whole[number]) for number, pixels in found.items())


@pytest.mark.parametrize("name", ["clip.mp4", "xvid.avi", "clip.webm"])
@pytest.mark.parametrize("lost", [3, 8])
def test_what_is_predicted_from_a_damaged_frame_is_lost_too(folder: Path, name: str, lost: int) -> None:
    """The writer made one frame that stands alone, the first."""
    whole, _ = read(folder / name)
    start, length = packet_places(folder / name)[lost]
    found, end = read(zeroed(folder / name, start + length // 4, length // 2))
    assert list(found) == list(range(FRAMES)) and not end
    for number, result in found.items():
        if number < lost:
            assert np.array_equal(result, whole[number])
        else:
            assert isinstance(result, str) and f"frame {number} " in result


@pytest.mark.parametrize("name", ["clip.avi", "xvid.avi"])
def test_a_video_that_was_cut_off_tells_how_many_frames_are_missing(folder: Path, name: str) -> None:
    whole, _ = read(folder / name)
    data = (folder / name).read_bytes()
    for kept in range(1, FRAMES):  # fewer than a second is missing
        start, length = packet_places(folder / name)[kept]
        cut = folder / f"cut-{kept}-{name}"
        cut.write_bytes(data[: start + length // 2])
        found, end = read(cut)
        judged = {number: pixels for number, pixels in found.items() if not isinstance(pixels, str)}
        assert set(range(kept - 1)) <= set(judged) <= set(range(kept))
        assert all(np.array_equal(pixels, whole[number]) for number, pixels in judged.items())
        assert kept in found or f"ends after {len(found)} of {FRAMES} frames" in end


@pytest.mark.parametrize("name", KINDS)
def test_no_lost_block_of_a_video_is_unseen_but_by_number(folder: Path, name: str) -> None:
    """A lost block shows as an error of a frame or at the end; of 512 bytes inside a frame, at that frame."""
    whole, _ = read(folder / name)
    size = (folder / name).stat().st_size
    for start in range(2048, size - 4096, 2560):
        found, end = read(zeroed(folder / name, start, 512))
        errors = [number for number, result in found.items() if isinstance(result, str)]
        same = [np.array_equal(result, whole[number]) for number, result in found.items()]
        assert errors or end or (all(same) and len(found) == FRAMES)


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    with pytest.raises(BlemishError, match=r"a\.mp4 must be a video"):
        list(video_frames(tmp_path / "a.mp4"))
    assert frame_count(tmp_path / "a.mp4") == 0
    with pytest.raises(BlemishError, match=r"b\.mp4 must exist"):
        list(video_frames(tmp_path / "b.mp4"))


@pytest.mark.parametrize(("media", "seconds", "hidden"), [(0, 3.0, 0), (8, 1.68, 8), (-1, 0.0, 50)])
def test_frames_that_an_edit_list_hides(tmp_path: Path, media: int, seconds: float, hidden: int) -> None:
    """A hand-written MP4 of 50 frames at 25 a second, whose edit list shows so many of its seconds."""

    def box(kind: bytes, *content: bytes) -> bytes:
        data = b"".join(content)
        return struct.pack(">I4s", 8 + len(data), kind) + data

    header = box(b"mvhd", bytes(12), struct.pack(">I", 1000), bytes(80))
    edit = struct.pack(">IIIiI", 0, 1, int(seconds * 1000), media, 0x10000)
    tracks = box(b"trak", box(b"tkhd", bytes(84)), box(b"edts", box(b"elst", edit)))
    file = box(b"ftyp", b"isom") + box(b"moov", header, tracks) + box(b"mdat", bytes(9))
    (tmp_path / "a.mp4").write_bytes(file)
    assert hidden_frames(tmp_path / "a.mp4", 50, 25.0) == hidden
    assert not ends_early(tmp_path / "a.mp4")
    (tmp_path / "cut.mp4").write_bytes(file[:-1])
    assert ends_early(tmp_path / "cut.mp4")
