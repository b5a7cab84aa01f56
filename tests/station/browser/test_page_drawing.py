"""Drawing in a real browser: what is drawn on the screen is what the API has, to the pixel."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

PART, WIDTH, HEIGHT = 4, 8192, 12800
Visit = Callable[..., "Page"]


def ready(page: Page) -> None:
    """Wait until the picture and the tools are there."""
    page.wait_for_selector("canvas.layer[data-view]")
    page.wait_for_selector("[role=toolbar]")
    page.wait_for_timeout(1000)  # the picture comes to rest


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Place on the screen of a point of the image."""
    layer = page.locator("canvas.layer")
    scale, left, top = json.loads(layer.get_attribute("data-view") or "")
    box = layer.bounding_box()
    assert box is not None
    return box["x"] + left + x * scale, box["y"] + top + y * scale


def annotations(page: Page, base: str, part: int = PART) -> dict[str, Any]:
    """Annotations of a part's image, as the API has them."""
    inspection = page.request.get(f"{base}/api/v1/inspections/{part}").json()
    found: dict[str, Any] = page.request.get(
        f"{base}/api/v1/images/{inspection['image']['sha256']}/annotations"
    ).json()
    return found


def draw_box(page: Page, x0: float, y0: float, x1: float, y1: float) -> None:
    page.keyboard.press("b")
    page.mouse.move(*on_screen(page, x0, y0))
    page.mouse.down()
    page.mouse.move(*on_screen(page, x1, y1), steps=3)
    page.mouse.up()


def save(page: Page) -> None:
    with page.expect_response(lambda response: response.request.method == "PUT"):
        page.keyboard.press("Control+s")


def test_a_box_at_one_to_one_is_exact(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1")
    ready(page)
    assert json.loads(page.locator("canvas.layer").get_attribute("data-view") or "")[0] == pytest.approx(1)
    draw_box(page, 6200, 3976, 6320, 4056)
    save(page)
    stored = annotations(page, mock)
    assert stored["version"] == 1
    assert [item["shape"] for item in stored["items"]] == [{"kind": "box", "box": [6200, 3976, 6320, 4056]}]


def test_a_box_is_drawn_by_keys_alone(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1")
    ready(page)
    for key in ("b", " ", *["Shift+ArrowRight"] * 3, "ArrowRight", *["Shift+ArrowDown"] * 2, " "):
        page.keyboard.press("Space" if key == " " else key)
    save(page)
    (x0, y0, x1, y1) = annotations(page, mock)["items"][0]["shape"]["box"]
    assert (x1 - x0, y1 - y0) == (31, 20)


def test_a_mask_of_one_pixel(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=5120&y=1024&zoom=16")
    ready(page)
    page.keyboard.press("d")
    for _ in range(10):
        page.keyboard.press(",")  # a smaller brush, down to one pixel
    page.mouse.click(*on_screen(page, 5119.5, 1024.5))
    save(page)
    (item,) = annotations(page, mock)["items"]
    assert item["shape"] == {"kind": "mask", "box": [5119, 1024, 5120, 1025], "counts": [0, 1]}


def test_a_reload_in_the_middle_of_a_polygon_keeps_it(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1")
    ready(page)
    draw_box(page, 6200, 3976, 6220, 3996)
    page.keyboard.press("p")
    corners = [(6230, 4000), (6300, 4000), (6300, 4050)]
    for corner in corners[:2]:
        page.mouse.click(*on_screen(page, *corner))
    page.reload()
    ready(page)
    page.keyboard.press("p")
    page.mouse.click(*on_screen(page, *corners[2]))
    page.keyboard.press("Enter")
    save(page)
    box, polygon = (item["shape"] for item in annotations(page, mock)["items"])
    assert box == {"kind": "box", "box": [6200, 3976, 6220, 3996]}
    assert polygon["kind"] == "polygon"
    found = [edge for corner in polygon["rings"][0] for edge in corner]
    assert found == pytest.approx([edge for corner in corners for edge in corner], abs=0.01)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("Keep both", {(6200, 3976), (6240, 4000)}),
        ("Save mine", {(6240, 4000)}),
        ("Take theirs", {(6200, 3976)}),
    ],
)
def test_two_people_on_one_image_lose_nothing(
    mock: str, visit: Visit, choice: str, expected: set[tuple[int, int]]
) -> None:
    first = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1", name="operator")
    second = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1", name="engineer")
    for page in (first, second):
        ready(page)
    draw_box(first, 6200, 3976, 6220, 3996)
    save(first)
    draw_box(second, 6240, 4000, 6260, 4020)
    save(second)
    dialog = second.locator("dialog")
    dialog.wait_for()
    assert "operator saved version 1" in dialog.inner_text()
    assert "box 6200, 3976, 6220, 3996" in dialog.inner_text()
    assert "box 6240, 4000, 6260, 4020" in dialog.inner_text()
    assert annotations(second, mock)["version"] == 1  # theirs still holds
    dialog.get_by_role("button", name=choice).click()
    dialog.wait_for(state="detached")
    if choice == "Keep both":
        save(second)
    second.get_by_text("● not saved yet").wait_for(state="detached")
    found = {tuple(item["shape"]["box"][:2]) for item in annotations(second, mock)["items"]}
    assert found == expected


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def cursor(page: Page) -> tuple[float, float]:
    """Where the keyboard's cursor begins: the middle of the picture, in whole pixels."""
    layer = page.locator("canvas.layer")
    scale, left, top = json.loads(layer.get_attribute("data-view") or "")
    width, height = layer.evaluate("(it) => [it.clientWidth, it.clientHeight]")
    return round((width / 2 - left) / scale), round((height / 2 - top) / scale)


def test_polygon_turned_box_and_mask_by_keys_alone(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1")
    ready(page)
    x, y = cursor(page)
    press(
        page,
        "1",
        "p",
        "ArrowLeft",
        "Space",
        *["Shift+ArrowRight"] * 4,
        "Space",
        *["Shift+ArrowDown"] * 3,
        "Space",
    )
    press(page, "Shift+ArrowDown", "Space", "Backspace", "Enter")  # a point that is taken back
    press(page, "Escape", "2", "t", *["Shift+ArrowUp"] * 3, "Space", *["Shift+ArrowRight"] * 6, "Space")
    press(page, *["Shift+ArrowDown"] * 1, "Space")
    press(page, "Escape", "3", "d", *[","] * 10, "Space", "Shift+ArrowRight", "Space", "e", "Space")
    save(page)
    polygon, turned, mask = annotations(page, mock)["items"]
    assert polygon["shape"] == {
        "kind": "polygon",
        "rings": [[[x - 1, y], [x + 39, y], [x + 39, y + 30]]],
    }
    assert (turned["shape"]["length"], turned["shape"]["width"], turned["shape"]["angle_deg"]) == (60, 20, 0)
    assert (mask["shape"]["kind"], mask["shape"]["counts"]) == (
        "mask",
        [0, 1],
    )  # two dabs, one of them erased
    assert [item["class_id"] for item in (polygon, turned, mask)] == [1, 2, 3]


def test_undo_and_redo_go_through_every_step(mock: str, visit: Visit) -> None:
    page = visit(mock, f"#/parts/{PART}?x=6260&y=4016&zoom=1")
    ready(page)
    draw_box(page, 6200, 3976, 6220, 3996)
    draw_box(page, 6240, 4000, 6260, 4020)
    press(page, "Delete", "3")

    def wait_for_count(count: str) -> None:
        page.wait_for_selector(f"h3:has-text('Annotations') .count:text-is('{count}')")

    wait_for_count("1")
    for key, left in (
        *zip(["Control+z"] * 3, "210", strict=True),
        *zip(["Control+y"] * 3, "121", strict=True),
    ):
        page.keyboard.press(key)
        wait_for_count(left)


def test_sixteen_bits_in_a_window_of_grey_values(mock: str, visit: Visit) -> None:
    """What lies below the window is black, what lies above it white; the whole range is one button away."""
    page = visit(mock, "#/parts/6")
    ready(page)

    def grey() -> float:
        """Mean of the middle of the picture, which half a pixel's shift leaves as it is."""
        page.wait_for_selector("canvas.layer[data-sharp=true]")
        shown = (
            "(it) => { const context = it.getContext('2d');"
            " const { data } = context.getImageData(it.width / 2, it.height / 2, 64, 64);"
            " return data.filter((_, i) => i % 4 === 0).reduce((sum, each) => sum + each, 0) / 4096; }"
        )
        value: float = page.locator(".openseadragon-canvas canvas").first.evaluate(shown)
        return value

    def wait_for_grey(expected: float) -> None:
        for _ in range(400):  # its tiles come one after the other
            if abs(grey() - expected) <= 1:
                return
            page.wait_for_timeout(100)
        assert grey() == pytest.approx(expected, abs=1)

    page.wait_for_timeout(500)
    before = grey()
    assert 100 < before < 220
    with page.expect_request(lambda request: "lo=" in request.url and "hi=" in request.url):
        page.get_by_label("Darkest").focus()
        for _ in range(9):
            page.keyboard.press("PageUp")
    wait_for_grey(0)
    page.get_by_label("Darkest").press("Home")
    page.get_by_label("Brightest").press("Home")  # no window at all: refused
    for _ in range(9):
        page.get_by_label("Brightest").press("PageDown")
    wait_for_grey(255)
    page.get_by_role("button", name="Whole range").click()
    wait_for_grey(before)
