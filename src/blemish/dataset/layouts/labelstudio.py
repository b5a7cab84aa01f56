"""The Label Studio layout: its exports "JSON" and "JSON-MIN", with shapes in percent of the image's size.

A task without an annotation, or whose annotation was cancelled, is an image that nobody has labelled. Choices
hold for the whole image. Predictions are not truth and are left out.
Source: https://labelstud.io/guide/export.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from blemish.arrays import Size
from blemish.dataset.layouts.common import Contents, Source, Tree, is_image, stem
from blemish.dataset.layouts.entries import DescribedImage, read_entries
from blemish.dataset.layouts.fields import declared_size, listed, number, pairs_of, record, refusal, text_of
from blemish.dataset.layouts.identity import last
from blemish.dataset.layouts.shapes import CannotHoldError, ellipse, polygon, turned_rectangle
from blemish.dataset.layouts.tools import files_of, written_by
from blemish.dataset.samples import Annotation
from blemish.errors import BlemishError
from blemish.untrusted import read_json

UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{4,12}-")  # of the names under which uploaded files are kept
PLAIN = ("rectangle", "polygon", "ellipse", "brush", "keypoint")  # shapes whose label stands in a twin
TEXTS = ("textarea", "rating", "number", "taxonomy", "datetime", "pairwise", "relation")
DIGITS = 6  # of a pixel: what percent leaves of whole pixels is noise behind these
Result = Mapping[str, Any]


class LabelledRegion(NamedTuple):
    """A shape and one of its labels."""

    label: str
    result: Result


def detect(tree: Tree) -> str | None:
    """A JSON export of Label Studio."""
    file = written_by(tree, "labelstudio")
    return f"{file} is a JSON export of Label Studio" if file else None


def read(source: Source) -> Contents:
    def entries_in(file: str) -> list[DescribedImage]:
        place = str(source.root / file)
        tasks = [record(task, place) for task in listed(read_json(source.root / file), place)]
        refuse_mixed_keys(tasks, place)
        entries = (entry_of(task, source, file) for task in tasks)
        return [entry for entry in entries if entry is not None]

    return read_entries(source, files_of(source.tree, "labelstudio"), entries_in, to_annotation)


def refuse_mixed_keys(tasks: Sequence[Result], place: str) -> None:
    """Raise BlemishError for a key of JSON-MIN that holds regions in one task and not in another."""
    minimal = [task for task in tasks if "annotations" not in task and "completions" not in task]
    keys = {key for task in minimal for key, value in task.items() if is_regions(value)}
    for count, task in enumerate(minimal, start=1):
        for key in sorted(keys & task.keys()):
            if not is_regions(task[key]):
                raise refusal(
                    f"{place}: task {task.get('id', count)}: {key}", "be a list of regions", task[key]
                )


def is_regions(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def entry_of(task: Result, source: Source, file: str) -> DescribedImage | None:
    """DescribedImage of a task; None where nobody has labelled it."""
    place = f"{source.root / file}: task {task.get('id', '')}"
    if "annotations" in task or "completions" in task:
        data = record(task.get("data"), f"{place}: data")
        results = chosen_results(task, place)
    else:
        data, results = task, minimal_results(task, place)
    if results is None:
        return None
    labels, regions = split_results(results, place)
    sized = next((result for result in results if "original_width" in result), {})
    declared = declared_size(sized.get("original_height"), sized.get("original_width"), place)
    name = image_name(data, source, place)
    return DescribedImage(file, name, tuple(regions), tuple(labels), declared, stored=True)


def chosen_results(task: Result, place: str) -> list[Result] | None:
    """Results of the annotation that counts: the only one, or the ground truth. None without any."""
    found = listed(task.get("annotations", task.get("completions")), f"{place}: annotations")
    live = [record(one, place) for one in found]
    live = [one for one in live if not one.get("was_cancelled") and not one.get("skipped")]
    best = [one for one in live if one.get("ground_truth") is True] or live
    results = [[record(r, place) for r in listed(one.get("result"), f"{place}: result")] for one in best]
    if len({repr([(r.get("type"), r.get("value")) for r in one]) for one in results}) > 1:
        raise BlemishError(
            f"{place} must have one annotation. Received: {len(results)}, which differ. Mark one of them as "
            "ground truth in Label Studio, or export only one annotator's."
        )
    return results[0] if results else None


def minimal_results(task: Result, place: str) -> list[Result]:
    """Results of JSON-MIN, which has the values alone, in lists or texts under the names of its tags."""
    results: list[Result] = []
    for key, value in task.items():
        if is_regions(value):
            results += [{**one, "value": one, "type": kind_of_value(one)} for one in value]
        elif key in ("choice", "choices") and value:
            names = value if isinstance(value, str) else record(value, place).get("choices")
            results.append(
                {"type": "choices", "value": {"choices": [names] if isinstance(names, str) else names}}
            )
    return results


def kind_of_value(value: Result) -> str:
    return next((key for key in value if key.endswith("labels")), "")


def split_results(results: Sequence[Result], place: str) -> tuple[list[str], list[LabelledRegion]]:
    """Labels of the whole image, and its regions."""
    labels: list[str] = []
    regions: list[LabelledRegion] = []
    labelled = {str(r.get("id")) for r in results if str(r.get("type")).endswith("labels")} - {"None"}
    for result in results:
        kind, value = str(result.get("type")), result.get("value")
        if kind in TEXTS or (kind in PLAIN and str(result.get("id")) in labelled):
            continue
        value = record(value, f"{place}: value")
        names = [text_of(name, f"{place}: {kind}") for name in names_of(value, kind, place)]
        if kind == "choices" and not {"x", "points"} & value.keys():
            labels += names
        elif kind != "choices":
            regions += [LabelledRegion(name, result) for name in names]
    return labels, regions


def names_of(value: Result, kind: str, place: str) -> Sequence[Any]:
    """Labels of a result. Raises BlemishError without any."""
    names = value.get(kind) or value.get("labels") or []
    if not listed(names, f"{place}: {kind}"):
        raise refusal(f"{place}: a result of type '{kind}'", "have a label", names)
    return names


def image_name(data: Result, source: Source, place: str) -> str:
    """Name of a task's image as it is called here: without the storage's address and the upload's prefix."""
    found = {key: last_part(str(value)) for key, value in data.items() if isinstance(value, str)}
    found = {key: name for key, name in found.items() if is_image(name)}
    if len(set(found.values())) > 1 and "image" in found:
        found = {"image": found["image"]}
    if len(set(found.values())) != 1:
        raise refusal(f"{place}: data", "name one image", sorted(found.values()))
    name = next(iter(found.values()))
    shorter = UPLOAD_PREFIX.sub("", last(name))
    return name if known(name, source.tree) or not known(shorter, source.tree) else shorter


def known(name: str, tree: Tree) -> bool:
    return last(name) in tree.by_name or stem(name) in tree.by_stem


def last_part(text: str) -> str:
    """Path of a file in an address: behind `?d=` for local files, else without host and query.

    It starts with a slash, as it is one of another place.
    """
    parts = urlsplit(text) if "://" in text or text.startswith("/data/") else None
    if parts is None:
        return text
    local = parse_qs(parts.query).get("d")
    return "/" + (local[0] if local else unquote(parts.path)).lstrip("/")


def to_annotation(region: LabelledRegion, place: str, size: Size) -> Annotation:
    label, result = region
    value = result["value"]
    if number(result.get("image_rotation") or 0, place):
        raise refusal(f"{place}: image_rotation", "be 0", result["image_rotation"])
    height, width = declared_size(result.get("original_height"), result.get("original_width"), place) or size

    def across(key: str) -> float:
        return round(number(value.get(key), f"{place}: {key}") * width / 100, DIGITS)

    def down(key: str) -> float:
        return round(number(value.get(key), f"{place}: {key}") * height / 100, DIGITS)

    degrees = number(value.get("rotation") or 0, f"{place}: rotation")
    if "points" in value:
        if value.get("closed") is False:
            raise CannotHoldError("an open line has no area")
        points = pairs_of(value["points"], f"{place}: points")
        return polygon(
            label, [(round(x * width / 100, DIGITS), round(y * height / 100, DIGITS)) for x, y in points]
        )
    if "radiusX" in value:
        return ellipse(label, (across("x"), down("y")), (across("radiusX"), down("radiusY")), degrees)
    if "rle" in value:
        raise CannotHoldError(
            "Label Studio's brush strokes are not read; export them as COCO or as PNG masks"
        )
    if "width" not in value or "height" not in value:
        raise CannotHoldError(f"a shape of type '{result.get('type')}' has no area")
    corner = (across("x"), down("y"))
    return turned_rectangle(label, corner, (across("width"), down("height")), degrees, corner)
