"""Ultralytics YOLO by its command line alone: a tool that is AGPL is run, and nothing of it is imported.

It trains for a span of time (`time`), without validation on other images; the last state answers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.answers import Found, write_boxes
from benchmarks.peers.job import PeerRun, main, versions
from benchmarks.peers.task import PlainImage, Task, TrainImage, read_task

# Lowest score and greatest number of detections of an image, so that all of a curve is there.
MIN_SCORE, MAX_DETECTIONS = 0.001, 100
ARCHITECTURE = "yolo11n.yaml"
AROUND = 40.0  # seconds that its start and end take, which it does not count as training


def fit(job: PeerRun) -> Mapping[str, Any]:
    write_dataset(read_task(job.data), job.out / "dataset")
    model = str(job.weights) if job.weights else str(job.option("model", ARCHITECTURE))
    left = (1 - job.used()) * job.seconds
    yolo(
        job,
        "train",
        model=model,
        data=job.out / "dataset" / "data.yaml",
        time=max(1.0, left - AROUND) / 3600,
        imgsz=job.option("size", 320),
        batch=job.option("batch", 8),
        seed=job.seed,
        pretrained=bool(job.weights),
        workers=0,
        val=False,
        plots=False,
        amp=False,
        name="fit",
    )
    origin = job.weights.name if job.weights else f"random weights, {model}"
    return {"weights": origin, "steps": None, "versions": versions("ultralytics", "torch")}


def predict(job: PeerRun) -> Mapping[str, Any]:
    task = read_task(job.data)
    images = job.out / "pictures"
    linked(images, task.predict)
    model = job.out / "runs" / "fit" / "weights" / "last.pt"
    start = time.perf_counter()
    yolo(
        job,
        "predict",
        model=model,
        source=images,
        imgsz=job.option("size", 320),
        conf=MIN_SCORE,
        max_det=MAX_DETECTIONS,
        save=False,
        save_txt=True,
        save_conf=True,
        verbose=False,
        name="predict",
    )
    seconds = (time.perf_counter() - start) / len(task.predict)
    labels = job.out / "runs" / "predict" / "labels"
    found = {
        image.id: found_in(labels / f"{number:06}.txt", image) for number, image in enumerate(task.predict)
    }
    write_boxes(job.out, task, found)
    return {"seconds_per_image": seconds}


def yolo(job: PeerRun, mode: str, **settings: Any) -> None:
    """Run the command. It looks nothing up in the network, and installs nothing."""
    options = {"device": "cpu", "project": job.out / "runs", "exist_ok": True, **settings}
    command = [str(Path(sys.executable).with_name("yolo")), "detect", mode]
    command += [f"{key}={value}" for key, value in options.items()]
    own = {"YOLO_CONFIG_DIR": str(job.out / "settings"), "YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true"}
    subprocess.run(command, check=True, env={**os.environ, **own}, cwd=job.out)


def write_dataset(task: Task, folder: Path) -> None:
    """The training images in the layout of the tool, which validates at its end: on one of them, in vain."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, images in (("train", task.train), ("val", task.train[:1])):
        linked(folder / "images" / name, images)
        (folder / "labels" / name).mkdir(parents=True)
        for number, image in enumerate(images):
            (folder / "labels" / name / f"{number:06}.txt").write_text(label_lines(image))
    names = "".join(f"  {number}: '{name}'\n" for number, name in enumerate(task.classes))
    text = f"path: {folder.resolve()}\ntrain: images/train\nval: images/val\nnames:\n{names}"
    (folder / "data.yaml").write_text(text, encoding="utf-8")


def linked(folder: Path, images: Sequence[TrainImage | PlainImage]) -> None:
    """The images under their numbers, as names may occur in several folders."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, image in enumerate(images):
        (folder / f"{number:06}{Path(image.image).suffix}").symlink_to(image.image)


def label_lines(image: TrainImage) -> str:
    """class, centre and sides as shares of the image, a box a line."""
    height, width = image.size
    lines = []
    for (left, top, right, bottom), label in zip(image.boxes, image.labels, strict=True):
        shares = (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        )
        lines.append(" ".join([str(label), *(f"{share:.8f}" for share in shares)]) + "\n")
    return "".join(lines)


def found_in(file: Path, image: PlainImage) -> list[Found]:
    """The detections of one image; a file that is not there is an image with none."""
    if not file.is_file():
        return []
    height, width = image.size
    found: list[Found] = []
    for line in file.read_text().splitlines():
        label, x, y, w, h, score = (float(text) for text in line.split())
        box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
        found.append((box, int(label), score))
    return found


if __name__ == "__main__":
    main(fit, predict)
