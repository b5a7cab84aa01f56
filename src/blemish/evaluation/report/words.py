"""Figures in words: the headline of a report, and numbers written alike everywhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from blemish.evaluation.defects import MATCH_IOU

ABSENT = "–"


Sentence = tuple[tuple[str, str], ...]  # claims, each with its qualification, that read as one text


def headline(metrics: Mapping[str, Any]) -> list[Sentence]:
    """At most five sentences on the figures that matter.

    Missed, reviewed and rejected parts, found defects and findings that are nothing, and the AUROC beside
    trivial baselines. Without an operating point, a sentence says so.
    """
    point = metrics.get("operating_point")
    rest = [*defects_sentence(metrics), *auroc_sentence(metrics)]
    if not point:
        claim = "No operating point was chosen, so missed and wrongly rejected parts were not counted."
        return [((claim, ""),), *rest]
    escapes = rate_claim(point.get("escapes"), kind="defective", happened="missed", verdict="OK")
    overkill = rate_claim(point.get("overkill"), kind="good", happened="rejected", verdict="NG")
    elsewhere = elsewhere_sentence(point.get("rejected_elsewhere"))
    return [(escapes, *review_claim(point.get("review"))), *elsewhere, (overkill,), *rest]


def text_of(sentence: Sentence) -> str:
    """A sentence as plain text."""
    return "".join(part for pair in sentence for part in pair)


def rate_claim(count: Mapping[str, Any] | None, *, kind: str, happened: str, verdict: str) -> tuple[str, str]:
    """Claim on a count.

    As ("0 of 22 defective parts were missed", " (called OK); the true rate is at most 12.7 %.").
    """
    if not count or not count.get("of"):
        claim = f"There were no {kind} parts, so nothing is known about how many are {happened}."
        return claim, " A bundle that rejects every part would miss none, too." if kind == "good" else ""
    were = "was" if count["n"] == 1 else "were"
    parts = "part" if count["of"] == 1 else "parts"
    bound = count.get("upper95")
    limit = "." if bound is None else f"; the true rate is at most {percent(bound)}."
    claim = f"{whole(count['n'])} of {whole(count['of'])} {kind} {parts} {were} {happened}"
    return claim, f" (called {verdict}){limit}"


def review_claim(count: Mapping[str, Any] | None) -> Sentence:
    """Claim on parts sent to a person, behind that on missed ones; nothing where no part was judged."""
    if not count or not count.get("of"):
        return ()
    if not count["n"]:
        return ((" No part goes to a person", " (REVIEW)."),)
    goes = "goes" if count["n"] == 1 else "go"
    claim = f" {whole(count['n'])} of all {whole(count['of'])} parts {goes} to a person"
    return ((claim, f" (REVIEW, {percent(count['n'] / count['of'])}), not counted as missed."),)


def elsewhere_sentence(count: Mapping[str, Any] | None) -> list[Sentence]:
    """Sentence on rejected parts on which no annotated defect was found; nothing where there was none."""
    if not count or not count.get("n"):
        return []
    parts = f"{whole(count['n'])} of the {whole(count['of'])} rejected defective parts"
    they = "it" if count["n"] == 1 else "they"
    meaning = (
        f" (no finding overlaps one with an IoU of {MATCH_IOU} or more): {they} may have been rejected for "
        "something else."
    )
    return [((f"On {parts} no annotated defect was found", meaning),)]


def defects_sentence(metrics: Mapping[str, Any]) -> list[Sentence]:
    """Sentence on annotated defects, as ("4 of 9 annotated defects were found", " (IoU of 0.3 or more)…").

    It goes on with the findings that are nothing. Nothing where neither is known. A part may be rejected by
    its score though no defect is found on it.
    """
    classes = ((metrics.get("defect") or {}).get("classes") or {}).values()
    counts = [of_class["recall_at_30"] for of_class in classes]
    found, of = (sum(count[key] for count in counts) for key in ("n", "of"))
    findings = metrics.get("findings") or {}
    if not of:
        return good_parts_sentence(findings)
    were, defects = ("was" if found == 1 else "were"), ("defect" if of == 1 else "defects")
    limit = f" (IoU of {MATCH_IOU} or more)"
    if found and metrics.get("type"):
        right = sum(of_class["precision_at_30"]["n"] for of_class in classes)
        limit += f", {whole(right)} of them with the right class"
    claim = f"{whole(found)} of {whole(of)} annotated {defects} {were} found"
    nothing = nothing_claim(findings)
    return [((claim, limit + ("; " if nothing else ".")), *nothing)]


def nothing_claim(findings: Mapping[str, Any]) -> Sentence:
    """Claims on findings that are nothing and on those under the limit; nothing where there are neither."""
    claims: Sentence = ()
    if of := findings.get("listed"):
        nothing, partly = findings["nothing"], findings["partly"]
        are, noun = ("is" if nothing == 1 else "are"), ("finding" if of == 1 else "findings")
        meaning = " (no annotated defect is there)" if nothing else ""
        if partly:
            overlap, repeat = ("overlaps", "repeats") if partly == 1 else ("overlap", "repeat")
            meaning += f", {whole(partly)} {overlap} one by less or {repeat} a finding"
        claims = ((f"{whole(nothing)} of {whole(of)} {noun} {are} nothing", f"{meaning}."),)
    return claims + under_limit_claim(findings, more=bool(claims))


def under_limit_claim(findings: Mapping[str, Any], *, more: bool) -> Sentence:
    """Claim on findings of parts that are OK; nothing without any. more: others were told of before"""
    number = findings.get("under_limit")
    if not number:
        return ()
    noun, are = ("finding", "is") if number == 1 else ("findings", "are")
    images = findings["images_under_limit"]
    on = "1 image" if images == 1 else f"{whole(images)} images"
    start = f" {whole(number)} more" if more else f"{whole(number)} {noun}"
    return (
        (f"{start} {are} under the limit", f": on {on} with a score below that of REVIEW, so no defects."),
    )


def good_parts_sentence(findings: Mapping[str, Any]) -> list[Sentence]:
    """Sentence on findings where defective parts have labels alone: on good parts, and under the limit."""
    number = findings.get("on_clean")
    claims: Sentence = ()
    if number:
        claim = "1 finding is nothing" if number == 1 else f"{whole(number)} findings are nothing"
        claims = ((claim, ": on good parts. On defective ones the places of defects are not annotated."),)
    claims += under_limit_claim(findings, more=bool(claims))
    return [claims] if claims else []


def auroc_sentence(metrics: Mapping[str, Any]) -> list[Sentence]:
    """Sentence on the AUROC beside trivial baselines; nothing without good and defective images."""
    image, baselines = metrics.get("image") or {}, metrics.get("baselines") or {}
    if image.get("auroc") is None:
        return []
    beside = []
    if brightness := baselines.get("brightness"):
        beside.append(f"mean brightness alone gives {brightness['auroc']:.2f}")
    if nearest := baselines.get("nearest"):
        beside.append(f"the nearest training image {nearest['auroc']:.2f} ({nearest['features']})")
    elif brightness:
        beside.append("no training images were at hand to compare with")
    rest = f"; {', '.join(beside)}" if beside else ""
    return [((f"AUROC {image['auroc']:.2f}", f"{interval_clause(image)}{rest}."),)]


def interval_clause(image: Mapping[str, Any]) -> str:
    """Interval of the AUROC: " (95 % interval 0.74 to 0.94)"; "" where there is none."""
    interval = image.get("auroc_interval95")
    return "" if interval is None else f" (95 % interval {interval[0]:.2f} to {interval[1]:.2f})"


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
