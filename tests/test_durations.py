from __future__ import annotations

import pytest

from blemish.durations import parse_duration, spoken
from blemish.errors import BlemishError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("15min", 900), ("1h30m", 5400), ("1.5h", 5400), (" 2m30 ", 150)],
)
def test_times_as_people_write_them(text: str, seconds: float) -> None:
    assert parse_duration(text, "--time-budget") == seconds


@pytest.mark.parametrize("text", ["", "0", "0m", "-5m", "quarter", "15 m", "5d", "m", "1e3", "nan", "15m1h"])
def test_anything_else_is_no_time(text: str) -> None:
    with pytest.raises(BlemishError, match=r"--time-budget must be a time such as 15m, 90s or 1h30m\."):
        parse_duration(text, "--time-budget")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min"), (90, "2 min"), (3599, "1 h"), (7500, "2 h 5 min")],
)
def test_times_as_people_read_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
