"""The entry point of `blemish`: runs a command and turns every error into one line and an exit code.

The commands are imported inside, so that a Ctrl-C during the imports ends as any other.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import NoReturn

from blemish.cli.console import printable_streams, say
from blemish.cli.outcome import FAILED, Debug, exit_code
from blemish.cli.signals import ending_on_signals, stop_code, stopped_by
from blemish.errors import BlemishError, WrongUseError
from blemish.optional_dependencies import missing_extra
from blemish.threads import set_passive_wait


def run() -> None:
    """Run a command and exit: with 0 fine, 1 the work failed, 2 wrong use, 128 + N stopped by signal N."""
    open_closed_streams()
    # Of odd tags: what keeps an image from being read whole is an error, in our words.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    set_passive_wait()
    with ending_on_signals(), printable_streams():
        run_command()


def open_closed_streams() -> None:
    """Open what is closed of standard input, output and error, so that no file of the work takes its place.

    Libraries write their warnings to the number of standard error, whatever file that is.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # for which `print` and progress bars would take standard output
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - to the end


def run_command() -> None:
    try:
        from blemish.cli.commands import app
        from blemish.cli.progress import take_progress_option

        if "" in sys.argv[1:]:  # as from a variable that is not set; as a path it is the current folder
            raise WrongUseError("An argument is empty. Received: ''. Check the variables of your script.")
        take_progress_option()
        app(prog_name="blemish")
    except KeyboardInterrupt:
        fail(f"{stopped_by()} before anything was done.", stop_code())
    except BlemishError as error:
        if Debug.on:
            raise
        fail(str(error), exit_code(error))
    except ModuleNotFoundError as error:
        lack = missing_extra(error, "this command")
        if Debug.on or lack is None:
            raise
        fail(str(lack), FAILED)
    except (ImportError, MemoryError, OSError, RuntimeError, SystemError) as error:
        message = outside_fault(error)
        if Debug.on or message is None:
            raise
        fail(message, FAILED)


def outside_fault(error: Exception) -> str | None:
    """Message for what this computer lacks: memory, threads or files; None for a fault of the program."""
    remedy = "Free some memory, or raise the limits of this process (ulimit -a)."
    lines = [line.strip() for line in str(error).splitlines() if "shared object" in line]
    if lines:
        return f"A library cannot be loaded, most likely for too little memory: {lines[-1]}. {remedy}"
    if isinstance(error, SystemError) and "exception" in str(error):  # "error return without exception set"
        return f"A library failed without a reason, most likely for too little memory. {remedy}"
    if isinstance(error, MemoryError) or "can't start new thread" in str(error):
        return f"There is too little memory, or there are too many threads. {remedy}"
    if isinstance(error, OSError):
        where = error.filename or "standard output or a file"
        return f"{where}: {error.strerror or error}. Check its folder and its permissions."
    return None


def fail(message: str, code: int) -> NoReturn:
    say(f"blemish: {' '.join(message.split())}", error=True)
    sys.exit(code)
