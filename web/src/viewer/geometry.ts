/**
 * Shapes on an image and what drawing needs of them. Pure functions.
 *
 * Coordinates are pixels of the image as decoded; (0, 0) is the outer corner of the first pixel, so that a box
 * is half-open: [x0, y0, x1, y1] holds the pixels x0 … x1 − 1. Angles are degrees, clockwise on the screen.
 */

export type Point = readonly [number, number];
/** A closed outline. */
export type Ring = readonly Point[];
export type Box = readonly [number, number, number, number];
export type Size = { readonly width: number; readonly height: number };

export type Shape =
  | { readonly kind: "box"; readonly box: Box }
  | {
      readonly kind: "turned_box";
      readonly center: Point;
      readonly length: number;
      readonly width: number;
      readonly angle_deg: number;
    }
  | { readonly kind: "polygon"; readonly rings: readonly Ring[] }
  | { readonly kind: "whole_image" };

export type TurnedBox = Extract<Shape, { kind: "turned_box" }>;

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

/** Point inside the image, edges included. */
export function clampPoint([x, y]: Point, size: Size): Point {
  return [clamp(x, 0, size.width), clamp(y, 0, size.height)];
}

/** Half-open box of whole pixels between two corners; null where it would hold no pixel. */
export function boxFromCorners(a: Point, b: Point, size: Size): Box | null {
  const [ax, ay] = clampPoint(a, size);
  const [bx, by] = clampPoint(b, size);
  const box: Box = [
    Math.round(Math.min(ax, bx)),
    Math.round(Math.min(ay, by)),
    Math.round(Math.max(ax, bx)),
    Math.round(Math.max(ay, by)),
  ];
  return box[2] > box[0] && box[3] > box[1] ? box : null;
}

/** The four corners of a turned box, in order around it. */
export function turnedCorners({ center: [cx, cy], length, width, angle_deg }: TurnedBox): Point[] {
  const angle = (angle_deg * Math.PI) / 180;
  const [ux, uy] = [(Math.cos(angle) * length) / 2, (Math.sin(angle) * length) / 2];
  const [vx, vy] = [(-Math.sin(angle) * width) / 2, (Math.cos(angle) * width) / 2];
  return [
    [cx - ux - vx, cy - uy - vy],
    [cx + ux - vx, cy + uy - vy],
    [cx + ux + vx, cy + uy + vy],
    [cx - ux + vx, cy - uy + vy],
  ];
}

/** Turned box with an axis from a to b, as wide as twice the distance of c from that axis. */
export function turnedFromAxis(a: Point, b: Point, c: Point): TurnedBox | null {
  const [dx, dy] = [b[0] - a[0], b[1] - a[1]];
  const along = Math.hypot(dx, dy);
  if (along < 1) return null;
  const across = (2 * Math.abs(dx * (c[1] - a[1]) - dy * (c[0] - a[0]))) / along;
  if (across < 1) return null;
  return {
    kind: "turned_box",
    center: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
    ...lengthFirst(along, across, (Math.atan2(dy, dx) * 180) / Math.PI),
  };
}

/** The convention length ≥ width, with the angle of the length in [−90, 90). */
export function lengthFirst(length: number, width: number, angle: number) {
  const turned = length >= width ? angle : angle + 90;
  return {
    length: Math.max(length, width),
    width: Math.min(length, width),
    angle_deg: ((((turned + 90) % 180) + 180) % 180) - 90,
  };
}

/** Outlines of a shape, one a part; none for the whole image. */
export function outlines(shape: Shape): readonly Ring[] {
  switch (shape.kind) {
    case "box": {
      const [x0, y0, x1, y1] = shape.box;
      return [[[x0, y0], [x1, y0], [x1, y1], [x0, y1]]];
    }
    case "turned_box":
      return [turnedCorners(shape)];
    case "polygon":
      return shape.rings;
    case "whole_image":
      return [];
  }
}

/** Smallest box around points. */
export function boundsOf(points: readonly Point[]): Box {
  let [x0, y0, x1, y1] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    x0 = Math.min(x0, x);
    y0 = Math.min(y0, y);
    x1 = Math.max(x1, x);
    y1 = Math.max(y1, y);
  }
  return [x0, y0, x1, y1];
}

/** Whether a point is inside a closed polygon, by the even-odd rule. */
export function inPolygon([x, y]: Point, points: readonly Point[]): boolean {
  let inside = false;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [xi, yi] = points[i]!;
    const [xj, yj] = points[j]!;
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

/** Area of a simple polygon, in pixels. */
export function polygonArea(points: readonly Point[]): number {
  let twice = 0;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    twice += points[j]![0] * points[i]![1] - points[i]![0] * points[j]![1];
  }
  return Math.abs(twice) / 2;
}

/** Points that can be dragged: corners of a box, corners and the turning knob of a turned box, vertices. */
export function handles(shape: Shape, knob = 24): readonly Point[] {
  if (shape.kind !== "turned_box") return outlines(shape).flat();
  const angle = (shape.angle_deg * Math.PI) / 180;
  const reach = shape.length / 2 + knob;
  const [cx, cy] = shape.center;
  return [...turnedCorners(shape), [cx + Math.cos(angle) * reach, cy + Math.sin(angle) * reach]];
}

/** Shape with one of its handles moved to a point; null where nothing would be left of it. */
export function withHandleAt(shape: Shape, handle: number, to: Point, size: Size): Shape | null {
  switch (shape.kind) {
    case "box": {
      const box = boxFromCorners(outlines(shape)[0]![(handle + 2) % 4]!, to, size);
      return box && { kind: "box", box };
    }
    case "turned_box":
      return handle === 4 ? turnedTowards(shape, to) : turnedWithCorner(shape, handle, to);
    case "polygon": {
      let index = 0;
      const rings = shape.rings.map((ring) => ring.map((point) => (index++ === handle ? clampPoint(to, size) : point)));
      return { kind: "polygon", rings };
    }
    case "whole_image":
      return shape;
  }
}

/** Turned box whose length points towards a point. */
function turnedTowards(shape: TurnedBox, [x, y]: Point): TurnedBox {
  const angle = (Math.atan2(y - shape.center[1], x - shape.center[0]) * 180) / Math.PI;
  return { ...shape, ...lengthFirst(shape.length, shape.width, angle) };
}

/** Turned box with a corner moved, the opposite corner and the angle kept. */
function turnedWithCorner(shape: TurnedBox, corner: number, to: Point): TurnedBox | null {
  const fixed = turnedCorners(shape)[(corner + 2) % 4]!;
  const angle = (shape.angle_deg * Math.PI) / 180;
  const [dx, dy] = [to[0] - fixed[0], to[1] - fixed[1]];
  const along = Math.abs(dx * Math.cos(angle) + dy * Math.sin(angle));
  const across = Math.abs(-dx * Math.sin(angle) + dy * Math.cos(angle));
  if (along < 1 || across < 1) return null;
  const center: Point = [(fixed[0] + to[0]) / 2, (fixed[1] + to[1]) / 2];
  return { kind: "turned_box", center, ...lengthFirst(along, across, shape.angle_deg) };
}

/** Shape moved by so many pixels and kept inside the image. */
export function moved(shape: Shape, dx: number, dy: number, size: Size): Shape {
  if (shape.kind === "whole_image") return shape;
  const [x0, y0, x1, y1] = boundsOf(outlines(shape).flat());
  const whole = shape.kind === "box" ? Math.round : (value: number) => value;
  const x = whole(clamp(dx, Math.min(-x0, 0), Math.max(size.width - x1, 0)));
  const y = whole(clamp(dy, Math.min(-y0, 0), Math.max(size.height - y1, 0)));
  switch (shape.kind) {
    case "box":
      return { kind: "box", box: [x0 + x, y0 + y, x1 + x, y1 + y] };
    case "turned_box":
      return { ...shape, center: [shape.center[0] + x, shape.center[1] + y] };
    case "polygon":
      return { kind: "polygon", rings: shape.rings.map((ring) => ring.map(([px, py]) => [px + x, py + y] as const)) };
  }
}

/** Index of the point nearest to another within a distance; −1 where none is. */
export function nearestPoint(points: readonly Point[], [x, y]: Point, within: number): number {
  let [best, least] = [-1, within];
  points.forEach(([px, py], i) => {
    const distance = Math.hypot(px - x, py - y);
    if (distance <= least) [best, least] = [i, distance];
  });
  return best;
}

/** Distance of a point from a closed outline, in pixels. */
export function distanceToOutline([x, y]: Point, points: readonly Point[]): number {
  let least = Infinity;
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [ax, ay] = points[j]!;
    const [dx, dy] = [points[i]![0] - ax, points[i]![1] - ay];
    const along = clamp(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1), 0, 1);
    least = Math.min(least, Math.hypot(ax + along * dx - x, ay + along * dy - y));
  }
  return least;
}
