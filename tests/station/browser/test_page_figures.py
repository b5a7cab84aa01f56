"""How fast the page is, drawn in software: opening 100 megapixels of a real station, moving 5,000 defects."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.station.browser.conftest import STATIC, busy
from tests.station.server.station_builders import PASSWORD, FakeLine, defect, opened_bench

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
WIDTH, HEIGHT = 8192, 12800


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a station with two parts of 100 megapixels, of 1 and of 5,000 defects, their tiles made."""
    uvicorn = pytest.importorskip("uvicorn", reason="needs the extra 'station'")
    from blemish.station.server.app import make_app
    from blemish.station.server.runtime import close_station

    bench = opened_bench(tmp_path_factory.mktemp("station") / "station")
    bench.add_line()
    rng = np.random.default_rng(1)
    pixels = np.tile(rng.integers(90, 160, (1280, 1024), np.uint8), (HEIGHT // 1280, WIDTH // 1024))
    corners = rng.uniform([0, 0], [WIDTH - 200, HEIGHT - 200], (5000, 2)).round()
    sides = rng.uniform(20, 200, (5000, 2)).round()
    boxes = np.hstack([corners, corners + sides])
    found = [defect("scratch", tuple(box)) for box in boxes.tolist()]
    line = FakeLine(bench.station.folder)
    record = line.part("REVIEW", pixels=pixels)
    line.part("REVIEW", pixels=pixels, defects=found)
    bench.ingest()
    assert bench.admin.get(f"/images/{record['image']['sha256']}/tiles/0/0_0").status_code == 200
    config = uvicorn.Config(make_app(bench.station, page=STATIC), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()
    close_station(bench.station)


def logged_in(visit: Visit, base: str) -> Page:
    page = visit(base, name="")
    page.fill("input[name=name]", "admin")
    page.fill("input[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    page.wait_for_load_state("networkidle")
    return page


OPENED = """() => new Promise((resolve) => {
  const start = performance.now();
  location.hash = "#/parts/1";
  const look = () => {
    if (document.querySelector("canvas.layer[data-sharp=true]")) resolve(performance.now() - start);
    else requestAnimationFrame(look);
  };
  look();
})"""

# Keys move the picture to and fro for three seconds, on busy cores until it has moved ten times.
# A frame counts where what is shown has moved.
MOVED = """() => new Promise((resolve) => {
  const layer = document.querySelector("canvas.layer");
  const start = performance.now();
  let [shown, frames, keys] = [layer.dataset.view, 0, 0];
  const look = (now) => {
    if (layer.dataset.view !== shown) frames++;
    shown = layer.dataset.view;
    if (now - start > 3000 && frames >= 10) return resolve([frames, (now - start) / 1000]);
    if (now - start > 120 * keys) {
      const key = keys++ % 2 ? "ArrowLeft" : "ArrowRight";
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: true, bubbles: true }));
    }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""


def processor_seconds() -> float:
    """Processor time of this process, which the station is in, and of the browser's processes."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    return own.ru_utime + own.ru_stime + sum(map(seconds_below, children(os.getpid())))


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def seconds_below(pid: int) -> float:
    """Processor time of a process and of those that it started; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK") + sum(map(seconds_below, children(pid)))
    except OSError:
        return 0.0


def tell(figure: str) -> None:
    print(f"{figure}; load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")


def test_a_hundred_megapixels_open_within_a_second(station: str, visit: Visit, pictures: Path) -> None:
    """Its tiles are made; it is open when all that is on the screen is sharp."""
    page = logged_in(visit, station)
    before = processor_seconds()
    seconds = page.evaluate(OPENED) / 1000
    used = processor_seconds() - before
    page.screenshot(path=pictures / "hundred-megapixels.png")
    tell(f"8192 × 12800 opened in {seconds:.2f} s, {used:.2f} s of processor time")
    if seconds > 1 and busy():
        pytest.skip(busy())
    assert seconds <= 1


def test_five_thousand_defects_move_smoothly(station: str, visit: Visit, pictures: Path) -> None:
    """At least 20 frames a second, every defect on the screen."""
    page = logged_in(visit, station)
    page.goto(f"{station}/#/parts/2")
    page.wait_for_selector("canvas.layer[data-sharp=true]")
    assert page.locator("h3 .count").first.inner_text() == "5000"
    before = processor_seconds()
    frames, seconds = page.evaluate(MOVED)
    used = processor_seconds() - before
    page.screenshot(path=pictures / "five-thousand-defects.png")
    each = 1000 * used / max(frames, 1)
    tell(f"5,000 defects: {frames / seconds:.1f} frames/s, {each:.0f} ms of processor time each")
    if frames < 20 * seconds and busy():
        pytest.skip(busy())
    assert frames >= 20 * seconds
