"""Inference of TL-SDD in numpy: resize → tiles → detector → boxes in image pixels → suppression → defects.

The detector gives every region's box and its probability of each class, background left out, so that all
decisions are made here, alike on every machine.
Letters: H, W pixels; R rows of the detector, K classes; a row is a box xyxy and K probabilities, [R, 4 + K].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np

from blemish.arrays import Boxes, Floats, Integers, Pixels
from blemish.defect import Defect
from blemish.images.resize import resized, with_shorter_side
from blemish.images.tiled_detection import DetectionRows, detect_tiled
from blemish.images.tiling import planes
from blemish.methods.common import image_head
from blemish.methods.contract import ImageFindings, Networks
from blemish.methods.tlsdd.runtime.image_shift import ImageShift
from blemish.methods.tlsdd.settings import TlsddSettings
from blemish.regions.boxes import box_area, class_wise_nms, clip_boxes
from blemish.regions.filled_boxes import defect_of_box, filled_boxes


@dataclass(frozen=True)
class TlsddInference:
    """Pixels to boxes with names. Set up once from a bundle's manifest by `inference_from`; changes nothing.

    class_names: of the K classes, in the order of the detector's columns
    size: pixels that the shorter side is brought to, None as it is; tile, overlap: pixels, after that
    score_floor: probability under which a row is dropped at once; threshold: from which it is a defect
    shifts: for each class, what is added to the logarithm of a probability's odds, so that classes with
        thresholds of their own share one
    nms: IoU above which the worse of two boxes of one class goes; detections: how many an image has at most
    enrolled: number of the last classes, those added without training; they take no place of the others'
        detections, and count towards the image's score as defects alone
    image_shift: by the image as a whole, of the same logarithms; of trained classes alone, as the image head
        has learned nothing of others; None: there is none
    """

    classifies: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    pixel_threshold: ClassVar[None] = None
    region_threshold: ClassVar[None] = None
    score_map_max: ClassVar[None] = None
    streams: ClassVar[Literal["boxes"]] = "boxes"

    class_names: tuple[str, ...]
    threshold: float
    shifts: tuple[float, ...]
    size: int | None
    tile: int
    overlap: int
    score_floor: float
    nms: float
    detections: int
    mm_per_px: float | None
    enrolled: int = 0
    channels: int | None = 3
    image_shift: ImageShift | None = None

    @property
    def threshold_score(self) -> float:
        return self.threshold

    def output_shape(self, network: str, inputs: tuple[int, ...]) -> tuple[int | None, ...]:
        """[R, 4 + K], whatever the number of regions; [1, 1] of the image head."""
        if network == image_head.NAME:
            return inputs[0], 1
        return None, 4 + len(self.class_names)

    def forward(self, pixels: Pixels, networks: Networks) -> DetectionRows:
        """Rows from the score floor on, [R, 4 + K], boxes in pixels of the image and within it."""
        fitted = resized(pixels, with_shorter_side((pixels.shape[0], pixels.shape[1]), self.size))
        rows = detect_tiled(
            fitted,
            lambda part: self.detect(part, networks),
            tile=self.tile,
            overlap=self.overlap,
            nms=self.nms,
        )
        scale = np.array(pixels.shape[1::-1], np.float32) / np.array(fitted.shape[1::-1], np.float32)
        boxes = clip_boxes(rows[:, :4] * np.tile(scale, 2), (pixels.shape[0], pixels.shape[1]))
        return np.concatenate([boxes, rows[:, 4:]], axis=1).astype(np.float32, copy=False)

    def detect(self, pixels: Pixels, networks: Networks) -> DetectionRows:
        """Rows of the detector for one image. Rows that are no numbers stay, to be refused."""
        rows = networks["detector"](planes(pixels)[None])
        return rows[~(rows[:, 4:].max(axis=1) < self.score_floor)]

    def decide(self, raw: Floats, pixels: Pixels, networks: Networks, *, with_maps: bool) -> ImageFindings:
        """Class-wise suppression, then every box from the threshold on is a defect, the surest first.

        The score is the highest confidence of all, so that clean images are ranked among themselves; of added
        classes, of the defects; with maps, "defects" holds the filled boxes, surer ones on top.
        """
        size = (pixels.shape[0], pixels.shape[1])
        shift = 0.0
        if self.image_shift is not None:
            shift = self.image_shift.of(image_head.head_log_odds(pixels, networks))
        found = self.decide_boxes(raw, shift=shift)
        maps = {"defects": filled_boxes(found.defects, size)} if with_maps else {}
        return replace(found, maps=maps)

    def decide_boxes(self, raw: Floats, *, shift: float = 0.0) -> ImageFindings:
        """Defects, candidates and score, see `decide`. shift: by the image as a whole, see `ImageShift`"""
        candidates = self.candidates(raw, shift)
        defects = tuple(defect for defect in candidates if defect.confidence >= self.threshold)
        return ImageFindings(self.score(candidates, shift), defects, candidates=candidates)

    def score(self, candidates: Sequence[Defect], shift: float) -> float:
        """Highest confidence, see `decide`; without one what the image as a whole says, under the threshold.

        The score of an image on which no added class is found is that of the bundle without them.
        """
        added = self.class_names[len(self.class_names) - self.enrolled :]
        counted = [
            defect.confidence
            for defect in candidates
            if defect.label not in added or defect.confidence >= self.threshold
        ]
        if counted:
            return max(counted)
        if self.image_shift is None:
            return 0.0
        floor = float(shifted(np.array([self.score_floor], np.float32), np.array([shift]))[0])
        return min(floor, float(np.nextafter(self.threshold, 0.0)))

    def candidates(self, raw: Floats, shift: float = 0.0) -> tuple[Defect, ...]:
        """At most `detections` boxes from the score floor on, and as many of added classes, surest first.

        shift: see `decide_boxes`
        A box may bear two names, and boxes of different classes do not suppress each other: a pit may lie in
        a scratch.
        """
        likely = raw[:, 4:] >= self.score_floor
        if self.enrolled:  # a row is of trained classes or of an added one; the others are 0 in it
            likely &= raw[:, 4:] > 0
        rows, labels = np.nonzero(likely & (box_area(raw[:, :4]) > 0)[:, None])
        added = labels >= len(self.class_names) - self.enrolled
        shifts = np.array(self.shifts)[labels] + np.where(added, 0.0, shift)
        boxes, scores = raw[rows, :4], shifted(raw[rows, 4 + labels], shifts)
        groups = (np.flatnonzero(~added), np.flatnonzero(added))
        kept = np.concatenate([self.kept(boxes, scores, labels, group) for group in groups])
        kept = kept[np.argsort(-scores[kept], kind="stable")]
        return tuple(self.defect(boxes[row], int(labels[row]), float(scores[row])) for row in kept)

    def kept(self, boxes: Boxes, scores: Floats, labels: Integers, group: Integers) -> Integers:
        """Rows of a group that class-wise suppression leaves, at most `detections`. group: row numbers"""
        chosen = class_wise_nms(
            boxes[group], scores[group], labels[group], iou=self.nms, max_kept=self.detections
        )
        return group[chosen]

    def defect(self, box: Boxes, label: int, confidence: float) -> Defect:
        left, top, right, bottom = (float(edge) for edge in box)
        return defect_of_box(
            (left, top, right, bottom), self.class_names[label], confidence, mm_per_px=self.mm_per_px
        )


def shifted(probabilities: Floats, shifts: Floats) -> Floats:
    """Probabilities with `shifts` added to the logarithm of their odds; a shift of 0 leaves them exactly."""
    odds = probabilities.astype(np.float64)
    moved = odds * np.exp(shifts)
    return np.where(shifts == 0, odds, moved / (1 - odds + moved)).astype(np.float32)


def inference_from(
    settings: TlsddSettings,
    class_names: tuple[str, ...],
    *,
    threshold: float,
    shifts: Mapping[str, float] | None = None,
    enrolled: int = 0,
    image_shift: ImageShift | None = None,
) -> TlsddInference:
    """Set up inference from a bundle's settings, its threshold, and the shifts of classes that have one.

    enrolled, image_shift: see `TlsddInference`
    """
    return TlsddInference(
        class_names=class_names,
        threshold=threshold,
        shifts=tuple((shifts or {}).get(name, 0.0) for name in class_names),
        size=settings.shorter_side,
        tile=settings.tile,
        overlap=settings.overlap,
        score_floor=settings.score_floor,
        nms=settings.nms,
        detections=settings.detections,
        mm_per_px=settings.mm_per_px,
        enrolled=enrolled,
        image_shift=image_shift,
    )
