"""Outcomes of the fuzz tests, counted in this process, of which `tests/conftest.py` prints the sums."""

from __future__ import annotations

from collections import Counter

OUTCOMES: Counter[str] = Counter()  # "reader: outcome"


def note_outcome(reader: str, outcome: str) -> None:
    """Count an example. reader: of the files, such as "bundles"; outcome: "read", "refused" or what else."""
    OUTCOMES[f"{reader}: {outcome}"] += 1


def outcome_lines(outcomes: Counter[str]) -> list[str]:
    """A line for each reader: "bundles: 300 examples: 280 refused, 20 read"."""
    readers: dict[str, Counter[str]] = {}
    for name, number in outcomes.items():
        reader, outcome = name.split(": ")
        readers.setdefault(reader, Counter())[outcome] += number
    return [
        f"{reader}: {sum(counts.values()):,} examples: "
        + ", ".join(f"{number:,} {outcome}" for outcome, number in counts.most_common())
        for reader, counts in sorted(readers.items())
    ]
