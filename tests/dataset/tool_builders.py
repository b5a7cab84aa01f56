"""Tiny datasets as label tools export them: a.png with a scratch and a dent, b.png clean, c.png with a dent.

The scratch is the box (2, 3, 10, 8), the dents the triangle TRIANGLE, or its box where a format has no
outlines.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.dataset.builders import SIZE, text, write_image

HEIGHT, WIDTH = SIZE
BOX = (2.0, 3.0, 10.0, 8.0)
TRIANGLE = ((12.0, 4.0), (20.0, 4.0), (20.0, 13.0))  # its edges pass through no pixel's centre
TRIANGLE_BOX = (12.0, 4.0, 20.0, 12.0)  # of its pixels
CORNERS = [list(point) for point in TRIANGLE]
MARKS = {"a": ["scratch", "dent"], "b": [], "c": ["dent"]}
Builder = Callable[[Path], Path]


def images(folder: Path) -> None:
    for name in MARKS:
        write_image(folder / f"{name}.png")


def save_json(path: Path, content: Any) -> Path:
    return text(path, json.dumps(content))


def labelme_shape(label: str) -> dict[str, Any]:
    kind, points = ("rectangle", [[10, 8], [2, 3]]) if label == "scratch" else ("polygon", CORNERS)
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}}


def labelme(root: Path) -> Path:
    images(root)
    for name, labels in MARKS.items():
        content: dict[str, Any] = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [labelme_shape(label) for label in labels],
            "imagePath": f"{name}.png",
            "imageData": None,
            "imageHeight": HEIGHT,
            "imageWidth": WIDTH,
        }
        save_json(root / f"{name}.json", content)
    return root


def labelstudio_result(label: str) -> dict[str, Any]:
    sized = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "id": label}
    if label == "scratch":
        value = {
            "x": 200 / WIDTH,
            "y": 300 / HEIGHT,
            "width": 800 / WIDTH,
            "height": 500 / HEIGHT,
            "rotation": 0,
        }
        return {**sized, "type": "rectanglelabels", "value": {**value, "rectanglelabels": [label]}}
    points = [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in TRIANGLE]
    return {**sized, "type": "polygonlabels", "value": {"points": points, "polygonlabels": [label]}}


def labelstudio(root: Path) -> Path:
    images(root / "images")
    tasks = [
        {
            "id": number,
            "annotations": [{"id": number, "result": [labelstudio_result(label) for label in labels]}],
            "data": {"image": f"/data/upload/1/{number}a2b3c4d-{name}.png"},
        }
        for number, (name, labels) in enumerate(MARKS.items())
    ]
    save_json(root / "project-1.json", tasks)
    return root


def labelstudio_min(root: Path) -> Path:
    images(root / "images")
    tasks = []
    for number, (name, labels) in enumerate(MARKS.items()):
        results = [labelstudio_result(label) for label in labels]
        values = [{**r["value"], "original_width": WIDTH, "original_height": HEIGHT} for r in results]
        task = {"image": f"s3://bucket/set/{name}.png", "id": number, "annotator": 1, "annotation_id": number}
        tasks.append({**task, "label": values} if values else task)
    save_json(root / "project-1.json", tasks)
    return root


def via_region(label: str) -> dict[str, Any]:
    shape = {"name": "rect", "x": 2, "y": 3, "width": 8, "height": 5}
    if label == "dent":
        xs, ys = zip(*TRIANGLE, strict=True)
        shape = {"name": "polygon", "all_points_x": [*xs], "all_points_y": [*ys]}
    return {"shape_attributes": shape, "region_attributes": {"kind": label}}


def via(root: Path) -> Path:
    images(root)
    metadata = {}
    for name, labels in MARKS.items():
        size = (root / f"{name}.png").stat().st_size
        regions = [via_region(label) for label in labels]
        entry = {"filename": f"{name}.png", "size": size, "regions": regions, "file_attributes": {}}
        metadata[f"{name}.png{size}"] = entry
    attributes = {"region": {"kind": {"type": "text"}}, "file": {}}
    save_json(
        root / "via_project.json",
        {"_via_settings": {}, "_via_img_metadata": metadata, "_via_attributes": attributes},
    )
    return root


def via_csv(root: Path) -> Path:
    images(root)
    lines = [
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    ]
    for name, labels in MARKS.items():
        size = (root / f"{name}.png").stat().st_size
        for number, label in enumerate(labels):
            region = via_region(label)
            cells = (
                json.dumps(region[f"{key}_attributes"]).replace('"', '""') for key in ("shape", "region")
            )
            shape, attributes = cells
            lines.append(f'{name}.png,{size},"{{}}",{len(labels)},{number},"{shape}","{attributes}"')
        if not labels:
            lines.append(f'{name}.png,{size},"{{}}",0,0,"{{}}","{{}}"')
    text(root / "via_export_csv.csv", "\n".join(lines) + "\n")
    return root


def supervisely_object(label: str) -> dict[str, Any]:
    corners = [[2, 3], [10, 8]] if label == "scratch" else CORNERS
    kind = "rectangle" if label == "scratch" else "polygon"
    return {"classTitle": label, "geometryType": kind, "points": {"exterior": corners, "interior": []}}


def supervisely(root: Path) -> Path:
    images(root / "ds0" / "img")
    classes = [{"title": name, "shape": "any"} for name in ("scratch", "dent")]
    save_json(root / "meta.json", {"classes": classes, "tags": []})
    for name, labels in MARKS.items():
        content = {
            "description": "",
            "tags": [],
            "size": {"height": HEIGHT, "width": WIDTH},
            "objects": [supervisely_object(label) for label in labels],
        }
        save_json(root / "ds0" / "ann" / f"{name}.png.json", content)
    return root


def png_base64(mask: np.ndarray[Any, Any], *, packed: bool) -> str:
    """A mask as PNG in base64; packed: by zlib once more."""
    file = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(file, "PNG")
    data = file.getvalue()
    return base64.b64encode(zlib.compress(data) if packed else data).decode()


def v7_annotation(label: str) -> dict[str, Any]:
    if label == "scratch":
        return {"name": label, "bounding_box": {"x": 2, "y": 3, "w": 8, "h": 5}}
    path = [{"x": x, "y": y} for x, y in TRIANGLE]
    return {"name": label, "bounding_box": {"x": 12, "y": 4, "w": 8, "h": 8}, "polygon": {"paths": [path]}}


def v7(root: Path) -> Path:
    images(root / "images")
    for name, labels in MARKS.items():
        item = {"name": f"{name}.png", "path": "/", "slots": [{"width": WIDTH, "height": HEIGHT}]}
        content = {"version": "2.0", "item": item, "annotations": [v7_annotation(label) for label in labels]}
        save_json(root / "releases" / "latest" / "annotations" / f"{name}.json", content)
    return root


def cvat_shape(label: str) -> str:
    if label == "scratch":
        return '<box label="scratch" xtl="2.00" ytl="3.00" xbr="10.00" ybr="8.00" z_order="0"></box>'
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in TRIANGLE)
    return f'<polygon label="dent" points="{points}" z_order="0"></polygon>'


def cvat(root: Path) -> Path:
    images(root / "images")
    names = "".join(f"<label><name>{name}</name></label>" for name in ("scratch", "dent"))
    shown = "".join(
        f'<image id="{number}" name="{name}.png" width="{WIDTH}" height="{HEIGHT}">'
        f"{''.join(map(cvat_shape, labels))}</image>\n"
        for number, (name, labels) in enumerate(MARKS.items())
    )
    head = '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    meta = f"<meta><task><labels>{names}</labels></task></meta>\n"
    text(root / "annotations.xml", f"{head}{meta}{shown}</annotations>")
    return root


def box_of(label: str) -> tuple[float, float, float, float]:
    return BOX if label == "scratch" else TRIANGLE_BOX


def csv_boxes(root: Path) -> Path:
    images(root / "train")
    rows = [
        f"{name}.png,{WIDTH},{HEIGHT},{label},{','.join(f'{v:g}' for v in box_of(label))}"
        for name, labels in MARKS.items()
        for label in labels
    ]
    header = "filename,width,height,class,xmin,ymin,xmax,ymax"
    text(root / "train" / "_annotations.csv", "\n".join([header, *rows]) + "\n")
    return root


def csv_classes(root: Path) -> Path:
    images(root / "valid")
    rows = [f"{name}.png, {int('dent' in found)}, {int('scratch' in found)}" for name, found in MARKS.items()]
    text(root / "valid" / "_classes.csv", "\n".join(["filename, dent, scratch", *rows]) + "\n")
    return root


def csv_labels(root: Path) -> Path:
    images(root / "images")
    rows = [f"{name}.png,{label}" for name, labels in MARKS.items() for label in labels or ["ok"]]
    text(root / "labels.csv", "\n".join(["image,label", *rows]) + "\n")
    return root


def run_lengths(label: str) -> str:
    """Kaggle's "start length" pairs: down the columns, from 1."""
    left, top, right, bottom = (int(value) for value in box_of(label))
    return " ".join(f"{x * HEIGHT + top + 1} {bottom - top}" for x in range(left, right))


def severstal(root: Path) -> Path:
    images(root / "train_images")
    rows = [
        f"{name}.png,{1 + (label == 'dent')},{run_lengths(label)}"
        for name, labels in MARKS.items()
        for label in labels
    ]
    text(root / "train.csv", "\n".join(["ImageId,ClassId,EncodedPixels", *rows]) + "\n")
    return root


def dota_line(label: str) -> str:
    left, top, right, bottom = box_of(label)
    return f"{left} {top} {right} {top} {right} {bottom} {left} {bottom} {label} 0\n"


def dota(root: Path) -> Path:
    images(root / "images")
    for name, labels in MARKS.items():
        lines = "".join(map(dota_line, labels))
        text(root / "labelTxt" / f"{name}.txt", f"imagesource:GoogleEarth\ngsd:null\n{lines}")
    return root


def createml(root: Path) -> Path:
    images(root)
    entries = []
    for name, labels in MARKS.items():
        boxes = ((label, box_of(label)) for label in labels)
        marks = [
            {
                "label": label,
                "coordinates": {"x": (x1 + x2) / 2, "y": (y1 + y2) / 2, "width": x2 - x1, "height": y2 - y1},
            }
            for label, (x1, y1, x2, y2) in boxes
        ]
        entries.append({"image": f"{name}.png", "annotations": marks})
    save_json(root / "_annotations.createml.json", entries)
    return root


def openimages(root: Path) -> Path:
    images(root / "train")
    text(root / "class-descriptions-boxable.csv", "/m/01,scratch\n/m/02,dent\n")
    header = "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf"
    rows = []
    for name, labels in MARKS.items():
        for label in labels:
            left, top, right, bottom = box_of(label)
            shares = f"{left / WIDTH},{right / WIDTH},{top / HEIGHT},{bottom / HEIGHT}"
            rows.append(f"{name},xclick,/m/0{1 + (label == 'dent')},1,{shares},0,0,0")
    text(root / "train-annotations-bbox.csv", "\n".join([header, *rows]) + "\n")
    return root


LAYOUT_BUILDERS: dict[str, Builder] = {
    "labelme": labelme,
    "labelstudio": labelstudio,
    "supervisely": supervisely,
    "v7": v7,
    "via": via,
    "createml": createml,
    "cvat": cvat,
    "severstal": severstal,
    "openimages": openimages,
    "csv-boxes": csv_boxes,
    "csv-classes": csv_classes,
    "csv-labels": csv_labels,
    "dota": dota,
}
BUILDERS: dict[str, Builder] = {**LAYOUT_BUILDERS, "labelstudio-min": labelstudio_min, "via-csv": via_csv}
OUTLINES = frozenset(
    {"labelme", "labelstudio", "labelstudio-min", "supervisely", "v7", "via", "via-csv", "cvat"}
)
LISTS_DEFECTS_ALONE = frozenset({"severstal", "openimages", "csv-boxes"})
