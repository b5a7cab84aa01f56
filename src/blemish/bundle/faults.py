"""Faults that pydantic finds in settings and files, in plain words: the key, its rule, the value received."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from blemish.errors import nearest_name

MAX_SHOWN = 200
# Of pydantic's messages behind "Input should be ", in words that a user has no need to look up.
PLAIN: Mapping[str, str] = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid string": "text",
    "a valid boolean": "true or false",
    "a valid tuple": "a list",
    "a valid list": "a list",
    "a valid array": "a list",
    "an object": "a mapping",
    "a valid dictionary": "a mapping",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "above",
    "less than": "below",
}


def first_fault(error: ValidationError, known: Iterable[str]) -> str:
    """First fault of a pydantic check as one line: the key, the fault, the nearest known key."""
    fault, *others = error.errors()
    key = key_of(fault)
    if fault["type"] == "extra_forbidden":
        return f"unknown key '{key}'.{nearest_name(key, known)}"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])  # a rule of our own, whole as it is
    if fault["type"] == "missing":
        return f"'{key}' is missing."
    rules = [rule_of(fault)]
    if any("[" in str(part) for part in fault["loc"]):  # of a union, each of whose types was tried
        rules += [rule_of(other) for other in others if key_of(other) == key]
        entries = [rule_of(other) for other in others if key_of(other).rpartition(".")[0] == key]
        rules += [f"a list whose every entry is {rule}" for rule in entries]
    received = shortened(repr(fault["input"]))
    return f"{place_of(fault)} must be {' or '.join(dict.fromkeys(rules))}. Received: {received}."


def place_of(fault: Mapping[str, Any]) -> str:
    """Key of a fault for the user, such as "'limits.0.unit'", or "'drops', entry 2," in a plain list."""
    key, last = key_of(fault), fault["loc"][-1:]
    if last and isinstance(last[0], int):
        return f"'{key.rpartition('.')[0]}', entry {last[0] + 1},"
    return f"'{key}'" if key else "the content"


def key_of(fault: Mapping[str, Any]) -> str:
    """Path of a fault's key, such as "limits.0.unit", without the types of a union that were tried."""
    parts = [str(part) for part in fault["loc"]]
    return ".".join(part for part in parts if "[" not in part and not part.startswith("constrained-"))


def rule_of(fault: Mapping[str, Any]) -> str:
    """Rule that a value breaks, in words behind "must be": "at least 1"."""
    message = re.sub(r"(, (unable to|got)| or instance of) .*", "", fault["msg"]).removeprefix(
        "Input should be "
    )
    for words, plain in PLAIN.items():
        message = message.replace(words, plain)
    return message


def shortened(text: str) -> str:
    """Text of at most 200 characters, for a message of one line."""
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
