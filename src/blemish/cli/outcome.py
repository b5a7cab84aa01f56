"""How a command ends: the errors that are not simply "the work failed", and whether they show their trace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from blemish.errors import BlemishError

FAILED, WRONG_USE, STOPPED = 1, 2, 130  # exit codes; 130 is what shells give a process ended by Ctrl-C


class WrongUseError(BlemishError):
    """The command line itself is wrong: nothing was read or started."""


class StoppedError(BlemishError):
    """The user pressed Ctrl-C."""


class Debug:
    """Whether an error shows its trace; set once by the command line."""

    on = False


@contextmanager
def refused_as_wrong_use() -> Iterator[None]:
    """Inside, a BlemishError is about what the command line says."""
    try:
        yield
    except BlemishError as error:
        raise WrongUseError(str(error)) from error


def exit_code(error: BlemishError) -> int:
    if isinstance(error, StoppedError):
        return STOPPED
    return WRONG_USE if isinstance(error, WrongUseError) else FAILED
