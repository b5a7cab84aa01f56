"""Every screen in dark and light: WCAG 2.1 AA as far as axe can tell; nothing cut off; a review by keys."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.station.browser.conftest import AXE, LONG, PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
SCREENS = (
    "live", "review", "parts", "parts/2", "parts/5", "parts/6", "parts/7", "parts/8", "classes", "datasets",
    "jobs", "jobs/13", "bundles", "lines", "users", "tokens", "audit",
)  # fmt: skip
DIALOGS = {  # screen and the button that opens one
    "classes": "New class", "datasets": "New data set", "bundles": "Compare", "lines": "New line",
    "users": "New user", "tokens": "New token",
}  # fmt: skip
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]


def violations(page: Page) -> list[str]:
    """Serious and critical violations on the page as it is now."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make web")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = page.evaluate(
        "(runOnly) => axe.run({ runOnly, resultTypes: ['violations'], preload: false })"
        ".then(({ violations }) => violations)",
        LEVELS,
    )
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary']}"
        for each in found
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]


def come_to_rest(page: Page) -> None:
    page.wait_for_selector("main")
    page.wait_for_load_state("networkidle")
    for place in page.locator(".loading").all():
        place.wait_for(state="detached")


def faults(page: Page, name: str, pictures: Path) -> list[str]:
    """What is wrong with a screen as it is now; keeps a picture of it."""
    theme, size = page.locator("html").get_attribute("data-theme"), page.viewport_size
    assert size is not None
    page.screenshot(path=pictures / f"{name.replace('/', '-')}-{theme}-{size['width']}.png")
    found = violations(page)
    if page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
        found.append("wider than the window")
    return [f"{name}, {theme}: {each}" for each in found]


def in_both_themes(page: Page, name: str, pictures: Path) -> list[str]:
    """What is wrong with a screen, dark and light."""
    found = faults(page, name, pictures)
    page.evaluate(
        "() => document.querySelector('[aria-label=\"Light or dark\"]').click()"
    )  # below a dialog, too
    return found + faults(page, name, pictures)


@pytest.mark.parametrize("width", (1280, 800) if LONG else (800,))
def test_every_screen(mock: str, visit: Visit, pictures: Path, width: int) -> None:
    page = visit(mock, viewport={"width": width, "height": 760})
    wrong = []
    for screen in SCREENS:
        page.goto(f"{mock}/#/{screen}")
        come_to_rest(page)
        wrong += in_both_themes(page, screen, pictures)
        if page.locator("main").evaluate("(it) => it.scrollWidth > it.clientWidth"):
            wrong.append(f"{screen}: wider than its place")
    assert not wrong, "\n".join(wrong)


def test_every_dialog(mock: str, visit: Visit, pictures: Path) -> None:
    page = visit(mock)
    wrong = []
    for screen, button in DIALOGS.items():
        page.goto(f"{mock}/#/{screen}")
        page.get_by_role("button", name=button).first.click()
        page.get_by_role("dialog").wait_for()
        come_to_rest(page)
        wrong += in_both_themes(page, f"{screen}-dialog", pictures)
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    page.keyboard.press("?")
    wrong += in_both_themes(page, "keys-dialog", pictures)
    assert not wrong, "\n".join(wrong)


def test_a_station_of_which_nothing_is_made_yet(
    start_mock: Callable[..., str], visit: Visit, pictures: Path
) -> None:
    base = start_mock("--empty", "--still")
    page = visit(base)
    wrong = []
    for screen in (
        "live",
        "review",
        "parts",
        "classes",
        "datasets",
        "jobs",
        "bundles",
        "lines",
        "tokens",
        "audit",
    ):
        page.goto(f"{base}/#/{screen}")
        come_to_rest(page)
        assert page.locator(".notice .title").count() > 0, screen
        wrong += in_both_themes(page, f"empty-{screen}", pictures)
    assert not wrong, "\n".join(wrong)


def test_what_is_slow_or_fails_is_said(mock: str, visit: Visit, pictures: Path) -> None:
    page = visit(mock)
    page.route("**/api/v1/classes", lambda route: None)  # never answered
    page.route(
        "**/api/v1/jobs",
        lambda route: route.fulfill(status=500, json={"error": "It failed.", "id": "7f3c9a"}),
    )
    page.route("**/api/v1/bundles", lambda route: route.abort())
    page.route("**/tiles/**", lambda route: route.fulfill(status=404, json={}))
    said = {
        "classes": "Loading …", "jobs": "Error 7f3c9a", "bundles": "The server does not answer.",
        "parts/1": "The picture did not come.",
    }  # fmt: skip
    wrong = []
    for screen, text in said.items():
        page.goto(f"{mock}/#/{screen}")
        page.get_by_text(text).first.wait_for()
        wrong += in_both_themes(page, f"fault-{screen}", pictures)
    assert not wrong, "\n".join(wrong)


def test_logging_in_and_the_first_administrator(
    start_mock: Callable[..., str], mock: str, visit: Visit, pictures: Path
) -> None:
    wrong = []
    for base, name in ((mock, "login"), (start_mock("--setup"), "first-administrator")):
        for scheme in ("dark", "light"):
            page = visit(base, name="", color_scheme=scheme)
            page.wait_for_selector("input[name=password]")
            wrong += faults(page, name, pictures)
    assert not wrong, "\n".join(wrong)


def focus_is_seen(page: Page) -> bool:
    """Whether what has the focus is marked as such."""
    return bool(
        page.evaluate(
            "() => { const it = document.activeElement; const shown = it.closest('.button') ?? it;"
            " const { outlineStyle, outlineWidth } = getComputedStyle(shown);"
            " return outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2; }"
        )
    )


def test_a_whole_review_by_keys_alone(mock: str, visit: Visit) -> None:
    """From logging in to the second part: no pointer is used, and the focus is seen wherever it goes."""
    page = visit(mock, name="")
    page.wait_for_selector("input[name=name]:focus")
    page.keyboard.type("operator")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_selector("h1:has-text('P-100001')")
    page.wait_for_selector("[role=toolbar]")
    page.wait_for_selector("canvas.layer[data-view]")
    for key in ("2", "b", "Space", *["Shift+ArrowRight"] * 2, *["Shift+ArrowDown"] * 2, "Space"):
        page.keyboard.press(key)
    page.get_by_text("Annotations are saved with your verdict.").wait_for()
    for key in ("Control+z", "Control+y", "Escape", "v"):
        page.keyboard.press(key)
    for _ in range(60):  # to the field of the comment
        page.keyboard.press("Tab")
        assert focus_is_seen(page), page.evaluate("() => document.activeElement.outerHTML")
        if page.evaluate("() => document.activeElement.matches('.decide input')"):
            break
    page.keyboard.type("on the edge")
    page.keyboard.press("Enter")
    page.keyboard.press("n")
    page.wait_for_selector("h1:has-text('P-100004')")
    review = page.request.get(f"{mock}/api/v1/inspections/1/reviews").json()["items"][0]
    assert (review["verdict"], review["comment"], review["by"]) == ("NG", "on the edge", "operator")
    image = page.request.get(f"{mock}/api/v1/inspections/1").json()["image"]["sha256"]
    (item,) = page.request.get(f"{mock}/api/v1/images/{image}/annotations").json()["items"]
    (x0, y0, x1, y1) = item["shape"]["box"]
    assert (x1 - x0, y1 - y0, item["class_id"]) == (20, 20, 2)
