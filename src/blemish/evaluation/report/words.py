"""Figures in words: the headline of a report, and numbers written alike everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from blemish.evaluation.defects import MATCH_IOU

ABSENT = "–"


def headline(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sentences on missed and rejected parts and found defects, each a claim and its qualification.

    Without an operating point, a sentence that says so.
    """
    point = metrics.get("operating_point")
    if not point:
        sentence = "No operating point was chosen, so missed and wrongly rejected parts were not counted."
        return [(sentence, ""), *defects_sentence(metrics), *findings_sentence(metrics.get("findings"))]
    escapes = rate_sentence(point.get("escapes"), kind="defective", happened="missed")
    overkill = rate_sentence(point.get("overkill"), kind="good", happened="rejected")
    elsewhere = elsewhere_sentence(point.get("rejected_elsewhere"))
    found = [*defects_sentence(metrics), *findings_sentence(metrics.get("findings"))]
    return [escapes, *elsewhere, *found, overkill, *review_sentence(point.get("review"))]


def rate_sentence(count: Mapping[str, Any] | None, *, kind: str, happened: str) -> tuple[str, str]:
    """Sentence on a count: ("0 of 22 defective parts were missed", "; the true rate is at most 12.7 %.")."""
    if not count or not count.get("of"):
        return f"There were no {kind} parts, so nothing is known about how many are {happened}.", ""
    were = "was" if count["n"] == 1 else "were"
    parts = "part" if count["of"] == 1 else "parts"
    bound = count.get("upper95")
    limit = "." if bound is None else f"; the true rate is at most {percent(bound)}."
    return f"{whole(count['n'])} of {whole(count['of'])} {kind} {parts} {were} {happened}", limit


def elsewhere_sentence(count: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Sentence on parts rejected for the wrong place; nothing where there was none."""
    if not count or not count.get("n"):
        return []
    were, own = ("was", "its own defects") if count["n"] == 1 else ("were", "their own defects")
    rejected = f"{whole(count['n'])} of the {whole(count['of'])} rejected defective parts {were} rejected"
    return [
        (
            rejected,
            f" for something other than {own}: no finding overlaps these with an IoU of {MATCH_IOU} or more.",
        )
    ]


def defects_sentence(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Sentence on annotated defects, as ("4 of 9 annotated defects were found", " (IoU of 0.3 or more)…").

    Nothing without any. A part may be rejected by its score though no defect is found on it.
    """
    classes = ((metrics.get("defect") or {}).get("classes") or {}).values()
    counts = [of_class["recall_at_30"] for of_class in classes]
    found, of = (sum(count[key] for count in counts) for key in ("n", "of"))
    if not of:
        return []
    were, defects = ("was" if found == 1 else "were"), ("defect" if of == 1 else "defects")
    limit = f" (IoU of {MATCH_IOU} or more)"
    if found and metrics.get("type"):
        right = sum(of_class["precision_at_30"]["n"] for of_class in classes)
        limit += f", {whole(right)} of them with the right class"
    return [(f"{whole(found)} of {whole(of)} annotated {defects} {were} found", f"{limit}.")]


def findings_sentence(count: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Sentence on findings that are nothing, and on those that do not count; none without either."""
    listed, under = (count[key] if count else 0 for key in ("listed", "under_limit"))
    if not count or not (listed or under):
        return []
    images = "1 image" if count["images_under_limit"] == 1 else f"{whole(count['images_under_limit'])} images"
    where = f"on {images} under the limit of REVIEW"
    if not listed:
        return [(f"{whole(under)} findings are no defects", f": they lie {where}.")]
    are, findings = ("is" if count["nothing"] == 1 else "are"), ("finding" if listed == 1 else "findings")
    more = f"; {whole(under)} more, {where}, count as no defects" if under else ""
    nothing = f"{whole(count['nothing'])} of {whole(listed)} {findings} {are} nothing"
    return [(nothing, f": no annotated defect overlaps with an IoU of {MATCH_IOU} or more{more}.")]


def review_sentence(count: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Sentence on parts sent to a person; nothing where no part was judged."""
    if not count or not count.get("of"):
        return []
    if not count["n"]:
        return [("No part goes to a person", " (REVIEW).")]
    goes = "goes" if count["n"] == 1 else "go"
    return [
        (
            f"{whole(count['n'])} of all {whole(count['of'])} parts {goes} to a person",
            " (REVIEW); defective parts among them do not count as missed.",
        )
    ]


def percent(share: float | None) -> str:
    """A share in [0, 1] as "12.7 %"."""
    return ABSENT if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def whole(number: float) -> str:
    """A count with thin spaces between thousands from 10 000 on."""
    return f"{int(number):,}".replace(",", "\u2009") if abs(number) >= 10_000 else f"{int(number)}"


def number(value: object) -> str:
    """A value as text: counts whole, measures to three decimals or digits, None and infinity as a dash."""
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
    """A time in a readable unit: "41 ms", "2.5 s", "1 min 20 s"."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds < 1:
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def flattened(values: Mapping[str, Any], *, before: str = "") -> list[tuple[str, str]]:
    """Nested figures as pairs of dotted name and text, so that none is left out of a report."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines += flattened(value, before=f"{before}{name}.")
        elif isinstance(value, list | tuple):
            lines.append((before + name, ", ".join(number(each) for each in value)))
        else:
            lines.append((before + name, number(value)))
    return lines
