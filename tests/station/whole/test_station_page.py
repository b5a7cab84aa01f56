"""The whole chain in a real browser, on a running station, from the code on the console on.

Log in, see a part, draw to the pixel on a large picture, add a class from five boxes, compare, promote.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blemish.dataset.samples import Dataset, Sample
from blemish.station import Client
from blemish.station.add_line import add_line
from blemish.station.line.settings import FolderSource, Keep, write_settings
from tests.station.browser.conftest import PATIENCE_MS
from tests.station.browser.test_page_drawing import draw_box, on_screen, ready, save
from tests.station.whole.running_station import (
    PASSWORD,
    RunningStation,
    big_picture,
    drop,
    recorded,
    running,
    wait_for,
)
from tests.station.whole.test_station_chain import HEIGHT, LOTS, WIDTH, annotate, shapes_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Screenshots of the steps are kept where this names a folder.
PICTURES = os.environ.get("BLEMISH_PICTURES")


@pytest.fixture
def station(tmp_path: Path, first_bundle: Path) -> Iterator[RunningStation]:
    """A running station whose line "press" watches a folder and keeps every image."""
    (tmp_path / "parts").mkdir()
    source = FolderSource(path=tmp_path / "parts", renamed=True)
    settings = add_line(tmp_path / "station", "press", bundle=first_bundle, source=source)
    with running(tmp_path / "station") as opened:
        write_settings(opened.line(), settings.model_copy(update={"keep": Keep(ok_share=1.0)}))
        yield opened


@pytest.fixture
def page(browser: Browser, station: RunningStation) -> Iterator[Page]:
    """Page of the first admin, made by the code of the console; a fault or what the policy blocks fails."""
    faults: list[str] = []
    opened = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    opened.set_default_timeout(PATIENCE_MS)
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if "Security Policy" in said.text else None)
    opened.goto(station.address)
    opened.fill("input[name=code]", station.setup_code())
    opened.fill("input[name=name]", "anna")
    opened.fill("input[name=password]", PASSWORD)
    opened.keyboard.press("Enter")
    opened.wait_for_selector("nav a:has-text('Users')")
    yield opened
    opened.context.close()
    assert not faults


@pytest.fixture
def client(page: Page, station: RunningStation) -> Iterator[Client]:
    """Client of the same person, for what the test looks up, and labels by the dozen."""
    with Client(station.address) as opened:
        opened.login("anna", PASSWORD)
        yield opened


def show(page: Page, address: str) -> None:
    """Go to an address of the page."""
    page.evaluate("(address) => { location.hash = address; }", f"#/{address}")


def picture(page: Page, name: str) -> None:
    """Keep a screenshot."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"chain-{name}.png")


def opened_part(page: Page, part: dict[str, Any], place: tuple[int, int], zoom: int) -> None:
    """Open a place of a part. place: (x, y) in the middle of the screen"""
    show(page, f"parts/{part['id']}?x={place[0]}&y={place[1]}&zoom={zoom}")
    page.reload()  # the view of the address holds when a part is opened
    ready(page)


def job_done(page: Page) -> None:
    """Wait until the job that the page shows is done."""
    page.wait_for_selector(".pagehead .state.done, .pagehead .state.failed", timeout=3 * PATIENCE_MS)
    assert page.locator(".pagehead .state.done").count(), page.locator("pre.log").inner_text()


def test_from_a_part_to_the_next_bundle(
    page: Page, client: Client, station: RunningStation, tiny_dataset: Dataset, tmp_path: Path
) -> None:
    parts, samples = tmp_path / "parts", list(tiny_dataset)
    first = see_a_part(page, client, parts, samples[0])
    classes = {
        name: client.request("POST", "/classes", json={"name": name, "colour": colour})["id"]
        for name, colour in (("pit", "#d62728"), ("scratch", "#1f77b4"), ("spot", "#2ca02c"))
    }
    draw_on_a_large_picture(page, client, parts)
    for number, sample in enumerate(samples[:12]):
        drop(sample.image, parts, f"{LOTS[number % 4]}/part-{number}.png")
    for number, sample in enumerate(samples[:12]):
        sha = recorded(client, f"part-{number}")["image"]["sha256"]
        annotate(client, sha, *((classes[name], shape) for name, shape in shapes_of(sample)))
    new = add_a_class(page, client, parts, samples[12])
    freeze(page)
    compare_and_promote(page, first, new)
    wait_for(lambda: (live := client.line("press").fields["live"]) and live["bundle"] == new, "the promotion")
    drop(samples[13].image, parts, "after.png")
    assert recorded(client, "after")["bundle_id"] == new
    show(page, "live")
    page.get_by_text(new).first.wait_for()
    picture(page, "after")


def see_a_part(page: Page, client: Client, parts: Path, sample: Sample) -> str:
    """See a part's verdict in the live view as it comes; returns the bundle that gave it."""
    show(page, "live")
    page.get_by_text("press").first.wait_for()
    page.wait_for_timeout(2000)  # it follows the line from here on
    drop(sample.image, parts, "seen.png")
    seen = recorded(client, "seen")
    page.locator(".banner small").get_by_text("seen").wait_for()
    assert page.locator(".banner strong").inner_text().split()[-1] == seen["verdict"]
    picture(page, "live")
    bundle: str = seen["bundle_id"]
    return bundle


def draw_on_a_large_picture(page: Page, client: Client, parts: Path) -> None:
    """Draw a box at 1:1 and a mask of one pixel, and read both back to the pixel."""
    drop(big_picture(HEIGHT, WIDTH), parts, "big.png")
    big = recorded(client, "big")
    page.reload()  # so that the page knows the new classes
    opened_part(page, big, (6260, 4016), 1)
    draw_box(page, 6200, 3976, 6320, 4056)
    save(page)
    opened_part(page, big, (5120, 1024), 16)
    page.keyboard.press("d")
    for _ in range(10):
        page.keyboard.press(",")  # a smaller brush, down to one pixel
    page.mouse.click(*on_screen(page, 5119.5, 1024.5))
    save(page)
    picture(page, "big")
    stored = client.request("GET", f"/images/{big['image']['sha256']}/annotations")["items"]
    assert [each["shape"] for each in stored] == [
        {"kind": "box", "box": [6200, 3976, 6320, 4056]},
        {"kind": "mask", "box": [5119, 1024, 5120, 1025], "counts": [0, 1]},
    ]


def add_a_class(page: Page, client: Client, parts: Path, sample: Sample) -> str:
    """Draw five boxes of the class "pit", and have it added from them; returns the new bundle."""
    drop(sample.image, parts, "pits.png")
    opened_part(page, recorded(client, "pits"), (48, 48), 4)
    page.get_by_role("radio", name="pit").click()
    for x in range(5):
        draw_box(page, 4 + 18 * x, 40, 16 + 18 * x, 54)
    save(page)
    for _ in range(5):
        page.get_by_role("button", name="Pick as an example").filter(has_text="☆").first.click()
    picture(page, "five-boxes")
    page.get_by_role("link", name="★").click()
    page.get_by_role("button", name="Start").click()
    job_done(page)
    picture(page, "added")
    new: str = client.request("GET", "/jobs/1")["result"]["bundle_id"]
    return new


def freeze(page: Page) -> None:
    """Make a data set of the lots, and freeze it."""
    show(page, "datasets")
    page.get_by_role("button", name="New data set").click()
    page.fill("input[name=name]", "first")
    page.fill("textarea[name=lots]", "\n".join(LOTS))
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Freeze").click()
    page.locator("dialog").get_by_role("button", name="Freeze").click()
    page.get_by_text("❄ frozen").wait_for()


def compare_and_promote(page: Page, first: str, new: str) -> None:
    """Compare the new bundle with the running one, and promote it with a reason."""
    show(page, "bundles")
    page.get_by_role("button", name="Compare").click()
    dialog = page.locator("dialog")
    dialog.locator("select[name=a]").select_option(first)
    dialog.locator("select[name=b]").select_option(new)
    dialog.get_by_role("button", name="Compare").click()
    job_done(page)
    show(page, "bundles")
    page.get_by_text("McNemar").wait_for()
    card = page.locator("li.card", has=page.get_by_role("heading", name=new))
    card.get_by_role("button", name="Promote").click()
    page.fill("textarea[name=why]", "knows pits")
    picture(page, "promote")
    page.locator("dialog").get_by_role("button", name="Promote").click()
    page.get_by_text(f"The next part is judged by {new}.").wait_for()
