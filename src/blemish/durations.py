"""Times of day-to-day size as people write and read them."""

from __future__ import annotations

import re

from blemish.errors import BlemishError

UNITS = 3600, 60, 1  # seconds of what the groups of DURATION count
NUMBER = r"(\d+(?:\.\d+)?)"
DURATION = re.compile(rf"(?:{NUMBER}h)?(?:{NUMBER}m(?:in)?)?(?:{NUMBER}s?)?")


def parse_duration(text: str, option: str) -> float:
    """Seconds of "90", "90s", "15m", "1h30m" or "1.5h". option: for the message

    Raises BlemishError for anything else and for no time at all.
    """
    found = DURATION.fullmatch(text.strip())
    numbers = found.groups() if found else ()
    seconds = sum(float(number) * unit for number, unit in zip(numbers, UNITS, strict=False) if number)
    if seconds <= 0:
        raise BlemishError(f"{option} must be a time such as 15m, 90s or 1h30m. Received: '{text}'.")
    return seconds


def spoken(seconds: float) -> str:
    """Duration for people: "40 s", "13 min", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
