"""Exit codes of the command line, the error of a Ctrl-C, and the switch that shows traces."""

from __future__ import annotations

import shlex
import sys

from blemish.errors import BlemishError, WrongUseError

FAILED, WRONG_USE, STOPPED = 1, 2, 130  # exit codes; 130 is what shells give a process ended by Ctrl-C


class StoppedError(BlemishError):
    """The user pressed Ctrl-C."""


class Debug:
    """Switch for traces of errors; set once by the command line."""

    on = False


def exit_code(error: BlemishError) -> int:
    if isinstance(error, StoppedError):
        return STOPPED
    return WRONG_USE if isinstance(error, WrongUseError) else FAILED


def command_line() -> str:
    """Command as the user typed it, for reports."""
    return shlex.join(["blemish", *sys.argv[1:]])
