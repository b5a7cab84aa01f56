"""Webs with blobs, and methods with stand-in networks that see no further than their halo tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from blemish.defect import Defect
from blemish.images.tiling import Tiling
from blemish.inspection import Inspection
from blemish.inspector.inspector import BundleInspector
from blemish.inspector.line_scan.web import Web, web_answers
from blemish.inspector.pipeline import Answer
from blemish.inspector.sources import Item
from blemish.methods.casae.inference import inference_from as casae_inference
from blemish.methods.casae.settings import CasaeSettings
from blemish.methods.severity.inference import inference_from as severity_inference
from blemish.methods.severity.settings import SeveritySettings

Gray = NDArray[np.uint8]


def blobs(seed: int, height: int, width: int, *, number: int = 40, noise: int = 12) -> Gray:
    """Bright strokes of many lengths on a noisy ground, some near each other."""
    generator = np.random.default_rng(seed)
    web = generator.integers(20, 20 + noise, (height, width), dtype=np.uint8)
    for _ in range(number):
        x, y = generator.integers(0, width), generator.integers(0, height)
        right, down = generator.integers(-20, 20), generator.integers(-60, 60)
        end = (int(x + right), int(y + down))
        cv2.line(web, (int(x), int(y)), end, int(generator.integers(90, 255)), int(generator.integers(1, 5)))
    return web


def strips(web: NDArray[np.generic], heights: Sequence[int]) -> Iterator[Item]:
    """The web in strips of these heights, the last of them again and again."""
    top = index = 0
    while top < len(web):
        height = heights[min(index, len(heights) - 1)]
        part = web[top : top + height].copy()
        yield Item(f"strip{index}.png", f"strip{index}", lambda part=part: part)
        top, index = top + height, index + 1


def random_heights(seed: int, max_height: int) -> list[int]:
    generator = np.random.default_rng(seed)
    return [1, 1, *generator.integers(1, max_height, 500).tolist(), 1, max_height]


def scanned(
    judge: BundleInspector, items: Iterator[Item], web: Web | None = None, **more: object
) -> list[Answer]:
    with web_answers(judge, items, web or Web("web"), **more) as answers:
        return list(answers.coming)


def defects_of(answers: Sequence[Answer]) -> list[Defect]:
    return [defect for answer in answers for defect in answer.inspection.defects]


def in_order(defects: Sequence[Defect]) -> list[Defect]:
    return sorted(defects, key=lambda defect: (defect.box_xyxy[1], defect.box_xyxy[0], defect.contour))


def cells_of(inputs: NDArray[np.float32], cell: int) -> NDArray[np.float32]:
    """Mean brightness of each cell and a little of those beside it, [B, 1, H / cell, W / cell]."""
    maps = []
    for image in inputs[:, 0]:
        height, width = image.shape
        means = image.reshape(height // cell, cell, width // cell, cell).mean(axis=(1, 3))
        maps.append(means if cell == 1 else cv2.GaussianBlur(means, (3, 3), 0.6))
    return np.stack(maps)[:, None]


def types_network(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits that hang on every pixel of the block: each block by itself, so that batches do not matter."""
    side = inputs.shape[-1]
    ramp = np.linspace(0, 1, side, dtype=np.float64)
    gray = inputs.mean(axis=1, dtype=np.float64)
    down, right = (gray * ramp[:, None]).mean(axis=(1, 2)), (gray * ramp).mean(axis=(1, 2))
    plain = gray.mean(axis=(1, 2))
    return np.stack([40 * down, 40 * right, 12 * plain], axis=1).astype(np.float32)


def severity(**more: object) -> BundleInspector:
    """Cells of 4, a halo of two, types by windows of 32 and more that look far around a defect."""
    settings = SeveritySettings(types_window=32, types_step=8, loss="paper", context=1)
    plain = severity_inference(settings, ("a", "b"), threshold=3.0, drop_above=0.32)
    drawn = {"tiles": Tiling(tile=64, halo=8, stride=4), "grid": 4, "limited_softly": False}
    inference = replace(plain, **{**drawn, **more})
    networks = {"severity": lambda inputs: 12 * cells_of(inputs, 4), "types": types_network}
    return BundleInspector(inference, networks, review=0.3, ng=0.6, bundle="severity", limited=False)


def casae(**more: object) -> BundleInspector:
    plain = casae_inference(CasaeSettings(join_distance=3, types_margin=1.5), ("a", "b", "c"), threshold=0.3)
    tiling = Tiling(tile=64, halo=16, stride=1)
    inference = replace(plain, **{"tiling": tiling, "crop_size": 32, **more})
    networks = {"cascade": lambda inputs: cells_of(inputs, 1), "types": types_network}
    return BundleInspector(inference, networks, review=0.3, ng=0.6, bundle="casae", limited=False)


def rounded(defect: Defect) -> Defect:
    """Without the last digits of what is not counted in whole pixels: a rectangle has them by its place."""
    rectangle = defect.rectangle
    return replace(
        defect,
        confidence=round(defect.confidence, 4),
        rectangle=replace(
            rectangle,
            center_xy=(round(rectangle.center_xy[0], 3), round(rectangle.center_xy[1], 3)),
            angle_deg=round(rectangle.angle_deg, 3),
        ),
    )


def whole(judge: BundleInspector, web: NDArray[np.generic]) -> Inspection:
    return judge.judge(web, "web")
