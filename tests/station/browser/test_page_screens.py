"""The page's screens in a real browser: logging in, live view, filters, review by keys, many defects."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
SCREENS = (
    "live", "review", "parts", "parts/1", "parts/5", "parts/7", "classes", "datasets", "jobs", "bundles",
    "users", "audit",
)  # fmt: skip


def test_logging_in(mock: str, visit: Visit) -> None:
    page = visit(mock, name="")
    page.fill("input[name=name]", "viewer")
    page.fill("input[name=password]", "wrong password")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("Name or password is wrong.").wait_for()
    page.fill("input[name=password]", "password12")
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    links = page.locator("nav a").all_inner_texts()
    assert links == ["Live", "Parts", "Classes", "Bundles"]  # what a viewer may see, and no more
    page.get_by_role("button", name="Log out").click()
    page.wait_for_selector("input[name=password]")


def test_the_first_administrator(start_mock: Callable[..., str], visit: Visit) -> None:
    page = visit(start_mock("--setup"), name="")
    page.fill("input[name=code]", "WRONG")
    page.fill("input[name=name]", "anna")
    page.fill("input[name=password]", "correct horse")
    page.keyboard.press("Enter")
    page.get_by_role("alert").get_by_text("The code must be that on the console").wait_for()
    page.fill("input[name=code]", "ABCD-EFGH")
    page.keyboard.press("Enter")
    page.wait_for_selector("nav a:has-text('Users')")


def test_the_live_view_shows_verdict_and_picture(mock: str, visit: Visit) -> None:
    page = visit(mock)
    page.wait_for_selector(".banner strong")
    assert page.locator(".banner strong").inner_text().split()[-1] in ("OK", "NG", "REVIEW")
    page.wait_for_timeout(1500)
    shown = page.locator(".livepicture canvas").evaluate(
        "(canvas) => canvas.getContext('2d').getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data[3]"
    )
    assert shown == 255
    assert page.locator(".banner strong").evaluate("(it) => it.getBoundingClientRect().height") >= 60


def test_filters_stay_in_the_address(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/parts")
    page.locator(".filters label:has-text('Verdict') select").select_option("NG")
    page.locator(".filters label:has-text('Lot') input").fill("L2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/#/parts?verdict=NG&lot=L2")
    page.wait_for_timeout(500)
    page.reload()
    page.wait_for_selector("tbody tr")
    assert set(page.locator("tbody tr td:nth-child(3)").all_inner_texts()) == {"L2"}
    assert {text.split()[-1] for text in page.locator("tbody tr td:nth-child(1)").all_inner_texts()} == {"NG"}
    page.locator(".filters label:has-text('Lot') input").fill("nothing")
    page.keyboard.press("Enter")
    page.get_by_text("No part fits these filters.").wait_for()


def test_review_by_keys(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/review", name="operator")

    def now() -> str:
        page.wait_for_selector("[role=toolbar]")
        return page.locator("h1").inner_text()

    def press(key: str, before: str) -> str:
        page.keyboard.press(key)
        page.locator("h1", has_text=before).wait_for(state="detached")
        return now()

    assert now() == "P-100001"
    assert press("o", "P-100001") == "P-100004"
    assert press("n", "P-100004") == "P-100006"
    assert press("u", "P-100006") == "P-100004"  # taken back: the next verdict supersedes
    assert press("o", "P-100004") == "P-100006"
    skipped = press("ArrowRight", "P-100006")
    assert skipped not in ("P-100001", "P-100004", "P-100006")
    reviews = page.request.get(f"{mock}/api/v1/inspections/4/reviews").json()["items"]
    assert [review["verdict"] for review in reviews] == ["OK", "NG"]
    assert reviews[0]["supersedes"] == reviews[1]["id"]
    assert page.request.get(f"{mock}/api/v1/inspections/6/reviews").json()["items"] == []


def test_review_by_keys_chooses_classes_by_number(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/review", name="operator")
    page.wait_for_selector("[role=toolbar]")
    page.keyboard.press("3")
    page.wait_for_selector("[role=radio][aria-checked=true]:has-text('stain')")


def test_key_help(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/classes")
    page.wait_for_selector(".card")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("g")
    page.keyboard.press("p")
    page.wait_for_url("**/#/parts")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (800, "light")])
def test_every_screen_fits_and_reports_nothing(mock: str, visit: Visit, width: int, scheme: str) -> None:
    page = visit(mock, viewport={"width": width, "height": 760}, color_scheme=scheme)
    for screen in SCREENS:
        page.goto(f"{mock}/#/{screen}")
        page.wait_for_timeout(1000)
        too_wide = page.locator("main").evaluate("(it) => it.scrollWidth > it.clientWidth")
        assert not too_wide, screen
    # `visit` then asks for the policy's reports


def test_five_thousand_defects_pan_smoothly(mock: str, visit: Visit) -> None:
    """At least 20 frames a second, drawn in software, with every defect on the screen."""
    if os.getloadavg()[0] > 2 * (os.cpu_count() or 1):
        pytest.skip("the cores are busy with something else; frames a second would say nothing")
    page = visit(mock, "#/parts/5")
    page.wait_for_selector("canvas.layer[data-view]")
    page.wait_for_timeout(3000)
    assert page.locator("h3 .count").first.inner_text() == "5000"
    box = page.locator(".stage").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.evaluate(
        "() => { window.frames_seen = [];"
        " const next = (at) => { window.frames_seen.push(at); requestAnimationFrame(next); };"
        " requestAnimationFrame(next); }"
    )
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(60):
        page.mouse.move(x + 60 - abs(step % 40 - 20) * 3, y + step % 30)
    page.mouse.up()
    frames = page.evaluate("() => window.frames_seen")
    rate = 1000 * (len(frames) - 1) / (frames[-1] - frames[0])
    assert rate >= 20
