"""Video files by their first bytes: what names other files or connections is never opened."""

from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np
import pytest

from blemish.errors import BlemishError
from blemish.images.containers import refuse_other_content
from blemish.images.video import video_frames


def write_video(path: Path, codec: str = "MJPG") -> None:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 5, (48, 32))
    for _ in range(3):
        writer.write(np.full((32, 48, 3), 90, np.uint8))
    writer.release()


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{file}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile {file}\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 45555 RTP/AVP 96\n",
    "rtsp": "rtsptext\n{file}\n",
    "dash": "<?xml version='1.0'?><MPD><Period><BaseURL>{file}</BaseURL></Period></MPD>",
    "asx": '<asx version="3.0"><entry><ref href="{file}"/></entry></asx>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("target", ["other.avi", "http://127.0.0.1:{port}/a.mp4"])
@pytest.mark.parametrize("suffix", [".avi", ".mp4"])
def test_a_playlist_under_the_name_of_a_video_opens_nothing(
    tmp_path: Path, server: socket.socket, kind: str, target: str, suffix: str
) -> None:
    write_video(tmp_path / "other.avi")
    named = target.format(port=server.getsockname()[1])
    path = tmp_path / f"list{suffix}"
    path.write_text(PLAYLISTS[kind].format(file=named))
    with pytest.raises(BlemishError, match=r"list.* must be a video\. Received: something else"):
        list(video_frames(path))


@pytest.mark.parametrize(
    "name", ["concat:other.avi", "file,subfile:a.avi", "http:a.avi", "rtsp:a.avi", "a%03d.avi"]
)
def test_a_name_that_reads_as_an_address_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.avi")
    Path("clip.avi").rename(name)
    assert len(list(video_frames(Path(name)))) == 3


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".avi", "MJPG"), (".mp4", "mp4v"), (".mov", "mp4v"), (".mkv", "MJPG"), (".webm", "VP80")],
)
def test_videos_as_opencv_writes_them_are_containers(tmp_path: Path, suffix: str, codec: str) -> None:
    write_video(tmp_path / f"clip{suffix}", codec)
    if not (tmp_path / f"clip{suffix}").exists():
        pytest.skip(f"this OpenCV writes no {codec}")
    refuse_other_content(tmp_path / f"clip{suffix}")


@pytest.mark.parametrize(
    "start",
    [
        b"\x00\x00\x01\xba\x44",  # MPEG program stream
        b"\x00\x00\x01\xb3\x02",  # MPEG video
        b"\x47" + bytes(187) + b"\x47",  # transport stream
        bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),  # WMV
        b"\x00\x00\x00\x08wide\x00\x00",  # old QuickTime
    ],
)
def test_other_containers_by_their_published_marks(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "clip").write_bytes(start)
    refuse_other_content(tmp_path / "clip")
