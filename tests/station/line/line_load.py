"""Load on a line, over every kill of it: files that come into its folder, and requests on its socket."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from blemish.errors import BlemishError
from blemish.station.layout import LineFolder
from tests.station.line.stand_in_line import asked, opened, png


class Asking:
    """A thread that sends request after request, over every kill, and keeps what was acknowledged."""

    def __init__(self, line: LineFolder) -> None:
        self.line, self.over = line, threading.Event()
        self.acknowledged: dict[str, int] = {}
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        number = 0
        while not self.over.is_set():
            with suppress(BlemishError, OSError, AssertionError):
                channel = opened(self.line)
                while not self.over.is_set():
                    number += 1
                    serial = f"asked-{number}"
                    reply: dict[str, Any] = asked(channel, png(10, mark=number), serial=serial)
                    if "seq" in reply:
                        self.acknowledged[serial] = reply["seq"]
                    time.sleep(0.01)
            time.sleep(0.05)

    def end(self) -> None:
        self.over.set()
        self.thread.join()


class Filling:
    """A thread that renames image after image into a folder, `most` of them."""

    def __init__(self, folder: Path, most: int) -> None:
        self.folder, self.most, self.over, self.count = folder, most, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self) -> None:
        while not self.over.is_set() and self.count < self.most:
            draft = self.folder / f".{self.count}"
            draft.write_bytes(png(10 if self.count % 5 else 200, mark=self.count))
            draft.rename(self.folder / f"{self.count:06d}.png")
            self.count += 1
            time.sleep(0.005)

    def end(self) -> None:
        self.over.set()
        self.thread.join()
