"""Checking how many of their 16 bits the images of a dataset use, and whether its `bits` say so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from blemish.dataset.quality.check_image import ImageFinding
from blemish.dataset.quality.problems import ERROR, WARNING, Problem
from blemish.images.bit_depth import likely_bits

_EXAMPLES = 3
_SINGLE_BITS = 12  # that a single image may use before it is a question, though others use more


def bit_problems(findings: Sequence[ImageFinding], bits: int | None) -> Iterator[Problem]:
    """Problems of the images' range. bits: of dataset.yaml; None where it does not say"""
    deep = [finding for finding in findings if finding.used_bits is not None]
    if bits is not None:
        over = [finding for finding in deep if (finding.used_bits or 0) > bits]
        if over:
            message = f"hold values above {2**bits - 1}, the highest of `bits: {bits}`: {examples(over)}"
            yield Problem(
                ERROR, f"{len(over)} of {len(deep)} 16-bit images {message}. Set the camera's bits."
            )
        return
    most = max((finding.used_bits or 0 for finding in deep), default=16)
    if likely := likely_bits(most):
        yield question(deep, likely, f"{len(deep)} images are")
        return
    few = [finding for finding in deep if (finding.used_bits or 0) <= _SINGLE_BITS]
    if few:
        yield question(few, _SINGLE_BITS, f"{len(few)} of {len(deep)} 16-bit images are, unlike the others,")


def question(findings: Sequence[ImageFinding], bits: int, who: str) -> Problem:
    """Warning that asks which range is meant. who: subject and verb"""
    return Problem(
        WARNING,
        f"{who} {findings[0].mode}, but no value above {2**bits - 1}: {examples(findings)}. Those of a "
        f"camera of {bits} bits are {2 ** (16 - bits)} times too dark so: set `bits: {bits}` in dataset.yaml."
        " Else set `bits: 16`.",
    )


def examples(findings: Sequence[ImageFinding]) -> str:
    names = [str(finding.sample.image) for finding in findings[:_EXAMPLES]]
    return ", ".join(names) + (", …" if len(findings) > _EXAMPLES else "")
