"""`recommend`: the method that suits a dataset, by what its images are marked with.

A rule says what data a method needs and was made for; none says how well it will do, which training measures.
The first rule that holds is the recommendation, the next one of another method the second choice.
Sources: each method's README, and docs/results.md.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from blemish.dataset.account import number
from blemish.dataset.quality.facts import FEW, DataFacts, facts_of
from blemish.dataset.samples import Dataset
from blemish.errors import BlemishError
from blemish.evaluation.bounds import proportion_bound, trials_to_prove
from blemish.methods.describe import in_yaml

MOST = 0.5  # share of the defective images from which a kind of mark is there for most
# Pixels that the paper's network of severity regression sees to each side at most. Magnetic tiles'
# unevenness, 71 wide, it missed; with an encoder, which sees 214, it found 6 of 12 tiles, CASAE 17 of 24.
WIDE = 64.0
MOST_NAMES = 1000  # tried for a folder that does not exist yet
ENOUGH = 5  # images of a kind, or defects of a class, below which nothing is concluded from them
TEST_SHARE = 0.3  # of the images, by `data split`
PROVEN = 0.01  # rate of missed defective images that a line's owner asks for


@dataclass(frozen=True)
class Choice:
    """A method, a reason that begins with "as", and the settings that the data call for."""

    method: str
    reason: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Recommendation:
    """A method for a dataset.

    seen: a line on the data; method, reason, settings: of the recommendation
    commands: to run, in their order; better: what would make the data better, a sentence each
    second: another method; None where no other can learn from these data
    """

    seen: str
    method: str
    reason: str
    settings: Mapping[str, Any]
    commands: tuple[str, ...]
    better: tuple[str, ...]
    second: Choice | None

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines that say all of it."""
        second = (
            f"{self.second.method}, {self.second.reason}"
            if self.second
            else "none; no other method can learn from these data"
        )
        return (
            self.seen,
            f"Take {self.method}, {self.reason}:",
            *(f"  {command}" for command in self.commands),
            *self.better,
            f"Second choice: {second}.",
        )


def recommend(data: Path, dataset: Dataset) -> Recommendation:
    """Recommend a method for a dataset. data: its path, for the commands

    Raises BlemishError where no method can learn from it, with what is missing.
    """
    facts = facts_of(dataset)
    found = choices(facts)
    if not found:
        raise BlemishError(nothing_to_learn(dataset, facts))
    first = found[0]
    second = next((choice for choice in found if choice.method != first.method), None)
    return Recommendation(
        seen_in(data, facts),
        first.method,
        first.reason,
        first.settings,
        commands(data, dataset, facts, first),
        tuple(improvements(facts)),
        second,
    )


def first_choice(dataset: Dataset) -> Choice | None:
    """Method that suits a dataset best; None where none can learn from it."""
    found = choices(facts_of(dataset))
    return found[0] if found else None


def choices(facts: DataFacts) -> list[Choice]:
    """Choices that the rules allow, the best first."""
    return [choice for rule in RULES for choice in (rule(facts),) if choice is not None]


def good_alone(facts: DataFacts) -> Choice | None:
    """The memory learns what is good; what a few defective images show, a network cannot learn yet."""
    if not facts.good or facts.defective >= ENOUGH:
        return None
    seen = "no image shows a defect" if not facts.defective else f"only {facts.defective} show a defect"
    return Choice("memory", f"as {seen}, and it learns what good parts look like")


def several_products(facts: DataFacts) -> Choice | None:
    """MeDetection learns from other products first."""
    products = facts.products
    if len(products) < 2 or any(min(each.normal, each.defective) < ENOUGH for each in products):
        return None
    reason = f"as there are {len(products)} products, and it learns from the others before its own"
    return Choice("medetection", reason, target(facts))


def target(facts: DataFacts) -> dict[str, Any]:
    """Product with the fewest images as MeDetection's target; none in a dataset of one product."""
    if not facts.products:
        return {}
    return {"target": min(facts.products, key=lambda each: each.normal + each.defective).product}


def wide_outlines(facts: DataFacts) -> Choice | None:
    """CASAE sees the image as a whole."""
    typical = {label: median(widths) for label, widths in facts.widths.items() if len(widths) >= ENOUGH}
    wide = [f"'{label}' {width:.0f} px" for label, width in typical.items() if width > WIDE]
    if not outlined(facts) or not wide:
        return None
    seen = "the image must be seen as a whole"
    return Choice("casae", f"as defects are outlined, and some are so wide that {seen} ({', '.join(wide)})")


def outlines(facts: DataFacts) -> Choice | None:
    """Severity regression outlines what is small beside the image."""
    if not outlined(facts):
        return None
    widths = [width for of_class in facts.widths.values() for width in of_class]
    if not widths:
        return Choice("severity", "as defects are outlined")
    reason = f"as defects are outlined, half of them at most {median(widths):.0f} px wide"
    return Choice("severity", reason)


def few_examples(facts: DataFacts) -> Choice | None:
    """TL-SDD learns rare classes from a few boxes, beside common ones."""
    if not placed(facts) or not facts.few:
        return None
    shown = ", ".join(f"{name} ({facts.classes[name]})" for name in facts.few)
    return Choice(
        "tlsdd", f"as it learns classes with few images from five boxes: {shown}", {"rare": list(facts.few)}
    )


def boxes(facts: DataFacts) -> Choice | None:
    """TL-SDD learns from boxes."""
    if not placed(facts) or outlined(facts):
        return None
    return Choice("tlsdd", "as defects are marked by boxes, from which no other method learns where they are")


def other_outlines(facts: DataFacts) -> Choice | None:
    """CASAE learns from outlines, too."""
    return Choice("casae", "as it learns from outlines, too") if outlined(facts) else None


def labels(facts: DataFacts) -> Choice | None:
    """MeDetection learns from normal and defective images."""
    if not facts.good or not facts.defective:
        return None
    reason = "as it learns from good and defective images, whatever is marked in them"
    return Choice("medetection", reason, target(facts))


def unseen_kinds(facts: DataFacts) -> Choice | None:
    """The memory alarms at what it never saw, too."""
    reason = "as what is unlike the good images alarms, of a kind that is marked or not"
    return Choice("memory", reason) if facts.good else None


RULES: Sequence[Callable[[DataFacts], Choice | None]] = (
    good_alone,
    several_products,
    wide_outlines,
    outlines,
    few_examples,
    boxes,
    other_outlines,
    labels,
    unseen_kinds,
)


def outlined(facts: DataFacts) -> bool:
    return facts.defective > 0 and facts.outlined >= MOST * facts.defective


def placed(facts: DataFacts) -> bool:
    return facts.defective > 0 and facts.placed >= MOST * facts.defective


def seen_in(data: Path, facts: DataFacts) -> str:
    """Line on what the data hold."""
    classes = ", ".join(f"{name} ({images})" for name, images in facts.classes.items())
    boxed = facts.placed - facts.outlined
    marks = (
        f"{facts.outlined} outlined, {boxed} with boxes, {facts.defective - facts.placed} with labels alone"
    )
    products = f"; {number(len(facts.products), 'product')}" if facts.products else ""
    return (
        f"{data}: {number(facts.good, 'good image')}, {facts.defective} defective ({marks}); "
        f"{number(len(facts.classes), 'class')}: {classes}{products}"
    )


def nothing_to_learn(dataset: Dataset, facts: DataFacts) -> str:
    """Message on what is missing for any method."""
    return (
        f"{dataset.root} must hold good images, or marked defects, for a method to learn from. "
        f"Received: {number(facts.defective, 'defective image')} without a place, and no good one. "
        "Add good images, or mark the defects by boxes or outlines; `blemish methods` says what each method "
        "needs."
    )


def commands(data: Path, dataset: Dataset, facts: DataFacts, choice: Choice) -> tuple[str, ...]:
    """Commands that split the data, where they have no test images, and train the choice."""
    lines, place = [], str(data)
    if facts.tested is None and not (choice.method == "memory" and facts.good < FEW):
        by = "group" if any(sample.group for sample in dataset) else "similarity"
        place = unused("splits")
        lines = [["blemish", "data", "split", str(data), place, "--by", by]]
    sets = [
        word
        for name, value in choice.settings.items()
        for word in (["--target", value] if name == "target" else ["--set", f"{name}={in_yaml(value)}"])
    ]
    lines.append(["blemish", "train", choice.method, "--data", place, "--out", unused("run"), *sets])
    return tuple(map(shlex.join, lines))


def unused(name: str) -> str:
    """Name of a folder that does not exist yet in the working folder: "run", else "run-2", "run-3", …"""
    names = (name, *(f"{name}-{count}" for count in range(2, MOST_NAMES)))
    return next((each for each in names if not Path(each).exists()), name)


def improvements(facts: DataFacts) -> Iterator[str]:
    """Sentences on what would make the data better, beginning with what they can prove."""
    tests = round(TEST_SHARE * facts.defective) if facts.tested is None else facts.tested
    needed = trials_to_prove(PROVEN)
    if not facts.defective:
        yield "Better with some defective images: without any, nothing tells how many defective parts pass."
    elif tests < needed:
        bound = proportion_bound(0, tests).upper95
        yield (
            f"Better with more defective images: a test that misses none of its {tests} only proves that at "
            f"most {100 * bound:.0f} % of defective parts are missed; to prove {100 * PROVEN:.0f} % takes "
            f"{needed}."
        )
    if facts.few:
        yield f"Better with more images of rare classes: {', '.join(facts.few)}."
    if facts.outlined < facts.defective:
        without = facts.defective - facts.outlined
        yield (
            f"Better with outlines in the {number(without, 'defective image')} without: severity and casae "
            "learn from them, and measure areas and lengths."
        )
    if facts.good < FEW:
        yield f"Better with more than {facts.good} good images: they show how many good parts are rejected."
