"""Text in any script: letters that ship, escapes for those that no font has, and what fits into a width."""

from __future__ import annotations

import numpy as np
import pytest

from blemish.images import text as module
from blemish.images.text import font_number, letters_without_font, one_line, shortened, text_mask, text_width

SCRIPTS = (
    "äßéÅñçßőł",
    "царапина й",
    "Ρωγμή",
    "划伤表面缺陷刮痕",
    "裂縫傷痕",
    "キズ打痕ひび",
    "스크래치긁힘",
    "خدش",
    "שריטה",
)


@pytest.fixture
def no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SYSTEM", ())
    monkeypatch.setattr(module, "_escaped", set())
    font_number.cache_clear()


@pytest.mark.parametrize("words", SCRIPTS)
@pytest.mark.usefixtures("no_system_fonts")
def test_the_fonts_that_ship_have_the_letters_of_many_scripts(words: str) -> None:
    assert one_line(words) == words
    assert letters_without_font() == ""
    masks = {letter: text_mask(letter, 40).tobytes() for letter in words}
    assert len(set(masks.values())) == len(masks), "no two letters are drawn alike, as boxes would be"


@pytest.mark.usefixtures("no_system_fonts")
def test_a_letter_that_no_font_has_is_written_as_its_number() -> None:
    assert one_line("ก crack 🙂") == "\\u0e01 crack \\U0001f642"
    assert letters_without_font() == "ก🙂"
    assert np.array_equal(text_mask("ก", 30), text_mask("\\u0e01", 30))


def test_a_font_of_the_system_is_taken_where_it_has_the_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Letters that a shipped font has stay with that one."""
    monkeypatch.setattr(module, "SHIPPED", ("DroidSansFallback-subset.ttf",))
    monkeypatch.setattr(module, "SYSTEM", ("none.ttf", str(module.FOLDER / "DejaVuSans-subset.ttf")))
    for cached in (font_number, module.unshaped, module.sized):
        cached.cache_clear()
    try:
        assert (font_number("划"), font_number("ß"), font_number("ก")) == (0, 2, None)
    finally:
        for cached in (font_number, module.unshaped, module.sized):
            cached.cache_clear()


def test_composed_and_decomposed_letters_are_drawn_alike() -> None:
    assert np.array_equal(text_mask("a\u0308", 30), text_mask("ä", 30))


def test_a_text_is_one_line_and_turns_nothing_around() -> None:
    assert one_line("a\n b\tc") == "a b c"
    assert one_line("a\u202eb\x1b[3m") == "a\\u202eb\\x1b[3m"


@pytest.mark.parametrize("height", [18, 40, 182])
def test_letters_stay_in_their_line(height: int) -> None:
    for words in (*SCRIPTS, "gjpqy|Åß@§", "Ậệ"):
        mask = text_mask(words, height)
        assert mask.shape == (height, text_width(words, height))
        assert mask.max() > 200
        assert not mask[:, 0].any() and not mask[:, -1].any()
        twice = text_mask(words, 2 * height)  # of which nothing is cut off that would be seen
        assert mask.sum() == pytest.approx(twice.sum() / 4, rel=0.15)


@pytest.mark.parametrize("words", ["crack on the surface", "划伤 表面缺陷", "царапина й"])
@pytest.mark.parametrize("from_start", [False, True])
def test_a_text_is_shortened_to_the_longest_part_that_fits(words: str, from_start: bool) -> None:
    parts = [
        words[len(words) - n :].lstrip() if from_start else words[:n].rstrip() for n in range(len(words))
    ]
    cut = [f"…{part}" if from_start else f"{part}…" for part in parts]
    for width in range(0, 400, 7):
        fitting = [text for text in ["", *cut, words] if text == "" or text_width(text, 18) <= width]
        assert shortened(words, 18, width, from_start=from_start) == fitting[-1]
