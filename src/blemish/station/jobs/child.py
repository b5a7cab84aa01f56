"""The process of a job: runs its commands one after another, in a process group of its own.

`python -m blemish.station.jobs.child FOLDER` reads commands.json there. Progress, the log, how many commands
are done and the exit code are files of the folder, so that a server that starts anew finds all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

COMMANDS, PROGRESS, LOG, DONE, EXIT = "commands.json", "progress.jsonl", "log.txt", "done.json", "exit.json"
NICENESS = 10


def run(folder: Path) -> int:
    """Run the commands that are not done yet; returns the exit code of the last one."""
    asked = json.loads((folder / COMMANDS).read_text(encoding="utf-8"))
    program: list[str] = asked["program"]
    commands: list[list[str]] = asked["commands"]
    done = json.loads((folder / DONE).read_text()) if (folder / DONE).exists() else 0
    os.nice(NICENESS)
    code = 0
    with (folder / PROGRESS).open("ab") as progress, (folder / LOG).open("ab") as log:
        for number, command in enumerate(commands[done:], start=done):
            os.write(
                progress.fileno(), json.dumps({"step": number + 1, "steps": len(commands)}).encode() + b"\n"
            )
            code = subprocess.run(
                [*program, "--progress-fd", str(progress.fileno()), *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                pass_fds=[progress.fileno()],
                check=False,
            ).returncode
            if code:
                break
            put(folder / DONE, number + 1)
    put(folder / EXIT, code)
    return code


def put(file: Path, value: int) -> None:
    """Write a number so that a kill never leaves half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(str(value))
    draft.replace(file)


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
