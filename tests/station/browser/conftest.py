"""A real browser on the built page, and the mock server that it talks to; skipped where one is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[3]
STATIC = ROOT / "src/blemish/station/static"
MOCK = ROOT / "web/mock/server.mjs"
FLAGS = (
    "--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--disable-quic",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 120_000  # a browser without a graphics card, on cores that others use too
PASSWORD = "password12"
LONG = "BLEMISH_STATION_LONG" in os.environ  # make test-station
KEPT = ROOT / "build/pictures"
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, drawing in software."""
    if not (STATIC / "index.html").is_file():
        pytest.skip("the page is not built: make web")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("BLEMISH_CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no chromium: apt-get install chromium, or name one in BLEMISH_CHROMIUM")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=list(FLAGS), timeout=PATIENCE_MS)
        yield opened
        opened.close()


@pytest.fixture
def start_mock() -> Iterator[Callable[..., str]]:
    """Start a mock server with options and give its address."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node for the mock server: apt-get install nodejs")
    running: list[subprocess.Popen[str]] = []

    def start(*options: str) -> str:
        process = subprocess.Popen([node, str(MOCK), *options], stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        return process.stdout.readline().strip()

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.fixture
def mock(start_mock: Callable[..., str]) -> str:
    """Address of a mock server whose line sends one part."""
    return start_mock("--still")


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Log in with a browser of one's own, open an address; an error or a breach of the policy fails it."""
    opened: list[tuple[str, Page]] = []
    faults: list[str] = []

    def open_page(base: str, address: str = "", *, name: str = "admin", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.extend(breach(message.text)))
        opened.append((base, page))
        page.goto(base)
        if name:
            page.fill("input[name=name]", name)
            page.fill("input[name=password]", PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_selector("nav")
        if address:
            page.goto(f"{base}/{address}")
        return page

    yield open_page
    for base, page in opened:
        reports = page.request.get(f"{base}/mock/csp")
        faults += (
            reports.json() if "json" in reports.headers["content-type"] else []
        )  # a real station has none
        page.context.close()
    assert not faults


def breach(message: str) -> list[str]:
    """The message, where the browser says that the content security policy was breached."""
    return [message] if "Content Security Policy" in message else []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the pictures of screens; the long form of the tests keeps them in build/pictures."""
    if not LONG:
        return tmp_path_factory.mktemp("pictures")
    KEPT.mkdir(parents=True, exist_ok=True)
    return KEPT


def busy() -> str:
    """Why a figure would say nothing now; empty where the cores are free."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    return f"the cores are busy with something else: load {load:.0f} on {cores}" if load > cores else ""
