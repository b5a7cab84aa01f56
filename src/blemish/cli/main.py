"""The entry point of `blemish`: runs a command and turns every error into one line and an exit code.

The commands are imported inside, so that a Ctrl-C during the imports ends as any other.
"""

from __future__ import annotations

import sys
from typing import NoReturn

from blemish.cli.console import printable_streams, say
from blemish.cli.outcome import FAILED, Debug, exit_code
from blemish.cli.signals import ending_on_signals, stop_code, stopped_by
from blemish.errors import BlemishError
from blemish.optional_dependencies import missing_extra
from blemish.threads import set_passive_wait


def run() -> None:
    """Run a command and exit: with 0 fine, 1 the work failed, 2 wrong use, 128 + N stopped by signal N."""
    set_passive_wait()
    with ending_on_signals(), printable_streams():
        run_command()


def run_command() -> None:
    try:
        from blemish.cli.commands import app

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
    except OSError as error:
        if Debug.on:
            raise
        fail(
            f"{error.filename or 'a file'}: {error.strerror or error}. Check its folder and its permissions.",
            FAILED,
        )


def fail(message: str, code: int) -> NoReturn:
    say(f"blemish: {' '.join(message.split())}", error=True)
    sys.exit(code)
