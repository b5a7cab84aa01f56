"""Streams of servers on this machine: the newest frame, and an account of all others that adds up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from live_servers import Camera, jpeg, mjpeg_server, numbered, rtsp_server

from blemish.errors import BlemishError
from blemish.inspector.live import readers, stream
from blemish.inspector.live.readers import LostError
from blemish.inspector.live.source import Ending
from blemish.inspector.live.stream import LiveStream
from blemish.inspector.sources import Item


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(stream, "STEADY_SECONDS", 0.1)


def taken(source: LiveStream, *, seconds: float = 0.0) -> Iterator[Item]:
    """Items of a source that is opened, each after a while of work."""
    source.open()
    for item in source.items():
        yield item
        time.sleep(seconds)


def number_of(item: Item) -> int:
    return int(item.name.rpartition("#")[2])


@pytest.mark.parametrize("with_length", [True, False])
def test_frames_come_as_they_were_sent(with_length: bool) -> None:
    with mjpeg_server(Camera(rate=50, with_length=with_length)) as address:
        source = LiveStream(address, ending=Ending(max_images=5), note=pytest.fail)
        items = [(number_of(item), item.read()) for item in taken(source)]
    assert len(items) == 5
    for number, pixels in items:
        sent = cv2.imdecode(np.frombuffer(jpeg(numbered(number)), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(pixels, sent)


def test_a_slow_inspection_gets_the_newest_frame_and_the_others_are_counted() -> None:
    camera = Camera(rate=200)
    with mjpeg_server(camera) as address:
        source = LiveStream(address, ending=Ending(max_images=6), note=pytest.fail)
        numbers, behind = [], []
        for item in taken(source, seconds=0.1):
            numbers.append(number_of(item))
            behind.append(camera.sent - 1 - numbers[-1])
    counts = source.counts
    assert counts.taken == 6 and counts.dropped > 30
    assert counts.received == counts.taken + counts.dropped + counts.skipped
    assert numbers == sorted(set(numbers)) and max(behind) < 15, "each was new when it was taken"
    losses = source.losses(6)
    assert losses.fields["dropped"] == counts.dropped
    assert f"6 inspected, {counts.dropped} dropped" in losses.sentence


def test_every_nth_frame_is_taken_and_the_others_are_skipped() -> None:
    with mjpeg_server(Camera(rate=100)) as address:
        source = LiveStream(address, every=4, ending=Ending(max_images=5), note=pytest.fail)
        numbers = [number_of(item) for item in taken(source)]
    assert all(number % 4 == 0 for number in numbers)
    counts = source.counts
    assert counts.skipped >= 12 and counts.received == counts.taken + counts.dropped + counts.skipped


def test_a_damaged_frame_is_an_error_and_the_stream_goes_on() -> None:
    camera = Camera(rate=30)
    camera.damaged = {2}
    with mjpeg_server(camera) as address:
        source = LiveStream(address, ending=Ending(max_images=6), note=pytest.fail)
        outcomes = {}
        for item in taken(source):
            try:
                outcomes[number_of(item)] = item.read().shape
            except BlemishError as error:
                outcomes[number_of(item)] = str(error)
    assert "a frame" in outcomes[2] and "damaged" in outcomes[2]
    assert [number for number, outcome in outcomes.items() if isinstance(outcome, str)] == [2]


def test_a_lost_connection_is_told_and_made_again() -> None:
    lines: list[str] = []
    with mjpeg_server(Camera(rate=100, cut_after=20)) as address:
        source = LiveStream(address, ending=Ending(max_images=50), note=lines.append)
        assert len(list(taken(source))) == 50
    assert [line.partition(": ")[2].split(",")[0].split(" after")[0] for line in lines[:2]] == [
        "lost",
        "back",
    ]
    assert source.counts.interruptions >= 2
    fields = source.losses(50).fields
    assert fields["interruptions"] == source.counts.interruptions and fields["seconds_lost"] > 0
    # About 100 frames a second for at least 0.05 s each time, were they sent.
    assert 2 <= fields["frames_lost_estimate"] <= 100 * fields["seconds_lost"] + 10


def test_the_pauses_grow_and_the_end_comes_also_while_nothing_answers() -> None:
    camera, tries = Camera(rate=100, cut_after=5), []
    with mjpeg_server(camera) as address:

        def connecting(name: str) -> readers.Reader:
            if tries:
                tries.append(time.monotonic())
                raise LostError("no answer")
            tries.append(time.monotonic())
            return readers.connect(name)

        lines: list[str] = []
        source = LiveStream(address, ending=Ending(duration=1.2), note=lines.append, connecting=connecting)
        assert 1 <= len(list(taken(source))) <= 5
    gaps = np.diff(tries[1:])
    assert len(gaps) >= 2 and (gaps[1:] > 1.5 * gaps[:-1]).all()
    assert sum("lost" in line for line in lines) == 1 and not any("back" in line for line in lines)
    assert source.counts.interruptions == 1 and source.counts.seconds_lost > 0.8


@pytest.mark.parametrize("frames", [0, 2])
def test_a_server_that_ends_at_once_is_asked_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    monkeypatch.setattr(stream, "LONGEST_PAUSE", 0.4)
    tries: list[float] = []

    class Short:
        """Connection that ends after so many frames."""

        def __init__(self) -> None:
            self.left = 1 if len(tries) == 1 else frames

        def read(self) -> readers.ReadPixels:
            if not self.left:
                raise LostError("the stream has ended")
            self.left -= 1
            return lambda: np.zeros((4, 4), np.uint8)

        def close(self) -> None:
            pass

    def connecting(_: str) -> readers.Reader:
        tries.append(time.monotonic())
        return Short()

    lines: list[str] = []
    source = LiveStream("http://host/", ending=Ending(duration=2), note=lines.append, connecting=connecting)
    list(taken(source))
    gaps = np.diff(tries)
    assert (gaps >= 0.99 * np.minimum(0.05 * 2.0 ** np.arange(len(gaps)), 0.4)).all()
    assert len(tries) <= 9 and len(lines) <= len(tries), "a line for each attempt"
    assert all("lost" in line for line in lines) and "lost again" in lines[-1]


def test_stopping_wakes_whoever_waits_for_a_frame() -> None:
    with mjpeg_server(Camera(rate=0.01)) as address:
        source = LiveStream(address, ending=Ending(), note=pytest.fail)
        source.open()
        items = source.items()
        next(items)
        threading.Timer(0.2, source.stop).start()
        start = time.monotonic()
        assert list(items) == [] and time.monotonic() - start < 30, "the next frame is 100 s away"


def test_a_fault_of_the_reader_is_raised_where_items_are_taken() -> None:
    class Faulty:
        def read(self) -> None:
            raise ZeroDivisionError

        def close(self) -> None:
            pass

    source = LiveStream("camera:0", ending=Ending(), note=pytest.fail, connecting=lambda _: Faulty())
    with pytest.raises(ZeroDivisionError):
        list(taken(source))


def test_a_camera_with_a_password() -> None:
    with mjpeg_server(Camera(password="anna:pass@word")) as address:
        named = address.replace("http://", "http://anna:pass%40word@")
        source = LiveStream(named, ending=Ending(max_images=2), note=pytest.fail)
        names = [item.name for item in taken(source)]
        assert len(names) == 2 and not any("word" in name or "anna" in name for name in names)
        wrong = LiveStream(named.replace("word", "wrong"), ending=Ending(), note=pytest.fail)
        with pytest.raises(BlemishError, match="password was refused, HTTP 401") as raised:
            wrong.open()
    assert "wrong" not in str(raised.value)
    assert "wrong" not in str(raised.value.__context__)


def test_no_other_address_is_followed() -> None:
    with mjpeg_server(Camera()) as elsewhere:
        camera = Camera(redirect=elsewhere)
        with mjpeg_server(camera) as address:
            source = LiveStream(address, ending=Ending(), note=pytest.fail)
            with pytest.raises(BlemishError, match="HTTP 302, which leads to another address; name that"):
                source.open()
    assert camera.connections == 1


def test_a_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch, server: object) -> None:
    port = server.getsockname()[1]  # type: ignore[attr-defined]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    with mjpeg_server(Camera()) as address:
        source = LiveStream(address, ending=Ending(max_images=1), note=pytest.fail)
        assert len(list(taken(source))) == 1


def test_what_is_no_stream_is_refused() -> None:
    for kind in ("text/html", "video/mp4"):
        with mjpeg_server(Camera(kind=kind)) as address:
            source = LiveStream(address, ending=Ending(), note=pytest.fail)
            with pytest.raises(BlemishError, match=f"it sends {kind} in place of Motion JPEG"):
                source.open()


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_port_at_which_nobody_answers_is_told(scheme: str) -> None:
    source = LiveStream(f"{scheme}://u:secret@127.0.0.1:9/x", ending=Ending(), note=pytest.fail)
    with pytest.raises(
        BlemishError, match=rf"{scheme}://127.0.0.1:9/x cannot be opened: .*refused"
    ) as raised:
        source.open()
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(("scheme", "port"), [("rtsp", 554), ("rtsps", 322), ("RTSPS", 322)])
def test_a_scheme_has_its_port(scheme: str, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By RFC 7826, section 20.11, and as FFmpeg connects then."""

    def create_connection(address: tuple[str, int], timeout: float) -> None:
        assert address == ("camera", port)
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(readers.socket, "create_connection", create_connection)
    with pytest.raises(LostError, match="refused"):
        readers.connect(f"{scheme}://camera/x")


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_name_that_no_host_can_have_is_told(scheme: str) -> None:
    with pytest.raises(LostError, match="no such host"):
        readers.connect(f"{scheme}://a..b/x")


def test_a_camera_that_is_not_there_is_told() -> None:
    with pytest.raises(BlemishError, match="camera:97 cannot be opened: no such camera"):
        LiveStream("camera:97", ending=Ending(), note=pytest.fail).open()


def test_rtsp_is_read_by_ffmpeg_and_connected_again() -> None:
    lines: list[str] = []
    with rtsp_server(rate=50, cut_after=30) as address:
        source = LiveStream(address, ending=Ending(duration=20, max_images=45), note=lines.append)
        shapes = {item.read().shape for item in taken(source, seconds=0.01)}
    assert shapes == {(64, 96, 3)} and source.counts.taken == 45
    assert "lost" in lines[0] and "back" in lines[1]
    assert source.counts.received == source.counts.taken + source.counts.dropped
