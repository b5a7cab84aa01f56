"""`python -m blemish.station.demo_parts FOLDER SECONDS`: a part every few seconds in a watched folder.

Four in ten have a defect, some of them so faint that the line asks for a person. A lot is a minute's parts.
"""

from __future__ import annotations

import select
import sys
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np

from blemish.dataset.synthetic import DefectRequest, render
from blemish.files import atomic_file
from blemish.station.demo import KINDS, SIZE, SURFACE

DEFECTIVE_SHARE = 0.4
CONTRAST = (10.0, 90.0)  # gray levels


def draw_part(generator: np.random.Generator) -> bytes:
    """PNG of a part, as it comes next."""
    defects = []
    if generator.random() < DEFECTIVE_SHARE:
        weights = np.array(list(KINDS.values()))
        kind = str(generator.choice(list(KINDS), p=weights / weights.sum()))
        defects.append(DefectRequest(kind, float(np.exp(generator.uniform(*np.log(CONTRAST))))))
    image = render(SURFACE, size=SIZE, defects=defects, generator=generator).image
    return cv2.imencode(".png", image)[1].tobytes()


def put_part(folder: Path, content: bytes, at: datetime) -> Path:
    """Put a part into its lot's folder, whole at once; returns its file."""
    file = folder / f"lot-{at:%m%d-%H%M}" / f"part-{at:%m%d-%H%M%S}-{at.microsecond // 1000:03d}.png"
    with atomic_file(file) as stream:
        stream.write(content)
    return file


def feed(folder: Path, seconds: float) -> None:
    """Put part after part until standard input ends, as it does with the supervisor."""
    generator = np.random.default_rng()
    while not select.select([sys.stdin], [], [], seconds)[0]:
        newest = put_part(folder, draw_part(generator), datetime.now(UTC))
        for lot in folder.iterdir():
            if lot != newest.parent and lot.is_dir() and not any(lot.iterdir()):
                lot.rmdir()  # its parts are taken and removed


if __name__ == "__main__":
    feed(Path(sys.argv[1]), float(sys.argv[2]))
