"""`python -m blemish.station.line DIR NAME [--supervised]`: one LINE process, as the supervisor starts it."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from blemish.errors import BlemishError
from blemish.printable import printable
from blemish.station.layout import StationFolder
from blemish.station.locks import only_one
from blemish.threads import set_passive_wait

SUPERVISED = "--supervised"


def main(arguments: list[str]) -> int:
    """Run a line until a signal ends it; returns the exit code."""
    root, name, *more = arguments
    set_passive_wait()
    station = StationFolder(Path(root).absolute())
    try:
        folder = station.line(name)
        from blemish.station.line.process import LineProcess, on_stop

        with only_one(folder.lock, f"The line {name} of {station.root}"):
            line = LineProcess(station, folder, supervised=SUPERVISED in more)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, on_stop(line))
            line.run()
    except (BlemishError, OSError) as error:
        print(printable(f"blemish: line {name}: {' '.join(str(error).split())}"), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
