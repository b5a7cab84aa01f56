"""Reading a set of masks: which pixels of each file mark a defect, and of which class.

Every file is judged by itself: 0 and 1 mark as well as 0 and 255. Where the values of the set can mean two
things, such as class numbers or the numbers of defects, a setting is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blemish.arrays import Colour
from blemish.dataset.account import SHOWN, number
from blemish.dataset.colours import FLAT_RANGE, SAME_COLOUR, distance, is_coloured, merged, nearest
from blemish.dataset.mask_files import MAX_EXACT, MaskFacts
from blemish.dataset.samples import MaskFile
from blemish.dataset.settings import SETTINGS_NAME, DatasetSettings
from blemish.errors import BlemishError

LIMIT = 127  # of 255: a pixel of a mask with noise or soft edges is defect when it is brighter
INSTANCES_OF_CLASS = 1000  # numbers from here on are class · 1000 + number, as Cityscapes has them
BACKGROUND_NAMES = frozenset({"background", "_background_", "__background__", "bg"})
VOID_NAMES = frozenset({"void", "ignore", "__ignore__", "_ignore_", "ignored", "unlabeled", "unlabelled"})
VOC_VOID: Colour = (224, 224, 192)
FULL_SHARE, MOST_SHARE, BORDER_SHARE = 0.9, 0.75, 0.95


@dataclass(frozen=True)
class Mark:
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

    marks: Mapping[Path, tuple[Mark, ...]]
    labels: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, path: Path) -> tuple[Mark, ...]:
        return self.marks.get(path, ())


def read_masks(
    facts: Iterable[MaskFacts],
    settings: DatasetSettings,
    root: Path,
    *,
    names: MaskNames | None = None,
    one_class: bool = False,
) -> MaskReadings:
    """Decide what the masks of a set say.

    one_class: the class is known otherwise, so that every value and colour marks it
    Raises BlemishError where they are no masks, or where their values may mean two things.
    """
    found = list(facts)
    reader = SetReader([f for f in found if not f.is_empty], settings, root, names or MaskNames(), one_class)
    reader.warn(
        [f for f in found if f.is_empty and f.share_above(0)],
        "{files} pixels that are nearly black, alone: they are read as empty",
        verb="have",
    )
    return reader.read()


class SetReader:
    """The masks of a set that are not empty, and how they are read."""

    def __init__(
        self,
        shown: Sequence[MaskFacts],
        settings: DatasetSettings,
        root: Path,
        names: MaskNames,
        one_class: bool,
    ) -> None:
        self.shown = shown
        self.settings = settings
        self.root = root
        self.names = names
        self.one_class = one_class
        self.warnings: list[str] = []

    def read(self) -> MaskReadings:
        self.judge_photographs()
        self.warn(
            [f for f in self.shown if f.from_alpha],
            "{files} marked in the alpha channel alone: what is opaque there is read as the defect",
        )
        self.warn(
            [f for f in self.shown if f.transparent],
            "{files} colours under transparent pixels of the alpha channel: these are read as background",
            verb="have",
        )
        coloured = bool(self.settings.colours) or any(is_coloured(f.colours) for f in self.shown)
        if coloured and not self.one_class:
            labels, marks = self.coloured()
        else:
            labels, marks = (), self.gray()
        self.warn_of_inverted(marks)
        found = {label for these in marks.values() for mark in these if (label := mark.label) is not None}
        return MaskReadings(marks, labels or tuple(sorted(found)), tuple(self.warnings))

    def named(self, facts: Iterable[MaskFacts]) -> str:
        """Number of masks with the first names."""
        paths = [f.path for f in facts]
        names = [
            p.relative_to(self.root).as_posix() if p.is_relative_to(self.root) else str(p) for p in paths
        ]
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        return f"{number(len(names), 'mask')} ({', '.join(names[:SHOWN])}{more})"

    def warn(self, facts: Sequence[MaskFacts], text: str, *, verb: str = "are") -> None:
        """Add a warning on these masks, if any. text: with {files} for their number, names and the verb"""
        if facts:
            singular = {"are": "is", "have": "has", "mark": "marks", "show": "shows"}
            word = singular[verb] if len(facts) == 1 else verb
            self.warnings.append(text.replace("{files}", f"{self.named(facts)} {word}") + ".")

    def judge_photographs(self) -> None:
        """Raise BlemishError for masks with a photograph's values; with settings that say how, warn of them."""
        odd = [f for f in self.shown if f.photograph]
        if not odd:
            return
        if self.settings.above is not None or self.settings.mask_values is not None:
            self.warn(odd, "{files} the values of a photograph: check the files", verb="have")
            return
        raise BlemishError(
            f"{self.root}: masks must have few values. Received: {self.named(odd)} with the values of a "
            f"photograph. Replace or remove them, or put 'above: {LIMIT}' into {SETTINGS_NAME} where brighter "
            "pixels do mean defects."
        )

    # Gray masks and palette indices

    def gray(self) -> dict[Path, tuple[Mark, ...]]:
        if self.settings.above is not None:
            return self.above_limit(self.settings.above)
        mode = self.settings.mask_values or self.likely_mode()
        if mode == "classes":
            return self.classes()
        if mode == "instances":
            return self.instances()
        marks = {f.path: self.binary(f) for f in self.shown}
        self.warn_of_mixture()
        return marks

    def above_limit(self, limit: int) -> dict[Path, tuple[Mark, ...]]:
        """Marks of the pixels above the user's limit."""
        marked = [f for f in self.shown if f.share_above(limit) > 0]
        if self.shown and not marked:
            top = max(f.top * 255 // f.full for f in self.shown)
            raise BlemishError(
                f"{self.root}: masks must have defect pixels above {limit}. Received: values up to {top}. "
                f"Put 'above: 0' (or another limit below {top}) into {SETTINGS_NAME}, or leave 'above' out."
            )
        self.warn(
            [f for f in self.shown if f.share_above(limit) == 0],
            f"{{files}} no pixel above {limit}, the limit set by 'above', and count as empty",
            verb="have",
        )
        return {f.path: (self.mark(f, above=limit),) for f in marked}

    def likely_mode(self) -> str:
        """Way of reading that the values of the set leave open. Raises BlemishError where it is not the only one."""
        if self.one_class:
            return "binary"
        exact = [f for f in self.shown if f.is_exact]
        numbers = sorted({value for f in exact for value in f.values if not is_bright(value, f)})
        if (numbers or any(f.kind == "palette" for f in exact)) and self.value_names():
            return "classes"
        if exact and len(exact) == len(self.shown) and len(self.names.by_value) > 1:
            return "classes"
        both = [f for f in exact if is_faint(f) and has_bright(f)]
        bright = [f for f in self.shown if not is_faint(f)]
        low = [value for value in numbers if value <= MAX_EXACT]
        if (low and both) or (len(numbers) > 1 and not bright):
            self.ask(numbers, [f for f in exact if is_faint(f)])
        return "binary"

    def ask(self, numbers: Sequence[int], files: Sequence[MaskFacts]) -> None:
        values = ", ".join(map(str, numbers[:6])) + (" …" if len(numbers) > 6 else "")
        raise BlemishError(
            f"{self.root}: the values of masks must have one meaning. Received: {values} in {self.named(files)}. "
            f"Put 'mask_values: classes' (each value is a class), 'instances' (each is a defect) or 'binary' "
            f"(all of them mark defects) into {SETTINGS_NAME}."
        )

    def binary(self, facts: MaskFacts) -> tuple[Mark, ...]:
        """Mark of all that a file marks."""
        if facts.kind == "palette":
            return (self.mark(facts, values=facts.values),)
        if facts.kind == "colour":
            return (self.any_colour(facts),)
        asked = self.settings.mask_values == "binary"
        if facts.is_exact and (asked or not has_bright(facts)):
            return (self.mark(facts, above=0),)
        if not has_bright(facts):
            return self.faint(facts)
        return (self.mark(facts, above=LIMIT),)

    def any_colour(self, facts: MaskFacts) -> Mark:
        """Mark of a colour mask whatever its colours; one of grays with noise by its luminance."""
        if not is_coloured(facts.colours):
            return self.mark(facts, above=LIMIT)
        bright = all(max(colour) > LIMIT for colour in facts.colours)
        return Mark(MaskFile(facts.path, above=LIMIT if bright else FLAT_RANGE, any_colour=True))

    def faint(self, facts: MaskFacts) -> tuple[Mark, ...]:
        """Marks of a mask with noise or soft edges that has no bright pixel: none, where it is noise alone."""
        if facts.top <= facts.above(FLAT_RANGE) and any(f.top > f.above(LIMIT) for f in self.shown):
            self.warn(
                [facts], f"{{files}} noise alone, values up to {facts.top}, and is read as empty", verb="have"
            )
            return ()
        top = facts.top * 255 / facts.full
        raise BlemishError(
            f"{facts.path} must have defect pixels above {LIMIT}, or values without noise. Received: values up "
            f"to {facts.top}. Save it as PNG with 0 and 255, or put 'above: {int(top // 2)}' (or another limit) "
            f"into {SETTINGS_NAME}."
        )

    def warn_of_mixture(self) -> None:
        """Warn of masks that mark with low values beside others with high ones, and of low values left out."""
        plain = [f for f in self.shown if f.kind == "gray"]
        faint = [f for f in plain if f.is_exact and not has_bright(f)]
        bright = [f for f in plain if has_bright(f)]
        if faint and bright and not self.settings.mask_values:
            top = max(f.top for f in faint)
            bits = " in 16 bits" if any(f.bits == 16 for f in faint) else ""
            self.warn(
                faint,
                f"{{files}} with values up to {top}{bits}, others with high ones: any value but 0 is read as defect",
                verb="mark",
            )
        if self.settings.mask_values:
            return
        low = [f for f in bright if low_regions(f)]
        values = sorted({value for f in low for value in low_regions(f)})
        self.warn(
            low,
            f"{{files}} regions of low values ({', '.join(map(str, values[:6]))}), which are read as background; "
            f"put 'above: 0' or 'mask_values' into {SETTINGS_NAME} where they mean defects",
            verb="have",
        )
        self.warn_of_several(bright)

    def warn_of_several(self, bright: Sequence[MaskFacts]) -> None:
        """Warn of drawn masks with several high values that could mean classes."""
        exact = [f for f in bright if f.is_exact]
        values = sorted({value * 255 // f.full for f in exact for value in f.levels if is_bright(value, f)})
        apart = [b for a, b in zip(values, values[1:], strict=False) if b - a > FLAT_RANGE]
        if apart and not self.one_class:
            self.warn(
                exact,
                f"{{files}} with several values ({', '.join(map(str, values))}), all read as defect; put "
                f"'mask_values: classes' into {SETTINGS_NAME} where each is a class",
                verb="mark",
            )

    # Class numbers and instance numbers

    def value_names(self) -> dict[int, str]:
        """Names of class numbers, of the dataset's own file or of `classes:`; empty where none are given."""
        if self.names.by_value:
            return dict(self.names.by_value)
        order = self.settings.classes
        if not isinstance(order, tuple) or (len(order) < 2 and self.settings.mask_values != "classes"):
            return {}
        if order[0].lower() in BACKGROUND_NAMES:
            raise BlemishError(
                f"{SETTINGS_NAME}: 'classes' must name defects only, from value 1 on. Received: '{order[0]}'. "
                "Remove it."
            )
        return dict(enumerate(order, start=1))

    def classes(self) -> dict[Path, tuple[Mark, ...]]:
        """Marks of class numbers; 255 is void where other masks have lower numbers and it has no name."""
        names = self.value_names()
        self.refuse_inexact("class numbers")
        voids = self.void_values(names)
        with_void = [f for f in self.shown if voids & {*f.values}]
        self.warn(
            with_void,
            f"{{files}} the value {', '.join(map(str, sorted(voids)))}, which is read as void: it marks no class",
            verb="have",
        )
        marks = {}
        for facts in self.shown:
            values = [value for value in facts.values if value not in voids]
            if not values:
                raise BlemishError(
                    f"{facts.path} must show a class, or be 0 all over. Received: the value {facts.top} alone, "
                    f"which is void in the other masks. Correct it, or name the value in {SETTINGS_NAME}."
                )
            marks[facts.path] = tuple(
                self.mark(facts, self.class_name(v, names, facts), values=(v,)) for v in values
            )
        return marks

    def void_values(self, names: Mapping[int, str]) -> set[int]:
        lower = any(value < f.full for f in self.shown for value in f.values)
        white = (255, 255, 255) in self.names.by_colour
        full = {f.full for f in self.shown if f.full in f.values and f.full not in names and not white}
        full = full if lower else set()
        return full | self.names.void_values

    def class_name(self, value: int, names: Mapping[int, str], facts: MaskFacts) -> str:
        if value in names:
            return names[value]
        gray = value * 255 // facts.full
        palette = facts.palette if facts.kind == "palette" else ()
        colour = palette[value] if value < len(palette) else (gray, gray, gray)
        if colour in self.names.by_colour:
            return self.names.by_colour[colour]
        if names:
            known = ", ".join(f"{v} {name}" for v, name in names.items())
            raise BlemishError(
                f"{facts.path} must show known values only ({known}). Received: {value}. Correct the mask or "
                "name the value."
            )
        return f"class-{value}"

    def instances(self) -> dict[Path, tuple[Mark, ...]]:
        """Marks of single defects by their numbers."""
        self.refuse_inexact("numbers of defects")
        return {
            f.path: tuple(
                Mark(MaskFile(f.path, values=(v,), whole=True), self.instance_class(v), str(v))
                for v in f.values
            )
            for f in self.shown
        }

    def instance_class(self, value: int) -> str | None:
        if value < INSTANCES_OF_CLASS or self.one_class:
            return None
        kind = value // INSTANCES_OF_CLASS
        return self.value_names().get(kind, f"class-{kind}")

    def refuse_inexact(self, what: str) -> None:
        """Raise BlemishError for masks with noise or soft edges, which would give false numbers."""
        soft = next((f for f in self.shown if not f.is_exact), None)
        if soft is not None:
            raise BlemishError(
                f"{soft.path} must hold {what}, without noise or soft edges. Received: "
                f"{'a lossy format' if soft.lossy else 'values along edges'}. Save it as PNG, unscaled."
            )

    # Colours

    def coloured(self) -> tuple[tuple[str, ...], dict[Path, tuple[Mark, ...]]]:
        """Class names, and marks of each colour as a class; palette masks are marked by their indices."""
        names = self.colour_names()
        marks = {f.path: self.colour_marks(f, names) for f in self.shown}
        used = {mark.label for these in marks.values() for mark in these}
        listed = [label for label in names.values() if self.settings.colours or label in used]
        others = sorted(label for label in used if label is not None and label not in listed)
        voids = [f for f in self.shown if self.has_void(f)]
        gray = [f for f in self.shown if not is_coloured(f.colours)]
        self.warn(gray, "{files} gray, others have colours: white or gray is read as a class of its own")
        self.warn(voids, "{files} void pixels (VOC's border, or named so), which mark no class", verb="have")
        return tuple(dict.fromkeys([*listed, *others])), marks

    def colour_names(self) -> dict[Colour, str]:
        """Name of each class colour: the user's, the dataset's own, or made of the colour."""
        if self.settings.colours:
            return {colour: name for name, colour in self.settings.rgb_of.items()}
        if self.names.by_colour:
            return dict(self.names.by_colour)
        tallies = [shades(f) for f in self.shown]
        found = {colour for tally in tallies for colour in tally if colour not in self.voids()}
        indexed = {colour for f in self.shown if f.kind == "palette" for colour in f.colours}
        faint = [c for c in found - indexed if max(c) <= FLAT_RANGE]
        if faint:
            raise BlemishError(
                f"{self.root}: the colours of masks must differ from black. Received: {faint[0]}. Name them in "
                f"'colours' of {SETTINGS_NAME}, or save the masks as palette or gray PNG."
            )
        near = min((distance(a, b) for a in found for b in found if a < b), default=SAME_COLOUR)
        drawn = all(f.is_exact or f.kind == "colour" for f in self.shown) and 32 <= near < SAME_COLOUR
        found.discard((0, 0, 0))
        colours = sorted(found) if drawn else sorted(set(merged(tallies)) - self.voids() - {(0, 0, 0)})
        return {colour: "colour-" + "".join(f"{value:02x}" for value in colour) for colour in colours}

    def voids(self) -> set[Colour]:
        return {*self.names.void_colours, VOC_VOID} - {*self.names.by_colour, *self.settings.rgb_of.values()}

    def has_void(self, facts: MaskFacts) -> bool:
        if facts.kind == "palette":
            return bool(self.void_indices(facts))
        return bool(self.voids() & facts.colours.keys())

    def void_indices(self, facts: MaskFacts) -> set[int]:
        named = {v for v in facts.values if v < len(facts.palette) and facts.palette[v] in self.voids()}
        return named | ({255} & {*facts.values} - {*self.names.by_value})

    def colour_marks(self, facts: MaskFacts, names: Mapping[Colour, str]) -> tuple[Mark, ...]:
        """Mark for each colour that a mask shows. Raises BlemishError for a colour without a name."""
        if facts.kind == "palette":
            return self.index_marks(facts, names)
        shown = {
            colour: nearest(colour, list(names)) for colour in shades(facts) if colour not in self.voids()
        }
        unknown = next((colour for colour, match in shown.items() if match is None), None)
        if unknown is not None:
            raise BlemishError(self.unknown_colour(facts, unknown, names))
        matches = sorted({match for match in shown.values() if match}, key=list(names).index)
        others = [*matches, *(self.voids() & facts.colours.keys())]
        return tuple(
            Mark(
                MaskFile(facts.path, colour=c, other_colours=tuple(other for other in others if other != c)),
                names[c],
            )
            for c in matches
        )

    def index_marks(self, facts: MaskFacts, names: Mapping[Colour, str]) -> tuple[Mark, ...]:
        """Mark for each index of a palette mask, named by its number or by its colour."""
        voids = self.void_indices(facts)
        shown = [value for value in facts.values if value not in voids]
        colours = [facts.palette[value] if value < len(facts.palette) else (0, 0, 0) for value in shown]
        marks = []
        for value, colour in zip(shown, colours, strict=True):
            own = colour != (0, 0, 0) and colours.count(colour) == 1
            match = colour if colour in names else nearest(colour, list(names)) if own else None
            label = self.names.by_value.get(value) or (names[match] if match and own else None)
            if label is None and (self.settings.colours or self.names.by_colour):
                raise BlemishError(self.unknown_colour(facts, colour, names))
            marks.append(self.mark(facts, label or f"class-{value}", values=(value,)))
        return tuple(marks)

    def unknown_colour(self, facts: MaskFacts, colour: Colour, names: Mapping[Colour, str]) -> str:
        known = ", ".join(f"{name} {rgb}" for rgb, name in names.items())
        return (
            f"{facts.path} must show known colours only ({known}). Received: {colour}. "
            f"Add it to 'colours' in {SETTINGS_NAME} or correct the mask."
        )

    # All

    def mark(
        self, facts: MaskFacts, label: str | None = None, *, above: int = LIMIT, values: tuple[int, ...] = ()
    ) -> Mark:
        return Mark(MaskFile(facts.path, above=above, values=values), label)

    def warn_of_inverted(self, marks: Mapping[Path, tuple[Mark, ...]]) -> None:
        """Warn of masks that mark nearly all of their image."""
        marked = [f for f in self.shown if marks.get(f.path)]
        shares = {f.path: f.share_above(min(mark.mask.above for mark in marks[f.path])) for f in marked}
        shares |= {f.path: f.share_above(0) for f in marked if marks[f.path][0].mask.values}
        is_most: Callable[[MaskFacts], bool] = lambda f: shares[f.path] >= MOST_SHARE  # noqa: E731
        most = [f for f in marked if is_most(f)]
        full = [
            f
            for f in marked
            if shares[f.path] >= FULL_SHARE or (shares[f.path] > 0.5 and f.border >= BORDER_SHARE)
        ]
        self.warn(
            most if 2 * len(most) >= len(marked) else full,
            "{files} nearly all of the image as defect: inverted? A mask is white on black",
            verb="mark",
        )


def is_bright(value: int, facts: MaskFacts) -> bool:
    """True for a value that marks in a mask of black and white; of drawn 16-bit masks white alone is one."""
    return value > (facts.full - 1 if facts.bits == 16 and facts.is_exact else facts.above(LIMIT))


def has_bright(facts: MaskFacts) -> bool:
    return is_bright(facts.top, facts)


def is_faint(facts: MaskFacts) -> bool:
    """True for a drawn gray mask with a value that is not bright, and for palette indices."""
    return facts.is_exact and any(not is_bright(value, facts) for value in facts.values)


def low_regions(facts: MaskFacts) -> list[int]:
    """Values that fill regions of a mask but are not bright; those that noise may make are left out."""
    floor = 0 if facts.is_exact else facts.above(FLAT_RANGE)
    return [value for value in facts.levels if floor < value <= facts.above(LIMIT)]


def shades(facts: MaskFacts) -> Mapping[Colour, int]:
    """Colours that a mask shows; of a gray one its levels, or its brightest value where it has soft edges."""
    if facts.kind != "gray":
        return facts.colours
    values = facts.values if facts.is_exact else (facts.top,)
    return {(v, v, v): 1 for v in (value * 255 // facts.full for value in values)}
