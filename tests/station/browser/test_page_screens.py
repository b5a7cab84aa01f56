"""The page in a real browser: logging in, live view, filters, review, tokens, lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]


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


def test_a_token_is_made_shown_once_and_revoked(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/tokens")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="New token").click()
    page.locator("dialog [name=name]").fill("press 4")
    page.locator("dialog [name=line]").select_option("press-3-left")
    page.get_by_role("button", name="Create token").click()
    secret = page.get_by_role("dialog", name="press 4").get_by_label("Secret").input_value()
    assert secret.startswith("blemish_")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert secret not in page.content()
    row = page.get_by_role("row", name="press 4")
    assert row.locator("td").nth(1).inner_text() == "operator"
    assert row.locator("td").nth(2).inner_text() == "press-3-left"
    page.get_by_role("button", name="Revoke: press 4").click()
    row.get_by_text("revoked").wait_for()
    assert "secret" not in page.request.get(f"{mock}/api/v1/tokens").text()


def test_a_line_is_added_with_its_first_bundle_then_changed(mock: str, visit: Visit) -> None:
    page = visit(mock, "#/lines")
    page.get_by_role("button", name="New line").click()
    form = page.get_by_role("dialog", name="New line")
    form.locator("[name=name]").fill("press-4")
    form.get_by_label("Source").select_option("video")
    form.locator("[name=path]").fill("/srv/press-4.mp4")
    form.locator("[name=every]").fill("5")
    form.locator("[name=deadline]").fill("250")
    form.locator("[name=error]").uncheck()
    form.locator("[name=audit_share]").fill("2.5")
    form.locator("[name=bundle]").select_option("severity-b1d0c0ffee01")
    form.locator("[name=why]").fill("The first one")
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="detached")
    line = page.request.get(f"{mock}/api/v1/lines").json()["items"][-1]
    assert line["source"] == {"kind": "video", "path": "/srv/press-4.mp4", "every": 5}
    assert line["keep"] == {"review": True, "ng": True, "error": False, "ok_share": 0.01}
    assert (line["deadline_ms"], line["audit_share"], line["review_is_ng"]) == (250, 0.025, True)
    assert (line["state"], line["bundle_id"]) == ("running", "severity-b1d0c0ffee01")

    card = page.get_by_role("listitem").filter(has_text="press-4")
    card.get_by_role("button", name="Edit").click()
    form = page.get_by_role("dialog", name="press-4")
    assert form.locator("[name=every]").input_value() == "5"
    form.get_by_label("Source").select_option("api")
    form.get_by_role("button", name="Save").click()
    form.wait_for(state="detached")
    line = page.request.get(f"{mock}/api/v1/lines").json()["items"][-1]
    assert line["source"] is None and line["deadline_ms"] == 250
