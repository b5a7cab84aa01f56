"""Score files as spreadsheets and tools of any country write them: the same figures, or one line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.evaluation.predictions.scores import read_scores

SCORES = {"a": 0.91, "b": 0.55, "c": 0.07, "d": 0.5, "e": 1.0}


def written(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@st.composite
def spellings(draw: st.DrawFn) -> tuple[bytes, str]:
    """A file of the scores above, and its separator and decimal sign in words."""
    separator, comma = draw(st.sampled_from(",;\t")), draw(st.booleans())
    quoted = draw(st.booleans()) or (comma and separator == ",")
    names = draw(st.permutations(["image", "score", *draw(st.sampled_from([[], ["label"], ["a b", "n"]]))]))
    shown = [draw(st.sampled_from([str.lower, str.upper, str.title]))(name) for name in names]
    lines = [separator.join(shown)]
    for image, score in SCORES.items():
        text = f"{score}".replace(".", "," if comma else ".")
        values = {"image": f"images/{image}.png", "score": f'"{text}"' if quoted else text}
        lines.append(separator.join(values.get(name, "x") for name in names))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]))
    text = end.join(lines) + draw(st.sampled_from(["", end, end * 3, end + separator * (len(names) - 1)]))
    return text.encode(encoding), f"{separator!r} comma={comma} {names}"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spellings())
def test_every_spelling_gives_the_scores(boxes: Path, tmp_path: Path, drawn: tuple[bytes, str]) -> None:
    content, how = drawn
    predictions = read_scores(written(tmp_path / "s.csv", content), load_dataset(boxes))
    assert {Path(name).stem: score for name, score in predictions.scores.items()} == SCORES, how
    said = " ".join(predictions.remarks)
    assert ("decimal comma" in said) == ("comma=True" in how)
    assert ("columns that are not used" in said) == ("label" in how or "a b" in how)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "image,score\na,0,91\nb,0,5\n",
            "line 2 must have 2 fields, as the first line has. Received: 3 (a | 0 | 91)",
        ),
        (
            "image;score\na;0,91\nb;0.5\n",
            "line 3: all scores must have a decimal point, or all a decimal comma",
        ),
        ("image;score\na;1.000,5\n", "Received: '1.000,5'"),
        ("image;score\na;1,234,5\n", "Received: '1,234,5'"),
        ("image,score\na,91 %\n", "Received: '91 %'"),
        ("image,score\na,91\n", "Received: 91.0"),
        ("image,score\na,nan\n", "Received: 'nan'"),
        ("image,score\na,inf\n", "Received: 'inf'"),
        ("image,score\na,-0.1\n", "Received: -0.1"),
        ("image,score\na,0_5\n", "Received: '0_5'"),
        ("image,score\na,٠.٥\n", "Received: '٠.٥'"),
        ("image,score\na,\n", "Received: ''"),
        ("image,score\na,0x1\n", "Received: '0x1'"),
        ("image,score,Score\na,1,0\n", "Remove one column 'score'"),
        ("image,score\na,0.5,\n", "line 2 must have 2 fields"),
        ('image,score\n"a,0.5\n', "must be a line of a CSV file"),
        ("image,score\nimages/a.pgn,0.5\n", "Did you mean 'images/a.png'?"),
        ("image,score\n,0.5\n", "a name that is not there, first ''"),
        ("sep=;\nimage;score\n", "Received: sep="),
        ("image,score\na,0.5\nx/images/a.png,0.5\n", "Names of one image must be alike"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(
    boxes: Path, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BlemishError) as caught:
        read_scores(written(tmp_path / "s.csv", text), load_dataset(boxes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_in_another_composition_are_the_same_names(tmp_path: Path) -> None:
    import cv2
    import numpy as np

    composed, decomposed = "f\u00fcr.png", "fu\u0308r.png"
    for folder, name in (("good", composed), ("bad", "x.png")):
        (tmp_path / folder).mkdir()
        cv2.imencode(".png", np.zeros((4, 4), np.uint8))[1].tofile(tmp_path / folder / name)
    dataset = load_dataset(tmp_path, layout="labels")
    predictions = read_scores(written(tmp_path / "s.csv", f"image,score\n{decomposed},0.25\n"), dataset)
    assert list(predictions.scores.values()) == [0.25]


def notes_of(measured: Any, path: Path, data: Path, **judgement: Any) -> Sequence[str]:
    notes: Sequence[str] = measured(path, data, **judgement)[1]
    return notes


def test_the_predictions_add_up_in_a_line(boxes: Path, tmp_path: Path, measured: Any) -> None:
    every = "image,score\n" + "".join(f"{name},{score}\n" for name, score in SCORES.items())
    notes = notes_of(measured, written(tmp_path / "s.csv", every), boxes)
    measured_of = "Predictions read: 5, of which 3 for split 'test' measured"
    assert f"{measured_of}, 2 for split 'val' used to choose thresholds." in notes
    notes = notes_of(measured, tmp_path / "s.csv", boxes, threshold=0.5)
    assert f"{measured_of}, 2 for 'val' not used." in notes
    few = written(tmp_path / "few.csv", "image,score\na,0.5\n")
    notes = notes_of(measured, few, boxes, none_found=True)
    assert "Predictions read: 1, of which 1 for split 'test' measured." in notes
    assert "2 of 3 images have no prediction and count as clean." in notes
