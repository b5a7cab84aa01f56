"""Exit codes of the command line, the error of a stopped command, and the switch that shows traces."""

from __future__ import annotations

import shlex
import sys

from blemish.cli.signals import stop_code
from blemish.errors import BlemishError, WrongUseError

FAILED, WRONG_USE = 1, 2  # exit codes


class StoppedError(BlemishError):
    """The user pressed Ctrl-C, or another signal asked for the end."""


class Debug:
    """Switch for traces of errors; set once by the command line."""

    on = False


def exit_code(error: BlemishError) -> int:
    if isinstance(error, StoppedError):
        return stop_code()
    return WRONG_USE if isinstance(error, WrongUseError) else FAILED


def command_line() -> str:
    """Command as the user typed it, for reports."""
    return shlex.join(["blemish", *sys.argv[1:]])
