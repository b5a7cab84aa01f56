"""A machined part on a plain ground, photographed as it happens to lie: one part, another pose each time.

Textures look alike everywhere; a part does not, so that comparing two images of it needs one to be laid onto
the other. Its outline is a signed distance, from which edges, light on them and shadow follow; the
light stays with the camera when the part turns.
Letters: H, W of the image; u, v coordinates of the part, in units of the radius that holds it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from blemish.arrays import Size
from blemish.dataset.synthetic.defects import DEFECTS, Shape
from blemish.dataset.synthetic.noise import (
    Field,
    as_field,
    blurred,
    fractal_noise,
    grid,
    rotated,
    smooth_noise,
    smooth_step,
)
from blemish.dataset.synthetic.photograph import draw_sensor, expose, photograph, sensor_noise
from blemish.dataset.synthetic.render import (
    DefectRequest,
    Mask,
    PixelWindow,
    Rendered,
    applied,
    check_size,
    fitted,
    known_name,
    reach,
)

PART = "part"
MISSING_PIECE = "missing_piece"
PART_DEFECTS = ("scratch", "spot", MISSING_PIECE)
PART_WEIGHTS: Mapping[str, float] = dict.fromkeys(PART_DEFECTS, 1.0)

RADIUS = 0.42  # of the circle that holds the part, in shorter sides of the image
MAX_SHIFT = 0.5 - RADIUS  # in shorter sides; the part stays inside the image
LIGHT = (-0.8, -0.6)  # where the light comes from, (x, y) of the image
BEVEL, RIM = 0.03, 0.34  # of the edges, and radius of the raised ring around the bore
MIN_CHIP = 2.5  # pixels of radius
TRIES = 40  # places tried for a defect

# (u, v, radius) of the bores and of the notch in the left edge.
BORES = ((0.0, 0.0, 0.19), (0.56, -0.28, 0.12), (-0.52, 0.3, 0.085), (-0.52, -0.3, 0.085))
NOTCH = (-0.82, 0.02, 0.13)


@dataclass(frozen=True)
class Pose:
    """How a part lies. turn_deg: anticlockwise as seen; shift_xy: pixels from the image's middle"""

    turn_deg: float
    shift_xy: tuple[float, float]


@dataclass(frozen=True)
class Chip:
    """A piece broken off the edge: middle (u, v), radius, and how its outline deviates from a circle."""

    middle: tuple[float, float]
    radius: float
    phases: tuple[float, float]


def render_part(
    *,
    size: Size,
    defects: Sequence[DefectRequest] = (),
    generator: np.random.Generator,
    turn: float = 180.0,
    shift: float = 0.05,
) -> Rendered:
    """The part with `defects` on it, turned by at most `turn` degrees and shifted by at most `shift`.

    turn: either way, drawn evenly; shift: along each axis, in shorter sides of the image
    A missing piece has the contrast of part and ground, whatever its request says.
    Raises BlemishError for an unknown kind, or a size out of range
    """
    check_size(size)
    kinds = [known_name("defect kind", request.kind, PART_WEIGHTS) for request in defects]
    x, y = generator.uniform(-1, 1, 2) * shift * min(size)
    pose = Pose(float(generator.uniform(-turn, turn)), (float(x), float(y)))
    min_radius = MIN_CHIP / (RADIUS * min(size))
    chips = [
        draw_chip(request.scale, min_radius, generator)
        for request in defects
        if request.kind == MISSING_PIECE
    ]
    scene_of = scene_drawer(size, pose, seed=int(generator.integers(2**63)))
    clean, _ = scene_of(())
    scene, left = scene_of(chips)
    part = distance_of(size, pose, ()) < 0
    masks = iter([part & (distance_of(size, pose, [chip]) >= 0) for chip in chips])
    drawn = []
    for kind, request in zip(kinds, defects, strict=True):
        drawn.append(next(masks) if kind == MISSING_PIECE else draw_on(scene, left, request, generator))
    sensor, noise = draw_sensor(generator), sensor_noise(size, generator)
    return Rendered(
        image=expose(scene, noise, sensor),
        clean=expose(clean, noise, sensor),
        scene=scene,
        surface=clean,
        masks=tuple(drawn),
        labels=tuple(kinds),
        contrasts=tuple(float(np.abs(scene - clean)[mask].mean(dtype=np.float64)) for mask in drawn),
    )


def draw_chip(scale: float, min_radius: float, generator: np.random.Generator) -> Chip:
    """A piece missing from the outer edge, anywhere along it. min_radius: that can be seen"""
    bearing = generator.uniform(0, 2 * math.pi)
    along = np.linspace(1.1, 0.3, 400, dtype=np.float32)
    inside = outer_edge(along * math.cos(bearing), along * math.sin(bearing)) < 0
    edge = float(along[int(inside.argmax())])
    phases = generator.uniform(0, 2 * math.pi, 2)
    return Chip(
        middle=(edge * math.cos(bearing), edge * math.sin(bearing)),
        radius=max(min_radius, scale * float(generator.uniform(0.07, 0.15))),
        phases=(float(phases[0]), float(phases[1])),
    )


def scene_drawer(size: Size, pose: Pose, *, seed: int) -> Callable[[Sequence[Chip]], tuple[Field, Field]]:
    """A function that draws the part with pieces missing, always under the same light and on the same ground.

    It returns the image before sensor noise, gray levels 0…255, and how much of each pixel is part, in [0, 1]
    """

    def scene_of(chips: Sequence[Chip]) -> tuple[Field, Field]:
        generator = np.random.default_rng(seed)
        distance = distance_of(size, pose, chips)
        pattern = reflectance(distance, size, pose, generator) - 1
        level = generator.uniform(140, 165)
        image = photograph(as_field(pattern), level=level, contrast=1.0, generator=generator)
        return image, coverage(distance)

    return scene_of


def distance_of(size: Size, pose: Pose, chips: Sequence[Chip]) -> Field:
    """Signed distance to the part's edge in pixels, negative on the part. [H, W]"""
    u, v = part_coordinates(size, pose)
    distance = outer_edge(u, v)
    for hole_u, hole_v, radius in BORES:
        distance = np.maximum(distance, radius - np.hypot(u - hole_u, v - hole_v))
    slot = np.hypot(np.maximum(np.abs(u + 0.02) - 0.2, 0), v - 0.44)
    distance = np.maximum(distance, 0.045 - slot)
    for chip in chips:
        distance = np.maximum(distance, -chip_edge(u, v, chip))
    return as_field(distance * RADIUS * min(size))


def part_coordinates(size: Size, pose: Pose) -> tuple[Field, Field]:
    """(u, v) of every pixel. [H, W] each"""
    rows, columns = grid(size)
    x = (columns - (size[1] - 1) / 2 - pose.shift_xy[0]) / (RADIUS * min(size))
    y = (rows - (size[0] - 1) / 2 - pose.shift_xy[1]) / (RADIUS * min(size))
    sine, cosine = math.sin(math.radians(pose.turn_deg)), math.cos(math.radians(pose.turn_deg))
    return as_field(x * cosine - y * sine), as_field(x * sine + y * cosine)


def outer_edge(u: Field, v: Field) -> Field:
    """Signed distance to the outline: a rounded plate with one corner cut off and a notch. In units."""
    corner = 0.12
    across, down = np.abs(u) - (0.82 - corner), np.abs(v) - (0.54 - corner)
    outside = np.hypot(np.maximum(across, 0), np.maximum(down, 0))
    plate = outside + np.minimum(np.maximum(across, down), 0) - corner
    cut = (u - v) / math.sqrt(2) - 0.78
    notch = NOTCH[2] - np.hypot(u - NOTCH[0], v - NOTCH[1])
    return as_field(np.maximum(np.maximum(plate, cut), notch))


def chip_edge(u: Field, v: Field, chip: Chip) -> Field:
    """Signed distance to the outline of a missing piece, negative where it was. In units."""
    u, v = u - chip.middle[0], v - chip.middle[1]
    bearing = np.arctan2(v, u)
    wobble = 0.18 * np.cos(3 * bearing + chip.phases[0]) + 0.1 * np.cos(5 * bearing + chip.phases[1])
    return as_field(np.hypot(u, v) - chip.radius * (1 + wobble))


def coverage(distance: Field) -> Field:
    """How much of each pixel lies inside an edge at `distance` pixels, in [0, 1]."""
    return as_field(np.clip(0.5 - distance, 0, 1))


def reflectance(distance: Field, size: Size, pose: Pose, generator: np.random.Generator) -> Field:
    """Part, ground and shadow, about 1 on the part. [H, W]"""
    unit = RADIUS * min(size)
    u, v = part_coordinates(size, pose)
    ring = as_field(np.hypot(u, v) - RIM) * unit
    height = smooth_step(-distance, 0, max(2.0, BEVEL * unit)) + 0.5 * coverage(ring / 2)
    metal = 1 + 0.3 * slope_to_light(as_field(height)) + brush_marks(size, pose, generator)
    ground = 0.42 + 0.02 * fractal_noise(size, [(40, 0.7), (3, 0.5), (1.2, 0.5)], generator)
    share = coverage(distance)
    away = 0.05 * unit
    moved = np.array([[1, 0, -LIGHT[0] * away], [0, 1, -LIGHT[1] * away]], np.float32)
    shadow = blurred(as_field(cv2.warpAffine(share, moved, size[::-1])), max(1.0, 0.5 * away))
    return as_field(share * metal + (1 - share) * ground * (1 - 0.45 * shadow))


def slope_to_light(height: Field) -> Field:
    """Slope towards the light, about 1 at an edge that faces it. [H, W]"""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 2)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 2)
    return as_field(np.tanh(-slope_x * LIGHT[0] - slope_y * LIGHT[1]))


def brush_marks(size: Size, pose: Pose, generator: np.random.Generator) -> Field:
    """Marks of the brush along u, another stretch of metal for every part. [H, W]"""

    def streaks(canvas: Size) -> Field:
        return 0.03 * smooth_noise(canvas, (1.3, 60), generator) + 0.02 * smooth_noise(
            canvas, (5, 300), generator
        )

    return rotated(size, -pose.turn_deg, streaks)


def draw_on(scene: Field, part: Field, request: DefectRequest, generator: np.random.Generator) -> Mask:
    """Draw a scratch or spot on the part, into the scene itself; returns its mask.

    part: [H, W] share of each pixel
    """
    size = (scene.shape[0], scene.shape[1])
    shape = fitted(DEFECTS[request.kind](0.8 * reach(size), generator), size, request.scale)
    window = best_window(shape, part > 0.99, generator)
    base = scene[window].copy()
    scene[window] += part[window] * (applied(base, shape, request.contrast, generator) - base)
    mask = np.zeros(size, bool)
    mask[window] = shape.mask & (part[window] > 0.5)
    return mask


def best_window(shape: Shape, part: Mask, generator: np.random.Generator) -> PixelWindow:
    """A random place where the shape lies on the part; of `TRIES` the first that does, or the nearest to."""
    height, width = shape.mask.shape
    places: list[tuple[int, int, PixelWindow]] = []
    for _ in range(TRIES):
        top = int(generator.integers(0, part.shape[0] - height + 1))
        left = int(generator.integers(0, part.shape[1] - width + 1))
        window = np.s_[top : top + height, left : left + width]
        beside = int(np.count_nonzero(shape.mask & ~part[window]))
        places.append((beside, len(places), window))
        if not beside:
            break
    return min(places)[2]
