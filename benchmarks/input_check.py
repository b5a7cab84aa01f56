"""How well a bundle tells images unlike those of its training, measured on folders of real datasets.

`python -m benchmarks.input_check DATA` draws training images of each dataset below DATA, learns limits from
them, and prints as Markdown how many of the other images are sent to a person (REVIEW): as they are, which is
wrong, and disturbed, which is right. No network is trained: the check does not ask one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import cv2
import numpy as np

from blemish.arrays import Pixels
from blemish.dataset.layouts import load_dataset
from blemish.errors import BlemishError
from blemish.images.decode import luminance, read_image
from blemish.inspector.image_statistics import statistics_of
from blemish.inspector.input_check import KnownInputs
from blemish.training.input_statistics import known_inputs

MAX_IMAGES, MAX_DISTURBED = 400, 60
TRAINING_SHARE = 0.6  # at most, of a small dataset


def blurred(width: int, height: int) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.blur(pixels, (width, height), borderType=cv2.BORDER_REFLECT_101)


def exposed(factor: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.convertScaleAbs(pixels, alpha=factor)


def with_gamma(gamma: float) -> Callable[[Pixels], Pixels]:
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return lambda pixels: cv2.LUT(pixels, table)


def resized(scale: float) -> Callable[[Pixels], Pixels]:
    return lambda pixels: cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def other_channels(pixels: Pixels) -> Pixels:
    """Gray of a colour image; a gray one, also one of three equal channels, in false colours."""
    gray = luminance(pixels)
    return gray if statistics_of(pixels).colour else cv2.applyColorMap(gray, cv2.COLORMAP_BONE)


DISTURBANCES: dict[str, Callable[[Pixels], Pixels]] = {
    "black": np.zeros_like,
    "white": lambda pixels: np.full_like(pixels, 255),
    "blur 3×3": blurred(3, 3),
    "blur 5×5": blurred(5, 5),
    "blur 5 along rows": blurred(5, 1),
    "blur 5 along columns": blurred(1, 5),
    "exposure +15 %": exposed(1.15),
    "exposure −15 %": exposed(0.85),
    "exposure ×0.5": exposed(0.5),
    "gamma 1.5": with_gamma(1.5),
    "gamma 0.67": with_gamma(0.67),
    "half the size": resized(0.5),
    "16 bits": lambda pixels: pixels.astype(np.uint16) * 257,
    "gray or colour": other_channels,
}


@dataclass(frozen=True)
class RealSet:
    """Images of a dataset, 8 bits each."""

    name: str
    images: Sequence[Pixels]

    def drawn(self, count: int, seed: int) -> tuple[list[int], list[int]]:
        """Numbers of training images, and of those that are left."""
        order = np.random.default_rng(seed).permutation(len(self.images)).tolist()
        count = min(count, max(1, int(TRAINING_SHARE * len(order))))
        return order[:count], order[count:]


def read_sets(data: Path) -> Iterator[RealSet]:
    """Datasets in the folders of `data`, of at most `MAX_IMAGES` images each, drawn by a seed."""
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        try:
            dataset = load_dataset(folder, skip_broken=True)
        except BlemishError:
            continue
        files = sorted({sample.image for sample in dataset})
        chosen = np.random.default_rng(0).permutation(len(files))[:MAX_IMAGES]
        yield RealSet(folder.name, [read_image(files[number]) for number in sorted(chosen)])


def share(known: KnownInputs, images: Sequence[Pixels], *, whole: bool = True) -> float:
    """Share of images that are found unlike the training images."""
    return float(np.mean([bool(known.reasons(image, whole=whole)) for image in images]))


def row(own: RealSet, sets: Sequence[RealSet], *, count: int, seeds: int) -> tuple[int, dict[str, float]]:
    """Number of training images, and the share of images found unlike them, by what was done to them."""
    runs: dict[str, list[float]] = {}
    number = 0
    for seed in range(seeds):
        training, rest = own.drawn(count, seed)
        number = len(training)
        known = known_inputs(own.images[each] for each in training)
        new = [own.images[each] for each in rest]
        runs.setdefault("as they are", []).append(share(known, new))
        for name, disturb in DISTURBANCES.items():
            disturbed = [disturb(image) for image in new[:MAX_DISTURBED]]
            runs.setdefault(name, []).append(share(known, disturbed))
        others = [(other, other.images[:MAX_DISTURBED]) for other in sets if other is not own]
        for name, whole in (("other sets", True), ("other sets, size not looked at", False)):
            shares = [share(known, images, whole=whole) for _, images in others]
            runs.setdefault(name, []).append(float(np.mean(shares)))
    return number, {name: float(np.mean(shares)) for name, shares in runs.items()}


def milliseconds(pixels: Pixels, known: KnownInputs, repeats: int = 100) -> float:
    """Median time of a check."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        known.reasons(pixels)
        times.append(1e3 * (perf_counter() - start))
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of datasets")
    parser.add_argument("--training", type=int, nargs="+", default=[30, 100], help="training images")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    sets = list(read_sets(options.data))
    for count in options.training:
        rows = [(each.name, *row(each, sets, count=count, seeds=options.seeds)) for each in sets]
        print(f"Images sent to a person, in %, after {count} training images; {options.seeds} seeds\n")
        print("| | " + " | ".join(f"{name} ({number})" for name, number, _ in rows) + " |")
        print("| --- |" + " ---: |" * len(rows))
        for kind in rows[0][2]:
            print(f"| {kind} | " + " | ".join(f"{100 * shares[kind]:.1f}" for *_, shares in rows) + " |")
        print()
    noise = np.random.default_rng(0)
    for shape in ((1000, 1000), (1000, 1000, 3)):
        pixels = noise.integers(0, 256, shape, np.uint8)
        varied = [np.clip(pixels * factor, 0, 255).astype(np.uint8) for factor in np.linspace(0.8, 1, 20)]
        known = known_inputs(varied)
        print(f"{milliseconds(varied[10], known):.2f} ms for {'×'.join(map(str, shape))} on one thread")


if __name__ == "__main__":
    main()
