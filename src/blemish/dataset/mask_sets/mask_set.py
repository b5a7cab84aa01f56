"""The masks of a dataset that are to be read together, and what reading them gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blemish.arrays import Colour
from blemish.dataset.account import SHOWN, number
from blemish.dataset.mask_files import MaskFacts
from blemish.dataset.samples import MaskFile
from blemish.dataset.settings import DatasetSettings

LIMIT = 127  # of 255: a pixel of a mask with noise or soft edges is defect when it is brighter
SINGULAR = {"are": "is", "have": "has", "mark": "marks"}


@dataclass(frozen=True)
class MaskMark:
    """Pixels of a mask file that mark a class. label: None where the mask does not tell it"""

    mask: MaskFile
    label: str | None = None
    id: str = ""


@dataclass(frozen=True)
class MaskNames:
    """Class names that a file of the dataset gives to mask values and colours; void ones mean no class."""

    by_value: Mapping[int, str] = field(default_factory=dict)
    by_colour: Mapping[Colour, str] = field(default_factory=dict)
    void_values: frozenset[int] = frozenset()
    void_colours: frozenset[Colour] = frozenset()


@dataclass(frozen=True)
class MaskReadings:
    """Marks of each mask file (none where it is empty), the class names, and lines on what was doubtful."""

    marks: Mapping[Path, tuple[MaskMark, ...]]
    labels: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, path: Path) -> tuple[MaskMark, ...]:
        return self.marks.get(path, ())


@dataclass(frozen=True)
class MaskSet:
    """Masks of a dataset that are not empty, with all that says how they are read.

    one_class: the class is known otherwise, so that every value and colour marks it
    warnings: lines on what was doubtful, added to as the masks are read
    """

    shown: Sequence[MaskFacts]
    settings: DatasetSettings
    root: Path
    names: MaskNames
    one_class: bool
    warnings: list[str] = field(default_factory=list)

    def named(self, facts: Iterable[MaskFacts]) -> str:
        """Number of masks with the first names."""
        paths = [f.path for f in facts]
        names = [
            p.relative_to(self.root).as_posix() if p.is_relative_to(self.root) else str(p) for p in paths
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"{number(len(names), 'mask')} ({', '.join(names[:SHOWN])}{more})"

    def warn(self, facts: Sequence[MaskFacts], text: str, *, verb: str = "are") -> None:
        """Add a line on these masks, if any. text: what follows their number, their names and the verb"""
        if facts:
            word = SINGULAR[verb] if len(facts) == 1 else verb
            self.warnings.append(f"{self.named(facts)} {word} {text}.")


def is_bright(value: int, facts: MaskFacts) -> bool:
    """True for a value that marks in a mask of black and white; of drawn 16-bit masks white alone is one."""
    return value > (facts.full - 1 if facts.bits == 16 and facts.is_exact else facts.above(LIMIT))


def has_bright(facts: MaskFacts) -> bool:
    return is_bright(facts.top, facts)


def is_faint(facts: MaskFacts) -> bool:
    """True for a drawn gray mask with a value that is not bright, and for palette indices."""
    return facts.is_exact and any(not is_bright(value, facts) for value in facts.values)


def mark(
    facts: MaskFacts, label: str | None = None, *, above: int = LIMIT, values: tuple[int, ...] = ()
) -> MaskMark:
    """Mark of the pixels of a mask that are above a limit, or have one of these values."""
    return MaskMark(MaskFile(facts.path, above=above, values=values), label)
