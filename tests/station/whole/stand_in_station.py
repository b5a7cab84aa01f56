"""`blemish` whose lines and jobs need no network: `stand_in_station.py station run DIR …`.

Its supervisor starts what was killed after half a second however often that was, its lines are those of
stand_in_line.py, and a job counts to 60 in its folder, going on where it was cut off.
"""

from __future__ import annotations

import sys
from pathlib import Path

STAND_IN_LINE = Path(__file__).parents[1] / "line/stand_in_line.py"
COUNTING = """
import json, os, pathlib, sys, time
file, fd = pathlib.Path("counted.txt"), int(sys.argv[2])
for number in range(len(file.read_text()) if file.exists() else 0, 60):
    os.write(fd, json.dumps({"title": "counting", "done": number, "total": 60}).encode() + b"\\n")
    with file.open("a") as opened:
        opened.write("x")
    time.sleep(0.05)
"""


def run_command_line() -> None:
    """Run blemish with stand-ins for the processes that its supervisor starts."""
    from blemish.cli.main import run
    from blemish.station import supervisor

    server_command = supervisor.server_command
    supervisor.LONGEST_PAUSE = supervisor.FIRST_PAUSE
    supervisor.line_command = lambda station, name: [  # type: ignore[assignment]
        sys.executable, str(STAND_IN_LINE), str(station.root), name, "--supervised",
    ]  # fmt: skip
    supervisor.server_command = lambda options: [  # type: ignore[assignment]
        sys.executable, __file__, "--server", *server_command(options)[3:],
    ]  # fmt: skip
    run()


def run_server() -> None:
    """Run the server with jobs that count."""
    from blemish.station.jobs import process, runner
    from blemish.station.server.__main__ import main

    process.BLEMISH = [sys.executable, "-c", COUNTING]
    runner.result_of = lambda *_: lambda _session: {"counted": 60}  # type: ignore[assignment]
    main()


if __name__ == "__main__":
    if "--server" in sys.argv:
        sys.argv.remove("--server")
        run_server()
    else:
        run_command_line()
