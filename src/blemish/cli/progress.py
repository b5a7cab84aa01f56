"""`blemish --progress-fd N COMMAND`: the progress as lines of JSON on a file descriptor, for programs.

It is taken off before the commands see it: typer loads pydantic for an option that has a value, and --help of
every command would wait for that.
"""

from __future__ import annotations

import os
import sys

from blemish.errors import WrongUseError

OPTION = "--progress-fd"


def take_progress_option() -> None:
    """Take the option off the command line, and write to its descriptor from now on.

    Raises WrongUseError where that is not open.
    """
    if sys.argv[1:2] != [OPTION]:
        return
    descriptor = sys.argv[2] if len(sys.argv) > 2 else ""
    del sys.argv[1:3]
    try:
        os.fstat(int(descriptor))
    except (OSError, ValueError, OverflowError) as error:
        raise WrongUseError(
            f"{OPTION} must be an open file descriptor. Received: '{descriptor}'. Open one, as by 3>FILE."
        ) from error
    from blemish.progress import ProgressRecords

    ProgressRecords.descriptor = int(descriptor)
