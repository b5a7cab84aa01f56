"""Counts at the end of an inspection: what became of everything that was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from blemish.dataset.account import number
from blemish.inspection import Verdict
from blemish.inspector.found_files import LeftOut
from blemish.inspector.live.source import Losses

SHOWN = 3  # examples in a message
ORDER = (Verdict.OK, Verdict.NG, Verdict.REVIEW, Verdict.ERROR)


@dataclass(frozen=True)
class InspectionCounts:
    """Numbers of an inspection that add up: found = images + left out, images = judged + ERROR.

    verdicts: number of answers by verdict; of a line scan, an answer is a piece of the web
    left_out: everything that was found and is no image to be inspected, each with the reason
    strips: number of images that a line scan was given; None for images one by one
    first_error: why the first image could not be judged
    losses: account of a live source; None for files
    chain: sentences on bundles of a chain that may not belong together
    defects: number of defects by class
    """

    verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    strips: int | None = None
    first_error: str = ""
    losses: Losses | None = None
    chain: tuple[str, ...] = ()
    defects: Mapping[str, int] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """Number of answers."""
        return sum(self.verdicts.values())

    @property
    def found(self) -> int:
        return self.images + len(self.left_out)

    @property
    def errors(self) -> int:
        return self.verdicts.get(Verdict.ERROR, 0)

    @property
    def judged(self) -> int:
        return self.images - self.errors

    @property
    def lacking(self) -> tuple[LeftOut, ...]:
        """Files that were left out and may be images that nobody has looked at."""
        return tuple(left for left in self.left_out if left.why.is_lack)

    @property
    def not_judged(self) -> int:
        """Number of images that have no verdict but ERROR; 0 where everything was looked at."""
        return self.errors + len(self.lacking)

    def line(self) -> str:
        """The counts: "3 images found: 1 OK, 1 NG, 0 REVIEW, 1 ERROR; 2 defects (2 dent); 1 left out (…)"."""
        kind = "image" if self.strips is None else "piece"
        strips = "" if self.strips is None else f"{number(self.strips, 'strip')} found, "
        found = " found" if self.strips is None else ""
        verdicts = ", ".join(f"{self.verdicts.get(verdict, 0)} {verdict}" for verdict in ORDER)
        reasons = Counter(left.why for left in self.left_out)
        rest = "; ".join(f"{why}: {count}" for why, count in reasons.items())
        left_out = f"; {len(self.left_out)} left out ({rest})" if rest else ""
        return f"{strips}{number(self.images, kind)}{found}: {verdicts}{self.defects_clause()}{left_out}"

    def defects_clause(self) -> str:
        """Number of defects, by class, the most frequent first; "" where no image was judged."""
        if not self.judged:
            return ""
        total = sum(self.defects.values())
        classes = sorted(self.defects.items(), key=lambda item: (-item[1], item[0]))
        by_class = ", ".join(f"{count} {name}" for name, count in classes)
        return f"; {number(total, 'defect')} ({by_class})" if total else "; no defects"

    def lack(self, record: Path) -> str:
        """Sentences on what was not judged, with first examples; "" where there is none.

        record: the inspections.jsonl that has the answers
        """
        sentences = []
        if self.errors:
            images = "1 image" if self.errors == 1 else f"{self.errors} images"
            first = f" The first: {self.first_error}" if self.first_error else ""
            sentences.append(f"{images} could not be judged; {record} says why, as 'error'.{first}")
        for why in dict.fromkeys(left.why for left in self.lacking):
            paths = [left.path for left in self.lacking if left.why is why]
            more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
            sentences.append(f"{len(paths)} left out, {why}: {', '.join(paths[:SHOWN])}{more}. {why.remedy}")
        return " ".join(sentences)

    def to_json(self, *, complete: bool) -> dict[str, Any]:
        """Plain values for inspections-summary.json. complete: False where the inspection was stopped"""
        return {
            "complete": complete,
            "images": self.images,
            **({} if self.strips is None else {"strips": self.strips}),
            **({} if self.losses is None else {"live": self.losses.fields}),
            **({"chain": list(self.chain)} if self.chain else {}),
            "verdicts": {str(verdict): self.verdicts.get(verdict, 0) for verdict in ORDER},
            "defects": dict(self.defects),
            "not_judged": self.not_judged,
            "left_out": [{"path": left.path, "reason": str(left.why)} for left in self.left_out],
        }
