"""The server's side of the child that reads images: one child, one request at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blemish.errors import BlemishError

SECONDS = 60.0
IDLE_SECONDS = 120.0


class ImageUnreadableError(BlemishError):
    """The child could not read an image, or was killed over it."""


@dataclass(frozen=True)
class Picture:
    """A picture for the page. type: image/jpeg or image/png"""

    type: str
    data: bytes


@dataclass(frozen=True)
class View:
    """How pixels are shown. low, high: of the window of 16-bit pixels; exact: PNG without any loss"""

    low: int | None = None
    high: int | None = None
    exact: bool = False


class ImageWorker:
    """Starts the child when it is first asked, and again when it has ended; ends it when nobody asks."""

    def __init__(self, *, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.lock = threading.Lock()
        self.child: subprocess.Popen[bytes] | None = None
        self.idle: threading.Timer | None = None

    def pyramid(self, file: Path, out: Path) -> None:
        """Write the pyramid of an image. Raises ImageUnreadableError."""
        self.ask({"do": "pyramid", "file": str(file), "out": str(out)})

    def tile(self, file: Path, level: int, x: int, y: int, view: View) -> Picture:
        """Tile that is cut from the image itself. Raises ImageUnreadableError, also where there is none."""
        return self.ask({"do": "tile", "file": str(file), "level": level, "x": x, "y": y, **view.__dict__})

    def crop(self, file: Path, box: tuple[int, int, int, int] | None, largest: int, view: View) -> Picture:
        """Part of an image, scaled to at most `largest` a side; the whole without a box."""
        return self.ask({"do": "crop", "file": str(file), "box": box, "largest": largest, **view.__dict__})

    def ask(self, request: dict[str, Any]) -> Picture:
        """Answer of the child to a request. Raises ImageUnreadableError."""
        with self.lock:
            child = self.running()
            watch = threading.Timer(self.seconds, child.kill)
            watch.daemon = True
            watch.start()
            try:
                assert child.stdin is not None and child.stdout is not None, "both are pipes"
                child.stdin.write(json.dumps(request).encode() + b"\n")
                child.stdin.flush()
                head = json.loads(child.stdout.readline())
                data = child.stdout.read(head["bytes"])
                if len(data) != head["bytes"]:
                    raise EOFError
            except (OSError, ValueError, EOFError) as error:
                self.end()
                raise ImageUnreadableError(
                    "The image could not be read in time, or its reader ended over it. Check the file."
                ) from error
            finally:
                watch.cancel()
                self.end_when_idle()
        if "error" in head:
            raise ImageUnreadableError(head["error"])
        return Picture(head["type"], data)

    def running(self) -> subprocess.Popen[bytes]:
        if self.child is None or self.child.poll() is not None:
            self.end()
            self.child = subprocess.Popen(
                [sys.executable, "-m", "blemish.station.images.reader"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        return self.child

    def end_when_idle(self) -> None:
        """Have the child, and the image that it holds, gone a while after the last request."""
        if self.idle is not None:
            self.idle.cancel()
        self.idle = threading.Timer(IDLE_SECONDS, self.close)
        self.idle.daemon = True
        self.idle.start()

    def close(self) -> None:
        """End the child."""
        with self.lock:
            self.end()

    def end(self) -> None:
        child, self.child = self.child, None
        if child is None:
            return
        child.kill()
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
