"""Names of folders that are lots of one set: lot1, lotA, batch-03, line_2, 2024-05-01. Closed lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from blemish.dataset.layouts.common import parent
from blemish.dataset.samples import Sample

LOT_WORDS = (
    "lot", "batch", "charge", "delivery", "order", "line", "linie", "camera", "kamera", "cam", "shift",
    "schicht", "roll", "coil", "sheet", "tray", "pallet", "machine", "maschine", "station", "plant", "site",
    "run", "series", "serie", "session", "set", "folder", "day", "tag", "week", "month",
)  # fmt: skip
# lot1, lotA, lot_red, LOT-7
NAMED = re.compile(rf"(?i:{'|'.join(LOT_WORDS)})s?(?=[\W\d_A-Z]|[a-z]?$)")
# 3, part-03, 2024-05-01, A
COUNTED = re.compile(r"(?P<stem>.*?)[\W_]*(?:\d+(?:[\W_]\d+)*|(?<![^\W_])[A-Za-z])")
PRODUCT_WORDS = ("product", "class", "category", "type", "model", "article", "variant", "task")


def say_lots(names: Sequence[str]) -> bool:
    """True where every name begins with a word for a lot."""
    return all(NAMED.match(name) for name in names)


def count(names: Sequence[str]) -> bool:
    """True where the names are one word, or none, and a number, a date or a letter after it."""
    stems = {match["stem"].casefold() for name in names if (match := COUNTED.fullmatch(name))}
    return len(stems) == 1 and all(map(COUNTED.fullmatch, names)) and not stems & {*PRODUCT_WORDS}


def with_lots(samples: Sequence[Sample], class_names: Iterable[str]) -> tuple[Sample, ...]:
    """The samples with folders of lots as groups, where each lies in one and none has a group or product."""
    known = {*class_names}
    lots = [
        next((p for p in parent(s.id).split("/") if p not in known and NAMED.match(p)), "") for s in samples
    ]
    if len({*lots}) < 2 or not all(lots) or any(s.group or s.product for s in samples):
        return tuple(samples)
    return tuple(replace(sample, group=lot) for sample, lot in zip(samples, lots, strict=True))
