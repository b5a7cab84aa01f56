"""A LINE whose bundles are stand-ins: quick, without networks, and each behaving as its folder's name says.

As a program, `stand_in_line.py DIR NAME`, it is that process itself.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect, Rectangle
from blemish.errors import BlemishError
from blemish.inspector.inspector import BundleInspector
from blemish.methods.contract import ImageFindings
from blemish.record import UsedBundle
from blemish.station.journal import Entry, read_journal
from blemish.station.layout import LineFolder, StationFolder
from blemish.station.line import __main__ as main_module
from blemish.station.line import promotion
from blemish.station.line.channel import Channel, connect
from blemish.station.line.judging import PartJudge
from blemish.station.line.process import LineProcess
from blemish.station.line.settings import DecisionOf, LineSettings, write_settings

SECONDS = 120.0  # for anything to happen, on a busy machine


class Brightest:
    """A method: an image's greatest value is its score, a defect of one pixel where it is."""

    channels = 1
    mm_per_px = None
    classifies = False
    segments = True
    streams = None
    threshold_score = 0.5
    pixel_threshold = region_threshold = 0.5
    score_map_max = 1.0

    def __init__(self, name: str) -> None:
        self.name = name

    def forward(self, pixels: NDArray[np.uint8], networks: object) -> NDArray[np.float32]:
        if self.name.startswith("slow"):
            time.sleep(0.05)
        if self.name.startswith("raises"):
            raise RuntimeError("a fault of the bundle")
        raw = pixels.astype(np.float32) / 255
        return np.full_like(raw, np.nan) if self.name.startswith("nan") else raw

    def decide(self, raw: NDArray[np.float32], *_: object, with_maps: bool) -> ImageFindings:
        y, x = np.unravel_index(int(raw.argmax()), raw.shape)
        box = (float(x), float(y), float(x + 1), float(y + 1))
        defect = Defect("spot", 1.0, box, (), Rectangle((x + 0.5, y + 0.5), 1, 1, 0), 1)
        return ImageFindings(float(raw.max()), (defect,))


def stand_in(root: Path, bundle: Path, decision: DecisionOf | None, last: object) -> PartJudge:
    """Open a stand-in in place of a bundle. Raises BlemishError for one whose name begins with "damaged"."""
    name = bundle.name
    if name.startswith("damaged"):
        raise BlemishError(f"{bundle} was changed or damaged. Copy the bundle again.")
    runtime: dict[str, Any] = {"name": "stand-in", "version": "1", "threads": 1, "processor": "any"}
    used = UsedBundle(name, "0" * 64, str(bundle), None, None, None, runtime)
    inspector = BundleInspector(Brightest(name), {}, review=0.3, ng=0.6, bundle=name, used=used)
    return PartJudge(inspector, (bundle, decision))


def new_line(root: Path, *, bundle: str | None = "sound-1", **settings: Any) -> LineFolder:
    """Make the folder of the line "L1" in a station."""
    folder = StationFolder(root).line("L1")
    given = Path("bundles") / bundle if bundle else None
    write_settings(folder, LineSettings(name="L1", bundle=given, min_free_mb=0, **settings))
    return folder


def change(folder: LineFolder, **changes: Any) -> None:
    """Write other settings, as the server does."""
    settings = LineSettings.model_validate_json(folder.settings.read_text())
    fields = {**settings.model_dump(), **changes, "revision": settings.revision + 1}
    write_settings(folder, LineSettings.model_validate(fields))


@contextmanager
def running(
    folder: LineFolder, monkeypatch: Any, *, ready: bool = True, opened_by: Any = stand_in
) -> Iterator[LineProcess]:
    """Run a line in a thread, ended and joined at the end of the block. opened_by: opens its bundles"""
    monkeypatch.setattr(promotion, "open_judge", opened_by)
    line = LineProcess(StationFolder(folder.root.parent.parent), folder)
    thread = threading.Thread(target=line.run)
    thread.start()
    try:
        wait_for(folder.socket.exists)
        if ready:
            wait_for(lambda: line.status()["state"] == "ready")
        yield line
    finally:
        line.stopping.set()
        thread.join(SECONDS)
        assert not thread.is_alive()


def wait_for(holds: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Wait until it holds, and fail where it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.02)


def records(folder: LineFolder, kind: str | None = None) -> list[Entry]:
    """Entries of a line's journal, the chain checked. kind: of these alone"""
    return [entry for entry in read_journal(folder.journal) if kind in (None, entry.record["kind"])]


def inspections(folder: LineFolder) -> list[Any]:
    return [entry.record for entry in records(folder, "inspection")]


def png(value: int, *, size: tuple[int, int] = (24, 32), mark: int = 0) -> bytes:
    """PNG of a gray surface whose brightest pixel has that value. mark: another gives other bytes"""
    pixels = np.zeros(size, np.uint8)
    pixels[3, 5] = value
    pixels[-1, :] = [mark // 256**k % 256 // 8 for k in range(size[1])][::-1]
    return bytes(cv2.imencode(".png", pixels)[1].tobytes())


def asked(channel: Channel, content: bytes, **fields: Any) -> dict[str, Any]:
    """Answer to a request to inspect."""
    channel.send({"do": "inspect", "bytes": len(content), **fields}, content)
    reply = channel.read_message()
    assert reply is not None
    return reply


def said(channel: Channel, **message: Any) -> dict[str, Any]:
    channel.send(message)
    reply = channel.read_message()
    assert reply is not None
    return reply


def opened(folder: LineFolder) -> Channel:
    return connect(folder.socket, seconds=SECONDS)


if __name__ == "__main__":
    promotion.open_judge = stand_in  # type: ignore[assignment]
    sys.exit(main_module.main(sys.argv[1:]))
