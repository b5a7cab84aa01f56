"""A line's inspector: opened and warmed before it judges, and never the end of the process.

Whatever goes wrong with a part is the verdict ERROR with a reason; nothing else comes out of an exception.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from blemish.arrays import Pixels
from blemish.bundle.store import load_bundle
from blemish.errors import BlemishError
from blemish.inspection import Inspection, Verdict, failed
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.loading import inspector_of
from blemish.inspector.pipeline import Decoded, Steps, decoded, with_record
from blemish.inspector.sources import Item
from blemish.record import UsedBundle
from blemish.station.line.parts import Part
from blemish.station.line.settings import DecisionOf
from blemish.threads import set_threads

WARM_SIZE = (512, 512)  # of the gray image that an inspector is warmed with where no part was seen yet


@dataclass(frozen=True, eq=False)
class Judgement:
    """Inspection of a part, with what the record says of its image.

    doc: the inspection as inspections.jsonl has it; pixels: as decoded, None where they could not be
    inspect_ms: of network and decision together
    """

    part: Part
    inspection: Inspection
    doc: dict[str, Any]
    pixels: Pixels | None
    image_sha256: str | None
    pixels_sha256: str | None
    used: UsedBundle
    decode_ms: float
    inspect_ms: float
    shadow: bool = False

    @property
    def verdict(self) -> Verdict:
        return self.inspection.verdict


class PartJudge:
    """An opened bundle that judges parts. given: settings of the bundle that it was opened by"""

    def __init__(self, inspector: BundleInspector, given: tuple[Path, DecisionOf | None]) -> None:
        assert inspector.used is not None, "a bundle on the disk says what it is"
        self.inspector, self.given, self.used = inspector, given, inspector.used
        self.steps = Steps(inspector, with_maps=False)

    @property
    def bundle(self) -> str:
        return self.inspector.bundle

    def judge(self, part: Part, image: Decoded | None = None, *, shadow: bool = False) -> Judgement:
        """Inspect a part. image: of the part, where it was decoded for another inspector"""
        name, image = part.item.name, image or decoded_part(part)
        start = perf_counter()
        try:
            inspection = self.steps.decide(self.steps.forward(image)).inspection
            doc = plain(inspection)
        except Exception as error:  # a fault of a bundle or of ours: never the end, and never OK
            reason = " ".join(str(error).split()) or type(error).__name__
            inspection = failed(name, f"{name} could not be judged: {reason}", bundle=self.bundle)
            inspection = with_record(inspection, image.digests, self.inspector)
            doc = plain(inspection)
        digests = image.digests
        return Judgement(
            part,
            inspection,
            doc,
            image.pixels,
            digests.image_sha256 if digests else None,
            digests.pixels_sha256 if digests else None,
            self.used,
            image.decode_ms,
            1e3 * (perf_counter() - start),
            shadow,
        )

    def warm_up(self, pixels: Pixels | None) -> None:
        """Judge an image before the first part. pixels: of the last part, if there was one

        Raises BlemishError where that is an ERROR.
        """
        pixels = np.full(WARM_SIZE, 128, np.uint8) if pixels is None else pixels
        item = Item("warm-up", "warm-up", partial(np.copy, pixels))
        answer = self.judge(Part(item, "warm-up"))
        if answer.verdict is Verdict.ERROR:
            raise BlemishError(f"{self.given[0]} does not judge: {answer.inspection.error}")


def open_judge(root: Path, bundle: Path, decision: DecisionOf | None, last: Pixels | None) -> PartJudge:
    """Open a bundle, check its decision, and warm it up; called in the thread that loads it.

    root: folder of the station; bundle: relative to it; last: pixels of the last part
    Raises BlemishError for a bundle that is damaged, does not judge, or has another decision.
    """
    set_threads()
    try:
        inspector = inspector_of(load_bundle(root / bundle))
    except BlemishError:
        raise
    except Exception as error:  # of a runtime that fails on a file in a way of its own
        reason = " ".join(str(error).split()) or type(error).__name__
        raise BlemishError(f"{bundle} cannot be opened: {reason}. Copy the bundle again.") from error
    judge = PartJudge(inspector, (bundle, decision))
    refuse_other_decision(judge.used, decision, bundle)
    judge.warm_up(last)
    return judge


def refuse_other_decision(used: UsedBundle, decision: DecisionOf | None, bundle: Path) -> None:
    """Raise BlemishError where the bundle's folder holds another decision than the line is to follow."""
    if decision is None:
        return
    same = used.decision == decision.revision and decision.sha256 in (None, used.decision_sha256)
    if not same:
        raise BlemishError(
            f"{bundle} must hold the decision of revision {decision.revision} as it was approved. Received: "
            f"revision {used.decision}, SHA-256 {str(used.decision_sha256)[:12]}. Store it there again."
        )


def decoded_part(part: Part) -> Decoded:
    """Decoded image of a part; whatever goes wrong is a reason why it could not be read."""
    try:
        image = decoded(part.item, hashed=True)
    except Exception as error:  # decoders meet arbitrary bytes
        reason = " ".join(str(error).split()) or type(error).__name__
        return Decoded(part.item, None, error=f"{part.item.name} cannot be read: {reason}")
    return image if part.decode_ms is None else replace(image, decode_ms=part.decode_ms)


def plain(inspection: Inspection) -> dict[str, Any]:
    """Values as inspections.jsonl has them. Raises ValueError for a number that is not finite."""
    doc = inspection.to_json()
    json.dumps(doc, allow_nan=False)
    return doc
