"""Figures as words: the headline a quality engineer wants, and numbers written the same way everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from blemish.evaluation.defects import MATCH_IOU

ABSENT = "–"


def headline(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the operating point costs, each a claim and how far it reaches; why nothing can be said, if so."""
    point = metrics.get("operating_point")
    if not point:
        sentence = "No operating point was chosen, so missed and wrongly rejected parts were not counted."
        return [(sentence, ""), *defects_sentence(metrics)]
    escapes = rate_sentence(point.get("escapes"), kind="defective", happened="missed")
    overkill = rate_sentence(point.get("overkill"), kind="good", happened="rejected")
    by_luck = elsewhere_sentence(point.get("rejected_elsewhere"))
    return [escapes, *by_luck, *defects_sentence(metrics), overkill, *review_sentence(point.get("review"))]


def rate_sentence(count: Mapping[str, Any] | None, *, kind: str, happened: str) -> tuple[str, str]:
    """("Of 22 defective parts 0 were missed", ": up to 12.7 % may be.")"""
    if not count or not count.get("of"):
        return f"There was no {kind} part to judge, so nothing is known of how many are {happened}.", ""
    were = "was" if count["n"] == 1 else "were"
    parts = "part" if count["of"] == 1 else "parts"
    bound = count.get("upper95")
    limit = "." if bound is None else f": up to {percent(bound)} may be."
    return f"Of {whole(count['of'])} {kind} {parts} {whole(count['n'])} {were} {happened}", limit


def elsewhere_sentence(count: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """[("2 of the 20 rejected were rejected for something else", ": …")]; nothing where none was."""
    if not count or not count.get("n"):
        return []
    were, their = ("was", "its") if count["n"] == 1 else ("were", "their")
    claim = f"{whole(count['n'])} of the {whole(count['of'])} rejected {were} rejected for something else"
    return [(claim, f": nothing found overlaps {their} own defects by an IoU of {MATCH_IOU}.")]


def defects_sentence(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """[("Of 9 annotated defects 4 were found", " (IoU of 0.3 or more), 3 of them …")]; nothing without any.

    A part may be rejected by its score though no defect is found on it.
    """
    classes = ((metrics.get("defect") or {}).get("classes") or {}).values()
    counts = [one["recall_at_30"] for one in classes]
    found, of = (sum(count[key] for count in counts) for key in ("n", "of"))
    if not of:
        return []
    were, defects = ("was" if found == 1 else "were"), ("defect" if of == 1 else "defects")
    limit = f" (IoU of {MATCH_IOU} or more)"
    if found and metrics.get("type"):
        right = sum(one["precision_at_30"]["n"] for one in classes)
        limit += f", {whole(right)} of them under the right name"
    return [(f"Of {whole(of)} annotated {defects} {whole(found)} {were} found", f"{limit}.")]


def review_sentence(count: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    if not count or not count.get("of"):
        return []
    goes = "goes" if count["n"] == 1 else "go"
    return [
        (
            f"{whole(count['n'])} of all {whole(count['of'])} {goes} to a person",
            " (REVIEW); defective ones among them count as not missed.",
        )
    ]


def percent(share: float | None) -> str:
    """A share in [0, 1] as "12.7 %"."""
    return ABSENT if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def whole(number: float) -> str:
    """A count with thin spaces between thousands from 10 000 on."""
    return f"{int(number):,}".replace(",", "\u2009") if abs(number) >= 10_000 else f"{int(number)}"


def number(value: object) -> str:
    """Counts whole, measures to three decimals or three figures, text as it is, nothing as a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return whole(value)
    if value == 0 or 0.0095 <= abs(value) < 100:
        return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}"
    return whole(value) if abs(value) >= 1000 and value == int(value) else f"{value:.3g}"


def duration(seconds: float | None) -> str:
    """A time a person can picture: "41 ms", "2.5 s", "1 min 20 s"."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def flattened(values: Mapping[str, Any], *, before: str = "") -> list[tuple[str, str]]:
    """Nested figures as lines of (dotted name, number), so that none is left out of a report."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += flattened(value, before=f"{before}{name}.")
        elif isinstance(value, list | tuple):
            lines.append((before + name, ", ".join(number(one) for one in value)))
        else:
            lines.append((before + name, number(value)))
    return lines
