"""log.jsonl and TensorBoard events of a run: one line per logged step, cut back to the checkpoint on
resume.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from blemish.files import write_atomically

LOG_FILE = "log.jsonl"


class RunLog:
    """Appends to RUN/log.jsonl and RUN/events. Opened on the first line written."""

    def __init__(self, run: Path) -> None:
        self.path = run / LOG_FILE
        self.events = run / "events"
        self.writer: SummaryWriter | None = None

    def write(self, entry: dict[str, Any]) -> None:
        """Append a line; numbers of an entry with a stage and a step are drawn by TensorBoard as well."""
        cut = "" if self.ends_a_line() else "\n"
        with self.path.open("a", encoding="utf-8") as file:
            file.write(cut + json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n")
        if "step" in entry:
            self.draw(entry)

    def ends_a_line(self) -> bool:
        """True unless a kill has left the log within a line."""
        if not self.path.is_file() or not self.path.stat().st_size:
            return True
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() == b"\n"

    def draw(self, entry: dict[str, Any]) -> None:
        self.writer = self.writer or SummaryWriter(str(self.events))
        for name, value in entry.items():
            if name not in ("stage", "step"):
                self.writer.add_scalar(f"{entry['stage']}/{name}", value, entry["step"])

    def forget_after(self, stage: str, step: int) -> None:
        """Drop log entries of the stage beyond `step`: a resumed run writes them again."""
        kept = [
            entry
            for entry in read_log(self.path)
            if entry.get("stage") != stage or entry.get("step", 0) <= step
        ]
        text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept)
        write_atomically(self.path, text)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def read_log(path: Path) -> Iterator[dict[str, Any]]:
    """Read the entries of a log; a line that is none, as a kill leaves it, is left out."""
    if not path.is_file():
        return
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # ValueError: cut inside a letter as well
            continue
        if isinstance(entry, dict):
            yield entry
