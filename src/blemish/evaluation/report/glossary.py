"""Words of a report that are not everybody's, each explained where it stands and in a list at the end."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from blemish.evaluation.defects import MATCH_IOU

TERMS: dict[str, str] = {
    "AUROC": "How well scores tell defective from good parts: the probability that a defective part scores "
    "above a good one. 1 is perfect, 0.5 is chance.",
    "95 % interval": "The true value lies in it in 95 of 100 such tests. The fewer parts, the wider it is.",
    "escape": "A defective part that is called OK.",
    "overkill": "A good part that is called NG.",
    "OK": "The part passes: its score is below the limit of REVIEW.",
    "REVIEW": "The part goes to a person, since its score lies between the two limits.",
    "NG": "Not good: the part is rejected.",
    "ERROR": "The image could not be read or judged.",
    "finding": "A place that was marked as a defect, right or wrong.",
    "under the limit": "Of a finding: it is no defect, since the score of the part stays below the limit of "
    "REVIEW. The part is OK.",
    "nothing": "Of a finding: no annotated defect is there.",
    "IoU": "Intersection over union: the overlap of a found and an annotated defect, from 0 to 1. From "
    f"{MATCH_IOU} on, a defect is found.",
    "precision": "Share of what was found that is right.",
    "recall": "Share of what is there that was found.",
    "F1": "Balance of precision and recall: their harmonic mean. 1 is perfect.",
    "AR": "Average recall: twice the mean IoU in excess of 0.5. 1 is perfect.",
    "AP 50": "Average precision: mean precision over all recalls, for boxes with an IoU of at least 0.5.",
    "mAP": "Mean of the average precision over all classes.",
    "ROC": "Receiver operating characteristic: defective parts found against good ones rejected, for every "
    "limit of the score.",
    "operating point": "The two limits of the score, from which a part is REVIEW and NG.",
    "Clopper–Pearson": "The exact way to bound a rate by a count, whatever the number of parts.",
    "trivial baseline": "An answer that takes no training. What is no better has not learned to see defects.",
    "nearest training image": "Baseline: how much nearer a part is to a defective than to a good image of "
    "the training.",
    "mean brightness": "Baseline: the mean gray value of the image, and nothing else.",
    "severity": "How strong a defect is, in the units of the method.",
    "confusion": "Annotated classes against those that were given.",
}
LISTED_ONLY = ("nothing", "ERROR")  # words that mean something else in most sentences, or explain themselves


def spelled(term: str) -> str:
    """Pattern of a word, with a capital where a sentence begins with it."""
    first = f"[{term[0]}{term[0].upper()}]" if term[0].islower() and term[:2].islower() else term[0]
    return first + re.escape(term[1:])


PATTERN = re.compile(
    r"\b("
    + "|".join(spelled(term) for term in sorted(TERMS, key=len, reverse=True) if term not in LISTED_ONLY)
    + r")(?=e?s?\b)"
)


def explained(text: object) -> Markup:
    """Text whose words of the glossary are explained on hover and linked to the list, each the first time."""
    safe, seen = str(escape(text)), set()

    def link(found: re.Match[str]) -> str:
        word = found[1]
        term = word if word in TERMS else word[0].lower() + word[1:]
        if term in seen:
            return word
        seen.add(term)
        return f'<abbr title="{escape(TERMS[term])}"><a href="#{anchor(term)}">{word}</a></abbr>'

    return Markup(unbroken(PATTERN.sub(link, safe)))


def unbroken(text: str) -> str:
    """Text in which no line ends between a number and its per cent sign."""
    return text.replace(" %", "\u00a0%")


def anchor(term: str) -> str:
    """Id of a word in the list."""
    return "word-" + re.sub(r"\W+", "-", term.lower())
