"""Text from files on a console: nothing in it steers the terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blemish.printable import printable, printable_text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Kratzer 3 mm – 划痕 ×", "Kratzer 3 mm – 划痕 ×"),
        ("\x1b]0;owned\x07\x1b[31mred", r"\x1b]0;owned\x07\x1b[31mred"),
        ("\x9b31mred", r"\x9b31mred"),  # the C1 form of ESC [
        ("fine\nerror: none", r"fine\nerror: none"),
        ("a\r\tb\x00\x7f", r"a\r\tb\x00\x7f"),
        ("\u202egnp.a", r"\u202egnp.a"),
        ("a\u2028b", r"a\u2028b"),
        ("caf\udce9.png", r"caf\udce9.png"),
    ],
)
def test_control_characters_are_shown_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(), max_size=50))
def test_nothing_that_steers_a_terminal_is_left(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(character) for character in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(one) for one in shown} & {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI"}
    shown.encode()
    assert printable_text(text.replace("\n", "").replace("\t", "")) == printable(
        text.replace("\n", "").replace("\t", "")
    )


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"])))
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == printable_text(text) == text


def test_lines_stay_lines() -> None:
    assert printable_text("a\n\tb\x1b\n") == "a\n\tb\\x1b\n"
