"""Speed and memory of a line with a watched folder: python -m benchmarks.station_line BUNDLE [--parts N]

Images are renamed into the folder as fast as the line takes them. Parts a second count from the first record
to the last, answers from reading a file to its record on the disk; the rest is of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np

from blemish.station.add_line import add_line
from blemish.station.journal import START, Entry, Place, place_of, read_journal
from blemish.station.journal_check import verify_journal
from blemish.station.layout import LineFolder, StationFolder
from blemish.station.line.settings import FolderSource

WAITING = 200  # files that lie ahead of the line
MEMORY_EVERY = 0.5  # seconds


def main() -> None:
    """Measure a line, and print a table row of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--size", type=int, default=512, help="Height and width of an image.")
    parser.add_argument("--delete", action="store_true", help="Have the line remove what it has recorded.")
    parser.add_argument("--program", type=Path, help="A LINE process other than blemish's, such as a test's.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options)


def measure(root: Path, options: argparse.Namespace) -> None:
    parts, station = root / "parts", StationFolder(root / "station")
    parts.mkdir()
    source = FolderSource(path=parts, renamed=True, after="delete" if options.delete else "keep")
    add_line(station.root, "bench", bundle=options.bundle, source=source)
    line = station.line("bench")
    program = [str(options.program)] if options.program else ["-m", "blemish.station.line"]
    process = subprocess.Popen([sys.executable, *program, str(station.root), "bench"])
    try:
        entries, memory = run(line, parts, process, options)
        seconds = processor_seconds(process.pid)
    finally:
        process.terminate()
        process.wait()
    inspections = [entry.record for entry in entries if entry.record["kind"] == "inspection"]
    times = [datetime.fromisoformat(record["at"]).timestamp() for record in inspections]
    answers = [entry.record["ms"] for entry in entries if entry.record["kind"] == "answered"]
    inspect = [record["ms"]["inspect"] for record in inspections]
    rate = (len(times) - 1) / (times[-1] - times[0])
    facts = verify_journal(line.journal)
    tenth = max(1, len(memory) // 10)
    print(f"{facts.seq} parts of {options.size}×{options.size}, chain whole; load {os.getloadavg()[0]:.1f}")
    print(f"parts/s {rate:.1f}; processor {1e3 * seconds / len(times):.1f} ms a part, the start included")
    for name, values in (("inspection", inspect), ("read to recorded", answers)):
        print(f"{name} p50 {quantile(values, 0.5):.1f} ms, p99 {quantile(values, 0.99):.1f} ms")
    print(f"memory {max(memory[:tenth]):.0f} MB at the beginning, {max(memory[-tenth:]):.0f} MB at the end")


def run(
    line: LineFolder, parts: Path, process: subprocess.Popen[bytes], options: argparse.Namespace
) -> tuple[list[Entry], list[float]]:
    """Feed the line until it has recorded every part; returns its journal, and memory in MB."""
    entries, memory, images = list[Entry](), list[float](), surfaces(options.size)
    place: Place = START
    given = done = 0
    looked = 0.0
    while done < options.parts:
        assert process.poll() is None, "the line has ended"
        while given < min(options.parts, done + WAITING):
            draft = parts / f".{given}"
            draft.write_bytes(next(images))
            draft.rename(parts / f"{given:06d}.png")
            given += 1
        time.sleep(0.05)
        for entry in read_journal(line.journal, place) if line.journal.is_dir() else ():
            entries.append(entry)
            place = place_of(entry)
        done = sum(entry.record["kind"] == "answered" for entry in entries)
        if done and time.monotonic() - looked > MEMORY_EVERY:
            looked = time.monotonic()
            memory.append(resident_mb(process.pid))
    return entries, memory


def surfaces(size: int) -> Iterator[bytes]:
    """PNGs of gray surfaces with noise, all of them different."""
    generator = np.random.default_rng(0)
    surface = generator.normal(128, 6, (size, size))
    for number in range(1 << 30):
        image = np.clip(np.roll(surface, number * 7, axis=number % 2) + number % 5, 0, 255).astype(np.uint8)
        image[0, :4] = list(number.to_bytes(4, "big"))
        yield bytes(cv2.imencode(".png", image)[1].tobytes())


def resident_mb(pid: int) -> float:
    """Memory of a process that lies in RAM."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def processor_seconds(pid: int) -> float:
    """Time that a process has had on the cores."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    main()
