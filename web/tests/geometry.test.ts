import { describe, expect, test } from "vitest";
import {
  boundsOf,
  boxFromCorners,
  distanceToOutline,
  handles,
  inPolygon,
  lengthFirst,
  moved,
  polygonArea,
  turnedCorners,
  turnedFromAxis,
  withHandleAt,
  type Point,
  type TurnedBox,
} from "../src/viewer/geometry";

const size = { width: 8192, height: 12800 };

describe("boxes", () => {
  test("hold whole pixels whichever corner comes first", () => {
    const box = [6200, 3976, 6320, 4056];
    expect(boxFromCorners([6200.3, 3975.8], [6319.6, 4056.4], size)).toEqual(box);
    expect(boxFromCorners([6319.6, 4056.4], [6200.3, 3975.8], size)).toEqual(box);
    expect(boxFromCorners([6319.6, 3975.8], [6200.3, 4056.4], size)).toEqual(box);
  });

  test("end at the image's edge, and hold a pixel at least", () => {
    expect(boxFromCorners([-50, -50], [9000, 20000], size)).toEqual([0, 0, 8192, 12800]);
    expect(boxFromCorners([10.1, 10], [10.3, 40], size)).toBeNull();
  });

  test("keep the corner across from the one that is dragged, also past it", () => {
    const shape = { kind: "box", box: [10, 20, 30, 60] } as const;
    expect(withHandleAt(shape, 2, [50, 70], size)).toEqual({ kind: "box", box: [10, 20, 50, 70] });
    expect(withHandleAt(shape, 2, [5, 70], size)).toEqual({ kind: "box", box: [5, 20, 10, 70] });
    expect(withHandleAt(shape, 2, [10, 70], size)).toBeNull();
  });

  test("move by whole pixels and stay inside", () => {
    const shape = { kind: "box", box: [10, 20, 30, 60] } as const;
    expect(moved(shape, 5.4, -3.6, size)).toEqual({ kind: "box", box: [15, 16, 35, 56] });
    expect(moved(shape, -100, 99999, size)).toEqual({ kind: "box", box: [0, 12760, 20, 12800] });
  });
});

describe("turned boxes", () => {
  test("worked example: a 3-4-5 axis", () => {
    const shape = turnedFromAxis([0, 0], [30, 40], [-8, 6])!; // (−8, 6) is 10 beside the axis
    expect(shape.length).toBeCloseTo(50);
    expect(shape.width).toBeCloseTo(20);
    expect(shape.angle_deg).toBeCloseTo(53.1301, 3);
    expect(shape.center).toEqual([15, 20]);
  });

  test("have the length first and an angle in [−90, 90), whatever their corners", () => {
    for (let angle = -360; angle <= 360; angle += 7.5) {
      const got = lengthFirst(10, 30, angle);
      expect(got.length).toBe(30);
      expect(got.angle_deg).toBeGreaterThanOrEqual(-90);
      expect(got.angle_deg).toBeLessThan(90);
      const before = turnedCorners({ kind: "turned_box", center: [5, 5], length: 10, width: 30, angle_deg: angle });
      const after = turnedCorners({ kind: "turned_box", center: [5, 5], ...got });
      const sorted = (points: readonly Point[]) => points.map((p) => p.map((v) => Math.round(v * 1e6) + 0).join()).sort();
      expect(sorted(after)).toEqual(sorted(before));
    }
  });

  test("keep the opposite corner while one is dragged, and area = length × width", () => {
    const shape: TurnedBox = { kind: "turned_box", center: [100, 100], length: 60, width: 20, angle_deg: 30 };
    const next = withHandleAt(shape, 2, [150, 150], size) as TurnedBox;
    const fixed = turnedCorners(shape)[0]!;
    const corners = turnedCorners(next);
    expect(Math.min(...corners.map(([x, y]) => Math.hypot(x - fixed[0], y - fixed[1])))).toBeLessThan(1e-9);
    expect(Math.min(...corners.map(([x, y]) => Math.hypot(x - 150, y - 150)))).toBeLessThan(1e-9);
    expect(polygonArea(corners)).toBeCloseTo(next.length * next.width);
  });

  test("turn by their knob", () => {
    const shape: TurnedBox = { kind: "turned_box", center: [0, 0], length: 60, width: 20, angle_deg: 0 };
    expect(handles(shape, 10)[4]).toEqual([40, 0]);
    expect(withHandleAt(shape, 4, [7, 7], size)).toMatchObject({ angle_deg: 45, length: 60, width: 20 });
  });
});

describe("polygons", () => {
  const ring: Point[] = [[0, 0], [10, 0], [10, 10], [5, 5], [0, 10]];

  test("area, bounds and inside of a concave one", () => {
    expect(polygonArea(ring)).toBe(75);
    expect(boundsOf(ring)).toEqual([0, 0, 10, 10]);
    expect(inPolygon([5, 4], ring)).toBe(true);
    expect(inPolygon([5, 8], ring)).toBe(false);
  });

  test("distance to the outline, at a side and at a corner", () => {
    expect(distanceToOutline([5, -3], ring)).toBe(3);
    expect(distanceToOutline([13, -4], ring)).toBe(5);
  });
});
