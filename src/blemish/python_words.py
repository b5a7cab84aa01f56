"""Words of the Python API: messages of the use cases name arguments, and calls are written as Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike

from blemish.errors import BlemishError, WrongUseError

OPTION = re.compile(r"(`[^`]*`)|(?<!\S)--([a-z]+(?:-[a-z]+)*)")
OTHER_NAMES = {"from": "initial_bundle", "limit": "limits", "grade": "grades", "set": "settings"}


@contextmanager
def in_python_words() -> Iterator[None]:
    """Context in which messages name Python arguments instead of command-line options."""
    try:
        yield
    except BlemishError as error:
        error.args = (OPTION.sub(python_word, str(error)),)
        raise


def python_word(found: re.Match[str]) -> str:
    """Python argument for an option that was found; a command between backticks stays as it is."""
    command, option = found.groups()
    return command or OTHER_NAMES.get(option, option.replace("-", "_"))


def refuse_below(minimum: int, **values: float | None) -> None:
    """Raise WrongUseError for an argument below the minimum, which the command line refuses by itself."""
    for name, value in values.items():
        if value is not None and value < minimum:
            raise WrongUseError(f"{name} must be at least {minimum}. Received: {value}.")


def call(function: str, *arguments: object, **options: object) -> str:
    """Text of a call, for a report: `blemish.evaluate('bundle', 'data', 'out', split='test')`."""
    named = [f"{name}={written(value)}" for name, value in options.items() if value not in (None, False, ())]
    return f"blemish.{function}({', '.join([*map(written, arguments), *named])})"


def written(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return repr(str(value) if isinstance(value, PathLike) else value)
