"""Errors that the user can mend: their text is a single line that says how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class BlemishError(Exception):
    """Names the file or setting, what was received and what to do. The command line prints it and exits 1."""


class UnavailableError(BlemishError):
    """Something that must be fetched is not to be had: trying again at once changes nothing."""


class WrongUseError(BlemishError):
    """Options or arguments are wrong in themselves: nothing was read or started. The command line exits 2."""


@contextmanager
def refused_as_wrong_use() -> Iterator[None]:
    """Inside, a BlemishError is about the options, and is raised as a WrongUseError."""
    try:
        yield
    except BlemishError as error:
        raise WrongUseError(str(error)) from error


def nearest_name(name: str, known: Iterable[str]) -> str:
    """' Did you mean X?' for an error text, or '' when nothing known is near."""
    matches = get_close_matches(name, list(known), n=1)
    return f" Did you mean '{matches[0]}'?" if matches else ""
