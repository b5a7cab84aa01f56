"""The report: every section or a reason, figures from the metrics, all escaped, nothing from outside."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from blemish.dataset.samples import Annotation, Sample
from blemish.defect import Defect, Rectangle
from blemish.errors import BlemishError
from blemish.evaluation.bounds import proportion_bound
from blemish.evaluation.defects import class_metrics
from blemish.evaluation.records import Curve, Evaluation, ImageRecord, TruthDefect
from blemish.evaluation.report import ReportContext, render_report, write_report
from blemish.evaluation.report.axes import AxisScale, round_ticks, spread
from blemish.evaluation.report.cases import Case, choose_cases, even_shares
from blemish.evaluation.report.charts import line_chart, score_histogram
from blemish.evaluation.report.glossary import TERMS, explained
from blemish.evaluation.report.images import (
    case_images,
    closed_path,
    crop_window,
    heat_in,
    heat_uri,
    path_data,
)
from blemish.evaluation.report.tables import kind_rows, verdict_rows
from blemish.evaluation.report.words import duration, headline, number, text_of
from blemish.inspection import Inspection, Verdict

VOID = {"meta", "img", "input", "br", "link", "hr"}
SECTIONS = ("verdicts", "threshold", "images", "curves", "classes", "time", "origin")


class Page(HTMLParser):
    """Checks that tags nest, and collects text, ids, classes and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: set[str] = set()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        fields = dict(attrs)
        self.tags.append(tag)
        self.ids |= {fields["id"]} if fields.get("id") else set()  # type: ignore[arg-type]
        self.addresses += [str(fields[name]) for name in ("src", "href", "action") if name in fields]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def found(box: tuple[float, float, float, float], label: str = "scratch", severity: float = 7.5) -> Defect:
    corners = ((box[0], box[1]), (box[2], box[1]), (box[2], box[3]), (box[0], box[3]))
    area = (box[2] - box[0]) * (box[3] - box[1])
    return Defect(label, 0.8, box, (corners,), Rectangle(box[:2], 8, 4, 0), area, severity, severity)


def truth(box: tuple[float, float, float, float], label: str = "scratch") -> TruthDefect:
    return TruthDefect(label, box, (), (box[2] - box[0]) * (box[3] - box[1]))


def record(
    image: Path,
    *,
    true: tuple[TruthDefect, ...] = (),
    defects: tuple[Defect, ...] = (),
    iou: list[list[float]] | None = None,
    verdict: Verdict = Verdict.OK,
    score: float | None = 0.1,
    milliseconds: float = 20.0,
) -> ImageRecord:
    overlaps = np.array(iou or [], dtype=np.float32).reshape(len(true), len(defects))
    marked = tuple(Annotation(each.label, box_xyxy=each.box_xyxy) for each in true)
    timings = {"decode": milliseconds / 4, "network": milliseconds}
    inspection = Inspection(str(image), (80, 120), verdict, score, defects, "b", timings)
    return ImageRecord(Sample(image, image.name, marked), inspection, true, overlaps)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "part.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (150, 200, 3), dtype=np.uint8))
    return path


@pytest.fixture
def records(image: Path) -> tuple[ImageRecord, ...]:
    """A hit, a miss that passed, a rejected good part, a good one, a part with both, an unreadable one."""
    here, there = (10.0, 10.0, 30.0, 20.0), (60.0, 40.0, 70.0, 50.0)

    def named(name: str) -> Path:
        path = image.with_name(name)
        path.write_bytes(image.read_bytes())
        return path

    return (
        record(
            named("hit.png"),
            true=(truth(here),),
            defects=(found(here),),
            iou=[[0.83]],
            verdict=Verdict.NG,
            score=0.9,
        ),
        record(named("miss.png"), true=(truth(here, "dent"),), score=0.2),
        record(named("alarm.png"), defects=(found(there, "dent", 11.5),), verdict=Verdict.NG, score=0.7),
        record(named("good.png"), score=0.05, milliseconds=4321),
        record(
            named("both.png"),
            true=(truth(here), truth(there)),
            defects=(found(here, "dent"),),
            iou=[[0.4], [0.0]],
            verdict=Verdict.REVIEW,
            score=0.5,
        ),
        replace(
            record(image.with_name("gone.png"), verdict=Verdict.ERROR, score=None),
            inspection=Inspection(
                "gone.png", None, Verdict.ERROR, None, (), "b", error="gone.png must exist."
            ),
        ),
    )


@pytest.fixture
def evaluation(records: tuple[ImageRecord, ...]) -> Evaluation:
    confusion = {"scratch": {"scratch": 41, "dent": 3, "missed": 2}, "false alarm": {"scratch": 17}}
    metrics: dict[str, Any] = {
        "schema": 1, "method": "severity", "split": "test", "images": 6, "seed": 4711,
        "pixel": {"precision": 0.8123, "recall": 0.9, "f1": 0.8537, "iou": 0.74, "threshold": 4.1},
        "defect": {"ar": 0.6217, "mean_iou": 0.7713, "recall_at_30": 0.9431, "precision_at_30": 0.9127},
        "image": {"auroc": 0.9871},
        "type": {"accuracy": 0.9319, "iou": 0.3, "confusion": confusion},
        "operating_point": {
            "rule": "escape<=0.02", "threshold": 0.625, "review_threshold": 0.375,
            "escapes": proportion_bound(0, 22).to_json(), "overkill": proportion_bound(1, 45).to_json(),
            "review": proportion_bound(3, 67).to_json(), "notes": ["Too few parts to prove 2 %."],
        },
        "seconds_per_image": 0.0361,
    }  # fmt: skip
    by_iou = {"recall": (1, 0.9, 0.2), "with type": (1, 0.8, 0.1)}
    curves = {
        "iou": Curve("Defects found, by IoU", "IoU", "share", (0.1, 0.5, 0.9), by_iou),
        "precision-recall": Curve("Precision and recall", "r", "p", (0, 0.5, 1), {"p": (1, 0.9, 0.5)}, 0.5),
    }
    return Evaluation(metrics, curves, records)


@pytest.fixture
def context() -> ReportContext:
    steps = tuple(float(step) for step in range(1000))
    return ReportContext(
        title="Caps, line 3",
        bundle_name="runs/caps/bundle",
        bundle_hash="9c1f0b6e",
        dataset_root="data/caps",
        dataset_counts={"train": 401, "test": 6},
        dataset_layout="masks",
        dataset_reason="class folders hold same-named masks",
        data_fingerprint="51f0c2d9",
        skipped={"cap_7.jpg": "truncated"},
        settings={"cell": 2, "optimizer": {"learning_rate": 0.00125}},
        command="blemish evaluate runs/caps/bundle --data data/caps",
        created="2031-02-03 04:05",
        hardware="2 cores",
        versions={"blemish": "0.1.0"},
        training=Curve("Training", "step", "loss", steps, {"loss": tuple(10 * 0.99**step for step in steps)}),
        threshold_sweep=Curve("Threshold on validation images", "T", "IoU", (0, 4), {"v": (0.1, 0.8)}, 4.0),
        notes=("Two lots were mixed.",),
    )  # fmt: skip


def test_full_input_shows_every_section(evaluation, context):
    page = Page(render_report(evaluation, context))
    assert page.ids >= set(SECTIONS)
    assert (
        page.tags.count("img") == 10
    )  # crop and whole of a defect that passed, one not found, an alarm and two hits, one of a label in doubt
    for words in (
        "0 of 22 defective parts were missed (called OK ); the true rate is at most 12.7 %.",
        "1 of 45 good parts was rejected (called NG ); the true rate is at most 10.1 %.",
        "3 of all 67 parts go to a person ( REVIEW , 4.5 %), not counted as missed.",
        "a score of 0.625 or more is NG, a score below 0.375 is OK",
        "Too few parts to prove 2 %.",
        "Threshold on validation images", "Precision and recall", "Defects found, by IoU", "Training",
        "Image AUROC", "94.3 % Defects found", "36.1 ms", "Confusion", "Size and severity",
        "gone.png must exist.",
        "9c1f0b6e", "51f0c2d9", "class folders hold same-named masks", "401 train", "cap_7.jpg", "truncated",
        "optimizer.learning_rate", "0.00125", "blemish evaluate runs/caps/bundle", "2 cores",
        "Two lots were mixed.", "4711", "good.png",
    ):  # fmt: skip
        assert words in page.text, words
    assert "Drawn elsewhere" not in page.text


def test_a_decision_is_told_with_its_rules_grades_and_reasons(evaluation, context):
    graded = [
        replace(
            each,
            inspection=replace(
                each.inspection, grade="scrap", reasons=("crack 3.2 mm long ≥ 3 mm",), decision=2
            ),
        )
        for each in evaluation.records
    ]
    metrics = {**evaluation.metrics, "decision": {"revision": 2, "grades": {"accept": 4, "scrap": 9}}}
    answer = replace(context, decided=("Revision 2 of the decision.", "crack, length: NG from 3 mm."))
    page = Page(render_report(replace(evaluation, metrics=metrics, records=tuple(graded)), answer))
    for words in (
        "a score below 0.375 is OK unless another rule is met",
        "crack, length: NG from 3 mm.",
        "Grades: 4 accept, 9 scrap.",
        "grade scrap",
        "why crack 3.2 mm long ≥ 3 mm",
    ):
        assert words in page.text, words
    assert "Grades:" not in Page(render_report(evaluation, context)).text


def test_sizes_are_in_mm_where_every_scale_is_known(evaluation, context):
    def in_mm(one):
        defects = tuple(replace(defect, mm_per_px=0.5) for defect in one.inspection.defects)
        return replace(one, inspection=replace(one.inspection, defects=defects))

    scaled = replace(evaluation, records=tuple(in_mm(one) for one in evaluation.records))
    text = Page(render_report(scaled, context)).text
    assert "size 4 × 2 mm" in text and "largest 4 mm" in text and "largest 2 mm" in text
    assert "mm²" in text and "px²" not in text
    assert "largest 8 px" in Page(render_report(evaluation, context)).text


def test_heat_lies_over_the_pictures_and_can_be_switched_off(evaluation, context):
    plain = Page(render_report(evaluation, context))
    assert "evidence for the score" not in plain.text and "show outlines" in plain.text
    heat = np.zeros((30, 40), np.uint8)
    heat[2:5, 30:34] = 255
    heated = [
        replace(each, heat=heat, inspection=replace(each.inspection, spread=0.04))
        for each in evaluation.records
    ]
    metrics = {**evaluation.metrics, "pointing": {"all": 0.8375, "of": 9}}
    html = render_report(replace(evaluation, metrics=metrics, records=tuple(heated)), context)
    page = Page(html)
    assert page.tags.count("img") == 2 * plain.tags.count("img")
    assert html.count("data:image/png") == plain.tags.count("img")
    for words in (
        "evidence for the score",
        "show outlines and heat",
        "Heat on target",
        "0.838",
        "± 0.04",
    ):
        assert words in page.text, words


def test_heat_of_a_crop_is_that_part_of_the_images():
    """Against the heat of the whole image brought to its size and cut."""
    heat = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 256, (24, 32), dtype=np.uint8), (0, 0), 2)
    whole = cv2.resize(heat.astype(np.float32) / 255, (320, 240), interpolation=cv2.INTER_LINEAR)
    window = (40, 60, 136, 132)
    found = heat_in(heat, window, (240, 320))
    assert found.shape == (72, 96)
    assert np.allclose(found, whole[60:132, 40:136], atol=0.01)


def test_heat_is_transparent_where_there_is_none():
    heat = np.zeros((20, 20), np.uint8)
    heat[:10] = 255
    data = base64.b64decode(heat_uri(heat, (0, 0, 40, 40), (40, 40)).split(",")[1])
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert drawn.shape[2] == 4
    assert drawn[0, 0, 3] == round(255 * 0.55) and drawn[-1, 0, 3] == 0


def test_minimal_input_says_what_is_missing():
    page = Page(render_report(Evaluation({}, {}, ()), ReportContext("Nothing")))
    assert page.ids >= set(SECTIONS)
    assert "img" not in page.tags and "svg" not in page.tags
    for words in ("No operating point was chosen", "No image was judged", "No curve", "No defect", "No time"):
        assert words in page.text, words


def test_parts_that_are_none_are_left_out(evaluation, context):
    names = ("pixel", "defect", "type", "image", "operating_point", "seconds_per_image", "detection", "seed")
    page = Page(render_report(replace(evaluation, metrics=dict.fromkeys(names)), context))
    assert "Pixel F1" not in page.text and "Taken for what?" not in page.text
    assert "No operating point was chosen" in page.text


@pytest.mark.parametrize(
    ("part", "name", "before"),
    [
        ("pixel", "f1", "0.854"),
        ("pixel", "precision", "0.812"),
        ("defect", "ar", "0.622"),
        ("defect", "mean_iou", "0.771"),
        ("defect", "recall_at_30", "0.943"),
        ("image", "auroc", "0.987"),
        ("type", "accuracy", "0.932"),
        ("operating_point", "threshold", "0.625"),
        ("operating_point", "review_threshold", "0.375"),
    ],
)
def test_figures_shown_are_those_of_the_metrics(evaluation, context, part, name, before):
    assert before in Page(render_report(evaluation, context)).text
    changed = evaluation.metrics | {part: evaluation.metrics[part] | {name: 0.5559}}
    text = Page(render_report(replace(evaluation, metrics=changed), context)).text
    assert "0.556" in text and before not in text


def test_headline_follows_the_counts():
    point = {"escapes": proportion_bound(1, 1).to_json(), "overkill": proportion_bound(0, 0).to_json()}
    sentences = [text_of(sentence) for sentence in headline({"operating_point": point})]
    assert sentences[0] == "1 of 1 defective part was missed (called OK); the true rate is at most 100.0 %."
    assert sentences[1] == (
        "There were no good parts, so nothing is known about how many are rejected. "
        "A bundle that rejects every part would miss none, too."
    )
    assert len(sentences) == 2


@pytest.mark.parametrize(
    ("n", "of", "words"),
    [
        (1, 20, ("On 1 of the 20 rejected defective parts", "it")),
        (2, 9, ("On 2 of the 9 rejected defective parts", "they")),
        (0, 9, None),
    ],
)
def test_headline_tells_parts_rejected_for_the_wrong_reason(n, of, words):
    shares = {"escapes": (0, 30), "overkill": (0, 5), "rejected_elsewhere": (n, of)}
    point = {name: proportion_bound(*pair).to_json() for name, pair in shares.items()}
    sentences = [text_of(sentence) for sentence in headline({"operating_point": point})]
    assert sentences[1:-1] == (
        []
        if words is None
        else [
            f"{words[0]} no annotated defect was found (no finding overlaps one with an IoU of 0.3 or more): "
            f"{words[1]} may have been rejected for something else."
        ]
    )


def test_headline_tells_found_defects_apart_from_rejected_parts():
    """By score alone all parts are rejected, though nothing is found on them."""
    point = {"escapes": proportion_bound(0, 9).to_json(), "overkill": proportion_bound(0, 5).to_json()}

    def told(*classes, **parts):
        shares = [
            {
                "recall_at_30": proportion_bound(*of).to_json(),
                "precision_at_30": proportion_bound(*to).to_json(),
            }
            for of, to in classes
        ]
        defect = {"classes": dict(enumerate(shares))}
        metrics = {"operating_point": point, "defect": defect, **parts}
        return [text_of(sentence) for sentence in headline(metrics)]

    sentences = told(((0, 9), (0, 0)), ((0, 2), (0, 0)), type={})
    assert sentences[0].startswith("0 of 9 defective parts were missed")
    assert sentences[2] == "0 of 11 annotated defects were found (IoU of 0.3 or more)."
    right = told(((3, 9), (2, 4)), ((1, 2), (1, 1)), type={"accuracy": 0.75})[2]
    assert (
        right == "4 of 11 annotated defects were found (IoU of 0.3 or more), 3 of them with the right class."
    )
    assert told(((1, 1), (1, 1)))[2] == "1 of 1 annotated defect was found (IoU of 0.3 or more)."
    assert len(told(((0, 0), (0, 0)))) == 2


def test_headline_tells_findings_on_good_parts_where_no_place_is_annotated():
    def told(**counts):
        none = {"on_clean": 0, "under_limit": 0, "images_under_limit": 0}
        return [text_of(sentence) for sentence in headline({"findings": {**none, **counts}})][1:]

    good = "on good parts. On defective ones the places of defects are not annotated."
    assert told(on_clean=1) == [f"1 finding is nothing: {good}"]
    assert told(on_clean=60, under_limit=2, images_under_limit=1) == [
        f"60 findings are nothing: {good} 2 more are under the limit: on 1 image with a score below that of "
        "REVIEW, so no defects."
    ]
    assert told(under_limit=60, images_under_limit=11) == [
        "60 findings are under the limit: on 11 images with a score below that of REVIEW, so no defects."
    ]
    assert told() == []


def test_user_texts_are_escaped(image, context):
    path = image.with_name("<script>.png")
    path.write_bytes(image.read_bytes())
    evil = "<script>alert('x')</script>"
    case = record(path, true=(truth((10, 10, 30, 20), evil),), verdict=Verdict.OK)
    curve = Curve(evil, evil, evil, (0, 1), {evil: (0, 1), "b": (1, 0)}, 0.5)
    metrics = {
        "operating_point": {"rule": evil, "notes": [evil]},
        "type": {"confusion": {evil: {evil: 1}}},
        "split": evil,
    }
    names = ("method", "bundle_name", "dataset_root", "dataset_reason", "command", "hardware")
    mappings = {name: {evil: evil} for name in ("settings", "skipped", "versions")}
    texts = dict.fromkeys(names, evil)
    wicked = ReportContext(evil, **texts, **mappings, dataset_counts={evil: 1}, training=curve, notes=(evil,))
    html = render_report(Evaluation(metrics, {evil: curve}, (case,)), wicked)
    page = Page(html)
    assert "<script" not in html.lower()
    assert "script" not in page.tags
    assert "<script>.png" in page.text


def test_nothing_comes_from_outside(evaluation, context):
    html = render_report(evaluation, context)
    page = Page(html)
    assert "http" not in html.replace("xmlns", "")
    assert "script" not in page.tags and "link" not in page.tags
    assert all(address.startswith(("data:image/jpeg;base64,", "#")) for address in page.addresses)
    assert "@import" not in html and "url(" not in html


def test_unreadable_picture_gets_a_placeholder(tmp_path, context):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    cases = (
        record(broken, true=(truth((1, 1, 9, 9)),)),
        record(tmp_path / "missing.png", defects=(found((1, 1, 9, 9)),)),
    )
    page = Page(render_report(Evaluation({}, {}, cases), context))
    assert "img" not in page.tags
    assert page.text.count("The image could not be shown.") == 2
    assert "missing.png must exist" in page.text


def test_ten_thousand_letters_of_outline_and_2000_records_stay_small(tmp_path, context):
    noise = np.random.default_rng(1).integers(
        0, 255, (900, 1400, 3), dtype=np.uint8
    )  # nothing compresses worse
    path = tmp_path / "noise.png"
    cv2.imwrite(str(path), noise)
    angles = np.linspace(0, 2 * np.pi, 20_000)
    jagged = tuple(
        zip(
            500 + (200 + 90 * (np.arange(20_000) % 2)) * np.cos(angles),
            450 + 200 * np.sin(angles),
            strict=True,
        )
    )
    shapes = (replace(found((210, 250, 790, 650)), contour=(jagged,)),)
    many = [record(path, defects=shapes, verdict=Verdict.NG) for _ in range(1000)]
    many += [record(path, true=(truth((10, 10, 60, 60)),)) for _ in range(1000)]
    many = [replace(each, sample=replace(each.sample, id=f"{index}.png")) for index, each in enumerate(many)]
    curve = Curve("Long", "x", "y", tuple(range(50_000)), {"a": tuple(range(50_000))}, 7.0)
    skipped = {f"file{index}": "reason" * 20 for index in range(10_000)}
    html = render_report(Evaluation({}, {"long": curve}, tuple(many)), replace(context, skipped=skipped))
    assert len(html.encode()) < 5_000_000
    assert html.count("<img") <= 48
    assert "and 9950 more" in Page(html).text.replace("\u2009", "")


def test_worst_cases_come_first(records, image):
    gallery = choose_cases(records)
    assert [(case.record.sample.id, case.truth) for case in gallery.passed] == [("miss.png", 0)]
    assert [(case.record.sample.id, case.truth) for case in gallery.misses] == [("both.png", 1)]
    assert [case.record.sample.id for case in gallery.false_alarms] == ["alarm.png"]
    assert [case.iou for case in gallery.hits] == pytest.approx([0.83, 0.4])
    small = record(image.with_name("small"), true=(truth((0, 0, 2, 2)),))
    large = record(image.with_name("large"), true=(truth((0, 0, 9, 9)),))
    caught = record(image.with_name("caught"), true=(truth((0, 0, 50, 50)),), verdict=Verdict.NG)
    ordered = choose_cases((caught, small, large))
    assert [case.record.sample.id for case in ordered.passed] == ["large", "small"]
    assert [case.record.sample.id for case in ordered.misses] == ["caught"]


def test_false_alarms_on_defective_parts_are_ordered_by_their_own_confidence(image):
    """The part with the higher score has it from its own defect."""
    here, far = (0.0, 0.0, 9.0, 9.0), (50.0, 50.0, 59.0, 59.0)

    def part(name, score, confidence):
        alarm = replace(found(far), confidence=confidence)
        each = record(
            image.with_name(name),
            true=(truth(here),),
            defects=(found(here), alarm),
            iou=[[1, 0]],
            verdict=Verdict.NG,
        )
        return replace(each, inspection=replace(each.inspection, score=score))

    gallery = choose_cases([part("speck", 0.9, 0.3), part("stain", 0.6, 0.8)])
    assert [case.record.sample.id for case in gallery.false_alarms] == ["stain", "speck"]


@pytest.mark.parametrize("iou", [0.05, 0.2, 0.29, 0.3, 0.6])
def test_the_gallery_counts_as_the_table_does(image, iou):
    here = (0.0, 0.0, 9.0, 9.0)
    each = record(image, true=(truth(here), truth(here)), defects=(found(here),), iou=[[iou], [iou]])
    gallery, (row,) = choose_cases([each]), kind_rows([each])
    assert gallery.passed_total + gallery.misses_total == row.located.of - row.located.n
    assert gallery.false_alarms_total == row.right.of - row.right.n
    assert len(gallery.hits) == row.located.n == (iou >= 0.3)


def test_image_labels_alone_give_whole_image_misses_and_no_alarms(image):
    labelled = Sample(image, "a.png", (Annotation("bad"),))
    passed = replace(record(image), sample=labelled)
    caught = replace(record(image, defects=(found((1, 1, 5, 5)),), verdict=Verdict.NG), sample=labelled)
    gallery = choose_cases((passed, caught))
    assert [(case.record.inspection.verdict, case.box_xyxy) for case in gallery.passed] == [
        (Verdict.OK, None)
    ]
    assert gallery.misses == ()
    assert gallery.false_alarms == ()
    assert [(case.record, case.box_xyxy) for case in gallery.hits] == [(caught, None)]


def labelled_records(image: Path) -> list[ImageRecord]:
    """Five defective images called NG, two that passed, one for review, one good; none is marked."""
    rows = [("NG", 0.6), ("NG", 0.9), ("NG", 0.7), ("NG", 0.8), ("NG", 0.5), ("OK", 0.2), ("OK", 0.1)]
    made = []
    for place, (verdict, score) in enumerate([*rows, ("REVIEW", 0.4)]):
        each = record(image, verdict=Verdict(verdict), score=score)
        made.append(replace(each, sample=Sample(image, f"{place}.png", (Annotation("bad"),))))
    return [*made, record(image, score=0.05)]


def test_image_labels_alone_give_the_surest_hits_and_the_worst_misses(image):
    gallery = choose_cases(labelled_records(image))
    assert [case.record.inspection.score for case in gallery.hits] == [0.9, 0.8, 0.7]
    assert [case.record.inspection.score for case in gallery.passed] == [0.1, 0.2]
    assert (gallery.passed_total, gallery.misses_total) == (2, 0)


def test_marked_hits_come_before_those_of_image_labels(records, image):
    gallery = choose_cases([*labelled_records(image), *records])
    assert [case.iou for case in gallery.hits] == [pytest.approx(0.83), pytest.approx(0.4), None]


def test_hits_of_image_labels_are_shown_with_their_heat(image, context):
    heat = np.full((8, 8), 200, np.uint8)
    rejected = [
        replace(each, heat=heat) for each in labelled_records(image) if each.inspection.verdict == "NG"
    ]
    page = Page(render_report(Evaluation({}, {}, tuple(rejected)), context))
    assert "No defective part passed." in page.text and "Nothing found overlaps" not in page.text
    assert sum(word.strip() == "bad" for word in page.words) >= 3
    html = render_report(Evaluation({}, {}, tuple(rejected)), context)
    assert html.count('class="case hit"') == 3 and html.count("data:image/png") == 3
    passed = tuple(each for each in labelled_records(image) if each.inspection.verdict == "OK")
    assert "No defective part was rejected." in Page(render_report(Evaluation({}, {}, passed), context)).text


def test_verdicts_are_counted_by_truth(records):
    defective, good = verdict_rows(records)
    assert dict(defective.counts) == {"OK": 1, "REVIEW": 1, "NG": 1, "ERROR": 0}
    assert dict(good.counts) == {"OK": 1, "REVIEW": 0, "NG": 1, "ERROR": 1}


def test_kinds_are_counted_as_the_metrics_count_them(records):
    judged = [each for each in records if each.inspection.verdict is not Verdict.ERROR]
    rows = {row.name: row for row in kind_rows(records)}
    for name in ("scratch", "dent"):
        expected = class_metrics(judged, name)
        assert rows[name].located.to_json() == expected["recall_at_30"]
        assert rows[name].right.to_json() == expected["precision_at_30"]
    assert (rows["dent"].passed.n, rows["dent"].passed.of) == (1, 1)
    assert (rows["all"].located.n, rows["all"].located.of) == (2, 4)
    assert (rows["all"].named.n, rows["all"].named.of) == (1, 2)


def test_crop_is_a_square_around_the_defect_inside_the_image():
    assert crop_window((500, 400, 600, 420), (1000, 2000)) == (430, 290, 670, 530)
    assert crop_window((0, 0, 100, 10), (1000, 2000)) == (0, 0, 240, 240)
    assert crop_window((1990, 990, 2000, 1000), (1000, 2000)) == (1928, 928, 2000, 1000)
    assert crop_window((0, 0, 900, 900), (1000, 1000)) is None
    assert crop_window(None, (1000, 1000)) is None


def test_outlines_and_frame_lie_where_the_defect_is(tmp_path):
    path = tmp_path / "large.png"
    cv2.imwrite(str(path), np.zeros((960, 960), np.uint16))
    case = Case(record(path, true=(truth((480, 480, 580, 500)),)), truth=0)
    images = case_images(case)
    assert images.whole is not None and images.crop is not None
    assert images.stretched
    assert images.whole.truth == "M120.0 120.0L145.0 120.0L145.0 125.0L120.0 125.0Z"
    assert images.whole.frame == pytest.approx((410 / 4, 370 / 4, 60, 60))
    assert images.crop.truth == "M70.0 110.0L170.0 110.0L170.0 130.0L70.0 130.0Z"
    assert (images.crop.width, images.whole.width) == (240, 240)


def test_outlines_of_a_picture_are_bounded():
    window, zoom = (0, 0, 480, 480), np.ones(2)
    squares = [
        ((x, y), (x + 2, y), (x + 2, y + 2), (x, y + 2)) for x in range(0, 480, 4) for y in range(0, 480, 4)
    ]
    assert len(path_data(squares, window, zoom)) < 21_000
    assert path_data([((-9, -9), (-5, -9), (-5, -5))], window, zoom) == ""
    comb = [(x / 2, 400 * (x % 2)) for x in range(960)]
    assert len(closed_path(np.array(comb), max_length=9000)) > 9000  # no tolerance flattens teeth of 400 px
    waves = [(x / 4, 200 + 1.5 * (x % 2)) for x in range(1900)]
    assert (
        len(closed_path(np.array(waves), max_length=9000))
        < 9000
        < len(closed_path(np.array(waves), max_length=10**6))
    )


def test_marked_point_of_a_curve_lies_on_it():
    curve = Curve("t", "x", "y", (0.0, 5.0, 10.0), {"a": (0.0, 1.0, 0.0)}, 5.0)
    svg = str(line_chart(curve))
    x, y = re.search(r'class="dot[^>]* cx="([\d.]+)" cy="([\d.]+)"', svg).groups()  # type: ignore[union-attr]
    assert f"{x},{y}" in re.search(r'points="([^"]+)"', svg)[1].split()  # type: ignore[index]
    assert "chosen 5 → 1" in svg


@pytest.mark.parametrize("y", [(), (float("nan"),) * 2, (3.0, 3.0), (1e-9, 2e5)])
def test_odd_curves_do_not_break_the_chart(y):
    chart = line_chart(Curve("t", "x", "y", (1.0, 2.0)[: len(y)], {"a": y, "b": y}), logarithmic=True)
    assert (chart is None) == (not any(np.isfinite(y)))
    assert "nan" not in str(chart)


def test_histogram_holds_every_score_and_both_thresholds():
    svg = str(score_histogram([0.1] * 7 + [0.3], [0.9] * 3, review_threshold=0.4, threshold=0.6))
    assert svg.count('<rect class="good"') == 2 and svg.count('<rect class="bad"') == 1
    assert ">7</text>" in svg and ">3</text>" in svg
    assert "REVIEW from 0.400" in svg and "NG from 0.600" in svg
    assert score_histogram([], [], review_threshold=None, threshold=0.5) is None


def test_ticks_are_round_and_inside():
    assert round_ticks(0, 1, wanted=5) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert AxisScale(0.13, 15, 300, 40, logarithmic=True).ticks == [0.2, 0.5, 1, 2, 5, 10]
    assert spread([10, 11, 12], min_gap=5, low=0, high=18) == [8, 13, 18]


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "–"), (float("nan"), "–"), (0.98765, "0.988"), (0.00125, "0.00125"), (12.345, "12.35"), (3, "3"),
     (12345, "12\u2009345"), (True, "True"), ("f1", "f1"), (0.0, "0.000")],
)  # fmt: skip
def test_numbers_as_words(value, words):
    assert number(value) == words


def test_durations_as_words():
    assert [duration(each) for each in (None, 0.0361, 2.5, 80)] == ["–", "36.1 ms", "2.5 s", "1 min 20 s"]


def test_report_is_written_whole_or_refused(tmp_path, evaluation, context):
    write_report(tmp_path / "out" / "report.html", evaluation, context)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["report.html"]
    (tmp_path / "file").write_text("")
    with pytest.raises(BlemishError, match="cannot be written"):
        write_report(tmp_path / "file" / "report.html", evaluation, context)


def test_labels_in_doubt_are_shown_with_a_sentence_each(image, context):
    """Six good parts score low and six bad ones high; two of each are marked the wrong way round."""
    marks = {"clean": (), "dent": (truth((10, 10, 60, 60)),)}
    scores = {"clean": (0.1, 0.15, 0.2, 0.25, 0.9, 0.95), "dent": (0.8, 0.85, 0.9, 0.95, 0.1, 0.12)}
    records = [
        replace(each, sample=replace(each.sample, id=f"{kind}-{score}.png"))
        for kind, several in scores.items()
        for score in several
        for each in (record(image, true=marks[kind], score=score),)
    ]
    page = Page(render_report(Evaluation({}, {}, tuple(records)), context))
    assert "disputed" in page.ids
    assert (
        "with a score of 0.95: a curve through all images puts the probability that it is defective at"
        in page.text
    )
    assert "clean-0.95.png" in page.text
    agreed = [each for each in records if each.sample.id[:9] not in ("clean-0.9", "dent-0.1.", "dent-0.12")]
    assert "disputed" not in Page(render_report(Evaluation({}, {}, tuple(agreed)), context)).ids


def test_the_headline_tells_findings_that_are_nothing_in_at_most_five_sentences():
    shares = {"escapes": (1, 30), "overkill": (0, 5), "rejected_elsewhere": (2, 9), "review": (4, 35)}
    share = {"n": 12, "of": 17, "lower95": 0.4, "upper95": 0.9}
    metrics = {
        "operating_point": {name: proportion_bound(*pair).to_json() for name, pair in shares.items()},
        "defect": {"classes": {"crack": {"recall_at_30": share, "precision_at_30": share}}},
        "findings": {
            "listed": 519, "nothing": 507, "partly": 0, "on_clean": 60, "under_limit": 1,
            "images_under_limit": 1,
        },
        "image": {"auroc": 0.87, "auroc_interval95": [0.74, 0.94]},
        "baselines": {
            "brightness": {"auroc": 0.71, "worse": "dark"},
            "nearest": {"auroc": 0.83, "features": "ImageNet resnet50"},
        },
    }  # fmt: skip
    sentences = [text_of(sentence) for sentence in headline(metrics)]
    assert len(sentences) == 5
    assert sentences[0].endswith(" 4 of all 35 parts go to a person (REVIEW, 11.4 %), not counted as missed.")
    assert sentences[3] == (
        "12 of 17 annotated defects were found (IoU of 0.3 or more); 507 of 519 findings are nothing (no "
        "annotated defect is there). 1 more is under the limit: on 1 image with a score below that of "
        "REVIEW, so no defects."
    )
    assert sentences[4] == (
        "AUROC 0.87 (95 % interval 0.74 to 0.94); mean brightness alone gives 0.71, the nearest training "
        "image 0.83 (ImageNet resnet50)."
    )
    labels_alone = {"findings": {**metrics["findings"], "under_limit": 0}}
    assert [text_of(each) for each in headline(labels_alone)][1].startswith(
        "60 findings are nothing: on good"
    )


@pytest.mark.parametrize(
    ("sizes", "room", "shares"),
    [
        ([9, 9, 9], 9, [3, 3, 3]),
        ([0, 1, 9], 9, [0, 1, 8]),
        ([1, 1, 1], 9, [1, 1, 1]),
        ([5, 5, 0], 3, [2, 1, 0]),
    ],
)
def test_room_is_shared_evenly_and_used_up(sizes, room, shares):
    assert even_shares(sizes, room) == shares


def test_a_miss_with_enough_overlap_says_why_it_is_one(image, context):
    """Two marked defects under a single finding: it counts for one of them."""
    here, beside = truth((10.0, 10.0, 60.0, 60.0)), truth((10.0, 10.0, 60.0, 50.0))
    both = record(
        image, true=(here, beside), defects=(found((10, 10, 60, 60)),), iou=[[0.9], [0.8]], verdict=Verdict.NG
    )
    near = replace(
        record(image, true=(here,), defects=(found((1, 1, 9, 9)),), iou=[[0.299]], verdict=Verdict.NG)
    )
    text = Page(render_report(Evaluation({}, {}, (both,)), context)).text
    assert "IoU 0.80 with a finding that counts for another defect" in text
    assert "IoU 0.29 < 0.3" in Page(render_report(Evaluation({}, {}, (near,)), context)).text


def test_kinds_that_the_split_does_not_show_are_told(records, context):
    bounds = proportion_bound(0, 0).to_json()
    names = ("scratch", "dent", "stain")
    metrics = {"defect": {"classes": {n: {"recall_at_30": bounds, "precision_at_30": bounds} for n in names}}}
    text = Page(render_report(Evaluation(metrics, {}, records), context)).text
    assert "stain not in this split" in text and text.count("not in this split") == 1
    defective = tuple(each for each in records if each.truth)
    assert "Good parts not in this split" in Page(render_report(Evaluation({}, {}, defective), context)).text


def test_warnings_stand_above_and_no_sentence_twice(evaluation, context):
    note = "No clean image: nothing is known about overkill."
    point = {**evaluation.metrics["operating_point"], "notes": [note], "chosen_on": {"notes": [note, "Few."]}}
    summary = {"figures": [], "by_chance": ["images"], "warnings": ["No better than chance. <b>"]}
    metrics = {**evaluation.metrics, "operating_point": point, "summary": summary}
    html = render_report(replace(evaluation, metrics=metrics), context)
    assert '<p class="warning">No better than chance. &lt;b&gt;</p>' in html
    assert html.index("No better than chance") < html.index("<nav>")
    assert Page(html).text.count("nothing is known about overkill .") == 1
    assert "On the images that it was chosen on: Few." in Page(html).text


def test_words_are_explained_on_hover_and_in_a_list_that_each_leads_to(evaluation, context):
    html = render_report(evaluation, context)
    leads = set(re.findall(r'<abbr title="[^"]+"><a href="#(word-[^"]+)">', html))
    assert leads >= {"word-auroc", "word-review", "word-iou", "word-operating-point"}
    assert leads <= {"word-" + re.sub(r"\W+", "-", term.lower()) for term in TERMS} <= Page(html).ids
    assert explained("OK <b>, overkill, OK") == (
        f'<abbr title="{TERMS["OK"]}"><a href="#word-ok">OK</a></abbr> &lt;b&gt;, '
        f'<abbr title="{TERMS["overkill"]}"><a href="#word-overkill">overkill</a></abbr>, OK'
    )
    assert "abbr" not in explained("NGC 224, ROCK, Fine and carry")


def test_findings_under_the_limit_are_drawn_and_named(image, context):
    passed = record(image, true=(truth((10, 10, 60, 60)),), verdict=Verdict.OK)
    kept = replace(passed.inspection, under_limit=(found((10, 10, 60, 60), "dent"),))
    html = render_report(Evaluation({}, {}, (replace(passed, inspection=kept),)), context)
    assert 'class="found under"' in html
    assert "under the limit dent (0.80)" in Page(html).text
    assert 'class="found under"' not in render_report(Evaluation({}, {}, (passed,)), context)


def test_scores_by_chance_doubt_no_label(image, context):
    records = tuple(
        replace(each, sample=replace(each.sample, id=f"{kind}-{score}.png"))
        for kind, score in [(bad, score / 10) for bad in (False, True) for score in range(1, 10)]
        for each in (record(image, true=(truth((10, 10, 60, 60)),) if kind else (), score=score),)
    )
    split = tuple(each for each in records if (each.inspection.score or 0) > 0.3 or not each.truth)
    assert "disputed" in Page(render_report(Evaluation({}, {}, split), context)).ids
    by_chance = {"summary": {"figures": [], "warnings": [], "by_chance": ["images", "places"]}}
    assert "disputed" not in Page(render_report(Evaluation(by_chance, {}, split), context)).ids
