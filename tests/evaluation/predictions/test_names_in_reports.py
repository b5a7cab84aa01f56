"""Names that mean something to HTML, JSON, YAML or a terminal are nothing but names in an evaluation."""

from __future__ import annotations

import json
import os
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np

from blemish.evaluation.predictions import Judgement
from blemish.workflows.evaluate_predictions import evaluate_file

FOLDERS = ("good", "on", "1", "null", "</script><b>x</b>", "a&amp;b")
NAMES = (
    b"<img src=x>.png",
    b"quote\"s and '.png",
    b"bell\x07.png",
    b"two\nlines.png",
    b"\xe2\x80\xa8.png",
    b"\xff.png",
)

DIVISION = "\u2215"  # looks like a slash, and may be in a name


class Tags(HTMLParser):
    """Reader of a page that keeps the tags and the texts it meets."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def dataset(root: Path) -> Path:
    """A folder of each name with an image of each name."""
    for folder in FOLDERS:
        path = root / folder.replace("/", DIVISION)
        path.mkdir(parents=True)
        for number, name in enumerate(NAMES):
            data = cv2.imencode(".png", np.full((8, 8), 20 * number, np.uint8))[1].tobytes()
            (path / os.fsdecode(name)).write_bytes(data)
    return root


def test_odd_names_are_names(tmp_path: Path) -> None:
    data = dataset(tmp_path / "data")
    rows = []
    for folder in FOLDERS:
        score = (
            0.9 if folder == "good" else 0.3
        )  # each clean image is doubted, so that it is in disputed.json
        for name in NAMES[:-1]:
            quoted = name.decode().replace('"', '""')
            rows.append(f'"{folder.replace("/", DIVISION)}/{quoted}",{score}')
    file = tmp_path / "scores.csv"
    file.write_text("\n".join(["image,score", *rows, ""]), "utf-8")
    judgement = Judgement(none_found=True)
    result = evaluate_file(
        file,
        data,
        tmp_path / "out",
        split="all",
        judgement=judgement,
        command="blemish <evaluate>",
        quiet=True,
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    assert (metrics["image"]["images"], metrics["image"]["defective"]) == (36, 30)
    disputed = json.loads((tmp_path / "out" / "disputed.json").read_text("utf-8"))["disputed"]
    shown = {os.fsencode(issue["image"]) for issue in disputed if issue["image"].startswith("good/")}
    assert shown >= {b"good/" + name for name in NAMES[:-1]}
    page = Tags()
    page.feed(result.report.read_text("utf-8"))
    assert not [attributes for tag, attributes in page.tags if tag == "img" and attributes.get("src") == "x"]
    assert not any(tag == "b" and "x" in attributes for tag, attributes in page.tags)
    text = " ".join(page.texts)
    assert "<img src=x>" in text and "a&amp;b" in text
